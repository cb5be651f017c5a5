"""Forms of input, and how each is read as a list of modalities.

Nothing private of scikit-learn is used. `validate_data` needs an estimator that stores names of
columns and compares them; a `_holder` with the caller's class name replaces it, so that the
messages, which users know, name the right class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skcentrobind._data.frames import cells_of, explain_vectors, from_polars, stack_vectors
from skcentrobind._data.items import is_frame, is_opaque, plain_tensor
from skcentrobind._data.labels import row_labels
from skcentrobind._data.modalities import Modalities, default_names, from_checked
from skcentrobind._data.omics import USE_ANNDATA, is_anndata, is_mudata
from skcentrobind._data.per_sample import PerSample
from skcentrobind._data.tables import NO_MODALITY, read_columns
from skcentrobind._names import did_you_mean, is_integer


class Flat(NamedTuple):
    """Columns of a matrix or, together, of all modalities."""

    n_features: int
    names: tuple[str, ...] | None


class Parts(NamedTuple):
    """Modalities as passed.

    Attributes
    ----------
    items : Modalities or list of array or None
        Modalities if they are checked already, otherwise a list in which None marks a missing one.
    names : tuple of str or None
        None if only positions are known.
    columns : tuple or None
        Names of the columns of each item: a tuple of str, empty for a missing item, None if the
        columns have no names. None if they are not read yet, see `column_names`.
    flat : Flat or None
        Columns of the matrix that was cut into modalities.
    index : Index or None
        Row labels of that matrix; separate items bring their own.
    """

    items: Any
    names: tuple[str, ...] | None
    columns: tuple[tuple[str, ...] | None, ...] | None = None
    flat: Flat | None = None
    index: Any = None

    def modalities(self) -> Modalities:
        """Return the container of all items, checked."""
        if isinstance(self.items, Modalities):
            return self.items
        modalities = Modalities(self.items, self.names)
        if self.index is None:
            return modalities
        return from_checked(modalities.arrays, modalities.names, PerSample(self.index))


class Reading(NamedTuple):
    """Context that a form needs to read data.

    Attributes
    ----------
    caller : str
        Class of the estimator, for messages.
    cut : list, dict or None
        How a matrix is cut into modalities.
    flat : Flat or None
        Columns seen in fit; None in fit itself.
    is_raw : bool
        Whether text and categories are accepted, as by `PerModality`.
    """

    caller: str
    cut: Any = None
    flat: Flat | None = None
    is_raw: bool = False


class Form(NamedTuple):
    """One form of input: how to recognise it and how to read it."""

    accepts: Callable[[Any], bool]
    read: Callable[[Any, Reading], Parts]


def read(X: Any, reading: Reading) -> Parts:
    """Read data of any form in `FORMS`.

    Parameters
    ----------
    X : list, dict, Modalities, DataFrame or array
        The data.
    reading : Reading
        The caller, and the columns seen in fit.

    Returns
    -------
    parts : Parts
        The modalities, not yet compared with those of fit.
    """
    if hasattr(X, "detach"):
        X = plain_tensor(X)
    return next(form.read(X, reading) for form in FORMS if form.accepts(X))


# ---------------------------------------------------------------- separate modalities


def _read_modalities(X: Modalities, reading: Reading) -> Parts:
    _refuse_cut(X, reading)
    return Parts(X, X.names)


def _read_collection(X: Any, reading: Reading) -> Parts:
    _refuse_cut(X, reading)
    items = list(X.values()) if isinstance(X, Mapping) else list(X)
    names = tuple(map(str, X)) if isinstance(X, Mapping) else None
    if any(hasattr(item, "columns") or hasattr(item, "var_names") for item in items):
        return Parts(items, names)  # names of columns are read after the items are checked
    return Parts(items, names, tuple(() if item is None else None for item in items))


def _read_deep_frame(X: Any, reading: Reading) -> Parts:
    """Cut a DataFrame with two-level columns; raw modalities stay DataFrames."""
    _refuse_cut(X, reading)
    if reading.is_raw:
        frames, own = read_columns(X)
        return _read_modalities(Modalities(frames, ignore_index=True, **own), reading)
    modalities = Modalities.from_frame(X)
    blocks: dict[Any, list[str]] = {}
    for name, column in X.columns:
        blocks.setdefault(name, []).append(str(column))
    blocks.pop(NO_MODALITY, None)
    for name, own in blocks.items():
        _refuse_duplicates(own, f"Modality '{name}'")
    # A column of vectors is stacked, and its name is not that of a feature.
    pairs = zip(blocks.values(), modalities.n_features, strict=True)
    columns = tuple(tuple(c) if len(c) == width else None for c, width in pairs)
    return Parts(modalities, modalities.names, columns)


def _read_mudata(X: Any, reading: Reading) -> Parts:
    _refuse_cut(X, reading)
    modalities = Modalities.from_mudata(X)
    return Parts(modalities, modalities.names, column_names(list(X.mod.values()), modalities.names))


def _refuse_anndata(X: Any, reading: Reading) -> Parts:
    raise TypeError(f"X is an {type(X).__name__}, expected modalities. {USE_ANNDATA}")


def _refuse_cut(X: Any, reading: Reading) -> None:
    if reading.cut is not None:
        raise ValueError(
            f"modalities={reading.cut!r} says how to cut a 2-D array, but X comes as "
            f"{type(X).__name__} of separate arrays already; leave modalities=None."
        )


def is_collection(X: Any) -> bool:
    """Return whether X is a list, tuple or dict of arrays, not the rows of one array."""
    # scipy's dok_array is a dict, too.
    if sparse.issparse(X):
        return False
    if isinstance(X, Mapping):
        return True
    if not isinstance(X, list | tuple) or not X:
        return isinstance(X, list | tuple)
    return all(item is None or _n_axes(item) >= 2 or _is_raw_vector(item) for item in X)


def _n_axes(item: Any) -> int:
    if hasattr(item, "shape"):
        return len(item.shape)
    if is_opaque(item):
        return 2  # numpy would read it for minutes; as an item it is refused at once
    try:
        return np.ndim(item)
    except ValueError:
        # Rows of different length, which the conversion to an array will refuse.
        return 1


def _is_raw_vector(item: Any) -> bool:
    """Return whether an item is a list of texts or objects, thus a modality and not a row."""
    if _n_axes(item) != 1:
        return False
    try:
        return np.asarray(item).dtype.kind in "OUST"
    except ValueError:
        # Vectors, and None in place of the missing ones.
        return any(entry is None for entry in item)


# ---------------------------------------------------------------- one matrix


def _read_matrix(X: Any, reading: Reading) -> Parts:
    """Cut a matrix into modalities, or use it as the only one."""
    if reading.is_raw:
        item = X if hasattr(X, "shape") or not hasattr(X, "__array__") else np.asarray(X)
        return Parts([item], None)
    _refuse_other_forms(X)
    _refuse_list_of_vectors(X)
    labels = row_labels(X)
    columns = _given_names(X)
    if columns is not None:
        _refuse_duplicates(columns, "X")
    X = _with_vectors(X, reading.cut)
    holder = _holder(reading.caller, reading.flat)
    matrix = validate_data(
        holder,
        X,
        reset=reading.flat is None,
        dtype=[np.float64, np.float32],
        # A row of NaN in the only modality would be a sample without any.
        ensure_all_finite=True if reading.cut is None else "allow-nan",
        ensure_min_samples=2 if reading.flat is None else 1,
    )
    flat = Flat(matrix.shape[1], _known_names(holder))
    if reading.cut is None:
        return Parts([matrix], None, (None,), flat, labels)
    parts = _cut(matrix, reading.cut, columns)
    return Parts(list(parts.values()), tuple(map(str, parts)), (None,) * len(parts), flat, labels)


def _with_vectors(X: Any, cut: Any) -> Any:
    """Return one column of vectors as a matrix, everything else as it is."""
    has_columns = is_frame(X) or isinstance(getattr(X, "dtypes", None), list)
    dtypes = list(X.dtypes) if has_columns else [getattr(X, "dtype", None)]
    if any(str(dtype).startswith(("List", "Array")) for dtype in dtypes):
        X = from_polars(X)
    elif all(getattr(dtype, "kind", "") != "O" for dtype in dtypes):
        return X
    stacked = stack_vectors(X)
    if stacked is not None and cut is None:
        return stacked
    columns = {f"Column {name!r} of X": X[[name]] for name in X} if is_frame(X) else {"X": X}
    for what, column in columns.items():
        cells = cells_of(column)
        fault = "" if cells is None else explain_vectors(cells)
        if fault:
            raise ValueError(
                f"{what} holds {fault}. Vectors of equal length are stacked if each column is a "
                'modality: pass {"image": df["image"], "text": df["text"]}, without the parameter '
                "modalities; None marks a missing row."
            )
    return X


def _cut(matrix: np.ndarray, cut: Any, columns: list | None) -> dict[Any, np.ndarray]:
    """Cut a matrix by widths, slices, or lists of columns."""
    cut = cut.tolist() if isinstance(cut, np.ndarray) else cut
    named = isinstance(cut, dict)
    parts = list(cut.values()) if named else cut
    if not isinstance(parts, list | tuple) or not parts or not _are_parts(parts):
        raise ValueError(
            f"modalities must be a list or dict of widths, slices or lists of columns, got {cut!r}."
        )
    if is_integer(parts[0]):
        if sum(parts) != matrix.shape[1] or min(parts) < 1:
            raise ValueError(
                f"modalities={cut!r} are widths that sum to {sum(parts)}, but X has "
                f"{matrix.shape[1]} columns; positive widths must add up to it."
            )
        ends = np.cumsum(parts)
        parts = [slice(end - width, end) for end, width in zip(ends, parts, strict=True)]
    names = cut if named else default_names(len(parts))
    arrays = {}
    for name, part in zip(names, parts, strict=True):
        if not isinstance(part, slice):
            part = [_column(column, columns, name) for column in part]
            _refuse_repeated(part, matrix.shape[1], name)
        elif (part.stop or 0) > matrix.shape[1]:
            # numpy would silently cut the slice short.
            raise ValueError(
                f"modalities: '{name}' takes columns {part.start or 0} to {part.stop} of X, "
                f"which has {matrix.shape[1]} feature(s)."
            )
        try:
            arrays[name] = matrix[:, part]
        except IndexError as exc:
            raise ValueError(
                f"modalities: '{name}' takes columns {part} of X, which has {matrix.shape[1]} "
                f"feature(s): {exc}"
            ) from exc
        if not arrays[name].shape[1]:
            raise ValueError(
                f"modalities: '{name}' takes no column of X, which has {matrix.shape[1]} "
                "feature(s)."
            )
    return arrays


def _are_parts(parts: Sequence) -> bool:
    """Return whether all parts are widths, or all are slices or collections of columns."""
    if all(is_integer(part) for part in parts):
        return True
    return all(isinstance(part, slice) or _are_columns(part) for part in parts)


def _are_columns(part: Any) -> bool:
    """Return whether these are columns in an order, which can be read more than once."""
    return np.iterable(part) and hasattr(part, "__len__") and not isinstance(part, str | Set)


def _column(column: Any, columns: list | None, name: object) -> Any:
    """Return the position of a column that is given by name or position."""
    if not isinstance(column, str):
        if not is_integer(column) or columns is None or column not in columns:
            return column
        named, at = columns.index(column), range(-len(columns), len(columns))
        if column in at and named != column % len(columns):
            raise ValueError(
                f"modalities: '{name}' takes column {column!r}, which is the name of the column at "
                f"position {named} and the position of column {columns[column]!r}. Rename the "
                "columns, df.columns.astype(str), or give slices of positions."
            )
        return named
    if columns is None:
        raise ValueError(
            f"modalities: '{name}' names the column '{column}', but X has no column names; pass a "
            "DataFrame, or positions."
        )
    if column not in columns:
        hint = did_you_mean(column, columns)
        raise ValueError(f"modalities: '{name}' names the column '{column}', not in X.{hint}")
    return columns.index(column)


def _refuse_repeated(part: list, n_columns: int, name: object) -> None:
    """Refuse a column that a modality takes twice; a mask of columns cannot."""
    taken = [column % n_columns for column in part if is_integer(column)]
    repeated = [column for column, count in Counter(taken).items() if count > 1]
    if repeated:
        raise ValueError(
            f"modalities: '{name}' takes column {repeated[0]} of X more than once, in {part}; "
            "name each column once."
        )


def _refuse_duplicates(columns: Sequence, what: str) -> None:
    repeated = [column for column, count in Counter(map(str, columns)).items() if count > 1]
    if repeated:
        raise ValueError(
            f"{what} has duplicate column names: {repeated[:5]}. Rename them, or pass the numbers "
            "without names: df.to_numpy()."
        )


def _refuse_other_forms(X: Any) -> None:
    """Refuse what is neither modalities nor a matrix; numpy's messages would mislead."""
    is_array = (hasattr(X, "shape") or hasattr(X, "__array__")) and not is_opaque(X)
    if not is_array and not isinstance(X, list | tuple):
        raise TypeError(
            f"X is a {type(X).__name__}, expected a list or dict of arrays, Modalities, a "
            "DataFrame, or one array of shape (n_samples, n_features)."
        )
    if sparse.issparse(X):
        raise TypeError(
            f"X is a {type(X).__name__} of shape {X.shape} on its own. Sparse data are taken as "
            "modalities of a list or dict: pass [X], or its parts as {'text': X[:, :100], ...}; or "
            "use X.toarray()."
        )
    if len(getattr(X, "shape", ())) > 2:
        raise ValueError(
            f"X is one array of shape {tuple(X.shape)}, but must be 2-D on its own. Pass "
            "[X] if it is one modality, and list(X) if its first axis counts modalities."
        )
    if isinstance(X, np.ma.MaskedArray):
        raise ValueError(
            "X is a masked array, whose mask would be lost. Impute it, or fill the rows of samples "
            "without the modality with NaN: X.astype(float).filled(np.nan)."
        )


