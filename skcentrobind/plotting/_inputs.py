"""What displays accept: embeddings in any form, matrices, names, classes."""

import numpy as np

from skcentrobind._modalities import Modalities
from skcentrobind._names import did_you_mean


def check_embeddings(Z, *, at_least=1):
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
            f"This picture compares modalities and needs at least {at_least}, got {list(Z.names)}."
        )
    return Z


def check_names(names, n_modalities):
    """Return the names of modalities, "modality0", "modality1", ... if there are none."""
    if names is None:
        return [f"modality{m}" for m in range(n_modalities)]
    names = [str(name) for name in names]
    if len(names) != n_modalities:
        raise ValueError(
            f"names must have one name a modality, {n_modalities}, got {len(names)}: {names}."
        )
    return names


def check_matrix(values, names, what):
    """Return a square matrix over the modalities and their names, which a DataFrame brings."""
    if names is None and hasattr(values, "columns"):
        names = values.columns
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or len(set(values.shape)) != 1 or len(values) == 0:
        raise ValueError(
            f"{what} must be of shape (n_modalities, n_modalities), got {values.shape}."
        )
    return values, check_names(names, len(values))


def check_choice(value, options, what):
    """Refuse a value that is not among the options."""
    if not isinstance(value, str) or value not in options:
        listed = ", ".join(map(repr, options[:-1])) + f" or {options[-1]!r}"
        raise ValueError(f"{what} must be {listed}, got {value!r}.{did_you_mean(value, options)}")


def check_labels(y, n_samples):
    """Return the classes as an array, None if there are none."""
    if y is None:
        return None
    y = np.asarray(y)
    if y.shape != (n_samples,):
        raise ValueError(
            f"y must have one class a sample, shape ({n_samples},), got shape {y.shape}."
        )
    return y
