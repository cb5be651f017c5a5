"""What looks like a dict or an array: mappings are taken, everything else is refused at once."""

import time
from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pytest
from conftest import draw, quick_centro, same
from scipy import sparse

from skcentrobind import Modalities, PerModality
from skcentrobind.metrics import mean_reciprocal_rank

X, _ = draw(20)
ARRAYS = dict(X.items())


class Lazy(Mapping):
    """A mapping that makes its items when they are read, and counts."""

    def __init__(self):
        self.n_reads = 0

    def __getitem__(self, name):
        self.n_reads += 1
        return ARRAYS[name].copy()

    def __iter__(self):
        return iter(ARRAYS)

    def __len__(self):
        return len(ARRAYS)


def npz(path):
    np.savez(path / "x.npz", **ARRAYS)
    return np.load(path / "x.npz")


MAPPINGS = {
    "user": lambda path: UserDict(ARRAYS),
    "proxy": lambda path: MappingProxyType(ARRAYS),
    "ordered": lambda path: OrderedDict(ARRAYS),
    "default": lambda path: defaultdict(list, ARRAYS),
    "own": lambda path: Lazy(),
    "npz": npz,
}


@pytest.mark.parametrize("kind", MAPPINGS)
def test_every_mapping_of_items_is_taken(kind, tmp_path, binder):
    given = MAPPINGS[kind](tmp_path)
    expected = binder().fit(ARRAYS)
    bind = binder().fit(given)
    assert bind.modality_names_ == list(ARRAYS)
    assert same(bind.transform(given), expected.transform(ARRAYS))
    assert same(bind.partial_fit(given).transform(X), expected.partial_fit(X).transform(X))
    assert bind.score(given) == expected.score(X)
    Z = bind.transform_modalities(given)
    assert Z.names == Modalities(given).names == X.names
    kept = PerModality(dict.fromkeys(ARRAYS, "passthrough")).fit_transform(given)
    assert kept.names == X.names
    assert mean_reciprocal_rank(UserDict(Z.items())) == mean_reciprocal_rank(Z)
    if kind == "own":
        before = given.n_reads
        Modalities(given)
        assert given.n_reads == before + 3


class Slow:
    """A data set of a million rows, which numpy would read one by one, a millisecond each."""

    shape = (10**6, 3)

    def __len__(self):
        return 10**6

    def __getitem__(self, i):
        time.sleep(1e-3)
        return np.ones(3)


class SlowWithoutShape(Slow):
    shape = property()


@pytest.mark.parametrize("make", [Slow, SlowWithoutShape])
def test_what_numpy_would_read_for_minutes_is_refused_at_once(make):
    array = ARRAYS["image"]
    start = time.perf_counter()
    calls = [make(), {"a": make(), "b": array}, [make(), array], {"a": [make()] * 20, "b": array}]
    for given in calls:
        with pytest.raises((TypeError, ValueError), match=make.__name__):
            quick_centro().fit(given)
        with pytest.raises((TypeError, ValueError), match=make.__name__):
            Modalities(given)
        with pytest.raises((TypeError, ValueError), match=make.__name__):
            PerModality({"a": "passthrough"}).fit(given)
    bind = quick_centro().fit(X)
    with pytest.raises((TypeError, ValueError), match=make.__name__):
        bind.transform({**ARRAYS, "image": make()})
    with pytest.raises((TypeError, ValueError), match=make.__name__):
        bind.transform_modality(make(), "image")
    for given in (make(), {"a": make(), "b": array}, [array, make()]):
        with pytest.raises((TypeError, ValueError), match=make.__name__):
            mean_reciprocal_rank(given)
    assert time.perf_counter() - start < 20


def test_iterators_are_not_consumed():
    array = ARRAYS["image"]
    for made in ((row for row in array), iter(array), map(abs, array)):
        for call in (quick_centro().fit, Modalities):
            for given in ({"a": made, "b": array}, [made, array], made):
                with pytest.raises((TypeError, ValueError), match=type(made).__name__):
                    call(given)
        np.testing.assert_array_equal(abs(next(made)), abs(array[0]))


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"u": ARRAYS["image"]}, ["'a'", "dict of ['u']", "beside the other modalities"]),
        ({1, 2}, ["'a'", "set", "no array"]),
        (object(), ["'a'", "0-D data"]),
    ],
)
def test_items_that_are_no_arrays(item, words):
    for call in (quick_centro().fit, Modalities):
        with pytest.raises(ValueError) as info:
            call({"a": item, "b": ARRAYS["image"]})
        assert all(word in str(info.value) for word in words), str(info.value)


def test_a_sparse_matrix_that_is_a_dict_is_an_item():
    matrix = sparse.dok_array(np.maximum(ARRAYS["image"], 0))
    assert Modalities({"a": matrix})["a"].format == "csr"
    with pytest.raises(TypeError, match="dok_array"):
        quick_centro().fit(matrix)


def test_rows_as_dicts_are_objects():
    rows = [{"a": 1.0}, {"b": 2.0}]
    assert Modalities({"rows": rows})["rows"].tolist() == rows
