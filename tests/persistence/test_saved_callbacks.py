"""A saved estimator trains on as the one that was saved, callbacks and schedules included."""

import warnings

import pytest
import torch
from conftest import QUICK, draw, quick_centro, same
from skorch.callbacks import Callback, LRScheduler
from skorch.callbacks.lr_scheduler import WarmRestartLR

from skcentrobind import CentroBindTransformer, load

pytest.importorskip("safetensors", reason="the extra `save` is not installed")

X = draw()[0]
POLICIES = {
    "StepLR": {"step_size": 2},
    "ExponentialLR": {"gamma": 0.5},
    "CosineAnnealingLR": {"T_max": 3},
    "LambdaLR": {"lr_lambda": lambda epoch: 0.9**epoch},
    "ReduceLROnPlateau": {"monitor": "train_loss", "patience": 0, "threshold": 0.5},
    "CyclicLR": {
        "base_lr": 1e-4, "max_lr": 1e-2, "step_every": "batch", "cycle_momentum": False,
    },
    "OneCycleLR": {
        "max_lr": 0.1, "total_steps": 100, "step_every": "batch", "cycle_momentum": False,
    },
}  # fmt: skip


def assert_goes_on(bind, path, callbacks):
    bind.save(path)
    loaded = load(path, callbacks=callbacks)
    for _ in range(3):
        bind.partial_fit(X)
        loaded.partial_fit(X)
        rates = [
            [group["lr"] for group in each.net_.optimizer_.param_groups] for each in (bind, loaded)
        ]
        assert rates[0] == rates[1]
        assert same(loaded.transform(X), bind.transform(X))
    assert loaded.loss_curve_ == bind.loss_curve_


@pytest.mark.parametrize("policy", POLICIES)
def test_schedules_go_on(policy, path):
    own = [LRScheduler(getattr(torch.optim.lr_scheduler, policy), **POLICIES[policy])]
    rates = {"learning_rate": [1e-2, 1e-3, 1e-2], "learn_temperature": True}
    bind = CentroBindTransformer(**QUICK, **rates, batch_size=20, callbacks=own).fit(X)
    assert_goes_on(bind, path, own)


def test_a_schedule_that_is_no_policy_goes_on(path):
    own = [("restarts", LRScheduler(WarmRestartLR, base_period=2))]
    assert_goes_on(CentroBindTransformer(**QUICK, callbacks=own).fit(X), path, own)


class Decays(Callback):
    """Changes what the optimiser does by a state of its own."""

    def __init__(self):
        self.n_epochs, self.weights = 0, [torch.zeros(2)]

    def on_epoch_begin(self, net, **kwargs):
        self.n_epochs += 1
        self.weights.append(torch.ones(2) * self.n_epochs)
        for group in net.optimizer_.param_groups:
            group["weight_decay"] = 0.1 * float(self.weights[-1].sum())
            group["betas"] = (0.8, 0.9)


def test_the_state_of_callbacks_goes_on(each, path):
    own = [Decays()]
    bind = each(callbacks=own).fit(X)
    assert_goes_on(bind, path, own)
    decays = load(path, callbacks=own).net_.callbacks_[-1][1]
    assert decays.n_epochs == QUICK["max_epochs"]
    assert [w.tolist() for w in decays.weights] == [[n, n] for n in range(4)]
    assert own[0].n_epochs == 0


class Freezes(Callback):
    def on_epoch_begin(self, net, **kwargs):
        for parameter in net.module_.groups[0].parameters():
            parameter.requires_grad_(len(net.history) % 2 == 0)


def test_what_a_callback_has_frozen_stays_frozen(path):
    own = [Freezes()]
    bind = quick_centro(encoder=["mlp", "linear", "linear"], callbacks=own)
    assert_goes_on(bind.fit(X), path, own)


class Keeps(Callback):
    def on_train_begin(self, net, **kwargs):
        self.thing, self.list = object(), [1, self]


def test_what_cannot_be_saved_is_named(path):
    own = [Keeps()]
    bind = CentroBindTransformer(**QUICK, callbacks=own).fit(X)
    with pytest.warns(UserWarning, match=r"Keeps.thing \(object\), Keeps.list \(Keeps\).*joblib"):
        bind.save(path)
    assert same(load(path, callbacks=own).transform(X), bind.transform(X))


def test_functions_and_classes_are_no_state(path):
    class Plain(Callback):
        def __init__(self):
            self.function, self.cls = print, dict

    bind = CentroBindTransformer(**QUICK, callbacks=[Plain()]).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bind.save(path)


@pytest.mark.parametrize("given", [[], [Decays(), Decays()], None])
def test_other_callbacks_than_before_are_refused(given, path):
    CentroBindTransformer(**QUICK, callbacks=[Decays()]).fit(X).save(path)
    with pytest.raises(ValueError, match=r"the states of 1 callbacks, not [02]"):
        load(path, callbacks=given)


class Extra(torch.nn.Linear):
    def get_extra_state(self):
        return {"own": object()}

    def set_extra_state(self, state):
        self.own = state


def test_a_module_with_another_state_is_refused_at_save(path):
    bind = quick_centro(encoder=[Extra(6, 4), "mlp", "mlp"]).fit(X)
    with pytest.raises(TypeError, match=r"_extra_state'.* is a dict.*joblib"):
        bind.save(path)
    assert not path.exists()
