"""Rank the samples of pairs of modalities, and summarise the ranks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from skcentrobind._data.warn import warn
from skcentrobind.metrics._group_ranks import best_ranks, group_sizes
from skcentrobind.metrics._inputs import Bools, Embeddings, Floats
from skcentrobind.metrics._ranks import compute_ranks

#: Positions of the query modalities and of the gallery modality.
Pair: TypeAlias = tuple[tuple[int, ...], int]

# Ties are worth a warning if this share of the queries, of at least so many, has some.
_MANY = 0.25
_FEW = 20


def reciprocal(ranks: Floats, weight: Floats | None = None) -> float:
    """Return the mean of 1 / rank."""
    return float(np.average(1 / ranks, weights=weight))


def recall(ranks: Floats, k: int, weight: Floats | None = None) -> float:
    """Return the share of ranks up to k."""
    return float(np.average(ranks <= k, weights=weight))


def median(ranks: Floats, weight: Floats | None = None) -> float:
    """Return the median rank: with weights the middle of the ranks that halve their sum."""
    if weight is None:
        return float(np.median(ranks))
    order = np.argsort(ranks)
    share = np.cumsum(weight[order]) / weight.sum()
    # Beyond rounding: where a half is reached exactly, the two neighbours count equally.
    low = np.searchsorted(share, 0.5 - 1e-12)
    high = min(int(np.searchsorted(share, 0.5 + 1e-12)), len(order) - 1)
    return float((ranks[order[low]] + ranks[order[high]]) / 2)


def mean_over_pairs(
    Z: Embeddings,
    summary: Callable[[Floats, Floats | None], float],
    pairs: list[Pair] | None = None,
    *,
    warns: bool = True,
) -> float:
    """Return the mean over pairs of modalities of a summary of the ranks.

    Parameters
    ----------
    Z : Embeddings
        The modalities.
    summary : callable
        Function of ranks of shape (n_samples,), and of their weights or None, that returns a
        number.
    pairs : list of ((int, ...), int), default=None
        Positions of query and gallery modalities; every ordered pair of two if None.
    warns : bool, default=True
        Whether to warn of ties.

    Returns
    -------
    mean : float
    """
    if pairs is None:
        pairs = all_pairs(len(Z.names))
    values = [summary(found.ranks, found.weight) for found in ranks_of_pairs(Z, pairs, warns=warns)]
    return float(np.mean(values))


def all_pairs(n_modalities: int) -> list[Pair]:
    """Return every ordered pair ((query,), gallery) of positions of different modalities."""
    return [((q,), g) for q, g in itertools.permutations(range(n_modalities), 2)]


def subset_pairs(n_modalities: int) -> list[Pair]:
    """Pair every subset of two or more with every modality outside it, small subsets first."""
    every = range(n_modalities)
    return [
        (query, gallery)
        for size in range(2, n_modalities)
        for query in itertools.combinations(every, size)
        for gallery in every
        if gallery not in query
    ]


class Ranked(NamedTuple):
    """Ranks of one pair of modalities.

    Attributes
    ----------
    query : tuple of int
        Positions of the query modalities.
    gallery : int
        Position of the gallery modality.
    ranks : ndarray of float64 of shape (n_shared,)
        Ranks of the samples that have all of them.
    weight : ndarray of float64 of shape (n_shared,) or None
        Weights of these samples.
    sizes : ndarray of int64 of shape (n_shared,) or int
        Sizes of their groups among these samples.
    """

    query: tuple[int, ...]
    gallery: int
    ranks: Floats
    weight: Floats | None
    sizes: Any


def ranks_of_pairs(Z: Embeddings, pairs: list[Pair], *, warns: bool = True) -> list[Ranked]:
    """Rank the gallery rows for all queries of some pairs of modalities.

    Parameters
    ----------
    Z : Embeddings
        The modalities.
    pairs : list of ((int, ...), int)
        Positions of the query modalities, which are used together if there are several, and of the
        gallery modality.
    warns : bool, default=True
        Whether to warn of ties.

    Returns
    -------
    found : list of Ranked
        One for each pair whose modalities share at least two samples.

    Raises
    ------
    ValueError
        If there is no such pair.
    """
    # Queries for the same rows of a gallery share the products with it.
    groups: dict[tuple[int, bytes], tuple[Bools, list[tuple[int, ...]]]] = {}
    for query, gallery in pairs:
        rows: Bools = np.all(Z.counted[:, [*query, gallery]], axis=1)
        if rows.sum() > 1:
            groups.setdefault((gallery, rows.tobytes()), (rows, []))[1].append(query)
    if not groups:
        raise ValueError(
            "Retrieval needs at least two modalities that share at least two samples; "
            + (f"of {Z.names} none do." if len(Z.names) > 1 else f"got {Z.names} alone.")
        )
    found: dict[Pair, Ranked] = {}
    tied: list[Bools] = []
    for (gallery, _), (rows, queries) in groups.items():
        members = sorted({m for query in queries for m in query})
        positions = [tuple(members.index(m) for m in query) for query in queries]
        arrays = [Z.arrays[m][rows] for m in members]
        target = Z.arrays[gallery][rows]
        weight = None if Z.sample_weight is None else Z.sample_weight[rows]
        if Z.groups is None:
            all_ranks, ties = zip(*compute_ranks(arrays, target, positions), strict=True)
            tied += ties
            sizes: Any = 1
        else:
            codes = Z.groups[rows]
            centroids = [np.mean([arrays[m] for m in at], axis=0) for at in positions]
            all_ranks = tuple(best_ranks(query, target, codes, codes) for query in centroids)
            sizes = group_sizes(codes)
        for query, ranks in zip(queries, all_ranks, strict=True):
            found[query, gallery] = Ranked(query, gallery, ranks, weight, sizes)
    if warns:
        warn_of_ties(tied)
    return [found[pair] for pair in pairs if pair in found]


def warn_of_ties(tied: Sequence[Bools]) -> None:
    """Warn if many queries have other candidates that are as similar as their own.

    Parameters
    ----------
    tied : sequence of ndarray of bool of shape (n_samples,)
        Which queries do, for some pairs of modalities.
    """
    shares = [float(np.mean(one)) for one in tied if len(one) >= _FEW]
    if shares and max(shares) >= _MANY:
        warn(
            f"For {max(shares):.0%} of the queries other candidates are exactly as similar as "
            "their own, which then gets the mean of the tied ranks. Where several samples show "
            "the same thing, say so with groups: Modalities(..., groups=labels).",
        )
