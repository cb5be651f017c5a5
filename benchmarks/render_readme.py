"""Write the stored results into README.md and docs/, so that no number there is typed by hand.

    python benchmarks/bench_demo.py   # bench_digits_demo and the other benchmarks, then
    python benchmarks/render_readme.py --run-example             # first run README's own example
    python benchmarks/render_readme.py --check                   # is everything up to date?

Between the markers `<!-- NAME:start -->` and `<!-- NAME:end -->` the README holds what this script
makes of results/NAME's file; `docs/rendered/` holds the same for the documentation, and
`docs/images/` the pictures that the demo drew.
"""

import argparse
import contextlib
import csv
import hashlib
import io
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
from _common import RESULTS, machine, store
from _report import series, spread

ROOT = Path(__file__).resolve().parent.parent
README, DOCS = ROOT / "README.md", ROOT / "docs"
LARGEST_PICTURE = 300_000  # bytes


def load(name):
    return json.loads((RESULTS / f"{name}.json").read_text())


def fenced(lines):
    return ["```text", *lines, "```"]


def table(rows):
    """Make a Markdown table; the first row is the head."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


def hero_block(demo):
    n_seen, n_unseen = demo["n_seen"], demo["n_unseen"]
    return [
        '<img src="docs/images/emojis.png" width="700" alt="Queries above the emojis they find">',
        "",
        "*Queries in free text find pictures of emojis. Names and pictures of "
        f"{n_seen:,} were bound; the {n_unseen} on the right were never seen. `make demo` draws "
        "this. The queries were fixed before the space was fitted.*",
    ]


def demo_block(demo):
    return [
        *fenced(demo["text"]["queries"]),
        "",
        *fenced(demo["text"]["tables"]),
        "",
        f"{demo['seconds']:.0f} s on {machine(demo['environment'])}. All numbers: "
        "`benchmarks/results/demo.json`.",
    ]


#: Rows of the README from bench_emoji; of the fixed anchors the best in hindsight.
SHOWN = ("CentroBind, default", "CentroBind, all epochs", "the start alone", "pairwise, all epochs")
SHOWN += ("CentroBind, random start", "MCCA", "GCCA", "KGCCA")
ANCHORS = {
    "frozen": "best fixed anchor, frozen",
    "learning": "best fixed anchor, learning along",
    "random start, frozen": "best fixed anchor, random start, frozen",
    "random start, learning": "best fixed anchor, random start, learning along",
}


def emojis_block(bench):
    (runs,) = bench["results"].values()
    columns = ["recall@1", "recall@10", "mrr", "category, across"]
    methods = {name: name for name in SHOWN if name in next(iter(runs.values()))}
    for ending, title in ANCHORS.items():
        fixed = [n for n in next(iter(runs.values())) if re.fullmatch(rf"fixed \w+, {ending}", n)]
        best = max(fixed, key=lambda name: np.mean(series(runs, name, "recall@1")))
        methods[best] = f"{title}: {best.split(',')[0].removeprefix('fixed ')}"
    order = sorted(methods, key=lambda name: -np.mean(series(runs, name, "recall@1")))
    rows = [["", *columns]]
    rows += [[methods[m], *(spread(series(runs, m, c)) for c in columns)] for m in order]
    return [
        *table(rows),
        "",
        f"{len(runs)} splits, mean and standard deviation on 400 unseen emojis. Category: accuracy "
        "of logistic regressions across modalities. From `benchmarks/bench_emoji.py`.",
    ]


def digits_block(demo):
    centrobind, fixed = (f"docs/images/{name}.png" for name in ("centrobind", "fixed_best"))
    return [
        *fenced(demo["text"]["summary"]),
        "",
        "<p>",
        f'<img src="{centrobind}" width="49%" alt="t-SNE of the space that CentroBind learned">',
        f'<img src="{fixed}" width="49%" alt="t-SNE of the space of the best fixed anchor">',
        "</p>",
        "",
        "<details><summary>The same, pair by pair</summary>",
        "",
        *fenced(demo["text"]["details"]),
        "",
        "</details>",
        "",
        f"{demo['seconds']:.0f} s on {machine(demo['environment'])}. All numbers: "
        "`benchmarks/results/digits_demo.json`.",
    ]


def speed_rows(bench):
    head = ["threads", "batch", "hand-written loop", "skorch, default", "skcentrobind"]
    head += ["faster than by hand", "than skorch"]
    rows = [head]
    for fit in bench["fit"]:
        seconds = [fit["seconds"][k] for k in ("hand-written", "skorch default", "skcentrobind")]
        ratios = [fit["ratio_hand_written"], fit["ratio_skorch_default"]]
        rows.append(
            [fit["threads"], fit["batch_size"]]
            + [f"{s:.2f} s" for s in seconds]
            + [f"{r:.1f} x" for r in ratios]
        )
    return rows


def loss_rows(bench):
    rows = [
        ["threads", "batch", "by hand", "skcentrobind", "faster by", "memory by hand", "memory"]
    ]
    for loss in bench["loss"]:
        ms, mb = loss["milliseconds"], loss["memory_MB"]
        rows.append(
            [loss["threads"], loss["batch_size"]]
            + [f"{ms[k]:.2f} ms" for k in ("hand-written", "skcentrobind")]
            + [f"{loss['ratio']:.1f} x"]
            + [f"{mb[k]:.1f} MB" for k in ("hand-written", "skcentrobind")]
        )
    return rows


def speed_note(bench):
    worst = max(fit["loss_relative_difference"] for fit in bench["fit"])
    return (
        f"{bench['epochs']} epochs, medians of {bench['repeats']} runs in turns; the ratios are "
        "medians of the pairs. The final losses agree to a relative difference of at most "
        f"{worst:.0e}. {machine(bench['environment'])}."
    )


def speed_block(bench):
    return [
        *table(speed_rows(bench)),
        "",
        f"{speed_note(bench)} From `benchmarks/bench_fit.py`.",
    ]


def checks_rows(checks):
    rows = [["estimator", "`output`", "checks", "passed", "failed", "skipped"]]
    for run in checks["runs"]:
        counts = [run[k] for k in ("checks", "passed", "failed", "skipped")]
        rows.append([f"`{run['estimator']}`", run["output"], *counts])
    return rows


def checks_block(checks):
    return [
        *table(checks_rows(checks)),
        "",
        "Default parameters, no check is expected to fail, "
        f"scikit-learn {checks['environment']['versions']['scikit-learn']}. "
        "From `benchmarks/count_checks.py`.",
    ]


def example_block(example):
    return fenced(example["output"])


#: Marker in the README -> (results file, what makes the block).
BLOCKS = {
    "example": ("readme_example", example_block),
    "hero": ("demo", hero_block),
    "demo": ("demo", demo_block),
    "emojis": ("bench_emoji", emojis_block),
    "digits": ("digits_demo", digits_block),
    "checks": ("check_estimator", checks_block),
    "speed": ("bench_fit", speed_block),
}


def rendered_readme(text):
    """Return the README with all blocks rendered again."""
    for marker, (name, block) in BLOCKS.items():
        start, end = f"<!-- {marker}:start -->", f"<!-- {marker}:end -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise SystemExit(f"README.md must hold {start} and {end} once each.")
        before, rest = text.split(start)
        after = rest.split(end)[1]
        text = before + "\n".join([start, *block(load(name)), end]) + after
    return text


def rendered_docs():
    """Return path -> text of the files that the documentation includes."""
    demo, digits = load("demo"), load("digits_demo")
    bench, checks = load("bench_fit"), load("check_estimator")
    texts = {
        "emojis_queries.txt": "\n".join(demo["text"]["queries"]),
        "emojis_tables.txt": "\n".join(demo["text"]["tables"]),
        "emojis_machine.txt": f"{demo['seconds']:.0f} s on {machine(demo['environment'])}.",
        "demo_summary.txt": "\n".join(digits["text"]["summary"]),
        "demo_details.txt": "\n".join(digits["text"]["details"]),
        "demo_machine.txt": f"{digits['seconds']:.0f} s on {machine(digits['environment'])}.",
        "speed_note.txt": speed_note(bench),
        "example.txt": "\n".join(load("readme_example")["output"]),
        "fit_speed.csv": _csv(speed_rows(bench)),
        "loss_speed.csv": _csv(loss_rows(bench)),
        "checks.csv": _csv([[str(c).strip("`") for c in row] for row in checks_rows(checks)]),
    }
    return {DOCS / "rendered" / name: text.rstrip("\n") + "\n" for name, text in texts.items()}


def _csv(rows):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def stale_pictures():
    """List pictures in docs/images that are not those of the stored runs, or too large."""
    stale = []
    pictures = load("demo")["pictures"] | load("digits_demo")["pictures"]
    for name, digest in pictures.items():
        file = DOCS / "images" / name
        data = file.read_bytes() if file.exists() else b""
        if hashlib.sha256(data).hexdigest() != digest or len(data) > LARGEST_PICTURE:
            stale.append(file)
    return stale


def python_blocks(text):
    """Return the sources of the Python blocks of a Markdown text."""
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def run_example():
    """Run the first Python block of the README and store what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(python_blocks(README.read_text())[0], {"__name__": "readme"})
    store("readme_example", {"output": out.getvalue().splitlines()})


def check():
    """Return what is out of date."""
    text = README.read_text()
    faults = ["README.md"] if text != rendered_readme(text) else []
    for file, content in rendered_docs().items():
        if not file.exists() or file.read_text() != content:
            faults.append(str(file.relative_to(ROOT)))
    return faults + [str(file.relative_to(ROOT)) for file in stale_pictures()]


def write(pictures):
    README.write_text(rendered_readme(README.read_text()))
    for file, content in rendered_docs().items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    for file in stale_pictures():
        file.parent.mkdir(parents=True, exist_ok=True)
        if (pictures / file.name).exists():
            shutil.copy(pictures / file.name, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if out of date")
    parser.add_argument("--run-example", action="store_true", help="run the README's example first")
    parser.add_argument(
        "--pictures", type=Path, default=ROOT / "skcentrobind-demo", help="the demo's folder"
    )
    options = parser.parse_args()
    if options.run_example:
        run_example()
    if not options.check:
        write(options.pictures)
    faults = check()
    if faults:
        print(f"Out of date: {', '.join(faults)}. Run python benchmarks/render_readme.py, after")
        print("python benchmarks/bench_demo.py if it is a picture.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
