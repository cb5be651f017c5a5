"""Missing modalities in fit and transform."""

import numpy as np
import pytest
from conftest import WIDTHS
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skcentrobind.anchors import WeightedAnchor

NAMES = list(WIDTHS)


def test_gaps_are_nan_rows_of_the_embeddings(gappy, binder):
    bind = binder().fit(gappy)
    embedded = bind.transform_modalities(gappy)
    assert_array_equal(embedded.present, gappy.present)
    for Z, present in zip(embedded.arrays, gappy.present.T, strict=True):
        assert np.isnan(Z[~present]).all()
        assert_allclose(np.linalg.norm(Z[present], axis=1), 1, atol=1e-6)


def test_gaps_leave_the_rest_as_it_is(X, gappy, binder):
    bind = binder().fit(gappy)
    full, embedded = bind.transform_modalities(X), bind.transform_modalities(gappy)
    for name, present in zip(NAMES, gappy.present.T, strict=True):
        assert_allclose(embedded[name][present], full[name][present], atol=1e-6)


def test_block_of_an_absent_modality_is_the_mean_of_the_present_ones(gappy, binder):
    bind = binder().fit(gappy)
    embedded = np.stack(bind.transform_modalities(gappy).arrays)
    mean = np.nanmean(embedded, axis=0)
    expected = np.where(np.isnan(embedded), mean, embedded)
    Z = bind.transform(gappy)
    assert np.isfinite(Z).all()
    assert_allclose(Z, np.hstack(expected), atol=1e-6)
    assert_allclose(bind.set_params(output="mean").transform(gappy), mean, atol=1e-6)


@pytest.mark.parametrize("form", [list, dict])
def test_none_stands_for_a_whole_modality(X, binder, form):
    bind = binder().fit(X)
    holes, nones = dict(X.items()), dict(X.items())
    holes["text"], nones["text"] = np.full((40, 5), np.nan), None
    if form is list:
        holes, nones = list(holes.values()), list(nones.values())
    assert_array_equal(bind.transform(nones), bind.transform(holes))
    assert np.isnan(bind.transform_modalities(nones)["text"]).all()
    only = [None, X["text"], None]
    assert_array_equal(bind.transform(only), np.tile(bind.transform_modality(X["text"], 1), 3))
    assert bind.score(nones) == bind.score(holes)


def test_absent_rows_of_a_single_modality_stay_absent(gappy, binder):
    bind = binder().fit(gappy)
    Z = bind.transform_modality(gappy["text"], "text")
    assert_array_equal(Z, bind.transform_modalities(gappy)["text"])
    assert np.isnan(Z).any()
    assert np.isnan(bind.transform_modality(np.full((2, 5), np.nan), "text")).all()


def test_a_sample_teaches_nothing_where_it_is_absent(X, centro):
    # Rows that have the text alone cannot move the encoders of the others.
    alone = np.arange(40) >= 20
    arrays = {n: np.where(alone[:, None], np.nan, a) for n, a in X.items()}
    arrays["text"] = X["text"]
    other = {**arrays, "text": np.where(alone[:, None], X["text"][::-1], X["text"])}
    settings = {"standardize": False, "augmentation": None, "batch_size": 40, "max_epochs": 1}
    # In one step towards a detached anchor nothing of the text gets into the audio's gradient.
    one, two = (centro(detach_anchor=True, **settings).fit(data) for data in (arrays, other))
    for name in ("image", "audio"):
        assert_array_equal(
            one.transform_modality(X[name], name), two.transform_modality(X[name], name)
        )
    assert not np.array_equal(
        one.transform_modality(X["text"], "text"), two.transform_modality(X["text"], "text")
    )


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"encoder": "mlp"},
        {"aggregator": "median"},
        {"aggregator": "random"},
        {"aggregator": "random_intra"},
        {"aggregator": WeightedAnchor([0.0, 1.0, 0.0])},
        {"augmentation": "marginal"},
        {"augmentation": "mask"},
        {"temperature": 0.005},
        {"standardize": False},
        {"batch_size": 3},
        {"pretrain_epochs": 2},
        {"early_stopping": True},
    ],
    ids=str,
)
def test_every_setting_copes_with_gaps(gappy, centro, params):
    bind = centro(**params).fit(gappy)
    assert np.isfinite(bind.transform(gappy)).all()
    assert np.isfinite(bind.loss_curve_).all()


def test_fixed_anchors_cope_with_gaps(gappy, fixed):
    for anchor in (0, "audio", ["image", "text"]):
        for freeze_anchor in (True, False):
            bind = fixed(anchor=anchor, freeze_anchor=freeze_anchor, batch_size=4).fit(gappy)
            assert np.isfinite(bind.transform(gappy)).all()


@pytest.mark.parametrize("encoder", ["mlp", nn.Linear])
def test_batches_of_which_nothing_can_be_learned(X, binder, encoder):
    # Most samples have the image alone, so many a batch of three holds nothing but the (frozen)
    # anchor, and there is no gradient in it.
    alone = np.arange(40) >= 8
    data = {name: np.where(alone[:, None], np.nan, array) for name, array in X.items()}
    data["image"] = X["image"]
    bind = binder(encoder=encoder, batch_size=3).fit(data)
    assert np.isfinite(bind.loss_curve_).all()
    assert np.isfinite(bind.transform(data)).all()


def test_batch_statistics_see_real_rows_only(X, centro):
    def normalised(n_features, n_components):
        return nn.Sequential(nn.BatchNorm1d(n_features, momentum=None), nn.Linear(n_features, 4))

    holes = np.arange(40) % 2 == 0
    data = {**dict(X.items()), "text": np.where(holes[:, None], np.nan, X["text"] + 100)}
    bind = centro(encoder=normalised, augmentation=None, max_epochs=1, batch_size=40).fit(data)
    statistics = bind.encoders_["text"].state_dict()
    mean = next(value for name, value in statistics.items() if name.endswith("running_mean"))
    assert_allclose(mean, data["text"][~holes].mean(axis=0), rtol=1e-4)
