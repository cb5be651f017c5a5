"""Ranks of several methods over several data sets: Friedman, Nemenyi, the diagram of Demsar."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass
class Ranking:
    """Average ranks, 1 is best, and their significance.

    Attributes
    ----------
    names : list of str
        Methods, best average rank first.
    ranks : ndarray of shape (n_methods,)
        Average ranks in this order.
    n_data : int
        Number of data sets.
    p : float
        Friedman's test of equal ranks; NaN for fewer than two data sets or three methods.
    difference : float
        Nemenyi's critical difference at the level: closer average ranks do not differ
        significantly.
    """

    names: list
    ranks: np.ndarray
    n_data: int
    p: float
    difference: float

    def groups(self):
        """Return first and last position of the longest runs without a significant difference."""
        found = []
        for first, rank in enumerate(self.ranks):
            last = int(np.flatnonzero(self.ranks - rank <= self.difference)[-1])
            if last > first and (not found or last > found[-1][1]):
                found.append((first, last))
        return found


def critical_difference(n_methods, n_data, level=0.05):
    r"""Compute Nemenyi's critical difference of average ranks.

    It is :math:`q_\alpha \sqrt{k (k + 1) / (6 N)}` for k methods on N data sets, with the quantile
    of the studentised range over :math:`\sqrt2`.

    References
    ----------
    J. Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006,
    section 3.2.2.
    """
    q = stats.studentized_range.isf(level, n_methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(n_methods * (n_methods + 1) / (6 * n_data)))


def rank_methods(values, level=0.05):
    """Rank methods within each data set, the highest value first, and average.

    Parameters
    ----------
    values : dict of str to sequence of float of length n_data
        One figure per method and data set, such as the mean over its splits: splits of the
        same data are not independent, so they do not count as further data sets.
    level : float, default=0.05
    """
    table = np.array(list(values.values()), dtype=float)  # (n_methods, n_data)
    n_methods, n_data = table.shape
    ranks = stats.rankdata(-table, axis=0).mean(axis=1)
    order = np.argsort(ranks, kind="stable")
    p = float("nan")
    if n_data > 1 and n_methods > 2:
        p = float(stats.friedmanchisquare(*table).pvalue)
    names = [list(values)[i] for i in order]
    difference = critical_difference(n_methods, n_data, level)
    return Ranking(names, ranks[order], n_data, p, difference)


def draw_ranking(axis, ranking):
    """Draw a critical-difference diagram: bars join methods without a significant difference.

    Parameters
    ----------
    axis : Axes
    ranking : Ranking
    """
    n = len(ranking.names)
    half, groups = -(-n // 2), ranking.groups()
    axis.set_xlim(n + 0.02 * n, 1 - 0.02 * n)  # the best on the right
    axis.set_ylim(-2.1 - half, 1.4)
    axis.spines[:].set_visible(False)
    axis.plot([1, n], [1.4, 1.4], color="black", linewidth=1.6)
    axis.set_yticks([])
    axis.xaxis.tick_top()
    axis.set_xticks(range(1, n + 1))
    axis.tick_params(labelsize=8)
    axis.set_title(f"average rank over {ranking.n_data} tasks", fontsize=9)
    for i, (name, rank) in enumerate(zip(ranking.names, ranking.ranks, strict=True)):
        best = i < half
        level = -1.5 - (i if best else n - 1 - i)
        edge, side = (1, "left") if best else (n, "right")
        axis.plot([rank, rank, edge], [1.4, level, level], color="0.4", linewidth=0.8)
        text = f"{name}  ({rank:.1f})"
        offset = (4, 0) if best else (-4, 0)
        options = {"textcoords": "offset points", "va": "center", "ha": side, "fontsize": 8}
        axis.annotate(text, (edge, level), offset, annotation_clip=False, **options)
    for k, (first, last) in enumerate(groups):
        height = 0.8 - 1.6 * k / max(len(groups), 4)
        ends = ranking.ranks[[first, last]]
        axis.plot(ends, [height, height], color="#0072B2", linewidth=3, solid_capstyle="butt")
    end, level = n - ranking.difference, -1.3 - half
    if end >= 1:
        axis.plot([n, end], [level, level], color="black", linewidth=1.6)
        text = f"critical difference {ranking.difference:.1f}"
        options = {"textcoords": "offset points", "ha": "left", "fontsize": 7}
        axis.annotate(text, (n, level), (0, -10), **options)
