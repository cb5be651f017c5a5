"""Statistics that a few bad rows do not move, and rows that move all others.

A row of -9999, a code for missing values, takes nearly all variance of every feature: standardised
features then hardly tell the other samples apart.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

from skcentrobind._data.warn import warn

# The interquartile range and the median absolute deviation of a standard normal variable.
_IQR, _MAD = 1.3489795003921634, 0.6744897501960817

# Robustly scaled values beyond this, in standard deviations of a normal variable, are clipped.
_CLIP = 5.0
# The same for sparse columns, in units of the quantile below of their stored absolute values.
_CLIP_SPARSE, _QUANTILE_SPARSE = 3.0, 0.9

# A modality has outliers if at most this share of its rows holds more than this share of its
# variance, and these rows are this many robust standard deviations away in half of the features.
_FEW, _MOST, _FAR = 0.01, 0.5, 10.0

# Values whose quantiles are taken at a time, so that a memory map is never in memory as a whole.
_CHUNK_VALUES = 2**22


# scikit-learn has no types, so mypy does not know the keyword.
class RobustScaler(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    r"""Centre features at the median, scale them by quartiles, and clip them.

    .. math:: z = \operatorname{clip}\left(\frac{x - \operatorname{median}}
        {(q_{75} - q_{25}) / 1.349}, -5, 5\right)

    A normal feature gets unit variance. Where half of the values are equal, as in counts and
    indicators, the median of the nonzero distances from the median replaces the range of the
    quartiles. Rows of NaN are left out.

    Attributes
    ----------
    center_ : ndarray of shape (n_features,)
        Medians.
    scale_ : ndarray of shape (n_features,)
        What the distances are divided by, inf for constant features.
    """

    def fit_array(self, array, rows=None):
        """Learn medians and scales.

        Parameters
        ----------
        array : array of shape (n_samples, ...)
            Rows of one modality.
        rows : ndarray of int, default=None
            Rows to use, None for all.

        Returns
        -------
        self : RobustScaler
        """
        parts = [
            (median, np.where(scale > 0, scale, np.inf))
            for median, scale in map(_centre_and_scale, feature_blocks(array, rows))
        ]
        self.center_, self.scale_ = (np.concatenate(part) for part in zip(*parts, strict=True))
        self.n_samples_seen_ = len(array) if rows is None else len(rows)
        self.n_features_in_ = len(self.center_)
        return self

    def transform(self, X):
        """Scale and clip rows.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Rows, which are left as they are.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features)
            NaN where X is.
        """
        return ((X - self.center_) / self.scale_).clip(-_CLIP, _CLIP)

    @property
    def limit(self):
        """Largest absolute value."""
        return _CLIP


class SparseRobustScaler(RobustScaler, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Divide sparse columns by a quantile of their stored absolute values, and clip them.

    Zeros stay zeros. Nine of ten entries of a column end within [-1, 1], the others within [-3, 3].

    Attributes
    ----------
    scale_ : ndarray of shape (n_features,)
        0.9 quantile of the nonzero entries of each column; inf where there are none.
    """

    def fit_array(self, array, rows=None):
        """Learn the scales of a csr_array; parameters as in `RobustScaler`."""
        columns = sparse.csc_array(array if rows is None else array[rows])
        self.scale_ = np.full(columns.shape[1], np.inf)
        for j in range(columns.shape[1]):
            values = np.abs(columns.data[columns.indptr[j] : columns.indptr[j + 1]])
            values = values[values > 0]  # neither NaN nor a stored zero
            if len(values):
                self.scale_[j] = np.quantile(values, _QUANTILE_SPARSE, method="lower")
        self.n_samples_seen_, self.n_features_in_ = columns.shape
        return self

    def transform(self, X):
        """Scale and clip a csr_array of float64, in place.

        Parameters
        ----------
        X : csr_array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        X : csr_array of shape (n_samples, n_features)
        """
        X.data /= self.scale_[X.indices]
        np.clip(X.data, -_CLIP_SPARSE, _CLIP_SPARSE, out=X.data)
        return X

    @property
    def limit(self):
        """Largest absolute value."""
        return _CLIP_SPARSE


