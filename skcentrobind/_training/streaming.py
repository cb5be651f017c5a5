"""Rows that stay where they are and are prepared batch by batch."""

import torch

from skcentrobind._encoders.module import prepared_batch


class StreamedRows:
    """Input of one group of encoders that is read and prepared batch by batch.

    Parameters
    ----------
    names, arrays, scalers : list
        The group's members, as in `prepared_batch`.
    rows : ndarray of int or None
        Rows of the arrays to use; None for all.
    device : str
        Device of the batches.
    features : callable, default=None
        Maps prepared rows to what the encoders take; None leaves them as they are.
    """

    def __init__(self, names, arrays, scalers, rows, device, features=None):
        self.names = names
        self.arrays = arrays
        self.scalers = scalers
        self.rows = rows
        self.device = device
        self.features = features

    def __len__(self):
        return self.arrays[0].shape[0] if self.rows is None else len(self.rows)

    def __getstate__(self):
        """Keep only these rows: a pickled memory map would be the whole file."""
        if self.rows is None:
            return vars(self)
        arrays = [array[self.rows] for array in self.arrays]
        return vars(self) | {"arrays": arrays, "rows": None}

    def member(self, k):
        """Return the rows of one member of the group alone."""
        own = [self.names[k]], [self.arrays[k]], [self.scalers[k]]
        return StreamedRows(*own, self.rows, self.device)

    def index_select(self, dim, rows):
        """Read rows in the order of the file, and return them in the given order."""
        rows, order = rows.cpu().sort()
        rows = rows.numpy() if self.rows is None else self.rows[rows.numpy()]
        arrays = [array[rows] for array in self.arrays]
        x = prepared_batch(self.names, arrays, self.scalers, self.device)
        if self.features is not None:
            with torch.no_grad():
                x = self.features(x)
        return x.index_select(0, order.argsort().to(self.device))


@torch.no_grad()
def features_in_blocks(features, x, n_rows=8192):
    """Map prepared rows a block at a time, (n_samples, ...) to (n_samples, n_features)."""
    first = features(x[:n_rows])
    if len(x) <= n_rows:
        return first
    out = first.new_empty(len(x), first.shape[1])
    out[:n_rows] = first
    for start in range(n_rows, len(x), n_rows):
        out[start : start + n_rows] = features(x[start : start + n_rows])
    return out
