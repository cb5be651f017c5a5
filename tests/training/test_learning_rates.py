"""One learning rate per modality."""

import pickle

import numpy as np
import pytest
from conftest import QUICK, WIDTHS, distance, state_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from torch import nn

from skcentrobind import load

NAMES = list(WIDTHS)


@pytest.mark.parametrize("encoder", ["residual", "mlp", "linear", nn.Linear])
@pytest.mark.parametrize("form", ["dict", "list", "tuple"])
def test_equal_rates_are_one_rate_bit_for_bit(X, binder, encoder, form):
    rates = {
        "dict": dict.fromkeys(reversed(NAMES), 3e-3),
        "list": [3e-3] * 3,
        "tuple": (3e-3,) * 3,
    }[form]
    settings = {"encoder": encoder, "pretrain_epochs": 1}
    one = binder(**settings, learning_rate=3e-3).fit(X)
    each = binder(**settings, learning_rate=rates).fit(X)
    assert_array_equal(one.transform(X), each.transform(X))
    assert one.loss_curve_ == each.loss_curve_
    assert len(each.net_.optimizer_.param_groups) == 1


@pytest.mark.parametrize("encoder", ["residual", "mlp", "linear", nn.Linear])
@pytest.mark.parametrize("slow", NAMES)
def test_a_tiny_rate_leaves_its_modality_alone(X, centro, encoder, slow):
    rates = {name: 1e-12 if name == slow else 1e-2 for name in NAMES}
    settings = {"encoder": encoder, "learning_rate": rates, "weight_decay": 0.1}
    drawn = centro(**settings, max_epochs=0).fit(X)
    bind = centro(**settings, max_epochs=5).fit(X)
    moves = {n: distance(state_of(drawn, n), state_of(bind, n)) for n in NAMES}
    assert moves.pop(slow) < 1e-10
    assert min(moves.values()) > 1e-2


def test_rates_act_in_pre_training(X, centro):
    settings = {"learning_rate": [1e-12, 1e-2, 1e-2], "max_epochs": 0}
    drawn = centro(**settings).fit(X)
    bind = centro(**settings, pretrain_epochs=3).fit(X)
    moves = [distance(state_of(drawn, n), state_of(bind, n)) for n in NAMES]
    assert moves[0] < 1e-10
    assert min(moves[1:]) > 1e-2


def test_the_first_step_is_as_long_as_the_rate(X, centro):
    # The first step of Adam has the length of the rate in every weight that has a gradient.
    rates = {"image": 1e-2, "text": 1e-4, "audio": 1e-3}
    settings = {"encoder": "linear", "learning_rate": rates, "weight_decay": 0.0}
    settings |= {"batch_size": 40}
    drawn = centro(**settings, max_epochs=0).fit(X)
    bind = centro(**settings, max_epochs=1).fit(X)
    for name, rate in rates.items():
        move = distance(state_of(drawn, name), state_of(bind, name))
        assert_allclose(move, rate, rtol=1e-2)


def test_groups_of_the_optimiser(X, centro):
    rates = {"image": 1e-2, "text": 1e-4, "audio": 1e-2}
    bind = centro(learning_rate=rates).fit(X)
    # Modalities of one rate share a bank, and every weight belongs to one group.
    assert [group.members for group in bind.net_.module_.groups] == [(0, 2), (1,)]
    groups = bind.net_.optimizer_.param_groups
    assert [group["lr"] for group in groups] == [1e-2, 1e-4]
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(map(id, bind.net_.module_.parameters()))


def test_rates_of_more_than_ten_groups(centro):
    # Groups are distinguished by the beginning of a name: the 1st must not take the 10th along.
    rng = np.random.default_rng(0)
    data = [rng.normal(size=(12, 3)) for _ in range(12)]
    rates = [1e-3 * (m + 1) for m in range(12)]
    bind = centro(learning_rate=rates).fit(data)
    assert [group["lr"] for group in bind.net_.optimizer_.param_groups] == rates
    for group, params in zip(
        bind.net_.module_.groups, bind.net_.optimizer_.param_groups, strict=True
    ):
        assert {id(p) for p in group.parameters()} == {id(p) for p in params["params"]}


def test_rates_beside_other_splits_and_identity(X, centro):
    rates = {"image": 1e-2, "text": 1e-3, "audio": 1e-2}
    encoder = {"image": "residual", "text": "residual", "audio": "identity"}
    augmentation = ["mask", "gaussian", None]
    bind = centro(learning_rate=rates, encoder=encoder, augmentation=augmentation).fit(X)
    assert np.isfinite(bind.transform(X)).all()
    assert {group["lr"] for group in bind.net_.optimizer_.param_groups} == {1e-2, 1e-3}


def test_rates_with_missing_modalities_and_partial_fit(incomplete, binder):
    rates = {"image": 1e-12, "text": 1e-2, "audio": 5e-3}
    params = {"learning_rate": rates, "pretrain_epochs": 0}
    bind = binder(**params, max_epochs=2).fit(incomplete)
    again = binder(**params).partial_fit(incomplete).partial_fit(incomplete)
    assert_array_equal(bind.transform(incomplete), again.transform(incomplete))
    restored = pickle.loads(pickle.dumps(clone(bind).fit(incomplete)))
    assert_array_equal(
        restored.transform(incomplete), bind.transform(incomplete)[: len(incomplete)][:, :12]
    )


def test_rates_are_saved(X, centro, tmp_path):
    pytest.importorskip("safetensors", reason="the extra `save` is not installed")
    rates = {"image": 1e-12, "text": 1e-2, "audio": 5e-3}
    bind = centro(learning_rate=rates).fit(X)
    bind.save(tmp_path / "bind.safetensors")
    again = load(tmp_path / "bind.safetensors")
    assert again.get_params()["learning_rate"] == rates
    assert_array_equal(again.partial_fit(X).transform(X), bind.partial_fit(X).transform(X))


def test_rates_can_be_searched(X, centro):
    bind = centro(learning_rate=[1e-3, 1e-2, 1e-2])
    assert clone(bind).get_params()["learning_rate"] == [1e-3, 1e-2, 1e-2]
    assert bind.set_params(learning_rate=1e-3).fit(X).n_iter_ == QUICK["max_epochs"]


def test_divergence_names_the_largest_rate(X, centro):
    with pytest.raises(ValueError, match=r"Lower learning_rate \(now 1e\+30\)"):
        centro(learning_rate=[1e-3, 1e30, 1e-3], max_epochs=20).fit(X)