def _refuse_list_of_vectors(X: Any) -> None:
    if not isinstance(X, list | tuple):
        return
    axes = [2 if item is None else _n_axes(item) for item in X]
    arrays = [hasattr(item, "shape") for item in X]
    if any(arrays) and (1 in axes or 0 in axes):
        k = axes.index(min(axes))
        raise ValueError(
            f"X is a list of {len(X)} items of which item {k} is {axes[k]}-D, but each modality "
            "must be an array of shape (n_samples, n_features): use array.reshape(-1, 1) for a "
            "modality of one feature, or np.asarray(X) if these are the rows of one array."
        )


# ---------------------------------------------------------------- names of columns


def column_names(items: Any, names: Sequence[str] | None = None) -> tuple:
    """Return names of the columns of each item, as scikit-learn reads them.

    Parameters
    ----------
    items : sequence of array or None
        The modalities as passed.
    names : sequence of str, default=None
        Their names, for messages.

    Returns
    -------
    names : tuple
        One entry per item: a tuple of str, None if it has no names, or an empty tuple if the item
        is None.
    """
    names = default_names(len(items)) if names is None else names
    return tuple(_learned_names(*pair) for pair in zip(items, names, strict=True))


def _learned_names(frame: Any, name: str) -> tuple[str, ...] | None:
    columns = _given_names(frame)
    if columns is None:
        return () if frame is None else None
    _refuse_duplicates(columns, f"Modality '{name}'")
    if is_anndata(frame):
        return tuple(map(str, columns))
    pandas = from_polars(frame) if type(frame).__module__.startswith("polars") else frame
    if stack_vectors(pandas) is not None:
        return None  # the column is not a feature
    holder = _holder("Columns")
    validate_data(holder, frame, reset=True, skip_check_array=True)
    return _known_names(holder)


