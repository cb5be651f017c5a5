"""Bind real data and print the tables: `python -m skcentrobind`."""

import argparse
import hashlib
import json
import re
import sys
import textwrap
import time
from pathlib import Path

import numpy as np

from skcentrobind import _demo

_WIDTH = 96


def main(argv=None):
    """Run the demo and return its exit status."""
    options = _parse(argv)
    clock = _Clock()
    split = _demo.load_split(options.quick)
    clock.say(f"loaded {len(split.X_train)} digits to fit and {len(split.X_test)} to test")
    results, shown = _demo.compare(split, clock.say)
    text = {"summary": summarise(results, split), "details": detail(shown, split)}
    print(f"{text['summary']}\n\n{text['details']}")
    files = draw(shown, split, options.output_dir)
    clock.say("done")
    if options.json:
        stored = _demo.as_dict(results, split, clock.seconds())
        stored["text"] = {part: lines.splitlines() for part, lines in text.items()}
        stored["pictures"] = {file.name: _digest(file) for file in files}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(_to_json(stored))
        print(f"Stored the numbers in {options.json}")
    return 0


def _parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m skcentrobind",
        description="Bind six descriptions of handwritten digits, compare CentroBind with "
        "fixed-anchor binding on held-out digits, print three tables and draw the spaces.",
    )
    parser.add_argument(
        "--output-dir", type=Path, default=Path("skcentrobind-demo"), help="where pictures go"
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="store all figures there, too")
    parser.add_argument(
        "--quick", action="store_true", help="few digits and epochs: does it run? (no results)"
    )
    return parser.parse_args(argv)


class _Clock:
    """Progress lines with the seconds since the start."""

    def __init__(self):
        self.start = time.perf_counter()

    def seconds(self):
        return time.perf_counter() - self.start

    def say(self, message):
        print(f"[{self.seconds():5.1f} s] {message}", file=sys.stderr, flush=True)


def summarise(results, split):
    """Write the three tables, one line a method.

    Parameters
    ----------
    results : list of Result
        Raw features first, then CentroBind and the fixed anchors.
    split : Split
        The data.

    Returns
    -------
    text : str
        Lines of at most about 96 characters.
    """
    n_test, names, binders = len(split.X_test), split.names, results[1:]
    quick = (
        " QUICK RUN: few digits, few epochs, so the numbers mean nothing." if split.quick else ""
    )
    intro = (
        f"Handwritten digits in six feature sets: {', '.join(names)}. {len(split.X_train)} digits "
        f"to fit, {n_test} held out, one split, default parameters, random_state=0. No labels in "
        "fit. The best and the worst fixed anchor are picked by recall@1 on the held-out digits "
        "themselves: a choice with hindsight, in favour of the baseline. Fixed anchors are frozen "
        "after pre-training; one more row lets the best one learn along. One standard error of a "
        f"share is at most {0.5 / n_test**0.5:.3f}.{quick}"
    )
    retrieval = {f"recall@{k}": [result.recall[k] for result in binders] for k in _demo.KS}
    chance = "      ".join(_share(k / n_test, 3) for k in _demo.KS)
    lines = [
        *textwrap.wrap(intro, _WIDTH),
        "",
        "(a) Probe accuracy: logistic regression on one modality's embeddings, or on all six",
        *_probe_table(results, names),
        "",
        f"(b) Retrieval: a digit in one modality looks for itself among {n_test} in another",
        *_means_table(retrieval, binders),
        f"{'chance':<{_title_width(binders)}}      {chance}",
        "",
        "(c) Zero-shot: logistic regression trained in one modality, tested in another",
        *_means_table({"accuracy": [result.transfer for result in binders]}, binders),
    ]
    return "\n".join(lines)


def detail(shown, split):
    """Write tables (b) and (c) pair by pair, the methods side by side."""
    lines = []
    for k in _demo.KS:
        lines += [f"recall@{k}, from the row's modality to the column's"]
        lines += [*_matrices([r.recall[k] for r in shown], shown, split.names), ""]
    lines += ["accuracy, trained in the row's modality, tested in the column's"]
    lines += _matrices([r.transfer for r in shown], shown, split.names)
    return "\n".join(lines)


