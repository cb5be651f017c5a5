"""Callbacks of users hear of every epoch, in the pre-training, too."""

import pytest
import torch
from conftest import same
from skorch.callbacks import Callback, EarlyStopping, LRScheduler

HOOKS = [
    "on_train_begin",
    "on_epoch_begin",
    "on_batch_begin",
    "on_grad_computed",
    "on_batch_end",
    "on_epoch_end",
    "on_train_end",
]


class Listens(Callback):
    """Writes down which hooks are called, and in which phase."""

    def __init__(self):
        self.heard = []


def listener(hook):
    def listen(self, net, *args, **kwargs):
        self.heard.append((net.phase, hook))

    return listen


for hook in HOOKS:
    setattr(Listens, hook, listener(hook))


def heard(bind):
    return next(cb for _, cb in bind.net_.callbacks_ if isinstance(cb, Listens)).heard


def epoch(phase, n_batches):
    batch = [(phase, hook) for hook in ("on_batch_begin", "on_grad_computed", "on_batch_end")]
    return [(phase, "on_epoch_begin"), *batch * n_batches, (phase, "on_epoch_end")]


def phase(name, n_epochs, n_batches):
    return [(name, "on_train_begin"), *epoch(name, n_batches) * n_epochs, (name, "on_train_end")]


def test_both_phases_are_told(each, X):
    own = Listens()
    bind = each(pretrain_epochs=2, max_epochs=3, batch_size=20, callbacks=[own]).fit(X)
    assert heard(bind) == phase("pre-training", 2, 2) + phase("binding", 3, 2)
    assert own.heard == []  # copied
    bind.partial_fit(X)
    assert heard(bind)[-len(phase("binding", 1, 2)) :] == phase("binding", 1, 2)
    assert bind.n_iter_ == 4


def test_being_told_changes_nothing(each, X):
    settings = {"pretrain_epochs": 2, "early_stopping": True, "validation_fraction": 0.2}
    plain, told = each(**settings).fit(X), each(**settings, callbacks=[Listens()]).fit(X)
    assert same(told.transform(X), plain.transform(X))


def test_a_schedule_holds_in_the_pre_training(X, centro):
    class Rates(Callback):
        def __init__(self):
            self.rates = []

        def on_epoch_begin(self, net, **kwargs):
            self.rates.append((net.phase, net.optimizer_.param_groups[0]["lr"]))

    schedule = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
    params = {"learning_rate": 0.1, "pretrain_epochs": 2, "max_epochs": 3}
    bind = centro(**params, callbacks=[("rates", Rates()), schedule]).fit(X)
    rates = dict(bind.net_.callbacks_)["rates"].rates
    halved = [("pre-training", 0.1), ("pre-training", 0.05)]
    assert rates == [*halved, ("binding", 0.1), ("binding", 0.05), ("binding", 0.025)]
    assert not same(bind.transform(X), centro(**params).fit_transform(X))


@pytest.mark.parametrize("monitor", ["valid_loss", "valid_score", "train_loss"])
def test_what_is_monitored_is_recorded_in_both_phases(X, centro, monitor):
    own = EarlyStopping(monitor=monitor, patience=1, threshold=10, threshold_mode="abs", sink=len)
    settings = {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 50}
    listens = Listens()
    centro(**settings, pretrain_epochs=9, max_epochs=9, callbacks=[listens, own]).fit(X)
    bind = centro(**settings, pretrain_epochs=9, max_epochs=9, callbacks=[listens, own]).fit(X)
    ends = heard(bind).count(("pre-training", "on_epoch_end"))
    assert ends == bind.n_iter_ == 2
