"""What does each default setting contribute, and which alternatives were tried?

One change at a time from settings that are all named, residual encoders with the formula for the
shrinkage and all epochs; the default chooses among these for itself. On seven tasks; few of them on
a large one. Of the training rows a quarter, or 1,000, are held out, and the mean reciprocal rank
among them is reported: the test rows of the tasks stay unseen, and no labels are used. Differences
are paired over the splits.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from _common import NAMED
from _method_data import load
from _methods import METHODS, embed
from _report import Table, number
from _runs import Benchmark, main
from sklearn.model_selection import ParameterGrid, train_test_split
from skorch.callbacks import LRScheduler

from skcentrobind import CentroBindTransformer, Modalities
from skcentrobind.metrics import mean_reciprocal_rank

#: The five feature sets, and twenty modalities made of them: every twentieth pixel or correlation.
DIGITS = "digits five"
PARTS = 20


def _all(X):
    return X


def _two(X):
    return X[["fou", "pix"]]


def _twenty(X):
    columns = np.hstack([X["pix"], X["fac"]])
    return Modalities({f"part {i}": columns[:, i::PARTS] for i in range(PARTS)})


@dataclass(frozen=True)
class Task:
    """One column of the table.

    Attributes
    ----------
    data : str
        Task of _method_data.
    take : callable
        Selects its modalities.
    n_rows : int or None
        Number of rows to fit.
    n_train : int or None
        Rows to draw, where the settings have too few.
    variants : tuple of str or None
        Variants to run, None for all.
    """

    data: str
    take: Callable = _all
    n_rows: int | None = None
    n_train: int | None = None
    variants: tuple | None = None


SETTINGS = {"n_train": 1500, "n_test": 1000, "validation": 0.25, "device": "cpu"}
SMOKE_SETTINGS = {**SETTINGS, "n_train": 80, "n_test": 40, "max_epochs": 1}
#: What is named where a variant leaves it: the defaults before they were chosen.
FULL = {**NAMED, "max_epochs": "full"}
#: Variant -> parameters that differ from FULL and the defaults; "schedule" is that of the learning
#: rate.
VARIANTS = {
    "nothing chosen": {},
    "default: chooses for itself": {"encoder": "auto", "shrinkage": "auto", "max_epochs": "auto"},
    "features chosen, all epochs": {"encoder": "auto", "shrinkage": "auto"},
    "kernel encoder, width 0.3": {"encoder": "kernel", "gamma": 0.3},
    "shrinkage 0.1": {"shrinkage": 0.1},
    "shrinkage 0.5": {"shrinkage": 0.5},
    "random start, as in the paper": {"init": "random"},
    "the start alone: no training": {"max_epochs": 0},
    "the paper's encoder: mlp": {"encoder": "mlp"},
    "linear encoder": {"encoder": "linear"},
    "hidden layer of 1024": {"hidden_layer_sizes": [1024]},
    "two hidden layers": {"hidden_layer_sizes": [256, 256]},
    "32 components": {"n_components": 32},
    "64 components": {"n_components": 64},
    "128 components": {"n_components": 128},
    "256 components": {"n_components": 256},
    "temperature 0.1": {"temperature": 0.1},
    "temperature 0.3, the paper's": {"temperature": 0.3},
    "learned temperature": {"learn_temperature": True},
    "no augmentation": {"augmentation": None},
    "masking": {"augmentation": "mask"},
    "noise of 0.6": {"augmentation_scale": 0.6},
    "no standardisation": {"standardize": False},
    "whitening": {"standardize": "whiten"},
    "leave-one-out anchor": {"aggregator": "leave_one_out"},
    "learned anchor": {"aggregator": "learned"},
    "detached anchor": {"detach_anchor": True},
    "uniformity 0.5": {"regularizers": {"uniformity": 0.5}},
    "second head of 32": {"n_specific_components": 32},
    "batches of 64": {"batch_size": 64},
    "batches of 1024": {"batch_size": 1024},
    "weight decay 0.1": {"weight_decay": 0.1},
    "half as many epochs": {"max_epochs": 25},
    "twice as many epochs": {"max_epochs": 100},
    "learning rate 3e-3, 25 epochs": {"learning_rate": 3e-3, "max_epochs": 25},
    "the same, falling as a cosine": {
        "learning_rate": 3e-3,
        "max_epochs": 25,
        "schedule": "cosine",
    },
}
DEFAULT, CHOSEN, *_ = VARIANTS
#: The alternative, with its best setting on the very rows that judge it.
PEER = "instead: MCCA, its best setting"
PEER_GRID = {"shrinkage": [0.01, 0.1, 0.5], "standardize": [True, False]}
VARIANTS[PEER] = {"peer": "MCCA"}


TASKS = {
    "digits": Task(DIGITS),
    "150 digits": Task(DIGITS, n_rows=150),
    "30 digits": Task(DIGITS, n_rows=30),
    "2 modalities": Task(DIGITS, _two),
    "20 modalities": Task(DIGITS, _twenty, n_rows=300),
    "emoji": Task("emoji"),
    "Indian Pines": Task("indian pines"),
    "100,000 rows": Task(
        "gmm even",
        n_rows=100_000,
        n_train=102_000,
        variants=(DEFAULT, CHOSEN, "random start, as in the paper", "linear encoder", PEER),
    ),
}


def best_of_peer(name, X_fit, X_held_out):
    """Return the highest mean reciprocal rank over settings and widths, and seconds per fit."""
    method, best, start = METHODS[name], 0.0, time.process_time()
    grid = ParameterGrid(PEER_GRID)
    for setting in grid:
        model = method.make({}, 0, **setting).fit(X_fit)
        for width in method.widths:
            best = max(best, mean_reciprocal_rank(embed(model, X_held_out, width)))
    return best, (time.process_time() - start) / len(grid)


def split(task, settings, seed):
    """Return the rows of a task to fit, and held-out ones."""
    n_train = task.n_train or settings["n_train"]
    X = task.take(load(task.data, seed, n_train, settings["n_test"]).X_train)
    held_out = 1000 if task.n_train else settings["validation"]
    X_fit, X_held_out = train_test_split(X, test_size=held_out, random_state=seed)
    return X_fit[: task.n_rows], X_held_out


def one_draw(settings, seed, task, params):
    X_fit, X_held_out = split(TASKS[task], settings, seed)
    if "peer" in params:
        mrr, seconds = best_of_peer(params["peer"], X_fit, X_held_out)
        return {"mrr": round(mrr, 5), "fit seconds": round(seconds, 2)}
    options = {"device": settings["device"], **FULL, **params}
    if "max_epochs" in settings:
        options["max_epochs"] = settings["max_epochs"]
    schedule = options.pop("schedule", None)
    bind = CentroBindTransformer(**options, random_state=seed)
    if schedule == "cosine":
        falls = LRScheduler("CosineAnnealingLR", T_max=options["max_epochs"])
        bind.set_params(callbacks=[falls])
    start = time.process_time()
    bind.fit(X_fit)
    seconds = time.process_time() - start
    Z = bind.transform_modalities(X_held_out)
    return {"mrr": round(float(mean_reciprocal_rank(Z)), 5), "fit seconds": round(seconds, 2)}


def report(results):
    tasks = [task for task in TASKS if f"{task}/{DEFAULT}" in results]
    rows = []
    for variant in VARIANTS:
        cells, times = [], []
        for task in tasks:
            runs, base = (results.get(f"{task}/{v}", {}) for v in (variant, DEFAULT))
            shared = [seed for seed in runs if seed in base]
            if not shared:
                cells.append("")
                continue
            ours, theirs = ([r[s]["mrr"] for s in shared] for r in (runs, base))
            mean = np.mean(np.subtract(ours, theirs))
            cells.append(number(np.mean(ours)) if variant == DEFAULT else number(mean, sign=True))
            times += [runs[s]["fit seconds"] / base[s]["fit seconds"] for s in shared]
        if times:
            rows.append([variant, *cells, number(np.median(times), 1)])
    draws = " or ".join(map(str, sorted({len(runs) for runs in results.values()})))
    splits = "1 split" if draws == "1" else f"{draws} splits"
    title = f"Mean reciprocal rank of held-out rows and changes of it, {splits}"
    yield Table(title, ["changed", *tasks, "times as long"], rows, "changes")


def cases(pairs):
    return {f"{t}/{v}": {"task": t, "params": VARIANTS[v]} for t, v in pairs}


BENCHMARK = Benchmark(
    "bench_ablation",
    one_draw,
    cases([(t, v) for t, task in TASKS.items() for v in task.variants or VARIANTS]),
    3,
    report,
    smoke_cases=cases([("digits", DEFAULT), ("digits", "the same, falling as a cosine")]),
    settings=SETTINGS,
    smoke_settings=SMOKE_SETTINGS,
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
