"""Starting from generalised canonical correlations: the closed form, and its use in fit."""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from conftest import ESTIMATORS, QUICK, draw, fast, quick_centro
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg, sparse
from sklearn.covariance import OAS
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn

from skcentrobind import CentroBindTransformer, Modalities
from skcentrobind._data.statistics import generalized_cca
from skcentrobind._encoders import encoders as _encoders
from skcentrobind.datasets import load_multiple_features

ROWS = 20


def shrunk(x):
    """Covariance times the number of rows, shrunk by scikit-learn's rule."""
    rho = min(max(OAS(assume_centered=True).fit(x).shrinkage_, 1e-6), 0.5)
    return (1 - rho) * x.T @ x + rho * np.sum(x**2) / x.shape[1] * np.eye(x.shape[1])


def with_loops(arrays, present, n_components):
    """Agreement and maps, entry by entry from the formulas, with a general eigensolver."""
    n_samples = len(present)
    centred = [x - x.mean(axis=0) for x in arrays]
    inverses = [np.linalg.inv(shrunk(x)) for x in centred]
    left, right = -np.eye(n_samples), np.zeros((n_samples, n_samples))
    for i in range(n_samples):
        right[i, i] = present[i].sum() - 1
    for m, (x, inverse) in enumerate(zip(centred, inverses, strict=True)):
        at = np.flatnonzero(present[:, m])
        for a, i in enumerate(at):
            for b, j in enumerate(at):
                left[i, j] += x[a] @ inverse @ x[b]
    values, vectors = linalg.eigh(left, right)
    order = np.argsort(values)[::-1][:n_components]
    agreement = np.maximum(values[order], 0)
    found = vectors[:, order] * agreement
    weights = [
        inverse @ x.T @ found[present[:, m]]
        for m, (x, inverse) in enumerate(zip(centred, inverses, strict=True))
    ]
    return weights, agreement


