"""Row labels of items: compared where rows are matched by position, and used to align items."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

_WAYS = ("inner", "outer", "left")


def row_labels(item: Any) -> Any:
    """Return the row labels of an item as an index of pandas, None if it has none.

    Parameters
    ----------
    item : object
        A DataFrame, Series, AnnData or DataArray has labels, arrays and lists have none.

    Returns
    -------
    labels : Index of length n_samples or None
    """
    if hasattr(item, "iloc"):
        return item.index
    if hasattr(item, "obs_names"):
        import pandas as pd

        return pd.Index(item.obs_names)
    return item.indexes.get(item.dims[0]) if _has_dims(item) else None


def _has_dims(item: Any) -> bool:
    """Return whether an item is a DataArray of xarray with dimensions."""
    return hasattr(item, "coords") and hasattr(item, "indexes") and len(item.dims) > 0


def labels_of(items: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Return the row labels of every item, or refuse an item that has none."""
    found = []
    for name, item in zip(names, items, strict=True):
        labels = row_labels(item)
        if labels is None:
            raise ValueError(
                f"Modality {name!r} is a {type(item).__name__} without row labels, expected a "
                "DataFrame or Series: give it labels with pd.DataFrame(array, index=labels)."
            )
        found.append(labels)
    return found


def common_index(items: Sequence[Any], names: Sequence[str]) -> Any:
    """Compare the row labels of items, and return those that all labelled items share.

    Parameters
    ----------
    items : sequence of object
        The items as passed.
    names : sequence of str
        Their modalities.

    Returns
    -------
    index : Index of length n_samples or None
        None if no item has labels, or if they differ.

    Raises
    ------
    ValueError
        If two items have the same labels in another order, or share only some of them.
    """
    _refuse_transposed(items, names)
    found = [(name, row_labels(item)) for name, item in zip(names, items, strict=True)]
    labelled = [(name, labels) for name, labels in found if labels is not None]
    if not labelled:
        return None
    distinct = labelled[:1]
    for name, labels in labelled[1:]:
        if any(_are_equal(labels, other) for _, other in distinct):
            continue
        for other_name, other in distinct:
            if not (_is_default(labels) or _is_default(other)):
                _compare(other_name, other, name, labels)
        distinct.append((name, labels))
    return distinct[0][1] if len(distinct) == 1 else None


def check_same_rows(index: Any, values: Any, what: str) -> None:
    """Refuse values, one per sample, whose row labels are those of the samples in another order.

    Parameters
    ----------
    index : Index of length n_samples or None
        Row labels of the samples.
    values : object
        A Series, or anything else without labels.
    what : str
        Name of the argument, for the message.

    Raises
    ------
    ValueError
        If the labels differ, but some are shared.
    """
    labels = row_labels(values)
    if labels is None or index is None or _are_equal(index, labels):
        return
    one, two = _comparable(index, labels)
    if _is_default(index) or _is_default(labels) or not one.isin(two).any():
        return
    raise ValueError(
        f"{what} has row labels of the samples, but not in their order, for example "
        f"{labels[0]!r} in row 0, where the sample is {index[0]!r}. Use {what}.loc[X.index], or "
        f"{what}.to_numpy() if positions count."
    )


def _refuse_transposed(items: Sequence[Any], names: Sequence[str]) -> None:
    """Refuse DataArrays of which one has the samples first and another has them later."""
    dims = {name: item.dims for name, item in zip(names, items, strict=True) if _has_dims(item)}
    for (one, own), (two, other) in itertools.combinations(dims.items(), 2):
        if own[0] != other[0] and (own[0] in other or other[0] in own):
            raise ValueError(
                f"Modalities {one!r} and {two!r} have the dimensions {own} and {other}, expected "
                "the samples first in both: use .transpose(samples, ...)."
            )


def align_rows(
    labels: Sequence[Any], names: Sequence[str], how: str
) -> tuple[Any, list[np.ndarray]]:
    """Find common rows of items by their labels.

    Parameters
    ----------
    labels : sequence of Index
        Distinct row labels of each item.
    names : sequence of str
        The modalities.
    how : {"inner", "outer", "left"}
        Which rows: of all items, of any item, or of the first item.

    Returns
    -------
    index : Index of length n_samples
        Labels of the common rows, in order of first appearance.
    positions : list of ndarray of int of shape (n_samples,)
        For each item the positions of these rows; -1 where the item lacks a row.

    Raises
    ------
    ValueError
        If `how` is unknown, or labels are duplicated or have nothing in common.
    """
    if how not in _WAYS:
        raise ValueError(f"how must be 'inner', 'outer' or 'left', got {how!r}.")
    for name, own in zip(names, labels, strict=True):
        _check_distinct(name, own)
        if own.nlevels != labels[0].nlevels:
            raise ValueError(
                f"Row labels of modality {name!r} have {own.nlevels} level(s), those of "
                f"{names[0]!r} have {labels[0].nlevels}. Give all items the same levels, for "
                "example with df.set_index([...])."
            )
    index = labels[0]
    for own in labels[1:]:
        if how == "inner":
            index = index[index.isin(own)]
        elif how == "outer":
            index = index.append(own[~own.isin(index)])
    positions = [own.get_indexer_for(index) for own in labels]
    _check_overlap(labels, names, how, len(index))
    return index, positions