def _share(value, digits=2):
    """A share without its leading zero: .38, 1.0 for one, - for none."""
    if np.isnan(value):
        return "-"
    text = f"{value:.{digits}f}"
    return text.removeprefix("0") if value < 1 and text.startswith("0") else text[: digits + 1]


def _title_width(results):
    return max(len(result.title) for result in results)


def _probe_table(results, names):
    width = _title_width(results)
    lines = [" " * width + "".join(f"{name:>7}" for name in (*names, "mean")) + "  | all six"]
    for result in results:
        single, together = result.probe[:-1], result.probe[-1]
        cells = "".join(f"{_share(value, 3):>7}" for value in (*single, single.mean()))
        lines.append(f"{result.title:<{width}}{cells}  | {_share(together, 3):>7}")
    return lines


def _means_table(columns, binders):
    """One line a method: means over all ordered pairs of different modalities."""
    n_modalities, width = len(binders[0].transfer), _title_width(binders)
    head = f"mean of {n_modalities * (n_modalities - 1)} pairs"
    lines = [f"{head:<{width}}" + "".join(f"{name:>10}" for name in columns)]
    for i, result in enumerate(binders):
        means = (_demo.mean_between(matrices[i]) for matrices in columns.values())
        lines.append(f"{result.title:<{width}}" + "".join(f"{_share(m, 3):>10}" for m in means))
    return lines


def _matrices(matrices, shown, names):
    """Matrices side by side, each under the name of its method."""
    label = max(map(len, names)) + 1
    block = label + 4 * len(names)
    lines = ["   ".join(f"{result.title:<{block}}" for result in shown).rstrip()]
    head = " " * label + "".join(f"{name:>4}" for name in names)
    lines.append("   ".join([head] * len(matrices)))
    for i, name in enumerate(names):
        rows = [
            f"{name:<{label}}" + "".join(f"{_share(value):>4}" for value in matrix[i])
            for matrix in matrices
        ]
        lines.append("   ".join(rows))
    return lines


def draw(shown, split, folder):
    """Draw the shared space of some methods, one PNG each.

    Parameters
    ----------
    shown : list of Result
        CentroBind, the best and the worst fixed anchor.
    split : Split
        The data.
    folder : Path
        Where the pictures go; made if need be.

    Returns
    -------
    files : list of Path
        Empty without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("\nNo pictures: matplotlib is missing. pip install 'skcentrobind[plot]' adds them.")
        return []
    from skcentrobind.plotting import EmbeddingDisplay

    folder.mkdir(parents=True, exist_ok=True)
    n_drawn = min(120, len(split.X_test))
    rows = np.random.RandomState(0).choice(len(split.X_test), n_drawn, replace=False)
    files = []
    print(f"\nPictures of {n_drawn} held-out digits, in all modalities:")
    for result, stem in zip(shown, ("centrobind", "fixed_best", "fixed_worst"), strict=True):
        figure = Figure(figsize=(6.4, 5.2), layout="constrained")
        display = EmbeddingDisplay.from_embeddings(
            result.Z_test[rows],
            split.y_test[rows],
            method="pca" if split.quick else "tsne",
            random_state=0,
            ax=figure.subplots(),
        )
        recall = _demo.mean_between(result.recall[1])
        display.ax_.set_title(f"{result.title}: mean recall@1 {_share(recall, 3)}")
        files.append(folder / f"{stem}.png")
        figure.savefig(files[-1], dpi=100)
        print(f"  {files[-1]}", flush=True)
    return files


def _to_json(stored):
    """JSON with one line for each row of numbers."""
    text = json.dumps(stored, indent=1)
    row = re.compile(r"\[\s+((?:(?:-?[\d.e-]+|null),?\s+)+)\]")
    return row.sub(lambda match: "[" + " ".join(match[1].split()) + "]", text) + "\n"


def _digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
