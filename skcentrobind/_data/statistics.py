"""Statistics in closed form: missing rows, scales, whitening, canonical correlations.

Arrays are standardised in float64, a few rows at a time, and then converted to float32: large
offsets (time stamps, say) lose no precision, and no whole array is copied in float64.
"""

from __future__ import annotations

import math
import threading

import numpy as np
from scipy import linalg, sparse
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from threadpoolctl import threadpool_limits

from skcentrobind._data.items import is_frame
from skcentrobind._data.robust import RobustScaler, SparseRobustScaler, warn_of_outliers
from skcentrobind._data.warn import warn

#: The number of BLAS threads is global to the process: fits in several threads, each of which
#: limits and restores it, would undo one another's limit.
ALONE = threading.Lock()

# The length of an embedding is a root of squares, which must not leave float32 either.
_LARGEST_INPUT = 1e15

# About 4 MB of float64 are processed at a time.
_CHUNK_VALUES = 2**19

# The covariance of this many features takes 800 MB.
_MAX_WIDTH = 10_000


# Values that are read at a time to find missing rows, so that no memory map is read as a whole.
_CHUNK = 2**18


def find_missing(item):
    """Return which rows are missing, all NaN or None, as a bool array of shape (n_samples,)."""
    missing = np.zeros(item.shape[0], dtype=bool)
    has_columns = not isinstance(item, np.ndarray) and is_frame(item)
    if not has_columns and item.dtype.kind in "OmM":
        import pandas as pd

        # It treats an object that is itself an array as one value.
        return pd.isna(item).reshape(len(item), -1).all(axis=1)
    if not has_columns and item.dtype.kind != "f":
        return missing
    if sparse.issparse(item):
        nan_at = np.flatnonzero(np.isnan(item.data[: item.indptr[-1]]))
        row_of = np.searchsorted(item.indptr, nan_at, side="right") - 1
        n_nan = np.bincount(row_of, minlength=len(missing))
        return (n_nan > 0) & (n_nan == np.diff(item.indptr))
    # Only a row that begins with NaN can be all NaN, so most data is never read.
    first = item.iloc[:, 0] if has_columns else item[(slice(None), *[0] * (item.ndim - 1))]
    candidates = np.flatnonzero(first.isna() if has_columns else np.isnan(first))
    step = max(1, _CHUNK // math.prod(item.shape[1:]))
    for start in range(0, len(candidates), step):
        rows = candidates[start : start + step]
        is_nan = item.iloc[rows].isna().to_numpy() if has_columns else np.isnan(item[rows])
        missing[rows] = is_nan.reshape(len(rows), -1).all(axis=1)
    return missing


def row_chunks(n_samples, width):
    """Yield slices of rows that hold about `_CHUNK_VALUES` values each."""
    step = max(1, _CHUNK_VALUES // max(1, width))
    for start in range(0, n_samples, step):
        yield slice(start, min(start + step, n_samples))


def fit_scalers(X, unscaled=(), whitened=(), rows=None, robust=()):
    """Fit a scaler to the rows of every modality that are present, those without NaN.

    Parameters
    ----------
    X : Modalities
        Checked data.
    unscaled : collection of str, default=()
        Modalities whose encoders get the rows as they are, constant columns included: these cause
        no warning.
    whitened : collection of str, default=()
        Modalities whose features become uncorrelated, too, unless they are sparse.
    rows : ndarray of int, default=None
        Rows of X to use, None for all.
    robust : collection of str, default=()
        Modalities that are scaled by quantiles and clipped. The others cause a warning if few rows
        hold most of their variance.

    Returns
    -------
    scalers : list of StandardScaler, WhiteningScaler, MaxAbsScaler or RobustScaler
        Constant columns get the scale inf, so that they stay 0 whatever their values in transform.
    """
    scalers = []
    for name, item in zip(X.names, X.arrays, strict=True):
        if sparse.issparse(item):
            scalers.append(_fit_sparse(name, item, name in robust, rows))
        elif name in robust:
            scalers.append(_fit_robust(name, item, rows))
        else:
            kind = WhiteningScaler if name in whitened else StandardScaler
            scalers.append(_fit_dense(name, item, kind(), name not in unscaled, rows))
    return scalers


def _fit_robust(name, array, rows):
    scaler = RobustScaler().fit_array(array, rows)
    _check_constant(name, np.isinf(scaler.scale_), warns=True)
    return scaler


def _fit_dense(name, array, scaler, warns, rows):
    low, high = np.inf, -np.inf
    for block in _present_blocks(array, rows):
        scaler.partial_fit(block)
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
    # If a fraction f of the rows holds more than half of the variance, one of them lies more than
    # sqrt(1 / (2 f)) standard deviations from the mean in some feature.
    farthest = np.maximum(high - scaler.mean_, scaler.mean_ - low) ** 2
    n_rows = np.max(scaler.n_samples_seen_)
    if warns and (farthest > 0.5 * min(n_rows, 100) * scaler.var_).any():
        warn_of_outliers(name, array, rows)
    constant = scaler.scale_ != np.sqrt(scaler.var_)
    _check_constant(name, constant, warns)
    scaler.scale_[constant] = np.inf
    if isinstance(scaler, WhiteningScaler):
        scaler.fit_whitening(name, _present_blocks(array, rows))
    return scaler


def _check_constant(name, constant, warns):
    if constant.all():
        raise ValueError(
            f"Modality '{name}' is constant: all of its rows are equal, so it cannot tell "
            "samples apart. Leave it out, or check how it was made."
        )
    if constant.any() and warns:
        warn(
            f"Modality '{name}': {constant.sum()} of {len(constant)} columns are constant and are "
            "ignored.",
        )


def _present_blocks(array, rows):
    """Yield some rows, or all for None, in float64, without those that are missing."""
    n_rows = len(array) if rows is None else len(rows)
    for chunk in row_chunks(n_rows, math.prod(array.shape[1:])):
        block = _flat64(array[chunk if rows is None else rows[chunk]])
        block = block[~np.isnan(block[:, 0])]
        if len(block):
            yield block


def _fit_sparse(name, csr, is_robust, rows):
    """Scale each column to [-1, 1], or nine of ten of its entries: zeros stay zeros.

    Unit variance would divide a word in one of n documents by about 1 / sqrt(n), a frequent word
    by about 1, so that a row's rarest word would dominate. Here both get the maximum 1.
    """
    if is_robust:
        scaler = SparseRobustScaler().fit_array(csr, rows)
        empty = np.isinf(scaler.scale_)
    else:
        scaler = MaxAbsScaler().fit(csr if rows is None else csr[rows])  # ignores NaN
        empty = ~(scaler.max_abs_ > 0)
        warn_of_outliers(name, csr, rows)
    if empty.all():
        raise ValueError(
            f"Modality '{name}' holds nothing but zeros, so it cannot tell samples apart. Leave "
            "it out, or check how it was made."
        )
    # No warning: a part of the rows rarely contains all words of a vocabulary.
    scaler.scale_[empty] = np.inf
    return scaler


def prepare_rows(name, array, scaler, out=None):
    """Standardise rows in float64 and return them as float32, missing rows as zeros.

    Parameters
    ----------
    name : str
        Name of the modality, for the error.
    array : array of shape (n_samples, ...)
        Rows of one modality.
    scaler : StandardScaler, WhiteningScaler, RobustScaler or None
        None leaves the values as they are.
    out : ndarray of shape (n_samples, n_features), default=None
        Array to write to.

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
    """Scale sparse rows in float64 and return them as float32, missing rows as zeros.

    Parameters
    ----------
    name : str
        Name of the modality, for the error.
    csr : csr_array or csr_matrix of shape (n_samples, n_features)
        Rows of one modality.
    scaler : MaxAbsScaler, SparseRobustScaler or None
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
    if isinstance(scaler, SparseRobustScaler):
        scaler.transform(csr)
    elif scaler is not None:
        csr.data /= scaler.scale_[csr.indices]
    csr.data = csr.data.astype(np.float32)
    _finish(name, csr.data)
    return csr


def prepare(name, array, scaler):
    """Prepare rows by `prepare_sparse` or `prepare_rows`, as the array asks for."""
    return (prepare_sparse if sparse.issparse(array) else prepare_rows)(name, array, scaler)


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


# scikit-learn has no types, so mypy does not know the keyword.
class WhiteningScaler(StandardScaler, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    r"""Standardise features, then make them uncorrelated, as far as the rows determine it.

    With the correlation matrix S of n rows of p features, shrunk by the oracle approximating rule
    towards a multiple of the identity,

    .. math:: C = (1 - \rho) S + \rho \frac{\operatorname{tr} S}{p} I,

    standardised rows are multiplied by :math:`C^{-1/2}`. With few rows, or features that are
    hardly correlated, :math:`\rho` is near 1 and little changes; with many rows the features
    become uncorrelated with unit variance. Of all whitening matrices, the symmetric one keeps
    each feature closest to the original.

    Attributes
    ----------
    whitening_ : ndarray of shape (n_features, n_features)
        The matrix.
    shrinkage_ : float
        :math:`\rho`, between 0 and 1.

    References
    ----------
    Chen et al., "Shrinkage Algorithms for MMSE Covariance Estimation", IEEE Transactions on Signal
    Processing 58 (2010), equation (23); as in `sklearn.covariance.oas`, which takes all rows at
    once.
    """

    def fit_whitening(self, name, blocks):
        """Learn the matrix, once mean and scale are known.

        Parameters
        ----------
        name : str
            The modality, for the error.
        blocks : iterable of ndarray of shape (n_rows, n_features)
            All rows, in blocks.

        Returns
        -------
        self : WhiteningScaler
        """
        width, n_rows = self.n_features_in_, 0
        if width > _MAX_WIDTH:
            raise ValueError(
                f"standardize='whiten' needs the covariance of all features, but modality '{name}' "
                f"has {width} of them, more than {_MAX_WIDTH}: reduce it first, for example with "
                "PCA in PerModality, or use standardize=True."
            )
        moments = np.zeros((width, width))
        for block in blocks:
            rows = super().transform(block)
            moments += rows.T @ rows
            n_rows += len(rows)
        covariance = moments / n_rows
        trace = np.trace(covariance)
        self.shrinkage_ = shrinkage_of(np.sum(covariance**2), trace, width, n_rows)
        size = trace / width
        shrunk = (1 - self.shrinkage_) * covariance + self.shrinkage_ * size * np.eye(width)
        variances, axes = np.linalg.eigh(shrunk)
        # Rounding may give directions without variance a tiny or negative one: they become zero.
        floor = variances[-1] * width * np.finfo(float).eps
        weights = np.where(variances > floor, np.maximum(variances, floor) ** -0.5, 0.0)
        self.whitening_ = axes * weights @ axes.T
        return self

    def transform(self, X, copy=None):
        """Standardise and whiten rows.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.
        copy : bool, default=None
            As in `StandardScaler`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features)
            Whitened rows.
        """
        return super().transform(X, copy=copy) @ self.whitening_


def shrinkage_of(squares, trace, width, n_rows):
    r"""Return the oracle approximating shrinkage, from the traces of S and of S squared.

    .. math:: \rho = \frac{\alpha + \mu^2}{(n + 1)(\alpha - \mu^2 / p)},
       \quad \alpha = \frac{\operatorname{tr} S^2}{p^2}, \mu = \frac{\operatorname{tr} S}{p}

    Parameters
    ----------
    squares : float
        tr S^2, the sum of all squared covariances.
    trace : float
        tr S.
    width : int
        p, number of features.
    n_rows : int
        n, number of rows.

    Returns
    -------
    rho : float
        Between 0 and 1.
    """
    alpha, mu = squares / width**2, trace / width
    denominator = (n_rows + 1) * (alpha - mu**2 / width)
    # At least 0, but rounding may leave a tiny negative number where features are uncorrelated.
    return 1.0 if denominator <= 0 else float(min((alpha + mu**2) / denominator, 1.0))


def shrinkage_of_gram(gram, n_rows, width):
    """Return the shrinkage of the covariance of centred rows, from a Gram matrix of either side.

    Both have the same trace and the same sum of squares. For white features the rule shrinks
    everything, so it is bounded by one half; rows of low rank need a little shrinkage.
    """
    squares, trace = np.sum(gram**2) / n_rows**2, np.trace(gram) / n_rows
    return min(max(shrinkage_of(squares, trace, width, n_rows), 1e-6), 0.5)


# The order of the BLAS's sums depends on the number of threads.
@threadpool_limits.wrap(limits=1, user_api="blas")
def generalized_cca(arrays, present, n_components, shrinkage=None):
    r"""Fit linear maps to the variables that the modalities have most in common.

    With the centred rows X_m of each modality, their covariances :math:`C_m`, shrunk towards a
    multiple of the identity, the projectors :math:`P_m = X_m C_m^{-1} X_m' / n_m`, padded with
    zeros where the modality is missing, and the numbers of modalities
    :math:`D = \operatorname{diag}(c_1, \dots, c_n)` of the samples, these are

    .. math:: \max_G \operatorname{tr} G' \Bigl(\sum_m P_m - I\Bigr) G
        \quad \text{subject to} \quad G' (D - I) G = I, \qquad W_m = C_m^{-1} X_m' G / n_m.

    The value that a variable attains is the mean correlation of pairs of modalities in it, except
    for the shrinkage: 1 if all of them determine it, 0 if only one does. Where all modalities are
    present, the variables are those of Kettenring's MAXVAR. Columns of W_m are multiplied by the
    value, so that what no two modalities share has no weight in a cosine.

    Parameters
    ----------
    arrays : list of ndarray or csr_array of shape (n_present_m, n_features_m)
        Rows of every modality, of the samples that have it.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality, each at least two.
    n_components : int
        Number of variables. Those that the rows cannot determine have maps of zeros.
    shrinkage : float, default=None
        Share of the multiple of the identity in every covariance; None takes `shrinkage_of`, at
        most one half.

    Returns
    -------
    weights : list of ndarray of shape (n_features_m, n_components)
        W_m, weighted.
    means : list of ndarray of shape (n_features_m,)
        Mean of the rows of each modality, to be subtracted first.
    agreement : ndarray of shape (n_components,)
        Value of each variable, largest first.

    References
    ----------
    Kettenring, "Canonical analysis of several sets of variables", Biometrika 58 (1971).
    """
    scale = (present.sum(axis=1) - 1.0) ** -0.5
    total = -np.diag(scale**2)
    solvers = []
    for array, has in zip(arrays, present.T, strict=True):
        solver = _Projector(array, shrinkage)
        total[np.ix_(has, has)] += scale[has, None] * solver.projector() * scale[has]
        solvers.append(solver)
    # All of them: LAPACK's search for the largest ones loses some of those that are equal.
    values, axes = linalg.eigh(total)
    agreement = values[::-1][:n_components].clip(0)
    agreement[agreement < 1e-8] = 0
    axes = axes[:, ::-1][:, :n_components]  # (n_samples, up to n_components)
    # The sign is free: the largest entry is made positive, whatever the units of the features.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    variables = scale[:, None] * axes * agreement
    padding = (0, n_components - len(agreement))
    weights = [
        np.pad(solver.map_to(variables[has]), ((0, 0), padding))
        for solver, has in zip(solvers, present.T, strict=True)
    ]
    return weights, [solver.mean for solver in solvers], np.pad(agreement, padding)


class _Projector:
    """Regression on centred rows with a shrunk covariance, on the shorter side of their matrix.

    Parameters
    ----------
    rows : ndarray or csr_array of shape (n_rows, n_features)
        Wide sparse rows are never made dense.
    shrinkage : float or None
        See `generalized_cca`.
    """

    def __init__(self, rows, shrinkage):
        n_rows, width = rows.shape
        self.is_wide = width > n_rows
        self.mean = np.asarray(rows.mean(axis=0, dtype=np.float64)).ravel()
        if sparse.issparse(rows) and self.is_wide:
            self.rows = rows.astype(np.float64)
            gram = (self.rows @ self.rows.T).toarray()
            # (x - mean) . (y - mean), summed over the axis of the features.
            shift = self.rows @ self.mean
            self.gram = gram - shift[:, None] - shift + self.mean @ self.mean
        else:
            self.rows = (rows.toarray() if sparse.issparse(rows) else rows) - self.mean
            self.gram = self.rows @ self.rows.T if self.is_wide else self.rows.T @ self.rows
        rho = shrinkage_of_gram(self.gram, n_rows, width) if shrinkage is None else shrinkage
        # n times the mean variance, the same on either side.
        ridge = rho * n_rows * (np.trace(self.gram) / n_rows) / width or 1.0
        # n C, on either side.
        shrunk = (1 - rho) * self.gram + ridge * np.eye(len(self.gram))
        self.factor = linalg.cho_factor(shrunk)

    def projector(self):
        """Return X C^-1 X' / n."""
        if self.is_wide:
            return linalg.cho_solve(self.factor, self.gram)
        return self.rows @ linalg.cho_solve(self.factor, self.rows.T)

    def map_to(self, variables):
        """Return C^-1 X' G / n."""
        if not self.is_wide:
            return linalg.cho_solve(self.factor, self.rows.T @ variables)
        dual = linalg.cho_solve(self.factor, variables)
        weights = self.rows.T @ dual
        if sparse.issparse(self.rows):  # not centred yet
            weights -= np.outer(self.mean, dual.sum(axis=0))
        return weights
