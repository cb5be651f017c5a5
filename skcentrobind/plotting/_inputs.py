"""Check what displays accept: embeddings in any form, matrices, names, classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcentrobind._data.modalities import Modalities, default_names
from skcentrobind._names import did_you_mean
from skcentrobind.metrics._inputs import EmbeddingsLike, as_array, as_classes

Choice = TypeVar("Choice")


def check_embeddings(Z: EmbeddingsLike, *, at_least: int = 1) -> Modalities:
    """Return embeddings as Modalities of one width."""
    Z = Z if isinstance(Z, Modalities) else Modalities(Z)
    shapes = {name: z.shape[1:] for name, z in Z.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise ValueError(
            "Embeddings must be of shape (n_samples, n_components), with the same n_components "
            f"for all modalities, got rows of shape {shapes}. Pass what transform_modalities "
            "returns, not the raw data."
        )
    if len(shapes) < at_least:
        raise ValueError(
            f"This display compares modalities and needs at least {at_least}, got {list(Z.names)}."
        )
    return Z


def check_names(names: Iterable[object] | None, n_modalities: int) -> list[str]:
    """Return the names of modalities, "modality0", "modality1", ... if None."""
    if names is None:
        return list(default_names(n_modalities))
    given = [str(name) for name in names]
    if len(given) != n_modalities:
        raise ValueError(
            f"names must have one name per modality, {n_modalities}, got {len(given)}: {given}."
        )
    return given


def check_matrix(
    values: Any, names: Iterable[object] | None, what: str
) -> tuple[NDArray[np.float64], list[str]]:
    """Return a square matrix over the modalities and their names, by default from a DataFrame."""
    if names is None and hasattr(values, "columns"):
        names = values.columns
    values = as_array(values, np.float64)
    if values.ndim != 2 or len(set(values.shape)) != 1 or len(values) == 0:
        raise ValueError(
            f"{what} must be of shape (n_modalities, n_modalities), got {values.shape}."
        )
    return values, check_names(names, len(values))


def choose(value: object, options: Mapping[str, Choice], what: str) -> Choice:
    """Return the option with the name `value`, or raise an error that lists all of them."""
    if not isinstance(value, str) or value not in options:
        *others, last = map(repr, options)
        listed = f"{', '.join(others)} or {last}"
        raise ValueError(f"{what} must be {listed}, got {value!r}.{did_you_mean(value, options)}")
    return options[value]


def check_labels(y: ArrayLike | None, n_samples: int) -> NDArray[Any] | None:
    """Return the classes as an array, None if there are none."""
    if y is None:
        return None
    return as_classes(y, n_samples)
