"""Rules for an item, the array of one modality: what it may be and how it is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse

from skcentrobind._data.frames import cells_of, explain_vectors, from_polars, stack_vectors
from skcentrobind._data.labels import row_labels
from skcentrobind._data.omics import USE_MUDATA, is_anndata, is_mudata, matrix_of

# Kinds of dtype that hold numbers, and those that hold something to be encoded first.
_NUMBERS, _RAW = "fiub", "OUSTmM"

# What numpy reads at once; other objects with entries are read one by one.
_ARRAY_PROTOCOLS = ("__array__", "__array_interface__", "__array_struct__", "__dlpack__", "iloc")


def check_array(array, name):
    """Return `array` as a numpy array, CSR matrix or DataFrame, or raise an error."""
    try:
        array = _convert(array)
        _check_dtypes(array, _NUMBERS + _RAW)
        n_axes = 1 if is_raw(array) else 2
        if array.ndim < n_axes or (sparse.issparse(array) and array.ndim > 2):
            raise ValueError(
                f"got {array.ndim}-D data of shape {array.shape}, expected (n_samples, n_features)."
                " A list of 1-D arrays is rows, thus one modality: Modalities([np.asarray(X)]). "
                "For one feature use .reshape(-1, 1), or df[[column]] on a DataFrame."
            )
        if 0 in array.shape:
            what = "sample" if array.shape[0] == 0 else "feature"
            raise ValueError(
                f"got 0 {what}(s) (shape={array.shape}) while a minimum of 1 is required. Check "
                "the selection that made it, or leave the modality out."
            )
    except ValueError as exc:
        raise ValueError(f"Modality {name!r}: {exc}") from exc
    return array


def _convert(array):
    """Return an item in one of the forms that are kept: ndarray, CSR matrix or DataFrame."""
    refuse_opaque(array)
    if isinstance(array, np.ma.MaskedArray):
        raise ValueError(
            "got a masked array, expected a plain one. Fill the rows of samples without the "
            "modality with NaN: array.astype(float).filled(np.nan)."
        )
    if is_anndata(array):
        array = matrix_of(array)
    if sparse.issparse(array):
        return array.tocsr() if array.ndim == 2 else array
    if type(array).__module__.partition(".")[0] == "polars":
        array = from_polars(array)
    is_plain = isinstance(array, np.ndarray) and not isinstance(array, np.matrix)
    if is_frame(array) and hasattr(array, "compute"):
        raise ValueError(f"got a lazy {type(array).__name__}, expected rows: pass .compute().")
    if not is_plain and not is_frame(array):
        array = _as_array(array)
    elif is_plain and array.dtype.kind == "T":
        # numpy's strings of any length can hold missing values only as objects.
        array = array.astype(object)
    stacked = stack_vectors(array)
    return array if stacked is None else stacked


def _as_array(array):
    """Return a tensor, a nested list or a Series as a numpy array."""
    try:
        converted = np.asarray(plain_tensor(array))
        # numpy writes None and NaN among strings as words; as objects they stay what they are.
        return converted if converted.dtype.kind not in "US" else np.array(array, dtype=object)
    except (TypeError, ValueError, RuntimeError) as exc:
        fault = str(exc)
        if isinstance(array, list | tuple):
            # Rows with None among them, or of different length.
            cells = object_cells(array)
            if stack_vectors(cells) is not None:
                return cells
            fault = explain_vectors(cells) or fault
        raise ValueError(
            f"got a {type(array).__name__} that cannot become a numpy array: {fault} Rows need the "
            "same number of features; a torch tensor must be dense, try .float()."
        ) from exc


def plain_tensor(X):
    """Return a torch tensor as a numpy array, everything else as it is."""
    if hasattr(X, "detach") and hasattr(X, "cpu"):
        tensor = X.detach().cpu()
        # numpy has no bfloat16.
        return (tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy()
    return X


def object_cells(values):
    """Return a list as a 1-D array of objects, one by one: numpy reads nested ones as rows."""
    cells = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        cells[i] = value
    return cells


def refuse_opaque(item):
    """Refuse what numpy would read entry by entry, for minutes, or as a single object."""
    kind = type(item)
    if item is None:
        raise ValueError(
            "got None, expected an array. None is allowed only in an estimator's transform; leave "
            "the modality out, or fill the rows of samples without it with NaN."
        )
    if is_mudata(item):
        raise ValueError(f"got a {kind.__name__}, expected one array. {USE_MUDATA}")
    if isinstance(item, Mapping) and not sparse.issparse(item):
        raise ValueError(
            f"got a {kind.__name__} of {[*item][:5]}, expected one array: put its arrays beside "
            "the other modalities, or join them, np.hstack(list(d.values()))."
        )
    if isinstance(item, list | tuple) and item:
        entry = item[0]
        if is_anndata(entry) or (is_opaque(entry) and hasattr(entry, "__getitem__")):
            raise ValueError(
                f"got a {kind.__name__} of {type(entry).__name__}, expected one array per modality."
            )
    elif not is_anndata(item) and is_opaque(item):
        raise ValueError(
            f"got a {kind.__name__}, which is no array, expected an array of shape (n_samples, "
            "n_features). Convert it first, for example with np.stack([row for row in X])."
        )


def is_opaque(item):
    """Return whether numpy would read an object entry by entry, if at all."""
    if isinstance(item, Sequence | Mapping) or sparse.issparse(item):
        return False
    if any(hasattr(item, name) for name in _ARRAY_PROTOCOLS):
        return False
    has_entries = hasattr(item, "__getitem__") or hasattr(item, "__iter__")
    return has_entries and not isinstance(item, memoryview | type)


def _dtypes(array):
    return list(array.dtypes) if is_frame(array) else [array.dtype]


def is_frame(item):
    """Return whether an item is a DataFrame of pandas."""
    return hasattr(item, "iloc") and hasattr(item, "columns")


def is_raw(array):
    """Return whether an item holds text, categories, dates or objects instead of numbers."""
    return any(dtype.kind in _RAW for dtype in _dtypes(array))


def check_numeric(array, name):
    """Refuse an item that holds anything but numbers, with a hint at encoding it."""
    try:
        _check_dtypes(array, _NUMBERS)
    except ValueError as exc:
        raise ValueError(f"Modality {name!r}: {exc}") from exc


def _check_dtypes(array, kinds):
    for i, dtype in enumerate(_dtypes(array)):
        column = f" in column {array.columns[i]!r}" if is_frame(array) else ""
        got = f"got dtype {dtype}{column}"
        if dtype.kind == "c":
            raise ValueError(
                f"{got}, expected real numbers. Complex data not supported; use "
                "np.hstack([X.real, X.imag])."
            )
        if dtype.kind not in kinds:
            cells = cells_of(array.iloc[:, [i]] if is_frame(array) else array)
            fault = "" if cells is None else explain_vectors(cells)
            if fault:
                raise ValueError(
                    f"{got}, whose cells are {fault}. Vectors of equal length are stacked if the "
                    "column is a modality of its own, df[column]; None marks a missing row."
                )
            raise ValueError(
                f"{got}, expected numbers. Encode it first: PerModality applies a transformer to "
                "each modality, e.g. TfidfVectorizer and TruncatedSVD to text, OneHotEncoder to "
                "categories; use .astype(float) if it holds numbers."
            )


def missing_rows(n_samples, width, dtype=np.float64):
    """Return sparse rows for samples whose modality is missing: one stored NaN marks each."""
    rows, columns = np.arange(n_samples), np.zeros(n_samples, dtype=int)
    entries = np.full(n_samples, np.nan, dtype=dtype)
    return sparse.csr_array((entries, (rows, columns)), shape=(n_samples, width))


def describe(item):
    """Return features, dtype and kind of an item as text."""
    dtypes = {str(dtype) for dtype in _dtypes(item)}
    dense = "memmap" if isinstance(item, np.memmap) else "raw" if is_raw(item) else "dense"
    kind = "sparse" if sparse.issparse(item) else "DataFrame" if is_frame(item) else dense
    features = " x ".join(map(str, item.shape[1:])) or "1-D"
    return features, dtypes.pop() if len(dtypes) == 1 else "mixed", kind


def raise_lengths(items, given, names):
    """Raise the error about modalities with different numbers of samples.

    Parameters
    ----------
    items : sequence of array of shape (n_samples, ...)
        The checked items.
    given : sequence of object
        The same as passed, perhaps with row labels.
    names : sequence of str
        Their modalities.
    """
    hint = "Align the rows, and fill those of samples without the modality with NaN."
    if sum(row_labels(item) is not None for item in given) > 1:
        hint += " Modalities.align does both by the row labels of DataFrames."
    counts = Counter(item.shape[0] for item in items)
    for n_samples, _ in counts.most_common():
        odd = {k: a for k, a in zip(names, items, strict=True) if a.shape[0] != n_samples}
        if all(item.ndim == 2 and item.shape[1] == n_samples for item in odd.values()):
            hint = f"Is {' and '.join(map(repr, odd))} transposed? Rows are samples: pass its .T."
            break
    lengths = ", ".join(f"{k}: {a.shape[0]}" for k, a in zip(names, items, strict=True))
    raise ValueError(f"All modalities need the same number of samples, got {lengths}. {hint}")


def take_rows(item, positions, name, index=None):
    """Return rows of an item, missing ones for the position -1.

    Parameters
    ----------
    item : array of shape (n_rows, ...)
        A checked item.
    positions : ndarray of int of shape (n_samples,)
        Rows to take.
    name : str
        The modality, for messages.
    index : Index of length n_samples, default=None
        Row labels of a DataFrame that is returned.

    Returns
    -------
    item : array of shape (n_samples, ...)
        NaN in rows that are missing, None among objects.
    """
    here = positions >= 0
    if is_frame(item):
        return _take_frame(item, positions, name).set_axis(index, axis=0)
    if here.all():
        return item[positions]
    if sparse.issparse(item):
        dtype = np.result_type(item.dtype, np.float32)
        with_missing = sparse.vstack([item, missing_rows(1, item.shape[1], dtype)], format="csr")
        return with_missing[np.where(here, positions, item.shape[0])]
    if item.dtype.kind in "mM":
        full = np.full((len(positions), *item.shape[1:]), "NaT", dtype=item.dtype)
    elif is_raw(item):
        full = np.full((len(positions), *item.shape[1:]), None, dtype=object)
    else:
        dtype = np.result_type(item.dtype, np.float32)
        full = np.full((len(positions), *item.shape[1:]), np.nan, dtype=dtype)
    full[here] = item[positions[here]]
    return full


def _take_frame(frame, positions, name):
    if hasattr(frame, "sparse"):
        raise ValueError(
            f"Modality {name!r} is a DataFrame of sparse columns, which cannot be aligned: pass "
            "df.sparse.to_dense()."
        )
    here = positions >= 0
    if here.all():
        return frame.iloc[positions]
    plain = frame.set_axis(range(frame.shape[1]), axis=1).reset_index(drop=True)
    flags = [i for i, dtype in plain.dtypes.items() if dtype == np.bool_]
    plain = plain.astype(dict.fromkeys(flags, np.float64))
    # The frame has no row -1, so reindex fills it with NaN.
    taken = plain.reindex(positions)
    for i, dtype in taken.dtypes.items():
        if dtype.kind == "O" and isinstance(dtype, np.dtype):
            taken[i] = taken[i].where(here, None)
    return taken.set_axis(frame.columns, axis=1)


def check_rows(rows, n_samples):
    """Check that rows exist, at least one; a scalar becomes a slice."""
    # A stride-0 array is free, and lets numpy check the rows with its usual messages.
    is_empty = isinstance(rows, np.ndarray) and rows.size == 0
    taken = rows if is_empty else np.broadcast_to(True, n_samples)[rows]
    if taken.size == 0:
        raise IndexError(f"This selects none of the {n_samples} samples, expected at least one.")
    if taken.ndim > 1:
        raise IndexError(f"Rows must be 1-D, got a {rows.ndim}-D key of dtype {rows.dtype}.")
    if taken.ndim == 0:
        # A slice keeps the row axis and the view.
        return slice(int(rows) % n_samples, int(rows) % n_samples + 1)
    return rows
