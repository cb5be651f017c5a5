"""The forms in which data come, and how each becomes `Modalities`."""

import difflib

import numpy as np
from scipy import sparse
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import validate_data

from skcentrobind._data.items import absent_rows
from skcentrobind._data.modalities import Modalities
from skcentrobind._names import is_index


def from_collection(estimator, X, reset):
    """`Modalities` from a list or dict of arrays; None becomes rows of NaN at transform."""
    if isinstance(X, Modalities):
        return X
    items = list(X.values()) if isinstance(X, dict) else list(X)
    names = [str(name) for name in X] if isinstance(X, dict) else None
    if reset:
        return Modalities(items, names)
    fitted = estimator.modality_names_
    if names is None and len(items) == len(fitted):
        names = fitted
    if items and all(item is None for item in items):
        raise ValueError(
            f"All {len(items)} modalities are None; transform needs at least one of {fitted}."
        )
    # A sparse matrix has no len.
    first = next((item for item in items if item is not None), ())
    length = first.shape[0] if hasattr(first, "shape") else len(first)
    shapes = dict(zip(fitted, estimator._row_shapes, strict=True))
    is_sparse = dict(zip(fitted, estimator._is_sparse, strict=True))
    for m, item in enumerate(items):
        if item is None:
            shape = shapes.get(names[m], (1,)) if names else (1,)
            if names and is_sparse.get(names[m]):
                items[m] = absent_rows(length, *shape)
                continue
            # One number in memory, however many rows. 1-D items hold objects, which None replaces.
            items[m] = np.broadcast_to(np.nan if shape else None, (length, *shape))
    return Modalities(items, names)


def from_matrix(estimator, X, reset):
    """Cut a 2-D array, or take it as the only modality."""
    _refuse_other_forms(X)
    _refuse_list_of_vectors(X)
    cut = estimator.modalities
    columns = list(X.columns) if hasattr(X, "columns") else None
    matrix = validate_data(
        estimator,
        X,
        reset=reset,
        dtype=[np.float64, np.float32],
        # A row of NaN in the only modality would be a sample without any.
        ensure_all_finite=True if cut is None else "allow-nan",
        ensure_min_samples=2 if reset else 1,
    )
    return Modalities([matrix] if cut is None else _cut(matrix, cut, columns))


def _cut(matrix, cut, columns):
    """Cut a matrix by widths, slices, or lists of columns."""
    cut = cut.tolist() if isinstance(cut, np.ndarray) else cut
    named = isinstance(cut, dict)
    parts = list(cut.values()) if named else cut
    if not isinstance(parts, list | tuple) or not parts or not _are_parts(parts):
        raise ValueError(
            f"modalities must be a list or dict of widths, slices or lists of columns, got {cut!r}."
        )
    if is_index(parts[0]):
        if sum(parts) != matrix.shape[1] or min(parts) < 1:
            raise ValueError(
                f"modalities={cut!r} are widths that sum to {sum(parts)}, but X has "
                f"{matrix.shape[1]} columns; positive widths must add up to it."
            )
        ends = np.cumsum(parts)
        parts = [slice(end - width, end) for end, width in zip(ends, parts, strict=True)]
    names = list(cut) if named else [f"modality{m}" for m in range(len(parts))]
    arrays = {}
    for name, part in zip(names, parts, strict=True):
        if not isinstance(part, slice):
            part = [_column(column, columns, name) for column in part]
        elif (part.stop or 0) > matrix.shape[1]:
            # numpy would silently take what there is.
            raise ValueError(
                f"modalities: '{name}' asks for columns {part.start or 0} to {part.stop} of X, "
                f"which has {matrix.shape[1]} feature(s)."
            )
        try:
            arrays[name] = matrix[:, part]
        except IndexError as exc:
            raise ValueError(
                f"modalities: '{name}' asks for columns {part} of X, which has {matrix.shape[1]} "
                f"feature(s): {exc}"
            ) from exc
        if not arrays[name].shape[1]:
            raise ValueError(
                f"modalities: '{name}' gets no column of X, which has {matrix.shape[1]} feature(s)."
            )
    return arrays


def _are_parts(parts):
    """Whether all parts are widths, or all are slices or collections of columns."""
    if all(is_index(part) for part in parts):
        return True
    return all(isinstance(p, slice) or (np.iterable(p) and not isinstance(p, str)) for p in parts)


