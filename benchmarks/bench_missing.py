"""How much is lost if modalities are missing, and how should they be handled?

Six feature sets of 2,000 handwritten digits, 70/30 splits. A share of all entries (a sample's row
in one modality) is removed, at random or in blocks of consecutive samples, in fit, in transform or
in both. Judged by recall@1 among the pairs that are present, and by a linear probe on `transform`.
"""

import numpy as np
from _common import NAMED
from _figures import IMAGES, band, panels, save
from _report import Table, spread
from _runs import Benchmark, main
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer, Modalities
from skcentrobind.datasets import load_multiple_features
from skcentrobind.metrics import retrieval_report

METHODS = ("CentroBind", "fixed anchor zer", "complete samples only", "mean imputation")
PHASES = ("fit", "transform", "both")
SETTINGS = {
    "shares": [0.15, 0.3, 0.45, 0.6, 0.8],
    "n_samples": 2000,
    "max_epochs": 60,
    "anchor": "zer",
    "device": "cpu",
}
SMOKE_SETTINGS = {**SETTINGS, "shares": [0.3], "n_samples": 200, "max_epochs": 1}
KEPT_AT, KEPT = 0.3, 0.85


def removed(X, share, pattern, rng):
    """Draw the entries to remove, (n_samples, n_modalities); every sample keeps one modality."""
    n_samples, n_modalities = X.present.shape
    if pattern == "at random":
        missing = rng.random((n_samples, n_modalities)) < share
    else:
        missing = np.zeros((n_samples, n_modalities), dtype=bool)
        starts = rng.integers(n_samples, size=n_modalities)
        for column, start in zip(missing.T, starts, strict=True):
            column[(start + np.arange(round(share * n_samples))) % n_samples] = True
    empty = np.flatnonzero(missing.all(axis=1))
    missing[empty, rng.integers(n_modalities, size=len(empty))] = False
    return missing


def without(X, missing, fill=None):
    """Return the data with NaN or the given rows in place of the removed entries."""
    arrays = {}
    for m, (name, array) in enumerate(X.items()):
        value = np.nan if fill is None else fill[name]
        arrays[name] = np.where(missing[:, [m]], value, array)
    return Modalities(arrays)


def fitted(method, settings, X, missing, seed):
    """Fit a method to data with missing rows; return it and the rows that it imputes, if any."""
    common = {"random_state": seed, "device": settings["device"]}
    bind = CentroBindTransformer(max_epochs=settings["max_epochs"], **common, **NAMED)
    fill = None
    if method == "complete samples only":
        whole = ~missing.any(axis=1)
        if whole.sum() < 20:
            return None, None
        data = X[whole]
    elif method == "mean imputation":
        data = without(X, missing)
        fill = {name: np.nanmean(array, axis=0) for name, array in data.items()}
        data = without(X, missing, fill)
    else:
        data = without(X, missing)
    if method.startswith("fixed anchor"):
        bind = FixedAnchorBindTransformer(
            anchor=settings["anchor"], max_epochs=settings["max_epochs"], **common
        )
    return bind.fit(data), fill


def judge(bind, fill, train, test, missing_train, missing_test):
    """Return recall@1 over the pairs that are present, and accuracy of a probe on `transform`."""
    (X_train, y_train), (X_test, y_test) = train, test
    data = without(X_test, missing_test, fill)
    Z = bind.transform_modalities(data)
    if fill is not None:  # imputed entries are part of no pair
        Z = without(Z, missing_test)
    recall = retrieval_report(Z, ks=(1,))["recall@1"]
    probe = LogisticRegression(max_iter=1000)
    probe.fit(bind.transform(without(X_train, missing_train, fill)), y_train)
    accuracy = probe.score(bind.transform(data), y_test)
    return {"recall@1": round(float(recall.mean()), 5), "accuracy": round(accuracy, 5)}


