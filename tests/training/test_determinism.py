"""The same random_state gives the same numbers, bit for bit, wherever and whenever it is used."""

import pickle
import random

import joblib
import numpy as np
import pytest
import torch
from conftest import QUICK, draw, same
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from torch import nn

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer
from skcentrobind.anchors import RandomAnchor


def dropout_encoder(n_features, n_components):
    """A user's factory: its layers and its dropout draw from torch's global generator."""
    return nn.Sequential(nn.Linear(n_features, 8), nn.Dropout(0.5), nn.Linear(8, n_components))


#: Settings whose randomness comes from different sources.
CONFIGURATIONS = {
    "default": {},
    "mlp": {"encoder": "mlp", "augmentation": "mask"},
    "marginal": {"augmentation": "marginal", "batch_size": 16},
    "random": {"aggregator": "random", "batch_size": 16},
    "random instance": {"aggregator": RandomAnchor(intra=True), "batch_size": 16},
    "pretrained": {"pretrain_epochs": 2},
    "stopped": {"early_stopping": True, "max_epochs": 5},
    "module": {"encoder": dropout_encoder},
    "mixed": {"encoder": ["mlp", dropout_encoder, "linear"]},
}


@pytest.fixture(params=CONFIGURATIONS)
def any_centro(request):
    return CentroBindTransformer(**{**QUICK, **CONFIGURATIONS[request.param]})


def global_states():
    kind, keys, *rest = np.random.get_state()
    return torch.get_rng_state().tolist(), (kind, keys.tolist(), *rest), random.getstate()


def fit_transform(params, data=None):
    return CentroBindTransformer(**params).fit_transform(draw()[0] if data is None else data)


# The same, again


def test_second_fit_equals_the_first(any_centro, X):
    first, curve = any_centro.fit_transform(X), any_centro.loss_curve_
    assert same(any_centro.fit_transform(X), first)
    assert any_centro.loss_curve_ == curve
    assert same(clone(any_centro).fit_transform(X), first)
    assert any_centro.score(X) == any_centro.score(X)


def test_second_fit_equals_the_first_with_a_fixed_anchor(fixed, X):
    assert same(fixed().fit_transform(X), fixed().fit_transform(X))


def test_one_modality_scores_the_same_twice(X, binder):
    bind = binder().fit([X["image"]])
    assert bind.score([X["image"]]) == bind.score([X["image"]])


def test_global_seeds_do_not_matter(any_centro, X):
    results = []
    for seed in (1, 2):
        np.random.seed(seed)
        torch.manual_seed(seed)
        random.seed(seed)
        results.append(any_centro.fit_transform(X))
    assert same(*results)


@pytest.mark.parametrize("random_state", [None, 0])
def test_global_states_are_left_alone(any_centro, X, random_state):
    any_centro.set_params(random_state=random_state)
    before = global_states()
    any_centro.fit(X)
    assert global_states() == before
    any_centro.transform(X)
    any_centro.transform_modalities(X)
    any_centro.transform_modality(X["text"], "text")
    any_centro.score(X)
    any_centro.partial_fit(X)
    assert global_states() == before


def test_global_states_are_left_alone_by_one_modality(binder, X):
    before = global_states()
    binder(encoder=dropout_encoder).fit([X["text"]]).score([X["text"]])
    assert global_states() == before


def test_global_states_are_left_alone_by_an_error(centro, X):
    before = global_states()
    with pytest.raises(ValueError, match="diverged"):
        centro(encoder=dropout_encoder, learning_rate=1e30, max_epochs=20).fit(X)
    assert global_states() == before


# Seeds


def test_different_seeds_differ(any_centro, X):
    results = [any_centro.set_params(random_state=seed).fit_transform(X) for seed in range(3)]
    assert not any(same(a, b) for a, b in zip(results, [*results[1:], results[0]], strict=True))


