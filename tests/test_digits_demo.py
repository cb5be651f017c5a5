"""The comparison on digits: its tables, its pictures, and its message without matplotlib."""

import builtins
import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
NAMES = ("fou", "fac", "kar", "pix", "zer", "mor")


@pytest.fixture(scope="module")
def scripts():
    """The modules of the benchmark: what computes, and what stores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        patch.delitem(sys.modules, "_common", raising=False)
        import _digits
        import bench_digits_demo

        yield _digits, bench_digits_demo


@pytest.fixture(scope="module")
def demo(scripts, tmp_path_factory):
    """One quick run: its folder, what it printed and what it stored."""
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    digits, bench = scripts
    folder = tmp_path_factory.mktemp("demo")
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        found = digits.run(True, folder / "pictures")
    stored = json.loads(bench.to_json(bench.as_dict(found)))
    return folder, out.getvalue(), err.getvalue(), stored


@pytest.mark.slow
def test_progress_tells_the_seconds(demo):
    lines = demo[2].splitlines()
    assert all(line.startswith("[") and " s] " in line for line in lines)
    assert sum("fitted in" in line for line in lines) == 8


@pytest.mark.slow
def test_tables_hold_what_is_stored(demo):
    _, out, _, stored = demo
    for part in ("summary", "details"):
        assert "\n".join(stored["text"][part]) in out
    lines = stored["text"]["summary"]
    start = next(i for i, line in enumerate(lines) if line.startswith("(a) Probe accuracy"))
    assert lines[start + 1].split() == [*NAMES, "mean", "|", "all", "six"]
    for offset, (method, figures) in enumerate(stored["methods"].items(), start=2):
        note = f" ({figures['note']})" if figures["note"] else ""
        title, numbers = lines[start + offset].split(" .", maxsplit=1)
        assert title.strip() == method + note
        shown = [float(x) for x in f".{numbers}".split() if x != "|"]
        probe = figures["probe"]
        np.testing.assert_allclose(shown, [*probe[:-1], np.mean(probe[:-1]), probe[-1]], atol=6e-4)


@pytest.mark.slow
def test_columns_are_aligned(demo):
    summary, details = demo[3]["text"]["summary"], demo[3]["text"]["details"]
    assert max(map(len, summary + details)) <= 96
    blocks = [block.splitlines() for block in "\n".join(summary).split("\n\n")[1:]]
    assert [block[0][:3] for block in blocks] == ["(a)", "(b)", "(c)"]
    blocks += [block.splitlines()[1:] for block in "\n".join(details).split("\n\n")]
    for block in blocks:
        assert len(block) >= 8 and len({len(line) for line in block[1:]}) == 1


@pytest.mark.slow
def test_best_and_worst_are_picked_by_recall(demo, scripts):
    mean_between = scripts[0].mean_between
    methods = demo[3]["methods"]
    fixed = {name: m for name, m in methods.items() if name.removeprefix("fixed anchor ") in NAMES}
    means = {
        name: mean_between(np.array(m["recall"]["1"], dtype=float)) for name, m in fixed.items()
    }
    notes = {m["note"]: name for name, m in fixed.items() if m["note"]}
    assert means[notes["best"]] == max(means.values())
    assert means[notes["worst"]] == min(means.values())
    assert list(methods)[-1] == f"{notes['best']}, not frozen"
    assert "hindsight" in demo[1]


@pytest.mark.slow
def test_pictures_are_there(demo):
    folder, out, _, stored = demo
    assert set(stored["pictures"]) == {"centrobind.png", "fixed_best.png", "fixed_worst.png"}
    for name in stored["pictures"]:
        picture = folder / "pictures" / name
        assert str(picture) in out
        assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size < 300_000


@pytest.mark.slow
def test_numbers_come_with_machine_and_versions(demo):
    environment = demo[3]["environment"]
    assert environment["cores"] >= 1 and environment["versions"]["torch"]
    assert demo[3]["quick"] is True and demo[3]["n_test"] == 60


def test_without_matplotlib_it_says_so_and_continues(scripts, tmp_path, capsys, monkeypatch):
    digits = scripts[0]
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    results = [digits.Result("CentroBind", np.zeros(7))] * 3
    assert digits.draw(results, None, tmp_path / "none") == []
    assert "skcentrobind[plot]" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_split_is_stratified_and_of_one_seed(scripts):
    load_split = scripts[0].load_split
    split = load_split()
    assert (len(split.X_train), len(split.X_test)) == (1400, 600)
    assert set(np.bincount(split.y_test)) == {60}
    np.testing.assert_array_equal(load_split().y_test, split.y_test)
