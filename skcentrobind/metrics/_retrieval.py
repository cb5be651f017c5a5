"""Measure cross-modal retrieval: find a sample in one modality by its embedding in another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcentrobind._data.modalities import Modalities
from skcentrobind._data.per_sample import group_codes, read_groups, repeated_codes
from skcentrobind.metrics._group_ranks import best_ranks
from skcentrobind.metrics._inputs import (
    EmbeddingsLike,
    Floats,
    as_array,
    as_matrix,
    check_finite,
    check_whole,
    embeddings,
    known_of,
    unpack,
)
from skcentrobind.metrics._pairs import (
    all_pairs,
    mean_over_pairs,
    median,
    ranks_of_pairs,
    recall,
    reciprocal,
    subset_pairs,
    warn_of_ties,
)
from skcentrobind.metrics._ranks import compute_ranks

if TYPE_CHECKING:
    from pandas import DataFrame

#: Groups as numbers; None if all are different.
Codes: TypeAlias = NDArray[np.int64] | None

_ADVICE = "Leave out samples with missing modalities, as retrieval_report does."


def retrieval_ranks(
    queries: EmbeddingsLike,
    gallery: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    gallery_groups: ArrayLike | None = None,
) -> Floats:
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
    groups : array-like of shape (n_samples,), default=None
        Labels of the samples: any gallery row of the query's group counts as found. None reads
        those of Modalities.
    gallery_groups : array-like of shape (n_candidates,), default=None
        Labels of the gallery rows, which then need not be as many as the queries: one picture for
        several captions, say.

    Returns
    -------
    ranks : ndarray of shape (n_samples,)
        1 is best. Similarities that are equal, except for rounding, get the mean of the best and
        the worst rank, so a collapsed space ranks at chance level, (n_samples + 1) / 2. With
        groups it is the rank of the most similar row of the group; of t equal similarities of
        which m are of the group, the first of these has on average the place (t + 1) / (m + 1).

    Raises
    ------
    ValueError
        If the shapes differ, a row has NaN or infinity, or a query has no candidate of its group.

    Warns
    -----
    UserWarning
        If there are no groups and many queries have other candidates that are as similar as their
        own.

    Examples
    --------
    >>> from skcentrobind.metrics import retrieval_ranks
    >>> retrieval_ranks([[1, 0], [1, 0], [0, 1]], [[1, 0], [0, 1], [0, 1]])
    array([1. , 2.5, 1.5])
    >>> retrieval_ranks(
    ...     [[1, 0], [1, 0], [0, 1]], [[1, 0], [0, 1], [0, 1]], groups=["a", "a", "b"]
    ... )
    array([1. , 1. , 1.5])
    """
    return _rank(*_read(queries, gallery, groups, gallery_groups))


def _read(
    queries: EmbeddingsLike,
    gallery: ArrayLike,
    groups: ArrayLike | None,
    gallery_groups: ArrayLike | None,
) -> tuple[Floats, Floats, Codes, Codes]:
    """Return the rows of queries and candidates, and the groups of both, None for none."""
    query_rows = _as_queries(queries)
    gallery_rows = as_matrix(gallery, "gallery")
    check_finite(gallery_rows, "gallery", _ADVICE)
    if gallery_groups is not None:
        codes = _codes_of_both(queries, query_rows, gallery_rows, groups, gallery_groups)
        return query_rows, gallery_rows, *codes
    if query_rows.shape != gallery_rows.shape:
        raise ValueError(
            "queries and gallery must have the same shape, since row k of one belongs to row k of "
            f"the other; got {query_rows.shape} and {gallery_rows.shape}."
        )
    own, _ = known_of(queries, groups, None, len(query_rows))
    return query_rows, gallery_rows, own, own


