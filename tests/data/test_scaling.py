"""Standardisation of the rows, exact in any chunks."""

from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skcentrobind import Modalities
from skcentrobind._data import statistics as _statistics
from skcentrobind._data.statistics import fit_scalers, prepare_rows


def standardised(column):
    """Exact mean and variance of the numbers that are there, as fractions."""
    known = [Fraction(float(value)) for value in column if not np.isnan(value)]
    mean = sum(known) / len(known)
    scale = float(sum((value - mean) ** 2 for value in known) / len(known)) ** 0.5
    return [0.0 if np.isnan(v) else float(Fraction(float(v)) - mean) / scale for v in column]


@pytest.mark.parametrize("chunk", [12, 30, 2**22])  # values: 2, 5 or all rows of the image
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8])
def test_standardisation_is_exact_in_any_chunks(chunk, dtype):
    rng = np.random.default_rng(0)
    image = (rng.normal(size=(20, 2, 3)) * [1, 9, 1] + 100).astype(dtype)
    time = rng.normal(loc=[1e9, -1e-3], size=(20, 2))
    if dtype != np.uint8:
        image[::3] = np.nan
    with mock.patch.object(_statistics, "_CHUNK_VALUES", chunk):
        scalers = fit_scalers(Modalities({"image": image, "time": time}))
        outs = [prepare_rows("x", x, s) for x, s in zip((image, time), scalers, strict=True)]
    for out, array in zip(outs, (image, time), strict=True):
        expected = np.transpose([standardised(c) for c in array.reshape(20, -1).T])
        assert out.dtype == np.float32
        assert_allclose(out, expected, atol=2e-6)


@pytest.mark.parametrize("missing", [slice(0, 10), slice(5, 15), slice(10, 20)])
def test_long_stretches_without_a_modality(missing):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2)) * [1, 5] + 3
    X[missing] = np.nan
    with mock.patch.object(_statistics, "_CHUNK_VALUES", 8):  # four rows
        (scaler,) = fit_scalers(Modalities([X]))
    expected = np.transpose([standardised(c) for c in X.T])
    assert_allclose(prepare_rows("x", X, scaler), expected, atol=1e-6)


def test_prepared_rows_without_a_scaler():
    X = np.arange(12.0).reshape(4, 3)
    X[1] = np.nan
    out = np.full((4, 3), 7, dtype=np.float32)
    with mock.patch.object(_statistics, "_CHUNK_VALUES", 4):
        assert prepare_rows("x", X, None, out=out) is out
    assert_array_equal(out, [[0, 1, 2], [0, 0, 0], [6, 7, 8], [9, 10, 11]])


def test_constant_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    X[:, 1] = 0.1
    with pytest.warns(UserWarning, match="Modality 'a': 1 of 3 columns are constant"):
        scalers = fit_scalers(Modalities({"a": X}))
    new = np.array([[1.0, 5e9, 1.0], [np.nan] * 3])
    out = prepare_rows("a", new, scalers[0])
    assert out[0, 1] == 0
    assert out[0, [0, 2]].all()
    assert not out[1].any()
    with pytest.raises(ValueError, match="Modality 'b' is constant"):
        fit_scalers(Modalities({"a": X[:, :1], "b": np.full((30, 2), 3.0)}))


# --- in the estimators --------------------------------------------------------------------


def test_standardised_features_may_have_any_unit_and_offset(X, binder):
    other = {n: a * np.geomspace(1e-3, 1e3, a.shape[1]) + 1e4 for n, a in X.items()}
    assert_allclose(binder().fit_transform(other), binder().fit_transform(X), atol=1e-3)
    raw = binder(standardize=False)
    assert np.abs(raw.fit_transform(other) - raw.fit_transform(X)).max() > 0.1
    assert set(raw.scalers_.values()) == {None}


def test_constant_columns_are_ignored_with_a_warning(X, binder):
    # Two equal numbers whose mean is not exactly the same number must not be blown up.
    data = {name: np.column_stack([array, np.full(40, 0.1)]) for name, array in X.items()}
    bind = binder()
    with pytest.warns(UserWarning, match=r"'(image|text|audio)': 1 of \d columns are constant"):
        bind.fit(data)
    before = bind.transform(data)
    for array in data.values():
        array[:, -1] = 1e6
    assert_array_equal(bind.transform(data), before)
