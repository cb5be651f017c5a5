"""The container of modalities, whose rows are samples."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import sparse

from skcentrobind._data.frames import to_numpy
from skcentrobind._data.items import (
    check_array,
    check_rows,
    describe,
    is_frame,
    is_raw,
    raise_lengths,
    take_rows,
)
from skcentrobind._data.labels import align_rows, common_index, labels_of, row_labels
from skcentrobind._data.omics import read_anndata, read_mudata, refuse_container
from skcentrobind._data.per_sample import PerSample, read_groups, read_weights
from skcentrobind._data.statistics import find_missing
from skcentrobind._data.tables import html_table, join_columns, read_columns
from skcentrobind._names import did_you_mean, distinct_names

__all__ = ["Modalities"]


class Modalities:
    """Arrays that describe the same samples: rows are samples, columns are modalities.

    Its length is the number of samples, so scikit-learn splits it over samples, where it would
    split a list over the arrays. It is immutable; ``X[rows]`` and ``X[names]`` make new ones.

    Parameters
    ----------
    arrays : list, tuple, mapping or Modalities
        One array of shape (n_samples, ...) per modality; a mapping (dict, the result of `np.load`,
        an xarray Dataset, ...) brings the names. Numpy arrays with 2 or more dimensions, memory
        maps, CSR matrices and DataFrames are kept without a copy. Other sparse formats become
        CSR, nested lists and torch tensors become numpy arrays, polars frames become DataFrames
        of pandas, an AnnData its `X`. A column of vectors of equal length is stacked. Text and
        other objects may be 1-D; `PerModality` turns them into numbers. A row of NaN in one
        array, or None in place of an object, marks the modality as missing for that sample.
    names : sequence of str of length n_modalities, default=None
        Names, converted with `str` if need be; ``"modality0"``, ``"modality1"``, ... if None.
    ignore_index : bool, default=False
        Whether to match rows by position only, without comparing the row labels of DataFrames.
    groups : array-like of shape (n_samples,), default=None
        Which samples show the same thing: captions of one picture, visits of one patient. Equal
        labels mean the same group; a sample without a label (None, NaN) has a group of its own.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples in losses and scores, at least 0; with 0, a sample is left out.

    Attributes
    ----------
    names : tuple of str of length n_modalities
        Names of the modalities.
    arrays : tuple of array of shape (n_samples, ...)
        The items, in the order of `names`.
    index : pandas.Index of length n_samples or None
        Row labels that all labelled items share; None if there are none, or they differ.
    groups : ndarray of shape (n_samples,) or None
        Labels of the groups, kept by slices, splits, pickles and DataFrames.
    sample_weight : ndarray of float64 of shape (n_samples,) or None
        The weights, kept likewise.

    Raises
    ------
    TypeError
        If `arrays` is not a list or dict of arrays, or `names` is not a list of names.
    ValueError
        If lengths differ, an item is None, empty, complex or 1-D numbers, or names do not fit; if
        DataFrames have the same row labels in another order, or share only some of them. Equal or
        disjoint labels pass, and so do the labels 0, 1, ..., n - 1 beside any other. If `groups` or
        `sample_weight` do not have one value per sample, or have the row labels in another order.

    See Also
    --------
    Modalities.align : Match rows by label.

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

    __slots__ = ("arrays", "names", "per_sample")
    arrays: tuple
    names: tuple[str, ...]
    per_sample: PerSample
    ndim = 2

    def __init__(self, arrays, names=None, *, ignore_index=False, groups=None, sample_weight=None):
        given = arrays
        arrays, names = _unpack(given, names)
        names = check_names(names, len(arrays))
        pairs = list(zip(arrays, names, strict=True))
        items = tuple(a if _is_plain(a) else check_array(a, name) for a, name in pairs)
        if len({item.shape[0] for item in items}) > 1:
            raise_lengths(items, arrays, names)
        known = given.per_sample if isinstance(given, Modalities) else PerSample()
        index = known.index
        if ignore_index:
            index = None
        elif not isinstance(given, Modalities) and not all(
            isinstance(a, np.ndarray) for a in arrays
        ):
            index = common_index(arrays, names)
        n_samples = items[0].shape[0]
        groups = known.groups if groups is None else read_groups(groups, n_samples, index)
        weight = known.sample_weight
        if sample_weight is not None:
            weight = read_weights(sample_weight, n_samples, index)
        _fill(self, items, names, PerSample(index, groups, weight))

    @classmethod
    def align(cls, items, how="inner"):
        """Match the rows of DataFrames by their labels.

        Parameters
        ----------
        items : dict or list of DataFrame or Series of shape (n_rows, ...)
            Each with an index of distinct labels. A list gives the modalities default names.
        how : {"inner", "outer", "left"}, default="inner"
            Keep the samples that all items have, that any has, or that the first one has.

        Returns
        -------
        Modalities
            The samples in order of first appearance, with their labels as `index`. Where an item
            lacks a sample, its row is NaN (None among objects), so that the modality is missing;
            whole numbers and bool then become float.

        Raises
        ------
        ValueError
            If an item has no labels or duplicated ones, items have no label in common, or `how`
            is unknown.

        Examples
        --------
        >>> import pandas as pd
        >>> from skcentrobind import Modalities
        >>> image = pd.DataFrame({"u": [1.0, 2.0]}, index=["p7", "p3"])
        >>> text = pd.DataFrame({"v": [3.0, 4.0]}, index=["p3", "p9"])
        >>> Modalities.align({"image": image, "text": text}, how="outer").to_frame()
        modality image text
        feature      u    v
        p7         1.0  NaN
        p3         2.0  3.0
        p9         NaN  4.0
        """
        arrays, names = _unpack(items, None)
        names = check_names(names, len(arrays))
        labels = labels_of(arrays, names)
        arrays = [check_array(array, name) for array, name in zip(arrays, names, strict=True)]
        return cls._align(arrays, names, labels, how)

    @classmethod
    def from_mudata(cls, mdata, keys=None, *, how="outer"):
        """Take the modalities of a MuData, matched by `obs_names`.

        Parameters
        ----------
        mdata : MuData
            With `axis=0`: its modalities share observations.
        keys : dict of str to str, default=None
            For names of modalities the array to take, as in `from_anndata`; "X" for the others.
        how : {"outer", "inner"}, default="outer"
            Keep all observations, in the order of `mdata.obs_names`, or those that all modalities
            have.

        Returns
        -------
        Modalities
            DataFrames with the variables as columns, CSR matrices where `X` is sparse. Rows of
            observations without the modality are NaN.

        Raises
        ------
        TypeError
            If `mdata` is not a MuData.
        ValueError
            If an array is unknown, names of observations are duplicated, or variables are shared.
        """
        arrays, names, labels = read_mudata(mdata, keys)
        arrays = [check_array(array, name) for array, name in zip(arrays, names, strict=True)]
        X = cls._align(arrays, names, labels, how)
        order = X.index.get_indexer_for(row_labels(mdata))
        return X[order[order >= 0]]

    @classmethod
    def from_anndata(cls, adata, keys):
        """Take several arrays of an AnnData as modalities.

        Parameters
        ----------
        adata : AnnData
            Its observations are the samples.
        keys : dict of str to str
            For names of modalities the array to take: "X", "layers/<name>" or "obsm/<name>".

        Returns
        -------
        Modalities
            A DataFrame for a dense "X" or layer, with the variables as columns, a CSR matrix for a
            sparse one, an array for an entry of `obsm`; `index` holds `obs_names`.

        Raises
        ------
        TypeError
            If `adata` is not an AnnData, or `keys` not a dict.
        ValueError
            If it has no such array.
        """
        X = cls(read_anndata(adata, keys), ignore_index=True)
        return from_checked(X.arrays, X.names, PerSample(row_labels(adata)))

    @classmethod
    def _align(cls, arrays, names, labels, how):
        index, positions = align_rows(labels, names, how)
        pairs = zip(arrays, positions, names, strict=True)
        return from_checked([take_rows(*pair, index) for pair in pairs], names, PerSample(index))

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
            categories stays a DataFrame. The columns ("", "groups") and ("", "sample_weight"), if
            there are any, are no modality.

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
        blocks, own = read_columns(df)
        X = cls(list(blocks.values()), list(blocks), ignore_index=True, **own)
        arrays = [to_numpy(a) if is_frame(a) and not is_raw(a) else a for a in X.arrays]
        return from_checked(arrays, X.names, X.per_sample._replace(index=df.index))

    def to_frame(self, index=None):
        """Put the modalities side by side in a DataFrame with two-level columns.

        Parameters
        ----------
        index : array-like of shape (n_samples,), default=None
            Row labels; None takes those of the attribute `index`, or ``0, 1, ...``.

        Returns
        -------
        DataFrame of shape (n_samples, n_features_total)
            Features have the numbers ``0, 1, ...``, or the column names of a DataFrame item. Groups
            and weights are the last columns, ("", "groups") and ("", "sample_weight").

        Raises
        ------
        ValueError
            If an item is sparse, has more than 2 dimensions or has two-level columns itself.
        """
        labels = self.index if index is None else index
        index = range(len(self)) if labels is None else labels
        return join_columns(dict(self.items()), index, self.per_sample)

    @property
    def index(self):
        """Row labels of the samples, None if they have none."""
        return self.per_sample.index

    @property
    def groups(self):
        """Labels of the groups, ndarray of shape (n_samples,) or None."""
        return self.per_sample.groups

    @property
    def sample_weight(self):
        """Weights of the samples, ndarray of float64 of shape (n_samples,) or None."""
        return self.per_sample.sample_weight

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
            return from_checked([self.arrays[i] for i in columns], names, self.per_sample)
        rows = check_rows(rows, len(self))
        taken = [x.iloc[rows] if is_frame(x) else x[rows] for x in self.arrays]
        return from_checked(taken, self.names, self.per_sample.take(rows))

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
        return f"Modalities({self.per_sample.describe(len(self))}: {', '.join(parts)})"

    def _repr_html_(self):
        return html_table(self.per_sample.describe(len(self)), self.items())

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
        """Return items, names, row labels, groups and weights."""
        # Frames hold the labels already, and pandas copies an index that it returns.
        in_frames = self.index is not None and any(map(is_frame, self.arrays))
        index = True if in_frames else self.index
        return self.arrays, self.names, index, self.groups, self.sample_weight

    def __setstate__(self, state):
        """Fill in the state; older pickles have no row labels, groups or weights."""
        arrays, names, index, groups, weight = (*state, None, None, None)[:5]
        if index is True:
            index = next(item.index for item in arrays if is_frame(item))
        _fill(self, arrays, names, PerSample(index, groups, weight))

    def _position(self, name):
        if name in self:
            return self.names.index(name)
        name = str(name)
        hint = did_you_mean(name, self.names)
        raise KeyError(f"No modality named {name!r}, expected one of {list(self.names)}.{hint}")


