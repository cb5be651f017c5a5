"""From arrays to tensors: the only place where data changes its type.

Arrays are standardised in float64, a few rows at a time, and then become float32 tensors on the
training device: large offsets (time stamps, say) lose nothing, and no copy of a whole float64
array is made.
"""

import math
import warnings

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch.utils.data import Dataset

# The length of an embedding is a root of squares, which must not leave float32 either.
_LARGEST_INPUT = 1e15

# About 4 MB of float64 are in flight at a time.
_CHUNK_VALUES = 2**19


def row_chunks(n_samples, width):
    """Yield slices of rows that hold about `_CHUNK_VALUES` values each."""
    step = max(1, _CHUNK_VALUES // max(1, width))
    for start in range(0, n_samples, step):
        yield slice(start, min(start + step, n_samples))


def fit_scalers(X, unscaled=()):
    """Fit a `StandardScaler` to the rows of every modality that are present, those without NaN.

    Parameters
    ----------
    X : Modalities
        Checked data.
    unscaled : collection of str, default=()
        Modalities whose encoders get the rows as they are, constant columns included, so that no
        warning is due.

    Returns
    -------
    scalers : list of StandardScaler
        Constant columns get the scale inf, so that they stay 0 whatever comes at transform.
    """
    scalers = []
    for name, array, width in zip(X.names, X.arrays, X.n_features, strict=True):
        scaler = StandardScaler()
        for rows in row_chunks(len(array), width):
            block = _flat64(array[rows])
            block = block[~np.isnan(block[:, 0])]
            if len(block):
                scaler.partial_fit(block)
        constant = scaler.scale_ != np.sqrt(scaler.var_)
        if constant.all():
            raise ValueError(
                f"Modality '{name}' is constant: all of its rows are equal, so it cannot tell "
                "samples apart. Leave it out, or check how it was made."
            )
        if constant.any() and name not in unscaled:
            warnings.warn(
                f"Modality '{name}': {constant.sum()} of {width} columns are constant and are "
                "ignored.",
                UserWarning,
                stacklevel=4,
            )
        scaler.scale_[constant] = np.inf
        scalers.append(scaler)
    return scalers


def prepare_rows(name, array, scaler, out=None):
    """Standardise rows in float64 and return them as float32, absent rows as zeros.

    Parameters
    ----------
    name : str
        Of the modality, for the error.
    array : array of shape (n_samples, ...)
        Rows of one modality.
    scaler : StandardScaler or None
        None leaves the values as they are.
    out : ndarray of shape (n_samples, n_features), default=None
        Where to write.

    Returns
    -------
    out : ndarray of float32 of shape (n_samples, n_features)
        Prepared rows, with trailing axes flattened.

    Raises
    ------
    ValueError
        If they are too large to compute with.
    """
    width = math.prod(array.shape[1:])
    if out is None:
        out = np.empty((len(array), width), dtype=np.float32)
    for rows in row_chunks(len(array), width):
        block = _flat64(array[rows])
        if scaler is not None:
            block = scaler.transform(block)
        # Never in `block`, which may be the user's own array.
        out[rows] = block
        np.nan_to_num(out[rows], copy=False, nan=0.0)
        if max(out[rows].max(), -out[rows].min()) > _LARGEST_INPUT:
            raise ValueError(
                f"Modality '{name}' has values too large for float32 once prepared (beyond "
                f"{_LARGEST_INPUT:g}): rescale it, or look for outliers that were not there in fit."
            )
    return out


def _flat64(rows):
    return np.asarray(rows, dtype=np.float64).reshape(len(rows), -1)


class BindData(Dataset):
    """Training data as tensors on the device, one tensor a group of encoders.

    Parameters
    ----------
    inputs : list of Tensor of shape (n_samples, ...)
        Prepared rows; the modalities of a bank stand side by side.
    present : Tensor of bool of shape (n_samples, n_modalities) or None
        Which samples have which modality; None means that all are present.
    """

    def __init__(self, inputs, present):
        self.inputs = inputs
        self.present = present

    @classmethod
    def from_modalities(cls, X, present, scalers, groups, device):
        """Prepare all modalities and lay them out as the groups want them."""
        inputs = []
        for members in groups:
            arrays = [X.arrays[m] for m in members]
            widths = [X.n_features[m] for m in members]
            flat = np.empty((len(X), sum(widths)), dtype=np.float32)
            for m, array, end, width in zip(
                members, arrays, np.cumsum(widths), widths, strict=True
            ):
                prepare_rows(X.names[m], array, scalers[m], out=flat[:, end - width : end])
            tensor = torch.from_numpy(flat)
            if len(members) == 1:
                tensor = tensor.view(len(X), *arrays[0].shape[1:])
            inputs.append(tensor.to(device))
        if not present.all():
            return cls(inputs, torch.from_numpy(present).to(device))
        return cls(inputs, None)

    def __len__(self):
        return len(self.inputs[0])

    def __getitem__(self, rows):
        """Return a batch: rows of every group's input and, where some are absent, `present`."""
        batch = {"inputs": [x.index_select(0, rows) for x in self.inputs]}
        if self.present is not None:
            batch["present"] = self.present.index_select(0, rows)
        return batch


class EpochBatches:
    """Batches of one epoch, all of equal size (give or take one row).

    A short last batch would have fewer negatives and a batch of one row none at all.

    Parameters
    ----------
    data : BindData
        The samples.
    batch_size : int
        Upper bound of the size.
    generator : torch.Generator or None
        Source of a new order in every epoch; None keeps the order of the rows.
    """

    def __init__(self, data, batch_size, generator=None):
        self.data = data
        self.batch_size = batch_size
        self.generator = generator

    def __len__(self):
        n_samples = len(self.data)
        # Two rows at least, even if one batch of three is one more than was asked for.
        return max(1, min(-(-n_samples // self.batch_size), n_samples // 2))

    def __iter__(self):
        n_samples = len(self.data)
        if self.generator is None:
            order = torch.arange(n_samples, device="cpu")
        else:
            order = torch.randperm(n_samples, generator=self.generator, device="cpu")
        order = order.to(self.data.inputs[0].device)
        for rows in order.tensor_split(len(self)):
            yield self.data[rows], None
