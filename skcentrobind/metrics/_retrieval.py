"""Measure cross-modal retrieval: find a sample in one modality by its embedding in another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from skcentrobind._data.modalities import Modalities
from skcentrobind.metrics._inputs import (
    Bools,
    Embeddings,
    EmbeddingsLike,
    Floats,
    as_array,
    as_matrix,
    check_finite,
    check_whole,
    embeddings,
    unpack,
)
from skcentrobind.metrics._ranks import compute_ranks

if TYPE_CHECKING:
    from pandas import DataFrame

#: Positions of the query modalities and of the gallery modality.
Pair: TypeAlias = tuple[tuple[int, ...], int]

_ADVICE = "Leave out samples with missing modalities, as retrieval_report does."


def retrieval_ranks(queries: EmbeddingsLike, gallery: ArrayLike) -> Floats:
    """Rank, for each query, its own gallery row among all gallery rows.

    Similarity is the inner product, which is the cosine for unit-length rows. Queries of several
    modalities use the centroid of their embeddings, whose length does not affect the ranks. Memory
    use does not grow with the gallery.

    Parameters
    ----------
    queries : array-like of shape (n_samples, n_components)
        Row k is the query for gallery row k. For queries of several modalities, Modalities or an
        array-like of shape (n_query_modalities, n_samples, n_components).
    gallery : array-like of shape (n_samples, n_components)
        The candidates.

    Returns
    -------
    ranks : ndarray of shape (n_samples,)
        1 is best. Similarities that are equal, except for rounding, get the mean of the best and
        the worst rank, so a collapsed space ranks at chance level, (n_samples + 1) / 2.

    Raises
    ------
    ValueError
        If the shapes differ, or a row has NaN or infinity.

    Examples
    --------
    >>> from skcentrobind.metrics import retrieval_ranks
    >>> retrieval_ranks([[1, 0], [1, 0], [0, 1]], [[1, 0], [0, 1], [0, 1]])
    array([1. , 2.5, 1.5])
    """
    query_rows = _as_queries(queries)
    gallery_rows = as_matrix(gallery, "gallery")
    check_finite(gallery_rows, "gallery", _ADVICE)
    if query_rows.shape != gallery_rows.shape:
        raise ValueError(
            "queries and gallery must have the same shape, since row k of one belongs to row k of "
            f"the other; got {query_rows.shape} and {gallery_rows.shape}."
        )
    return compute_ranks([query_rows], gallery_rows, [(0,)])[0]


def recall_at_k(queries: EmbeddingsLike, gallery: ArrayLike, k: int = 1) -> float:
    """Compute the share of queries whose own gallery row is among the k most similar ones.

    Chance level is k / n_samples.

    Parameters
    ----------
    queries : array-like of shape (n_samples, n_components)
        Row k is the query for gallery row k; or several modalities, as in `retrieval_ranks`.
    gallery : array-like of shape (n_samples, n_components)
        The candidates.
    k : int, default=1
        Number of gallery rows that count as found.

    Returns
    -------
    recall : float
        Between 0 and 1, higher is better.

    Examples
    --------
    >>> from skcentrobind.metrics import recall_at_k
    >>> recall_at_k([[1, 0], [1, 0]], [[1, 0], [0, 1]])
    0.5
    """
    check_whole(k, "k")
    return float(np.mean(retrieval_ranks(queries, gallery) <= k))


def median_rank(queries: EmbeddingsLike, gallery: ArrayLike) -> float:
    """Compute the median of the retrieval ranks; 1 is best, chance level is (n_samples + 1) / 2.

    Parameters
    ----------
    queries : array-like of shape (n_samples, n_components)
        Row k is the query for gallery row k; or several modalities, as in `retrieval_ranks`.
    gallery : array-like of shape (n_samples, n_components)
        The candidates.

    Returns
    -------
    rank : float
        At least 1, lower is better.

    Examples
    --------
    >>> from skcentrobind.metrics import median_rank
    >>> median_rank([[1, 0], [0, 1]], [[1, 0], [0, 1]])
    1.0
    """
    return float(np.median(retrieval_ranks(queries, gallery)))


def mean_reciprocal_rank(Z: EmbeddingsLike, *, present: ArrayLike | None = None) -> float:
    """Compute the mean of 1 / rank over all samples and all ordered pairs of modalities.

    Chance level is about log(n_samples) / n_samples, the mean of 1/r over all ranks r.

    Parameters
    ----------
    Z : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings of two or more modalities; NaN rows mark missing ones.
    present : array-like of bool of shape (n_samples, n_modalities), default=None
        Which sample has which modality, such as `Modalities.present` of the data, where NaN rows
        do not already say so. An array with modalities first is refused, except if there are as
        many samples as modalities: then the two orientations cannot be told apart.

    Returns
    -------
    mrr : float
        Between 0 and 1, higher is better. Pairs of modalities that share fewer than two samples
        are left out.

    Examples
    --------
    >>> from skcentrobind.metrics import mean_reciprocal_rank
    >>> mean_reciprocal_rank([[[1, 0], [1, 0]], [[1, 0], [0, 1]]])
    0.7083333333333333
    """
    return mean_over_pairs(embeddings(Z, present), reciprocal)


def reciprocal(ranks: Floats) -> float:
    """Return the mean of 1 / rank."""
    return float(np.mean(1 / ranks))


def recall(ranks: Floats, k: int) -> float:
    """Return the share of ranks up to k."""
    return float(np.mean(ranks <= k))


def mean_over_pairs(
    Z: Embeddings, summary: Callable[[Floats], float], pairs: list[Pair] | None = None
) -> float:
    """Return the mean over pairs of modalities of a summary of the ranks.

    Parameters
    ----------
    Z : Embeddings
        The modalities.
    summary : callable
        Function of an array of ranks of shape (n_samples,) that returns a number.
    pairs : list of ((int, ...), int), default=None
        Positions of query and gallery modalities; every ordered pair of two if None.

    Returns
    -------
    mean : float
    """
    if pairs is None:
        pairs = all_pairs(len(Z.names))
    values = [summary(ranks) for _, _, ranks in ranks_of_pairs(Z, pairs)]
    return float(np.mean(values))


def retrieval_report(
    Z: EmbeddingsLike, *, ks: Sequence[int] = (1, 5), subsets: bool = False
) -> DataFrame:
    """Report retrieval from every modality to every other one.

    Chance level is k / n_samples for recall@k and (n_samples + 1) / 2 for the median rank.

    Parameters
    ----------
    Z : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings; NaN rows mark missing ones. Queries and gallery are the samples that have all
        modalities of the query and that of the gallery.
    ks : sequence of int, default=(1, 5)
        Values of k for recall@k.
    subsets : bool, default=False
        Whether to add queries of two or more modalities, by the centroid of their embeddings:
        every subset of the modalities for each of the others. For m modalities this adds
        m (2^(m - 1) - m) rows, 16 for four modalities.

    Returns
    -------
    report : DataFrame
        One row per (query, gallery), with columns "recall@k" for each k, "mrr", "median_rank" and
        "n_samples". Queries of several modalities are named as in "image + text". Rows with fewer
        than two samples are left out.

    Examples
    --------
    >>> from skcentrobind.metrics import retrieval_report
    >>> report = retrieval_report([[[1, 0], [1, 0]], [[1, 0], [0, 1]]], ks=[1])
    >>> report.loc[("modality0", "modality1"), "recall@1"].item()
    0.5
    """
    import pandas as pd

    for k in ks:
        check_whole(k, "k")
    checked = embeddings(Z)
    names = checked.names
    pairs = all_pairs(len(names))
    if subsets:
        pairs += _subset_pairs(len(names))
    rows = {}
    for query, gallery, ranks in ranks_of_pairs(checked, pairs):
        row: dict[str, float] = {f"recall@{k}": recall(ranks, k) for k in ks}
        row |= {"mrr": reciprocal(ranks), "median_rank": float(np.median(ranks))}
        row |= {"n_samples": len(ranks)}
        rows[" + ".join(names[q] for q in query), names[gallery]] = row
    index = pd.MultiIndex.from_tuples(rows, names=["query", "gallery"])
    return pd.DataFrame(list(rows.values()), index=index)


def all_pairs(n_modalities: int) -> list[Pair]:
    """Return every ordered pair ((query,), gallery) of positions of different modalities."""
    return [((q,), g) for q, g in itertools.permutations(range(n_modalities), 2)]


def _subset_pairs(n_modalities: int) -> list[Pair]:
    """Pair every subset of two or more with every modality outside it, small subsets first."""
    every = range(n_modalities)
    return [
        (query, gallery)
        for size in range(2, n_modalities)
        for query in itertools.combinations(every, size)
        for gallery in every
        if gallery not in query
    ]


def ranks_of_pairs(Z: Embeddings, pairs: list[Pair]) -> list[tuple[tuple[int, ...], int, Floats]]:
    """Rank the gallery rows for all queries of some pairs of modalities.

    Parameters
    ----------
    Z : Embeddings
        The modalities.
    pairs : list of ((int, ...), int)
        Positions of the query modalities, which are used together if there are several, and of the
        gallery modality.

    Returns
    -------
    found : list of (query, gallery, ranks)
        For each pair whose modalities share at least two samples, ranks of shape (n_shared,).

    Raises
    ------
    ValueError
        If there is no such pair.
    """
    # Queries for the same rows of a gallery share the products with it.
    groups: dict[tuple[int, bytes], tuple[Bools, list[tuple[int, ...]]]] = {}
    for query, gallery in pairs:
        rows: Bools = np.all(Z.present[:, [*query, gallery]], axis=1)
        if rows.sum() > 1:
            groups.setdefault((gallery, rows.tobytes()), (rows, []))[1].append(query)
    if not groups:
        raise ValueError(
            "Retrieval needs at least two modalities that share at least two samples; "
            + (f"of {Z.names} none do." if len(Z.names) > 1 else f"got {Z.names} alone.")
        )
    found: dict[Pair, Floats] = {}
    for (gallery, _), (rows, queries) in groups.items():
        members = sorted({m for query in queries for m in query})
        positions = [tuple(members.index(m) for m in query) for query in queries]
        arrays = [Z.arrays[m][rows] for m in members]
        ranks = compute_ranks(arrays, Z.arrays[gallery][rows], positions)
        found |= {(query, gallery): r for query, r in zip(queries, ranks, strict=True)}
    return [
        (query, gallery, found[query, gallery])
        for query, gallery in pairs
        if (query, gallery) in found
    ]


def _as_queries(queries: Any) -> Floats:
    """Return one array of queries, the centroid if there are several modalities."""
    several = isinstance(queries, Modalities | Mapping)
    if not several:
        queries = as_array(queries)
        several = queries.ndim == 3
    names, raw = unpack(queries) if several else ([], [queries])
    labels = [f"queries of {name!r}" for name in names] or ["queries"]
    arrays = [as_matrix(z, label) for z, label in zip(raw, labels, strict=True)]
    shapes = [z.shape for z in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(f"All query modalities must have the same shape, got {shapes}.")
    for z, label in zip(arrays, labels, strict=True):
        check_finite(z, label, _ADVICE)
    return np.mean(arrays, axis=0) if several else arrays[0]
