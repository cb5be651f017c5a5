"""Row labels, groups and weights: one value per sample, beside the modalities."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skcentrobind._data.items import object_cells, plain_tensor
from skcentrobind._data.labels import check_same_rows


class PerSample(NamedTuple):
    """What a container knows of each sample beside its modalities.

    Attributes
    ----------
    index : Index of length n_samples or None
        Row labels.
    groups : ndarray of shape (n_samples,) or None
        Labels of the groups; None and NaN are no labels.
    sample_weight : ndarray of float64 of shape (n_samples,) or None
        At least 0.
    """

    index: Any = None
    groups: np.ndarray | None = None
    sample_weight: np.ndarray | None = None

    def take(self, rows: Any) -> PerSample:
        """Return the same of some rows."""
        return PerSample(*(None if values is None else values[rows] for values in self))

    def describe(self, n_samples: int) -> str:
        """Return "6 samples in 2 groups, weighted"."""
        text = f"{n_samples} sample" + "s" * (n_samples != 1)
        if self.groups is not None:
            n_groups = len(np.unique(group_codes(self.groups)))
            text += f" in {n_groups} group" + "s" * (n_groups != 1)
        return text + ", weighted" * (self.sample_weight is not None)


def read_groups(groups: Any, n_samples: int, index: Any = None, what: str = "groups") -> np.ndarray:
    """Return labels of groups as an array.

    Parameters
    ----------
    groups : array-like of shape (n_samples,)
        The labels.
    n_samples : int
        How many there must be.
    index : Index of length n_samples, default=None
        Row labels of the samples, with which those of a Series are compared.
    what : str, default="groups"
        Name of the argument, for messages.

    Returns
    -------
    groups : ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If the shape is wrong, or the labels of a Series are in another order.
    """
    check_same_rows(index, groups, what)
    labels = _vector(groups)
    if labels.shape != (n_samples,):
        raise ValueError(
            f"{what} must hold one label for each of the {n_samples} samples, got shape "
            f"{labels.shape}."
        )
    try:
        group_codes(labels)
    except TypeError as exc:
        raise TypeError(f"{what} must hold labels such as numbers or text: {exc}.") from None
    return labels


def read_weights(weights: Any, n_samples: int, index: Any = None) -> np.ndarray:
    """Return weights of samples as an array of float64.

    Parameters
    ----------
    weights : array-like of shape (n_samples,)
        The weights.
    n_samples : int
        How many there must be.
    index : Index of length n_samples, default=None
        Row labels of the samples, with which those of a Series are compared.

    Returns
    -------
    weights : ndarray of float64 of shape (n_samples,)

    Raises
    ------
    ValueError
        If the shape is wrong, or a weight is negative, NaN or infinite.
    """
    check_same_rows(index, weights, "sample_weight")
    values = _vector(weights)
    if values.shape != (n_samples,):
        raise ValueError(
            f"sample_weight must hold one weight for each of the {n_samples} samples, got shape "
            f"{values.shape}."
        )
    if values.dtype.kind not in "fiubO":
        raise ValueError(f"sample_weight must hold numbers, got dtype {values.dtype}.")
    try:
        values = values.astype(np.float64)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"sample_weight must hold numbers: {exc}.") from None
    bad = np.flatnonzero(~((values >= 0) & (values < np.inf)))
    if len(bad):
        raise ValueError(
            f"sample_weight must be finite and at least 0, got {values[bad[0]]} in row {bad[0]}; "
            "0 leaves a sample out."
        )
    return values


def _vector(values: Any) -> np.ndarray:
    """Return an array of any array-like, tensors with a gradient included."""
    if isinstance(values, list | tuple):
        # Tuples are labels, not rows, and numpy would turn numbers beside text into text.
        are_odd = any(value is None or isinstance(value, tuple) for value in values)
        if are_odd or len({isinstance(value, str) for value in values}) > 1:
            return object_cells(values)
    return np.asarray(plain_tensor(values))


def group_codes(groups: np.ndarray) -> np.ndarray:
    """Return a whole number per sample, equal within groups.

    Parameters
    ----------
    groups : ndarray of shape (n_samples,)
        Labels; a sample without one has a group of its own.

    Returns
    -------
    codes : ndarray of int64 of shape (n_samples,)
        At least 0.
    """
    import pandas as pd

    codes, labels = pd.factorize(groups)
    codes = codes.astype(np.int64)
    alone = codes < 0
    codes[alone] = len(labels) + np.arange(alone.sum())
    return codes


def repeated_codes(groups: np.ndarray | None) -> np.ndarray | None:
    """Return the codes of groups, None if no group has two samples."""
    if groups is None:
        return None
    codes = group_codes(groups)
    return None if len(np.unique(codes)) == len(codes) else codes


def uneven_weights(weights: np.ndarray | None) -> np.ndarray | None:
    """Return weights with the mean 1, None if all are equal."""
    if weights is None or (weights == weights[0]).all():
        return None
    return weights / weights.mean()


def without_weightless(X: Any) -> tuple[Any, Any]:
    """Leave out the samples of weight 0.

    Parameters
    ----------
    X : Modalities
        The data, with weights.

    Returns
    -------
    X : Modalities
        The samples that count, the same object if all do.
    rows : ndarray of int or slice
        Their positions.

    Raises
    ------
    ValueError
        If no sample has a positive weight.
    """
    weights = X.sample_weight
    refuse_weightless(weights)
    if weights.all():
        return X, slice(None)
    rows = np.flatnonzero(weights)
    return X[rows], rows


def refuse_weightless(weights: np.ndarray) -> None:
    """Refuse weights that are all 0."""
    if not weights.any():
        raise ValueError(
            f"sample_weight is 0 in all {len(weights)} samples, so none is left; leave it out if "
            "all samples are alike."
        )
