"""Modalities side by side: in a DataFrame with two-level columns, and in a page."""

from __future__ import annotations

import html

from scipy import sparse

from skcentrobind._data.items import describe, is_frame

#: The top label of the columns of groups and weights; no modality can have it.
NO_MODALITY = ""
_PER_SAMPLE = ("groups", "sample_weight")


def read_columns(df):
    """Cut a DataFrame with two-level columns into modalities, and groups and weights.

    Parameters
    ----------
    df : DataFrame of shape (n_samples, n_features_total)
        As `join_columns` returns it.

    Returns
    -------
    blocks : dict of object to DataFrame
        As in `split_columns`.
    own : dict of str to Series of length n_samples
        "groups" and "sample_weight", if `df` has them.

    Raises
    ------
    ValueError
        If there are other columns without a modality.
    """
    blocks = split_columns(df)
    columns = blocks.pop(NO_MODALITY, None)
    if columns is None:
        return blocks, {}
    unknown = [name for name in columns if name not in _PER_SAMPLE]
    if unknown or columns.shape[1] > len(set(columns)):
        raise ValueError(
            f"The columns without a modality are {[(NO_MODALITY, name) for name in columns]}, but "
            f"can only be {[(NO_MODALITY, name) for name in _PER_SAMPLE]}, once each. Name the "
            "modality of the others."
        )
    return blocks, {name: columns[name] for name in columns}


def split_columns(df):
    """Cut a DataFrame with two-level columns into one DataFrame per modality.

    Parameters
    ----------
    df : DataFrame of shape (n_samples, n_features_total)
        The columns of one modality need not be adjacent.

    Returns
    -------
    blocks : dict of object to DataFrame
        In order of first appearance, with the features as columns.
    """
    positions = {}
    for i, name in enumerate(df.columns.get_level_values(0)):
        positions.setdefault(name, []).append(i)
    return {name: df.iloc[:, at].droplevel(0, axis=1) for name, at in positions.items()}


def join_columns(items, index, per_sample):
    """Put items side by side in a DataFrame with two-level columns.

    Parameters
    ----------
    items : dict of str to array of shape (n_samples, ...)
        The modalities.
    index : sequence of length n_samples
        Row labels.
    per_sample : PerSample
        Groups and weights, which come last.

    Returns
    -------
    df : DataFrame of shape (n_samples, n_features_total)
    """
    import pandas as pd

    frames = {}
    for name, item in items.items():
        nested = is_frame(item) and item.columns.nlevels > 1
        if sparse.issparse(item) or item.ndim > 2 or nested:
            raise ValueError(
                f"Modality {name!r} ({', '.join(describe(item))}) does not fit in a DataFrame,"
                " expected a dense 2-D array. Use .toarray() (sparse), .reshape(len(X), -1) "
                "(n-D), Modalities.from_frame (two-level columns), or leave it out: X[[names]]."
            )
        frames[name] = pd.DataFrame(item).set_axis(index, axis=0)
    own = {name: getattr(per_sample, name) for name in _PER_SAMPLE}
    own = {name: values for name, values in own.items() if values is not None}
    if own:
        frames[NO_MODALITY] = pd.DataFrame(own).set_axis(index, axis=0)
    return pd.concat(frames, axis=1, names=["modality", "feature"])


def html_table(samples, items):
    """Return a table of the modalities, one row each, as HTML."""
    rows = [("modality", "features", "dtype", "kind")]
    rows += [(name, *describe(item)) for name, item in items]
    cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><caption>Modalities: {samples}</caption>{body}</table>"
