"""A table of what is unusual about the modalities, before anything is fitted to them."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from skcentrobind._data.forms import Reading, read
from skcentrobind._data.frames import to_numpy
from skcentrobind._data.items import is_frame, is_raw
from skcentrobind._data.per_sample import group_codes
from skcentrobind._data.robust import feature_blocks, robust_scores, shares_of_rows
from skcentrobind._data.statistics import find_missing

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["describe"]


def describe(X: Any, *, modalities: Any = None) -> DataFrame:
    """Describe the modalities: their size, and what is missing, constant, repeated or far off.

    It accepts data that `fit` refuses, such as rows that are partly NaN, so that the fault can be
    found. `fit` warns if few rows hold most of the variance, by the same numbers.

    Parameters
    ----------
    X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
        The data, in any form that `fit` or `PerModality` accepts.
    modalities : list or dict, default=None
        How a matrix is cut into modalities, as the parameter of the estimators.

    Returns
    -------
    table : DataFrame of shape (n_modalities, 12), or (n_modalities, 13) with groups
        One row per modality. NaN where text, categories and other objects have no such number.

        ``samples`` and ``features``: number of rows and columns.

        ``missing``: number of rows that are all NaN or None.

        ``incomplete``: number of rows in which some values are NaN or infinite. These and the
        missing ones are left out of what follows.

        ``constant``: number of features that have one value only.

        ``duplicates``: number of rows that repeat an earlier row.

        ``max_z`` and ``max_z_row``: largest robust z-score,
        0.6745 abs(x - median) / median(abs(x - median)), and its row. Where half of the values of a
        feature are equal, the median of the nonzero distances takes the place of the divisor.

        ``max_share`` and ``max_share_row``: largest share of the variance of all standardised
        features in one row, 1 / samples if all are alike, and that row.

        ``groups``: number of groups among the rows that are not missing, if X has groups.

        ``dtype``: type of the values.

        ``bytes``: memory, in bytes.

    Raises
    ------
    ValueError
        If X has no modality, or lengths differ.
    TypeError
        If X has another form.

    Examples
    --------
    >>> import numpy as np
    >>> from skcentrobind import describe
    >>> X = {"image": np.arange(12.0).reshape(6, 2), "text": ["a", "b", "b", None, "c", "d"]}
    >>> X["image"][2] = -9999
    >>> table = describe(X)
    >>> table[["missing", "duplicates", "max_z_row"]].values.tolist()
    [[0, 0, 2], [1, 1, <NA>]]
    >>> round(float(table.loc["image", "max_share"]), 2)
    0.83
    """
    import pandas as pd

    parts = read(X, Reading("describe", cut=modalities, is_raw=modalities is None))
    X = parts.modalities()
    rows = {name: _describe_item(item) for name, item in X.items()}
    if X.groups is not None:
        codes = group_codes(X.groups)
        for row, present in zip(rows.values(), X.present.T, strict=True):
            row["groups"] = len(np.unique(codes[present]))
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("modality")
    whole = ["incomplete", "constant", "duplicates", "max_z_row", "max_share_row"]
    return table.astype(dict.fromkeys(whole, "Int64"))


def _describe_item(item: Any) -> dict[str, Any]:
    """Return the row of one modality."""
    missing = find_missing(item)
    row = {
        "samples": item.shape[0],
        "features": math.prod(item.shape[1:]),
        "missing": int(missing.sum()),
    }
    if is_raw(item):
        row |= _describe_objects(item, ~missing)
    else:
        array = to_numpy(item) if is_frame(item) else item
        row |= _describe_numbers(array, ~missing)
    dtypes = sorted({str(dtype) for dtype in (item.dtypes if is_frame(item) else [item.dtype])})
    return row | {"dtype": ", ".join(dtypes), "bytes": _n_bytes(item)}


def _describe_objects(item: Any, present: NDArray[np.bool_]) -> dict[str, Any]:
    import pandas as pd

    frame = pd.DataFrame(item if is_frame(item) else np.asarray(item).reshape(len(item), -1))
    words = frame[present].map(repr)  # objects need not be comparable
    return {
        "incomplete": int((frame.isna().any(axis=1) & present).sum()),
        "constant": int((words.nunique() <= 1).sum()),
        "duplicates": int(words.duplicated().sum()),
        "max_z": np.nan,
        "max_z_row": pd.NA,
        "max_share": np.nan,
        "max_share_row": pd.NA,
    }


def _describe_numbers(array: Any, present: NDArray[np.bool_]) -> dict[str, Any]:
    import pandas as pd

    complete = present & _finite_rows(array)
    used = np.flatnonzero(complete)
    row: dict[str, Any] = {"incomplete": int(present.sum() - len(used))}
    if not len(used):
        none = {"max_z": np.nan, "max_z_row": pd.NA, "max_share": np.nan, "max_share_row": pd.NA}
        return row | {"constant": pd.NA, "duplicates": 0} | none
    summary = _sparse_summary if sparse.issparse(array) else _dense_summary
    n_constant, n_distinct, z, z_row = summary(array, used)
    shares = shares_of_rows(array, used)
    return row | {
        "constant": n_constant,
        "duplicates": len(used) - n_distinct,
        "max_z": z,
        "max_z_row": int(used[z_row]),
        "max_share": float(shares.max()),
        "max_share_row": int(shares.argmax()),
    }


def _finite_rows(array: Any) -> NDArray[np.bool_]:
    if sparse.issparse(array):
        bad = np.zeros(array.shape[0], dtype=bool)
        row_of = np.arange(array.shape[0]).repeat(np.diff(array.indptr))
        bad[row_of[~np.isfinite(array.data)]] = True
        return ~bad
    step = max(1, 2**20 // max(1, math.prod(array.shape[1:])))
    blocks = (array[start : start + step] for start in range(0, len(array), step))
    return np.concatenate([np.isfinite(b).reshape(len(b), -1).all(axis=1) for b in blocks])


def _dense_summary(array: Any, used: NDArray[np.intp]) -> tuple[int, int, float, int]:
    """Return the numbers of constant features and of distinct rows, the largest z and its row."""
    n_constant, z, z_row, code = 0, -1.0, 0, np.zeros(len(used), dtype=np.int64)
    for block in feature_blocks(array, used):
        n_constant += int((block == block[0]).all(axis=0).sum())
        scores = robust_scores(block)
        if scores.max() > z:
            z, z_row = float(scores.max()), int(scores.max(axis=1).argmax())
        # Rows are equal if the codes of the blocks before and their values in this block are.
        joined = np.column_stack([code, block + 0.0])  # -0.0 is 0.0
        code = np.unique(joined, axis=0, return_inverse=True)[1].reshape(-1)
    return n_constant, int(code.max()) + 1, z, z_row


def _sparse_summary(array: Any, used: NDArray[np.intp]) -> tuple[int, int, float, int]:
    """Return the same of sparse rows; z of a stored entry is relative to those of its column."""
    rows = sparse.csr_array(array[used], dtype=np.float64, copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    spans = zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
    distinct = {rows.indices[a:b].tobytes() + rows.data[a:b].tobytes() for a, b in spans}
    columns = rows.tocsc()
    n_constant, z, z_row = 0, 0.0, 0
    for j in range(columns.shape[1]):
        span = slice(columns.indptr[j], columns.indptr[j + 1])
        values, at = columns.data[span], columns.indices[span]
        is_full = len(values) == len(used)
        n_constant += len(values) == 0 or (is_full and bool((values == values[0]).all()))
        if len(values):
            full = np.zeros(len(used))
            full[at] = values
            scores = robust_scores(full[:, None])[:, 0]
            if scores.max() > z:
                z, z_row = float(scores.max()), int(scores.argmax())
    return n_constant, len(distinct), z, z_row


def _n_bytes(item: Any) -> int:
    if is_frame(item):
        return int(item.memory_usage(deep=True, index=False).sum())
    if sparse.issparse(item):
        return int(item.data.nbytes + item.indices.nbytes + item.indptr.nbytes)
    n_bytes = int(item.nbytes)
    return n_bytes + sum(map(sys.getsizeof, item.flat)) if item.dtype == object else n_bytes
