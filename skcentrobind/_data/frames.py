"""DataFrames as arrays, and vectors in the cells of a column."""

import numpy as np


def from_polars(array):
    """Return a polars DataFrame as one of pandas, without pyarrow, or a Series as an array."""
    if not hasattr(array, "columns"):
        return array.to_numpy() if hasattr(array, "to_numpy") else array
    import pandas as pd

    columns = {column: array[column].to_numpy() for column in array.columns}
    # A column of fixed-size vectors is a 2-D array.
    return pd.DataFrame({k: list(v) if v.ndim > 1 else v for k, v in columns.items()})


def to_numpy(frame):
    """Return a numeric DataFrame as a writable array with contiguous rows."""
    if all(isinstance(dtype, np.dtype) for dtype in frame.dtypes):
        # pandas converts bool next to float to object; numpy's promotion gives float.
        return np.array(frame.to_numpy(dtype=np.result_type(*frame.dtypes)), order="C")
    return np.array(frame.to_numpy(dtype=np.float64, na_value=np.nan), order="C")


def cells_of(item):
    """Return the cells of an item with one column of objects as a 1-D array, None for others."""
    if hasattr(item, "iloc"):
        if hasattr(item, "columns"):
            if item.shape[1] != 1:
                return None
            item = item.iloc[:, 0]
        return item.to_numpy(dtype=object) if item.dtype.kind == "O" else None
    if not isinstance(item, np.ndarray) or item.dtype.kind != "O" or not item.ndim:
        return None
    if item.size != len(item):
        return None
    return item.reshape(-1)


def stack_vectors(item):
    """Return one column of vectors of equal length as an array with one row per cell.

    Parameters
    ----------
    item : object
        A Series, a DataFrame with one column, or an array of objects; None and NaN are missing.

    Returns
    -------
    array : ndarray of shape (n_samples, ...) or None
        Rows of NaN where a cell is missing; None if a cell is anything but a vector of numbers,
        or the lengths differ.
    """
    cells = cells_of(item)
    vectors = None if cells is None else _vectors(cells)
    if vectors is None or len({vector.shape for vector in vectors.values()}) != 1:
        return None
    found = np.stack(list(vectors.values()))
    if len(found) == len(cells):
        return found
    full = np.full((len(cells), *found.shape[1:]), np.nan, np.result_type(found, np.float32))
    full[list(vectors)] = found
    return full


def explain_vectors(cells):
    """Say why vectors in cells cannot be stacked; "" if the cells hold anything else.

    Parameters
    ----------
    cells : ndarray of object of shape (n_samples,)
        The cells.

    Returns
    -------
    fault : str
        A row and its length beside another row.
    """
    if _first_vector(cells) is None:
        return ""
    vectors = _vectors(cells)
    if vectors is None:
        odd = next(
            i for i, cell in enumerate(cells) if not _is_blank(cell) and _vector(cell) is None
        )
        return f"vectors, but row {odd} holds {type(cells[odd]).__name__} {str(cells[odd])[:40]!r}"
    (first, vector), *rest = vectors.items()
    odd = [(row, v.shape) for row, v in rest if v.shape != vector.shape]
    if not odd:
        return "vectors"
    row, shape = odd[0]
    one, two = (s[0] if len(s) == 1 else s for s in (vector.shape, shape))
    return f"vectors of different length, {one} in row {first} but {two} in row {row}"


def _is_blank(cell):
    """Return whether a cell is None, NaN or NA."""
    if cell is None:
        return True
    if isinstance(cell, str | list | tuple | dict) or getattr(cell, "shape", ()) != ():
        return False
    import pandas as pd

    return pd.isna(cell) is True


def _first_vector(cells):
    """Return the vector in the first cell that is not missing, None if it holds none."""
    first = next((cell for cell in cells if not _is_blank(cell)), None)
    return None if first is None else _vector(first)


def _vectors(cells):
    """Return the vectors by row, None if a cell holds anything else."""
    if _first_vector(cells) is None:
        return None
    vectors = {i: _vector(cell) for i, cell in enumerate(cells) if not _is_blank(cell)}
    return None if any(vector is None for vector in vectors.values()) else vectors


def _vector(cell):
    """Return a cell as an array of numbers with one axis or more, None for other cells."""
    if hasattr(cell, "detach"):
        cell = cell.detach().cpu()
    if not isinstance(cell, list | tuple) and not hasattr(cell, "__array__"):
        return None
    try:
        vector = np.asarray(cell)
        if vector.dtype.kind == "O" and vector.ndim == 1:
            nested = [isinstance(entry, list | tuple | np.ndarray) for entry in vector]
            if all(nested):
                vector = np.stack([np.asarray(entry) for entry in vector])
            elif all(
                entry is None or isinstance(entry, int | float | np.number) for entry in vector
            ):
                vector = vector.astype(np.float64)
    except (TypeError, ValueError, RuntimeError):
        return None
    return vector if vector.ndim and vector.dtype.kind in "fiub" else None
