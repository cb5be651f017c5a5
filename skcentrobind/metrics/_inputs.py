"""Embeddings in any form, checked once: names, arrays, and which sample has which modality."""

import itertools
from typing import NamedTuple

import numpy as np

from skcentrobind._modalities import Modalities
from skcentrobind._names import did_you_mean, is_integer, position_of


class Embeddings(NamedTuple):
    """What every measure works on.

    Attributes
    ----------
    names : list of str of length n_modalities
        Names of the modalities.
    arrays : list of ndarray of float64 of shape (n_samples, n_components)
        Finite wherever present.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which sample has which modality.
    """

    names: list
    arrays: list
    present: np.ndarray

    def shared(self, *members):
        """Rows of the samples that have all these modalities, as arrays of equal length."""
        rows = self.present[:, list(members)].all(axis=1)
        return [self.arrays[m][rows] for m in members]

    def position(self, modality, what):
        """Position of a modality that is given by name or position."""
        position = position_of(modality, self.names)
        if position is None:
            raise ValueError(
                f"{what} has modality {modality!r}, expected one of {self.names} or a position "
                f"below {len(self.names)}.{did_you_mean(modality, self.names)}"
            )
        return position


def embeddings(Z, present=None, *, same_width=True):
    """Check embeddings and find out which rows are absent.

    Parameters
    ----------
    Z : Modalities, dict or sequence of array-like of shape (n_samples, n_components)
        Rows of NaN mark samples that lack the modality.
    present : array-like of bool of shape (n_samples, n_modalities), default=None
        Which sample has which modality, where NaN rows do not already say so. None reads
        `Modalities.present`, or looks for NaN rows in other forms.
    same_width : bool, default=True
        Whether all modalities must have the same number of components.

    Returns
    -------
    checked : Embeddings
    """
    names, arrays = unpack(Z)
    arrays = [
        as_matrix(z, f"embeddings of '{name}'") for name, z in zip(names, arrays, strict=True)
    ]
    _check_equal([len(z) for z in arrays], names, "number of samples")
    if same_width:
        _check_equal([z.shape[1] for z in arrays], names, "number of components")
    if present is None and isinstance(Z, Modalities):
        present = Z.present
    elif present is None:
        present = np.transpose([~np.isnan(z).all(axis=1) for z in arrays])
    else:
        present = _check_present(present, (len(arrays[0]) if arrays else 0, len(arrays)))
    for name, z, rows in zip(names, arrays, present.T, strict=True):
        check_finite(
            z,
            f"embeddings of '{name}'",
            "A sample that lacks the modality is a row of NaN throughout.",
            among=rows,
        )
    return Embeddings(names, arrays, present)


def unpack(Z):
    """Names and arrays, as they are, of modalities in any form."""
    if hasattr(Z, "arrays"):
        return list(Z.names), list(Z.arrays)
    if isinstance(Z, dict):
        return [str(name) for name in Z], list(Z.values())
    arrays = list(Z)
    return [f"modality{m}" for m in range(len(arrays))], arrays


def as_matrix(values, what):
    """2-D array of float64: whole numbers, as of quantised embeddings, would overflow."""
    try:
        if hasattr(values, "iloc"):  # nullable dtypes of pandas mark what is missing as NA
            values = values.to_numpy(dtype=np.float64, na_value=np.nan)
        values = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise ValueError(
            f"{what} must be dense numbers of shape (n_samples, n_components), got "
            f"{type(values).__name__}: {exc}"
        ) from exc
    if values.ndim != 2 or len(values) == 0:
        raise ValueError(
            f"{what} must be of shape (n_samples, n_components) with at least one row, got shape "
            f"{values.shape}."
        )
    return values


def check_finite(values, what, advice, among=True):
    """Refuse NaN and infinity, other than in rows that do not count."""
    bad = np.flatnonzero(among & ~np.isfinite(values).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{what} has NaN or infinity in {len(bad)} of {len(values)} rows, first in row "
            f"{bad[0]}. {advice}"
        )


def check_positive(value, name):
    """Refuse what is not a positive, finite number."""
    if not (np.isscalar(value) and np.isreal(value) and 0 < value < np.inf):
        raise ValueError(f"{name} must be a positive number, got {value!r}.")


def check_whole(value, name, least=1):
    """Refuse what is not a whole number, or too small a one."""
    if not is_integer(value) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")


def pair_frame(Z, measure, *, diagonal):
    """Symmetric DataFrame of a measure of two arrays with the rows that both modalities have.

    Pairs of modalities that share no sample get NaN.
    """
    import pandas as pd

    values = np.full((len(Z.names), len(Z.names)), np.nan)
    np.fill_diagonal(values, diagonal)
    for a, b in itertools.combinations(range(len(Z.names)), 2):
        x, y = Z.shared(a, b)
        if len(x):
            values[a, b] = values[b, a] = measure(x, y)
    return pd.DataFrame(values, index=Z.names, columns=Z.names)


def _check_present(present, expected):
    """Return presence as an array of the expected shape, (n_samples, n_modalities)."""
    present = np.asarray(present, dtype=bool)
    if present.shape == expected:
        return present
    hint = ""
    if present.shape == expected[::-1]:
        hint = (
            " It has the modalities first: pass present.T. Samples come first, as in "
            "Modalities.present (see CHANGES.md)."
        )
    raise ValueError(
        f"present must be of shape (n_samples, n_modalities) = {expected}, got {present.shape}."
        f"{hint}"
    )


def _check_equal(values, names, what):
    if len(set(values)) > 1:
        raise ValueError(f"All modalities need the same {what}, got {values} for {names}.")
