"""Parameter values as JSON and back: data of a fixed set of types, and no code.

A value without a JSON type becomes `{"$kind": ...}`, a dict with that one key; the kinds are
the keys of `_READERS`. Anchors are looked up among the public classes of `skcentrobind.anchors`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Set, ValuesView
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch

from skcentrobind import anchors

#: Public anchor classes by name; their settings are the attributes that the constructor names.
ANCHOR_CLASSES = {
    name: cls
    for name, cls in vars(anchors).items()
    if name in anchors.__all__ and isinstance(cls, type) and issubclass(cls, anchors.BaseAnchor)
}


class NotPlain(TypeError):
    """A value that is code or contains code."""


class Plain:
    """Conversion of values for `json.dumps`.

    Parameters
    ----------
    tensors : dict of str to Tensor, default=None
        Where tensors go, under their numbers; None writes them as arrays.
    """

    def __init__(self, tensors: dict[str, torch.Tensor] | None = None) -> None:
        self.tensors = tensors

    def convert(self, value: Any) -> Any:
        """Return the value as JSON; see `to_plain`."""
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or type(value) in (bool, int, float, str):
            return value
        for kind, is_kind, content in _WRITERS:
            if is_kind(value):
                return {kind: self._each(content(value))} if kind else self._each(content(value))
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        raise NotPlain(type(value).__name__)

    def _each(self, content: Any) -> Any:
        if isinstance(content, list):
            return [self.convert(item) for item in content]
        return content if isinstance(content, str) else self.convert(content)

    def _tensor(self, value: torch.Tensor) -> dict:
        if self.tensors is not None:
            key = str(len(self.tensors))
            self.tensors[key] = value
            return {"$tensor": key}
        if value.dtype == torch.bfloat16 or value.is_sparse:
            raise NotPlain(f"{value.dtype} tensor")
        return self.convert(value.detach().cpu().numpy())


def to_plain(value: Any) -> Any:
    """Convert a value for `json.dumps`.

    Parameters
    ----------
    value : object
        None, a bool, number or string, a list, tuple, set, mapping, range, slice, numpy array,
        tensor, index of pandas, torch device, RandomState or anchor of this package, nested to
        any depth. Subclasses of these types become the types.

    Returns
    -------
    plain : object
        The input of `from_plain`.

    Raises
    ------
    NotPlain
        If it is or contains anything else; the message names its type.
    """
    return Plain().convert(value)


def _settings(anchor: Any) -> list:
    names = [
        p.name
        for p in inspect.signature(type(anchor)).parameters.values()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    return [type(anchor).__name__, {name: getattr(anchor, name) for name in names}]


def _random_numbers(state: np.random.RandomState) -> list:
    kind, keys, *rest = state.get_state(legacy=True)
    return [kind, np.asarray(keys).tolist(), *rest]


def _is_index(value: Any) -> bool:
    """Return whether this is an index or a series of pandas, both of which have `to_numpy`."""
    return hasattr(value, "to_numpy") and getattr(value, "ndim", 0) == 1


# Key in the file, "" for JSON's own types; whether a value is of the kind; what is written of it,
# a list or one value, whose parts are converted in turn. The first row that fits counts.
_WRITERS: list[tuple[str, Callable[[Any], bool], Callable[[Any], Any]]] = [
    ("", lambda v: isinstance(v, bool), bool),
    ("", lambda v: isinstance(v, str), lambda v: str.__str__(v)),
    ("", lambda v: isinstance(v, Integral), int),
    ("", lambda v: isinstance(v, Real), float),
    ("$tuple", lambda v: isinstance(v, tuple), list),
    ("", lambda v: isinstance(v, list), list),
    # As pairs, since JSON would turn keys that are numbers into strings.
    ("$dict", lambda v: isinstance(v, Mapping), lambda v: [list(pair) for pair in v.items()]),
    ("$range", lambda v: isinstance(v, range), lambda v: [v.start, v.stop, v.step]),
    ("$slice", lambda v: isinstance(v, slice), lambda v: [v.start, v.stop, v.step]),
    ("$set", lambda v: isinstance(v, Set) and not isinstance(v, Mapping), list),
    ("$list", lambda v: isinstance(v, ValuesView), list),
    ("$array", lambda v: isinstance(v, np.ndarray), lambda v: [v.dtype.str, v.tolist()]),
    ("$array", _is_index, lambda v: [v.to_numpy().dtype.str, v.to_numpy().tolist()]),
    ("$device", lambda v: isinstance(v, torch.device), str),
    ("$random_state", lambda v: isinstance(v, np.random.RandomState), _random_numbers),
    ("$numpy", lambda v: v is np.random, lambda v: "random"),
    ("$anchor", lambda v: ANCHOR_CLASSES.get(type(v).__name__) is type(v), _settings),
]


def from_plain(plain: Any, tensors: Mapping[str, torch.Tensor] | None = None) -> Any:
    """Convert the result of `to_plain` back; anything else is a ValueError.

    Parameters
    ----------
    plain : object
        Output of `json.loads`.
    tensors : dict of str to Tensor, default=None
        Those that a `Plain` has set apart.

    Returns
    -------
    value : object
        Equal to what was stored; numbers of numpy are Python's.
    """
    if isinstance(plain, list):
        return [from_plain(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    (kind, content), *others = plain.items()
    if kind == "$tensor" and tensors is not None and not others:
        return tensors[content]
    if others or kind not in _READERS:
        raise ValueError(f"it holds a value of an unknown kind, {sorted(plain)}")
    return _READERS[kind](from_plain(content, tensors))


def _array(content: list) -> np.ndarray:
    dtype, items = content
    return np.array(items, dtype=dtype)


def _random_state(content: list) -> np.random.RandomState:
    state = np.random.RandomState()
    state.set_state(tuple(content))
    return state


def _anchor(content: list) -> Any:
    name, settings = content
    if name not in ANCHOR_CLASSES:
        raise ValueError(f"there is no anchor class {name!r} in skcentrobind.anchors")
    return ANCHOR_CLASSES[name](**settings)


# Each gets what was written, its parts converted back.
_READERS: dict[str, Callable[[Any], Any]] = {
    "$tuple": tuple,
    "$list": list,
    "$set": set,
    "$dict": lambda pairs: {key: item for key, item in pairs},  # noqa: C416  # pairs of two
    "$range": lambda ends: range(*ends),
    "$slice": lambda ends: slice(*ends),
    "$array": _array,
    "$device": torch.device,
    "$random_state": _random_state,
    "$numpy": lambda name: {"random": np.random}[name],
    "$anchor": _anchor,
}
