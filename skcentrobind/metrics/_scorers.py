"""Make scorers for searches without labels: `scoring=` in GridSearchCV, cross_validate, etc."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, ClassVar, TypeAlias

import numpy as np

from skcentrobind._names import is_integer
from skcentrobind.metrics._embed import embed
from skcentrobind.metrics._geometry import mean_distance, uniformity
from skcentrobind.metrics._inputs import (
    Embeddings,
    Floats,
    check_positive,
    check_whole,
    embeddings,
)
from skcentrobind.metrics._pairs import Pair, mean_over_pairs, recall, reciprocal

#: A query, which may be several modalities, and a gallery, each by name or position.
NamedPair: TypeAlias = tuple[Any, str | int]


def make_retrieval_scorer(
    k: int | str = 1, *, pairs: Sequence[Sequence[Any]] | None = None
) -> Callable[..., float]:
    """Make a scorer for retrieval: recall@k or mean reciprocal rank, averaged over modality pairs.

    It needs no labels. The estimator is a binding transformer, or a pipeline with one as a step.

    Parameters
    ----------
    k : int or "mrr", default=1
        Recall at k, or the mean reciprocal rank, as `score` of the estimators returns.
    pairs : sequence of (query, gallery), default=None
        Query and gallery modalities, by name or position. A query may be a tuple of modalities,
        of which the centroid is used. None means every ordered pair of two modalities.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)`` returns a float between 0 and 1, higher is better. It can
        be pickled.

    Raises
    ------
    ValueError
        If `k` or `pairs` are invalid; names are checked when scoring.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skcentrobind import CentroBindTransformer
    >>> from skcentrobind.metrics import make_retrieval_scorer
    >>> scorer = make_retrieval_scorer(k=5, pairs=[("text", "image")])
    >>> search = GridSearchCV(
    ...     CentroBindTransformer(), {"temperature": [0.1, 0.5]}, scoring=scorer
    ... )
    >>> scorer
    make_retrieval_scorer(k=5, pairs=[('text', 'image')])
    """
    if k != "mrr":
        if isinstance(k, str):
            raise ValueError(f"k must be a whole number of at least 1 or 'mrr', got {k!r}.")
        check_whole(k, "k")
    return _RetrievalScorer(k, _check_pairs(pairs))


def make_alignment_scorer(
    alpha: float = 2,
    *,
    pairs: Sequence[Sequence[Any]] | None = None,
    uniformity_weight: float = 0.0,
) -> Callable[..., float]:
    """Make a scorer for the negative distance between the embeddings of a sample.

    It needs no labels. The estimator is a binding transformer, or a pipeline with one as a step.
    A collapsed space is perfectly aligned, so a search over parameters that could lead to one
    needs a `uniformity_weight`.

    Parameters
    ----------
    alpha : float, default=2
        Power of the distance, see `alignment`.
    pairs : sequence of (modality, modality), default=None
        Pairs to average over, by name or position; all if None.
    uniformity_weight : float, default=0.0
        The mean of `uniformity` over the modalities is added to the distance with this weight;
        1 is usual.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)`` returns a float, higher is better; without uniformity it
        is at most 0. It can be pickled.

    Raises
    ------
    ValueError
        If a parameter is invalid; names are checked when scoring.

    Examples
    --------
    >>> from skcentrobind.metrics import make_alignment_scorer
    >>> scorer = make_alignment_scorer()
    >>> scorer(None, [[[1, 0], [0, 1]], [[0, 1], [0, 1]]])
    -1.0
    """
    check_positive(alpha, "alpha")
    if not isinstance(uniformity_weight, Real) or not 0 <= float(uniformity_weight) < np.inf:
        raise ValueError(f"uniformity_weight must be at least 0, got {uniformity_weight!r}.")
    return _AlignmentScorer(alpha, _check_pairs(pairs, several=False), uniformity_weight)


@dataclass(frozen=True, eq=False, repr=False)
class _Scorer(ABC):
    """Score the embeddings of an estimator; the fields are the arguments that made the scorer."""

    made_by: ClassVar[str]

    def __call__(self, estimator: Any, X: Any, y: object = None) -> float:
        """Score the embeddings of X; y is ignored."""
        Z = embeddings(embed(estimator, X))
        if len(Z.names) < 2:
            raise ValueError(f"{self!r} needs two modalities or more, got {Z.names}.")
        return self._score(Z)

    def __repr__(self) -> str:
        """Return the call that makes this scorer."""
        given = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        return f"{self.made_by}({given})"

    @abstractmethod
    def _score(self, Z: Embeddings) -> float:
        """Return the score of at least two modalities, higher is better."""


@dataclass(frozen=True, eq=False, repr=False)
class _RetrievalScorer(_Scorer):
    made_by: ClassVar[str] = "make_retrieval_scorer"
    k: int | str
    pairs: list[NamedPair] | None

    def _score(self, Z: Embeddings) -> float:
        pairs = None if self.pairs is None else _positions(Z, self.pairs)
        return mean_over_pairs(Z, self._summary, pairs)

    def _summary(self, ranks: Floats, weight: Floats | None) -> float:
        return reciprocal(ranks, weight) if self.k == "mrr" else recall(ranks, int(self.k), weight)


@dataclass(frozen=True, eq=False, repr=False)
class _AlignmentScorer(_Scorer):
    made_by: ClassVar[str] = "make_alignment_scorer"
    alpha: float
    pairs: list[NamedPair] | None
    uniformity_weight: float

    def _score(self, Z: Embeddings) -> float:
        every = itertools.combinations(range(len(Z.names)), 2)
        pairs: list[Pair] = [((a,), b) for a, b in every]
        if self.pairs is not None:
            pairs = _positions(Z, self.pairs)
        values = [self._distance(Z, a, b) for (a,), b in pairs]
        if np.isnan(values).all():
            raise ValueError(f"No sample has both modalities of any pair of {Z.names}.")
        value = np.nanmean(values)
        if self.uniformity_weight:
            counted = zip(Z.arrays, Z.counted.T, strict=True)
            arrays = [np.where(rows[:, None], z, np.nan) for z, rows in counted]
            value += self.uniformity_weight * uniformity(arrays).iloc[:-1].mean()
        return -float(value)

    def _distance(self, Z: Embeddings, a: int, b: int) -> float:
        rows = Z.counted[:, [a, b]].all(axis=1)
        if not rows.any():
            return np.nan
        weight = None if Z.sample_weight is None else Z.sample_weight[rows]
        return mean_distance(Z.arrays[a][rows] - Z.arrays[b][rows], self.alpha, weight)


def _check_pairs(pairs: Any, several: bool = True) -> list[NamedPair] | None:
    """Return pairs as a list of tuples, in which each modality is a name or a position."""
    if pairs is None:
        return None
    if isinstance(pairs, str) or not np.iterable(pairs):
        raise ValueError(f"pairs must be a list of (query, gallery) pairs, got {pairs!r}.")
    checked: list[NamedPair] = []
    for pair in pairs:
        if isinstance(pair, str) or not isinstance(pair, Collection) or len(pair) != 2:
            raise ValueError(f"Each of pairs must be a (query, gallery) pair, got {pair!r}.")
        query, gallery = pair
        members = list(query) if several and isinstance(query, tuple | list) else [query]
        for modality in [*members, gallery]:
            if not (isinstance(modality, str) or is_integer(modality)):
                raise ValueError(
                    f"pairs must hold names or positions of modalities, got {modality!r}."
                )
        if not members:
            raise ValueError(f"A query needs at least one modality, got {pair!r}.")
        _check_different([*members, gallery], pair)
        checked.append((tuple(members) if len(members) > 1 else members[0], gallery))
    if not checked:
        raise ValueError("pairs must hold at least one pair; None means all of them.")
    return checked


def _check_different(modalities: list[Any], pair: object) -> None:
    if len(set(modalities)) < len(modalities):
        raise ValueError(f"The modalities of a pair must differ, got {pair!r}.")


def _positions(Z: Embeddings, pairs: list[NamedPair]) -> list[Pair]:
    """Return the positions of the modalities of pairs."""
    found = []
    for query, gallery in pairs:
        members = query if isinstance(query, tuple) else (query,)
        positions = [Z.position(modality, "pairs") for modality in (*members, gallery)]
        _check_different(positions, (query, gallery))
        found.append((tuple(positions[:-1]), positions[-1]))
    return found
