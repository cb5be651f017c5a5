"""Radial basis functions of rows, and the landmarks that stand for all of them.

With the kernel k(x, y) = exp(-r |x - y|^2) and landmarks l_1, ..., l_L, the whitened features

    phi(x) = K^(-1/2) (k(x, l_1), ..., k(x, l_L)),  K = (k(l_i, l_j)),

have inner products that approximate the kernel (Nystroem), exactly so between landmarks. They are
then standardised like any other features.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse
from threadpoolctl import threadpool_limits

#: Landmarks of a modality: K and its root take 16 MB of float64. Their rows take 256 MB of float32
#: at most, so that there are fewer of wide ones.
MAX_LANDMARKS, MAX_VALUES = 1_000, 2**26

# Fewer landmarks represent a modality badly.
_ENOUGH = 256

# Eigenvalues of K below this share of the largest one are rounding errors of float32.
_FLOOR = 1e-5


class Landmarks(NamedTuple):
    """What phi is made of.

    Attributes
    ----------
    rate : float
        r, the factor of the squared distance.
    rows : ndarray of float32 of shape (n_landmarks, n_features)
        The landmarks.
    whitening : ndarray of float32 of shape (n_landmarks, n_landmarks)
        K^(-1/2), each column divided by the standard deviation of its feature.
    centre : ndarray of float32 of shape (n_landmarks,)
        Mean similarity of the rows to each landmark. It is subtracted before the whitening, which
        amplifies rounding errors.
    """

    rate: float
    rows: np.ndarray
    whitening: np.ndarray
    centre: np.ndarray


def is_wide(n_features):
    """Return whether rows are so wide that memory has no room for enough landmarks."""
    return _ENOUGH * n_features > MAX_VALUES


def total_variance(rows):
    """Return the sum of the variances of all features, 1 if the rows are all equal.

    Parameters
    ----------
    rows : ndarray or csr_array of shape (n_rows, n_features)
        Prepared rows.
    """
    if sparse.issparse(rows):
        mean = np.asarray(rows.mean(axis=0, dtype=np.float64)).ravel()
        found = (rows.data.astype(np.float64) ** 2).sum() / rows.shape[0] - mean @ mean
    else:
        found = rows.var(axis=0, dtype=np.float64).sum()
    return float(found) if found > 0 else 1.0


def similarities(rows, others, rate):
    """Return exp(-rate |x - y|^2) of all pairs, in float64.

    Parameters
    ----------
    rows, others : ndarray or csr_array of shape (n_rows, n_features), (n_others, n_features)
        Prepared rows.
    rate : float
        Factor of the squared distance.

    Returns
    -------
    k : ndarray of float64 of shape (n_rows, n_others)
    """
    rows, others = (
        part.astype(np.float64) if part.dtype != np.float64 else part for part in (rows, others)
    )
    products = rows @ others.T
    if sparse.issparse(products):
        products = products.toarray()
    squares = _squares(rows)[:, None] + _squares(others) - 2 * products
    return np.exp(-rate * np.maximum(squares, 0))


def _squares(rows):
    if sparse.issparse(rows):
        return np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", rows, rows)


# The order of the BLAS's sums depends on the number of threads.
@threadpool_limits.wrap(limits=1, user_api="blas")
def fit_landmarks(rows, gamma, n_landmarks, seed):
    """Choose landmarks, and standardise the features that they give.

    Parameters
    ----------
    rows : ndarray or csr_array of shape (n_rows, n_features)
        Prepared rows of one modality.
    gamma : float
        Inverse of the squared width of the kernel, as a multiple of 1 / `total_variance`.
    n_landmarks : int
        How many; beyond the number of rows they are zero and have no weight.
    seed : int
        Seed of the choice.

    Returns
    -------
    landmarks : Landmarks
    """
    n_rows, width = rows.shape
    n_chosen = min(n_rows, n_landmarks)
    chosen = np.sort(np.random.RandomState(seed).permutation(n_rows)[:n_chosen])
    some = rows[chosen]
    some = (some.toarray() if sparse.issparse(some) else some).astype(np.float32)
    rate = gamma / total_variance(rows)
    values, axes = linalg.eigh(similarities(some, some, rate))
    kept = values > _FLOOR * values[-1]
    root = axes[:, kept] * values[kept] ** -0.5 @ axes[:, kept].T
    near = similarities(rows, some, rate)
    mean = near.mean(axis=0)
    deviation = ((near - mean) @ root).std(axis=0)
    inverse = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0.0)
    filled = np.zeros((n_landmarks, width), dtype=np.float32)
    filled[:n_chosen] = some
    whitening = np.zeros((n_landmarks, n_landmarks), dtype=np.float32)
    whitening[:n_chosen, :n_chosen] = root * inverse
    centre = np.zeros(n_landmarks, dtype=np.float32)
    centre[:n_chosen] = mean
    return Landmarks(rate, filled, whitening, centre)
