"""The container of modalities, whose rows are samples, and the rules for its items."""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Mapping, Sized

import numpy as np
from scipy import sparse

from skcentrobind._data.frames import from_polars, to_numpy
from skcentrobind._names import did_you_mean

__all__ = ["Modalities"]

# Kinds of dtype that hold numbers, and those that hold something to be encoded first.
_NUMBERS, _RAW = "fiub", "OUSTmM"

# Entries that `present` reads at a time, so that a memory map is never in memory as a whole.
_CHUNK = 2**18


class Modalities:
    """Arrays that describe the same samples: rows are samples, columns are modalities.

    Its length is the number of samples, so scikit-learn splits it over samples, where it would
    split a list over the arrays. It is immutable; ``X[rows]`` and ``X[names]`` make new ones.

    Parameters
    ----------
    arrays : list, tuple, dict or Modalities
        One array of shape (n_samples, ...) per modality; a dict brings the names. Numpy arrays
        with 2 or more dimensions, memory maps, CSR matrices and DataFrames are kept without a
        copy. Other sparse formats become CSR, nested lists and torch tensors become numpy
        arrays, polars frames become DataFrames of pandas. Text and other objects may be 1-D;
        `PerModality` turns them into numbers. A row of NaN in one array, or None in place of an
        object, marks the modality as missing for that sample.
    names : sequence of str of length n_modalities, default=None
        Names, converted with `str` if need be; ``"modality0"``, ``"modality1"``, ... if None.

    Attributes
    ----------
    names : tuple of str of length n_modalities
        Names of the modalities.
    arrays : tuple of array of shape (n_samples, ...)
        The items, in the order of `names`.

    Raises
    ------
    TypeError
        If `arrays` is not a list or dict of arrays, or `names` is not a list of names.
    ValueError
        If lengths differ, an item is None, empty, complex or 1-D numbers, or names do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from skcentrobind import Modalities
    >>> X = Modalities({"image": np.ones((6, 8, 8)), "text": np.zeros((6, 3))})
    >>> X[[0, 5]]
    Modalities(2 samples: image (8 x 8), text (3))
    >>> X["text"].shape
    (6, 3)
    """

    __slots__ = ("arrays", "names")
    arrays: tuple
    names: tuple[str, ...]
    ndim = 2

    def __init__(self, arrays, names=None):
        arrays, names = _unpack(arrays, names)
        names = check_names(names, len(arrays))
        _fill(self, tuple(map(check_array, arrays, names)), names)
        _check_lengths(self.arrays, names)

    @classmethod
    def from_frame(cls, df):
        """Cut a DataFrame with two-level columns (modality, feature) into modalities.

        Parameters
        ----------
        df : DataFrame of shape (n_samples, n_features_total)
            The columns of one modality need not be adjacent.

        Returns
        -------
        Modalities
            One 2-D numpy array per modality, in order of first appearance; a modality with text or
            categories stays a DataFrame.

        Raises
        ------
        ValueError
            If `df` is not a DataFrame with two-level columns, or a column cannot be held.
        """
        if getattr(getattr(df, "columns", None), "nlevels", 0) != 2:
            raise ValueError(
                f"Expected a DataFrame with two-level columns, got {type(df).__name__} without. "
                'Use pd.concat({"image": df1, "text": df2}, axis=1), or cut flat columns yourself: '
                'Modalities({"image": df[image_columns], ...}).'
            )
        positions = {}
        for i, name in enumerate(df.columns.get_level_values(0)):
            positions.setdefault(name, []).append(i)
        blocks = [check_array(df.iloc[:, at], str(name)) for name, at in positions.items()]
        arrays = [b.droplevel(0, axis=1) if is_raw(b) else to_numpy(b) for b in blocks]
        return cls(arrays, list(positions))

    def to_frame(self, index=None):
        """Put the modalities side by side in a DataFrame with two-level columns.

        Parameters
        ----------
        index : array-like of shape (n_samples,), default=None
            Row labels; ``0, 1, ...`` if None, also where an item is a DataFrame.

        Returns
        -------
        DataFrame of shape (n_samples, n_features_total)
            Features have the numbers ``0, 1, ...``, or the column names of a DataFrame item.

        Raises
        ------
        ValueError
            If an item is sparse, has more than 2 dimensions or has two-level columns itself.
        """
        import pandas as pd

        frames = {}
        for name, item in self.items():
            nested = is_frame(item) and item.columns.nlevels > 1
            if sparse.issparse(item) or item.ndim > 2 or nested:
                raise ValueError(
                    f"Modality {name!r} ({', '.join(describe(item))}) does not fit in a DataFrame,"
                    " expected a dense 2-D array. Use .toarray() (sparse), .reshape(len(X), -1) "
                    "(n-D), Modalities.from_frame (two-level columns), or leave it out: X[[names]]."
                )
            rows = range(len(self)) if index is None else index
            frames[name] = pd.DataFrame(item).set_axis(rows, axis=0)
        return pd.concat(frames, axis=1, names=["modality", "feature"])

    @property
    def n_modalities(self):
        """Number of modalities."""
        return len(self.arrays)

    @property
    def n_features(self):
        """Number of features of each modality, a list; 64 for an (n, 8, 8) array, 1 for text."""
        return [math.prod(item.shape[1:]) for item in self.arrays]

    @property
    def shape(self):
        """Number of samples, and number of features of all modalities together."""
        return len(self), sum(self.n_features)

    @property
    def present(self):
        """Which sample has which modality, bool array of shape (n_samples, n_modalities).

        False where a whole row is NaN or None (sparse: where it stores entries and all are NaN).
        """
        return np.column_stack([~find_missing(item) for item in self.arrays])

    def items(self):
        """Iterate over the modalities.

        Returns
        -------
        iterator of (str, array of shape (n_samples, ...))
            Pairs (name, array).
        """
        return zip(self.names, self.arrays, strict=True)

    def __len__(self):
        """Return the number of samples."""
        return self.arrays[0].shape[0]

    def __getitem__(self, key):
        """Return the array of one name, or the Modalities of some rows or a list of names."""
        if isinstance(key, tuple):
            # scikit-learn's _safe_indexing uses X[rows, ...].
            if len(key) != 2 or key[1] is not Ellipsis:
                raise IndexError(
                    f'Got keys {key!r}, expected one: X[rows], X["a"] or X[["a", "b"]].'
                )
            key = key[0]
        if isinstance(key, str):
            return self.arrays[self._position(key)]
        rows = key if isinstance(key, slice) else np.asarray(key)
        if getattr(rows, "ndim", 0) == 1 and rows.size and isinstance(rows[0], str):
            columns = [self._position(name) for name in key]
            names = check_names([self.names[i] for i in columns], len(columns))
            return from_checked([self.arrays[i] for i in columns], names)
        rows = _check_rows(rows, len(self))
        taken = [x.iloc[rows] if is_frame(x) else x[rows] for x in self.arrays]
        return from_checked(taken, self.names)

    def __contains__(self, name):
        """Return whether a modality has this name."""
        return isinstance(name, str) and name in self.names

    def __iter__(self):
        """Refuse to iterate: len counts samples, so a loop over either would mislead."""
        raise TypeError("Cannot iterate Modalities: loop over X.arrays, X.items() or X[i].arrays.")

    __reversed__ = None

    def __array__(self, dtype=None, copy=None):
        """Refuse to become one array: each modality has its own encoder."""
        raise TypeError(
            f"Expected one array, got {self!r}. Apply this step to each of its arrays before, or "
            "to what the binding transformer returns; np.hstack(X.arrays) joins 2-D arrays."
        )

    def __repr__(self):
        """Return the number of samples and the features of each modality."""
        parts = []
        for name, item in self.items():
            features, _, kind = describe(item)
            kind = "" if kind == "dense" else f", {kind}"
            parts.append(f"{name} ({features}{kind})")
        unit = "sample" if len(self) == 1 else "samples"
        return f"Modalities({len(self)} {unit}: {', '.join(parts)})"

    def _repr_html_(self):
        rows = [("modality", "features", "dtype", "kind")]
        rows += [(name, *describe(item)) for name, item in self.items()]
        cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"<table><caption>Modalities: {len(self)} samples</caption>{body}</table>"

    def __setattr__(self, name, value):
        """Refuse to change: other objects rely on the checks of the constructor."""
        raise AttributeError(
            f"Modalities are immutable, so {name!r} cannot be set: make new ones with "
            "Modalities({**dict(X.items()), ...})."
        )

    def __delattr__(self, name):
        """Refuse to change, too."""
        setattr(self, name, None)

    def __getstate__(self):
        """Return items and names."""
        return self.arrays, self.names

    def __setstate__(self, state):
        """Fill in items and names."""
        _fill(self, *state)

    def _position(self, name):
        if name in self:
            return self.names.index(name)
        name = str(name)
        hint = did_you_mean(name, self.names)
        raise KeyError(f"No modality named {name!r}, expected one of {list(self.names)}.{hint}")


