"""Cross-modal retrieval: does a sample's embedding in one modality find it in another?"""

import itertools

import numpy as np

from skcentrobind.metrics._inputs import (
    as_matrix,
    check_finite,
    check_whole,
    embeddings,
    unpack,
)
from skcentrobind.metrics._ranks import compute_ranks

_ADVICE = "Leave out samples that lack a modality, as retrieval_report does."


def retrieval_ranks(queries, gallery):
    """Rank, among all gallery rows, of the row that belongs to each query.

    Similarity is the inner product, which for unit-length rows is the cosine. Several modalities
    ask together by the centroid of their embeddings, whose length does not matter for the ranks.
    The memory needed is bounded, for any size of the gallery.

    Parameters
    ----------
    queries : array-like of shape (n_samples, n_components)
        Row k asks for gallery row k. For queries of several modalities, Modalities or an
        array-like of shape (n_query_modalities, n_samples, n_components).
    gallery : array-like of shape (n_samples, n_components)
        The candidates.

    Returns
    -------
    ranks : ndarray of shape (n_samples,)
        1 is best. Among similarities that are equal, but for rounding, the mean of the best and
        the worst rank counts, so that a collapsed space ranks at chance, (n_samples + 1) / 2.

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
    queries = _as_queries(queries)
    gallery = as_matrix(gallery, "gallery")
    check_finite(gallery, "gallery", _ADVICE)
    if queries.shape != gallery.shape:
        raise ValueError(
            "queries and gallery must have the same shape, since row k of one belongs to row k of "
            f"the other; got {queries.shape} and {gallery.shape}."
        )
    return compute_ranks([queries], gallery, [(0,)])[0]


def recall_at_k(queries, gallery, k=1):
    """Share of the queries whose own gallery row is among the k most similar ones.

    Chance level is k / n_samples.

    Parameters
    ----------
    queries : array-like of shape (n_samples, n_components)
        Row k asks for gallery row k; or several modalities, as in `retrieval_ranks`.
    gallery : array-like of shape (n_samples, n_components)
        The candidates.
    k : int, default=1
        How many answers count.

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


def median_rank(queries, gallery):
    """Median of the retrieval ranks; 1 is best, chance level is (n_samples + 1) / 2.

    Parameters
    ----------
    queries : array-like of shape (n_samples, n_components)
        Row k asks for gallery row k; or several modalities, as in `retrieval_ranks`.
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


def mean_reciprocal_rank(Z, *, present=None):
    """Mean of 1 / rank over all samples and all ordered pairs of modalities.

    Chance level is about log(n_samples) / n_samples, the mean of 1/r over all ranks r.

    Parameters
    ----------
    Z : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings of two or more modalities; NaN rows mark absent ones.
    present : array-like of bool of shape (n_samples, n_modalities), default=None
        Which sample has which modality, such as `Modalities.present` of the data, where NaN rows
        do not already say so. An array with modalities first is refused, except where there are
        as many samples as modalities: there the two cannot be told apart.

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
    return mean_over_pairs(embeddings(Z, present), lambda ranks: np.mean(1 / ranks))


def mean_over_pairs(Z, summary, pairs=None):
    """Mean of a summary of the ranks over pairs ((query, ...), gallery) of positions.

    Parameters
    ----------
    Z : Embeddings
    summary : callable
        Number that belongs to an array of ranks.
    pairs : list, default=None
        All ordered pairs of one query modality with another one if None.

    Returns
    -------
    mean : float
    """
    if pairs is None:
        pairs = all_pairs(len(Z.names))
    values = [summary(ranks) for _, _, ranks in ranks_of_pairs(Z, pairs)]
    return float(np.mean(values))


