"""Every benchmark still runs, and its tables are those of the stored results."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
OTHERS = ("calibrate_paper", "plot_embeddings")
SCRIPTS = sorted([*BENCHMARKS.glob("bench_*.py"), *(BENCHMARKS / f"{name}.py" for name in OTHERS)])


@pytest.fixture
def as_main(monkeypatch):
    """Run a script as its own program would, but without importing torch once more."""
    threads = torch.get_num_threads()
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def run(script, *options):
        monkeypatch.setattr(sys, "argv", [str(script), *options])
        runpy.run_path(str(script), run_name="__main__")

    yield run
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of other libraries, as a user of the script gets them
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_smoke(script, as_main, capsys):
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    stored = {path: path.stat().st_mtime_ns for path in (BENCHMARKS / "results").iterdir()}
    as_main(script, "--smoke")
    assert capsys.readouterr().out.strip()
    for path, time in stored.items():
        assert path.stat().st_mtime_ns == time, f"--smoke touched {path.name}"


def test_tables_are_those_of_the_stored_results(as_main, capsys):
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    with pytest.raises(SystemExit) as done:
        as_main(BENCHMARKS / "render_tables.py", "--check")
    assert done.value.code == 0, capsys.readouterr().out
