"""Nets before and after a training: copies that stay as they were, and what only fit needs."""

from __future__ import annotations

import copy
from typing import Any

import torch
from skorch.history import History

from skcentrobind._training.callbacks import is_of_fit
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


def is_inference(net: BindNet) -> bool:
    """Return whether the weights were made under inference mode and so cannot learn."""
    return any(parameter.is_inference() for parameter in net.module_.parameters())


def forget_fit(net: BindNet) -> None:
    """Drop the held-out rows, which would be in every pickle, and the callbacks of fit."""
    net.train_split = None
    net.callbacks = [c for c in net.callbacks if not is_of_fit(c)]
    net.callbacks_ = [c for c in net.callbacks_ if not is_of_fit(c)]
