"""Score features and shrinkages of the closed-form start by cross-validation.

One kernel matrix per modality and kind of features serves all folds, and one pass over the folds
serves all shrinkages. With centred kernels K_m of n rows, whose features number p_m, the projector
of a modality is

    P_m = K_m ((1 - rho) K_m + r I)^-1 = (I - r ((1 - rho) K_m + r I)^-1) / (1 - rho),
    r = rho tr(K_m) / p_m,

and the start maximises what the projectors have in common, see `generalized_cca`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg, sparse
from sklearn.model_selection import GroupKFold, KFold
from threadpoolctl import threadpool_limits

from skcentrobind._data.kernels import similarities, total_variance
from skcentrobind._data.statistics import shrinkage_of_gram

#: Kernel widths that are tried, as multiples of 1 / total variance, beside the features themselves.
GAMMAS = (0.1, 0.3, 1.0)
#: Shrinkages that are tried; None is the formula of `shrinkage_of`.
SHRINKAGES = (None, 0.01, 0.1, 0.5, 0.9)

#: Rows that are looked at.
MAX_ROWS = 700
# Fewer cannot be split in three.
MIN_ROWS = 12

_FOLDS, _REPEATS = 3, 5
# Candidates this much behind the best one after the first fold are not tried on the others, unless
# the rows are few and a fold says little.
_BEHIND, _FEW = 0.15, 150

# From this shrinkage on, covariances are conditioned well enough for float32.
_MODERATE = 5e-3

# With more rows than are looked at, less smoothing is best, and training gains more from it: a
# kernel of this width and this shrinkage is taken unless it is behind by more than this share.
_USUAL, _USUALLY = (0.3, 0.1), 0.02

# Scores this near to the best one count as equal to it.
_NEAR = 0.002


class Candidate(NamedTuple):
    """One way to start, and how well it does.

    Attributes
    ----------
    gammas : tuple of float or None, one per modality
        Width of the kernel; None for the features themselves.
    shrinkage : float or None
        Shrinkage of the covariances; None for the formula.
    scores : tuple of float
        Mean reciprocal ranks of the held-out rows of the folds, of the first alone if it fell
        behind there.
    seconds : float
        What it took.
    """

    gammas: tuple[float | None, ...]
    shrinkage: float | None
    scores: tuple[float, ...]
    seconds: float


@dataclass(frozen=True)
class Rows:
    """Prepared rows of some modalities, and what is known of the samples.

    Attributes
    ----------
    blocks : list of ndarray or csr_array of shape (n_samples, n_features_m)
        Prepared rows; those that are missing are zero.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    groups : ndarray of int of shape (n_samples,) or None
        Groups of the samples.
    weights : ndarray of float of shape (n_samples,) or None
        Their weights.
    """

    blocks: list
    present: np.ndarray
    groups: np.ndarray | None = None
    weights: np.ndarray | None = None

    @cached_property
    def grams(self) -> _Grams:
        """Kernel matrices of the blocks, which all comparisons of these rows share."""
        return _Grams(self.blocks)


# The order of the BLAS's sums depends on the number of threads.
@threadpool_limits.wrap(limits=1, user_api="blas")
def score_candidates(
    rows: Rows,
    kinds: Sequence[tuple[float | None, ...]],
    shrinkages: Sequence[float | None],
    n_components: int,
    seed: int,
) -> list[Candidate]:
    """Score all combinations of features and shrinkage.

    Parameters
    ----------
    rows : Rows
        What is cross-validated on.
    kinds : sequence of tuple
        For each kind of features the width of the kernel of each modality, see `Candidate`.
    shrinkages : sequence of float or None
        Shrinkages to try.
    n_components : int
        Width of the shared space.
    seed : int
        Seed of the folds.

    Returns
    -------
    candidates : list of Candidate
        In the order of `kinds`, then of `shrinkages`.
    """
    folds = _folds(rows, seed)
    scores: dict[Any, list[float]] = {(kind, rho): [] for kind in kinds for rho in shrinkages}
    seconds, alive = dict.fromkeys(scores, 0.0), set(scores)
    for number, (train, test) in enumerate(folds):
        for kind in kinds:
            wanted = [rho for rho in shrinkages if (kind, rho) in alive]
            if not wanted:
                continue
            before = time.perf_counter()
            fold = _Fold(rows, rows.grams.of(kind), train, test)
            for rho in wanted:
                scores[kind, rho].append(fold.score(rho, n_components))
            for rho in wanted:
                seconds[kind, rho] += (time.perf_counter() - before) / len(wanted)
        if number == 0 and len(rows.present) > _FEW:
            best = max(values[0] for values in scores.values())
            alive = {key for key in scores if scores[key][0] >= best - _BEHIND * best}
    return [
        Candidate(kind, rho, tuple(values), seconds[kind, rho])
        for (kind, rho), values in scores.items()
    ]


def best_of(candidates: Sequence[Candidate], has_more_rows: bool = False) -> int:
    """Return the position of the candidate to take.

    That is the one with the highest mean score, with two exceptions. Where the folds are repeated,
    since the rows are few, it is the first one, and so the simplest, whose mean is not lower by
    more than one standard error of their paired differences. Where there are more rows than were
    looked at, it is a kernel of medium width and little shrinkage, if its mean is about as high.

    Parameters
    ----------
    candidates : sequence of Candidate
        The simplest features first.
    has_more_rows : bool, default=False
        Whether there are more rows than were looked at.
    """
    n_folds = max(len(one.scores) for one in candidates)
    whole = [i for i, one in enumerate(candidates) if len(one.scores) == n_folds]
    means = {i: float(np.mean(candidates[i].scores)) for i in whole}
    best = max(means, key=lambda i: means[i])
    if n_folds == _FOLDS:
        usual = [
            i for i in whole if (*set(candidates[i].gammas), candidates[i].shrinkage) == _USUAL
        ]
        is_near = bool(usual) and means[usual[0]] >= means[best] * (1 - _USUALLY)
        return usual[0] if has_more_rows and is_near else best
    for i in whole:
        behind = np.subtract(candidates[best].scores, candidates[i].scores)
        if behind.mean() <= behind.std(ddof=1) / np.sqrt(n_folds):
            return i
    return best


@threadpool_limits.wrap(limits=1, user_api="blas")
def narrowest(
    rows: Rows,
    candidate: Candidate,
    widths: Sequence[int],
    seed: int,
) -> int:
    """Return the narrowest space in which a candidate is about as good as in the best one.

    Parameters
    ----------
    rows : Rows
        What is cross-validated on.
    candidate : Candidate
        Features and shrinkage.
    widths : sequence of int
        Widths to try, ascending.
    seed : int
        Seed of the folds.
    """
    grams = rows.grams.of(candidate.gammas)
    folds = [_Fold(rows, grams, train, test) for train, test in _folds(rows, seed)]
    scores = np.mean([fold.scores(candidate.shrinkage, widths) for fold in folds], axis=0)
    return int(widths[int(np.argmax(scores >= scores.max() - _NEAR))])


def _folds(rows: Rows, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split the rows in three, again and again if they are few, without splitting a group."""
    n_rows = len(rows.present)
    repeats = max(1, min(_REPEATS, _FEW // n_rows))
    found = []
    for repeat in range(repeats):
        options = {"shuffle": True, "random_state": seed + repeat}
        splitter: Any = KFold(_FOLDS, **options)
        if rows.groups is not None:
            splitter = GroupKFold(_FOLDS, **options)
        found += list(splitter.split(np.arange(n_rows), groups=rows.groups))
    return found


class _Grams:
    """Kernel matrices of all rows, made when they are first needed, and kept."""

    def __init__(self, blocks: list) -> None:
        self.blocks = blocks
        self.rates = [1 / total_variance(block) for block in blocks]
        self.kept: dict[tuple[int, float | None], np.ndarray] = {}

    def of(self, kind: tuple[float | None, ...]) -> list[tuple[np.ndarray, int]]:
        """Return for each modality its matrix and, for features themselves, their number or 0."""
        found = []
        for m, (block, gamma) in enumerate(zip(self.blocks, kind, strict=True)):
            if (m, gamma) not in self.kept:
                if gamma is None:
                    gram = block @ block.T
                    gram = (gram.toarray() if sparse.issparse(gram) else gram).astype(np.float64)
                else:
                    gram = similarities(block, block, gamma * self.rates[m])
                self.kept[m, gamma] = gram
            found.append((self.kept[m, gamma], block.shape[1] if gamma is None else 0))
        return found


class _Fold:
    """The closed-form start on some rows, judged on others."""

    def __init__(
        self, rows: Rows, grams: list[tuple[np.ndarray, int]], train: np.ndarray, test: np.ndarray
    ) -> None:
        count = rows.present[train].sum(axis=1)
        train = train[count > 1]
        self.has = rows.present[train]
        self.there = rows.present[test]
        self.groups = None if rows.groups is None else rows.groups[test]
        self.weights = None if rows.weights is None else rows.weights[test]
        self.scale = (self.has.sum(axis=1) - 1.0) ** -0.5
        self.parts = []
        for (gram, width), here in zip(grams, self.has.T, strict=True):
            own = train[here]
            k = gram[np.ix_(own, own)]
            mean = k.mean(axis=0)
            centred = k - mean - mean[:, None] + mean.mean()
            to_test = gram[np.ix_(test, own)]
            to_test = to_test - to_test.mean(axis=1, keepdims=True) - mean + mean.mean()
            self.parts.append((centred, to_test, width or len(own)))

    def score(self, rho: float | None, n_components: int) -> float:
        """Return the mean reciprocal rank of the test rows."""
        return self.scores(rho, [n_components])[0]

    def scores(self, rho: float | None, widths: Sequence[int]) -> list[float]:
        """Return the mean reciprocal rank of the test rows for each number of components."""
        n = len(self.has)
        if n < 2 or any(len(centred) < 2 for centred, *_ in self.parts):
            return [0.0] * len(widths)
        total = -np.diag(self.scale**2)
        inverses = []
        for (centred, _, width), here in zip(self.parts, self.has.T, strict=True):
            n_rows = len(centred)
            own = shrinkage_of_gram(centred, n_rows, width) if rho is None else rho
            ridge = own * np.trace(centred) / width or 1.0
            shrunk = (1 - own) * centred
            shrunk[np.diag_indices(n_rows)] += ridge
            inverse = _inverse(shrunk.astype(np.float32) if own >= _MODERATE else shrunk)
            inverses.append(inverse)
            projector = -(ridge / (1 - own)) * inverse
            projector[np.diag_indices(n_rows)] += 1 / (1 - own)
            total[np.ix_(here, here)] += self.scale[here, None] * projector * self.scale[here]
        n_axes = min(max(widths), n)
        values, axes = linalg.eigh(
            total.astype(np.float32),
            subset_by_index=[n - n_axes, n - 1],
            overwrite_a=True,
            check_finite=False,
        )
        variables = self.scale[:, None] * axes * values.clip(0)
        blocks = [
            to_test @ (inverse @ variables[here])
            for (_, to_test, _), inverse, here in zip(self.parts, inverses, self.has.T, strict=True)
        ]
        # LAPACK's order is ascending: the last columns are the first variables.
        return [
            reciprocal_rank(
                [block[:, -width:] for block in blocks], self.there, self.groups, self.weights
            )
            for width in widths
        ]


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of a positive definite matrix, by its Cholesky factor."""
    potrf, potri = linalg.lapack.get_lapack_funcs(("potrf", "potri"), (matrix,))
    factor, failed = potrf(matrix, lower=True)
    if failed:
        return linalg.pinvh(matrix)
    inverse, _ = potri(factor, lower=True)
    lower = np.tril(inverse)
    return lower + np.tril(inverse, -1).T


def reciprocal_rank(
    blocks: list[np.ndarray],
    present: np.ndarray,
    groups: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> float:
    """Return the mean reciprocal rank over all ordered pairs of modalities, in float32.

    As `metrics.mean_reciprocal_rank`, except that only exact ties count as such: it is meant for
    comparisons, many times over.

    Parameters
    ----------
    blocks : list of ndarray of shape (n_samples, n_components)
        Embeddings of any length.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    groups : ndarray of int of shape (n_samples,), default=None
        Any sample of the query's group counts as found.
    weights : ndarray of shape (n_samples,), default=None
        Weights of the queries.

    Returns
    -------
    score : float
        0 if no two modalities share two samples.
    """
    unit = []
    for block in blocks:
        length = np.linalg.norm(block, axis=1, keepdims=True)
        unit.append((block / np.where(length > 0, length, 1)).astype(np.float32))
    found: list[float] = []
    if groups is None and present.all():
        n_samples, at = len(present), np.arange(len(present))
        queries = np.concatenate(unit)
        for g, gallery in enumerate(unit):
            similarity = (queries @ gallery.T).reshape(len(unit), n_samples, n_samples)
            own = similarity[:, at, at, None]
            ranks = _ranks(similarity, own)
            means = np.average(1 / ranks, axis=1, weights=weights)
            found += [mean for q, mean in enumerate(means) if q != g]
        return float(np.mean(found)) if found and n_samples > 1 else 0.0
    for g, gallery in enumerate(unit):
        for q, query in enumerate(unit):
            rows = np.flatnonzero(present[:, g] & present[:, q])
            if q == g or len(rows) < 2:
                continue
            similarity = query[rows] @ gallery[rows].T
            if groups is None:
                ranks = _ranks(similarity, similarity.diagonal()[:, None])
            else:
                same = groups[rows, None] == groups[rows]
                own = np.where(same, similarity, -np.inf).max(axis=1, keepdims=True)
                ranks = _ranks(similarity, own, same)
            found.append(np.average(1 / ranks, weights=None if weights is None else weights[rows]))
    return float(np.mean(found)) if found else 0.0


def _ranks(similarity: np.ndarray, own: np.ndarray, same: np.ndarray | None = None) -> np.ndarray:
    """Return the mean ranks of similarities `own` among the candidates along the last axis."""
    above = (similarity > own).sum(axis=-1)
    equal = similarity == own
    n_own: Any = 1 if same is None else (equal & same).sum(axis=-1)
    return above + (equal.sum(axis=-1) + 1) / (n_own + 1)
