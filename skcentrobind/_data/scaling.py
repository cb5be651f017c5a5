"""Scalers, and rows of float32 that they prepare.

Arrays are standardised in float64, a few rows at a time, and then become float32: large offsets
(time stamps, say) lose nothing, and no copy of a whole float64 array is made.
"""

import math
import warnings

import numpy as np
from scipy import sparse
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from skcentrobind._data.whitening import WhiteningScaler

# The length of an embedding is a root of squares, which must not leave float32 either.
_LARGEST_INPUT = 1e15

# About 4 MB of float64 are in flight at a time.
_CHUNK_VALUES = 2**19


def row_chunks(n_samples, width):
    """Yield slices of rows that hold about `_CHUNK_VALUES` values each."""
    step = max(1, _CHUNK_VALUES // max(1, width))
    for start in range(0, n_samples, step):
        yield slice(start, min(start + step, n_samples))


def fit_scalers(X, unscaled=(), whitened=(), rows=None):
    """Fit a scaler to the rows of every modality that are present, those without NaN.

    Parameters
    ----------
    X : Modalities
        Checked data.
    unscaled : collection of str, default=()
        Modalities whose encoders get the rows as they are, constant columns included, so that no
        warning is due.
    whitened : collection of str, default=()
        Modalities whose features become uncorrelated, too, unless they are sparse.
    rows : ndarray of int, default=None
        Those of X to look at, None for all.

    Returns
    -------
    scalers : list of StandardScaler, WhiteningScaler or MaxAbsScaler
        Constant columns get the scale inf, so that they stay 0 whatever comes at transform.
    """
    scalers = []
    for name, item in X.items():
        if sparse.issparse(item):
            scalers.append(_fit_sparse(name, item if rows is None else item[rows]))
        else:
            kind = WhiteningScaler if name in whitened else StandardScaler
            scalers.append(_fit_dense(name, item, kind(), name not in unscaled, rows))
    return scalers


def _fit_dense(name, array, scaler, warns, rows):
    for block in _present_blocks(array, rows):
        scaler.partial_fit(block)
    constant = scaler.scale_ != np.sqrt(scaler.var_)
    if constant.all():
        raise ValueError(
            f"Modality '{name}' is constant: all of its rows are equal, so it cannot tell "
            "samples apart. Leave it out, or check how it was made."
        )
    if constant.any() and warns:
        warnings.warn(
            f"Modality '{name}': {constant.sum()} of {len(constant)} columns are constant and are "
            "ignored.",
            UserWarning,
            stacklevel=6,
        )
    scaler.scale_[constant] = np.inf
    if isinstance(scaler, WhiteningScaler):
        scaler.fit_whitening(name, _present_blocks(array, rows))
    return scaler


def _present_blocks(array, rows):
    """Yield some rows, or all for None, in float64, without those that are absent."""
    n_rows = len(array) if rows is None else len(rows)
    for chunk in row_chunks(n_rows, math.prod(array.shape[1:])):
        block = _flat64(array[chunk if rows is None else rows[chunk]])
        block = block[~np.isnan(block[:, 0])]
        if len(block):
            yield block


def _fit_sparse(name, csr):
    """Scale each column to [-1, 1]: zeros stay zeros.

    Unit variance would divide a word in one of n documents by about 1 / sqrt(n), a frequent word
    by about 1, so that a row's rarest word would drown all others. Here both end at 1.
    """
    scaler = MaxAbsScaler().fit(csr)  # passes over NaN
    empty = ~(scaler.max_abs_ > 0)
    if empty.all():
        raise ValueError(
            f"Modality '{name}' holds nothing but zeros, so it cannot tell samples apart. Leave "
            "it out, or check how it was made."
        )
    # No warning: on a part of the rows, some words of a vocabulary are always missing.
    scaler.scale_[empty] = np.inf
    return scaler


def prepare_rows(name, array, scaler, out=None):
    """Standardise rows in float64 and return them as float32, absent rows as zeros.

    Parameters
    ----------
    name : str
        Of the modality, for the error.
    array : array of shape (n_samples, ...)
        Rows of one modality.
    scaler : StandardScaler, WhiteningScaler or None
        None leaves the values as they are.
    out : ndarray of shape (n_samples, n_features), default=None
        Where to write.

    Returns
    -------
    out : ndarray of float32 of shape (n_samples, n_features)
        Prepared rows, with trailing axes flattened.

    Raises
    ------
    ValueError
        If they are too large to compute with.
    """
    width = math.prod(array.shape[1:])
    if out is None:
        out = np.empty((len(array), width), dtype=np.float32)
    for rows in row_chunks(len(array), width):
        block = _flat64(array[rows])
        if scaler is not None:
            block = scaler.transform(block)
        # Never in `block`, which may be the user's own array.
        out[rows] = block
        _finish(name, out[rows])
    return out


def prepare_sparse(name, csr, scaler):
    """Scale sparse rows in float64 and return them as float32, absent rows as zeros.

    Parameters
    ----------
    name : str
        Of the modality, for the error.
    csr : csr_array or csr_matrix of shape (n_samples, n_features)
        Rows of one modality.
    scaler : MaxAbsScaler or None
        None leaves the values as they are.

    Returns
    -------
    out : csr_array of float32 of shape (n_samples, n_features)
        Prepared rows; never the memory of `csr`.

    Raises
    ------
    ValueError
        If they are too large to compute with.
    """
    csr = sparse.csr_array(csr, dtype=np.float64, copy=True)
    if scaler is not None:
        csr.data /= scaler.scale_[csr.indices]
    csr.data = csr.data.astype(np.float32)
    _finish(name, csr.data)
    return csr


def _finish(name, values):
    """Set NaN to zero, in place, and refuse what is too large."""
    np.nan_to_num(values, copy=False, nan=0.0)
    if values.size and max(values.max(), -values.min()) > _LARGEST_INPUT:
        raise ValueError(
            f"Modality '{name}' has values too large for float32 once prepared (beyond "
            f"{_LARGEST_INPUT:g}): rescale it, or look for outliers that were not there in fit."
        )


def _flat64(rows):
    return np.asarray(rows, dtype=np.float64).reshape(len(rows), -1)