def _check_distinct(name: str, labels: Any) -> None:
    if labels.is_unique:
        return
    label = labels[labels.duplicated()][0]
    rows = np.flatnonzero(labels.isin([label]))[:2]
    raise ValueError(
        f"Modality {name!r} has duplicated row labels, for example {label!r} in rows {rows[0]} "
        f"and {rows[-1]}, so its rows cannot be aligned. Make them distinct, for example with "
        "df[~df.index.duplicated()]."
    )


def _check_overlap(labels: Sequence[Any], names: Sequence[str], how: str, n_rows: int) -> None:
    """Refuse to align items that have no label in common."""
    for m, (name, own) in enumerate(zip(names, labels, strict=True)):
        others = labels[:1] if how == "left" else [*labels[:m], *labels[m + 1 :]]
        if len(labels) > 1 and not any(other.isin(own).any() for other in others):
            apart = names[0] if how == "left" or m else names[1]
            other = labels[list(names).index(apart)]
            raise ValueError(
                f"Modality {name!r} has no row label in common with the others, for example "
                f"{own[0]!r} ({own.dtype}) beside {other[0]!r} ({other.dtype}) in {apart!r}. Give "
                "all items labels of the same samples and type, for example with "
                "df.index.astype(str)."
            )
    if not n_rows:
        raise ValueError(
            f"No row label is common to all modalities {list(names)}, so how='inner' leaves no "
            "sample. Use how='outer' to fill rows that are missing with NaN."
        )


def _is_default(labels: Any) -> bool:
    """Return whether labels are 0, 1, ..., n - 1, which pandas gives to rows without labels."""
    if labels.nlevels > 1 or labels.dtype.kind not in "iu":
        return False
    return bool(np.array_equal(labels, np.arange(len(labels))))


def _are_equal(one: Any, two: Any) -> bool:
    if one is two or one.equals(two):
        return True
    # Equal numbers, texts or times of another dtype are equal labels.
    if len(one) != len(two):
        return False
    one, two = _comparable(one, two)
    if not (one.is_unique and two.is_unique):
        return bool(one.equals(two))
    return bool(np.array_equal(one.get_indexer_for(two), np.arange(len(one))))


def _comparable(one: Any, two: Any) -> tuple[Any, Any]:
    """Return labels of one type: numbers beside text, as of two files, are compared as text."""
    if one.nlevels != two.nlevels:
        return one.to_flat_index(), two.to_flat_index()
    texts = [labels.inferred_type in ("string", "categorical") for labels in (one, two)]
    if one.nlevels == 1 and texts[0] != texts[1]:
        return one.map(str), two.map(str)
    return one, two


def _compare(one_name: str, one: Any, two_name: str, two: Any) -> None:
    """Refuse labels that are not equal and share some label."""
    plain_one, plain_two = _comparable(one, two)
    shared = np.flatnonzero(plain_one.isin(plain_two))
    if not len(shared):
        return
    is_moved = len(shared) == len(one) == len(two) and bool(plain_two.isin(plain_one).all())
    example = f"row {shared[0]} of {one_name!r} is {one[shared[0]]!r}"
    if plain_two.is_unique:
        # A row that has another position in the second item is the clearest example.
        rows = plain_two.get_indexer_for(plain_one[shared])
        moved = np.flatnonzero(rows != shared)
        if len(moved):
            at, row = shared[moved[0]], rows[moved[0]]
            example = f"{one[at]!r} is row {at} of {one_name!r} and row {row} of {two_name!r}"
    state = (
        "have the same row labels in another order"
        if is_moved
        else f"share only some of their row labels ({len(shared)} of {len(one)} and {len(two)})"
    )
    raise ValueError(
        f"Modalities {one_name!r} and {two_name!r} {state}, for example {example}, but rows are "
        f"matched by position. Use Modalities.align({{{one_name!r}: ..., {two_name!r}: ...}}) to "
        "match them by label, or Modalities(..., ignore_index=True) if positions count."
    )
