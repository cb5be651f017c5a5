"""What one array of a Modalities may be: checks, missing rows, description."""

import math
from collections import Counter
from collections.abc import Sized

import numpy as np
from scipy import sparse

# Kinds of dtype that hold numbers, and those that hold something to be encoded first.
_NUMBERS, _RAW = "fiub", "OUSTmM"

# Entries that `present` reads at a time, so that a memory map is never in memory as a whole.
_CHUNK = 2**18


def check_names(names, n_modalities):
    if names is None:
        return tuple(f"modality{i}" for i in range(n_modalities))
    if not isinstance(names, Sized) or isinstance(names, (str, bytes, set, frozenset)):
        raise TypeError(f"Got names={names!r}, expected a list of {n_modalities} string(s).")
    names = tuple(map(str, names))
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if len(names) != n_modalities:
        raise ValueError(
            f"Got {len(names)} names {names} for {n_modalities} arrays, one each needed."
        )
    if repeated or "" in names:
        wrong = f"names that stand more than once: {repeated}" if repeated else "an empty name"
        raise ValueError(f"Got {wrong}, in {names}. Give each array a name of its own.")
    return names


def check_array(array, name):
    """Return `array` as a numpy array, CSR matrix or DataFrame, or say why it cannot be held."""
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
    if array is None:
        raise ValueError(
            "got None, expected an array. None is allowed only in an estimator's transform; leave "
            "the modality out, or fill the rows that lack it with NaN."
        )
    if isinstance(array, np.ma.MaskedArray):
        raise ValueError(
            "got a masked array, expected a plain one. Fill the rows of samples that lack the "
            "modality with NaN: array.astype(float).filled(np.nan)."
        )
    if sparse.issparse(array):
        return array.tocsr() if array.ndim == 2 else array
    if type(array).__module__.partition(".")[0] == "polars":
        array = _from_polars(array)
    is_plain = isinstance(array, np.ndarray) and not isinstance(array, np.matrix)
    if is_plain or hasattr(array, "columns"):
        # numpy's strings of any length can hold missing values only as objects.
        return array.astype(object) if is_plain and array.dtype.kind == "T" else array
    try:
        if all(hasattr(array, method) for method in ("detach", "cpu", "numpy")):
            return array.detach().cpu().numpy()
        converted = np.asarray(array)
        # numpy writes None and NaN among strings as words; as objects they stay what they are.
        return converted if converted.dtype.kind not in "US" else np.array(array, dtype=object)
    except (TypeError, ValueError, RuntimeError) as exc:
        raise ValueError(
            f"got a {type(array).__name__} that cannot become a numpy array: {exc} Rows need the "
            "same number of features; a torch tensor must be dense, try .float()."
        ) from exc


def _from_polars(array):
    """Return a polars DataFrame as one of pandas, without pyarrow, or a Series as an array."""
    if not hasattr(array, "columns"):
        return array.to_numpy() if hasattr(array, "to_numpy") else array
    import pandas as pd

    return pd.DataFrame({column: array[column].to_numpy() for column in array.columns})


def _dtypes(array):
    return list(array.dtypes) if hasattr(array, "columns") else [array.dtype]


def is_raw(array):
    """Whether an item holds text, categories, dates or objects, which encoders cannot read."""
    return any(dtype.kind in _RAW for dtype in _dtypes(array))


def check_numeric(array, name):
    """Refuse an item that holds anything but numbers, and say what turns it into numbers."""
    try:
        _check_dtypes(array, _NUMBERS)
    except ValueError as exc:
        raise ValueError(f"Modality {name!r}: {exc}") from exc


def _check_dtypes(array, kinds):
    for i, dtype in enumerate(_dtypes(array)):
        is_frame = hasattr(array, "columns")
        got = f"got dtype {dtype}" + (f" in column {array.columns[i]!r}" if is_frame else "")
        if dtype.kind == "c":
            raise ValueError(
                f"{got}, expected real numbers. Complex data not supported; use "
                "np.hstack([X.real, X.imag])."
            )
        if dtype.kind not in kinds:
            raise ValueError(
                f"{got}, expected numbers. Encode it first: PerModality applies a transformer to "
                "each modality, e.g. TfidfVectorizer and TruncatedSVD to text, OneHotEncoder to "
                "categories; use .astype(float) if it holds numbers."
            )


