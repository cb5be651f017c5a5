"""Modalities side by side: in a DataFrame with two-level columns, and in a page."""

from __future__ import annotations

import html

from scipy import sparse

from skcentrobind._data.items import describe, is_frame


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


def join_columns(items, index):
    """Put items side by side in a DataFrame with two-level columns.

    Parameters
    ----------
    items : dict of str to array of shape (n_samples, ...)
        The modalities.
    index : sequence of length n_samples
        Row labels.

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
    return pd.concat(frames, axis=1, names=["modality", "feature"])


def html_table(n_samples, items):
    """Return a table of the modalities, one row each, as HTML."""
    rows = [("modality", "features", "dtype", "kind")]
    rows += [(name, *describe(item)) for name, item in items]
    cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><caption>Modalities: {n_samples} samples</caption>{body}</table>"