def test_the_seed_reaches_initial_weights_and_the_rest(centro, X):
    # With a learning rate of nothing only the initial weights are left.
    still = {"learning_rate": 1e-30, "max_epochs": 1}
    assert not same(
        centro(random_state=1, **still).fit_transform(X),
        centro(random_state=2, **still).fit_transform(X),
    )
    # With a user's weights only the noise and the order of the rows are left.
    modules = [nn.Linear(width, 4) for width in X.n_features]
    assert not same(
        centro(random_state=1, encoder=modules).fit_transform(X),
        centro(random_state=2, encoder=modules).fit_transform(X),
    )


def test_no_seed_means_a_new_one_in_every_fit(centro, X):
    np.random.seed(0)
    torch.manual_seed(0)
    first = centro(random_state=None).fit_transform(X)
    np.random.seed(0)
    torch.manual_seed(0)
    assert not same(centro(random_state=None).fit_transform(X), first)


def test_a_random_state_instance_moves_on(centro, X):
    bind = centro(random_state=np.random.RandomState(7))
    first, second = bind.fit_transform(X), bind.fit_transform(X)
    assert not same(first, second)
    fresh = centro(random_state=np.random.RandomState(7))
    assert same(fresh.fit_transform(X), first)
    assert same(fresh.fit_transform(X), second)


def test_clones_share_the_position_of_a_random_state_instance(centro, X):
    bind = centro(random_state=np.random.RandomState(7))
    twin = clone(bind)
    assert same(twin.fit_transform(X), bind.fit_transform(X))


@pytest.mark.parametrize("seed", [np.int64(3), np.uint32(3)])
def test_numpy_integers_are_seeds(centro, X, seed):
    expected = centro(random_state=3).fit_transform(X)
    assert same(centro(random_state=seed).fit_transform(X), expected)


# Processes and threads


@pytest.mark.slow
def test_processes_change_nothing():
    # One test, since two workers take seconds to start.
    X, y = draw()
    settings = [{**QUICK, **params} for params in CONFIGURATIONS.values()]
    settings.append({**QUICK, "standardize": False})
    expected = [fit_transform(params, X) for params in settings]
    # Arrays beyond max_nbytes reach the workers as read-only memory maps.
    workers = joblib.Parallel(n_jobs=2, max_nbytes=1000)
    results = workers(joblib.delayed(fit_transform)(params, X) for params in settings)
    for result, reference in zip(results, expected, strict=True):
        assert same(result, reference)

    bind = CentroBindTransformer(**QUICK)
    assert_array_equal(cross_val_score(bind, X, n_jobs=2), cross_val_score(bind, X, n_jobs=1))
    grid = {"temperature": [0.1, 0.5], "aggregator": ["mean", "median"]}
    one, two = (
        GridSearchCV(bind, grid, cv=3, n_jobs=n_jobs, error_score="raise").fit(X, y)
        for n_jobs in (1, 2)
    )
    assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    assert same(one.transform(X), two.transform(X))


def test_fits_in_several_threads_at_once_change_nothing(make_data):
    X, _ = make_data(60)
    settings = [
        {**QUICK, "max_epochs": 15, "batch_size": 8, "random_state": seed} for seed in range(6)
    ]
    expected = [fit_transform(params, X) for params in settings]
    before = global_states()
    for _ in range(3):
        with joblib.parallel_backend("threading", n_jobs=4):
            results = joblib.Parallel()(
                joblib.delayed(fit_transform)(params, X) for params in settings
            )
        for result, reference in zip(results, expected, strict=True):
            assert same(result, reference)
    assert global_states() == before


