"""How long does the default take to choose for itself, and how long the search that it replaces?

"digits" has five feature sets of 1,400 digits, "few digits" 100 of them, and "10,000 rows" is the
paper's synthetic data, on which a kernel is taken. The former default is named: residual encoders,
the formula for the shrinkage, all epochs. The KGCCA search is that of bench_methods, its four fits
and the last. All run in turns in one process with one thread; figures are medians.
"""

import time

import numpy as np
import torch
from _common import NAMED, median, parser, store
from _method_data import load
from _methods import METHODS, embed

from skcentrobind import CentroBindTransformer
from skcentrobind.metrics import mean_reciprocal_rank
from skcentrobind.model_selection import choose

FULL = {**NAMED, "max_epochs": "full"}


def data(name, seed):
    """Return training rows."""
    if name == "10,000 rows":
        return load("gmm even", seed, 10_000, 1_000).X_train
    X = load("digits five", seed, 1_500, 600).X_train
    return X[:100] if name == "few digits" else X


def timed(function):
    before = time.process_time()
    result = function()
    return time.process_time() - before, result


def search_kgcca(X, seed):
    """Choose among the four settings of bench_methods on held-out rows, and fit the best again."""
    method = METHODS["KGCCA"]
    rows = np.random.default_rng(seed).permutation(len(X))
    held_out, train = X[rows[: len(X) // 4]], X[rows[len(X) // 4 :]]
    found = []
    for stage in method.stages:
        setting = {name: values[0] for name, values in stage.items()}
        model = method.make({}, seed, **setting).fit(train)
        best = max(mean_reciprocal_rank(embed(model, held_out, w)) for w in method.widths)
        found.append((best, setting))
    setting = max(found, key=lambda one: one[0])[1]
    return method.make({}, seed, **setting).fit(X)


def one_round(name, seed, with_search):
    X = data(name, seed)
    options = {"random_state": seed, "device": "cpu"}
    own, named = CentroBindTransformer(**options), CentroBindTransformer(**options, **FULL)
    found = {
        "default": timed(lambda: own.fit(X))[0],
        "former default": timed(lambda: named.fit(X))[0],
        "comparison of features": timed(lambda: choose(X))[0],
    }
    # What the choice took is what a fit with its result named does not take.
    plan = own._plan
    again = CentroBindTransformer(**plan.as_parameters(), max_epochs=own.n_iter_, **options)
    found["its fit alone"] = timed(lambda: again.fit(X))[0]
    found["takes a kernel"] = float(any(spec.n_landmarks for spec in plan.modalities))
    if with_search:
        found["KGCCA search"] = timed(lambda: search_kgcca(X, seed))[0]
    return found


def main():
    options = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    repeats = options.repeats or (1 if options.smoke else 5)
    names = ["few digits"] if options.smoke else ["few digits", "digits", "10,000 rows"]
    one_round("few digits", 0, with_search=False)  # warms up
    rows = {}
    for name in names:
        rounds = [one_round(name, seed, name == "digits") for seed in range(repeats)]
        row = {key: median([found[key] for found in rounds]) for key in rounds[0]}
        pairs = {
            "times the former default": ("default", "former default"),
            "default within KGCCA search": ("KGCCA search", "default"),
        }
        for label, (a, b) in pairs.items():
            if a in rounds[0]:
                row[label] = median([found[a] / found[b] for found in rounds])
        choices = [found["default"] - found["its fit alone"] for found in rounds]
        row["choice"] = median(choices)
        fits = [found["its fit alone"] for found in rounds]
        row["choice as a share of the fit"] = median(
            [choice / fit for choice, fit in zip(choices, fits, strict=True)]
        )
        rows[name] = row
        print(name, row)
    if not options.smoke:
        store("bench_choice", {"repeats": repeats, "rows": rows})


if __name__ == "__main__":
    main()
