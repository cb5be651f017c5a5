"""Rank the best gallery row of a query's group, and what chance gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcentrobind.metrics._inputs import Floats

# A block of similarities takes about 16 MB of float64.
_BLOCK = 2**21


def best_ranks(
    query: Floats,
    gallery: Floats,
    query_groups: NDArray[np.int64],
    gallery_groups: NDArray[np.int64],
) -> Floats:
    """Rank, for each query, the most similar gallery row of its group among all gallery rows.

    Of t candidates that are equally similar, m of them of the group, the first of the m has on
    average the place (t + 1) / (m + 1), in random order. For m = 1 that is the mean of best and
    worst.

    Parameters
    ----------
    query : ndarray of float64 of shape (n_queries, n_components)
        The queries, finite.
    gallery : ndarray of float64 of shape (n_candidates, n_components)
        The candidates, finite.
    query_groups, gallery_groups : ndarray of int64
        Groups of both. Each query has a candidate of its group.

    Returns
    -------
    ranks : ndarray of float64 of shape (n_queries,)
        At least 1.
    """
    longest = np.linalg.norm(gallery, axis=1).max()
    # Products of equal rows may differ in the last bits: the order in which BLAS adds varies.
    rounding = 2 * np.finfo(np.float64).eps * gallery.shape[1] * longest
    slack = rounding * np.linalg.norm(query, axis=1)[:, None]
    ranks = np.empty(len(query))
    step = max(1, _BLOCK // len(gallery))
    for start in range(0, len(query), step):
        rows = slice(start, min(start + step, len(query)))
        similarity = query[rows] @ gallery.T  # (rows, n_candidates)
        same = query_groups[rows, None] == gallery_groups
        best = np.where(same, similarity, -np.inf).max(axis=1, keepdims=True)
        above = (similarity > best + slack[rows]).sum(axis=1)
        tied = np.abs(similarity - best) <= slack[rows]
        own = (tied & same).sum(axis=1)
        ranks[rows] = above + (tied.sum(axis=1) + 1) / (own + 1)
    return ranks


def group_sizes(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each sample how many samples are of its group."""
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return counts[inverse.reshape(-1)]


def chance_recall(
    n_candidates: int, sizes: Any, ks: NDArray[Any], weight: Floats | None = None
) -> Floats:
    """Return the mean chance that one of a query's group is among k random candidates.

    Parameters
    ----------
    n_candidates : int
        Size of the gallery.
    sizes : ndarray of int64 of shape (n_queries,) or int
        Number of candidates of each query's group.
    ks : ndarray of shape (n_k,)
        Values of k.
    weight : ndarray of float64 of shape (n_queries,) or None
        Weights of the queries, None if all are equal or all groups are of one size.

    Returns
    -------
    recall : ndarray of shape (n_k,)
        1 - C(n - m, k) / C(n, k), the mean over the queries.
    """
    sizes, inverse = np.unique(np.atleast_1d(sizes), return_inverse=True)
    shares = np.bincount(inverse.reshape(-1), weights=weight)
    total = np.zeros(len(ks))
    for m, share in zip(sizes, shares, strict=True):
        drawn = np.arange(n_candidates)
        missed = np.cumprod(np.clip((n_candidates - m - drawn) / (n_candidates - drawn), 0, 1))
        at = np.clip(np.asarray(ks, dtype=int), 1, n_candidates) - 1
        total += share * (1 - missed[at])
    return total / shares.sum()
