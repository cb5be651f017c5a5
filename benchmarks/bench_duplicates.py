"""What does it bring, and cost, that equal rows of a modality are no negatives of each other?

Data where one modality has few distinct rows: "text and table" is that of the gallery example,
pictures of digits with one of some 120 phrases and a table; "functions" are functions of scipy and
scikit-learn, each by a sentence of its documentation, its code, and the package it is in. And data
where hardly any row repeats: the six feature sets of digits. Judged on held-out rows; any row whose
text or package is that of the query counts as found, since it is the same.
"""

import time

import numpy as np
from _common import NAMED
from _report import Table, p_value, spread
from _runs import Benchmark, main
from bench_groups import functions, prepared
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GroupShuffleSplit, train_test_split
from sklearn.preprocessing import OneHotEncoder

from skcentrobind import CentroBindTransformer, Modalities
from skcentrobind.datasets import load_multiple_features
from skcentrobind.metrics import mean_reciprocal_rank, retrieval_report

ROWS = {"are negatives": False, "are ignored (default)": True}
MEASURES = ("recall@1", "mrr")
SETTINGS = {"n_samples": 1200, "test_size": 0.3, "device": "cpu", "max_epochs": "full"}
SMOKE_SETTINGS = {**SETTINGS, "n_samples": 120, "max_epochs": 1}

_WORDS = {
    "English": "zero one two three four five six seven eight nine",
    "German": "null eins zwei drei vier fünf sechs sieben acht neun",
    "French": "zéro un deux trois quatre cinq six sept huit neuf",
    "Spanish": "cero uno dos tres cuatro cinco seis siete ocho nueve",
}
_PHRASES = ["{}", "a {}", "the digit {}", "{}, by hand"]


def text_and_table(settings, seed):
    """Return pictures, phrases and tables of digits, as in the gallery, and what is the same."""
    rng = np.random.default_rng(seed)
    image, digit = load_digits(return_X_y=True)
    rows = rng.permutation(len(digit))[: settings["n_samples"]]
    image, digit = image[rows], digit[rows]
    words = [words.split() for words in _WORDS.values()]
    text = [rng.choice(_PHRASES).format(words[rng.integers(4)][d]) for d in digit]
    ink = image.reshape(-1, 8, 8)
    quarters = [ink[:, i : i + 4, j : j + 4].sum(axis=(1, 2)) for i in (0, 4) for j in (0, 4)]
    darkest = np.eye(4)[np.argmax(quarters, axis=0)]
    table = np.column_stack([ink.sum(axis=(1, 2)), (ink.max(axis=1) > 4).sum(axis=1), darkest])
    train, test = train_test_split(
        np.arange(len(rows)), test_size=settings["test_size"], random_state=seed
    )
    words = TfidfVectorizer().fit([text[k] for k in train])
    pixels = image[:, image[train].std(axis=0) > 0]
    X = {"text": words.transform(text).toarray(), "image": pixels, "table": table}
    X = Modalities(X, groups=text)
    return X[train], X[test]


def packages(settings, seed):
    """Return sentences, code and package of functions, and the package as what is the same."""
    rng = np.random.default_rng(seed)
    arrays, things = functions(settings["n_samples"] // 3, 5, rng)
    is_package = OneHotEncoder(sparse_output=False).fit_transform(arrays.pop("package")[:, None])
    split = GroupShuffleSplit(1, test_size=settings["test_size"], random_state=seed)
    train, test = next(split.split(things, groups=things))
    X = Modalities(arrays)
    pair = []
    for part, rows in zip(prepared(X[train], X[test]), (train, test), strict=True):
        seen = is_package[:, is_package[train].any(axis=0)]
        items = {**dict(part.items()), "package": seen[rows]}
        pair.append(Modalities(items, groups=is_package[rows].argmax(axis=1)))
    return pair


def digits(settings, seed):
    """Return the six feature sets of digits; a group is a single row."""
    X, _ = load_multiple_features(return_X_y=True)
    return train_test_split(X, train_size=settings["n_samples"], random_state=seed)


def one_draw(settings, seed, data):
    X_train, X_test = DATA[data](settings, seed)
    X_train = Modalities(dict(X_train.items()))
    found = {}
    for label, ignores in ROWS.items():
        bind = CentroBindTransformer(
            ignore_duplicates=ignores,
            max_epochs=settings["max_epochs"],
            device=settings["device"],
            random_state=seed,
            **NAMED,
        )
        seconds = []
        for _ in range(3):
            before = time.process_time()
            bind.fit(X_train)
            seconds.append(time.process_time() - before)
        Z = bind.transform_modalities(X_test)
        found[label] = {
            "recall@1": round(float(retrieval_report(Z, ks=[1])["recall@1"].mean()), 5),
            "mrr": round(mean_reciprocal_rank(Z), 5),
            "seconds": round(float(np.median(seconds)), 3),
        }
    return found


def report(results):
    rows = []
    first, second = ROWS
    for data, runs in results.items():
        for measure in MEASURES:
            a, b = ([run[label][measure] for run in runs.values()] for label in ROWS)
            p = p_value(stats.ttest_rel(b, a).pvalue) if len(a) > 1 else "-"
            difference = f"{np.mean(b) - np.mean(a):+.3f}"
            rows.append([data, measure, spread(a), spread(b), difference, p])
    header = ["data", "measure", first, second, "difference", "p (paired t-test)"]
    yield Table(f"Equal rows of a modality, {len(runs)} splits", header, rows, "measures")
    rows = []
    for data, runs in results.items():
        ratios = [run[second]["seconds"] / run[first]["seconds"] for run in runs.values()]
        rows.append([data, f"{np.median(ratios):.2f}"])
    header = ["data", "seconds of fit, ignored / negatives"]
    yield Table("Cost, median over the splits", header, rows, "cost")


DATA = {"text and table": text_and_table, "functions": packages, "digits": digits}
CASES = {data: {"data": data} for data in DATA}
BENCHMARK = Benchmark(
    "bench_duplicates",
    one_draw,
    CASES,
    5,
    report,
    settings=SETTINGS,
    smoke_settings=SMOKE_SETTINGS,
    smoke_seeds=1,
    smoke_cases=CASES,
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
