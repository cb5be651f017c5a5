"""Everything that training changes in a net, as JSON and tensors, and back.

Callbacks of users are part of it: their attributes, as far as these are data, and what their
`state_dict` returns, as schedulers of learning rates have one. The code itself is never kept.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch

from skcentrobind._persistence.plain import NotPlain, Plain, from_plain, to_plain
from skcentrobind._training.net import BindNet

_GENERATORS = ("order_generator_", "generator_")

_CODE = (type, FunctionType, BuiltinFunctionType, MethodType, ModuleType, partial, logging.Logger)


def header_of(net: BindNet) -> dict[str, Any]:
    """Return what is not a tensor.

    Parameters
    ----------
    net : BindNet
        The net.

    Returns
    -------
    header : dict
        For `json.dumps`.
    """
    return {
        "groups": [list(group.members) for group in net.module_.groups],
        "optimizer": [_settings_of(group) for group in net.optimizer_.param_groups],
        "frozen": [name for name, p in net.module_.named_parameters() if not p.requires_grad],
        "device": torch.device(net.device).type,
        "history": [_plain_items(epoch) for epoch in net.history],
    }


def _settings_of(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a group of parameters, those that a scheduler has added included."""
    return {key: to_plain(value) for key, value in group.items() if key != "params"}


def _plain_items(epoch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the records of an epoch, without those of callbacks that JSON cannot hold."""
    items = {}
    for key, value in epoch.items():
        try:
            items[key] = to_plain(value) if key != "batches" else []
        except NotPlain:
            continue
    return items


def tensors_of(net: BindNet) -> dict[str, torch.Tensor]:
    """Return weights, moments of the optimiser and states of the generators by name.

    Parameters
    ----------
    net : BindNet
        The net.

    Returns
    -------
    tensors : dict of str to Tensor
        They may share memory with the net.

    Raises
    ------
    TypeError
        If a user's module keeps a state that is not a tensor.
    """
    states = {"module": net.module_.state_dict(), "loss": net.criterion_.state_dict()}
    tensors = {f"{part}.{key}": v for part, state in states.items() for key, v in state.items()}
    for key, value in tensors.items():
        if not isinstance(value, torch.Tensor):
            raise TypeError(
                f"{key!r} of a module of your own is a {type(value).__name__}, but a file of data "
                "keeps tensors only: leave out get_extra_state, or use joblib.dump."
            )
    for i, moments in net.optimizer_.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{key}": value for key, value in moments.items()}
    tensors |= {f"random.{name}": getattr(net, name).get_state() for name in _GENERATORS}
    tensors["random.global_state_"] = net.global_state_
    return tensors


def fill(net: BindNet, header: Mapping[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """Load weights and training state into a freshly built net.

    Parameters
    ----------
    net : BindNet
        Built from the same plan.
    header : dict
        From `header_of`.
    tensors : dict of str to Tensor
        From `tensors_of`; what is used is removed.
    """
    net.module_.load_state_dict(take(tensors, "module."))
    if "frozen" in header:
        for name, parameter in net.module_.named_parameters():
            parameter.requires_grad_(name not in header["frozen"])
    net.criterion_.load_state_dict(take(tensors, "loss."))
    _fill_optimizer(net.optimizer_, header["optimizer"], take(tensors, "optimizer."))
    states = take(tensors, "random.")
    net.global_state_ = states["global_state_"]
    net.order_generator_.set_state(states["order_generator_"])
    # Generators of different kinds of device draw different numbers, from other states.
    if header["device"] == torch.device(net.device).type:
        net.generator_.set_state(states["generator_"])
    net.history.extend(items_of(epoch) | {"batches": []} for epoch in header["history"])


def items_of(items: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the values of a JSON object back."""
    return {key: from_plain(value) for key, value in items.items()}


def take(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Remove and return the tensors whose names start with the prefix, without it."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}


def _fill_optimizer(
    optimizer: torch.optim.Optimizer,
    settings: Sequence[Mapping[str, Any]],
    tensors: Mapping[str, torch.Tensor],
) -> None:
    state = optimizer.state_dict()
    for group, own in zip(state["param_groups"], settings, strict=True):
        group |= items_of(own)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in tensors.items():
        i, _, key = name.partition(".")
        if value.ndim and value.shape != parameters[int(i)].shape:
            raise ValueError(f"the optimiser's {name!r} has the shape {tuple(value.shape)}")
        state["state"].setdefault(int(i), {})[key] = value
    optimizer.load_state_dict(state)


# ------------------------------------------------------------------ callbacks


def callbacks_of(callbacks: Iterable[Any]) -> tuple[list, dict, list[str]]:
    """Return the states of callbacks.

    Parameters
    ----------
    callbacks : iterable of callback
        As they are after some training.

    Returns
    -------
    header : list of dict
        For `json.dumps`, one per callback.
    tensors : dict of str to Tensor
        Tensors among the states.
    lost : list of str
        What neither can hold, as "callback.attribute (type)". Functions and classes are no state:
        they come from the constructor.
    """
    tensors: dict[str, torch.Tensor] = {}
    header, lost = [], []
    for callback in callbacks:
        state, own = _state_of(callback, Plain(tensors))
        header.append(state)
        lost += own
    return header, {f"callbacks.{key}": value for key, value in tensors.items()}, lost


def _state_of(callback: Any, plain: Plain) -> tuple[dict[str, Any], list[str]]:
    if _has_state(callback):
        return {"$state": plain.convert(callback.state_dict())}, []
    items, lost = {}, []
    for key, value in vars(callback).items():
        if isinstance(value, _CODE):
            continue
        try:
            if _has_state(value):
                items[key] = {"$state": plain.convert(value.state_dict())}
            else:
                items[key] = plain.convert(value)
        except NotPlain as exc:
            lost.append(f"{type(callback).__name__}.{key} ({exc})")
    return items, lost


def _has_state(value: Any) -> bool:
    return hasattr(value, "state_dict") and hasattr(value, "load_state_dict")


def fill_callbacks(
    callbacks: Sequence[Any], header: Sequence[Mapping[str, Any]], tensors: dict[str, torch.Tensor]
) -> None:
    """Load states into callbacks.

    Parameters
    ----------
    callbacks : list of callback
        Fresh, or after `on_train_begin`, where some make what then has a state to load.
    header : list of dict
        From `callbacks_of`.
    tensors : dict of str to Tensor
        Its tensors; they are removed.

    Raises
    ------
    ValueError
        If there were other callbacks.
    """
    own = take(tensors, "callbacks.")
    if len(callbacks) != len(header):
        raise ValueError(f"it holds the states of {len(header)} callbacks, not {len(callbacks)}")
    for callback, items in zip(callbacks, header, strict=True):
        if "$state" in items:
            callback.load_state_dict(from_plain(items["$state"], own))
            continue
        for key, value in items.items():
            if not (isinstance(value, dict) and "$state" in value):
                setattr(callback, key, from_plain(value, own))
            elif _has_state(getattr(callback, key, None)):
                getattr(callback, key).load_state_dict(from_plain(value["$state"], own))
