"""Check embeddings in any form, once: names, arrays, and which sample has which modality."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcentrobind._data.frames import stack_vectors
from skcentrobind._data.items import is_opaque, plain_tensor, refuse_opaque
from skcentrobind._data.labels import common_index
from skcentrobind._data.modalities import Modalities, default_names
from skcentrobind._data.per_sample import (
    PerSample,
    read_groups,
    read_weights,
    refuse_weightless,
    repeated_codes,
    uneven_weights,
)
from skcentrobind._names import did_you_mean, distinct_names, is_integer, position_of

if TYPE_CHECKING:
    from pandas import DataFrame

#: Arrays of the modalities, one each, in any form that the measures accept.
EmbeddingsLike: TypeAlias = Modalities | Mapping[Any, ArrayLike] | Sequence[ArrayLike] | ArrayLike

#: Numbers and presence, once checked.
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]


class Embeddings(NamedTuple):
    """Hold checked embeddings, the input of every measure.

    Attributes
    ----------
    names : list of str of length n_modalities
        Names of the modalities.
    arrays : list of ndarray of float64 of shape (n_samples, n_components)
        Finite wherever present.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which sample has which modality.
    groups : ndarray of int64 of shape (n_samples,) or None
        Equal for samples of one group; None if all are of different ones.
    sample_weight : ndarray of float64 of shape (n_samples,) or None
        At least 0; None if all are equal.
    """

    names: list[str]
    arrays: list[Floats]
    present: Bools
    groups: NDArray[np.int64] | None = None
    sample_weight: Floats | None = None

    @property
    def counted(self) -> Bools:
        """Which samples have which modality and a weight that is not 0."""
        if self.sample_weight is None:
            return self.present
        return self.present & (self.sample_weight > 0)[:, None]

    def shared(self, *members: int) -> list[Floats]:
        """Return the rows of samples that have all these modalities, arrays of equal length."""
        rows = self.present[:, list(members)].all(axis=1)
        return [self.arrays[m][rows] for m in members]

    def position(self, modality: object, what: str) -> int:
        """Return the position of a modality given by name or position."""
        position: int | None = position_of(modality, self.names)
        if position is None:
            raise ValueError(
                f"{what} has modality {modality!r}, expected one of {self.names} or a position "
                f"below {len(self.names)}.{did_you_mean(modality, self.names)}"
            )
        return position


def embeddings(
    Z: EmbeddingsLike,
    present: ArrayLike | None = None,
    *,
    same_width: bool = True,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> Embeddings:
    """Check embeddings and find the rows that are missing.

    Parameters
    ----------
    Z : Modalities, dict or sequence of array-like of shape (n_samples, n_components)
        Rows of NaN mark samples in which the modality is missing.
    present : array-like of bool of shape (n_samples, n_modalities), default=None
        Which sample has which modality, where NaN rows do not already say so. None reads
        `Modalities.present`, or looks for NaN rows in other forms.
    same_width : bool, default=True
        Whether all modalities must have the same number of components.
    groups : array-like of shape (n_samples,), default=None
        Labels of groups; None reads those of Modalities.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights; None reads those of Modalities.

    Returns
    -------
    checked : Embeddings
    """
    names, raw = unpack(Z)
    arrays = [as_matrix(z, f"embeddings of {name!r}") for name, z in zip(names, raw, strict=True)]
    _check_equal([len(z) for z in arrays], names, "number of samples")
    if same_width:
        _check_equal([z.shape[1] for z in arrays], names, "number of components")
    if present is not None:
        rows = _check_present(present, names, len(arrays[0]) if arrays else 0)
    elif isinstance(Z, Modalities):
        rows = Z.present
    else:
        rows = np.transpose([~np.isnan(z).all(axis=1) for z in arrays])
    advice = "If the modality is missing in a sample, fill its whole row with NaN."
    for name, z, among in zip(names, arrays, rows.T, strict=True):
        check_finite(z, f"embeddings of {name!r}", advice, among)
    codes, weight = known_of(Z, groups, sample_weight, len(rows))
    return Embeddings(names, arrays, rows, codes, weight)


def known_of(
    Z: Any, groups: ArrayLike | None, sample_weight: ArrayLike | None, n_samples: int
) -> tuple[NDArray[np.int64] | None, Floats | None]:
    """Return groups as numbers and weights, those passed or else those of Modalities.

    Each is None if there are none, or all are different or equal, respectively.
    """
    own = Z.per_sample if isinstance(Z, Modalities) else PerSample()
    labels, weight = own.groups, own.sample_weight
    if groups is not None:
        labels = read_groups(groups, n_samples, own.index)
    if sample_weight is not None:
        weight = read_weights(sample_weight, n_samples, own.index)
    if weight is not None:
        refuse_weightless(weight)
    return repeated_codes(labels), uneven_weights(weight)


def unpack(Z: Any) -> tuple[list[str], list[Any]]:
    """Return names and arrays, as they are, of modalities in any form."""
    if isinstance(Z, Modalities):
        return list(Z.names), list(Z.arrays)
    if is_opaque(Z) and hasattr(Z, "__getitem__"):
        raise TypeError(
            f"Embeddings must be Modalities, a dict or a list of arrays, got {type(Z).__name__}."
        )
    named = isinstance(Z, Mapping)
    arrays = list(Z.values()) if named else list(Z)
    names = list(distinct_names(list(Z), len(Z)) if named else default_names(len(arrays)))
    common_index(arrays, names)  # refuses rows of the same samples in another order
    return names, arrays


def as_array(values: Any, dtype: Any = None) -> NDArray[Any]:
    """Return an array, also of torch tensors, on any device and with a gradient."""
    if isinstance(values, list | tuple):
        values = [plain_tensor(value) for value in values]
    return np.asarray(plain_tensor(values), dtype=dtype)


def as_classes(y: Any, n_samples: int, what: str = "y") -> NDArray[Any]:
    """Return the class of each sample as an array."""
    classes = as_array(y)
    if classes.shape != (n_samples,):
        raise ValueError(
            f"{what} must hold one class for each of the {n_samples} samples, got shape "
            f"{classes.shape}."
        )
    return classes


def as_matrix(values: Any, what: str) -> Floats:
    """Return a 2-D array of float64, in which sums of small integers do not overflow."""
    try:
        refuse_opaque(values)
        vectors = stack_vectors(values)
        if vectors is not None:
            values = vectors
        elif hasattr(values, "iloc"):  # nullable dtypes of pandas have NA instead of NaN
            values = values.to_numpy(dtype=np.float64, na_value=np.nan)
        matrix = as_array(values, np.float64)
    except (TypeError, ValueError) as exc:
        raise ValueError(
            f"{what} must be dense numbers of shape (n_samples, n_components), got "
            f"{type(values).__name__}: {exc}"
        ) from exc
    if matrix.ndim != 2 or len(matrix) == 0:
        raise ValueError(
            f"{what} must be of shape (n_samples, n_components) with at least one row, got shape "
            f"{matrix.shape}."
        )
    return matrix


def check_finite(values: Floats, what: str, advice: str, among: Bools | bool = True) -> None:
    """Refuse NaN and infinity in all rows, or in those `among` which they are not allowed."""
    bad = np.flatnonzero(among & ~np.isfinite(values).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{what} has NaN or infinity in {len(bad)} of {len(values)} rows, first in row "
            f"{bad[0]}. {advice}"
        )


def check_positive(value: Any, name: str) -> None:
    """Refuse anything but a positive, finite number."""
    if not (isinstance(value, Real) and 0 < float(value) < np.inf):
        raise ValueError(f"{name} must be a positive number, got {value!r}.")


def check_whole(value: Any, name: str, least: int = 1) -> None:
    """Refuse anything but a whole number that is large enough."""
    if not is_integer(value) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")


def pair_frame(
    Z: Embeddings, measure: Callable[[Floats, Floats], float], *, diagonal: float
) -> DataFrame:
    """Return a symmetric DataFrame of a measure of the rows that two modalities share.

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


def _check_present(present: Any, names: list[str], n_samples: int) -> Bools:
    """Return presence as an array of shape (n_samples, n_modalities), in the order of `names`."""
    expected = n_samples, len(names)
    if hasattr(present, "iloc"):
        columns = [str(column) for column in present.columns]
        if sorted(columns) == sorted(names):
            present = present.iloc[:, [columns.index(name) for name in names]]
        elif columns != [str(m) for m in range(len(columns))]:
            raise ValueError(
                f"present has the columns {columns[:5]}, expected the modalities {names}."
            )
    present = as_array(present, bool)
    if present.shape == expected:
        return present
    hint = ""
    if present.shape == expected[::-1]:
        hint = (
            " It has modalities first: pass present.T. Samples come first, as in "
            "Modalities.present (see CHANGES.md)."
        )
    raise ValueError(
        f"present must be of shape (n_samples, n_modalities) = {expected}, got {present.shape}."
        f"{hint}"
    )


def _check_equal(values: list[int], names: list[str], what: str) -> None:
    if len(set(values)) > 1:
        raise ValueError(f"All modalities need the same {what}, got {values} for {names}.")
