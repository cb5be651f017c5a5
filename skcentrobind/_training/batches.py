"""The samples of a training, and their batches.

Inputs are tensors on the training device. Sparse matrices, memory maps and what is too large to be
copied stay where they are instead, and are prepared batch by batch, to the same numbers.
"""

import math

import numpy as np
import torch
from scipy import sparse
from torch.utils.data import Dataset

from skcentrobind._data.scaling import prepare_rows, prepare_sparse
from skcentrobind._encoders.sparse import SparseRows

# Prepared data beyond these bytes (2 GiB) are not copied.
_COPY_BYTES = 2**31

# Rows and values that are encoded at a time outside of training.
_ENCODE_ROWS = 8192
_ENCODE_VALUES = 2**25


class StreamedRows:
    """Input of one group of encoders that is read and prepared when a batch asks for it.

    Parameters
    ----------
    names, arrays, scalers : list
        The group's members, as in `prepared_batch`.
    rows : ndarray of int or None
        Which rows of the arrays these are; None for all.
    device : str
        Where batches go.
    """

    def __init__(self, names, arrays, scalers, rows, device):
        self.names = names
        self.arrays = arrays
        self.scalers = scalers
        self.rows = rows
        self.device = device

    def __len__(self):
        return self.arrays[0].shape[0] if self.rows is None else len(self.rows)

    def __getstate__(self):
        """Keep these rows alone: a pickled memory map would be the whole file."""
        if self.rows is None:
            return vars(self)
        arrays = [array[self.rows] for array in self.arrays]
        return vars(self) | {"arrays": arrays, "rows": None}

    def index_select(self, dim, rows):
        """Read rows in the order of the file, and return them in the order that is asked for."""
        rows, order = rows.cpu().sort()
        rows = rows.numpy() if self.rows is None else self.rows[rows.numpy()]
        arrays = [array[rows] for array in self.arrays]
        x = prepared_batch(self.names, arrays, self.scalers, self.device)
        return x.index_select(0, order.argsort().to(self.device))


class BindData(Dataset):
    """Training data, one input a group of encoders.

    Parameters
    ----------
    inputs : list of Tensor or StreamedRows of shape (n_samples, ...)
        Prepared rows on the device, or rows that become so; the modalities of a bank stand side
        by side.
    present : Tensor of bool of shape (n_samples, n_modalities) or None
        Which samples have which modality; None means that all are present.
    """

    def __init__(self, inputs, present):
        self.inputs = inputs
        self.present = present

    @classmethod
    def from_modalities(cls, X, present, scalers, groups, device, rows=None):
        """Lay out the given rows of all modalities as the groups want them, None for all rows.

        `present` has as many rows as are given.
        """
        inputs = []
        is_large = 4 * len(present) * sum(X.n_features) > _COPY_BYTES
        for members in groups:
            names, group_scalers = [X.names[m] for m in members], [scalers[m] for m in members]
            arrays = [X.arrays[m] for m in members]
            if is_large or any(sparse.issparse(a) or isinstance(a, np.memmap) for a in arrays):
                inputs.append(StreamedRows(names, arrays, group_scalers, rows, device))
                continue
            if rows is not None:
                arrays = [array[rows] for array in arrays]
            inputs.append(prepared_batch(names, arrays, group_scalers, device))
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


def prepared_batch(names, arrays, scalers, device):
    """Prepare rows as the input of a group.

    Parameters
    ----------
    names : list of str
        Members of the group.
    arrays : list of array of shape (n_samples, ...)
        Their rows. A sparse one is alone.
    scalers : list of scaler or None
        See `prepare_rows` and `prepare_sparse`.
    device : str
        Where the input goes.

    Returns
    -------
    x : Tensor or SparseRows of shape (n_samples, ...)
        A single member keeps its shape; several stand side by side.
    """
    first = arrays[0]
    if sparse.issparse(first):
        return SparseRows.from_csr(prepare_sparse(names[0], first, scalers[0]), device)
    widths = [math.prod(array.shape[1:]) for array in arrays]
    flat = np.empty((len(first), sum(widths)), dtype=np.float32)
    ends = np.cumsum(widths)
    for name, array, scaler, end, width in zip(names, arrays, scalers, ends, widths, strict=True):
        prepare_rows(name, array, scaler, out=flat[:, end - width : end])
    tensor = torch.from_numpy(flat)
    if len(arrays) == 1:
        tensor = tensor.view(first.shape)
    return tensor.to(device)


def encoding_batches(name, array, scaler, rows, device):
    """Yield some of the given rows at a time, with the input that an encoder takes.

    Parameters
    ----------
    name : str
        The modality.
    array : array of shape (n_samples, ...)
        All of its rows.
    scaler : scaler or None
        How they are prepared.
    rows : ndarray of int
        Which of them to go through.
    device : str
        Where the input goes.

    Yields
    ------
    some : ndarray of int
        A part of `rows`.
    x : Tensor or SparseRows of shape (len(some), ...)
        These rows, prepared.
    """
    step = max(1, min(_ENCODE_ROWS, _ENCODE_VALUES // math.prod(array.shape[1:])))
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        yield some, prepared_batch([name], [array[some]], [scaler], device)
