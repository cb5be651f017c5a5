"""Missing modalities in fit and transform."""

import numpy as np
import pytest
from conftest import WIDTHS
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skcentrobind.anchors import WeightedAnchor

NAMES = list(WIDTHS)


def test_missing_rows_are_nan_in_the_embeddings(incomplete, binder):
    bind = binder().fit(incomplete)
    embedded = bind.transform_modalities(incomplete)
    assert_array_equal(embedded.present, incomplete.present)
    for Z, present in zip(embedded.arrays, incomplete.present.T, strict=True):
        assert np.isnan(Z[~present]).all()
        assert_allclose(np.linalg.norm(Z[present], axis=1), 1, atol=1e-6)


def test_missing_rows_leave_the_others_unchanged(X, incomplete, binder):
    bind = binder().fit(incomplete)
    full, embedded = bind.transform_modalities(X), bind.transform_modalities(incomplete)
    for name, present in zip(NAMES, incomplete.present.T, strict=True):
        assert_allclose(embedded[name][present], full[name][present], atol=1e-6)


def test_block_of_a_missing_modality_is_the_mean_of_the_present_ones(incomplete, binder):
    bind = binder().fit(incomplete)
    embedded = np.stack(bind.transform_modalities(incomplete).arrays)
    mean = np.nanmean(embedded, axis=0)
    expected = np.where(np.isnan(embedded), mean, embedded)
    Z = bind.transform(incomplete)
    assert np.isfinite(Z).all()
    assert_allclose(Z, np.hstack(expected), atol=1e-6)
    assert_allclose(bind.set_params(output="mean").transform(incomplete), mean, atol=1e-6)


@pytest.mark.parametrize("form", [list, dict])
def test_none_marks_a_missing_modality(X, binder, form):
    bind = binder().fit(X)
    missing, nones = dict(X.items()), dict(X.items())
    missing["text"], nones["text"] = np.full((40, 5), np.nan), None
    if form is list:
        missing, nones = list(missing.values()), list(nones.values())
    assert_array_equal(bind.transform(nones), bind.transform(missing))
    assert np.isnan(bind.transform_modalities(nones)["text"]).all()
    only = [None, X["text"], None]
    assert_array_equal(bind.transform(only), np.tile(bind.transform_modality(X["text"], 1), 3))
    assert bind.score(nones) == bind.score(missing)


def test_missing_rows_of_a_single_modality_stay_missing(incomplete, binder):
    bind = binder().fit(incomplete)
    Z = bind.transform_modality(incomplete["text"], "text")
    assert_array_equal(Z, bind.transform_modalities(incomplete)["text"])
    assert np.isnan(Z).any()
    assert np.isnan(bind.transform_modality(np.full((2, 5), np.nan), "text")).all()


def test_missing_rows_do_not_move_their_encoder(X, centro):
    # Rows that have the text alone cannot move the encoders of the others.
    alone = np.arange(40) >= 20
    arrays = {n: np.where(alone[:, None], np.nan, a) for n, a in X.items()}
    arrays["text"] = X["text"]
    other = {**arrays, "text": np.where(alone[:, None], X["text"][::-1], X["text"])}
    settings = {"standardize": False, "augmentation": None, "batch_size": 40, "max_epochs": 1}
    settings["ignore_duplicates"] = False  # the reversed rows repeat others
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
def test_every_setting_works_with_missing_modalities(incomplete, centro, params):
    bind = centro(**params).fit(incomplete)
    assert np.isfinite(bind.transform(incomplete)).all()
    assert np.isfinite(bind.loss_curve_).all()


def test_fixed_anchors_work_with_missing_modalities(incomplete, fixed):
    for anchor in (0, "audio", ["image", "text"]):
        for freeze_anchor in (True, False):
            bind = fixed(anchor=anchor, freeze_anchor=freeze_anchor, batch_size=4).fit(incomplete)
            assert np.isfinite(bind.transform(incomplete)).all()


@pytest.mark.parametrize("encoder", ["mlp", nn.Linear])
def test_batches_without_a_gradient(X, binder, encoder):
    # Most samples have the image alone, so many a batch of three holds nothing but the (frozen)
    # anchor, and there is no gradient in it.
    alone = np.arange(40) >= 8
    data = {name: np.where(alone[:, None], np.nan, array) for name, array in X.items()}
    data["image"] = X["image"]
    bind = binder(encoder=encoder, batch_size=3).fit(data)
    assert np.isfinite(bind.loss_curve_).all()
    assert np.isfinite(bind.transform(data)).all()


def test_batch_statistics_use_real_rows_only(X, centro):
    def normalised(n_features, n_components):
        return nn.Sequential(nn.BatchNorm1d(n_features, momentum=None), nn.Linear(n_features, 4))

    missing = np.arange(40) % 2 == 0
    data = {**dict(X.items()), "text": np.where(missing[:, None], np.nan, X["text"] + 100)}
    bind = centro(encoder=normalised, augmentation=None, max_epochs=1, batch_size=40).fit(data)
    statistics = bind.encoders_["text"].state_dict()
    mean = next(value for name, value in statistics.items() if name.endswith("running_mean"))
    assert_allclose(mean, data["text"][~missing].mean(axis=0), rtol=1e-4)
