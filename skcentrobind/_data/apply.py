"""Apply a transformer to the samples that have its modality; the others become rows of NaN."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, get_tags

from skcentrobind._data.items import check_array, is_frame, is_raw, missing_rows
from skcentrobind._data.statistics import find_missing


def is_word(transformer, word):
    """Return whether a transformer is the string "drop" or "passthrough"."""
    return isinstance(transformer, str) and transformer == word


def read_pairs(transformers):
    """Return (modality, transformer) pairs of a dict or a list of such pairs.

    Parameters
    ----------
    transformers : dict or list of tuple
        The parameter `transformers`.

    Returns
    -------
    pairs : list of (str, object) tuples
        In the given order; a list may contain duplicate names.

    Raises
    ------
    TypeError
        If it is neither a dict nor a list of pairs.
    """
    if isinstance(transformers, Mapping):
        return [(str(name), transformer) for name, transformer in transformers.items()]
    if not isinstance(transformers, list | tuple):
        raise TypeError(
            f"transformers={transformers!r} must be a dict, from names of modalities to "
            'transformers, "drop" or "passthrough", or a list of (modality, transformer) pairs.'
        )
    for i, pair in enumerate(transformers):
        is_tuple = isinstance(pair, list | tuple)
        if is_tuple and len(pair) == 2 and isinstance(pair[0], str):
            continue
        hint = ""
        if is_tuple and len(pair) == 3:
            hint = " The modality replaces the columns of ColumnTransformer's triples."
        elif is_tuple and len(pair) == 2:
            hint = " The name, a string, comes first."
        elif isinstance(transformers[0], str):
            hint = " Put a single pair into a list."
        raise TypeError(
            f"transformers[{i}] is {pair!r}, expected a (modality, transformer) pair.{hint}"
        )
    return [tuple(pair) for pair in transformers]


def check_transformer(name, transformer):
    """Refuse what is neither a transformer nor "drop" or "passthrough"."""
    if is_word(transformer, "drop") or is_word(transformer, "passthrough"):
        return
    can_fit = hasattr(transformer, "fit") or hasattr(transformer, "fit_transform")
    if isinstance(transformer, type) or not (can_fit and hasattr(transformer, "transform")):
        raise TypeError(
            f"The transformer of '{name}' is {transformer!r}, expected an instance with fit and "
            'transform, "drop" or "passthrough".'
        )


def fit_transform_present(transformer, name, item, y, params=None):
    """Fit a clone on the rows that have the modality.

    Parameters
    ----------
    transformer : transformer or "passthrough"
        It is cloned.
    name : str
        The modality.
    item : array of shape (n_samples, ...)
        Its rows, some of which may be missing.
    y : array-like of shape (n_samples,) or None
        Passed on.
    params : dict of str to dict, default=None
        Metadata by method of the transformer, such as weights of the samples.

    Returns
    -------
    transformer : transformer or "passthrough"
        The fitted clone.
    out : array of shape (n_samples, n_features)
        Transformed rows, NaN where they are missing.
    """
    if is_word(transformer, "passthrough"):
        return transformer, item
    present = ~find_missing(item)
    if not present.any():
        raise ValueError(
            f"Modality '{name}' is present in 0 of {len(present)} samples, so that its transformer "
            'cannot be fitted; leave the modality out, or set it to "drop".'
        )
    transformer = clone(transformer)
    some = _present_rows(transformer, item, present)
    y = y if y is None or present.all() else _safe_indexing(y, np.flatnonzero(present))
    params = params or {}
    try:
        if hasattr(transformer, "fit_transform"):
            own = present_metadata(params.get("fit_transform"), present)
            out = transformer.fit_transform(some, y, **own)
        else:
            transformer.fit(some, y, **present_metadata(params.get("fit"), present))
            own = present_metadata(params.get("transform"), present)
            out = transformer.transform(some, **own)
    except Exception as exc:
        _add_name(exc, name)
        raise
    if isinstance(out, tuple):
        out = out[0]  # PLSRegression and its like return the scores of y, too
    return transformer, _restore(out, name, item, present)


def present_metadata(metadata, present):
    """Cut metadata that have one entry per sample to the samples that have a modality.

    Parameters
    ----------
    metadata : dict of str to object or None
        Metadata of one method.
    present : ndarray of bool of shape (n_samples,)
        Which samples have the modality.

    Returns
    -------
    metadata : dict of str to object
    """
    if present.all():
        return dict(metadata or {})
    rows = np.flatnonzero(present)
    return {
        key: _safe_indexing(value, rows) if _n_entries(value) == len(present) else value
        for key, value in (metadata or {}).items()
    }


def _n_entries(value):
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__"):
        return None
    return value.shape[0] if getattr(value, "shape", ()) else len(value)


def transform_present(transformer, name, item, like, params=None):
    """Apply a fitted transformer to the rows that have the modality.

    Parameters
    ----------
    transformer : transformer or "passthrough"
        Fitted.
    name : str
        The modality.
    item : array of shape (n_samples, ...)
        Its rows, some of which may be missing.
    like : array of shape (1, n_features)
        One row of the output of fit.
    params : dict of str to dict, default=None
        Metadata by method of the transformer.

    Returns
    -------
    out : array of shape (n_samples, n_features)
        Transformed rows, NaN where they are missing.
    """
    if is_word(transformer, "passthrough"):
        return item
    present = ~find_missing(item)
    if not present.any():
        return _insert_missing(like[:0], item, present)
    try:
        own = present_metadata((params or {}).get("transform"), present)
        out = transformer.transform(_present_rows(transformer, item, present), **own)
    except Exception as exc:
        _add_name(exc, name)
        raise
    return _restore(out, name, item, present)


def _add_name(exc, name):
    exc.add_note(f"This was the transformer of modality '{name}' in PerModality.")


def _present_rows(transformer, item, present):
    """Return the rows that have the modality; one column of text becomes 1-D if need be."""
    if not present.all():
        item = item.iloc[present] if is_frame(item) else item[present]
    while isinstance(transformer, Pipeline):
        transformer = transformer.steps[0][1]
    takes_2d = not hasattr(transformer, "__sklearn_tags__") or (
        get_tags(transformer).input_tags.two_d_array
    )
    if not takes_2d and item.shape[1:] == (1,) and is_raw(item):
        return np.asarray(item, dtype=object)[:, 0]
    return item


def _restore(out, name, item, present):
    """Check the output of a transformer, and insert rows of NaN where the modality is missing."""
    out = check_array(out, name)
    if out.shape[0] != present.sum():
        raise ValueError(
            f"The transformer of modality '{name}' returned {out.shape[0]} rows for "
            f"{present.sum()} samples. It must keep the samples: leave out steps that drop or "
            "repeat rows."
        )
    return out if present.all() else _insert_missing(out, item, present)


def _insert_missing(out, item, present):
    """Insert rows of NaN for samples in which the modality is missing."""
    if sparse.issparse(out):
        nan_row = missing_rows(1, out.shape[1], np.result_type(out.dtype, np.float32))
        rows = np.where(present, np.cumsum(present) - 1, out.shape[0])
        return sparse.vstack([out, nan_row], format="csr")[rows]
    if is_frame(out):
        # The frame has no row -1, so reindex fills it with NaN.
        rows = np.where(present, np.cumsum(present) - 1, -1)
        index = item.index if is_frame(item) else range(len(present))
        return out.reset_index(drop=True).reindex(rows).set_axis(index, axis=0)
    if is_raw(out):
        full = np.full((len(present), *out.shape[1:]), None, dtype=object)
    else:
        dtype = np.result_type(out.dtype, np.float32)
        full = np.full((len(present), *out.shape[1:]), np.nan, dtype=dtype)
    full[present] = out
    return full