def check_lengths(arrays, names):
    counts = Counter(array.shape[0] for array in arrays)
    if len(counts) == 1:
        return
    hint = "Align the rows, and fill those of samples that lack a modality with NaN."
    for n_samples, _ in counts.most_common():
        odd = {k: a for k, a in zip(names, arrays, strict=True) if a.shape[0] != n_samples}
        if all(array.ndim == 2 and array.shape[1] == n_samples for array in odd.values()):
            hint = f"Is {' and '.join(map(repr, odd))} transposed? Rows are samples: pass its .T."
            break
    lengths = ", ".join(f"{k}: {a.shape[0]}" for k, a in zip(names, arrays, strict=True))
    raise ValueError(f"All modalities need the same number of samples, got {lengths}. {hint}")


def absent_rows(n_samples, width, dtype=np.float64):
    """Sparse rows of samples that lack a modality: a single NaN marks each of them."""
    rows, columns = np.arange(n_samples), np.zeros(n_samples, dtype=int)
    entries = np.full(n_samples, np.nan, dtype=dtype)
    return sparse.csr_array((entries, (rows, columns)), shape=(n_samples, width))


def find_absent(item):
    """Return which rows hold nothing but NaN or None, bool array of shape (n_samples,)."""
    absent = np.zeros(item.shape[0], dtype=bool)
    is_frame = hasattr(item, "iloc")
    if not is_frame and item.dtype.kind in "OmM":
        import pandas as pd

        # It takes an object that is an array itself for one value.
        return pd.isna(item).reshape(len(item), -1).all(axis=1)
    if not is_frame and item.dtype.kind != "f":
        return absent
    if sparse.issparse(item):
        nan_at = np.flatnonzero(np.isnan(item.data[: item.indptr[-1]]))
        row_of = np.searchsorted(item.indptr, nan_at, side="right") - 1
        n_nan = np.bincount(row_of, minlength=len(absent))
        return (n_nan > 0) & (n_nan == np.diff(item.indptr))
    # Only a row that begins with NaN can be all NaN, so most data is never read.
    first = item.iloc[:, 0] if is_frame else item[(slice(None), *[0] * (item.ndim - 1))]
    candidates = np.flatnonzero(first.isna() if is_frame else np.isnan(first))
    step = max(1, _CHUNK // math.prod(item.shape[1:]))
    for start in range(0, len(candidates), step):
        rows = candidates[start : start + step]
        is_nan = item.iloc[rows].isna().to_numpy() if is_frame else np.isnan(item[rows])
        absent[rows] = is_nan.reshape(len(rows), -1).all(axis=1)
    return absent


def to_numpy(frame):
    """Return a numeric DataFrame as a writable array with contiguous rows."""
    if all(isinstance(dtype, np.dtype) for dtype in frame.dtypes):
        # pandas makes object of bool next to float; here numpy's promotion is wanted.
        return np.array(frame.to_numpy(dtype=np.result_type(*frame.dtypes)), order="C")
    return np.array(frame.to_numpy(dtype=np.float64, na_value=np.nan), order="C")


def describe(item):
    """Return features, dtype and kind of an item as text."""
    is_frame = hasattr(item, "iloc")
    dtypes = {str(dtype) for dtype in _dtypes(item)}
    dense = "memmap" if isinstance(item, np.memmap) else "raw" if is_raw(item) else "dense"
    kind = "sparse" if sparse.issparse(item) else "DataFrame" if is_frame else dense
    features = " x ".join(map(str, item.shape[1:])) or "1-D"
    return features, dtypes.pop() if len(dtypes) == 1 else "mixed", kind