def one_draw(settings, seed, pattern):
    X, y = load_multiple_features(return_X_y=True)
    step = len(X) // settings["n_samples"]
    X_train, X_test, y_train, y_test = train_test_split(
        X[::step], y[::step], test_size=0.3, stratify=y[::step], random_state=seed
    )
    train, test = (X_train, y_train), (X_test, y_test)
    rng = np.random.default_rng(seed)
    none = [np.zeros(X.present.shape, dtype=bool) for X in (X_train, X_test)]
    removals = {
        share: [removed(X, share, pattern, rng) for X in (X_train, X_test)]
        for share in settings["shares"]
    }
    found = {}
    for method in METHODS:
        whole = fitted(method, settings, X_train, none[0], seed)
        found[f"{method}/both/0%"] = judge(*whole, train, test, *none)
        for share, (in_train, in_test) in removals.items():
            incomplete_fit = fitted(method, settings, X_train, in_train, seed)
            runs = {
                "fit": (incomplete_fit, in_train, none[1]),
                "transform": (whole, none[0], in_test),
                "both": (incomplete_fit, in_train, in_test),
            }
            for phase, ((bind, fill), *missing) in runs.items():
                if bind is not None:
                    name = f"{method}/{phase}/{share:.0%}"
                    found[name] = judge(bind, fill, train, test, *missing)
    return found


def curve(runs, method, phase, measure):
    """Yield (share, values over the draws) where the method could be fitted."""
    for share in (0.0, *SETTINGS["shares"]):
        row = f"{method}/{phase if share else 'both'}/{share:.0%}"
        values = [run[row][measure] for run in runs.values() if row in run]
        if values:
            yield share, np.array(values)


def report(results):
    draws = len(next(iter(results.values())))
    shares = (0.0, *SETTINGS["shares"])
    for measure in ("recall@1", "accuracy"):
        rows = []
        for pattern, runs in results.items():
            for method in METHODS:
                for phase in PHASES:
                    points = dict(curve(runs, method, phase, measure))
                    cells = [spread(points[s]) if s in points else "-" for s in shares]
                    rows.append([pattern, method, phase, *cells])
        header = ["removed", "method", "missing in", *(f"{s:.0%}" for s in shares)]
        yield Table(f"{measure}, {draws} splits, mean (s.d.)", header, rows, measure)
    rows = []
    for pattern, runs in results.items():
        for method in METHODS:
            points = dict(curve(runs, method, "both", "recall@1"))
            complete_fit = dict(curve(runs, method, "transform", "recall@1"))
            if len(points.get(KEPT_AT, ())) == len(points[0.0]):
                kept = points[KEPT_AT] / points[0.0]
                same = points[KEPT_AT] / complete_fit[KEPT_AT]
                verdict = "holds" if kept.mean() >= KEPT else "does not hold"
                rows.append([pattern, method, spread(kept), spread(same), verdict])
    title = f"Share of recall@1 that is kept where {KEPT_AT:.0%} of all entries are missing in both"
    # Fewer samples have both modalities of a pair, and a search among fewer is easier.
    header = ["removed", "method", "relative to complete data (s.d.)"]
    header += ["relative to missing in transform alone (s.d.)", f"at least {KEPT:.0%}"]
    yield Table(title, header, rows, "kept")


def figures(results):
    figure, axes = panels(2, 3, width=3.1, height=2.7, sharex=True, sharey="row")
    looks = [("#0072B2", "o", "-"), ("#D55E00", "^", "--"), ("#009E73", "s", ":")]
    looks.append(("#CC79A7", "D", "-."))
    labels = {"recall@1": "recall@1 of present pairs", "accuracy": "probe on transform"}
    for row, measure in zip(axes, labels, strict=True):
        row[0].set_ylabel(labels[measure], fontsize=9)
        for axis, phase in zip(row, PHASES, strict=True):
            for method, (colour, marker, line) in zip(METHODS, looks, strict=True):
                points = list(curve(results["at random"], method, phase, measure))
                shares, values = zip(*points, strict=True)
                options = {"color": colour, "marker": marker, "linestyle": line, "markersize": 4}
                band(axis, shares, np.transpose(values), method, **options)
            axis.tick_params(labelsize=8)
        row[0].set_ylim(bottom=0)
    for axis, phase in zip(axes[0], PHASES, strict=True):
        axis.set_title(f"missing in {phase}", fontsize=10)
    for axis in axes[1]:
        axis.set_xlabel("share of entries removed", fontsize=9)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    save(figure, "missing", IMAGES.parent)


CASES = {pattern: {"pattern": pattern} for pattern in ("at random", "in blocks")}
BENCHMARK = Benchmark(
    "bench_missing",
    one_draw,
    CASES,
    3,
    report,
    figures,
    settings=SETTINGS,
    smoke_settings=SMOKE_SETTINGS,
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
