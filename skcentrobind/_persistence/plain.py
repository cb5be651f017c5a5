"""Parameter values as JSON and back: data of a fixed set of types, and no code.

A value without a JSON type becomes `{"$kind": ...}`, a dict with that one key; the kinds are
the keys of `_READERS`. Anchors are looked up among the public classes of `skcentrobind.anchors`.
"""

import inspect

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


def to_plain(value):
    """Convert a value for `json.dumps`.

    Parameters
    ----------
    value : object
        None, a bool, number or string of Python or numpy, a list, tuple, dict, slice, numpy
        array, torch device, RandomState or anchor of this package, nested to any depth.

    Returns
    -------
    plain : object
        The input of `from_plain`.

    Raises
    ------
    NotPlain
        If it is or contains anything else; the message names its type.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [to_plain(item) for item in value]
    if type(value) is tuple:
        return {"$tuple": [to_plain(item) for item in value]}
    if type(value) is dict:
        # As pairs, since JSON would turn keys that are numbers into strings.
        return {"$dict": [[to_plain(key), to_plain(item)] for key, item in value.items()]}
    if isinstance(value, slice):
        return {"$slice": [to_plain(item) for item in (value.start, value.stop, value.step)]}
    if type(value) is np.ndarray:
        return {"$array": [value.dtype.str, [to_plain(item) for item in value.tolist()]]}
    if isinstance(value, torch.device):
        return {"$device": str(value)}
    if isinstance(value, np.random.RandomState):
        kind, keys, *rest = value.get_state()
        return {"$random_state": [kind, keys.tolist(), *rest]}
    if ANCHOR_CLASSES.get(type(value).__name__) is type(value):
        settings = {
            p.name: getattr(value, p.name)
            for p in inspect.signature(type(value)).parameters.values()
            if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        }
        return {"$anchor": [type(value).__name__, to_plain(settings)]}
    raise NotPlain(type(value).__name__)


def from_plain(plain):
    """Convert the result of `to_plain` back; anything else is a ValueError.

    Parameters
    ----------
    plain : object
        Output of `json.loads`.

    Returns
    -------
    value : object
        Equal to what was stored; numbers of numpy are Python's.
    """
    if isinstance(plain, list):
        return [from_plain(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    (kind, content), *others = plain.items()
    if others or kind not in _READERS:
        raise ValueError(f"it holds a value of an unknown kind, {sorted(plain)}")
    return _READERS[kind](content)


def _array(content):
    dtype, items = content
    if np.dtype(dtype).hasobject and not all(isinstance(item, str) for item in items):
        raise ValueError("an array of objects may hold strings only")
    return np.array(from_plain(items), dtype=dtype)


def _random_state(content):
    state = np.random.RandomState()
    state.set_state(tuple(content))
    return state


def _anchor(content):
    name, settings = content
    if name not in ANCHOR_CLASSES:
        raise ValueError(f"there is no anchor class {name!r} in skcentrobind.anchors")
    return ANCHOR_CLASSES[name](**from_plain(settings))


_READERS = {
    "$tuple": lambda items: tuple(from_plain(items)),
    "$dict": lambda pairs: {from_plain(key): from_plain(item) for key, item in pairs},
    "$slice": lambda ends: slice(*from_plain(ends)),
    "$array": _array,
    "$device": torch.device,
    "$random_state": _random_state,
    "$anchor": _anchor,
}
