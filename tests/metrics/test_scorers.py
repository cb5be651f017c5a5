"""Scorers in searches without labels, for bare estimators and for pipelines."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skcentrobind import Modalities
from skcentrobind.metrics import (
    alignment,
    make_alignment_scorer,
    make_retrieval_scorer,
    mean_reciprocal_rank,
    recall_at_k,
    retrieval_report,
    uniformity,
)

SCORERS = {
    "recall@1": make_retrieval_scorer(),
    "recall@5": make_retrieval_scorer(5),
    "mrr": make_retrieval_scorer("mrr"),
    "alignment": make_alignment_scorer(),
    "both": make_alignment_scorer(uniformity_weight=1.0),
}


class Halve(TransformerMixin, BaseEstimator):
    """A step for Modalities with a visible effect on later steps."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return Modalities({name: a / 2 for name, a in X.items()})


# --- values -------------------------------------------------------------------------------


def test_values(centro, X):
    bind = centro().fit(X)
    Z = bind.transform_modalities(X)
    report = retrieval_report(Z, ks=(1, 5))
    assert SCORERS["recall@1"](bind, X) == pytest.approx(report["recall@1"].mean())
    assert SCORERS["recall@5"](bind, X) == pytest.approx(report["recall@5"].mean())
    assert SCORERS["mrr"](bind, X) == pytest.approx(bind.score(X))
    distances = alignment(Z).to_numpy()[np.triu_indices(3, k=1)]
    assert SCORERS["alignment"](bind, X) == pytest.approx(-distances.mean())
    both = -distances.mean() - uniformity(Z)[list(Z.names)].mean()
    assert SCORERS["both"](bind, X) == pytest.approx(both)
    assert all(type(scorer(bind, X, None)) is float for scorer in SCORERS.values())


def test_pairs_by_name_position_and_subset(centro, X):
    bind = centro().fit(X)
    image, text, audio = Z = bind.transform_modalities(X).arrays
    expected = (recall_at_k(image, text) + recall_at_k(audio, image)) / 2
    for pairs in ([("image", "text"), ("audio", "image")], [(0, 1), [-1, np.int64(0)]]):
        assert make_retrieval_scorer(pairs=pairs)(bind, X) == pytest.approx(expected)
    scorer = make_retrieval_scorer(3, pairs=[(("image", "text"), "audio")])
    assert scorer(bind, X) == recall_at_k(Z[:2], audio, k=3)
    scorer = make_alignment_scorer(1, pairs=[("text", 2)])
    distances = np.linalg.norm(text - audio, axis=1)
    assert scorer(bind, X) == pytest.approx(-distances.mean(), rel=1e-5)


def test_missing_modalities(centro, incomplete):
    bind = centro().fit(incomplete)
    Z = bind.transform_modalities(incomplete)
    assert SCORERS["mrr"](bind, incomplete) == pytest.approx(mean_reciprocal_rank(Z))
    expected = alignment(Z).to_numpy()[np.triu_indices(3, k=1)].mean()
    assert SCORERS["alignment"](bind, incomplete) == pytest.approx(-expected)


def test_alignment_of_unshared_modalities():
    Z = np.stack([np.eye(4)] * 2)
    Z[0, :2] = Z[1, 2:] = np.nan
    with pytest.raises(ValueError, match="No sample has both modalities"):
        SCORERS["alignment"](None, Z)


# --- estimators ---------------------------------------------------------------------------


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)
def test_pipelines(centro, X, y, scorer):
    bind = centro().fit(X)
    halved = centro().fit(Halve().fit_transform(X))
    expected, expected_halved = scorer(bind, X), scorer(halved, Halve().fit(X).transform(X))
    probe = LogisticRegression()
    for pipeline, value in [
        (make_pipeline(centro()), expected),
        (make_pipeline("passthrough", centro(), StandardScaler(), probe), expected),
        (Pipeline([("none", None), ("bind", centro())]), expected),
        (make_pipeline(Halve(), centro(), probe), expected_halved),
        (make_pipeline(Halve(), make_pipeline(centro(), StandardScaler())), expected_halved),
    ]:
        assert scorer(pipeline.fit(X, y), X, y) == pytest.approx(value)


def test_search(centro, X):
    search = GridSearchCV(
        make_pipeline(Halve(), centro()),
        {"centrobindtransformer__temperature": [0.1, 1.0]},
        scoring=make_retrieval_scorer(2, pairs=[("image", "text")]),
        cv=2,
        error_score="raise",
    ).fit(X)
    rows = slice(None, 20), slice(20, None)
    scores = []
    for train, test in (rows[::-1], rows):
        best = clone(search.best_estimator_).fit(X[train])
        Z = best[-1].transform_modalities(best[0].transform(X[test]))
        scores.append(recall_at_k(Z["image"], Z["text"], k=2))
    assert search.best_score_ == pytest.approx(np.mean(scores))
    # What was searched is an estimator with embeddings, too.
    assert SCORERS["mrr"](search, X) == SCORERS["mrr"](search.best_estimator_, X)


