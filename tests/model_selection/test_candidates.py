"""Cross-validated scores of the closed-form start are those of the start itself."""

import numpy as np
import pytest
from conftest import draw
from numpy.testing import assert_allclose
from scipy import sparse

from skcentrobind import metrics
from skcentrobind._data.kernels import fit_landmarks, similarities, total_variance
from skcentrobind._data.statistics import generalized_cca
from skcentrobind.model_selection import _candidates as c

RNG = np.random.default_rng(0)


def blocks_of(n_samples=60, present=None):
    X, _ = draw(n_samples)
    blocks = [(a - a.mean(axis=0)) / a.std(axis=0) for a in X.arrays]
    present = np.ones((n_samples, 3), dtype=bool) if present is None else present
    blocks = [np.where(here[:, None], b, 0) for b, here in zip(blocks, present.T, strict=True)]
    return [b.astype(np.float32) for b in blocks], present


def some_missing(n_samples=60):
    present = np.random.default_rng(1).random((n_samples, 3)) < 0.7
    present[np.arange(n_samples), np.arange(n_samples) % 3] = True
    return present


def start_by_hand(rows, kind, rho, train, test, n_components):
    """Score the start by `generalized_cca` on explicit features: rows, or roots of kernels."""
    train = train[rows.present[train].sum(axis=1) > 1]
    has = rows.present[train]
    features, tests = [], []
    for block, gamma, here in zip(rows.blocks, kind, has.T, strict=True):
        own, block = train[here], block.astype(float)
        if gamma is None:
            features.append(block[own])
            tests.append(block[test])
            continue
        rate = gamma / total_variance(block)
        values, axes = np.linalg.eigh(similarities(block[own], block[own], rate))
        root = axes / np.sqrt(values)
        features.append(similarities(block[own], block[own], rate) @ root)
        tests.append(similarities(block[test], block[own], rate) @ root)
    weights, means, _ = generalized_cca(features, has, n_components, rho)
    Z = [(x - mean) @ w for x, mean, w in zip(tests, means, weights, strict=True)]
    Z = [
        np.where(here[:, None], z, np.nan) for z, here in zip(Z, rows.present[test].T, strict=True)
    ]
    Z = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in Z]
    return metrics.mean_reciprocal_rank(Z)


@pytest.mark.parametrize("present", [None, some_missing()], ids=["complete", "missing"])
@pytest.mark.parametrize("rho", [None, 0.1, 0.9])
@pytest.mark.parametrize("kind", [(None, None, None), (0.3, 0.3, 0.3), (None, 1.0, 0.1)])
def test_scores_are_those_of_the_start(kind, rho, present):
    rows = c.Rows(*blocks_of(present=present))
    (one,) = c.score_candidates(rows, [kind], [rho], 4, seed=0)
    by_hand = [start_by_hand(rows, kind, rho, *fold, 4) for fold in c._folds(rows, 0)]
    assert_allclose(one.scores, by_hand, atol=5e-3)


def test_sparse_rows_are_as_dense_ones():
    blocks, present = blocks_of()
    thin = [np.where(b > 0, b, 0) for b in blocks]
    kinds = [(None,) * 3, (0.3,) * 3]
    dense, stored = (
        c.score_candidates(c.Rows(items, present), kinds, (None, 0.5), 4, seed=0)
        for items in (thin, [sparse.csr_array(b) for b in thin])
    )
    for one, two in zip(dense, stored, strict=True):
        assert_allclose(one.scores, two.scores, atol=2e-3)


def test_folds_split_no_group_and_few_rows_are_split_again():
    groups = np.arange(30) // 3
    rows = c.Rows([], np.ones((30, 2), dtype=bool), groups)
    folds = c._folds(rows, 0)
    assert len(folds) == 15
    assert all(not set(groups[a]) & set(groups[b]) for a, b in folds)
    assert len(c._folds(c.Rows([], np.ones((200, 2), dtype=bool)), 0)) == 3


@pytest.mark.parametrize("known", [{}, {"groups": np.arange(40) // 4}])
@pytest.mark.parametrize("weights", [None, RNG.uniform(0.1, 2, 40)])
def test_reciprocal_rank_is_that_of_the_metrics(known, weights):
    present = some_missing(40)
    Z = [RNG.normal(size=(40, 3)) for _ in range(3)]
    if weights is not None:
        known = {**known, "sample_weight": weights}
    unit = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in Z]
    expected = metrics.mean_reciprocal_rank(unit, present=present, **known)
    found = c.reciprocal_rank(Z, present, known.get("groups"), weights)
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_best_is_taken_and_among_few_rows_the_simplest_near_it():
    first, second = (0.5, 0.6, 0.4), (0.6, 0.7, 0.5)
    three = [c.Candidate((None,), None, first, 0), c.Candidate((0.3,), None, second, 0)]
    assert c.best_of(three) == 1
    behind = c.Candidate((0.1,), None, (0.9,), 0)  # not tried on the other folds
    assert c.best_of([*three, behind]) == 1
    noise = np.resize([0.2, -0.19], 15)
    near = [c.Candidate((None,), None, tuple(0.5 + noise), 0)]
    near.append(c.Candidate((0.3,), None, (0.51,) * 15, 0))
    assert c.best_of(near) == 0
    far = [c.Candidate((None,), None, (0.5,) * 15, 0), c.Candidate((0.3,), None, (0.51,) * 15, 0)]
    assert c.best_of(far) == 1


@pytest.mark.parametrize(("score", "position"), [(0.59, 1), (0.587, 0)])
def test_the_usual_kernel_is_taken_where_more_rows_are_there_and_it_is_near(score, position):
    scored = [((0.1,) * 2, 0.5, 0.6), ((0.3,) * 2, 0.1, score), ((0.3,) * 2, 0.5, 0.599)]
    tried = [c.Candidate(gammas, rho, (mean,) * 3, 0) for gammas, rho, mean in scored]
    assert c.best_of(tried, has_more_rows=True) == position
    assert c.best_of(tried) == 0
    mixed = [tried[0], c.Candidate((0.3, None), 0.1, (0.599,) * 3, 0)]
    assert c.best_of(mixed, has_more_rows=True) == 0


def test_landmarks_give_standardised_features_that_span_the_kernel():
    rows = RNG.normal(size=(50, 4)).astype(np.float32)
    found = fit_landmarks(rows, 0.5, 60, seed=0)
    assert found.rows.shape == (60, 4)
    assert found.rate == pytest.approx(0.5 / rows.var(axis=0, dtype=float).sum())
    near = similarities(rows, found.rows[:50], found.rate)
    phi = (near - found.centre[:50]) @ found.whitening[:50, :50]
    assert_allclose(phi.mean(axis=0), 0, atol=1e-3)
    assert_allclose(phi.std(axis=0), 1, atol=1e-2)
    # Beyond the rows there is nothing.
    assert not found.whitening[50:].any()
    assert not found.whitening[:, 50:].any()
    by_hand = [
        [np.exp(-found.rate * np.sum((x - y) ** 2)) for y in rows] for x in rows.astype(float)
    ]
    assert_allclose(similarities(rows, rows, found.rate), by_hand, atol=1e-5)
    thin = sparse.csr_array(np.where(rows > 0, rows, 0))
    assert total_variance(thin) == pytest.approx(total_variance(thin.toarray()))
    dense = similarities(thin.toarray(), thin.toarray(), 0.3)
    assert_allclose(similarities(thin, thin, 0.3), dense, atol=1e-6)
