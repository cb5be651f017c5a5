"""What the docstrings of the estimators share is what `tools/render_docstrings.py` writes."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from skcentrobind._public import estimator_modules

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tools" / "render_docstrings.py"


@pytest.fixture
def render(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return importlib.reload(importlib.import_module("render_docstrings"))


@pytest.fixture
def copied(render, monkeypatch, tmp_path):
    """The script at work on copies of the files."""
    monkeypatch.setattr(render, "ROOT", tmp_path)
    for path in (ROOT / "skcentrobind" / "_estimators").glob("*.py"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    return tmp_path / "skcentrobind" / "_estimators"


def names_of(changed):
    return sorted(name for names, _ in changed.values() for name in names)


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_docstrings_are_up_to_date():
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", ["PARAMETERS", "ATTRIBUTES"])
def test_a_change_of_the_shared_text_reaches_every_estimator(render, copied, monkeypatch, block):
    text = getattr(render, block)
    monkeypatch.setattr(render, block, text.replace("Width of", "Size of", 1))
    assert names_of(render.outdated()) == sorted(estimator_modules())
    assert render.main([]) == 0
    assert render.outdated() == {}
    assert all(
        "        Size of the shared space."
        in (copied / f"{module.rpartition('.')[2]}.py").read_text()
        for module in estimator_modules().values()
    )


def test_a_shared_entry_changed_by_hand_is_noticed(render, copied, capsys):
    change(copied / "symile.py", "Patience of early stopping", "Patience")
    assert render.main(["--check"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "skcentrobind/_estimators/symile.py: the docstring of SymileBindTransformer is out of date"
    ]


def test_entries_of_the_class_are_kept_and_take_the_default_of_the_signature(render, copied):
    path = copied / "fixed_anchor.py"
    change(path, "as in UniBind.", "like UniBind.")
    assert render.outdated() == {}
    change(path, '        direction="both",\n', '        direction="to_anchor",\n')
    change(path, '        init="random",\n', '        init="gcca",\n')
    ((names, new),) = render.outdated().values()
    assert names == ["FixedAnchorBindTransformer"]
    assert '    direction : {"both", "from_anchor", "to_anchor"}, default="to_anchor"\n' in new
    assert '    init : {"random", "gcca"}, default="gcca"\n' in new
    assert "like UniBind." in new


def test_paragraphs_that_a_class_adds(render, copied, monkeypatch):
    monkeypatch.setattr(render, "ADDED", {"PairwiseBindTransformer": {"device": "Any of them."}})
    changed = render.outdated()
    assert names_of(changed) == ["GramianBindTransformer", "PairwiseBindTransformer"]
    texts = {name: new for (name,), new in changed.values()}
    assert '"mps", ...\n\n        Any of them.\n    precision :' in texts["PairwiseBindTransformer"]
    assert "volume 0." not in texts["GramianBindTransformer"]


def test_a_new_estimator_needs_only_the_headings(render, copied):
    path = copied / "symile.py"
    lines = path.read_text().split("\n")
    parameters, attributes, after = map(
        lines.index, ["    Parameters", "    Attributes", "    See Also"]
    )
    headings = [*lines[: parameters + 2], "", *lines[attributes : attributes + 2], ""]
    path.write_text("\n".join([*headings, *lines[after:]]))
    ((_, new),) = render.outdated().values()
    assert new == "\n".join(lines)


def test_what_a_class_does_not_describe_is_an_error(render, copied):
    change(
        copied / "principal.py", "        alignment_temperature=0.05,", "        sharpness=0.05,"
    )
    with pytest.raises(SystemExit, match="PrincipalBindTransformer must describe sharpness"):
        render.outdated()
    change(copied / "symile.py", "    Attributes\n", "    Other\n")
    change(
        copied / "principal.py", "        sharpness=0.05,", "        alignment_temperature=0.05,"
    )
    with pytest.raises(SystemExit, match="SymileBindTransformer needs a section Attributes"):
        render.outdated()


def test_text_for_what_no_estimator_has_is_an_error(render, monkeypatch):
    monkeypatch.setattr(render, "PARAMETERS", render.PARAMETERS + "colour : str\n    Red.\n")
    with pytest.raises(SystemExit, match=r"PARAMETERS holds \['colour'\]"):
        render.outdated()
