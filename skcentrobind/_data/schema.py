"""Names, columns, shapes and values of the modalities: fit learns them, later data are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NoReturn

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array

from skcentrobind._data.forms import (
    Flat,
    Parts,
    column_names,
    compare_columns,
)
from skcentrobind._data.items import check_numeric, is_frame, missing_rows, plain_tensor
from skcentrobind._data.modalities import Modalities, from_checked
from skcentrobind._data.statistics import find_missing
from skcentrobind._data.warn import warn
from skcentrobind._names import did_you_mean, position_of

# Values that are searched for NaN and infinity at a time.
_CHUNK_VALUES = 2**20

# Encoders compute in float32.
_LARGEST = np.finfo(np.float32).max


@dataclass(frozen=True)
class Schema:
    """The form of the data, learned in fit.

    Parameters
    ----------
    names : tuple of str of length n_modalities
        The modalities.
    row_shapes : tuple of tuple of int
        Shape of one row of each modality.
    is_sparse : tuple of bool
        Whether the modality came as a sparse matrix.
    columns : tuple
        Names of the columns of each modality, a tuple of str or None.
    flat : Flat
        Number and names of the columns of all modalities together, or of the matrix that was cut.
    """

    names: tuple[str, ...]
    row_shapes: tuple[tuple[int, ...], ...]
    is_sparse: tuple[bool, ...]
    columns: tuple[tuple[str, ...] | None, ...]
    flat: Flat

    @classmethod
    def learn(cls, modalities: Modalities, parts: Parts | None = None) -> Schema:
        """Learn the form of the data of fit.

        Parameters
        ----------
        modalities : Modalities
            The data.
        parts : Parts, default=None
            The data as passed; None if they were passed as these Modalities.

        Returns
        -------
        schema : Schema
        """
        names, parts = modalities.names, parts or Parts(modalities, modalities.names)
        columns = _columns(parts)
        labels = None
        if None not in columns:
            pairs = zip(names, columns, strict=True)
            labels = tuple(label for name, own in pairs for label in _labels(name, own))
        row_shapes = tuple(tuple(array.shape[1:]) for array in modalities.arrays)
        return cls(
            names,
            row_shapes,
            tuple(sparse.issparse(array) for array in modalities.arrays),
            columns,
            parts.flat or Flat(sum(map(math.prod, row_shapes)), labels),
        )

    @property
    def n_features(self) -> list[int]:
        """Number of features of each modality."""
        return [math.prod(shape) for shape in self.row_shapes]

    def position(self, modality: Any) -> int:
        """Return the position of a modality.

        Parameters
        ----------
        modality : str or int
            Its name or position, the latter also from the end. An int that is a name means it.

        Returns
        -------
        position : int
            From 0 on.

        Raises
        ------
        ValueError
            If there is no such modality.
        """
        position = position_of(modality, self.names)
        if position is None:
            raise ValueError(
                f"modality must be a name or position of {list(self.names)}, got {modality!r}."
                f"{did_you_mean(modality, self.names)}"
            )
        return position

    def match(self, parts: Parts, caller: str, is_raw: bool = False) -> Modalities:
        """Put data into the order of fit, and compare names, columns and shapes with it.

        Parameters
        ----------
        parts : Parts
            The data; missing items are filled with NaN.
        caller : str
            Class of the estimator, for messages.
        is_raw : bool, default=False
            Whether text and categories are allowed.

        Returns
        -------
        modalities : Modalities
            In the order of fit.

        Raises
        ------
        ValueError
            If they differ from those of fit.
        """
        modalities = self._filled(parts)
        if not is_raw:
            check_numbers(modalities)
        if len(modalities.arrays) != len(self.names):
            raise ValueError(
                f"X has {len(modalities.arrays)} modalities {list(modalities.names)}, but "
                f"{caller} was fitted with {len(self.names)}: {list(self.names)}. Pass None for a "
                "missing modality at transform. Note that scikit-learn's splitters "
                "(GridSearchCV, cross_val_score, ...) cut a bare list over its modalities: wrap "
                "it in Modalities(X)."
            )
        modalities = self._ordered(modalities, caller)
        if parts.flat is None:
            got = dict(zip(parts.names or self.names, _columns(parts), strict=True))
            for name, expected in zip(self.names, self.columns, strict=True):
                _compare(name, expected, got[name], caller)
        self._check_shapes(modalities.arrays, self.names)
        return modalities

    def match_one(self, array: Any, position: int, caller: str) -> tuple[Any, np.ndarray]:
        """Check rows of a single modality against those of fit.

        Parameters
        ----------
        array : array-like of shape (n_samples, ...)
            The rows.
        position : int
            The modality.
        caller : str
            Class of the estimator, for messages.

        Returns
        -------
        array : ndarray or csr_array of shape (n_samples, ...)
            The rows, ready to be prepared.
        present : ndarray of bool of shape (n_samples,)
            False for rows of NaN.
        """
        name = self.names[position]
        single = Modalities([plain_tensor(array)], [name])
        check_numeric(single.arrays[0], name)
        _compare(name, self.columns[position], column_names([array], [name])[0], caller)
        self._check_shapes(single.arrays, (name,))
        array = _plain_item(name, single.arrays[0], self.is_sparse[position])
        present = ~find_missing(array)
        _check_finite(name, array, present)
        return array, present

    def to_json(self) -> dict:
        """Return a dict for `json.dumps`, which `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict) -> Schema:
        """Make a schema from the result of `to_json`, also after it has been JSON.

        Parameters
        ----------
        stored : dict
            The fields; tuples may be lists.

        Returns
        -------
        schema : Schema
        """
        known = {f.name for f in fields(cls)}
        if set(stored) != known:
            raise ValueError(f"the schema has the fields {sorted(stored)}, not {sorted(known)}")
        width, labels = stored["flat"]
        return cls(
            tuple(map(str, stored["names"])),
            tuple(tuple(map(int, shape)) for shape in stored["row_shapes"]),
            tuple(map(bool, stored["is_sparse"])),
            tuple(None if c is None else tuple(map(str, c)) for c in stored["columns"]),
            Flat(int(width), None if labels is None else tuple(map(str, labels))),
        )

    def _filled(self, parts: Parts) -> Modalities:
        """Return the container of all items, with rows of NaN in place of None."""
        items, names = parts[:2]
        if isinstance(items, Modalities):
            return items
        if names is None and len(items) == len(self.names):
            names = self.names
        if items and all(item is None for item in items):
            raise ValueError(
                f"All {len(items)} modalities are None; transform needs at least one of "
                f"{list(self.names)}."
            )
        # A sparse matrix has no len.
        first = next((item for item in items if item is not None), ())
        length = first.shape[0] if hasattr(first, "shape") else len(first)
        if any(item is None for item in items):
            items = [
                self._missing_item(length, None if names is None else names[m])
                if item is None
                else item
                for m, item in enumerate(items)
            ]
        if parts.index is None:
            return Modalities(items, names)
        return parts._replace(items=items, names=names).modalities()

    def _missing_item(self, length: int, name: str | None) -> Any:
        """Return an item in which all rows are missing."""
        shape: tuple[int, ...] = (1,)
        is_sparse = False
        if name in self.names:
            m = self.names.index(name)
            shape, is_sparse = self.row_shapes[m], self.is_sparse[m]
        if is_sparse:
            return missing_rows(length, *shape)
        # One number in memory, however many rows. 1-D items hold objects, which None replaces.
        entry: Any = np.nan if shape else None
        return np.broadcast_to(entry, (length, *shape))

    def _ordered(self, modalities: Modalities, caller: str) -> Modalities:
        unknown = [name for name in modalities.names if name not in self.names]
        if unknown:
            hint = did_you_mean(unknown[0], self.names)
            raise ValueError(
                f"X has modalities {list(modalities.names)}, but {caller} was fitted with "
                f"{list(self.names)}: {unknown[0]!r} is none of them.{hint} Rename it, or pass a "
                "plain list in the order of fit."
            )
        return modalities if modalities.names == self.names else modalities[list(self.names)]

    def _check_shapes(self, arrays: Sequence, names: Sequence[str]) -> None:
        """Compare the shapes of rows with those seen in fit."""
        expected = dict(zip(self.names, self.row_shapes, strict=True))
        for name, array in zip(names, arrays, strict=True):
            shape = tuple(array.shape[1:])
            if shape == expected[name]:
                continue
            fits = [other for other in names if expected[other] == shape]
            hint = f" It has the shape of '{fits[0]}': are modalities swapped?" if fits else ""
            raise ValueError(
                f"Modality '{name}' has {_features(shape)}, but was fitted with "
                f"{_features(expected[name])}.{hint}"
            )


def checked(
    modalities: Modalities, schema: Schema, is_fit: bool = False
) -> tuple[Modalities, np.ndarray]:
    """Check the values of data that match a schema.

    Parameters
    ----------
    modalities : Modalities
        Items of numbers.
    schema : Schema
        Says which of them are sparse.
    is_fit : bool, default=False
        Whether encoders learn from them.

    Returns
    -------
    modalities : Modalities
        Dense arrays and CSR matrices, finite except for missing rows, which are NaN.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which sample has which modality; every sample has one.

    Raises
    ------
    ValueError
        If a value is infinite, a row partly NaN, or a sample or a modality has no data.
    """
    pairs = zip(schema.names, modalities.arrays, schema.is_sparse, strict=True)
    arrays = [_plain_item(*pair) for pair in pairs]
    present = np.column_stack([~find_missing(array) for array in arrays])
    n_samples = len(present)
    for name, array, here in zip(schema.names, arrays, present.T, strict=True):
        if array.dtype.kind == "f":
            _check_finite(name, array, here)
        if is_fit and here.sum() < 2:
            raise ValueError(
                f"Modality '{name}' is present in {here.sum()} of {n_samples} samples, but at "
                "least 2 are needed to learn its encoder; leave the modality out, or let "
                "cross-validation shuffle the rows."
            )
    empty = np.flatnonzero(~present.any(axis=1))
    if len(empty):
        raise ValueError(
            f"{len(empty)} of {n_samples} samples have no modality at all (only NaN), for example "
            f"row {empty[0]}; drop these rows: X[X.present.any(axis=1)]."
        )
    if any(new is not old for new, old in zip(arrays, modalities.arrays, strict=True)):
        modalities = from_checked(arrays, schema.names, modalities.per_sample)
    return modalities, present


def check_numbers(modalities: Modalities) -> None:
    """Refuse items that hold anything but numbers."""
    for name, array in zip(modalities.names, modalities.arrays, strict=True):
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
            check_numeric(array, name)


def check_enough_samples(modalities: Modalities, caller: str) -> None:
    """Refuse a single sample.

    Parameters
    ----------
    modalities : Modalities
        The data.
    caller : str
        Method or class that needs two, for the message.
    """
    n_samples = modalities.arrays[0].shape[0]
    if n_samples < 2:
        raise ValueError(
            f"Found Modalities with {n_samples} sample(s) while a minimum of 2 is required by "
            f"{caller}, which compares samples with one another."
        )


def _columns(parts: Parts) -> tuple:
    """Return the names of the columns of the items, as passed."""
    if parts.columns is not None:
        return parts.columns
    items = parts.items
    return column_names(items.arrays if isinstance(items, Modalities) else items, parts.names)


def _compare(
    name: str, expected: tuple[str, ...] | None, got: tuple[str, ...] | None, caller: str
) -> None:
    """Compare the columns of one modality with those seen in fit, if both have names."""
    if got in ((), expected):
        return
    if expected is None or got is None:
        state = (
            "has feature names, but {} was fitted without feature names"
            if expected is None
            else "does not have valid feature names, but {} was fitted with feature names"
        )
        warn(f"Modality '{name}' {state.format(caller)}")
        return
    labels = _labels(name, expected)
    try:
        compare_columns(Flat(len(labels), tuple(labels)), _labels(name, got), caller)
    except ValueError as exc:
        raise ValueError(f"Modality '{name}': {exc}") from None


def _labels(name: str, columns: Sequence[str]) -> list[str]:
    return [f"{name}/{column}" for column in columns]


def _features(shape: tuple[int, ...]) -> str:
    if not shape:
        return "one object per row"
    if len(shape) == 1:
        return f"{shape[0]} features"
    return f"{math.prod(shape)} features in rows of shape {shape}"


def _plain_item(name: str, array: Any, to_sparse: bool) -> Any:
    """Return a numeric array, CSR where the modality was sparse in fit."""
    if not isinstance(array, np.ndarray) and is_frame(array):
        if hasattr(array, "sparse"):
            raise TypeError(
                f"Modality '{name}' is a DataFrame of sparse columns. Pass it as a matrix, "
                "df.sparse.to_coo(), which stays sparse, or as df.sparse.to_dense()."
            )
        array = check_array(array, ensure_all_finite="allow-nan", input_name=name)
    if sparse.issparse(array) and not to_sparse:
        raise TypeError(
            f"Modality '{name}' is a sparse matrix, but was dense in fit. Use .toarray(), or "
            "fit on a sparse matrix."
        )
    if to_sparse:
        if not sparse.issparse(array):
            # Without its zeros, a partly missing row could look wholly missing.
            _check_finite(name, array, ~find_missing(array))
        array = sparse.csr_array(array)
        if not array.has_canonical_format:
            # In a copy, since the matrix belongs to the user.
            array = array.copy()
            array.sum_duplicates()
        if not array.data.all():
            # Zeros that are stored would get noise, those that are not would get none.
            _check_finite(name, array, ~find_missing(array))
            array = array.copy()
            array.eliminate_zeros()
        array = _mark_missing(array)
    return array


def _mark_missing(array: Any) -> Any:
    """Return a sparse array in which one stored NaN marks a missing row, as in `missing_rows`."""
    missing = find_missing(array)
    counts = np.diff(array.indptr)
    if not (counts[missing] > 1).any():
        return array
    row_of = np.arange(len(missing)).repeat(counts)
    is_first = np.arange(len(row_of)) == array.indptr[row_of]
    keep = ~missing[row_of] | is_first
    columns = np.where(missing[row_of], 0, array.indices)[keep]
    ends = np.append(0, np.cumsum(np.where(missing, 1, counts)))
    return sparse.csr_array((array.data[keep], columns, ends), shape=array.shape)


def _check_finite(name: str, array: Any, present: np.ndarray) -> None:
    """Refuse infinities, and NaN in rows that are present."""
    if array.dtype.kind != "f":
        return
    if sparse.issparse(array):
        # Stored entries in one vector, each present if its row is.
        row_of = np.arange(len(present)).repeat(np.diff(array.indptr))
        bad = np.flatnonzero(~(np.abs(array.data) <= _LARGEST) & present[row_of])
        if len(bad):
            row = row_of[bad[0]]
            _refuse_row(name, array.data[row_of == row], row)
        return
    step = max(1, _CHUNK_VALUES // math.prod(array.shape[1:]))
    for start in range(0, len(array), step):
        block = array[start : start + step]
        # False where a value is NaN, too.
        if block.min() >= -_LARGEST and block.max() <= _LARGEST:
            continue
        block = block.reshape(len(block), -1)[present[start : start + step]]
        bad = ~(np.abs(block) <= _LARGEST)
        if not bad.any():
            continue
        within = int(np.flatnonzero(bad.any(axis=1))[0])
        row = start + int(np.flatnonzero(present[start : start + step])[within])
        _refuse_row(name, block[within], row)


def _refuse_row(name: str, values: np.ndarray, row: int) -> NoReturn:
    """Raise the error about a row in which some values are NaN or too large."""
    bad = ~(np.abs(values) <= _LARGEST)
    if not np.isnan(values).any():
        raise ValueError(
            f"Modality '{name}' contains infinity or a value too large for float32, first in "
            f"row {row}. Clip or rescale it, or mark the modality as missing for this sample "
            "by a row of NaN."
        )
    raise ValueError(
        f"Modality '{name}' contains NaN in {int(bad.sum())} of {len(values)} "
        f"values of row {row}. A whole row of NaN marks a missing modality; a "
        "partly missing row must be imputed first, for example with SimpleImputer."
    )
