"""Equal values in any form give equal numbers; the form of the memory is not data."""

import numpy as np
import pandas as pd
import pytest
from conftest import draw, quick_centro, same
from scipy import sparse

from skcentrobind import Modalities

WHOLE = [np.round(2 * item).astype(np.int64) for item in draw(30)[0].arrays[:2]]
COUNTS = [np.maximum(item, 0) for item in WHOLE]


def read_only(array):
    array = array.copy()
    array.setflags(write=False)
    return array


DENSE = {
    "fortran": np.asfortranarray,
    "backwards": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "strided": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "read-only": read_only,
    "list": lambda a: a.tolist(),
    "frame": pd.DataFrame,
    "nullable": lambda a: pd.DataFrame(a).astype("Int64"),
    "nullable float": lambda a: pd.DataFrame(a).astype("Float32"),
    "mixed frame": lambda a: pd.DataFrame(a).astype({0: np.float32, 1: np.int8}),
    "vectors": lambda a: pd.Series(list(a)),
    **{
        code: lambda a, code=code: a.astype(code)
        for code in ("i1", "i2", "i4", "f2", "f4", "f8", ">i2", ">i4", ">f2", ">f4", ">f8")
    },
}


@pytest.fixture(scope="module")
def expected():
    return quick_centro().fit_transform([item.astype(np.float64) for item in WHOLE])


@pytest.mark.parametrize("form", DENSE)
def test_dense(form, expected):
    items = [DENSE[form](item) for item in WHOLE]
    assert same(quick_centro().fit_transform(items), expected)


def with_zeros(matrix):
    """A CSR array that stores every zero."""
    n_rows, n_columns = matrix.shape
    columns = np.tile(np.arange(n_columns), n_rows)
    ends = n_columns * np.arange(n_rows + 1)
    return sparse.csr_array((matrix.ravel().astype(np.float64), columns, ends), matrix.shape)


def unsorted(matrix):
    csr = sparse.csr_array(matrix.astype(np.float64))
    for start, end in zip(csr.indptr[:-1], csr.indptr[1:], strict=True):
        csr.indices[start:end] = csr.indices[start:end][::-1].copy()
        csr.data[start:end] = csr.data[start:end][::-1].copy()
    return sparse.csr_array((csr.data, csr.indices, csr.indptr), csr.shape)


def duplicated(matrix):
    """Every entry in two halves."""
    csr = sparse.csr_array(matrix.astype(np.float64))
    twice = (np.repeat(csr.data / 2, 2), np.repeat(csr.indices, 2), 2 * csr.indptr)
    return sparse.csr_array(twice, csr.shape)


def cancelled(matrix):
    """Duplicate entries that add up to a zero that is not there."""
    full = with_zeros(matrix)
    data = np.column_stack([full.data + 1.0, np.full(full.nnz, -1.0)]).ravel()
    return sparse.csr_array((data, np.repeat(full.indices, 2), 2 * full.indptr), full.shape)


SPARSE = {
    "zeros": with_zeros,
    "zeros in a matrix": lambda m: sparse.csr_matrix(with_zeros(m)),
    "zeros by column": lambda m: sparse.csc_array(with_zeros(m).tocsc()),
    "negative zeros": lambda m: with_zeros(np.where(m == 0, -0.0, m)),
    "zeros by coordinates": lambda m: sparse.coo_array(with_zeros(m)),
    "blocks": lambda m: sparse.bsr_array(m.astype(float), blocksize=(2, 1)),
    "larger blocks": lambda m: sparse.bsr_matrix(m.astype(float), blocksize=(5, 1)),
    "diagonals": lambda m: sparse.dia_array(m.astype(float)),
    "unsorted": unsorted,
    "duplicated": duplicated,
    "cancelled": cancelled,
    **{
        kind.__name__: lambda m, kind=kind: kind(m.astype(float))
        for kind in (sparse.csc_array, sparse.coo_array, sparse.lil_array, sparse.dok_array)
    },
    **{
        code: lambda m, code=code: sparse.csr_array(m.astype(code))
        for code in ("u1", "i4", "i8", "f4")
    },
    "whole zeros": lambda m: with_zeros(m).astype(np.int32),
}


@pytest.fixture(scope="module", params=["gaussian", "mask", None])
def augmented(request):
    options = {"augmentation": request.param, "pretrain_epochs": 1}
    items = [sparse.csr_array(item.astype(np.float64)) for item in COUNTS]
    bind = quick_centro(**options).fit(items)
    return options, items, bind, bind.transform(items)


@pytest.mark.parametrize("form", SPARSE)
def test_sparse(form, augmented):
    options, items, bind, expected = augmented
    given = [SPARSE[form](item) for item in COUNTS]
    before = [item.copy() for item in given]
    assert same(quick_centro(**options).fit_transform(given), expected)
    assert same(bind.transform(given), expected)
    for m, item in enumerate(given):
        one = bind.transform_modality(item, m)
        assert same(one, bind.transform_modality(items[m], m))
    for item, old in zip(given, before, strict=True):
        # The matrix of the user stays as it is, zeros included.
        assert item.nnz == old.nnz
        np.testing.assert_array_equal(item.toarray(), old.toarray())


def test_sparse_flags():
    flags = [item > 0 for item in COUNTS]
    expected = quick_centro().fit_transform([sparse.csr_array(f.astype(float)) for f in flags])
    assert same(quick_centro().fit_transform(list(map(sparse.csr_array, flags))), expected)
    stored = [with_zeros(f).astype(bool) for f in flags]
    assert same(quick_centro().fit_transform(stored), expected)


def test_stored_zeros_do_not_hide_a_row_that_is_partly_missing():
    matrix = with_zeros(COUNTS[0])
    row = matrix.toarray()[4]
    matrix.data[matrix.indptr[4] + int(np.flatnonzero(row == 0)[0])] = np.nan
    with pytest.raises(ValueError, match=r"'modality0' contains NaN in 1 of 6 values of row 4"):
        quick_centro().fit([matrix, COUNTS[1]])
    missing = COUNTS[0].astype(float)
    missing[4] = np.nan
    X = Modalities([with_zeros(missing), COUNTS[1]])
    assert X.present[:, 0].tolist() == [i != 4 for i in range(30)]
    one_nan = sparse.csr_array(np.where(np.isnan(missing), 0, missing)).tolil()
    one_nan[4, 3] = np.nan
    assert same(quick_centro().fit_transform(X), quick_centro().fit_transform([one_nan, COUNTS[1]]))