def _given_names(item: Any) -> list | None:
    """Return the names of the columns of an item as they are, None if it has none."""
    # The columns of a table of pyarrow are its arrays.
    for attribute in ("column_names", "columns", "var_names"):
        if hasattr(item, attribute):
            return list(getattr(item, attribute))
    return None


def compare_columns(expected: Flat, got: Any, caller: str) -> None:
    """Raise or warn as scikit-learn does if the names of columns differ from those seen in fit.

    Parameters
    ----------
    expected : Flat
        Columns seen in fit.
    got : sequence of str
        Names of the columns to compare.
    caller : str
        Class of the estimator, for messages.
    """
    import pandas as pd

    holder = _holder(caller, expected)
    validate_data(holder, pd.DataFrame(columns=list(got)), reset=False, skip_check_array=True)


def _holder(caller: str, flat: Flat | None = None) -> Any:
    holder: Any = type(caller, (BaseEstimator,), {})()
    if flat is not None:
        holder.n_features_in_ = flat.n_features
        if flat.names is not None:
            holder.feature_names_in_ = np.asarray(flat.names, dtype=object)
    return holder


def _known_names(holder: Any) -> tuple[str, ...] | None:
    names = getattr(holder, "feature_names_in_", None)
    return None if names is None else tuple(map(str, names))


#: Every form of input, one row per form; the first one that accepts the data reads them.
FORMS = [
    Form(lambda X: isinstance(X, Modalities), _read_modalities),
    Form(is_collection, _read_collection),
    Form(is_mudata, _read_mudata),
    Form(is_anndata, _refuse_anndata),
    Form(lambda X: is_frame(X) and X.columns.nlevels > 1, _read_deep_frame),
    Form(lambda X: True, _read_matrix),
]
