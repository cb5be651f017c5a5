"""The container: rows are samples, columns are modalities."""

import difflib
import html
import math
from collections.abc import Mapping

import numpy as np
from scipy import sparse

from skcentrobind._data.items import (
    check_array,
    check_lengths,
    check_names,
    describe,
    find_absent,
    is_raw,
    to_numpy,
)

__all__ = ["Modalities"]


class Modalities:
    """Arrays that describe the same samples: rows are samples, columns are modalities.

    Its length is the number of samples, so scikit-learn splits it over samples, where it would
    split a list over the arrays. It cannot be changed; ``X[rows]`` and ``X[names]`` make new ones.

    Parameters
    ----------
    arrays : list, tuple, dict or Modalities
        One array of shape (n_samples, ...) per modality; a dict brings the names. Numpy arrays
        with 2 or more dimensions, memory maps, CSR matrices and DataFrames are kept without a
        copy. Other sparse formats become CSR, nested lists and torch tensors become numpy
        arrays, polars frames become DataFrames of pandas. Text and other objects may be 1-D, and
        wait for `PerModality` to make numbers of them. A row of NaN in one array, or None in
        place of an object, means that the sample lacks this modality.
    names : sequence of str of length n_modalities, default=None
        Names, converted with `str` if need be; ``"modality0"``, ``"modality1"``, ... if None.

    Raises
    ------
    TypeError
        If `arrays` is not a list or dict of arrays, or `names` is not a list of names.
    ValueError
        If lengths differ, an item is absent, empty, complex or of 1-D numbers, or names do not
        fit.

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

    __slots__ = ("_arrays", "_names")
    ndim = 2

    def __init__(self, arrays, names=None):
        arrays, names = _unpack(arrays, names)
        self._names = check_names(names, len(arrays))
        self._arrays = tuple(map(check_array, arrays, self._names))
        check_lengths(self._arrays, self._names)

    @classmethod
    def from_frame(cls, df):
        """Cut a DataFrame with two-level columns (modality, feature) into modalities.

        Parameters
        ----------
        df : DataFrame of shape (n_samples, n_features_total)
            The columns of one modality need not stand side by side.

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
            nested = hasattr(item, "iloc") and item.columns.nlevels > 1
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
    def names(self):
        """Names of the modalities, a tuple of str."""
        return self._names

    @property
    def arrays(self):
        """The arrays, a tuple in the order of `names`."""
        return self._arrays

    @property
    def n_modalities(self):
        """Number of modalities."""
        return len(self._arrays)

    @property
    def n_features(self):
        """Number of features of each modality, a list; 64 for an (n, 8, 8) array, 1 for text."""
        return [math.prod(item.shape[1:]) for item in self._arrays]

    @property
    def shape(self):
        """Number of samples, and number of features of all modalities together."""
        return len(self), sum(self.n_features)

    @property
    def present(self):
        """Which sample has which modality, bool array of shape (n_samples, n_modalities).

        False where a whole row is NaN or None (sparse: where it stores entries and all are NaN).
        """
        return np.column_stack([~find_absent(item) for item in self._arrays])

    def items(self):
        """Iterate over the modalities.

        Returns
        -------
        iterator of (str, array of shape (n_samples, ...))
            Pairs (name, array).
        """
        return zip(self._names, self._arrays, strict=True)

    def __len__(self):
        """Return the number of samples."""
        return self._arrays[0].shape[0]

    def __getitem__(self, key):
        """Return the array of one name, or the Modalities of some rows or a list of names."""
        if isinstance(key, tuple):
            # sklearn's _safe_indexing asks for X[rows, ...].
            if len(key) != 2 or key[1] is not Ellipsis:
                raise IndexError(
                    f'Got keys {key!r}, expected one: X[rows], X["a"] or X[["a", "b"]].'
                )
            key = key[0]
        if isinstance(key, str):
            return self._arrays[self._position(key)]
        rows = key if isinstance(key, slice) else np.asarray(key)
        if getattr(rows, "ndim", 0) == 1 and rows.size and isinstance(rows[0], str):
            columns = [self._position(name) for name in key]
            names = check_names([self._names[i] for i in columns], len(columns))
            return self._new([self._arrays[i] for i in columns], names)
        rows = _check_rows(rows, len(self))
        taken = [x.iloc[rows] if hasattr(x, "iloc") else x[rows] for x in self._arrays]
        return self._new(taken, self._names)

    def __contains__(self, name):
        """Return whether a modality has this name."""
        return isinstance(name, str) and name in self._names

    def __iter__(self):
        """Refuse: len counts samples, so a loop over either would mislead."""
        raise TypeError("Cannot iterate Modalities: loop over X.arrays, X.items() or X[i].arrays.")

    __reversed__ = None

    def __array__(self, dtype=None, copy=None):
        """Refuse: each modality has its own encoder."""
        raise TypeError(
            f"Expected one array, got {self!r}. Apply this step to each of its arrays before, or "
            "to what the binding transformer returns; np.hstack(X.arrays) joins 2-D arrays."
        )

    def __repr__(self):
        """Return the number of samples and the features of each modality."""
        parts = []
        for name, item in self.items():
            features, _, kind = describe(item)
            parts.append(
                f"{name} ({features})" if kind == "dense" else f"{name} ({features}, {kind})"
            )
        unit = "sample" if len(self) == 1 else "samples"
        return f"Modalities({len(self)} {unit}: {', '.join(parts)})"

    def _repr_html_(self):
        rows = [("modality", "features", "dtype", "kind")]
        rows += [(name, *describe(item)) for name, item in self.items()]
        cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"<table><caption>Modalities: {len(self)} samples</caption>{body}</table>"

    def _new(self, arrays, names):
        # The arrays passed all checks before; to repeat them would cost more than a small batch.
        new = object.__new__(type(self))
        new._arrays, new._names = tuple(arrays), names
        return new

    def _position(self, name):
        if name in self:
            return self._names.index(name)
        name = str(name)
        close = difflib.get_close_matches(name, self._names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise KeyError(f"No modality named {name!r}, expected one of {list(self._names)}.{hint}")


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
