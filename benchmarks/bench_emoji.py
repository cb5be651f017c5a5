"""How well do pictures of emojis and their names find each other, beside tuned kernel CCA?

The data of the demo, `python -m skcentrobind`: features of 1,585 pictures and n-grams of names in
three languages, the English ones with keywords; 400 emojis are held out. The untuned default is
compared with fixed anchors at every modality, from the same start and from random ones, and with
correlation analyses whose settings are chosen on held-out training rows.
"""

import _real_data
from _common import NAMED
from _runs import Benchmark, main

from skcentrobind._demo.comparison import SEVERAL
from skcentrobind._demo.emojis import features, load

CASES = {"emojis": {}}
TITLES = {"emojis": "Emojis"}
SETTINGS = {"n_svd": 300, "n_seen": 1185, "n_unseen": 400}
SMOKE_SETTINGS = {
    "n_svd": 10,
    "n_seen": 90,
    "n_unseen": 40,
    "fit": {**NAMED, "max_epochs": 1, "n_anchors": 1},
}


def one_draw(settings, seed):
    fit = settings.get("fit", {})
    emojis = load(seed=seed)
    seen, unseen = emojis.seen[: settings["n_seen"]], emojis.unseen[: settings["n_unseen"]]
    steps = features(settings["n_svd"]).fit(emojis.X[seen])
    X_train, X_test = (steps.transform(emojis.X[rows]) for rows in (seen, unseen))
    labels = {"category": (emojis.y[seen], emojis.y[unseen])}
    data = _real_data.Data(X_train, X_test, labels, list(SEVERAL))
    return _real_data.one_draw(data, seed, not fit, **fit)


def report(results):
    return _real_data.report(results, TITLES)


BENCHMARK = Benchmark(
    "bench_emoji",
    one_draw,
    CASES,
    5,
    report,
    settings=SETTINGS,
    smoke_settings=SMOKE_SETTINGS,
    smoke_seeds=1,
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
