"""BindNet: callbacks, freezing, divergence, interrupts and validation."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from torch import nn

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer


def make_X(n_samples=40, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n_samples, 2))
    return [common @ rng.normal(size=(2, w)) + rng.normal(size=(n_samples, w)) for w in (4, 3, 3)]


SMALL = {
    "encoder": "residual",
    "shrinkage": "oas",
    "n_components": 4,
    "hidden_layer_sizes": (6,),
    "batch_size": 16,
    "max_epochs": 3,
}
SMALL |= {"random_state": 0, "device": "cpu"}


def binder(**settings):
    return CentroBindTransformer(**SMALL | settings)


def fixed_binder(**settings):
    return FixedAnchorBindTransformer(**SMALL | {"pretrain_epochs": 1} | settings)


class BatchCallback(Callback):
    pass


@pytest.mark.parametrize("aggregator", ["mean", "random", "random_intra"])
def test_callbacks_change_nothing(aggregator):
    X = make_X()
    plain, called = (
        binder(aggregator=aggregator, callbacks=callbacks).fit(X)
        for callbacks in (None, [BatchCallback()])
    )
    assert_allclose(plain.loss_curve_, called.loss_curve_, rtol=1e-12)
    assert_array_equal(plain.transform(X), called.transform(X))


class FreezeWatch(Callback):
    """Compares every encoder before and after each step, and records what the loss freezes."""

    def __init__(self):
        self.steps = []

    def __deepcopy__(self, memo):
        return self  # to be read after the fit

    def weights(self, net):
        groups = [(g, k, m) for g in net.module_.groups for k, m in enumerate(g.members)]
        return {
            m: torch.cat([p.detach().flatten() for p in g.member_parameters(k)])
            for g, k, m in groups
        }

    def on_train_begin(self, net, **kwargs):
        loss = net.criterion_

        def step(*batch):
            value, self.held = type(loss).step(loss, *batch)
            return value, self.held

        loss.step = step

    def on_train_end(self, net, **kwargs):
        del net.criterion_.step

    def on_batch_begin(self, net, **kwargs):
        self.before = self.weights(net)

    def on_batch_end(self, net, **kwargs):
        after = self.weights(net)
        still = {m for m in after if torch.equal(after[m], self.before[m])}
        if net.phase == "binding":
            self.steps.append((set(self.held), still))


@pytest.mark.parametrize("encoder", ["residual", ["mlp", nn.Linear(3, 4), nn.Linear(3, 5)]])
@pytest.mark.parametrize(
    ("make", "frozen"),
    [
        (lambda **settings: binder(aggregator="random", **settings), [{0}, {1}, {2}]),
        (lambda **settings: binder(aggregator="random_intra", **settings), [set()]),
        (lambda **settings: fixed_binder(anchor=1, **settings), [{1}]),
        (lambda **settings: fixed_binder(anchor=[2, 0], **settings), [{0, 2}]),
    ],
)
def test_frozen_encoders_stay_bit_for_bit(make, frozen, encoder):
    watch = FreezeWatch()
    make(encoder=encoder, max_epochs=6, callbacks=[watch]).fit(make_X())
    assert len(watch.steps) == 18
    assert all(still == held for held, still in watch.steps)
    assert all(held in frozen for held, _ in watch.steps)
    assert all(any(held == each for held, _ in watch.steps) for each in frozen)


class Explodes(nn.Linear):
    def forward(self, x):
        return super().forward(x) * torch.inf


@pytest.mark.parametrize("callbacks", [None, [BatchCallback()]])
def test_diverged_training_is_an_error(callbacks):
    estimator = binder(encoder=["mlp", "mlp", Explodes(3, 4)], callbacks=callbacks)
    with pytest.raises(ValueError, match=r"loss became nan in epoch 1.*Lower learning_rate") as e:
        estimator.fit(make_X())
    assert "0.001" in str(e.value)


def test_what_is_shown(capsys):
    binder().fit(make_X())
    assert capsys.readouterr() == ("", "")
    estimator = binder(verbose=1, pretrain_epochs=2).fit(make_X())
    out, err = capsys.readouterr()
    assert out == ""
    assert "pre-training" in err
    assert "2/2" in err
    assert "binding" in err
    assert "3/3" in err
    assert f"loss={estimator.loss_curve_[-1]:.4f}" in err
    estimator = binder(verbose=2).fit(make_X())
    out, err = capsys.readouterr()
    assert err == ""
    header, _, *lines = out.splitlines()
    assert "train_loss" in header
    for line, loss in zip(lines, estimator.loss_curve_, strict=True):
        assert f"{loss:.4f}" in line


class Interrupt(Callback):
    def __init__(self, event, epoch):
        self.event, self.epoch = event, epoch

    def interrupt(self, net):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt

    def on_epoch_end(self, net, **kwargs):
        if self.event == "epoch_end":
            self.interrupt(net)

    def on_batch_end(self, net, **kwargs):
        if self.event == "batch_end":
            self.interrupt(net)


@pytest.mark.parametrize(
    ("event", "epoch", "finished"),
    [("epoch_end", 1, 1), ("epoch_end", 2, 2), ("batch_end", 2, 1)],
)
def test_an_interrupt_ends_the_fit_quietly(event, epoch, finished, capsys):
    X = make_X()
    estimator = binder(callbacks=[Interrupt(event, epoch)])
    try:
        estimator.fit(X)
    except KeyboardInterrupt:  # which would end pytest, too
        pytest.fail("The interrupt was not caught.")
    assert capsys.readouterr() == ("", "")
    assert estimator.n_iter_ == finished
    assert list(estimator.loss_curve_) == list(binder().fit(X).loss_curve_)[:finished]
    assert estimator.transform(X).shape == (40, 12)


def test_an_interrupt_before_anything_is_learned_is_passed_on():
    estimator = binder(callbacks=[Interrupt("batch_end", 1)])
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(make_X())
    with pytest.raises(NotFittedError):
        estimator.transform(make_X())


def test_dropout_neither_reads_nor_moves_the_global_generator():
    X, spec = make_X(), nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 4))
    results = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            results.append(binder(encoder=["mlp", spec, "mlp"]).fit(X).transform(X))
            assert torch.equal(torch.get_rng_state(), before)
    assert_array_equal(*results)


@pytest.mark.parametrize("aggregator", ["mean", "random"])
def test_validation_is_comparable_between_epochs(aggregator):
    settings = {"learning_rate": 1e-30, "weight_decay": 0.0, "max_epochs": 5}  # nothing moves
    estimator = binder(aggregator=aggregator, early_stopping=True, **settings).fit(make_X(60))
    assert len(set(estimator.validation_scores_)) == 1
    assert 0 < estimator.validation_scores_[0] <= 1
    losses = estimator.net_.history[:, "valid_loss"]
    assert len(losses) == 5
    assert_allclose(losses, losses[0], rtol=1e-12)


@pytest.mark.parametrize(("n_samples", "has_missing"), [(30, False), (60, True)])
def test_early_stopping_with_tiny_batches(n_samples, has_missing):
    X = make_X(n_samples)  # 3 or 6 rows are held out
    if has_missing:
        X[0][::2] = np.nan
        X[1][1::2] = np.nan
    estimator = binder(batch_size=2, early_stopping=True, max_epochs=2).fit(X)
    assert len(estimator.validation_scores_) == 2
    assert np.isfinite(estimator.validation_scores_).all()
