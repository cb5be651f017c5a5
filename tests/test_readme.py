"""The documentation is correct: its code runs, and its numbers are those that were stored."""

import contextlib
import importlib
import io
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import skcentrobind

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.rst"))


def run(source, namespace):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(source, "documentation", "exec"), namespace)
    return out.getvalue()


def readme_blocks():
    return re.findall(r"^```(\w*)\n(.*?)^```", README.read_text(), flags=re.M | re.S)


def page_blocks(page):
    """Languages and dedented bodies of the code blocks of a page of the documentation."""
    block = re.compile(r"^\.\. code-block:: (\w+)\n\n((?:(?: {4}.*)?\n)+)", flags=re.M)
    return [(m[1], textwrap.dedent(m[2]).strip("\n")) for m in block.finditer(page.read_text())]


def numbers(text):
    return [float(x) for x in re.findall(r"\d+\.\d+", text)]


@pytest.mark.slow
def test_the_blocks_of_the_readme_run():
    blocks = readme_blocks()
    sources = [body for language, body in blocks if language == "python"]
    assert len(sources) == 4
    namespace = {"__name__": "readme"}
    printed = [run(source, namespace) for source in sources]

    shown = next(body for language, body in blocks if language == "text")
    assert re.sub(r"\d+\.\d+", "#", printed[0]) == re.sub(r"\d+\.\d+", "#", shown)
    # Another processor may round differently in every step of the training.
    assert numbers(printed[0]) == pytest.approx(numbers(shown), abs=0.03)
    assert printed[1] == "['bind__aggregator', 'bind__temperature']\n"
    assert printed[2] == "(500, 128)\n"
    assert "recall@1" in printed[3]
    assert printed[3].endswith("['temperature']\n")


RUNNABLE = [page for page in PAGES if any(kind == "text" for kind, _ in page_blocks(page))]


def test_pages_with_code_were_found():
    assert {"coming_from_cca", "coming_from_imagebind", "user_guide"} <= {p.stem for p in RUNNABLE}


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_print_what_it_says(page):
    namespace, last = {"__name__": page.stem}, None
    for language, body in page_blocks(page):
        if language == "python":
            last = run(body, namespace)
        else:
            shown = re.sub(r"\d+\.\d+", "#", body)
            assert re.sub(r"\d+\.\d+", "#", last.rstrip("\n")) == shown
            # Another processor may round differently in every step of the training.
            assert numbers(last) == pytest.approx(numbers(body), abs=0.03)


def test_the_blocks_of_the_landing_page_run():
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(40, 3))
    arrays = {f"X_{name}": latent @ rng.normal(size=(3, 5)) for name in ("image", "text", "audio")}
    namespace = {"__name__": "landing", **arrays, "new_texts": arrays["X_text"][:2]}
    namespace["y"] = np.arange(40) % 2
    for _, body in page_blocks(ROOT / "docs" / "index.rst"):
        run(body, namespace)
    assert namespace["best"].shape == (2,)


def test_numbers_are_those_of_the_stored_results():
    script = ROOT / "benchmarks" / "render_readme.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_number_changed_by_hand_is_noticed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    render = importlib.import_module("render_readme")
    copy = tmp_path / "README.md"
    start, end = "<!-- checks:start -->", "<!-- checks:end -->"
    before, block, after = re.split(f"({start}.*?{end})", README.read_text(), flags=re.S)
    number = re.search(r"\d+", block)[0]
    copy.write_text(before + block.replace(number, "123456", 1) + after)
    monkeypatch.setattr(render, "README", copy)
    assert "README.md" in render.check()
    copy.write_text(README.read_text().replace(end, ""))
    with pytest.raises(SystemExit, match=f"must hold {start} and {end} once each"):
        render.check()


def test_links_of_the_readme_lead_somewhere():
    text = README.read_text()
    local = re.findall(r"\]\(((?!http)[^)#]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    assert len(local) >= 5
    assert [path for path in local if not (ROOT / path).exists()] == []


def test_the_citation_has_the_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.*)$", text, re.M)[1] == skcentrobind.__version__
