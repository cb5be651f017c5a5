"""Bind six descriptions of handwritten digits, compare with fixed anchors, print the tables."""

import sys
import textwrap
import time
from dataclasses import dataclass, field

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.parallel import Parallel, delayed

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer, Modalities
from skcentrobind.datasets import load_multiple_features
from skcentrobind.metrics import cross_modal_accuracy, probe_accuracy, retrieval_report

KS = (1, 5)
RAW = "raw features"
CENTROBIND = "CentroBind"

_WIDTH = 96


@dataclass
class Demo:
    """Results of one run of the demo."""

    split: "Split"
    results: list
    text: dict
    files: list
    seconds: float


def run(quick, folder):
    """Compare the methods, print the tables and draw the spaces.

    Parameters
    ----------
    quick : bool
        Whether to take few digits and epochs.
    folder : Path
        Folder of the pictures.

    Returns
    -------
    demo : Demo
        The results.
    """
    clock = _Clock()
    split = load_split(quick)
    clock.say(f"loaded {len(split.X_train)} digits to fit and {len(split.X_test)} to test")
    results, shown = compare(split, clock.say)
    text = {"summary": summarise(results, split), "details": detail(shown, split)}
    print(f"{text['summary']}\n\n{text['details']}")
    files = draw(shown, split, folder)
    clock.say("done")
    return Demo(split, results, text, files, clock.seconds())


@dataclass
class Split:
    """Digits to fit on, and digits held out."""

    X_train: Modalities
    X_test: Modalities
    y_train: np.ndarray
    y_test: np.ndarray
    quick: bool

    @property
    def names(self):
        """Names of the modalities."""
        return self.X_train.names

    def evaluate(self, method, estimator):
        """Fit, embed, and compute the numbers of the three tables."""
        start = time.perf_counter()
        estimator.fit(self.X_train)
        seconds = time.perf_counter() - start
        Z_train = estimator.transform_modalities(self.X_train)
        Z_test = estimator.transform_modalities(self.X_test)
        labelled = Z_train, self.y_train, Z_test, self.y_test
        transfer = cross_modal_accuracy(None, _probe(), *labelled, top_k=[1]).to_numpy()
        together = _probe().fit(np.hstack(Z_train.arrays), self.y_train)
        accuracy = together.score(np.hstack(Z_test.arrays), self.y_test)
        recall = _recalls(Z_test)
        probe = np.append(transfer.diagonal(), accuracy)
        return Result(method, probe, recall, transfer, seconds, Z_test, estimator)

    def evaluate_raw(self):
        """Probe the standardised features themselves; there is no shared space to search."""
        probe = make_pipeline(StandardScaler(), _probe())
        labelled = self.X_train, self.y_train, self.X_test, self.y_test
        accuracy = probe_accuracy(None, probe, *labelled, top_k=[1])["top-1"]
        return Result(RAW, accuracy.to_numpy())


@dataclass
class Result:
    """Results of one method on the held-out digits.

    Attributes
    ----------
    method : str
        Its name in the tables.
    probe : ndarray of shape (n_modalities + 1,)
        Accuracy of a logistic regression on each modality, then on all concatenated.
    recall : dict of int to ndarray of shape (n_modalities, n_modalities)
        For each k recall@k from the modality of the row to that of the column.
    transfer : ndarray of shape (n_modalities, n_modalities)
        Accuracy of the row's logistic regression on the column's embeddings.
    seconds : float
        Time of the fit.
    Z_test : Modalities or None
        Embeddings of the held-out digits.
    estimator : estimator or None
        The fitted estimator.
    note : str
        "best" or "worst" of the fixed anchors, in hindsight.
    """

    method: str
    probe: np.ndarray
    recall: dict = field(default_factory=dict)
    transfer: np.ndarray | None = None
    seconds: float = 0.0
    Z_test: Modalities | None = None
    estimator: object = None
    note: str = ""

    @property
    def title(self):
        """Name with its note."""
        return f"{self.method} ({self.note})" if self.note else self.method


def load_split(quick=False):
    """Split the six digit feature sets 70/30 by class; a quick run takes 200 of the digits."""
    X, y = load_multiple_features(return_X_y=True)
    if quick:
        X, _, y, _ = train_test_split(X, y, train_size=200, stratify=y, random_state=0)
    parts = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    return Split(*parts, quick)


