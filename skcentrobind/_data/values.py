"""The numbers of checked modalities: dense or CSR, finite, with something for every sample."""

import math

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array

from skcentrobind._data.forms import is_frame
from skcentrobind._data.items import find_absent

# Values looked at at a time when data are searched for NaN and infinity.
_CHUNK_VALUES = 2**20

# Encoders compute in float32.
_LARGEST = np.finfo(np.float32).max


def plain_items(X, is_sparse):
    """Yield names and numeric arrays, CSR where the modality was sparse in fit."""
    for (name, array), wants_sparse in zip(X.items(), is_sparse, strict=False):
        if is_frame(array):
            if hasattr(array, "sparse"):
                raise TypeError(
                    f"Modality '{name}' is a DataFrame of sparse columns. Pass it as a matrix, "
                    "df.sparse.to_coo(), which stays sparse, or as df.sparse.to_dense()."
                )
            array = check_array(array, ensure_all_finite="allow-nan", input_name=name)
        if sparse.issparse(array) and not wants_sparse:
            raise TypeError(
                f"Modality '{name}' is a sparse matrix, but was dense in fit. Use .toarray(), or "
                "fit on a sparse matrix."
            )
        if wants_sparse:
            if not sparse.issparse(array):
                # Once its zeros are gone, a NaN among them would be all that the row has.
                check_finite(name, array, ~find_absent(array))
            array = sparse.csr_array(array)
            if not array.has_canonical_format:
                # In a copy, since the matrix is the user's.
                array = array.copy()
                array.sum_duplicates()
        yield name, array


def check_values(X, present, reset):
    """Refuse infinities, rows that are partly NaN, and samples or modalities without data."""
    for m, (name, array) in enumerate(X.items()):
        check_finite(name, array, present[:, m])
        n_present = int(present[:, m].sum())
        if reset and n_present < 2:
            raise ValueError(
                f"Modality '{name}' is present in {n_present} of {len(X)} samples, but at least 2 "
                "are needed to learn its encoder; leave the modality out, or let cross-validation "
                "shuffle the rows."
            )
    empty = np.flatnonzero(~present.any(axis=1))
    if len(empty):
        raise ValueError(
            f"{len(empty)} of {len(X)} samples have no modality at all (only NaN), for example "
            f"row {empty[0]}; drop these rows: X[X.present.any(axis=1)]."
        )


def check_finite(name, array, present):
    """Refuse infinities, and NaN in rows that are present."""
    if array.dtype.kind != "f":
        return
    if sparse.issparse(array):
        # Stored entries one below the other, each present if its row is.
        row_of = np.arange(len(present)).repeat(np.diff(array.indptr))
        bad = np.flatnonzero(~(np.abs(array.data) <= _LARGEST) & present[row_of])
        if len(bad):
            row = row_of[bad[0]]
            _refuse_row(name, array.data[row_of == row], row)
        return
    step = max(1, _CHUNK_VALUES // math.prod(array.shape[1:]))
    for start in range(0, len(array), step):
        block = array[start : start + step]
        # False where a value is NaN, too.
        if block.min() >= -_LARGEST and block.max() <= _LARGEST:
            continue
        block = block.reshape(len(block), -1)[present[start : start + step]]
        bad = ~(np.abs(block) <= _LARGEST)
        if not bad.any():
            continue
        within = int(np.flatnonzero(bad.any(axis=1))[0])
        row = start + int(np.flatnonzero(present[start : start + step])[within])
        _refuse_row(name, block[within], row)


def _refuse_row(name, values, row):
    """Say what is wrong with the values of a row, of which some are NaN or too large."""
    bad = ~(np.abs(values) <= _LARGEST)
    if not np.isnan(values).any():
        raise ValueError(
            f"Modality '{name}' contains infinity or a value too large for float32, first in "
            f"row {row}. Clip or rescale it, or mark the sample as lacking the modality by a "
            "row of NaN."
        )
    raise ValueError(
        f"Modality '{name}' contains NaN in {int(bad.sum())} of {len(values)} "
        f"values of row {row}. A whole row of NaN means that the sample lacks the modality; a "
        "partly missing row must be imputed first, for example with SimpleImputer."
    )
