"""Cases of the fuzz campaign about data: forms, labels, names, values."""

import copy
import re
import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from _fuzz_data import (
    ITEMS,
    draw_arrays,
    draw_form,
    explicit_zeros,
    is_complete,
    npz,
    shuffled_coo,
)
from _fuzz_oracle import Foreign, Silent, check, make, present_of, refused, same, state, unit_rows
from _fuzz_reference import reciprocal_rank
from scipy import sparse
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from skcentrobind import (
    FixedAnchorBindTransformer,
    Modalities,
    PerModality,
)


def forms(rng):
    """Check that the same numbers in two forms give the same embeddings; subsets of rows, too."""
    arrays = draw_arrays(rng)
    bind = make(rng, len(arrays))
    name, X, more = draw_form(rng, arrays)
    before = copy.deepcopy(arrays)
    expected = clone(bind).fit(list(arrays.values()))
    found = clone(bind).set_params(**more).fit(X)
    plain = list(arrays.values())
    one, two = expected.transform(plain), found.transform(X)
    same(two, one, name, tolerance=2e-4)
    for key, array in arrays.items():
        check(np.array_equal(array, before[key], equal_nan=True), f"{name}: the data were changed")
    present = present_of(arrays)
    unit_rows(expected, plain, present)
    rows = rng.permutation(len(present))[: max(1, len(present) // 2)]
    part = expected.transform([array[rows] for array in plain])
    same(part, one[rows], "a subset of the rows", tolerance=1e-5)
    if is_complete(arrays) and len(arrays) > 1:
        score = expected.score(plain)
        blocks = expected.transform_modalities(plain).arrays
        slow = reciprocal_rank([b.astype(np.float64) for b in blocks], present)
        check(abs(score - slow) < 0.02, f"score {score} for {slow}")
    return "confirmed"


def sparse_forms(rng):
    """Check that the same sparse matrix, however it is stored."""
    arrays = draw_arrays(rng, n_modalities=2, missing=False)
    first, second = arrays
    words = np.where(np.abs(arrays[second]) < 0.5, 0, arrays[second])
    words[0, 0] = 1.0
    bind = make(rng, encoder="mlp", augmentation=str(rng.choice(["gaussian", "mask"])))
    expected = clone(bind).fit({first: arrays[first], second: sparse.csr_array(words)})
    name = str(rng.choice(["csc", "coo", "bsr", "zeros", "shuffled", "float32", "dia", "lil"]))
    other = {
        "zeros": lambda: explicit_zeros(words, rng),
        "shuffled": lambda: shuffled_coo(words, rng),
        "float32": lambda: sparse.csr_matrix(words.astype(np.float32)),
    }.get(name, lambda: sparse.csr_matrix(words).asformat(name))()
    found = clone(bind).fit({first: arrays[first], second: other})
    X = {first: arrays[first], second: sparse.csr_array(words)}
    same(found.transform(X), expected.transform(X), name)
    return "confirmed"


def labels(rng):
    """Check that rows of frames match by label or are refused; align puts them together."""
    arrays = draw_arrays(rng, n_modalities=int(rng.integers(2, 4)), missing=False)
    n = len(next(iter(arrays.values())))
    kinds = [
        [f"id{i}" for i in range(n)],
        (np.arange(n) + 100).tolist(),
        pd.date_range("2020-01-01", periods=n).tolist(),
        [(i, "x") for i in range(n)],
    ]
    ids = kinds[rng.integers(4)]

    def index(values):
        return pd.MultiIndex.from_tuples(values) if isinstance(values[0], tuple) else values

    frames = {k: pd.DataFrame(a, index=index(ids)) for k, a in arrays.items()}
    bind = make(rng)
    *_, last = arrays
    relation = str(rng.choice(["order", "partly", "equal", "default", "ignored", "aligned"]))
    order = rng.permutation(n)
    if relation in ("order", "ignored", "aligned") and (order == np.arange(n)).all():
        order = order[::-1]
    shuffled = frames | {last: frames[last].iloc[order]}
    if relation == "order":
        return refused(lambda: bind.fit(draw_collection(rng, shuffled)), arrays, "align")
    if relation == "partly":
        own = [*ids[1:], (n, "y") if isinstance(ids[0], tuple) else ids[-1]]
        own[-1] = {str: "new", tuple: (n, "y")}.get(type(ids[0]), ids[-1])
        if not isinstance(ids[0], str | tuple):
            own = [*ids[1:], ids[-1] + (ids[1] - ids[0])]
        partly = frames | {last: frames[last].set_axis(index(own), axis=0)}
        return refused(lambda: bind.fit(draw_collection(rng, partly)), arrays, "align")
    if relation == "default":
        frames[last] = frames[last].reset_index(drop=True)
    expected = clone(bind).fit(list(arrays.values())).transform(list(arrays.values()))
    if relation == "ignored":
        X = Modalities(shuffled, ignore_index=True)
        moved = [a[order] if k == last else a for k, a in arrays.items()]
        expected = clone(bind).fit(moved).transform(moved)
    elif relation == "aligned":
        X = Modalities.align(shuffled, how=str(rng.choice(["inner", "outer", "left"])))
        same(X[last], arrays[last], "align")
    else:
        X = draw_collection(rng, frames)
    found = clone(bind).set_output(transform="pandas").fit(X).transform(X)
    same(found.to_numpy(), expected, relation, tolerance=2e-4)
    if relation in ("equal", "aligned"):
        check(list(found.index) == list(frames[next(iter(frames))].index), "the index is lost")
    return "confirmed"


def draw_collection(rng, items):
    return [dict(items), list(items.values()), Modalities][rng.integers(2)]


def keys(rng):
    """Check that an int that is a name means the name, everywhere."""
    n = int(rng.integers(2, 4))
    arrays = list(draw_arrays(rng, n_modalities=n, missing=False).values())
    width = arrays[0].shape[1]
    arrays = [np.resize(a, (len(a), width)) for a in arrays]
    order = rng.permutation(n)
    X = {int(k): array for k, array in zip(order, arrays, strict=True)}
    bind = make(rng).fit(X)
    blocks = bind.transform_modalities(X)
    key = int(rng.integers(n))
    same(bind.transform_modality(X[key], key), blocks[str(key)], "transform_modality", 1e-5)
    same(bind.transform_modality(X[key], np.int64(key)), blocks[str(key)], "numpy's int", 1e-5)
    fixed = make(rng, cls=FixedAnchorBindTransformer, anchor=key, pretrain_epochs=0).fit(X)
    named = clone(fixed).set_params(anchor=str(key)).fit(X)
    same(fixed.transform(X), named.transform(X), "anchor")
    return "confirmed"


def bad_data(rng):
    """Check that data that cannot be right are refused, and the fitted model stays."""
    arrays = draw_arrays(rng, n_modalities=2, missing=False)
    first, second = arrays
    a, b = arrays.values()
    n = len(a)
    part, infinite = b.copy(), b.copy()
    part[n // 2, 0], infinite[n // 2, -1] = np.nan, np.inf
    bad = {
        "part of a row": {first: a, second: part},
        "infinity": {first: a, second: infinite},
        "lengths": {first: a, second: b[:-1]},
        "text": {first: a, second: np.array([["word"] * 2] * n)},
        "complex": {first: a, second: b + 1j},
        "one dimension": {first: a, second: b[:, 0]},
        "no sample": [a[:0], b[:0]],
        "one sample": [a[:1], b[:1]],
        "none": None,
        "a number": 3.5,
        "a string": "abc",
        "nothing at all": {},
        "constant": {first: a, second: np.ones_like(b)},
        "a generator": (x for x in (a, b)),
        "a set": {1, 2},
        "ragged": {first: a, second: [[1.0, 2.0], [3.0]] * (n // 2)},
        "all missing": {first: a, second: np.full_like(b, np.nan)},
        "equal names": {1: a, "1": b},
        "equal columns": {
            first: a, second: pd.DataFrame(b[:, :1].repeat(2, axis=1), columns=["c", "c"]),
        },
        "ragged vectors": {
            first: a, second: pd.Series([np.ones(2 + i % 2) for i in range(n)]),
        },
    }  # fmt: skip
    name = str(rng.choice(list(bad)))
    bind = make(rng, max_epochs=1).fit(arrays)
    before = state(bind)
    call = str(rng.choice(["fit", "partial_fit", "transform", "score"]))
    if name in ("equal columns",) and call != "fit":
        call = "fit"
    if name == "one sample" and call == "transform":
        return "confirmed"
    if name in ("constant", "all missing") and call != "fit":
        call = "fit"
    try:
        refused(lambda: getattr(bind, call)(bad[name]), arrays)
    except (Silent, Foreign) as exc:
        raise type(exc)(f"{name} in {call}: {exc}") from exc
    check(state(bind) == before, f"{name} in {call} changed the estimator")
    return "refused"


def mappings(rng):
    """Check that every mapping of items is one."""
    arrays = draw_arrays(rng, missing=False)
    bind = make(rng).fit(arrays)
    expected = bind.transform(arrays)
    same(bind.transform(npz(arrays)), expected, "npz", 1e-5)
    same(clone(bind).fit(Plain(arrays)).transform(Plain(arrays)), expected, "a Mapping", 1e-5)
    per = PerModality({name: StandardScaler() for name in arrays})
    same(
        per.fit_transform(Plain(arrays)).arrays[0],
        per.fit_transform(arrays).arrays[0],
        "PerModality",
    )
    return "confirmed"


class Plain(Mapping):
    """Nothing but what a Mapping needs."""

    def __init__(self, items):
        self._items = dict(items)

    def __getitem__(self, key):
        return self._items[key]

    def __iter__(self):
        return iter(self._items)

    def __len__(self):
        return len(self._items)


def vectors(rng):
    """Check that a column of vectors is a matrix."""
    arrays = draw_arrays(rng, n_modalities=2)
    first, second = arrays
    bind = make(rng)
    expected = clone(bind).fit(arrays).transform(arrays)
    form = str(rng.choice(["vectors", "column of vectors"]))
    X = {first: arrays[first], second: ITEMS[form](arrays[second], rng)}
    same(clone(bind).fit(X).transform(X), expected, form, 2e-4)
    return "confirmed"


def outliers(rng):
    """Check that rows of a sentinel are named, and only these; robust scaling is silent."""
    n = int(rng.integers(100, 300))
    arrays = draw_arrays(rng, n_modalities=2, n_samples=n, missing=False)
    _, second = arrays
    bind = make(rng, max_epochs=1, standardize=True)
    rows = sorted(rng.choice(n, size=int(rng.integers(1, 3)) if n > 200 else 1, replace=False))
    arrays[second][rows] = float(rng.choice([-9999, 999, 1e5]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clone(bind).fit(arrays)
    texts = [str(w.message) for w in caught if "of the variance" in str(w.message)]
    check(len(texts) == 1 and f"'{second}'" in texts[0], f"{len(texts)} warnings of {second}")
    named = {int(v) for v in re.findall(r"\d+", texts[0].split(" hold")[0].split(": ", 1)[1])}
    check(set(map(int, rows)) <= named, f"{rows} are not named: {texts[0]}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(bind).set_params(standardize="robust").fit(arrays)
    return "confirmed"
