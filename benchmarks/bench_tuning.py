"""Is a temperature that is chosen without labels as good as one that is chosen with them?

Five feature sets of 2,000 handwritten digits, 70/30 splits. Stock `GridSearchCV` chooses by
recall@1 on the training rows. Every candidate is then fitted on all of these and judged by the
accuracy of linear probes on the test rows, which the choice by labels may use.
"""

import numpy as np
from _common import NAMED
from _report import Table, spread
from _runs import Benchmark, main
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split

from skcentrobind import CentroBindTransformer
from skcentrobind.datasets import load_multiple_features
from skcentrobind.metrics import make_retrieval_scorer, probe_accuracy

MODALITIES = ["fac", "fou", "kar", "pix", "zer"]
SETTINGS = {
    "temperatures": [0.05, 0.1, 0.2, 0.5, 1.0],
    "n_samples": 2000,
    "max_epochs": 40,
    "device": "cpu",
}
SMOKE_SETTINGS = {**SETTINGS, "temperatures": [0.1, 0.2], "n_samples": 200, "max_epochs": 1}
GOAL = 0.02
COLUMNS = {"modality": "mean of the modalities", "concatenated": "concatenated"}


def one_draw(settings, seed):
    X, y = load_multiple_features(return_X_y=True)
    step = len(X) // settings["n_samples"]
    X_train, X_test, y_train, y_test = train_test_split(
        X[MODALITIES][::step], y[::step], test_size=0.3, stratify=y[::step], random_state=seed
    )
    bind = CentroBindTransformer(
        max_epochs=settings["max_epochs"], device=settings["device"], random_state=seed, **NAMED
    )
    grid = {"temperature": settings["temperatures"]}
    scorer = make_retrieval_scorer(k=1)
    search = GridSearchCV(bind, grid, scoring=scorer, cv=2, refit=False, error_score="raise")
    scores = search.fit(X_train).cv_results_["mean_test_score"]
    found = {}
    for temperature, score in zip(settings["temperatures"], scores, strict=True):
        bind.set_params(temperature=temperature).fit(X_train)
        probe = LogisticRegression(max_iter=1000)
        accuracy = probe_accuracy(bind, probe, X_train, y_train, X_test, y_test, top_k=(1,))
        accuracy = accuracy["top-1"]
        found[str(temperature)] = {
            "recall@1": round(float(score), 5),
            "modality": round(float(accuracy[MODALITIES].mean()), 5),
            "concatenated": round(float(accuracy["concatenated"]), 5),
        }
    return found


def report(results):
    runs = list(results["digits"].values())
    temperatures = list(runs[0])
    rows = [
        [t, *(spread([run[t][c] for run in runs]) for c in ("recall@1", *COLUMNS))]
        for t in temperatures
    ]
    header = ["temperature", "recall@1, no labels", *(f"accuracy, {c}" for c in COLUMNS.values())]
    yield Table(f"Temperatures, {len(runs)} splits, mean (s.d.)", header, rows, "temperatures")

    rows = []
    for column, name in COLUMNS.items():
        chosen = [run[max(run, key=lambda t: run[t]["recall@1"])][column] for run in runs]
        best = [max(run[t][column] for t in temperatures) for run in runs]
        difference = np.subtract(best, chosen)
        verdict = "holds" if difference.max() <= GOAL else "does not hold"
        rows.append([name, spread(chosen), spread(best), f"{difference.max():.3f}", verdict])
    header = ["accuracy", "chosen without labels", "best by labels", "largest difference"]
    header.append(f"difference at most {GOAL}")
    yield Table("Chosen without labels, and with them", header, rows, "choice")


BENCHMARK = Benchmark(
    "bench_tuning",
    one_draw,
    {"digits": {}},
    5,
    report,
    settings=SETTINGS,
    smoke_settings=SMOKE_SETTINGS,
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
