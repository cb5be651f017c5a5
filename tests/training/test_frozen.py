"""A frozen encoder costs nothing: it is neither copied nor put back, unless it could move."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from skcentrobind import FixedAnchorBindTransformer


class Traffic(TorchDispatchMode):
    """Counts the bytes that are copied out of or into some tensors."""

    def __init__(self, tensors):
        super().__init__()
        self.places = {tensor.data_ptr() for tensor in tensors}
        self.n_bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        copies = (torch.ops.aten.clone.default, torch.ops.aten.copy_.default)
        tensor = args[0] if function in copies else None
        if tensor is not None and tensor.data_ptr() in self.places:
            self.n_bytes += tensor.numel() * tensor.element_size()
        return function(*args, **(kwargs or {}))


def bytes_per_step(X, encoder):
    """Traffic of a frozen anchor's encoder in a step: that of 40 rows in 2 steps less in 1."""
    return traffic_of(X, encoder, batch_size=20) - traffic_of(X, encoder, batch_size=40)


def traffic_of(X, encoder, batch_size):
    """Fit to a fixed anchor, then count the traffic of its encoder in one further epoch."""
    params = {"pretrain_epochs": 0, "max_epochs": 1, "random_state": 0, "n_components": 4}
    params["batch_size"] = batch_size
    bind = FixedAnchorBindTransformer(anchor="image", encoder=encoder, **params).fit(X)
    group, k = bind.net_.module_.group_of(0)
    before = [tensor.detach().clone() for tensor in group.member_parameters(k)]
    with Traffic(group.member_parameters(k)) as traffic:
        bind.partial_fit(X)
    for tensor, value in zip(group.member_parameters(k), before, strict=True):
        assert torch.equal(tensor, value)
    return traffic.n_bytes


@pytest.mark.parametrize(
    "encoder",
    [["mlp", "linear", "linear"], [nn.Linear(6, 50), "linear", "linear"]],
    ids=["bank of its own", "module"],
)
def test_a_frozen_group_is_never_copied(X, encoder):
    assert traffic_of(X, encoder, batch_size=40) == 0
    assert bytes_per_step(X, encoder) == 0


def test_a_frozen_member_of_a_bank_that_learns_is_held_back(X):
    assert bytes_per_step(X, "linear") == 2 * 4 * (6 * 4 + 4)  # out and back: weights and bias


def test_a_modality_that_is_drawn_is_held_back_although_its_group_learns(X, centro):
    bind = centro(aggregator="random", encoder=["mlp", "linear", "linear"]).fit(X)
    module = bind.net_.module_
    assert [len(module.held_parameters([m])) for m in range(3)] == [4, 2, 2]
    module.freeze([0])
    assert [len(module.held_parameters([m])) for m in range(3)] == [0, 2, 2]
    assert np.isfinite(bind.partial_fit(X).loss_curve_).all()