def feature_blocks(array, rows=None):
    """Yield blocks of features of the rows that are present, in float64.

    Parameters
    ----------
    array : array of shape (n_samples, ...)
        Rows of one modality, dense.
    rows : ndarray of int, default=None
        Rows to use, None for all.
    """
    flat = array.reshape(len(array), -1)
    used = np.arange(len(flat)) if rows is None else rows
    used = used[~np.isnan(np.asarray(flat[used, 0], dtype=np.float64))]
    step = max(1, _CHUNK_VALUES // max(1, len(used)))
    for start in range(0, flat.shape[1], step):
        yield np.asarray(flat[:, start : start + step][used], dtype=np.float64)


def _centre_and_scale(block):
    """Return medians and robust scales of features, zero where a feature is constant."""
    low, median, high = np.quantile(block, [0.25, 0.5, 0.75], axis=0)
    scale = (high - low) / _IQR
    for j in np.flatnonzero(scale <= 0):
        scale[j] = _median_distance(np.abs(block[:, j] - median[j]))
    return median, scale


def _median_distance(distances):
    """Return the median of the nonzero distances, 0 if there are none."""
    nonzero = distances[distances > 0]
    return np.median(nonzero) if len(nonzero) else 0.0


def robust_scores(block):
    r"""Return robust z-scores, :math:`0.6745 |x - \operatorname{median}| / \operatorname{MAD}`.

    Where half of the values are equal, the median of the nonzero distances replaces MAD / 0.6745.

    Parameters
    ----------
    block : ndarray of float64 of shape (n_samples, n_features)
        Rows that are present.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_features)
        Zero for constant features.
    """
    distances = np.abs(block - np.median(block, axis=0))
    scale = np.median(distances, axis=0) / _MAD
    for j in np.flatnonzero(scale <= 0):
        scale[j] = _median_distance(distances[:, j]) or 1.0
    return distances / scale


# ---------------------------------------------------------------- shares of the variance


def shares_of_rows(array, rows=None):
    """Return the share of the variance, of all standardised features together, in each row.

    Of a sparse matrix it is the share of the sum of squares, with columns scaled to [-1, 1].

    Parameters
    ----------
    array : ndarray or csr_array of shape (n_samples, ...)
        Rows of one modality; those of NaN are missing.
    rows : ndarray of int, default=None
        Rows to use, None for all.

    Returns
    -------
    shares : ndarray of shape (n_samples,)
        They add up to 1; 0 for rows that are missing or not used.
    """
    shares = np.zeros(array.shape[0])
    if sparse.issparse(array):
        shares = _sparse_squares(array, rows)
    else:
        used = np.arange(len(array)) if rows is None else rows
        first = array.reshape(len(array), -1)[used, 0]
        used = used[~np.isnan(np.asarray(first, dtype=np.float64))]
        for block in feature_blocks(array, rows):
            squares = (block - block.mean(axis=0)) ** 2
            variance = squares.mean(axis=0)
            shares[used] += squares @ np.divide(
                1, variance, out=np.zeros_like(variance), where=variance > 0
            )
    total = shares.sum()
    return shares / total if total > 0 else shares


def _sparse_squares(array, rows):
    values = np.nan_to_num(array.data.astype(np.float64))
    largest = np.zeros(array.shape[1])
    np.maximum.at(largest, array.indices, np.abs(values))
    largest[largest == 0] = 1
    row_of = np.arange(array.shape[0]).repeat(np.diff(array.indptr))
    weights = (values / largest[array.indices]) ** 2
    squares = np.bincount(row_of, weights=weights, minlength=array.shape[0])
    if rows is not None:
        used = np.zeros(len(squares), dtype=bool)
        used[rows] = True
        squares[~used] = 0
    return squares


def outlying_rows(array, rows=None):
    """Return the few rows that hold most of the variance, if there are such.

    Parameters
    ----------
    array : ndarray or csr_array of shape (n_samples, ...)
        Rows of one modality; those of NaN are missing.
    rows : ndarray of int, default=None
        Rows to use, None for all.

    Returns
    -------
    found : ndarray of int
        Those with the largest shares first; empty if there are none.
    shares : ndarray of shape (n_samples,)
        See `shares_of_rows`.
    """
    shares = shares_of_rows(array, rows)
    n_rows = np.count_nonzero(shares)
    order = np.argsort(-shares, kind="stable")[: max(1, int(_FEW * n_rows))]
    n_needed = int(np.searchsorted(np.cumsum(shares[order]), _MOST, side="right")) + 1
    if n_needed > len(order) or n_rows < 3:
        return order[:0], shares
    order = order[shares[order] > shares[order[0]] / 10]  # the others of the same kind, too
    return (order if _is_far(array, order[0], rows) else order[:0]), shares


def _is_far(array, row, rows):
    """Return whether a row is far from the others in half of its features or more."""
    if sparse.issparse(array):
        entries = array[[row]]
        medians = SparseRobustScaler().fit_array(array, rows).scale_[entries.indices]
        return bool(np.median(np.abs(entries.data) / medians) > _FAR)
    used = np.arange(len(array)) if rows is None else rows
    used = used[~np.isnan(np.asarray(array.reshape(len(array), -1)[used, 0], dtype=np.float64))]
    at = int(np.flatnonzero(used == row)[0])
    far = [robust_scores(block)[at] for block in feature_blocks(array, rows)]
    return bool(np.median(np.concatenate(far)) > _FAR)


def warn_of_outliers(name, array, rows=None):
    """Warn about a modality in which few rows hold most of the variance.

    Parameters
    ----------
    name : str
        The modality.
    array : ndarray or csr_array of shape (n_samples, ...)
        Its rows.
    rows : ndarray of int, default=None
        Rows to use, None for all.
    """
    found, shares = outlying_rows(array, rows)
    if not len(found):
        return
    held = f"{math.floor(100 * shares[found].sum())} %"
    if len(found) == 1:
        which = f"row {found[0]} alone holds"
    else:
        listed = ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
        which = f"{len(found)} rows ({listed}) hold"
    warn(
        f"Modality '{name}': {which} {held} of the variance, so the other samples can hardly be "
        "told apart once features are standardised. Fill rows that hold a code for missing values, "
        "such as -9999, with NaN, or set standardize='robust'. skcentrobind.describe(X) shows such "
        "rows of every modality.",
    )
