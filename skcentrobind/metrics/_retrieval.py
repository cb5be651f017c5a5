"""Cross-modal retrieval: does a sample's embedding in one modality find it in another?"""

import itertools

import numpy as np

# Similarities held at a time, 64 MB of float64: memory stays bounded for any gallery.
_CHUNK_VALUES = 2**23


def retrieval_ranks(queries, gallery):
    """Rank, among all gallery rows, of the row that belongs to each query.

    Similarity is the inner product, which for unit-length rows is the cosine.

    Parameters
    ----------
    queries : array-like of shape (n_samples, n_components)
        Row k asks for gallery row k.
    gallery : array-like of shape (n_samples, n_components)
        The candidates.

    Returns
    -------
    ranks : ndarray of shape (n_samples,)
        1 is best. Among similarities that are equal, but for rounding, the mean of the best and
        the worst rank counts, so that a collapsed space ranks at chance, (n_samples + 1) / 2.

    Examples
    --------
    >>> from skcentrobind.metrics import retrieval_ranks
    >>> retrieval_ranks([[1, 0], [1, 0], [0, 1]], [[1, 0], [0, 1], [0, 1]])
    array([1. , 2.5, 1.5])
    """
    queries, gallery = _finite(queries, "queries"), _finite(gallery, "gallery")
    if queries.shape != gallery.shape:
        raise ValueError(
            "queries and gallery must have the same shape, since row k of one belongs to row k of "
            f"the other; got {queries.shape} and {gallery.shape}."
        )
    n_samples, width = queries.shape
    # Equal rows may differ in the last bits of their products: BLAS adds in various orders.
    length = np.linalg.norm(queries, axis=1) * np.linalg.norm(gallery, axis=1).max()
    rounding = np.finfo(np.float64).eps * width * length
    ranks = np.empty(n_samples)
    step = max(1, _CHUNK_VALUES // n_samples)
    for start in range(0, n_samples, step):
        rows = slice(start, start + step)
        similarity = queries[rows] @ gallery.T  # (chunk, n_samples)
        own = np.arange(len(similarity))
        positive = similarity[own, own + start]
        upper, lower = positive + rounding[rows], positive - rounding[rows]
        above = np.count_nonzero(similarity > upper[:, None], axis=1)
        not_below = np.count_nonzero(similarity >= lower[:, None], axis=1)
        ranks[rows] = (above + 1 + not_below) / 2  # mean of the best and the worst
    return ranks


def recall_at_k(queries, gallery, k=1):
    """Share of the queries whose own gallery row is among the k most similar ones.

    Chance level is k / n_samples.

    Parameters
    ----------
    queries, gallery : array-like of shape (n_samples, n_components)
        Row k of one belongs to row k of the other.
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
    if not k >= 1:
        raise ValueError(f"k must be at least 1, got {k!r}.")
    return float(np.mean(retrieval_ranks(queries, gallery) <= k))


def median_rank(queries, gallery):
    """Median of the retrieval ranks; 1 is best, chance level is (n_samples + 1) / 2.

    Parameters
    ----------
    queries, gallery : array-like of shape (n_samples, n_components)
        Row k of one belongs to row k of the other.

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
    present : ndarray of bool of shape (n_modalities, n_samples), default=None
        Which samples have which modality, where NaN rows do not already say so.

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
    _, arrays = _named(Z)
    values = [
        np.mean(1 / retrieval_ranks(arrays[q][rows], arrays[g][rows]))
        for q, g, rows in _pairs(arrays, present)
    ]
    if not values:
        raise ValueError(
            "Retrieval needs at least two modalities that share at least two samples; "
            f"got {len(arrays)} modalities."
        )
    return float(np.mean(values))


def retrieval_report(Z, *, ks=(1, 5)):
    """Retrieval from every modality to every other one.

    Parameters
    ----------
    Z : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings; NaN rows mark absent ones, and a pair is judged on the samples that have both.
    ks : sequence of int, default=(1, 5)
        Which recall@k to report.

    Returns
    -------
    report : DataFrame
        One row for each ordered pair (query, gallery), with columns "recall@k" for each k, "mrr",
        "median_rank" and "n_samples".

    Examples
    --------
    >>> from skcentrobind.metrics import retrieval_report
    >>> report = retrieval_report([[[1, 0], [1, 0]], [[1, 0], [0, 1]]], ks=[1])
    >>> report.loc[("modality0", "modality1"), "recall@1"].item()
    0.5
    """
    import pandas as pd

    names, arrays = _named(Z)
    rows = {}
    for q, g, both in _pairs(arrays, None):
        ranks = retrieval_ranks(arrays[q][both], arrays[g][both])
        row = {f"recall@{k}": np.mean(ranks <= k) for k in ks}
        row |= {"mrr": np.mean(1 / ranks), "median_rank": np.median(ranks), "n_samples": len(ranks)}
        rows[names[q], names[g]] = row
    index = pd.MultiIndex.from_tuples(rows, names=["query", "gallery"])
    return pd.DataFrame(list(rows.values()), index=index)


def _named(Z):
    """Names and arrays of embeddings in any form."""
    if hasattr(Z, "arrays"):
        names, arrays = Z.names, Z.arrays
    else:
        arrays = list(Z.values()) if isinstance(Z, dict) else list(Z)
        names = list(Z) if isinstance(Z, dict) else [f"modality{m}" for m in range(len(arrays))]
    arrays = [_matrix(z, f"embeddings of '{name}'") for name, z in zip(names, arrays, strict=True)]
    lengths = [len(z) for z in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"All modalities need the same number of samples, got {lengths} for {list(names)}."
        )
    return list(names), arrays


def _pairs(arrays, present):
    """Yield (query, gallery, rows that have both) for all ordered pairs with enough rows."""
    if present is None:
        present = [~np.isnan(z).all(axis=1) for z in arrays]
    present, expected = np.asarray(present, dtype=bool), (len(arrays), *map(len, arrays[:1]))
    if present.shape != expected:
        raise ValueError(
            f"present must be of shape (n_modalities, n_samples) = {expected}, got {present.shape}."
        )
    for q, g in itertools.permutations(range(len(arrays)), 2):
        rows = present[q] & present[g]
        if rows.sum() > 1:
            yield q, g, rows


def _matrix(values, what):
    # Whole numbers, as of quantised embeddings, would overflow in products.
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or len(values) == 0:
        raise ValueError(
            f"{what} must be of shape (n_samples, n_components) with at least one row, got shape "
            f"{values.shape}."
        )
    return values


def _finite(values, what):
    values = _matrix(values, what)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{what} has NaN or infinity in {len(bad)} of {len(values)} rows, first in row "
            f"{bad[0]}. Leave out samples that lack a modality, as retrieval_report does."
        )
    return values
