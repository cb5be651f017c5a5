"""Data frames with two-level columns to Modalities and back."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mixed_items import assert_same
from numpy.testing import assert_array_equal
from scipy import sparse

from skcentrobind._data.modalities import Modalities

fast = settings(deadline=None, max_examples=50)


ok = np.ones((10, 3))


def test_frame_keeps_names_that_numpy_would_cut():
    X = Modalities({"a": np.ones((2, 1)), "a\0": np.zeros((2, 2)), "\0": np.ones((2, 3))})
    assert_same(Modalities.from_frame(X.to_frame()), X)
    assert X[["a\0"]].n_features == [2]


@fast
@given(st.data())
def test_frame_round_trip_from_arrays(data):
    n = data.draw(st.integers(1, 5))
    names = data.draw(st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True))
    dtypes = st.sampled_from([np.float64, np.float32, np.int64, np.int8, bool])
    arrays = [
        data.draw(hnp.arrays(data.draw(dtypes), (n, data.draw(st.integers(1, 3))))) for _ in names
    ]
    X = Modalities(arrays, names=names)
    back = Modalities.from_frame(X.to_frame())
    assert_same(back, X)
    assert X.to_frame().shape == X.shape
    assert all(item.flags.writeable and item.flags.c_contiguous for item in back.arrays)


def test_frame_round_trip_from_frame():
    columns = pd.MultiIndex.from_tuples(
        [("text", "b"), ("image", 0), ("text", "a"), ("image", 1)], names=["modality", "feature"]
    )
    df = pd.DataFrame(np.arange(12.0).reshape(3, 4), columns=columns, index=[5, 3, 1])
    X = Modalities.from_frame(df)
    assert X.names == ("text", "image")
    assert_array_equal(X["text"], [[0, 2], [4, 6], [8, 10]])
    assert_array_equal(X["image"], [[1, 3], [5, 7], [9, 11]])
    assert all(type(item) is np.ndarray for item in X.arrays)
    frames = Modalities({name: df[name] for name in X.names})
    expected = df[[("text", "b"), ("text", "a"), ("image", 0), ("image", 1)]]
    pd.testing.assert_frame_equal(frames.to_frame(index=df.index), expected, check_index_type=False)
    assert list(frames.to_frame().index) == list(X.to_frame().index) == [5, 3, 1]
    assert list(Modalities(list(X.arrays)).to_frame().index) == [0, 1, 2]
    assert list(frames.to_frame(index=["x", "y", "z"]).index) == ["x", "y", "z"]
    assert df.index.tolist() == [5, 3, 1]


def test_from_frame_finds_one_dtype_for_a_modality():
    df = pd.concat(
        {
            "mixed": pd.DataFrame({"flag": [True, False], "count": [1, 2], "x": [0.5, 1.5]}),
            "masked": pd.DataFrame({"m": pd.array([1, None], dtype="Int64"), "k": [1, 2]}),
            7: pd.DataFrame({"i": np.array([1, 2], dtype=np.int8)}),
        },
        axis=1,
    )
    X = Modalities.from_frame(df)
    assert X.names == ("mixed", "masked", "7")
    assert [item.dtype for item in X.arrays] == [np.float64, np.float64, np.int8]
    assert_array_equal(X["mixed"], [[1, 1, 0.5], [0, 2, 1.5]])
    assert_array_equal(X["masked"], [[1, 1], [np.nan, 2]])


@pytest.mark.parametrize("bad", [pd.DataFrame(ok), ok, None, pd.Series([1.0])])
def test_from_frame_needs_two_levels(bad):
    with pytest.raises(ValueError, match=r"two-level columns, got .* without\. Use pd\.concat"):
        Modalities.from_frame(bad)


def test_from_frame_names_the_modality_at_fault():
    df = pd.concat({"a": pd.DataFrame(ok), "b": pd.DataFrame({"u": [1j] * 10})}, axis=1)
    with pytest.raises(ValueError, match=r"Modality 'b': got dtype complex128 in column"):
        Modalities.from_frame(df)
    clash = pd.concat({1: pd.DataFrame(ok), "1": pd.DataFrame(ok)}, axis=1)
    with pytest.raises(ValueError, match=re.escape("duplicate names: ['1']")):
        Modalities.from_frame(clash)


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (sparse.csr_array(ok), "(3, float64, sparse)"),
        (np.ones((10, 2, 2)), "(2 x 2, float64, dense)"),
        (pd.concat({"u": pd.DataFrame(ok)}, axis=1), "(3, float64, DataFrame)"),
    ],
)
def test_to_frame_needs_flat_dense_items(item, kind):
    with pytest.raises(ValueError, match=re.escape(f"Modality 'odd' {kind} does not fit")) as info:
        Modalities({"fine": ok, "odd": item}).to_frame()
    assert all(fix in str(info.value) for fix in (".toarray()", ".reshape(len(X), -1)"))