def from_checked(arrays, names):
    """Make a container of items that have passed all checks before.

    Repeating the checks would cost more than a small batch.

    Parameters
    ----------
    arrays : sequence of array of shape (n_samples, ...)
        The items.
    names : sequence of str
        Their names.

    Returns
    -------
    Modalities
    """
    return _fill(object.__new__(Modalities), tuple(arrays), tuple(names))


def _fill(container, arrays, names):
    object.__setattr__(container, "arrays", arrays)
    object.__setattr__(container, "names", names)
    return container


def _unpack(arrays, names):
    """Split the input of the constructor into a list of arrays and their names."""
    if isinstance(arrays, Modalities):
        arrays = dict(arrays.items())
    # A dok_matrix is a dict too.
    if sparse.issparse(arrays) or not isinstance(arrays, (list, tuple, Mapping)):
        shape = f" of shape {tuple(arrays.shape)}" if hasattr(arrays, "shape") else ""
        raise TypeError(
            f"Got a single {type(arrays).__name__}{shape}, expected a list or dict of arrays. Wrap "
            "one modality in a list: Modalities([X]); for a stack of modalities pass list(X), for "
            "two-level columns use Modalities.from_frame."
        )
    if isinstance(arrays, Mapping):
        if names is not None:
            raise ValueError(
                f"Got names={names!r}, but arrays brings its own names {list(arrays)}. Leave names "
                "out; select with X[[names]], rename with Modalities(X.arrays, names=...)."
            )
        names, arrays = list(arrays), list(arrays.values())
    if len(arrays) == 0:
        raise ValueError("Got no array, expected at least one: Modalities([X_image, X_text]).")
    return arrays, names


