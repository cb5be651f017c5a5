"""What do groups, and duplicates that are no negatives, bring on things with several captions?

Two real data sets. "functions" are functions of scipy and scikit-learn: the names in the code of
one, and a sentence of its documentation, up to 5 sentences each, so that the rows of one function
repeat the code. "patches" are places in the two photographs that scikit-learn ships: the grey
values of a window, and the colours of one beside it, 5 windows for each place, moved by a few
pixels. A batch holds 256 rows, so the fewer things there are, the more rows of one thing meet in
it. Judged on held-out things: recall@1, for which any row of the thing counts as found. No split
cuts a thing; in the first two rows of the table, fit is not told of the groups.
"""

import ast
import re
from pathlib import Path

import numpy as np
import scipy
import sklearn
from _common import NAMED
from _report import Table, p_value, spread
from _runs import Benchmark, main
from scipy import stats
from sklearn.datasets import load_sample_images
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline

from skcentrobind import CentroBindTransformer, Modalities, PerModality
from skcentrobind.metrics import mean_reciprocal_rank, recall_at_k

#: Row of the table -> whether fit is told of the groups, and parameters.
ROWS = {
    "rows alone": (False, {"ignore_duplicates": False}),
    "duplicates ignored (default without groups)": (False, {}),
    "groups ignored": (True, {"same_group": "ignore"}),
    "groups positive (default with groups)": (True, {}),
}
BASELINE = "rows alone"
SETTINGS = {"n_rows": 5, "test_size": 0.3, "device": "cpu", "max_epochs": "full"}
SMOKE_SETTINGS = {**SETTINGS, "max_epochs": 1}


def functions(n_things, n_rows, rng):
    """Return sentences, code and package of functions, and the function of each row."""
    paths = [
        path
        for library in (scipy, sklearn)
        for path in sorted(Path(library.__file__).parent.rglob("*.py"))
        if not {"tests", "externals"} & set(path.parts)
    ]
    found = []
    for k in rng.permutation(len(paths)):
        for node in ast.walk(ast.parse(paths[k].read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and len(node.body) > 2:
                text = (ast.get_docstring(node) or "").split("Parameters\n")[0]
                sentences = re.split(r"(?<=\.)\s+", text.replace("\n", " "))
                sentences = [s for s in sentences if len(s) >= 30][:n_rows]
                if len(sentences) > 1:
                    code = "\n".join(ast.unparse(line) for line in node.body[1:])
                    found.append((sentences, code, _package(paths[k])))
        if len(found) >= n_things:
            break
    found = found[:n_things]
    things = np.repeat(np.arange(len(found)), [len(sentences) for sentences, *_ in found])
    text = [sentence for sentences, *_ in found for sentence in sentences]
    code, package = ([found[i][part] for i in things] for part in (1, 2))
    items = {"text": text, "code": code, "package": package}
    return {name: np.array(item, dtype=object) for name, item in items.items()}, things


def _package(path):
    """Return "sklearn.cluster" of a path in it."""
    names = path.parts[::-1]
    last = next(k for k, name in enumerate(names) if name in ("scipy", "sklearn"))
    return ".".join(names[last : max(0, last - 2) : -1])


def prepared(train, test):
    """Turn text into 100 features, by what the training rows show; leave numbers as they are."""
    if train.arrays[0].ndim > 1:
        return train, test
    words = {"text": {"stop_words": "english"}, "code": {"token_pattern": "[A-Za-z]{2,}"}}
    steps = {
        name: make_pipeline(
            TfidfVectorizer(sublinear_tf=True, min_df=2, **options),
            TruncatedSVD(min(100, len(train) // 4), random_state=0),
        )
        for name, options in words.items()
    }
    per = PerModality(steps).fit(train)
    return per.transform(train), per.transform(test)


def patches(n_things, n_rows, rng):
    """Return grey windows and colours beside them, and the place of each row."""
    photos = [image.astype(float) / 255 for image in load_sample_images().images]
    grey, colour = [], []
    for k in range(n_things):
        photo = photos[k % len(photos)]
        y, x = (int(rng.integers(4, size - 36)) for size in photo.shape[:2])
        for _ in range(n_rows):
            dy, dx = rng.integers(-3, 4, size=2)
            window = photo[y + dy : y + dy + 16, x + dx : x + dx + 32]
            grey.append(window[:, :16].mean(axis=2)[::2, ::2].ravel())
            colour.append(window[:, 16:].reshape(4, 4, 4, 4, 3).mean(axis=(1, 3)).ravel())
    things = np.arange(n_things).repeat(n_rows)
    return {"grey": np.array(grey), "colour": np.array(colour)}, things


def one_draw(settings, seed, data, n_things, init="gcca"):
    rng = np.random.default_rng(seed)
    arrays, things = DATA[data](n_things, settings["n_rows"], rng)
    arrays.pop("package", None)
    X = Modalities(arrays, groups=things)
    split = GroupShuffleSplit(1, test_size=settings["test_size"], random_state=seed)
    train, test = next(split.split(things, groups=things))
    X_train, X_test = prepared(X[train], X[test])
    a, b = X.names
    found = {}
    for label, (is_told, parameters) in ROWS.items():
        bind = CentroBindTransformer(
            init=init,
            max_epochs=settings["max_epochs"],
            device=settings["device"],
            random_state=seed,
            **NAMED,
            **parameters,
        )
        data = X_train if is_told else Modalities(dict(X_train.items()))
        Z = bind.fit(data).transform_modalities(X_test)
        recalls = [recall_at_k(Z[q], Z[g], groups=Z.groups) for q, g in ((a, b), (b, a))]
        found[label] = {
            "recall@1": round(float(np.mean(recalls)), 5),
            "mrr": round(mean_reciprocal_rank(Z), 5),
        }
    return found


def report(results):
    for measure in ("recall@1", "mrr"):
        rows = []
        for data, runs in results.items():
            first = np.array([run[BASELINE][measure] for run in runs.values()])
            for label in ROWS:
                values = np.array([run[label][measure] for run in runs.values()])
                cells = ["-", "-"]
                if label != BASELINE and len(values) > 1:
                    p = stats.ttest_rel(values, first).pvalue
                    cells = [f"{(values - first).mean():+.3f}", p_value(p)]
                rows.append([data, label, spread(values), *cells])
        title = f"{measure} of unseen things, mean over both directions, {len(first)} splits"
        header = ["data", "loss", "mean (s.d.)", f"above {BASELINE!r}", "p (paired t-test)"]
        yield Table(title, header, rows, measure)


DATA = {"functions": functions, "patches": patches}
CASES = {
    f"{data}, {n} things": {"data": data, "n_things": n} for data in DATA for n in (60, 200, 400)
} | {
    f"{data}, 60 things, random start": {"data": data, "n_things": 60, "init": "random"}
    for data in DATA
}
SMOKE_CASES = {data: {"data": data, "n_things": 20} for data in DATA}
BENCHMARK = Benchmark(
    "bench_groups",
    one_draw,
    CASES,
    5,
    report,
    settings=SETTINGS,
    smoke_settings=SMOKE_SETTINGS,
    smoke_cases=SMOKE_CASES,
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
