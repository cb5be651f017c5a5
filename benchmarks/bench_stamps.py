"""Can pictures, sentences and voices of the same objects be bound, and what does an anchor cost?

655 objects of Debian's tuxpaint-stamps-default (GPL-2), 200 of them unseen: pictures, English
sentences, Spanish sentences as n-grams of characters, and voices that describe them in Spanish,
French and Russian; with "sounds", sound effects too, which most objects lack. See `_stamps` for the
encoders. Nothing of the package is committed; it is downloaded with apt-get, or read from
`--stamps FILE`.

    python benchmarks/bench_stamps.py --stamps tuxpaint-stamps-default_2022.06.04-1_all.deb
"""

import argparse
import sys
from functools import cache

import _real_data
import numpy as np
from _common import NAMED
from _runs import Benchmark, main
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skcentrobind import Modalities
from skcentrobind.datasets import make_multimodal_gmm

TEXTS = {"text en": "en", "text es": "es"}
VOICES = ("speech es", "speech fr", "speech ru")
NAMES = ("picture", *TEXTS, *VOICES)
SOUND = "sound"
#: Queries by several modalities, as in Table 1 of the paper, and what they search.
SEVERAL = [
    (("picture", "speech es"), "text en"),
    (("text en", "speech es"), "picture"),
    (("text es", "speech fr"), "picture"),
    (("picture", "text en"), "speech es"),
]

SETTINGS = {"n_train": 455, "n_test": 200, "n_svd": 150}
SMOKE_SETTINGS = {
    "n_train": 60,
    "n_test": 30,
    "n_svd": 5,
    "fit": {**NAMED, "max_epochs": 1, "n_anchors": 1},
}

_source = None


@cache
def raw():
    """Return features and texts of all objects, and their categories."""
    import _stamps

    objects = _stamps.stamps(_stamps.folder_of(_source))
    arrays = {"picture": _stamps.features(objects, "picture")}
    arrays["text en"] = _stamps.features(objects, "text")
    arrays["text es"] = np.array([one.sentences["es"] for one in objects])
    arrays |= {name: _stamps.features(objects, name) for name in (*VOICES, SOUND)}
    kinds = ("category", "subcategory")
    labels = {
        kind: np.unique([getattr(one, kind) for one in objects], return_inverse=True)[1]
        for kind in kinds
    }
    return arrays, labels


@cache
def made_up():
    """Return the same of objects that do not exist, for the smoke test."""
    X, y = make_multimodal_gmm(90, n_classes=4, n_modalities=6, random_state=0)
    arrays = dict(zip(NAMES, X.arrays, strict=True))
    arrays["text es"] = np.array([" ".join(map(str, row.round())) for row in X.arrays[2]])
    arrays[SOUND] = np.where(np.arange(90)[:, None] % 3 == 0, X.arrays[0], np.nan)
    return arrays, {"category": y, "subcategory": y % 2}


def one_draw(settings, seed, sounds):
    fit = settings.get("fit", {})
    arrays, labels = made_up() if fit else raw()
    rows = np.arange(len(arrays["picture"]))
    sizes = {"train_size": settings["n_train"], "test_size": settings["n_test"]}
    train, test = train_test_split(rows, **sizes, random_state=seed)
    parts = {}, {}
    for name in (*NAMES, SOUND) if sounds else NAMES:
        array = arrays[name]
        if array.dtype.kind == "U":
            ngrams = make_pipeline(
                TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True),
                TruncatedSVD(settings["n_svd"], random_state=seed),
            ).fit(array[train])
            array = ngrams.transform(array)
        for part, own in zip(parts, (train, test), strict=True):
            part[name] = array[own]
    data = _real_data.Data(
        *map(Modalities, parts),
        {kind: (codes[train], codes[test]) for kind, codes in labels.items()},
        SEVERAL,
        NAMES,
    )
    return _real_data.one_draw(data, seed, not fit, random_anchors=False, **fit)


CASES = {"stamps": {"sounds": False}, "stamps, sounds": {"sounds": True}}
TITLES = {"stamps": "Stamps", "stamps, sounds": "Stamps with sound effects, mostly missing"}


def report(results):
    return _real_data.report(results, TITLES)


BENCHMARK = Benchmark(
    "bench_stamps",
    one_draw,
    CASES,
    10,
    report,
    settings=SETTINGS,
    smoke_settings=SMOKE_SETTINGS,
    smoke_seeds=1,
    smoke_cases={"stamps, sounds": CASES["stamps, sounds"]},
)

if __name__ == "__main__":
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--stamps", help="the Debian package, or a folder with its content")
    known, others = options.parse_known_args()
    _source, sys.argv[1:] = known.stamps, others
    if "--smoke" not in others:
        raw()  # before the draws, which may be in other processes
    main(BENCHMARK, __doc__)