def _check_rows(rows, n_samples):
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


def default_names(n_modalities):
    """Return ("modality0", "modality1", ...)."""
    return tuple(f"modality{m}" for m in range(n_modalities))


def check_names(names, n_modalities):
    """Return the names as a tuple of distinct str, "modality0", ... for None."""
    if names is None:
        return default_names(n_modalities)
    if not isinstance(names, Sized) or isinstance(names, (str, bytes, set, frozenset)):
        raise TypeError(f"Got names={names!r}, expected a list of {n_modalities} string(s).")
    names = tuple(map(str, names))
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if len(names) != n_modalities:
        raise ValueError(
            f"Got {len(names)} names {names} for {n_modalities} arrays, expected one per array."
        )
    if repeated or "" in names:
        wrong = f"duplicate names: {repeated}" if repeated else "an empty name"
        raise ValueError(f"Got {wrong}, in {names}. Give each array a name of its own.")
    return names


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
    if array is None:
        raise ValueError(
            "got None, expected an array. None is allowed only in an estimator's transform; leave "
            "the modality out, or fill the rows of samples without it with NaN."
        )
    if isinstance(array, np.ma.MaskedArray):
        raise ValueError(
            "got a masked array, expected a plain one. Fill the rows of samples without the "
            "modality with NaN: array.astype(float).filled(np.nan)."
        )
    if sparse.issparse(array):
        return array.tocsr() if array.ndim == 2 else array
    if type(array).__module__.partition(".")[0] == "polars":
        array = from_polars(array)
    is_plain = isinstance(array, np.ndarray) and not isinstance(array, np.matrix)
    if is_plain or is_frame(array):
        # numpy's strings of any length can hold missing values only as objects.
        return array.astype(object) if is_plain and array.dtype.kind == "T" else array
    try:
        if all(hasattr(array, method) for method in ("detach", "cpu", "numpy")):
            tensor = array.detach().cpu()
            # numpy has no bfloat16.
            return (tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy()
        converted = np.asarray(array)
        # numpy writes None and NaN among strings as words; as objects they stay what they are.
        return converted if converted.dtype.kind not in "US" else np.array(array, dtype=object)
    except (TypeError, ValueError, RuntimeError) as exc:
        raise ValueError(
            f"got a {type(array).__name__} that cannot become a numpy array: {exc} Rows need the "
            "same number of features; a torch tensor must be dense, try .float()."
        ) from exc


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
            raise ValueError(
                f"{got}, expected numbers. Encode it first: PerModality applies a transformer to "
                "each modality, e.g. TfidfVectorizer and TruncatedSVD to text, OneHotEncoder to "
                "categories; use .astype(float) if it holds numbers."
            )


def _check_lengths(arrays, names):
    counts = Counter(array.shape[0] for array in arrays)
    if len(counts) == 1:
        return
    hint = "Align the rows, and fill those of samples without the modality with NaN."
    for n_samples, _ in counts.most_common():
        odd = {k: a for k, a in zip(names, arrays, strict=True) if a.shape[0] != n_samples}
        if all(array.ndim == 2 and array.shape[1] == n_samples for array in odd.values()):
            hint = f"Is {' and '.join(map(repr, odd))} transposed? Rows are samples: pass its .T."
            break
    lengths = ", ".join(f"{k}: {a.shape[0]}" for k, a in zip(names, arrays, strict=True))
    raise ValueError(f"All modalities need the same number of samples, got {lengths}. {hint}")


def missing_rows(n_samples, width, dtype=np.float64):
    """Return sparse rows for samples whose modality is missing: one stored NaN marks each."""
    rows, columns = np.arange(n_samples), np.zeros(n_samples, dtype=int)
    entries = np.full(n_samples, np.nan, dtype=dtype)
    return sparse.csr_array((entries, (rows, columns)), shape=(n_samples, width))


def find_missing(item):
    """Return which rows are missing, all NaN or None, as a bool array of shape (n_samples,)."""
    missing, has_columns = np.zeros(item.shape[0], dtype=bool), is_frame(item)
    if not has_columns and item.dtype.kind in "OmM":
        import pandas as pd

        # It treats an object that is itself an array as one value.
        return pd.isna(item).reshape(len(item), -1).all(axis=1)
    if not has_columns and item.dtype.kind != "f":
        return missing
    if sparse.issparse(item):
        nan_at = np.flatnonzero(np.isnan(item.data[: item.indptr[-1]]))
        row_of = np.searchsorted(item.indptr, nan_at, side="right") - 1
        n_nan = np.bincount(row_of, minlength=len(missing))
        return (n_nan > 0) & (n_nan == np.diff(item.indptr))
    # Only a row that begins with NaN can be all NaN, so most data is never read.
    first = item.iloc[:, 0] if has_columns else item[(slice(None), *[0] * (item.ndim - 1))]
    candidates = np.flatnonzero(first.isna() if has_columns else np.isnan(first))
    step = max(1, _CHUNK // math.prod(item.shape[1:]))
    for start in range(0, len(candidates), step):
        rows = candidates[start : start + step]
        is_nan = item.iloc[rows].isna().to_numpy() if has_columns else np.isnan(item[rows])
        missing[rows] = is_nan.reshape(len(rows), -1).all(axis=1)
    return missing


def describe(item):
    """Return features, dtype and kind of an item as text."""
    dtypes = {str(dtype) for dtype in _dtypes(item)}
    dense = "memmap" if isinstance(item, np.memmap) else "raw" if is_raw(item) else "dense"
    kind = "sparse" if sparse.issparse(item) else "DataFrame" if is_frame(item) else dense
    features = " x ".join(map(str, item.shape[1:])) or "1-D"
    return features, dtypes.pop() if len(dtypes) == 1 else "mixed", kind