def from_checked(arrays, names, per_sample=None):
    """Make a container of items that have passed all checks before.

    Repeating the checks would cost more than a small batch.

    Parameters
    ----------
    arrays : sequence of array of shape (n_samples, ...)
        The items.
    names : sequence of str
        Their names.
    per_sample : PerSample, default=None
        Row labels, groups and weights; None for none.

    Returns
    -------
    Modalities
    """
    return _fill(object.__new__(Modalities), tuple(arrays), tuple(names), per_sample or PerSample())


def _fill(container, arrays, names, per_sample):
    object.__setattr__(container, "arrays", arrays)
    object.__setattr__(container, "names", names)
    object.__setattr__(container, "per_sample", per_sample)
    return container


def _unpack(arrays, names):
    """Split the input of the constructor into a list of arrays and their names."""
    if isinstance(arrays, Modalities):
        arrays = dict(arrays.items())
    # A dok_matrix is a dict too.
    if sparse.issparse(arrays) or not isinstance(arrays, (list, tuple, Mapping)):
        refuse_container(arrays)
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


def default_names(n_modalities):
    """Return ("modality0", "modality1", ...)."""
    return tuple(f"modality{m}" for m in range(n_modalities))


def check_names(names, n_modalities):
    """Return the names as a tuple of distinct str, "modality0", ... for None."""
    if names is None:
        return default_names(n_modalities)
    are_checked = type(names) is tuple and all(type(name) is str and name for name in names)
    if are_checked and len(set(names)) == len(names) == n_modalities:
        return names
    return distinct_names(names, n_modalities)


def _is_plain(array):
    """Return whether an array of numbers needs no conversion and has no fault."""
    is_numeric = type(array) is np.ndarray and array.dtype.kind in "fiub"
    return is_numeric and array.ndim > 1 and array.size > 0