def retrieval_report(Z, *, ks=(1, 5), subsets=False):
    """Retrieval from every modality to every other one.

    Chance level is k / n_samples for recall@k and (n_samples + 1) / 2 for the median rank.

    Parameters
    ----------
    Z : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings; NaN rows mark absent ones. A pair is judged on the samples that have both, a
        query of several modalities on those that have all of them and the gallery's; they are the
        gallery, too.
    ks : sequence of int, default=(1, 5)
        Which recall@k to report.
    subsets : bool, default=False
        Whether two or more modalities ask together, too, by the centroid of their embeddings:
        every subset of the modalities for each of the others. With m modalities these are
        m (2^(m - 1) - m) further rows, 16 for four modalities.

    Returns
    -------
    report : DataFrame
        One row for each (query, gallery), with columns "recall@k" for each k, "mrr",
        "median_rank" and "n_samples". Names of queries of several modalities are joined, as in
        "image + text". Rows that fewer than two samples could answer are left out.

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
    Z = embeddings(Z)
    pairs = all_pairs(len(Z.names))
    if subsets:
        pairs += _subset_pairs(len(Z.names))
    rows = {}
    for query, gallery, ranks in ranks_of_pairs(Z, pairs):
        row = {f"recall@{k}": np.mean(ranks <= k) for k in ks}
        row |= {"mrr": np.mean(1 / ranks), "median_rank": np.median(ranks), "n_samples": len(ranks)}
        rows[" + ".join(Z.names[q] for q in query), Z.names[gallery]] = row
    index = pd.MultiIndex.from_tuples(rows, names=["query", "gallery"])
    return pd.DataFrame(list(rows.values()), index=index)


def all_pairs(n_modalities):
    """Every ordered pair ((query,), gallery) of positions of different modalities."""
    return [((q,), g) for q, g in itertools.permutations(range(n_modalities), 2)]


def _subset_pairs(n_modalities):
    """Every subset of two or more with every modality outside it, small subsets first."""
    every = range(n_modalities)
    return [
        (query, gallery)
        for size in range(2, n_modalities)
        for query in itertools.combinations(every, size)
        for gallery in every
        if gallery not in query
    ]


def ranks_of_pairs(Z, pairs):
    """Rank all answers to all queries.

    Parameters
    ----------
    Z : Embeddings
    pairs : list of (tuple of int, int)
        Positions of the modalities that ask, together if several, and of the one that answers.

    Returns
    -------
    found : list of (query, gallery, ranks)
        For the pairs that at least two samples have in common.

    Raises
    ------
    ValueError
        If there is no such pair.
    """
    # Queries that look for the same rows of a gallery share the products with it.
    groups = {}
    for query, gallery in pairs:
        rows = Z.present[:, [*query, gallery]].all(axis=1)
        if rows.sum() > 1:
            groups.setdefault((gallery, rows.tobytes()), (rows, []))[1].append(query)
    if not groups:
        raise ValueError(
            "Retrieval needs at least two modalities that share at least two samples; of "
            f"{Z.names} none do."
        )
    found = {}
    for (gallery, _), (rows, queries) in groups.items():
        members = sorted({m for query in queries for m in query})
        positions = [tuple(members.index(m) for m in query) for query in queries]
        arrays = [Z.arrays[m][rows] for m in members]
        ranks = compute_ranks(arrays, Z.arrays[gallery][rows], positions)
        found |= {(query, gallery): r for query, r in zip(queries, ranks, strict=True)}
    return [(*pair, found[pair]) for pair in pairs if pair in found]


def _as_queries(queries):
    """One array of queries, the centroid if there are several modalities."""
    several = hasattr(queries, "arrays") or isinstance(queries, dict) or np.ndim(queries) == 3
    if not several:
        queries = as_matrix(queries, "queries")
        check_finite(queries, "queries", _ADVICE)
        return queries
    names, arrays = unpack(queries)
    arrays = [as_matrix(z, f"queries of '{name}'") for name, z in zip(names, arrays, strict=True)]
    shapes = [z.shape for z in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(f"All query modalities must have the same shape, got {shapes}.")
    for name, z in zip(names, arrays, strict=True):
        check_finite(z, f"queries of '{name}'", _ADVICE)
    return np.mean(arrays, axis=0)