def case(seed, widths, missing_share):
    """Correlated modalities, and which samples have which: at least two each."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(ROWS, 2))
    X = [common @ rng.normal(size=(2, w)) + rng.normal(size=(ROWS, w)) for w in widths]
    present = rng.random((ROWS, len(widths))) > missing_share
    present[np.arange(ROWS), np.arange(ROWS) % len(widths)] = True
    present[np.arange(ROWS), (np.arange(ROWS) + 1) % len(widths)] = True
    return [x[has] for x, has in zip(X, present.T, strict=True)], present


@fast
@given(
    seed=st.integers(0, 2**16),
    widths=st.lists(st.integers(1, 30), min_size=2, max_size=4),
    missing_share=st.sampled_from([0.0, 0.5]),
)
def test_agrees_with_loops(seed, widths, missing_share):
    arrays, present = case(seed, widths, missing_share)
    weights, means, agreement = generalized_cca(arrays, present, 3)
    expected, values = with_loops(arrays, present, 3)
    assert_allclose(agreement, values, atol=1e-7)
    for array, mean in zip(arrays, means, strict=True):
        assert_allclose(mean, array.mean(axis=0), atol=1e-12)
    # Eigenvectors are known up to their sign.
    for weight, wanted in zip(weights, expected, strict=True):
        assert_allclose(weight @ weight.T, wanted @ wanted.T, atol=1e-6)


@fast
@given(seed=st.integers(0, 2**16), width=st.integers(2, 60))
def test_sparse_rows_are_dense_rows(seed, width):
    arrays, present = case(seed, [width, 3], 0.0)
    arrays[0] = np.where(arrays[0] > 0.5, arrays[0], 0)
    dense = generalized_cca(arrays, present, 2)
    some = generalized_cca([sparse.csr_array(arrays[0]), arrays[1]], present, 2)
    for one, other in zip(dense[0], some[0], strict=True):
        assert_allclose(one @ one.T, other @ other.T, atol=1e-8)
    for one, other in zip(dense[1], some[1], strict=True):
        assert_allclose(one, other, atol=1e-12)
    assert_allclose(dense[2], some[2], atol=1e-10)


def test_two_modalities_are_canonical_correlation_analysis():
    # With many rows the ridge is gone, and two modalities agree by their canonical correlations.
    rng = np.random.default_rng(0)
    common = rng.normal(size=(1500, 2))
    X = [common @ rng.normal(size=(2, w)) + rng.normal(size=(1500, w)) for w in (4, 5)]
    whitened = [x - x.mean(axis=0) for x in X]
    whitened = [np.linalg.qr(x)[0] for x in whitened]
    correlations = np.linalg.svd(whitened[0].T @ whitened[1], compute_uv=False)
    _, _, agreement = generalized_cca(X, np.ones((1500, 2), bool), 4)
    # Except for the small shrinkage.
    assert_allclose(agreement, correlations, atol=0.05)


def test_variables_of_one_modality_have_no_weight():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(300, 1))
    X = [np.hstack([common, rng.normal(size=(300, 1))]) for _ in range(3)]
    weights, _, agreement = generalized_cca(X, np.ones((300, 3), bool), 40)
    assert agreement[0] > 0.98
    assert agreement[1] < 0.1
    assert weights[0].shape == (2, 40)
    assert_array_equal(weights[0][:, 6:], 0)


def test_threads_change_nothing(monkeypatch):
    torch_threads, blas_threads, eigh = torch.get_num_threads(), set(), linalg.eigh

    def watched(matrix):
        blas_threads.update(x["num_threads"] for x in threadpool_info() if x["user_api"] == "blas")
        return eigh(matrix)

    monkeypatch.setattr(linalg, "eigh", watched)
    X, _ = draw(200)
    found = []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            with threadpool_limits(n_threads, user_api="blas"):
                found.append(quick_centro(max_epochs=0).fit(X).transform(X))
    finally:
        torch.set_num_threads(torch_threads)
    assert_array_equal(*found)
    assert blas_threads <= {1}  # a short sum may be the same with two by luck


def test_fits_in_threads_wait_for_each_other(monkeypatch):
    X, _ = draw(30)
    inside, most = [], []

    def slow(*args):
        inside.append(1)
        time.sleep(0.05)
        most.append(len(inside))
        inside.pop()
        return generalized_cca(*args)

    monkeypatch.setattr(_encoders, "generalized_cca", slow)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: quick_centro(max_epochs=0, random_state=seed).fit(X), range(4)))
    assert most == [1] * 4


# --- in fit -------------------------------------------------------------------------------


def epochs_of(X, **params):
    """How long the default trains."""
    return (
        quick_centro(**{"max_epochs": "auto", "hidden_layer_sizes": (2,), **params}).fit(X).n_iter_
    )


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_can_start_either_way(name):
    X, _ = draw(60)
    starts = [
        ESTIMATORS[name](**{**QUICK, "max_epochs": 0, "pretrain_epochs": 0}, init=init).fit(X)
        for init in ("random", "gcca")
    ]
    assert np.abs(starts[0].transform(X) - starts[1].transform(X)).max() > 0.1


@pytest.mark.parametrize("encoder", ["linear", "residual"])
def test_it_starts_where_correlation_analysis_ends(encoder):
    X, _ = draw(100)
    bind = quick_centro(max_epochs=0, encoder=encoder, n_components=3).fit(X)
    rows = [bind.scalers_[name].transform(x).astype(np.float32) for name, x in X.items()]
    weights, means, _ = generalized_cca(rows, np.ones((100, 3), bool), 3)
    for z, x, weight, mean in zip(
        bind.transform_modalities(X).arrays, rows, weights, means, strict=True
    ):
        wanted = (x - mean) @ weight
        assert_allclose(z, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-5)


def test_undetermined_components_do_not_dominate():
    X, _ = draw(100)
    rows = [x - x.mean(axis=0) for x in X.arrays]
    _, _, agreement = generalized_cca(rows, np.ones((100, 3), bool), 64)
    undetermined = agreement == 0
    assert undetermined.sum() > 50
    start = quick_centro(max_epochs=0, n_components=64, standardize=False)
    for z in start.fit(rows).transform_modalities(rows).arrays:
        assert 0 < np.mean(np.sum(z[:, undetermined] ** 2, axis=1)) < 0.1


@pytest.mark.parametrize("encoder", ["linear", "residual"])
def test_the_start_does_not_depend_on_units(encoder):
    X, _ = draw(100)
    start = quick_centro(max_epochs=0, n_components=8, encoder=encoder, standardize=False)
    Z = [start.fit([c * x for x in X.arrays]).score([c * x for x in X.arrays]) for c in (1, 1e-3)]
    assert Z[1] == pytest.approx(Z[0], rel=1e-3)


def test_first_scores_are_good_and_training_adds_to_them():
    X, _ = load_multiple_features(return_X_y=True)
    train, test = X[["fou", "kar", "zer"]][::3], X[["fou", "kar", "zer"]][1::3]
    scores = {
        (init, epochs): quick_centro(
            init=init, max_epochs=epochs, n_components=64, hidden_layer_sizes=(256,)
        )
        .fit(train)
        .score(test)
        for init, epochs in [("random", 0), ("gcca", 0), ("gcca", 20), ("random", 20)]
    }
    assert scores["gcca", 0] > 5 * scores["random", 0]
    assert scores["gcca", 20] > 1.1 * scores["gcca", 0]
    assert scores["gcca", 20] > scores["random", 20]


def test_missing_and_sparse_rows():
    X, _ = draw(80)
    arrays = {name: array.copy() for name, array in X.items()}
    arrays["text"][::3] = np.nan
    arrays["audio"][1::3] = np.nan
    bind = quick_centro(max_epochs=0).fit(arrays)
    # Rows with a single modality carry no information about what modalities share.
    alone = {name: np.vstack([array, array[:30]]) for name, array in arrays.items()}
    for name in ("text", "audio"):
        alone[name][80:] = np.nan
    with_alone = quick_centro(max_epochs=0, standardize=False).fit(alone)
    without = quick_centro(max_epochs=0, standardize=False).fit(arrays)
    assert_allclose(with_alone.transform(arrays), without.transform(arrays), atol=1e-5)
    assert bind.score(arrays) > quick_centro(max_epochs=0, init="random").fit(arrays).score(arrays)
    thin = {**dict(X.items()), "text": np.where(X["text"] > 0, X["text"], 0)}
    wide = {**thin, "text": sparse.csr_array(thin["text"])}
    starts = [
        quick_centro(max_epochs=0, standardize=False, encoder="linear", init=init)
        .fit(data)
        .score(data)
        for data, init in [(thin, "gcca"), (wide, "gcca"), (wide, "random")]
    ]
    assert starts[1] == pytest.approx(starts[0], rel=0.3)
    assert starts[1] > 2 * starts[2]


@pytest.mark.parametrize("standardize", [False, True, "whiten"])
def test_held_out_rows_are_not_used(standardize):
    X, _ = draw(60)
    params = {"early_stopping": True, "validation_fraction": 0.3, "standardize": standardize}
    bind = quick_centro(max_epochs=0, **params).fit(X)
    order = np.random.RandomState(bind._plan.seed).permutation(60)
    held_out = np.sort(order[:18])
    changed = {name: array.copy() for name, array in X.items()}
    for name in changed:
        changed[name][held_out] = changed[name][held_out[::-1]]
    changed["text"][held_out] *= -1
    other = quick_centro(max_epochs=0, **params).fit(changed)
    assert_array_equal(bind.transform(X), other.transform(X))


def test_only_linear_parts_start_there():
    X, _ = draw(60)

    def start(init, encoder):
        bind = quick_centro(max_epochs=0, init=init, encoder=encoder).fit(X)
        return bind.transform_modalities(X)

    for encoder in ("mlp", ["residual", "mlp", lambda d, k: nn.Linear(d, k)]):
        # One modality alone has nothing to correlate with.
        random, gcca = start("random", encoder), start("gcca", encoder)
        assert_array_equal(np.hstack(random.arrays), np.hstack(gcca.arrays))
    random, gcca = (start(init, ["residual", "mlp", "linear"]) for init in ("random", "gcca"))
    same = [np.array_equal(random[name], gcca[name]) for name in X.names]
    assert same == [False, True, False]
    # What starts at random needs all epochs.
    assert epochs_of(X, encoder=["residual", "mlp", "linear"]) == 100
    assert epochs_of(X, encoder=["residual", "identity", "linear"], n_components=5) == 50


def test_modalities_without_shared_samples_start_at_random():
    X, _ = draw(40)
    first = np.arange(40) < 20
    never = {
        "image": np.where(first[:, None], X["image"], np.nan),
        "text": np.where(first[:, None], np.nan, X["text"]),
    }
    for init in ("random", "gcca"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            assert epochs_of(never, init=init) == 100


def test_a_modality_with_one_shared_sample_starts_at_random():
    X, _ = draw(40)
    arrays = {name: array.copy() for name, array in X.items()}
    arrays["audio"][1:] = np.nan
    arrays["audio"][-1] = 1.0
    arrays["image"][-1] = arrays["text"][-1] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        random, gcca = (
            quick_centro(init=init, max_epochs=0, standardize=False).fit(arrays)
            for init in ("random", "gcca")
        )
    same = [
        np.array_equal(random.transform_modality(x, m), gcca.transform_modality(x, m))
        for m, x in X.items()
    ]
    assert same == [False, False, True]


def test_components_that_the_rows_do_not_determine_can_learn():
    # Two features at most are shared; the other components must not stay at zero.
    rng = np.random.default_rng(0)
    common = rng.normal(size=(200, 1))
    X = [common + 0.1 * rng.normal(size=(200, 1)) for _ in range(2)]
    bind = CentroBindTransformer(n_components=16, max_epochs=20, random_state=0).fit(X)
    Z = bind.transform_modalities(X).arrays[0]
    spread = np.linalg.svd(Z - Z.mean(axis=0), compute_uv=False)
    assert (spread > 1e-3 * spread[0]).sum() >= 4


def test_few_of_many_rows_are_used(monkeypatch):
    X, _ = draw(300)
    monkeypatch.setattr(_encoders, "_MAX_ROWS", 100)
    one, same = (quick_centro(max_epochs=0).fit(X).transform(X) for _ in range(2))
    assert_array_equal(one, same)
    monkeypatch.setattr(_encoders, "_MAX_ROWS", 300)
    assert np.abs(quick_centro(max_epochs=0).fit(X).transform(X) - one).max() > 1e-3
    monkeypatch.setattr(_encoders, "_MAX_VALUES", 1)
    assert np.isfinite(quick_centro(max_epochs=0).fit(X).transform(X)).all()


def test_a_second_head_starts_at_random():
    X, _ = draw(60)
    heads = [
        quick_centro(init=init, max_epochs=0, n_specific_components=3).fit(X)
        for init in ("random", "gcca")
    ]
    own = [np.hstack(bind.transform_specific(X).arrays) for bind in heads]
    assert_allclose(*own, atol=1e-6)
    assert np.abs(heads[0].transform(X) - heads[1].transform(X)).max() > 0.1


def test_tiny_and_repeated_rows():
    rng = np.random.default_rng(0)
    two = [rng.normal(size=(2, 3)), rng.normal(size=(2, 2))]
    assert np.isfinite(quick_centro().fit(two).transform(two)).all()
    twins = Modalities([np.repeat(rng.normal(size=(5, 3)), 4, axis=0) for _ in range(2)])
    assert np.isfinite(quick_centro().fit(twins).transform(twins)).all()
    blank = [rng.normal(size=(20, 3)), sparse.csr_array(np.eye(20, 40))]
    assert np.isfinite(quick_centro().fit(blank).transform(blank)).all()


def test_unknown_start():
    with pytest.raises(ValueError, match="init='pca', expected 'random' or 'gcca'"):
        quick_centro(init="pca").fit(draw()[0])