def test_cross_validation_in_threads_changes_nothing(X, centro):
    expected = cross_val_score(centro(), X, cv=5, error_score="raise")
    with joblib.parallel_backend("threading", n_jobs=3):
        scores = cross_val_score(centro(), X, cv=5, n_jobs=3, error_score="raise")
    assert_array_equal(scores, expected)


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def short_sums_are_never_shared(torch_threads):
    """Whether a product is the same for any number of threads; MKL for AVX2 makes others."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(375, 64, generator=generator) for _ in range(2))
    products = []
    for n_threads in (1, 2):
        torch_threads(n_threads)
        products.append([left @ right.T, left.T.contiguous().T @ right.T.contiguous()])
    return all(map(torch.equal, *products))


@pytest.mark.parametrize("cls", [CentroBindTransformer, FixedAnchorBindTransformer])
@pytest.mark.parametrize(
    ("n_samples", "widths", "missing_share", "params"),
    [
        (500, (60, 80, 100), 0.0, {}),
        (500, (80, 80, 80), 0.0, {}),
        (500, (60, 80, 100), 0.3, {}),
        (500, (60, 80, 100), 0.0, {"encoder": "mlp", "hidden_layer_sizes": (128, 64)}),
        (500, (60, 80, 100), 0.0, {"temperature": 0.01}),
        (500, (2000, 3000, 60), 0.0, {}),
        (1500, (60, 80, 100), 0.0, {"batch_size": 1024}),
    ],
    ids=["unequal", "equal", "missing", "mlp", "small temperature", "wide", "large batch"],
)
def test_two_threads_of_torch_change_nothing(
    torch_threads, cls, n_samples, widths, missing_share, params
):
    # Of realistic size, so that torch does distribute its work: plain matrix products would fail
    # the last two.
    if not short_sums_are_never_shared(torch_threads):
        pytest.skip("this BLAS adds up even short sums in an order that depends on the threads")
    rng = np.random.default_rng(0)
    X = {f"x{m}": rng.normal(size=(n_samples, width)) for m, width in enumerate(widths)}
    X["x1"][rng.random(n_samples) < missing_share] = np.nan
    bind = cls(pretrain_epochs=1, max_epochs=2, random_state=0, **params)
    results = []
    for n_threads in (1, 2):
        torch_threads(n_threads)
        assert torch.get_num_threads() == n_threads
        results.append((bind.fit_transform(X), bind.loss_curve_))
    assert same(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


# Pickling, and training in pieces


def test_a_pickled_estimator_embeds_the_same(any_centro, X):
    any_centro.fit(X)
    revived = pickle.loads(pickle.dumps(any_centro))
    assert same(revived.transform(X), any_centro.transform(X))
    assert revived.score(X) == any_centro.score(X)
    assert revived.loss_curve_ == any_centro.loss_curve_


def test_training_goes_on_after_pickling(any_centro, X):
    any_centro.fit(X)
    revived = pickle.loads(pickle.dumps(any_centro))
    for _ in range(2):
        expected = any_centro.partial_fit(X).transform(X)
        assert same(revived.partial_fit(X).transform(X), expected)
    assert revived.loss_curve_ == any_centro.loss_curve_


@pytest.mark.parametrize(
    "name", [name for name in CONFIGURATIONS if name not in ("pretrained", "stopped")]
)
def test_partial_fits_add_up_to_a_fit(X, name):
    params = {**QUICK, **CONFIGURATIONS[name], "max_epochs": 4}
    whole, pieces = CentroBindTransformer(**params).fit(X), CentroBindTransformer(**params)
    for k in range(1, 5):
        assert pieces.partial_fit(X).n_iter_ == k
    assert pieces.loss_curve_ == whole.loss_curve_
    assert same(pieces.transform(X), whole.transform(X))


def test_partial_fits_add_up_to_a_fit_with_missing_modalities(incomplete, fixed):
    whole = fixed(pretrain_epochs=0).fit(incomplete)
    pieces = fixed(pretrain_epochs=5)  # which partial_fit leaves out
    for _ in range(whole.n_iter_):
        pieces.partial_fit(incomplete)
    assert same(pieces.transform(incomplete), whole.transform(incomplete))


def test_fit_starts_afresh(any_centro, X, make_data):
    expected = clone(any_centro).fit_transform(X)
    other, _ = make_data(seed=5)
    assert same(any_centro.fit(other).partial_fit(other).fit_transform(X), expected)
