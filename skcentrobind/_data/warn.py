"""Warn at the line of the user's call, however deep in the package the reason is found."""

from __future__ import annotations

import sys
import warnings
from typing import Any

# `fit` and `score` run inside decorators of torch, and in pipelines and searches of scikit-learn.
_INSIDE = ("skcentrobind", "torch", "sklearn", "joblib", "contextlib")


def warn(message: str) -> None:
    """Issue a UserWarning that names the file and line of the user's call.

    Parameters
    ----------
    message : str
        What is wrong, where, and how to mend it.
    """
    frame: Any = sys._getframe(1)
    level = 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)
