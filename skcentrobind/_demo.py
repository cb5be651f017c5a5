"""What `python -m skcentrobind` computes: three questions to every way of binding the digits."""

import os
import platform
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.parallel import Parallel, delayed

from skcentrobind._data.modalities import Modalities
from skcentrobind._estimators.centrobind import CentroBindTransformer
from skcentrobind._estimators.fixed_anchor import FixedAnchorBindTransformer
from skcentrobind.datasets import load_multiple_features
from skcentrobind.metrics import cross_modal_accuracy, probe_accuracy, retrieval_report

KS = (1, 5)
RAW = "raw features"
CENTROBIND = "CentroBind"

_PACKAGES = ("skcentrobind", "scikit-learn", "torch", "skorch", "numpy", "scipy", "pandas")


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


@dataclass
class Result:
    """How one way of binding does on the held-out digits.

    Attributes
    ----------
    method : str
        Its name in the tables.
    probe : ndarray of shape (n_modalities + 1,)
        Accuracy of a logistic regression on each modality, then on all side by side.
    recall : dict of int to ndarray of shape (n_modalities, n_modalities)
        For each k recall@k from the modality of the row to that of the column.
    transfer : ndarray of shape (n_modalities, n_modalities)
        Accuracy of the row's logistic regression on the column's embeddings.
    seconds : float
        What fit took.
    Z_test : Modalities or None
        Embeddings of the held-out digits.
    estimator : estimator or None
        What was fitted.
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
        Told about every step that is done.

    Returns
    -------
    results : list of Result
        Raw features, CentroBind, every fixed anchor, and the best of these when it is not frozen.
    shown : list of Result
        CentroBind, the best and the worst fixed anchor by mean recall@1 on the held-out digits.
    """
    results = [evaluate_raw(split)]
    say("probed the raw features")

    def fit(methods):
        # One process a core: threads would wait for one another on layers as small as these.
        jobs = (delayed(evaluate)(method, estimator, split) for method, estimator in methods)
        for result in Parallel(n_jobs=-1, return_as="generator")(jobs):
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


def evaluate(method, estimator, split):
    """Fit, embed, and answer the three questions."""
    start = time.perf_counter()
    estimator.fit(split.X_train)
    seconds = time.perf_counter() - start
    Z_train = estimator.transform_modalities(split.X_train)
    Z_test = estimator.transform_modalities(split.X_test)
    labelled = Z_train, split.y_train, Z_test, split.y_test
    transfer = cross_modal_accuracy(None, _probe(), *labelled, top_k=[1]).to_numpy()
    together = _probe().fit(np.hstack(Z_train.arrays), split.y_train)
    accuracy = together.score(np.hstack(Z_test.arrays), split.y_test)
    recall = _recalls(Z_test)
    probe = np.append(transfer.diagonal(), accuracy)
    return Result(method, probe, recall, transfer, seconds, Z_test, estimator)


def evaluate_raw(split):
    """Probe the standardised features themselves; there is no common space to search."""
    probe = make_pipeline(StandardScaler(), _probe())
    labelled = split.X_train, split.y_train, split.X_test, split.y_test
    accuracy = probe_accuracy(None, probe, *labelled, top_k=[1])["top-1"]
    return Result(RAW, accuracy.to_numpy())


def mean_between(matrix):
    """Mean over the ordered pairs of different modalities."""
    return float(matrix[~np.eye(len(matrix), dtype=bool)].mean())


def as_dict(results, split, seconds):
    """Everything that was measured, ready for `json.dumps`."""
    return {
        "environment": environment(),
        "quick": split.quick,
        "n_train": len(split.X_train),
        "n_test": len(split.X_test),
        "modalities": list(split.names),
        "seconds": round(seconds, 1),
        "methods": {result.method: _as_dict(result) for result in results},
    }


def _as_dict(result):
    stored = {"note": result.note, "probe": _rounded(result.probe)}
    if result.recall:
        stored["fit_seconds"] = round(result.seconds, 2)
        stored["recall"] = {str(k): _rounded(matrix) for k, matrix in result.recall.items()}
        stored["transfer"] = _rounded(result.transfer)
    return stored


def _probe():
    return LogisticRegression(max_iter=1000)


def _recalls(Z):
    """Recall@k for all ordered pairs; the diagonal, where a modality finds itself, is NaN."""
    report, names = retrieval_report(Z, ks=KS), Z.names
    tables = {k: report[f"recall@{k}"].unstack() for k in KS}
    return {k: table.loc[list(names), list(names)].to_numpy() for k, table in tables.items()}


def _rounded(values):
    """Nested lists of numbers with four decimals, and None where there is none."""
    values = np.round(values, 4)
    return np.where(np.isnan(values), None, values).tolist()


def environment():
    """Machine and versions that the figures come from."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = models[0].split(":")[1].strip() if models else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in _PACKAGES},
    }
