"""AnnData and MuData as items, recognised by their attributes: neither library is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from skcentrobind._data.labels import row_labels

_GROUPS = ("layers", "obsm")

# Line to write in place of an object that holds several candidates for a modality.
USE_ANNDATA = (
    'Say which of its arrays are modalities: Modalities.from_anndata(adata, {"rna": "X", '
    '"protein": "obsm/protein"}).'
)
USE_MUDATA = "Use Modalities.from_mudata(mdata), which aligns its modalities by obs_names."


def is_anndata(item: Any) -> bool:
    """Return whether an object is an AnnData."""
    has_names = hasattr(item, "obs_names") and hasattr(item, "var_names")
    return has_names and hasattr(item, "X") and not hasattr(item, "iloc")


def is_mudata(item: Any) -> bool:
    """Return whether an object is a MuData."""
    return hasattr(getattr(item, "mod", None), "items")


def matrix_of(adata: Any, key: str = "X") -> Any:
    """Return one array of an AnnData.

    Parameters
    ----------
    adata : AnnData
        The table.
    key : str, default="X"
        "X", "layers/<name>" or "obsm/<name>".

    Returns
    -------
    item : DataFrame, csr_matrix or ndarray of shape (n_obs, ...)
        A DataFrame where a dense array has the variables as columns.

    Raises
    ------
    ValueError
        If there is no such array.
    """
    group, _, name = str(key).partition("/")
    if key == "X":
        values = adata.X
    elif group in _GROUPS and name in _arrays(adata, group):
        values = _arrays(adata, group)[name]
    else:
        known = ["X", *(f"{g}/{n}" for g in _GROUPS for n in _arrays(adata, g))]
        raise ValueError(f"The AnnData has no array {key!r}, expected one of {known}.")
    if values is None:
        raise ValueError(f"The AnnData has {key}=None. {USE_ANNDATA}")
    if hasattr(values, "to_memory"):
        values = values.to_memory()  # sparse on disk
    if hasattr(values, "iloc"):
        return values
    if sparse.issparse(values):
        return sparse.csr_matrix(values)
    values = np.asarray(values)
    if group == "obsm":
        return values
    import pandas as pd

    return pd.DataFrame(values, index=adata.obs_names, columns=adata.var_names)


def _arrays(adata: Any, group: str) -> Any:
    return getattr(adata, group, {})


def read_mudata(mdata: Any, keys: Any) -> tuple[list[Any], list[str], list[Any]]:
    """Return the arrays, names and row labels of the modalities of a MuData.

    Parameters
    ----------
    mdata : MuData
        Tables that share samples.
    keys : dict or None
        For names of modalities the array to take; "X" for the others.

    Returns
    -------
    items : list
        One array per modality.
    names : list of str
        The modalities.
    labels : list of Index
        Their row labels.
    """
    if not is_mudata(mdata):
        raise TypeError(f"Expected a MuData, got {type(mdata).__name__}.")
    if getattr(mdata, "axis", 0) != 0:
        raise ValueError(
            f"The MuData has axis={mdata.axis}: its modalities share variables, not samples. "
            "Make one with axis=0, or pass the arrays as {name: array, ...}."
        )
    keys = dict(keys or {})
    unknown = [key for key in keys if key not in mdata.mod]
    if unknown:
        raise ValueError(
            f"keys names the modality {unknown[0]!r}, but those of the MuData are "
            f"{list(mdata.mod)}."
        )
    tables = dict(mdata.mod.items())
    for name, table in tables.items():
        if not is_anndata(table):
            raise ValueError(
                f"Modality {name!r} of the MuData is a {type(table).__name__}, expected an "
                "AnnData: pass arrays as {name: array, ...}."
            )
    items = [matrix_of(adata, keys.get(name, "X")) for name, adata in tables.items()]
    return items, list(tables), [row_labels(t) for t in tables.values()]


def read_anndata(adata: Any, keys: Any) -> dict[str, Any]:
    """Return some arrays of an AnnData by name of the modality."""
    if not is_anndata(adata):
        raise TypeError(f"Expected an AnnData, got {type(adata).__name__}.")
    if not isinstance(keys, Mapping):
        raise TypeError(f"Got keys={keys!r}, expected a dict. {USE_ANNDATA}")
    return {name: matrix_of(adata, key) for name, key in keys.items()}


def refuse_container(X: Any) -> None:
    """Refuse an AnnData or MuData in place of modalities."""
    for test, advice in ((is_mudata, USE_MUDATA), (is_anndata, USE_ANNDATA)):
        if test(X):
            raise TypeError(
                f"Got a {type(X).__name__}, expected a list or dict of arrays. {advice}"
            )