@pytest.mark.slow
def test_several_scorers_in_two_processes(centro, X):
    found = cross_validate(centro(), X, scoring=SCORERS, cv=2, n_jobs=2, error_score="raise")
    alone = cross_validate(centro(), X, scoring=SCORERS["mrr"], cv=2, error_score="raise")
    assert {f"test_{name}" for name in SCORERS} <= set(found)
    assert_allclose(found["test_mrr"], alone["test_score"])
    search = GridSearchCV(
        centro(), {"temperature": [0.1, 1.0]}, scoring=SCORERS, refit="mrr", cv=2
    ).fit(X)
    assert search.cv_results_["mean_test_recall@5"].shape == (2,)


def test_pickles_and_reads_as_written():
    for scorer in SCORERS.values():
        copy = pickle.loads(pickle.dumps(scorer))
        Z = np.random.default_rng(0).normal(size=(3, 20, 4))
        assert copy(None, Z) == scorer(None, Z)
        assert repr(copy) == repr(scorer)
        assert repr(eval(repr(scorer))) == repr(scorer)
    scorer = make_retrieval_scorer(pairs=[(["a", "b"], 2)])
    assert repr(scorer) == "make_retrieval_scorer(k=1, pairs=[(('a', 'b'), 2)])"


# --- refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k": 0}, ["k must be a whole number of at least 1", "got 0"]),
        ({"k": True}, ["whole number", "True"]),
        ({"k": 2.0}, ["whole number", "2.0"]),
        ({"k": "recall"}, ["or 'mrr', got 'recall'"]),
        ({"pairs": "ab"}, ["list of (query, gallery) pairs", "'ab'"]),
        ({"pairs": 3}, ["list of (query, gallery) pairs", "3"]),
        ({"pairs": ["ab"]}, ["(query, gallery) pair, got 'ab'"]),
        ({"pairs": [("a", "b", "c")]}, ["(query, gallery) pair", "'c'"]),
        ({"pairs": []}, ["at least one pair"]),
        ({"pairs": [("a", "a")]}, ["must differ", "('a', 'a')"]),
        ({"pairs": [(("a", "b"), "b")]}, ["must differ"]),
        ({"pairs": [((), "b")]}, ["at least one modality", "((), 'b')"]),
        ({"pairs": [(1.5, "b")]}, ["names or positions", "1.5"]),
    ],
)
def test_refused_when_made(options, words):
    with pytest.raises(ValueError) as info:
        make_retrieval_scorer(**options)
    assert all(word in str(info.value) for word in words), str(info.value)


@pytest.mark.parametrize("alpha", [0, -2, "2"])
def test_refused_alignment(alpha):
    with pytest.raises(ValueError, match="alpha must be a positive number"):
        make_alignment_scorer(alpha)
    with pytest.raises(ValueError, match="uniformity_weight must be at least 0"):
        make_alignment_scorer(uniformity_weight=-1)
    with pytest.raises(ValueError, match="names or positions"):
        make_alignment_scorer(pairs=[(("a", "b"), "c")])


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([("image", "sound")], ["'sound'", "['image', 'text']"]),
        ([(0, 2)], ["modality 2", "below 2"]),
        ([("image", 0)], ["must differ"]),
    ],
)
@pytest.mark.parametrize("make", [make_retrieval_scorer, make_alignment_scorer])
def test_refused_when_scoring(make, pairs, words):
    with pytest.raises(ValueError) as info:
        make(pairs=pairs)(None, {"image": np.eye(4), "text": np.eye(4)})
    assert all(word in str(info.value) for word in words), str(info.value)


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)
def test_what_cannot_embed(scorer, X, y):
    arrays = list(X.arrays)
    identity = make_pipeline(FunctionTransformer(), FunctionTransformer())
    with pytest.raises(TypeError, match=r"No step .* has transform_modalities, got the steps"):
        scorer(identity, X)
    with pytest.raises(TypeError, match="LogisticRegression has neither"):
        scorer(LogisticRegression(), X)
    with pytest.raises(TypeError, match="given 3 modalities and returned ndarray"):
        scorer(FunctionTransformer(np.hstack).fit(arrays), X)
    with pytest.raises(ValueError, match="needs two modalities or more"):
        scorer(None, arrays[:1])