def compare(split, say):
    """Evaluate raw features, CentroBind and fixed anchors, all with default parameters.

    Parameters
    ----------
    split : Split
        The data.
    say : callable
        Called with a message after every step.

    Returns
    -------
    results : list of Result
        Raw features, CentroBind, every fixed anchor, and the best of these when it is not frozen.
    shown : list of Result
        CentroBind, the best and the worst fixed anchor by mean recall@1 on the held-out digits.
    """
    results = [split.evaluate_raw()]
    say("probed the raw features")

    def fit(methods):
        # One process per core: with layers this small, threads would block one another.
        jobs = (delayed(split.evaluate)(method, estimator) for method, estimator in methods)
        for result in Parallel(n_jobs=1 if split.quick else -1, return_as="generator")(jobs):
            results.append(result)
            say(f"{result.method}: fitted in {result.seconds:.1f} s")

    common = {"random_state": 0}
    if split.quick:
        common |= {"max_epochs": 2, "pretrain_epochs": 1}
    fixed = [
        (f"fixed anchor {name}", FixedAnchorBindTransformer(anchor=name, **common))
        for name in split.names
    ]
    fit([(CENTROBIND, CentroBindTransformer(**common)), *fixed])
    order = sorted(results[2:], key=lambda result: mean_between(result.recall[1]))
    worst, best = order[0], order[-1]
    worst.note, best.note = "worst", "best"
    fit([(f"{best.method}, not frozen", clone(best.estimator).set_params(freeze_anchor=False))])
    return results, [results[1], best, worst]


def mean_between(matrix):
    """Return the mean over the ordered pairs of different modalities."""
    return float(matrix[~np.eye(len(matrix), dtype=bool)].mean())


def _probe():
    return LogisticRegression(max_iter=1000)


def _recalls(Z):
    """Return recall@k for all ordered pairs, NaN on the diagonal."""
    report, names = retrieval_report(Z, ks=KS), Z.names
    tables = {k: report[f"recall@{k}"].unstack() for k in KS}
    return {k: table.loc[list(names), list(names)].to_numpy() for k, table in tables.items()}


class _Clock:
    """Progress lines with the seconds since the start."""

    def __init__(self):
        self.start = time.perf_counter()

    def seconds(self):
        return time.perf_counter() - self.start

    def say(self, message):
        print(f"[{self.seconds():5.1f} s] {message}", file=sys.stderr, flush=True)


def summarise(results, split):
    """Write the three tables, one line per method.

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
    retrieval = {f"recall@{k}": [result.recall[k] for result in binders] for k in KS}
    chance = "      ".join(_share(k / n_test, 3) for k in KS)
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
    """Write tables (b) and (c) pair by pair, with the methods side by side."""
    lines = []
    for k in KS:
        lines += [f"recall@{k}, from the row's modality to the column's"]
        lines += [*_matrices([r.recall[k] for r in shown], shown, split.names), ""]
    lines += ["accuracy, trained in the row's modality, tested in the column's"]
    lines += _matrices([r.transfer for r in shown], shown, split.names)
    return "\n".join(lines)


def _share(value, digits=2):
    """Format a share without its leading zero: .38, 1.0 for one, - for none."""
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
    """Return one line per method: means over all ordered pairs of different modalities."""
    n_modalities, width = len(binders[0].transfer), _title_width(binders)
    head = f"mean of {n_modalities * (n_modalities - 1)} pairs"
    lines = [f"{head:<{width}}" + "".join(f"{name:>10}" for name in columns)]
    for i, result in enumerate(binders):
        means = (mean_between(matrices[i]) for matrices in columns.values())
        lines.append(f"{result.title:<{width}}" + "".join(f"{_share(m, 3):>10}" for m in means))
    return lines


def _matrices(matrices, shown, names):
    """Put matrices side by side, each under the name of its method."""
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
        Folder of the pictures; created if it does not exist.

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
        recall = mean_between(result.recall[1])
        display.ax_.set_title(f"{result.title}: mean recall@1 {_share(recall, 3)}")
        files.append(folder / f"{stem}.png")
        figure.savefig(files[-1], dpi=100)
        print(f"  {files[-1]}", flush=True)
    return files
