"""Presence of samples in each modality, read from rows that are NaN."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mixed_items import to_dense
from numpy.testing import assert_array_equal
from scipy import sparse

from skcentrobind._data import statistics as _statistics
from skcentrobind._data.modalities import Modalities

fast = settings(deadline=None, max_examples=50)


def naive_present(X):
    columns = []
    for item in X.arrays:
        rows = to_dense(item).reshape(len(X), -1)
        columns.append([not all(value != value for value in row) for row in rows])
    return np.array(columns).T


@fast
@given(
    data=st.data(),
    shape=hnp.array_shapes(min_dims=2, max_dims=4, max_side=5),
    chunk=st.sampled_from([1, 3, 2**18]),
)
def test_present_matches_a_loop(data, shape, chunk):
    values = st.sampled_from([0.0, 1.0, np.nan, np.nan])
    dense = data.draw(hnp.arrays(np.float32, shape, elements=values))
    flat = data.draw(hnp.arrays(float, (shape[0], 2), elements=values))
    X = Modalities([dense, pd.DataFrame(flat), np.zeros((shape[0], 1), dtype=int)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_statistics, "_CHUNK", chunk)
        present = X.present
    assert present.dtype == bool
    assert present.shape == (shape[0], 3)
    assert_array_equal(present, naive_present(X))


def test_present_of_sparse():
    nan = np.nan
    # stored: nothing | one value | all NaN | NaN and a value | NaN in one position only
    data = np.array([1.0, nan, nan, nan, 2.0, nan])
    csr = sparse.csr_array((data, [0, 0, 1, 0, 1, 1], [0, 0, 1, 3, 5, 6]), shape=(5, 2))
    for item in (csr, csr.astype(np.float32), sparse.csr_matrix(csr)):
        assert_array_equal(Modalities([item]).present[:, 0], [True, True, False, True, False])
    # entries behind the last row, as left by a resize, belong to no row
    longer = sparse.csr_array(csr)
    longer.data = np.append(longer.data, nan)
    longer.indices = np.append(longer.indices, 0)
    assert_array_equal(Modalities([longer]).present, Modalities([csr]).present)
    assert Modalities([sparse.csr_array(np.eye(3, dtype=int))]).present.all()


def test_present_of_frames():
    frame = pd.DataFrame(
        {
            "float": [np.nan, 1.0, np.nan],
            "masked": pd.array([None, None, 3], dtype="Int64"),
            "sparse": pd.arrays.SparseArray([np.nan, np.nan, np.nan]),
        }
    )
    assert_array_equal(Modalities([frame]).present[:, 0], [False, True, True])
    assert_array_equal(Modalities([frame.iloc[:, ::-1]]).present[:, 0], [False, True, True])


def test_present_follows_the_array_and_the_rows():
    array = np.ones((4, 2))
    X = Modalities({"a": array, "b": np.ones((4, 1), dtype=bool)})
    assert X.present.all()
    array[2] = np.nan
    assert_array_equal(X.present[:, 0], [True, True, False, True])
    assert_array_equal(X[[2, 0]].present, [[False, True], [True, True]])


def test_present_never_copies_a_memmap_whole(tmp_path):
    array = np.memmap(tmp_path / "big.dat", dtype="f4", mode="w+", shape=(8000, 512))
    array[:] = np.nan
    array[17, 300] = 0
    X = Modalities([array])
    tracemalloc.start()
    present = X.present
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_array_equal(np.flatnonzero(present), [17])
    assert peak < array.nbytes / 4, f"{peak} bytes for an array of {array.nbytes}"
