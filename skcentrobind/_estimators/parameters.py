"""Rules for the estimators' parameters, as data; faults are gathered and raised at once."""

import math
import numbers

import torch
from sklearn.utils import check_random_state

from skcentrobind._encoders.augmentations import AUGMENTATIONS
from skcentrobind._encoders.encoders import BUILT_IN


def _is_int(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_real(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_flag(value):
    # numpy's bool comes out of parameter grids.
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")


def _int_from(minimum):
    return (
        lambda value: _is_int(value) and value >= minimum,
        f"an integer of at least {minimum}",
    )


def _auto_or_int_from(minimum):
    is_int, wanted = _int_from(minimum)
    return lambda v: is_int(v) or (isinstance(v, str) and v == "auto"), f"{wanted}, or 'auto'"


def _is_weight(value):
    return _is_real(value) and value >= 0


def _are_widths(value):
    return isinstance(value, list | tuple) and all(_is_int(v) and v >= 1 for v in value)


def _one_or_each(test):
    """Extend a test of one value to a list or dict with a value for each modality."""

    def extended(value):
        if not isinstance(value, list | tuple | dict):
            return test(value)
        items = value.values() if isinstance(value, dict) else value
        return bool(items) and all(test(item) for item in items)

    return extended


def _is_encoder(value):
    return value in BUILT_IN if isinstance(value, str) else callable(value)


def _is_augmentation(value):
    if isinstance(value, str):
        return value in AUGMENTATIONS
    return value is None or callable(value)


def _are_callbacks(value):
    if not isinstance(value, list | tuple):
        return value is None
    # skorch takes (name, callback), too.
    bare = [c[1] if isinstance(c, tuple) and len(c) == 2 else c for c in value]
    return all(hasattr(c, "on_epoch_end") for c in bare)


def _is_seed(value):
    try:
        check_random_state(value)
    except ValueError:
        return False
    return True


_FLAG = (_is_flag, "True or False")

#: Parameter name -> (test, what is expected).
RULES = {
    "n_components": _auto_or_int_from(1),
    "encoder": (
        _one_or_each(_is_encoder),
        f"one of {', '.join(map(repr, BUILT_IN))}, a torch.nn.Module, a factory (n_features, "
        "n_components) -> Module, or a list or dict of these, one for each modality",
    ),
    "hidden_layer_sizes": (_are_widths, "a tuple of positive integers, such as (256,)"),
    "init": (lambda v: isinstance(v, str) and v in ("random", "gcca"), "'random' or 'gcca'"),
    "n_specific_components": _int_from(0),
    "temperature": (
        _one_or_each(lambda v: _is_real(v) and v > 0),
        "a positive number, such as 0.2, or a list or dict of these, one for each modality",
    ),
    "learn_temperature": _FLAG,
    "alignment_temperature": (lambda v: _is_real(v) and v > 0, "a positive number, such as 0.05"),
    "regularizers": (
        lambda v: v is None or (isinstance(v, dict) and all(map(_is_weight, v.values()))),
        "None or a dict of names and weights, such as {'uniformity': 0.1}",
    ),
    "augmentation": (
        _one_or_each(_is_augmentation),
        f"None, one of {', '.join(map(repr, AUGMENTATIONS))}, a callable (x, generator) -> x', or "
        "a list or dict of these, one for each modality",
    ),
    "augmentation_scale": (_is_weight, "a number of at least 0"),
    "standardize": (
        lambda v: _is_flag(v) or (isinstance(v, str) and v == "whiten"),
        "True, False or 'whiten'",
    ),
    "pretrain_epochs": _int_from(0),
    "output": (
        lambda v: isinstance(v, str) and v in ("concat", "mean", "all"),
        "'concat', 'mean' or 'all'",
    ),
    "batch_size": _int_from(2),
    "max_epochs": _auto_or_int_from(0),
    "learning_rate": (
        _one_or_each(lambda v: _is_real(v) and v > 0),
        "a positive number, such as 1e-3, or a list or dict of these, one for each modality",
    ),
    "weight_decay": (_is_weight, "a number of at least 0"),
    "early_stopping": _FLAG,
    "validation_fraction": (lambda v: _is_real(v) and 0 < v < 1, "a number between 0 and 1"),
    "n_iter_no_change": _int_from(1),
    "detach_anchor": _FLAG,
    "freeze_anchor": _FLAG,
    "direction": (
        lambda v: isinstance(v, str) and v in ("both", "from_anchor", "to_anchor"),
        "'both', 'from_anchor' or 'to_anchor'",
    ),
    "device": (
        lambda v: isinstance(v, str | torch.device),
        "'auto' or a device such as 'cpu' or 'cuda:1'",
    ),
    "precision": (
        lambda v: isinstance(v, str) and v in ("float32", "bf16"),
        "'float32' or 'bf16'",
    ),
    "callbacks": (_are_callbacks, "None or a list of skorch callbacks"),
    "random_state": (_is_seed, "None, a RandomState, or an integer from 0 to 2**32 - 1"),
    "verbose": (lambda v: _is_flag(v) or (_is_int(v) and v >= 0), "0, 1 or 2"),
}


def store(estimator, arguments):
    """Keep the arguments of `__init__` as they are; `arguments` are its `locals()`."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


def check_parameters(estimator):
    """Raise one ValueError that lists every parameter with an unusable value."""
    faults = [
        f"{name}={value!r}, expected {RULES[name][1]}"
        for name, value in estimator.get_params(deep=False).items()
        if name in RULES and not RULES[name][0](value)
    ]
    if not faults and estimator.augmentation_scale > 1 and _has_probability(estimator.augmentation):
        faults.append(
            f"augmentation_scale={estimator.augmentation_scale!r}, expected a probability of at "
            f"most 1 for augmentation={estimator.augmentation!r}"
        )
    if faults:
        raise ValueError(f"{type(estimator).__name__} got " + "; ".join(faults) + ".")


def _has_probability(augmentation):
    """Whether the scale is the probability with which an entry is replaced."""
    if isinstance(augmentation, dict):
        augmentation = list(augmentation.values())
    elif not isinstance(augmentation, list | tuple):
        augmentation = [augmentation]
    return any(isinstance(a, str) and a in ("mask", "marginal") for a in augmentation)
