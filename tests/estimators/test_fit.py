"""What fit learns and records, and its use with partial_fit and callbacks."""

import numpy as np
import pytest
import torch
from conftest import WIDTHS, Recorder, draw, recorder_of
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import LRScheduler
from torch import nn

from skcentrobind import CentroBindTransformer
from skcentrobind._training.net import BindNet

NAMES = list(WIDTHS)
STILL = {"learning_rate": 1e-30, "weight_decay": 0.0, "max_epochs": 1}


def test_fit_returns_the_estimator_and_sets_its_attributes(X, y, binder):
    bind = binder()
    assert bind.fit(X, y) is bind
    assert bind.n_modalities_ == 3
    assert bind.modality_names_ == NAMES
    assert bind.n_features_per_modality_ == [6, 5, 4]
    assert bind.n_features_in_ == 15
    assert bind.n_iter_ == 3
    assert bind.validation_scores_ is None
    assert list(bind.encoders_) == list(bind.scalers_) == NAMES
    assert list(binder().fit(list(X.arrays)).modality_names_) == [f"modality{m}" for m in range(3)]


def test_read_only_data(incomplete, binder):
    arrays = [array.copy() for array in incomplete.arrays]
    for array in arrays:
        array.flags.writeable = False
    for standardize in (True, False):
        Z = binder(standardize=standardize).fit_transform(arrays)
        assert np.isfinite(Z).all()


def test_loss_curve(make_data, binder):
    X, _ = make_data(60)
    bind = binder(max_epochs=30, learning_rate=5e-3, init="random").fit(X)
    assert len(bind.loss_curve_) == bind.n_iter_ == 30
    assert all(isinstance(loss, float) and loss > 0 for loss in bind.loss_curve_)
    assert np.mean(bind.loss_curve_[-5:]) < 0.9 * bind.loss_curve_[0]


def test_loss_is_the_sum_over_the_modalities(X, centro):
    # All rows alike for an encoder that maps everything to one point: each of the two directions
    # of each modality costs log(n).
    class Collapsed(nn.Module):
        def __init__(self):
            super().__init__()
            self.point = nn.Parameter(torch.ones(4))

        def forward(self, x):
            return self.point.expand(len(x), 4)

    bind = centro(encoder=Collapsed(), max_epochs=1).fit(X)
    assert_allclose(bind.loss_curve_, [3 * 2 * np.log(40)], rtol=1e-5)


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "sizes"),
    [
        (257, 256, [129, 128]),
        (256, 256, [256]),
        (40, 256, [40]),
        (41, 20, [14, 14, 13]),
        (41, 2, [3] + [2] * 19),  # never one row alone
    ],
)
def test_batches_are_of_equal_size(make_data, centro, n_samples, batch_size, sizes):
    X, _ = make_data(n_samples)
    bind = centro(batch_size=batch_size, max_epochs=2, callbacks=[Recorder()]).fit(X)
    assert recorder_of(bind).sizes == 2 * sizes


def test_no_epochs_leave_the_encoders_as_they_were_drawn(X, binder):
    untrained = binder(max_epochs=0, pretrain_epochs=0).fit(X)
    assert (untrained.n_iter_, untrained.loss_curve_, untrained.validation_scores_) == (0, [], None)
    still = binder(**STILL, pretrain_epochs=0).fit(X)
    assert_allclose(untrained.transform(X), still.transform(X), atol=1e-6)
    one = binder(max_epochs=1, pretrain_epochs=0).fit(X)
    assert_array_equal(untrained.partial_fit(X).transform(X), one.transform(X))
    # What pre-training did stays.
    prepared = binder(max_epochs=0, pretrain_epochs=2).fit(X)
    assert not np.array_equal(prepared.transform(X), still.transform(X))


def test_partial_fit_trains_one_epoch_at_a_time(X, binder, make_data):
    bind = binder()
    assert bind.partial_fit(X) is bind
    assert bind.n_iter_ == 1
    before = bind.transform(X)
    bind.partial_fit(make_data(seed=3)[0])  # other rows
    assert bind.n_iter_ == 2
    assert not np.array_equal(bind.transform(X), before)
    assert_array_equal(bind.scalers_["text"].mean_, binder().partial_fit(X).scalers_["text"].mean_)


def test_partial_fit_continues_a_fit(X, binder):
    bind = binder(max_epochs=3).fit(X)
    start = list(bind.loss_curve_)
    bind.partial_fit(X)
    assert bind.loss_curve_[:3] == start
    assert bind.n_iter_ == 4


def test_callbacks_get_every_event_and_are_not_mutated(X, binder):
    recorder = Recorder()
    bind = binder(batch_size=20, pretrain_epochs=0, callbacks=[recorder]).fit(X)
    heard = recorder_of(bind)
    assert heard is not recorder
    assert heard.sizes == [20, 20] * 3
    assert heard.gradients == 6
    assert len(heard.rates) == 3
    assert (recorder.sizes, recorder.rates, recorder.gradients) == ([], [], 0)
    assert bind.get_params()["callbacks"] == [recorder]


def test_callbacks_change_nothing(X, binder):
    assert_array_equal(
        binder(batch_size=20, callbacks=[Recorder()]).fit_transform(X),
        binder(batch_size=20).fit_transform(X),
    )


def test_a_learning_rate_schedule(X, binder):
    scheduler = LRScheduler("StepLR", step_size=1, gamma=0.1)
    bind = binder(callbacks=[scheduler, ("spy", Recorder())], learning_rate=1e-2).fit(X)
    assert_allclose(bind.net_.optimizer_.param_groups[0]["lr"], 1e-5)
    assert not np.array_equal(bind.transform(X), binder(learning_rate=1e-2).fit_transform(X))


def test_a_fit_that_diverges_leaves_an_unfitted_estimator(X, binder):
    bind = binder(learning_rate=1e30, max_epochs=20)
    with pytest.raises(ValueError, match="diverged"):
        bind.fit(X)
    with pytest.raises(ValueError, match="not fitted"):
        bind.transform(X)


def test_data_of_the_fixtures_are_what_the_tests_assume():
    X, y = draw()
    assert X.n_features == list(WIDTHS.values())
    assert 10 < y.sum() < 30


@pytest.mark.parametrize(
    ("steps", "epochs"), [(1, 100), (100, 100), (101, 99), (400, 25), (1000, 10), (5000, 10)]
)
@pytest.mark.parametrize(
    ("params", "most"),
    [
        ({}, 50),
        ({"encoder": "kernel", "gamma": 1.0}, 30),
        ({"init": "random"}, 100),
        ({"encoder": "mlp"}, 100),
        ({"n_specific_components": 1}, 100),
    ],
)
def test_large_data_need_fewer_epochs(X, monkeypatch, steps, epochs, params, most):
    monkeypatch.setattr(BindNet, "steps_in", lambda self, data: steps)
    monkeypatch.setattr(BindNet, "train_on", lambda self, data, n: epochs_used.append(n))
    epochs_used = []
    own = {"n_components": 2, "encoder": "residual", "shrinkage": "oas", "max_epochs": "full"}
    CentroBindTransformer(**{**own, "hidden_layer_sizes": (3,), **params}).fit(X)
    assert epochs_used == [min(epochs, most)]
