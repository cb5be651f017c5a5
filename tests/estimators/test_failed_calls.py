"""A call that fails or is interrupted leaves the estimator as it was before."""

import copy

import numpy as np
import pytest
import torch
from conftest import QUICK, draw, same
from faults import Fault, FaultAtCall
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback, LRScheduler

from skcentrobind import CentroBindTransformer

X = draw()[0]


def picture(bind):
    """What a user sees of an estimator, and what its training continues from."""
    again = copy.deepcopy(bind)
    return [
        bind.transform(X).tobytes(),
        bind.score(X),
        bind.get_feature_names_out().tolist(),
        list(bind.loss_curve_),
        bind.n_iter_,
        bind.temperature_,
        sorted(vars(bind)),
        again.partial_fit(X).partial_fit(X).transform(X).tobytes(),
        again.loss_curve_,
    ]


SMALLER = {name: array[:20, :3] for name, array in X.items()}
SETTINGS = {
    "plain": {},
    "many parts": {
        "encoder": ["mlp", lambda n, k: torch.nn.Linear(n, k), "residual"],
        "pretrain_epochs": 1,
        "early_stopping": True,
        "validation_fraction": 0.2,
        "learn_temperature": True,
        "callbacks": [LRScheduler("StepLR", step_size=1)],
    },
}


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_fault_anywhere_changes_nothing(name, call):
    bind = CentroBindTransformer(**{**QUICK, "max_epochs": 2, **SETTINGS[name]}).fit(X)
    data = SMALLER if call == "fit" else X
    expected, n, n_faults = picture(bind), 1, 0
    while FaultAtCall(n).run(lambda: getattr(bind, call)(data)):
        # Every function of the package is entered some dozen times; each early entry counts.
        n, n_faults = n + (1 if n < 20 else 41 if call == "fit" else 9), n_faults + 1
        found = picture(bind) if n_faults % 8 == 0 else [bind.transform(X).tobytes()]
        assert found == expected[: len(found)]
    assert n_faults > 25
    assert bind.n_features_in_ == sum(data[name].shape[1] for name in X.names)


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_a_fault_in_the_first_fit_leaves_it_unfitted(call):
    n, before = 1, None
    while n < 200:
        bind = CentroBindTransformer(**QUICK)
        before = dict(vars(bind))
        assert FaultAtCall(n).run(lambda: getattr(bind, call)(X))  # noqa: B023
        assert vars(bind) == before
        with pytest.raises(NotFittedError):
            bind.transform(X)
        n += 13


class Raises(Callback):
    """Raises in one of the hooks of the n-th epoch."""

    def __init__(self, hook, epoch, error):
        self.hook, self.epoch, self.error = hook, epoch, error

    def fail(self, hook, net):
        if hook == self.hook and len(net.history) >= self.epoch:
            raise self.error

    def on_epoch_begin(self, net, **kwargs):
        self.fail("on_epoch_begin", net)

    def on_batch_end(self, net, **kwargs):
        self.fail("on_batch_end", net)

    def on_epoch_end(self, net, **kwargs):
        self.fail("on_epoch_end", net)

    def on_train_end(self, net, **kwargs):
        self.fail("on_train_end", net)


@pytest.mark.parametrize("error", [Fault, KeyboardInterrupt, SystemExit, ValueError])
@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_batch_end"])
def test_partial_fit_that_ends_in_its_epoch_changes_nothing(centro, hook, error):
    # Epochs 1 to 3 are those of fit.
    bind = centro(callbacks=[Raises(hook, 4, error)], batch_size=10).fit(X)
    expected = bind.transform(X), bind.loss_curve_, state(bind)
    with pytest.raises(error):
        bind.partial_fit(X)
    assert same(bind.transform(X), expected[0])
    assert (bind.loss_curve_, state(bind)) == expected[1:]


def state(bind):
    """What the next epoch starts from."""
    net = bind.net_
    moments = net.optimizer_.state_dict()["state"]
    return [
        *[t.tolist() for m in moments.values() for t in m.values()],
        net.order_generator_.get_state().tolist(),
        net.generator_.get_state().tolist(),
    ]


def test_an_interrupt_after_an_epoch_keeps_it(each):
    whole = each(max_epochs=1).fit(X)
    cut = each(max_epochs=9, callbacks=[Raises("on_epoch_begin", 2, KeyboardInterrupt)]).fit(X)
    assert cut.n_iter_ == 1
    assert same(cut.transform(X), whole.transform(X))


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_every_estimator_survives_a_failure(each, call):
    bind = each(max_epochs=1, callbacks=[Raises("on_batch_end", 2, KeyboardInterrupt)]).fit(X)
    expected = bind.transform(X), bind.loss_curve_, state(bind)
    bind.set_params(callbacks=[Raises("on_batch_end", 1, KeyboardInterrupt)])
    with pytest.raises(KeyboardInterrupt):
        getattr(bind, call)(X)
    assert same(bind.transform(X), expected[0])
    assert (bind.loss_curve_, state(bind)) == expected[1:]


BAD = {
    "another width": {"image": X["image"][:, :3], "text": X["text"], "audio": X["audio"]},
    "infinity": [np.full((40, 6), np.inf), X["text"], X["audio"]],
    "one modality": [X["image"][:1]],
    "strings": {"image": np.array([["a"]] * 40), "text": X["text"]},
    "nothing": None,
    "too large": [X["image"] * 1e200, X["text"], X["audio"]],
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("call", ["fit", "partial_fit", "transform", "score"])
def test_bad_data_change_nothing(call, bad, fixed):
    bind = fixed(learn_temperature=True, n_components=4).fit(X)
    expected = picture(bind)
    with pytest.raises((ValueError, TypeError)):
        getattr(bind, call)(BAD[bad] if call != "fit" or bad != "another width" else [None])
    assert picture(bind) == expected


def test_a_fit_that_fails_draws_no_seed():
    random_state = np.random.RandomState(3)
    bind = CentroBindTransformer(**{**QUICK, "random_state": random_state})
    before = random_state.get_state()[1].tolist()
    with pytest.raises(ValueError, match="No batch"):
        bind.set_params(encoder=Dead).fit(X)
    assert random_state.get_state()[1].tolist() == before


class Dead(torch.nn.Linear):
    """Returns what has no gradient."""

    def forward(self, x):
        return super().forward(x).detach()


class Holds(Callback):
    """Holds an open file, which cannot be copied once it is open."""

    def on_train_begin(self, net, **kwargs):
        self.file = open(__file__)  # noqa: SIM115

    def on_train_end(self, net, **kwargs):
        self.file.close()


def test_a_callback_that_cannot_be_copied_does_not_stop_partial_fit():
    plain = CentroBindTransformer(**QUICK).fit(X).partial_fit(X)
    held = CentroBindTransformer(**QUICK, callbacks=[Holds()]).fit(X).partial_fit(X)
    np.testing.assert_allclose(held.transform(X), plain.transform(X), rtol=1e-6)
