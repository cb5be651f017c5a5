"""Write embeddings into an AnnData or MuData."""

import numpy as np

from skcentrobind._data.items import is_frame, take_rows
from skcentrobind._data.labels import row_labels
from skcentrobind._data.modalities import Modalities
from skcentrobind._data.omics import is_anndata, is_mudata

__all__ = ["to_obsm"]


def to_obsm(adata, Z):
    """Write embeddings into `adata.obsm`, matched by row labels.

    Parameters
    ----------
    adata : AnnData or MuData
        Its `obsm` gets one entry ``"X_<modality>"`` per modality, in place of an older one.
    Z : Modalities
        Embeddings, as `transform_modalities` returns them. If they have no `index`, positions
        count, and there must be one row for each observation.

    Raises
    ------
    TypeError
        If `adata` is not an AnnData or MuData, or `Z` not Modalities.
    ValueError
        If no label of `Z` is among `adata.obs_names`, labels are duplicated, or lengths differ.

    Notes
    -----
    Observations that `Z` lacks get rows of NaN; rows of `Z` that `adata` lacks are left out.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skcentrobind import Modalities, to_obsm
    >>> names = {"obs_names": ["c1", "c0", "c9"], "var_names": ["g0"]}
    >>> adata = SimpleNamespace(X=np.ones((3, 1)), obsm={}, **names)  # or an AnnData
    >>> Z = Modalities({"rna": pd.DataFrame({"z": [0.5, 0.25]}, index=["c0", "c1"])})
    >>> to_obsm(adata, Z)
    >>> adata.obsm["X_rna"][:, 0]
    array([0.25, 0.5 ,  nan])
    """
    if not (is_anndata(adata) or is_mudata(adata)):
        raise TypeError(f"Expected an AnnData or MuData, got {type(adata).__name__}.")
    if not isinstance(Z, Modalities):
        raise TypeError(
            f"Expected Modalities of embeddings, as transform_modalities returns, got "
            f"{type(Z).__name__}."
        )
    labels = row_labels(adata)
    if Z.index is None:
        if len(Z) != len(labels):
            raise ValueError(
                f"Z has {len(Z)} rows without labels for {len(labels)} observations. Use "
                "Modalities with an index, as from Modalities.from_anndata or Modalities.align."
            )
        positions = np.arange(len(Z))
    else:
        if not Z.index.is_unique:
            raise ValueError(f"Row labels of Z are duplicated, for example {_repeated(Z.index)!r}.")
        positions = Z.index.get_indexer_for(labels)
        if (positions < 0).all():
            raise ValueError(
                f"No row label of Z, for example {Z.index[0]!r}, is among adata.obs_names, for "
                f"example {labels[0]!r}."
            )
    for name, item in Z.items():
        rows = take_rows(item, positions, name, labels)
        adata.obsm[f"X_{name}"] = np.asarray(rows) if is_frame(rows) else rows


def _repeated(index):
    return index[index.duplicated()][0]
