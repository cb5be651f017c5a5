"""DataFrames as arrays."""

import numpy as np


def from_polars(array):
    """Return a polars DataFrame as one of pandas, without pyarrow, or a Series as an array."""
    if not hasattr(array, "columns"):
        return array.to_numpy() if hasattr(array, "to_numpy") else array
    import pandas as pd

    return pd.DataFrame({column: array[column].to_numpy() for column in array.columns})


def to_numpy(frame):
    """Return a numeric DataFrame as a writable array with contiguous rows."""
    if all(isinstance(dtype, np.dtype) for dtype in frame.dtypes):
        # pandas converts bool next to float to object; numpy's promotion gives float.
        return np.array(frame.to_numpy(dtype=np.result_type(*frame.dtypes)), order="C")
    return np.array(frame.to_numpy(dtype=np.float64, na_value=np.nan), order="C")
