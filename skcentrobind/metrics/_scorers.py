"""Scorers for searches without labels: `scoring=` in GridSearchCV, cross_validate and others."""

import itertools
import numbers

import numpy as np

from skcentrobind._names import is_integer
from skcentrobind.metrics._embed import embed
from skcentrobind.metrics._geometry import alignment, uniformity
from skcentrobind.metrics._inputs import check_positive, check_whole, embeddings
from skcentrobind.metrics._retrieval import mean_over_pairs


def make_retrieval_scorer(k=1, *, pairs=None):
    """Scorer for retrieval: recall@k or the mean reciprocal rank, mean over pairs of modalities.

    It takes no labels. The estimator is a binding transformer, or a pipeline with one as a step.

    Parameters
    ----------
    k : int or "mrr", default=1
        Recall at k, or the mean reciprocal rank, which is what `score` of the estimators gives.
    pairs : sequence of (query, gallery), default=None
        Which modality asks which, by name or position; a query may be a tuple of modalities,
        which ask together. None means every ordered pair of two modalities.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)`` returns a float between 0 and 1, higher is better. It can
        be pickled.

    Raises
    ------
    ValueError
        If `k` or `pairs` cannot be used; names are looked up when scoring.

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
    return _RetrievalScorer(k=k, pairs=_check_pairs(pairs))


def make_alignment_scorer(alpha=2, *, pairs=None, uniformity_weight=0.0):
    """Scorer for the distance between embeddings of one sample, with its sign changed.

    It takes no labels. The estimator is a binding transformer, or a pipeline with one as a step.
    A collapsed space is perfectly aligned, so that a search over parameters that could lead to one
    needs a `uniformity_weight`.

    Parameters
    ----------
    alpha : float, default=2
        Power of the distance, see `alignment`.
    pairs : sequence of (modality, modality), default=None
        Which pairs count, by name or position; all if None.
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
        If a parameter cannot be used; names are looked up when scoring.

    Examples
    --------
    >>> from skcentrobind.metrics import make_alignment_scorer
    >>> scorer = make_alignment_scorer()
    >>> scorer(None, [[[1, 0], [0, 1]], [[0, 1], [0, 1]]])
    -1.0
    """
    check_positive(alpha, "alpha")
    if not isinstance(uniformity_weight, numbers.Real) or not 0 <= uniformity_weight < np.inf:
        raise ValueError(f"uniformity_weight must be at least 0, got {uniformity_weight!r}.")
    pairs = _check_pairs(pairs, several=False)
    return _AlignmentScorer(alpha=alpha, pairs=pairs, uniformity_weight=uniformity_weight)


class _Scorer:
    """A callable (estimator, X, y=None) -> float that shows how it was made."""

    def __init__(self, **parameters):
        self.parameters = parameters

    def __call__(self, estimator, X, y=None):
        """Score the embeddings of X; y is ignored."""
        Z = embeddings(embed(estimator, X))
        if len(Z.names) < 2:
            raise ValueError(f"{self!r} needs two modalities or more, got {Z.names}.")
        return self._score(Z, **self.parameters)

    def __repr__(self):
        """Return the call that makes this scorer."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{self._maker}({given})"


class _RetrievalScorer(_Scorer):
    _maker = "make_retrieval_scorer"

    def _score(self, Z, k, pairs):
        if pairs is not None:
            pairs = [_positions(Z, query, gallery) for query, gallery in pairs]
        if k == "mrr":
            return mean_over_pairs(Z, lambda ranks: np.mean(1 / ranks), pairs)
        return mean_over_pairs(Z, lambda ranks: np.mean(ranks <= k), pairs)


class _AlignmentScorer(_Scorer):
    _maker = "make_alignment_scorer"

    def _score(self, Z, alpha, pairs, uniformity_weight):
        if pairs is None:
            pairs = [((a,), b) for a, b in itertools.combinations(range(len(Z.names)), 2)]
        else:
            pairs = [_positions(Z, a, b) for a, b in pairs]
        arrays = [
            np.where(rows[:, None], z, np.nan)
            for z, rows in zip(Z.arrays, Z.present.T, strict=True)
        ]
        distances = alignment(arrays, alpha=alpha).to_numpy()
        values = [distances[a, b] for (a,), b in pairs]
        if np.isnan(values).all():
            raise ValueError(f"No sample has both modalities of any pair of {Z.names}.")
        value = np.nanmean(values)
        if uniformity_weight:
            value += uniformity_weight * uniformity(arrays).iloc[:-1].mean()
        return -float(value)


def _check_pairs(pairs, several=True):
    """Pairs as a list of tuples, in which each modality is a name or a position."""
    if pairs is None:
        return None
    if isinstance(pairs, str) or not np.iterable(pairs):
        raise ValueError(f"pairs must be a list of (query, gallery) pairs, got {pairs!r}.")
    checked = []
    for pair in pairs:
        if isinstance(pair, str) or not np.iterable(pair) or len(pair) != 2:
            raise ValueError(f"Each of pairs must be a (query, gallery) pair, got {pair!r}.")
        query, gallery = pair
        members = list(query) if several and isinstance(query, tuple | list) else [query]
        for modality in [*members, gallery]:
            if not (isinstance(modality, str) or is_integer(modality)):
                raise ValueError(
                    f"pairs must hold names or positions of modalities, got {modality!r}."
                )
        if not members or len({*members, gallery}) <= len(members):
            raise ValueError(f"The modalities of a pair must differ, got {pair!r}.")
        checked.append((tuple(members) if len(members) > 1 else members[0], gallery))
    if not checked:
        raise ValueError("pairs must hold at least one pair; None means all of them.")
    return checked


def _positions(Z, query, gallery):
    members = query if isinstance(query, tuple) else (query,)
    *members, gallery = [Z.position(modality, "pairs") for modality in (*members, gallery)]
    if len({*members, gallery}) <= len(members):
        raise ValueError(f"The modalities of a pair must differ, got {(query, gallery)!r}.")
    return tuple(members), gallery
