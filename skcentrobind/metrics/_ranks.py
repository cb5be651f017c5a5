"""How many gallery rows are more similar to a query than its own: fast, and exact all the same."""

import numpy as np

# A block of similarities in float32 takes 8 MB, whatever the size of the gallery.
_ROWS = 128
_COLUMNS = 16384
# Queries with more candidates in a block than this are compared with all of the block.
_CROWDED = 32


def compute_ranks(queries, gallery):
    """Rank of gallery row k for query k; among equals the mean of the best and the worst rank.

    Products are taken in float32. Candidates that float32 cannot tell from a query's own row, by
    the bound on its rounding, are compared again in float64, so that the ranks are those that
    float64 gives at about twice the time.

    Parameters
    ----------
    queries, gallery : ndarray of float64 of shape (n_samples, n_components)
        Finite.

    Returns
    -------
    ranks : ndarray of float64 of shape (n_samples,)
    """
    positive = np.einsum("kd,kd->k", queries, gallery)
    length = np.linalg.norm(queries, axis=1)
    longest = np.linalg.norm(gallery, axis=1).max()
    # Equal rows may differ in the last bits of their products: BLAS adds in various orders.
    rounding = np.finfo(np.float64).eps * queries.shape[1] * length * longest
    exact = positive - rounding, positive + rounding
    screen, lower, upper = _screen(queries, gallery, positive, length, longest)

    counts = np.zeros((2, len(queries)), dtype=np.intp)  # candidates above, and not below
    for start in range(0, len(queries), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(queries)))
        for first in range(0, len(gallery), _COLUMNS):
            columns = slice(first, first + _COLUMNS)
            similarity = screen[0][rows] @ screen[1][columns].T  # (rows, columns)
            over = _count(similarity > upper[rows])
            unsure = _count(similarity >= lower[rows]) - over
            crowded = unsure > _CROWDED
            counts[:, rows] += np.where(crowded, 0, over)
            # A query's own row alone needs no second look: it is as similar as itself.
            own = (rows >= first) & (rows < first + _COLUMNS) & (unsure == 1)
            counts[1, rows] += own
            few = (unsure > 0) & ~own & ~crowded
            if few.any():
                near = (similarity[few] >= lower[rows[few]]) & (similarity[few] <= upper[rows[few]])
                counts[:, rows[few]] += _compare_few(queries, gallery, exact, rows[few], first, near)
            if crowded.any():
                some = rows[crowded]
                similarity = queries[some] @ gallery[columns].T
                counts[0, some] += _count(similarity > exact[1][some, None])
                counts[1, some] += _count(similarity >= exact[0][some, None])
    above, not_below = counts
    return (above + 1 + not_below) / 2


def _screen(queries, gallery, positive, length, longest):
    """Both sides in float32, and between which products it cannot tell a row from the own one."""
    length, longest = np.where(length > 0, length, 1.0), longest if longest > 0 else 1.0
    scaled = queries / length[:, None], gallery / longest
    # For rows of length at most 1, a product of d terms is off by less than about (d + 3) u.
    slack = 1.1 * (queries.shape[1] + 8) * np.finfo(np.float32).epsneg
    middle = (positive / length / longest)[:, None]
    sides = [(middle + side).astype(np.float32) for side in (-slack, slack)]
    return [side.astype(np.float32) for side in scaled], *sides


def _compare_few(queries, gallery, exact, rows, first, near):
    """Compare in float64 the candidates that are marked, (len(rows), columns)."""
    row, column = np.nonzero(near)
    at = rows[row]
    similarity = np.einsum("kd,kd->k", queries[at], gallery[first + column])
    above, not_below = similarity > exact[1][at], similarity >= exact[0][at]
    return [np.bincount(row, weights=w, minlength=len(rows)).astype(int) for w in (above, not_below)]


def _count(mask):
    # Row by row numpy counts bits at once; with axis=1 it converts each to a number.
    return np.array([np.count_nonzero(row) for row in mask])