def _column(column, columns, name):
    """Position of a column that is given by name or position."""
    if not isinstance(column, str):
        return column
    if columns is None:
        raise ValueError(
            f"modalities: '{name}' names the column '{column}', but X has no column names; pass a "
            "DataFrame, or positions."
        )
    if column not in columns:
        close = difflib.get_close_matches(column, [str(c) for c in columns], n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise ValueError(f"modalities: '{name}' names the column '{column}', not in X.{hint}")
    return columns.index(column)


def is_collection(X):
    """Whether X is a list, tuple or dict of arrays rather than the rows of one array."""
    # scipy's dok_array is a dict, too.
    if sparse.issparse(X):
        return False
    if isinstance(X, dict):
        return True
    if not isinstance(X, list | tuple) or not X:
        return isinstance(X, list | tuple)
    return all(item is None or _n_axes(item) >= 2 or _is_raw_vector(item) for item in X)


def _n_axes(item):
    if hasattr(item, "shape"):
        return len(item.shape)
    try:
        return np.ndim(item)
    except ValueError:
        # Rows of different length, which the conversion to an array will refuse.
        return 1


def _is_raw_vector(item):
    """Whether an item is a list of texts or objects, thus a modality and not a row."""
    if _n_axes(item) != 1:
        return False
    try:
        return np.asarray(item).dtype.kind in "OUST"
    except ValueError:
        return False


def _refuse_other_forms(X):
    """Say what X may be, where it is nothing of it; numpy's messages would mislead."""
    is_array = hasattr(X, "shape") or hasattr(X, "__array__")
    if not is_array and not isinstance(X, list | tuple):
        raise TypeError(
            f"X is a {type(X).__name__}, expected a list or dict of arrays, Modalities, a "
            "DataFrame, or one array of shape (n_samples, n_features)."
        )
    if sparse.issparse(X):
        raise TypeError(
            f"X is a {type(X).__name__} of shape {X.shape} alone. Sparse data are taken as "
            "modalities of a list or dict: pass [X], or its parts as {'text': X[:, :100], ...}; or "
            "use X.toarray()."
        )
    if len(getattr(X, "shape", ())) > 2:
        raise ValueError(
            f"X is one array of shape {tuple(X.shape)}, but has to be 2-D where it is alone. Pass "
            "[X] if it is one modality, and list(X) if its first axis counts modalities."
        )
    if isinstance(X, np.ma.MaskedArray):
        raise ValueError(
            "X is a masked array, whose mask would be lost. Impute it, or fill the rows of samples "
            "that lack a modality with NaN: X.astype(float).filled(np.nan)."
        )


def _refuse_list_of_vectors(X):
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


def keep_index(estimator, Z, X):
    """Give the output the index that all DataFrames among the modalities share.

    Parameters
    ----------
    estimator : estimator
        Knows from `set_output` whether a DataFrame is wanted.
    Z : ndarray of shape (n_samples, n_features_out)
        What it returns for `X`.
    X : list, dict, Modalities, DataFrame or array
        Its input. scikit-learn itself keeps the index of a DataFrame.

    Returns
    -------
    Z : ndarray or DataFrame
        A DataFrame if one is wanted and there is an index to keep.
    """
    wanted = _get_output_config("transform", estimator)["dense"] == "pandas"
    if not wanted or not (isinstance(X, Modalities) or is_collection(X)):
        return Z
    indices = [item.index for item in items_of(X) if hasattr(item, "iloc")]
    if not indices or not all(indices[0].equals(index) for index in indices[1:]):
        return Z
    import pandas as pd

    return pd.DataFrame(Z, index=indices[0])


def items_of(X):
    """The arrays of a list, dict or `Modalities`, some of which may be None."""
    if isinstance(X, Modalities):
        return X.arrays
    return list(X.values() if isinstance(X, dict) else X)


def plain_tensor(X):
    """A torch tensor as a numpy array, everything else as it is."""
    if hasattr(X, "detach") and hasattr(X, "cpu"):
        return X.detach().cpu().numpy()
    return X


def is_frame(X):
    return hasattr(X, "iloc") and hasattr(X, "columns")
