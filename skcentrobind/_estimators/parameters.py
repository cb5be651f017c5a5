"""Rules of the parameters that the estimators share, as data."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch

from skcentrobind._encoders.module import AUGMENTATIONS
from skcentrobind._encoders.table import ENCODERS

# The stubs of these define < and <=, but neither > nor >=, so mypy must not narrow to them.
_INTEGRAL: Any = Integral
_REAL: Any = Real


class Rule(NamedTuple):
    """Valid values of a parameter.

    Attributes
    ----------
    test : callable
        `test(value)` returns whether the value is valid.
    expected : str
        The valid values, for the error.
    """

    test: Callable[[Any], bool]
    expected: str


def integer(least: int, *words: str) -> Rule:
    """Return the rule of an integer of at least `least`, or one of some words."""
    expected = f"an integer of at least {least}" + "".join(f", or {word!r}" for word in words)
    return Rule(
        lambda v: (
            v in words
            if isinstance(v, str)
            else isinstance(v, _INTEGRAL) and not isinstance(v, bool) and v >= least
        ),
        expected,
    )


def number(
    above: float,
    expected: str,
    below: float = math.inf,
    reached: bool = False,
    words: tuple[str, ...] = (),
) -> Rule:
    """Return the rule of a finite number above a bound, or equal to it if `reached`, or a word."""
    return Rule(
        lambda v: (
            v in words
            if isinstance(v, str)
            else isinstance(v, _REAL)
            and not isinstance(v, bool)
            and (above < v < below or (reached and v == above))
        ),
        expected,
    )


def choice(*words: str) -> Rule:
    """Return the rule of one of several strings."""
    *first, last = map(repr, words)
    return Rule(lambda v: isinstance(v, str) and v in words, f"{', '.join(first)} or {last}")


def one_or_each(rule: Rule) -> Rule:
    """Extend a rule to a list or dict with a value per modality."""
    return Rule(
        lambda v: (
            bool(v) and all(map(rule.test, v.values() if isinstance(v, dict) else v))
            if isinstance(v, list | tuple | dict)
            else rule.test(v)
        ),
        f"{rule.expected}, or a list or dict of these, one per modality",
    )


SIZE = integer(1)
FLAG = Rule(lambda v: isinstance(v, bool | np.bool_), "True or False")
WEIGHT = number(0, "a number of at least 0", reached=True)

#: Parameter name -> rule. Estimators with parameters of their own add rules in `_rules`.
RULES = {
    "n_components": integer(1, "auto"),
    "encoder": one_or_each(
        Rule(
            lambda v: v in ("auto", *ENCODERS) if isinstance(v, str) else callable(v),
            f"'auto', one of {', '.join(map(repr, ENCODERS))}, a torch.nn.Module, a factory "
            "(n_features, n_components) -> Module",
        )
    ),
    "hidden_layer_sizes": Rule(
        lambda v: isinstance(v, list | tuple) and all(map(SIZE.test, v)),
        "a tuple of positive integers, such as (256,)",
    ),
    "gamma": one_or_each(number(0, "a positive number, or 'auto'", words=("auto",))),
    "init": choice("random", "gcca"),
    "shrinkage": number(
        0, "a number from 0 to 1, 'oas' or 'auto'", below=1, reached=True, words=("auto", "oas")
    ),
    "n_specific_components": integer(0),
    "temperature": one_or_each(number(0, "a positive number, such as 0.2")),
    "learn_temperature": FLAG,
    "regularizers": Rule(
        lambda v: (
            v is None
            or (isinstance(v, str) and v == "auto")
            or (isinstance(v, dict) and all(map(WEIGHT.test, v.values())))
        ),
        "None, 'auto' or a dict of names and weights, such as {'uniformity': 0.1}",
    ),
    "same_group": choice("positive", "ignore"),
    "ignore_duplicates": FLAG,
    "augmentation": one_or_each(
        Rule(
            lambda v: v in AUGMENTATIONS if isinstance(v, str) else v is None or callable(v),
            f"None, one of {', '.join(map(repr, AUGMENTATIONS))}, a callable (x, generator) -> x'",
        )
    ),
    "augmentation_scale": WEIGHT,
    "standardize": Rule(
        lambda v: v in ("whiten", "robust") if isinstance(v, str) else FLAG.test(v),
        "True, False, 'whiten' or 'robust'",
    ),
    "pretrain_epochs": integer(0),
    "output": choice("concat", "mean", "all"),
    "batch_size": integer(2),
    "max_epochs": integer(0, "auto", "full"),
    "learning_rate": one_or_each(number(0, "a positive number, such as 1e-3")),
    "weight_decay": WEIGHT,
    "early_stopping": FLAG,
    "validation_fraction": number(0, "a number between 0 and 1", below=1),
    "n_iter_no_change": integer(1),
    "device": Rule(
        lambda v: isinstance(v, str | torch.device),
        "'auto' or a device such as 'cpu' or 'cuda:1'",
    ),
    "precision": choice("float32", "bf16"),
    "callbacks": Rule(
        # skorch takes (name, callback), too.
        lambda v: (
            v is None
            or (
                isinstance(v, list | tuple)
                and all(
                    hasattr(c[1] if isinstance(c, tuple) and len(c) == 2 else c, "on_epoch_end")
                    for c in v
                )
            )
        ),
        "None or a list of skorch callbacks",
    ),
    "random_state": Rule(
        lambda v: (
            v is None
            or isinstance(v, np.random.RandomState)
            or v is np.random
            or (isinstance(v, _INTEGRAL) and 0 <= v < 2**32)
        ),
        "None, a RandomState, or an integer from 0 to 2**32 - 1",
    ),
    "verbose": Rule(lambda v: isinstance(v, _INTEGRAL | np.bool_) and bool(v >= 0), "0, 1 or 2"),
}
