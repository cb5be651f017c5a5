"""What the training of a net changes: copies of it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from skorch.history import History

from skcentrobind._training.net import BindNet


def copy_of(net: BindNet) -> BindNet:
    """Return a copy with weights, moments and random states of its own.

    Frozen weights are shared, since the training never moves them, and so is a callback that
    cannot be copied, such as one that holds an open file.

    Parameters
    ----------
    net : BindNet
        Trained.

    Returns
    -------
    other : BindNet
        In evaluation mode.
    """
    memo: dict[int, Any] = {id(p): p for p in net.module_.parameters() if not p.requires_grad}
    memo[id(net.history)] = History(net.history)  # epochs that are over do not change
    for name in ("order_generator_", "generator_"):
        generator = getattr(net, name)
        memo[id(generator)] = torch.Generator(generator.device).set_state(generator.get_state())
    # First what a callback may refer to.
    for name in ("module_", "criterion_", "optimizer_"):
        copy.deepcopy(getattr(net, name), memo)
    for _, callback in net.callbacks_:
        try:
            copy.deepcopy(callback, memo)
        except Exception:
            memo[id(callback)] = callback
    other = object.__new__(type(net))
    other.__dict__.update(copy.deepcopy(vars(net), memo))
    other.module_.eval()
    return other
