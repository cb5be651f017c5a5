"""Rank gallery rows by similarity to a query: fast in float32, and as exact as float64."""

import numpy as np
from numpy.typing import NDArray

from skcentrobind.metrics._inputs import Bools, Floats

# A block of similarities in float32 takes 8 MB, whatever the size of the gallery.
_ROWS = 256
_COLUMNS = 8192
# Queries with more candidates in a block than this are compared with all of the block.
_CROWDED = 32


def compute_ranks(
    members: list[Floats], gallery: Floats, queries: list[tuple[int, ...]]
) -> list[tuple[Floats, Bools]]:
    """Rank gallery row k for row k of every query; ties get the mean of best and worst rank.

    Products are computed in float32, once for all queries that contain a member. Candidates that
    float32 cannot tell from the query's own row, by the bound on its rounding, are compared again
    in float64, so the ranks are those of float64.

    Parameters
    ----------
    members : list of ndarray of float64 of shape (n_samples, n_components)
        Embeddings of the query modalities, finite.
    gallery : ndarray of float64 of shape (n_samples, n_components)
        The candidates, finite.
    queries : list of tuple of int
        Positions of the members whose centroid is the query.

    Returns
    -------
    found : list of (ndarray of float64, ndarray of bool), each of shape (n_samples,)
        For each query the ranks, and which of them are tied with other candidates.
    """
    # Scaled to length 1 at most, so that nothing overflows or underflows in float32.
    longest = np.linalg.norm(gallery, axis=1).max() or 1.0
    lengths = np.max([np.linalg.norm(z, axis=1) for z in members], axis=0)
    scale = np.where(lengths > 0, lengths, 1.0)[:, None]
    coarse = [(z / scale).astype(np.float32) for z in members]
    coarse_gallery = (gallery / longest).astype(np.float32)
    searches = [_Search(members, query, gallery, scale, longest) for query in queries]
    # Allocating memory for every sum would take longer than the sum.
    total = np.empty((_ROWS, min(_COLUMNS, len(gallery))), dtype=np.float32)
    for start in range(0, len(gallery), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(gallery)))
        for first in range(0, len(gallery), _COLUMNS):
            candidates = coarse_gallery[first : first + _COLUMNS].T
            products = [z[rows] @ candidates for z in coarse]  # each (rows, columns)
            for search in searches:
                search.count(products, rows, first, total[: len(rows), : candidates.shape[1]])
    return [search.ranks() for search in searches]


class _Search:
    """Count, for one query, the candidates above its own row, and those not below it."""

    def __init__(
        self,
        members: list[Floats],
        query: tuple[int, ...],
        gallery: Floats,
        scale: Floats,
        longest: float,
    ) -> None:
        self.members, self.gallery = query, gallery
        self.query = np.mean([members[m] for m in query], axis=0)
        positive = np.einsum("kd,kd->k", self.query, gallery)
        # Products of equal rows may differ in the last bits: the order in which BLAS adds varies.
        length = np.linalg.norm(self.query, axis=1) * longest
        rounding = np.finfo(np.float64).eps * gallery.shape[1] * length
        self.lower, self.upper = positive - rounding, positive + rounding
        # In float32, a sum of s products of d terms is off by less than about s (d + 3 + s) u.
        size = len(query)
        slack = 1.1 * size * (gallery.shape[1] + 8 + size) * np.finfo(np.float32).epsneg
        middle = positive[:, None] * size / scale / longest
        self.coarse_lower = (middle - slack).astype(np.float32)
        self.coarse_upper = (middle + slack).astype(np.float32)
        self.counts = np.zeros((2, len(gallery)), dtype=np.intp)

    def count(
        self,
        products: list[NDArray[np.float32]],
        rows: NDArray[np.intp],
        first: int,
        total: NDArray[np.float32],
    ) -> None:
        """Count the candidates of one block of the gallery; `total` is a buffer for sums."""
        similarity = products[self.members[0]]
        for m in self.members[1:]:
            similarity = np.add(similarity, products[m], out=total)
        lower, upper = self.coarse_lower[rows], self.coarse_upper[rows]
        over = _count(similarity > upper)
        unsure = _count(similarity >= lower) - over
        crowded = unsure > _CROWDED
        self.counts[:, rows] += np.where(crowded, 0, over)
        # The query's own row alone needs no second comparison: it is as similar as itself.
        own = (rows >= first) & (rows < first + similarity.shape[1]) & (unsure == 1)
        self.counts[1, rows] += own
        few = (unsure > 0) & ~own & ~crowded
        if few.any():
            near = (similarity[few] >= lower[few]) & (similarity[few] <= upper[few])
            self._compare_some(rows[few], first, near)
        if crowded.any():
            self._compare_all(rows[crowded], slice(first, first + similarity.shape[1]))

    def _compare_some(self, rows: NDArray[np.intp], first: int, near: Bools) -> None:
        """Compare in float64 the candidates marked in `near`, (len(rows), n_columns)."""
        row, column = np.nonzero(near)
        at = rows[row]
        similarity = np.einsum("kd,kd->k", self.query[at], self.gallery[first + column])
        for i, found in enumerate((similarity > self.upper[at], similarity >= self.lower[at])):
            self.counts[i, rows] += np.bincount(row[found], minlength=len(rows))

    def _compare_all(self, rows: NDArray[np.intp], columns: slice) -> None:
        similarity = self.query[rows] @ self.gallery[columns].T
        self.counts[0, rows] += _count(similarity > self.upper[rows, None])
        self.counts[1, rows] += _count(similarity >= self.lower[rows, None])

    def ranks(self) -> tuple[Floats, Bools]:
        """Return the mean of best and worst rank, and whether these differ, (n_samples,) each."""
        above, not_below = self.counts
        return (above + 1 + not_below) / 2, above + 1 < not_below


def _count(mask: Bools) -> NDArray[np.intp]:
    # One row at a time, numpy counts bytes in bulk; with axis=1 it converts each to a number.
    return np.array([np.count_nonzero(row) for row in mask])
