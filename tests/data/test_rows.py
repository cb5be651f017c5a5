"""Rows of a Modalities container, selected as numpy selects them."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixed_items import make_mixed, to_dense
from numpy.testing import assert_array_equal

from skcentrobind._data.modalities import Modalities


@pytest.fixture
def X():
    return make_mixed(12, np.random.default_rng(0))


@st.composite
def sizes_and_keys(draw):
    """A length, a key, and the row numbers that the key must give, found by numpy alone."""
    n = draw(st.integers(1, 8))
    ints = st.lists(st.integers(-n, n - 1), min_size=1, max_size=10)
    bools = st.lists(st.booleans(), min_size=n, max_size=n).filter(any)
    kind = draw(st.sampled_from(["slice", "range", "int", "ints", "bools"]))
    if kind == "slice":
        key = draw(st.slices(n).filter(lambda s: len(range(n)[s]) > 0))
        rows = np.arange(n)[key]
    elif kind == "range":
        key = range(*draw(st.tuples(st.integers(0, n - 1), st.just(n), st.integers(1, 3))))
        rows = np.array(key)
    elif kind == "int":
        row = draw(st.integers(-n, n - 1))
        key = draw(st.sampled_from([int, np.int8, np.intp, np.array]))(row)
        rows = np.arange(n)[[row]]
    else:
        values = draw(ints if kind == "ints" else bools)
        rows = np.arange(n)[np.array(values)]
        forms = [list, np.array, pd.Series, pd.Index]
        if kind == "ints":
            forms.append(lambda v: np.array(v, dtype=np.int8))
            forms.append(lambda v: (np.array(v) % n).astype(np.uint64))
        else:
            forms.append(lambda v: pd.Series(v, dtype="boolean", index=range(5, 5 + n)))
            forms.append(lambda v: [np.bool_(x) for x in v])
        key = draw(st.sampled_from(forms))(values)
    return n, (key, Ellipsis) if draw(st.booleans()) else key, rows


@settings(deadline=None, max_examples=150)
@given(sizes_and_keys())
def test_rows_like_numpy(case):
    n, key, rows = case
    X = make_mixed(n, np.random.default_rng(n))
    taken = X[key]
    assert taken.names == X.names
    assert len(taken) == len(rows)
    assert taken.shape[1] == X.shape[1]
    for item, before in zip(taken.arrays, X.arrays, strict=True):
        assert type(item) is type(before)
        assert to_dense(item).dtype == to_dense(before).dtype
        assert_array_equal(to_dense(item), to_dense(before)[rows])


def test_one_row_keeps_its_axis(X):
    assert X[-1].shape == (1, 19)
    assert X[-1]["image"].shape == (1, 2, 4)
    assert_array_equal(X[-1]["image"][0], X["image"][11])


def test_frame_rows_keep_index_and_columns(X):
    assert list(X[[3, 1]]["frame"].index) == ["row3", "row1"]
    assert list(X[[3, 1]]["frame"].columns) == ["u", "v"]


@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        (12, IndexError, "index 12 is out of bounds"),
        (-13, IndexError, "index -13 is out of bounds"),
        ([0, 12], IndexError, "index 12 is out of bounds"),
        (np.ones(5, dtype=bool), IndexError, "size of axis is 12 but size of corresponding bool"),
        ([True, False], IndexError, "boolean index did not match"),
        ([], IndexError, "selects none of the 12 samples"),
        (slice(3, 3), IndexError, "selects none of the 12 samples"),
        (slice(20, None), IndexError, "selects none of the 12 samples"),
        (np.zeros(12, dtype=bool), IndexError, "selects none of the 12 samples"),
        (([], Ellipsis), IndexError, "selects none of the 12 samples"),
        (1.0, IndexError, "integer"),
        ([0.0, 1.0], IndexError, "integer"),
        (None, IndexError, "integer"),
        (Ellipsis, IndexError, "integer"),
        (True, IndexError, "Rows must be 1-D, got a 0-D key of dtype bool"),
        ([["dense"]], IndexError, "integer"),
        ([[0, 1]], IndexError, "Rows must be 1-D, got a 2-D key of dtype int"),
        ((0, 1), IndexError, "Got keys (0, 1), expected one: X[rows]"),
        ((slice(None), 0), IndexError, 'X["a"] or X[["a", "b"]]'),
        ((0, Ellipsis, 0), IndexError, "expected one"),
        (slice("dense", "image"), TypeError, "slice indices must be integers"),
    ],
)
def test_bad_rows(X, key, error, words):
    with pytest.raises(error, match=re.escape(words)):
        X[key]


def test_slices_share_memory(X):
    for key in (slice(2, 9, 3), 4, (slice(None, None, -1), Ellipsis)):
        part = X[key]
        assert np.shares_memory(part["dense"], X["dense"])
        assert np.shares_memory(part["image"], X["image"])


def test_memmap_is_kept_and_sliced_lazily(memmap):
    X = Modalities({"rows": memmap, "other": np.ones((12, 1))})
    assert X["rows"] is memmap
    part = X[2:5]
    assert isinstance(part["rows"], np.memmap)
    assert np.shares_memory(part["rows"], memmap)
    assert_array_equal(part["rows"][:, 0], [8, 12, 16])
    taken = X[[7, 0]]["rows"]
    assert not np.shares_memory(taken, memmap)
    assert_array_equal(taken[:, 0], [28, 0])
