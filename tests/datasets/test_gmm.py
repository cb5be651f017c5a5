"""Gaussian mixtures seen through several modalities."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import train_test_split

from skcentrobind._data.modalities import Modalities
from skcentrobind.datasets import _gmm, make_multimodal_gmm


def draw_model(seed, n_hidden, n_classes=5, n_features=6, n_latent=4, class_std=1.0):
    """The mixture and the networks that `make_multimodal_gmm` draws first from this seed."""
    rng = np.random.RandomState(seed)
    return _gmm._draw_model(rng, n_classes, n_features, class_std, n_latent, n_hidden)


def n_hidden_seen_in(networks):
    return [int(np.sum(~inner.any(axis=0))) for inner, _ in networks]


def recover_latents(x, network):
    """Invert a noise-free modality: z from x = T2 sigmoid(T1 z)."""
    inner, outer = network
    units = np.linalg.solve(outer, x.T)
    return np.linalg.lstsq(inner, np.log(units / (1 - units)), rcond=None)[0].T


@settings(max_examples=25, deadline=None)
@given(
    n_samples=st.integers(1, 30),
    n_modalities=st.integers(1, 8),
    n_classes=st.integers(1, 6),
    n_features=st.integers(1, 5),
    n_latent=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_gmm_shapes_for_all_sizes(n_samples, n_modalities, n_classes, n_features, n_latent, seed):
    X, y = make_multimodal_gmm(
        n_samples, n_modalities, n_classes, n_features, n_latent, random_state=seed
    )
    assert isinstance(X, Modalities)
    assert list(X.names) == [f"X{m}" for m in range(1, n_modalities + 1)]
    assert all(a.shape == (n_samples, n_features) and a.dtype == np.float64 for a in X.arrays)
    assert all(np.isfinite(a).all() for a in X.arrays)
    assert y.shape == (n_samples,)
    assert np.issubdtype(y.dtype, np.integer)
    assert 0 <= y.min() <= y.max() < n_classes


def test_gmm_defaults_are_those_of_the_paper():
    X, y = make_multimodal_gmm(random_state=0)
    assert len(X) == len(y) == 10000
    assert list(X.n_features) == [16] * 4
    assert len(np.unique(y)) == 50


def test_gmm_is_repeatable():
    first, y_first = make_multimodal_gmm(50, random_state=3)
    second, y_second = make_multimodal_gmm(50, random_state=np.random.RandomState(3))
    other, _ = make_multimodal_gmm(50, random_state=4)
    np.testing.assert_array_equal(y_first, y_second)
    for name in first.names:
        np.testing.assert_array_equal(first[name], second[name])
        assert not np.allclose(first[name], other[name])


def test_gmm_leaves_the_global_generator_alone():
    before = np.random.get_state()
    make_multimodal_gmm(50, random_state=0)
    after = np.random.get_state()
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_gmm_without_a_seed_follows_the_global_generator():
    state = np.random.get_state()
    try:
        np.random.seed(5)
        X, y = make_multimodal_gmm(20)
    finally:
        np.random.set_state(state)
    X_seeded, y_seeded = make_multimodal_gmm(20, random_state=5)
    np.testing.assert_array_equal(y, y_seeded)
    np.testing.assert_array_equal(X["X4"], X_seeded["X4"])


@pytest.mark.parametrize(
    ("n_modalities", "expected"),
    [(1, [4]), (4, [4, 3, 2, 0]), (6, [4, 4, 3, 2, 1, 0]), (8, [4, 4, 3, 3, 2, 1, 1, 0])],
)
def test_gmm_hides_fewer_columns_from_later_modalities(n_modalities, expected):
    n_hidden = _gmm._n_hidden(None, n_modalities, n_latent=8)
    assert n_hidden.tolist() == expected
    _, networks = draw_model(0, n_hidden, n_features=16, n_latent=8)
    assert n_hidden_seen_in(networks) == expected


@pytest.mark.parametrize(
    ("qualities", "n_latent", "expected"),
    [
        ([0.2, 0.2, 0.2, 1.0], 8, [6, 6, 6, 0]),
        ([0.0, 0.5, 1.0], 8, [8, 4, 0]),
        # (1 - q) * n_latent is whole here, but in floating point just below or above.
        ([0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1], 10, [1, 2, 3, 4, 6, 7, 8, 9]),
    ],
)
def test_gmm_qualities_set_the_number_of_hidden_columns(qualities, n_latent, expected):
    n_hidden = _gmm._n_hidden(qualities, len(qualities), n_latent)
    assert n_hidden.tolist() == expected


@pytest.mark.parametrize("n_latent", [1, 7, 10, 100, 1000])
def test_gmm_qualities_survive_rounding(n_latent):
    seen = np.arange(n_latent + 1)
    n_hidden = _gmm._n_hidden(seen / n_latent, len(seen), n_latent)
    np.testing.assert_array_equal(n_hidden, n_latent - seen)


def test_gmm_other_qualities_keep_the_rest_of_the_model():
    centres, networks = draw_model(0, [3, 1])
    centres_full, networks_full = draw_model(0, [0, 0])
    np.testing.assert_array_equal(centres, centres_full)
    for (inner, outer), (inner_full, outer_full) in zip(networks, networks_full, strict=True):
        seen = inner.any(axis=0)
        np.testing.assert_array_equal(inner[:, seen], inner_full[:, seen])
        np.testing.assert_array_equal(outer, outer_full)


def test_gmm_hides_columns_at_random():
    hidden = {
        tuple(np.flatnonzero(~inner.any(axis=0)))
        for seed in range(20)
        for inner, _ in draw_model(seed, [2, 2])[1]
    }
    assert len(hidden) == 6  # every pair of four columns turns up


def test_gmm_follows_the_stated_model():
    sizes = {"n_classes": 5, "n_features": 6, "n_latent": 4, "class_std": 0.3}
    _, networks = draw_model(1, [0, 0], **sizes)
    X, _ = make_multimodal_gmm(
        100, n_modalities=2, qualities=[1, 1], noise=0.0, random_state=1, **sizes
    )
    z1 = recover_latents(X["X1"], networks[0])
    z2 = recover_latents(X["X2"], networks[1])
    np.testing.assert_allclose(z1, z2, atol=1e-6)


def test_gmm_latents_are_unit_gaussians_around_the_class_centres():
    sizes = {"n_classes": 8, "n_features": 6, "n_latent": 3, "class_std": 1.5}
    centres, networks = draw_model(2, [0], **sizes)
    X, y = make_multimodal_gmm(
        8000, n_modalities=1, qualities=[1], noise=0.0, random_state=2, **sizes
    )
    z = recover_latents(X["X1"], networks[0])
    deviations = z - centres[y]
    assert np.abs(deviations.mean(axis=0)).max() < 0.05
    np.testing.assert_allclose(np.cov(deviations.T), np.eye(3), atol=0.06)
    for k in range(8):
        np.testing.assert_allclose(z[y == k].mean(axis=0), centres[k], atol=0.15)


@pytest.mark.parametrize("class_std", [0.0, 0.5, 1.6])
def test_gmm_class_centres_have_the_requested_spread(class_std):
    centres, _ = draw_model(0, [0], n_classes=2000, n_latent=8, class_std=class_std)
    assert centres.std() == pytest.approx(class_std, rel=0.03)
    assert centres.mean() == pytest.approx(0.0, abs=0.05)


def test_gmm_classes_are_equally_frequent():
    _, y = make_multimodal_gmm(20000, n_modalities=1, n_classes=10, random_state=0)
    counts = np.bincount(y, minlength=10)
    statistic = ((counts - 2000) ** 2 / 2000).sum()
    assert statistic < 27.9  # chi-square with 9 degrees of freedom: exceeded once in 1000 draws


def test_gmm_noise_is_white_and_scaled():
    silent, y_silent = make_multimodal_gmm(20000, 2, n_features=3, noise=0.0, random_state=0)
    noisy, y_noisy = make_multimodal_gmm(20000, 2, n_features=3, noise=2.0, random_state=0)
    np.testing.assert_array_equal(y_silent, y_noisy)
    difference = np.hstack(noisy.arrays) - np.hstack(silent.arrays)
    assert np.abs(difference.mean(axis=0)).max() < 0.06
    np.testing.assert_allclose(np.cov(difference.T), 4 * np.eye(6), atol=0.15)


def test_gmm_modality_of_quality_zero_has_no_information():
    X, _ = make_multimodal_gmm(20, n_modalities=2, qualities=[0.0, 1.0], noise=0.0, random_state=0)
    assert np.ptp(X["X1"], axis=0).max() == 0.0
    assert np.ptp(X["X2"], axis=0).min() > 0.0


def test_gmm_more_samples_keep_the_model():
    few, y_few = make_multimodal_gmm(4000, n_modalities=1, n_classes=3, random_state=0)
    many, y_many = make_multimodal_gmm(16000, n_modalities=1, n_classes=3, random_state=0)
    for k in range(3):
        means = [X["X1"][y == k].mean(axis=0) for X, y in ((few, y_few), (many, y_many))]
        np.testing.assert_allclose(*means, atol=0.3)


def test_gmm_extreme_scales_stay_finite():
    X, _ = make_multimodal_gmm(50, class_std=1e6, noise=0.0, random_state=0)
    assert all(np.isfinite(a).all() for a in X.arrays)


def lda_accuracies(seed, **kwargs):
    X, y = make_multimodal_gmm(2000, n_classes=10, random_state=seed, **kwargs)
    train, test = train_test_split(np.arange(len(y)), random_state=0, stratify=y)
    lda = LinearDiscriminantAnalysis()
    return [lda.fit(a[train], y[train]).score(a[test], y[test]) for a in X.arrays]


def test_gmm_last_modality_is_the_most_informative():
    accuracies = np.mean([lda_accuracies(seed) for seed in range(3)], axis=0)
    assert accuracies[3] > accuracies[0] + 0.1


def test_gmm_accuracy_grows_with_quality():
    accuracies = [
        np.mean([lda_accuracies(seed, n_modalities=1, qualities=[q]) for seed in range(3)])
        for q in (0.0, 0.25, 0.5, 1.0)
    ]
    assert accuracies == sorted(accuracies)
    assert accuracies[0] < 0.15  # ten classes: chance is 0.1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_samples", 0),
        ("n_samples", 10.0),
        ("n_modalities", -1),
        ("n_classes", 0),
        ("n_features", "16"),
        ("n_latent", None),
        ("n_latent", True),
    ],
)
def test_gmm_rejects_bad_counts(name, value):
    message = f"{name} must be an integer of at least 1, got {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        make_multimodal_gmm(**{name: value})


@pytest.mark.parametrize("name", ["class_std", "noise"])
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, "1", None])
def test_gmm_rejects_bad_scales(name, value):
    message = f"{name} must be a finite number of at least 0, got {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        make_multimodal_gmm(**{name: value})


def test_gmm_names_every_fault_at_once():
    with pytest.raises(ValueError, match=r"n_samples must .*; n_latent must .*; noise must"):
        make_multimodal_gmm(n_samples=0, n_latent=0, noise=-1)


@pytest.mark.parametrize(
    "qualities",
    [0.5, [0.5, 0.5], [[0.5, 0.5, 0.5]], [0.1, 0.2, 1.1], [0.1, 0.2, -0.1], [0.1, 0.2, np.nan],
     ["low", "low", "high"], [[0.1], [0.2, 0.3], [0.4]]],
)  # fmt: skip
def test_gmm_rejects_bad_qualities(qualities):
    message = "qualities must be 3 numbers between 0 and 1, one per modality; got "
    with pytest.raises(ValueError, match=re.escape(message + repr(qualities))):
        make_multimodal_gmm(10, n_modalities=3, qualities=qualities)
