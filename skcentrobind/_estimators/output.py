"""One array from the embeddings of all modalities, and the names of its columns."""

import numpy as np

from skcentrobind._names import refuse_equal_columns


def check_out(out, shape):
    """Return an array to write embeddings to, zeros for None; refuse one that cannot hold them."""
    if out is None:
        return np.zeros(shape, dtype=np.float32)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array of shape {shape}, got {type(out).__name__}.")
    if out.shape != shape:
        raise ValueError(f"out must be an array of shape {shape}, got {out.shape}.")
    if out.dtype.kind != "f":
        raise ValueError(
            f"out must hold floating-point numbers, got dtype {out.dtype}, which would cut off the "
            f"embeddings: use np.empty({shape}, dtype=np.float32)."
        )
    if not out.flags.writeable:
        raise ValueError("out is read-only; open a memory map with mode 'r+' or 'w+'.")
    return out


def column_names(modalities, n_components, n_specific, output):
    """Return the names of the columns of `transform`, "text_0", "text_1", ...

    Parameters
    ----------
    modalities : list of str
        Their names.
    n_components, n_specific : int
        Widths of both heads.
    output : {"concat", "mean", "all"}
        The parameter.

    Returns
    -------
    names : list of str
        One per column.
    """
    blocks = ["mean"] if output == "mean" else modalities
    heads = {"": n_components, "specific_": n_specific if output == "all" else 0}
    if output == "all" and n_specific:
        refuse_equal_columns(modalities)
    return [f"{b}_{head}{i}" for b in blocks for head, n in heads.items() for i in range(n)]


def n_columns(n_modalities, n_components, n_specific, output):
    """Return the number of columns of `transform`, as many as `column_names` has names."""
    if output == "mean":
        return n_components
    return n_modalities * (n_components + (n_specific if output == "all" else 0))


def join(blocks, n_components, present, output):
    """Concatenate the embeddings of all modalities, or take their mean.

    Parameters
    ----------
    blocks : ndarray of shape (n_modalities, n_samples, width)
        Embeddings, zero where missing, which is overwritten; for "all" followed by those of the
        second head.
    n_components : int
        Width of the first head.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    output : {"concat", "mean", "all"}
        The parameter.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_columns)
        A sample's mean replaces its missing modalities.
    """
    shared = blocks[:, :, :n_components]
    weight = present.T[:, :, None].astype(np.float32)
    mean = shared.sum(axis=0) / weight.sum(axis=0)
    if output == "mean":
        return mean
    np.copyto(shared, mean, where=weight == 0)
    return blocks.swapaxes(0, 1).reshape(len(mean), -1)