def _codes_of_both(
    queries: Any, query_rows: Floats, gallery_rows: Floats, groups: Any, gallery_groups: Any
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the groups of queries and candidates that do not belong to each other row by row."""
    if groups is None and isinstance(queries, Modalities):
        groups = queries.groups
    if groups is None:
        raise ValueError("gallery_groups needs groups, the labels of the queries.")
    if query_rows.shape[1] != gallery_rows.shape[1]:
        raise ValueError(
            "queries and gallery must have the same number of components, got "
            f"{query_rows.shape[1]} and {gallery_rows.shape[1]}."
        )
    own = read_groups(groups, len(query_rows))
    others = read_groups(gallery_groups, len(gallery_rows), what="gallery_groups")
    codes = group_codes(np.concatenate([own.astype(object), others.astype(object)]))
    query_codes, gallery_codes = codes[: len(own)], codes[len(own) :]
    alone = np.flatnonzero(~np.isin(query_codes, gallery_codes))
    if len(alone):
        raise ValueError(
            f"{len(alone)} of {len(own)} queries have no candidate of their group in the gallery, "
            f"for example row {alone[0]} of group {own[alone[0]]!r}; leave them out."
        )
    return query_codes, gallery_codes


def _rank(queries: Floats, gallery: Floats, own: Codes, others: Codes) -> Floats:
    if own is not None and others is not None:
        return best_ranks(queries, gallery, own, others)
    ranks, tied = compute_ranks([queries], gallery, [(0,)])[0]
    warn_of_ties([tied])
    return ranks


def _summarise(
    summary: Callable[[Floats, Floats | None], float],
    queries: EmbeddingsLike,
    gallery: ArrayLike,
    groups: ArrayLike | None,
    gallery_groups: ArrayLike | None,
    sample_weight: ArrayLike | None,
) -> float:
    """Summarise the ranks of the queries whose weight is not 0."""
    rows, candidates, own, others = _read(queries, gallery, groups, gallery_groups)
    _, weight = known_of(queries, None, sample_weight, len(rows))
    if weight is not None and not weight.all():
        kept = np.flatnonzero(weight)
        rows, weight = rows[kept], weight[kept]
        own = None if own is None else own[kept]
        if gallery_groups is None:
            own = others = repeated_codes(own)
            candidates = candidates[kept]
    return summary(_rank(rows, candidates, own, others), weight)


def recall_at_k(
    queries: EmbeddingsLike,
    gallery: ArrayLike,
    k: int = 1,
    *,
    groups: ArrayLike | None = None,
    gallery_groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
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
    groups : array-like of shape (n_samples,), default=None
        Labels of the samples: any gallery row of the query's group counts as found. None reads
        those of Modalities.
    gallery_groups : array-like of shape (n_candidates,), default=None
        Labels of the gallery rows, which then need not be as many as the queries: one picture for
        several captions, say.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the queries. None reads those of Modalities; samples of weight 0 are left out.

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

    def summary(ranks: Floats, weight: Floats | None) -> float:
        return recall(ranks, k, weight)

    return _summarise(summary, queries, gallery, groups, gallery_groups, sample_weight)


def median_rank(
    queries: EmbeddingsLike,
    gallery: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    gallery_groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the median of the retrieval ranks; 1 is best, chance level is (n_samples + 1) / 2.

    Parameters
    ----------
    queries : array-like of shape (n_samples, n_components)
        Row k is the query for gallery row k; or several modalities, as in `retrieval_ranks`.
    gallery : array-like of shape (n_samples, n_components)
        The candidates.
    groups : array-like of shape (n_samples,), default=None
        Labels of the samples: any gallery row of the query's group counts as found. None reads
        those of Modalities.
    gallery_groups : array-like of shape (n_candidates,), default=None
        Labels of the gallery rows, which then need not be as many as the queries: one picture for
        several captions, say.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the queries. None reads those of Modalities; samples of weight 0 are left out.

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
    return _summarise(median, queries, gallery, groups, gallery_groups, sample_weight)


def mean_reciprocal_rank(
    Z: EmbeddingsLike,
    *,
    present: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
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
    groups : array-like of shape (n_samples,), default=None
        Labels of the samples: any gallery row of the query's group counts as found. None reads
        those of Modalities.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the queries. None reads those of Modalities; samples of weight 0 are left out.

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
    checked = embeddings(Z, present, groups=groups, sample_weight=sample_weight)
    return mean_over_pairs(checked, reciprocal)


def retrieval_report(
    Z: EmbeddingsLike,
    *,
    ks: Sequence[int] = (1, 5),
    subsets: bool = False,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
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
    groups : array-like of shape (n_samples,), default=None
        Labels of the samples: any gallery row of the query's group counts as found. None reads
        those of Modalities.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the queries. None reads those of Modalities; samples of weight 0 are left out.

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
    checked = embeddings(Z, groups=groups, sample_weight=sample_weight)
    names = checked.names
    pairs = all_pairs(len(names))
    if subsets:
        pairs += subset_pairs(len(names))
    rows = {}
    for query, gallery, ranks, weight, _ in ranks_of_pairs(checked, pairs):
        row: dict[str, float] = {f"recall@{k}": recall(ranks, k, weight) for k in ks}
        row |= {"mrr": reciprocal(ranks, weight), "median_rank": median(ranks, weight)}
        row |= {"n_samples": len(ranks)}
        rows[" + ".join(names[q] for q in query), names[gallery]] = row
    index = pd.MultiIndex.from_tuples(rows, names=["query", "gallery"])
    return pd.DataFrame(list(rows.values()), index=index)


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
