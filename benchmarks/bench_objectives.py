"""How do the objectives compare by default, and where does training lower what the start had?

Every estimator is fitted without any argument but the seed, so that all choose the same closed-form
start and then train as long as held-out rows gain; the centroid is also replaced by the centroid of
the other modalities. Below, the same start is trained for all epochs, by the default loss and,
where that adds an alignment term, by the published one. Judged by the mean reciprocal rank of
retrieval between pairs on a held-out quarter of the training rows; Symile is not meant for pairs.
"""

import numpy as np
from _report import Table, number, spread
from _runs import Benchmark, main
from bench_ablation import TASKS as SIZES
from bench_ablation import Task, split

from skcentrobind import (
    CentroBindTransformer,
    GramianBindTransformer,
    PairwiseBindTransformer,
    PrincipalBindTransformer,
    SymileBindTransformer,
)
from skcentrobind.metrics import mean_reciprocal_rank

METHODS = {
    "centroid": (CentroBindTransformer, {}),
    "leave-one-out": (CentroBindTransformer, {"aggregator": "leave_one_out"}),
    "pairwise": (PairwiseBindTransformer, {}),
    "principal": (PrincipalBindTransformer, {}),
    "gramian": (GramianBindTransformer, {}),
    "symile": (SymileBindTransformer, {}),
}
SIGN_BLIND = ("principal", "gramian")
START, ALL, PUBLISHED = "the start alone", "{}, all epochs", "{}, all epochs, published loss"
TASKS = ("150 digits", "2 modalities", "windows", "brca", "lgg", "kipan")
SETTINGS = {"n_train": 1500, "n_test": 1000, "validation": 0.25, "device": "cpu"}
SMOKE_SETTINGS = {**SETTINGS, "n_train": 80, "n_test": 40}


def one_draw(settings, seed, task):
    X_fit, X_held_out = split(SIZES.get(task, Task(task)), settings, seed)
    common = {"random_state": seed, "device": settings["device"]}

    def score(bind):
        return round(float(mean_reciprocal_rank(bind.transform_modalities(X_held_out))), 5)

    found, epochs = {}, {}
    for name, (cls, params) in METHODS.items():
        bind = cls(**common, **params).fit(X_fit)
        found[name], epochs[name] = score(bind), bind.n_iter_
        named = {**bind._plan.as_parameters(), **common, **params}
        if START not in found:
            found[START] = score(cls(**named, max_epochs=0).fit(X_fit))
        found[ALL.format(name)] = score(cls(**named, max_epochs="full").fit(X_fit))
        if name in SIGN_BLIND:
            published = cls(**named, max_epochs="full", regularizers=None).fit(X_fit)
            found[PUBLISHED.format(name)] = score(published)
    return {"mrr": found, "epochs": epochs}


def report(results):
    rows = [START, *METHODS, *(ALL.format(name) for name in METHODS)]
    rows += [PUBLISHED.format(name) for name in SIGN_BLIND]
    cells = [
        [row, *(spread([run["mrr"][row] for run in runs.values()]) for runs in results.values())]
        for row in rows
    ]
    n_splits = len(next(iter(results.values())))
    title = f"Mean reciprocal rank of held-out rows, {n_splits} splits"
    yield Table(title, ["default of", *results], cells, "mrr")
    gaps = []
    for other in ("leave-one-out", "pairwise"):
        differences = [
            np.mean([run["mrr"][other] - run["mrr"]["centroid"] for run in runs.values()])
            for runs in results.values()
        ]
        mean = number(float(np.mean(differences)), sign=True)
        gaps.append([other, *(number(d, sign=True) for d in differences), mean])
    yield Table("Above the centroid", ["default of", *results, "mean"], gaps, "anchors")


BENCHMARK = Benchmark(
    "bench_objectives",
    one_draw,
    {task: {"task": task} for task in TASKS},
    3,
    report,
    settings=SETTINGS,
    smoke_settings=SMOKE_SETTINGS,
    smoke_seeds=1,
    smoke_cases={"2 modalities": {"task": "2 modalities"}},
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
