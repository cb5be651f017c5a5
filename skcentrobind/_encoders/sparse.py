"""A batch of sparse rows: the two products that a first layer needs, and its augmentations."""

import torch
from torch.nn.functional import embedding_bag, pad

from skcentrobind._ops import bits_of, confirmed, hash_factors, same_hash


class SparseRows:
    """Rows of which only the entries that are not zero are stored, sorted by row.

    Torch's own sparse tensors warn that they are in beta, and their products with a transposed
    matrix are slow on CPUs. Sums of embeddings are the same products, and equal bit for bit
    whatever the number of threads is, since each output row is one serial sum.

    Parameters
    ----------
    offsets : Tensor of int64 of shape (n_rows + 1,)
        Row i has the entries from ``offsets[i]`` to ``offsets[i + 1]``.
    columns : Tensor of int64 of shape (n_entries,)
        Column of each entry.
    values : Tensor of float32 of shape (n_entries,)
        The entries.
    width : int
        Number of columns.
    """

    def __init__(self, offsets, columns, values, width):
        self.offsets = offsets
        self.columns = columns
        self.values = values
        self.width = width

    @classmethod
    def from_csr(cls, csr, device):
        """Put a CSR matrix of scipy on a device."""
        offsets, columns = (
            torch.from_numpy(i).to(device).long() for i in (csr.indptr, csr.indices)
        )
        return cls(offsets, columns, torch.from_numpy(csr.data).to(device), csr.shape[1])

    def equal_rows(self):
        """Find equal rows, as `_ops.equal_rows` does; columns are sorted and no zero is stored."""
        offsets, columns, bits = self.offsets.cpu(), self.columns.cpu(), bits_of(self.values)
        terms = (bits.long() + 1) * hash_factors(self.width)[columns]
        sums = pad(terms.cumsum(dim=0), (1, 0))[offsets]
        candidates = same_hash(sums.diff())
        if not len(candidates):
            return None
        spans = [slice(*offsets[row : row + 2].tolist()) for row in candidates.tolist()]
        keys = [columns[s].numpy().tobytes() + bits[s].numpy().tobytes() for s in spans]
        return confirmed(len(self), candidates, keys)

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def shape(self):
        """Number of rows and of columns."""
        return torch.Size((len(self), self.width))

    def flatten(self, start_dim):
        """Return the rows, which have one axis already."""
        return self

    def row_of_entry(self):
        """Return the row of each entry, a Tensor of int64 of shape (n_entries,)."""
        rows = torch.arange(len(self), device=self.offsets.device)
        return rows.repeat_interleave(self.offsets.diff())

    def with_values(self, values):
        """Return rows with other values at the same positions."""
        return SparseRows(self.offsets, self.columns, values, self.width)

    def index_select(self, dim, rows):
        """Return some rows, in the given order."""
        counts = self.offsets.diff()[rows]
        offsets = pad(counts.cumsum(0), (1, 0))
        # Entry j of output row r is entry j of its source: the position in the output, shifted by
        # the distance between the starts of the two rows.
        shift = (self.offsets[rows] - offsets[:-1]).repeat_interleave(counts)
        entries = torch.arange(len(shift), device=shift.device) + shift
        return SparseRows(offsets, self.columns[entries], self.values[entries], self.width)

    def squares(self):
        """Return the sum of the squares of each row, a Tensor of shape (n_rows,)."""
        return self.values.new_zeros(len(self)).index_add_(0, self.row_of_entry(), self.values**2)

    def to_dense(self):
        """Return a Tensor of shape (n_rows, width)."""
        dense = self.values.new_zeros(self.shape)
        dense[self.row_of_entry(), self.columns] = self.values
        return dense

    def product(self, weight):
        """Return X W for a Tensor W of shape (width, n_out), of shape (n_rows, n_out)."""
        return _SparseProduct.apply(weight, self, False)

    def transposed_product(self, grad):
        """Return X' G for a Tensor G of shape (n_rows, n_out), of shape (width, n_out)."""
        return _SparseProduct.apply(grad, self, True)


class _SparseProduct(torch.autograd.Function):
    """X W or X' G of sparse rows X; either is the gradient of the other."""

    @staticmethod
    def forward(ctx, matrix, rows, is_transposed):
        ctx.rows, ctx.is_transposed = rows, is_transposed
        if not is_transposed:
            return _weighted_sums(matrix, rows.columns, rows.offsets, rows.values)
        columns, order = rows.columns.sort(stable=True)
        edges = torch.arange(rows.width + 1, device=columns.device)
        offsets = torch.searchsorted(columns, edges)
        return _weighted_sums(matrix, rows.row_of_entry()[order], offsets, rows.values[order])

    @staticmethod
    def backward(ctx, grad):
        return _SparseProduct.apply(grad.contiguous(), ctx.rows, not ctx.is_transposed), None, None


def _weighted_sums(table, index, offsets, weights):
    """Sum weights[i] * table[index[i]] over the entries i of each output row."""
    weights = weights.to(table.dtype)
    return embedding_bag(
        index, table, offsets, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


def to_dense(x):
    """Return sparse rows as a Tensor, and a Tensor as it is."""
    return x.to_dense() if isinstance(x, SparseRows) else x


def stack_rows(first, second):
    """Concatenate the rows of two batches; sparse only if both are."""
    if not (isinstance(first, SparseRows) and isinstance(second, SparseRows)):
        return torch.cat([to_dense(first), to_dense(second)])
    offsets = torch.cat([first.offsets, second.offsets[1:] + first.offsets[-1]])
    columns = torch.cat([first.columns, second.columns])
    return SparseRows(offsets, columns, torch.cat([first.values, second.values]), first.width)


def multiplicative(x, strength, spread, mask, generator):
    """Multiply each stored entry by 1 + `strength` e with e ~ N(0, 1): zeros stay zeros.

    Noise on the zeros, too, would outweigh a row of few entries, and fill the memory.
    """
    like = {"device": x.values.device, "dtype": x.values.dtype}
    noise = torch.randn(x.values.shape, generator=generator, **like)
    return x.with_values(x.values * (1 + strength * noise))


def sparse_zero(x, strength, spread, mask, generator):
    """Set each stored entry to zero with probability `strength`."""
    like = {"device": x.values.device, "dtype": x.values.dtype}
    drop = torch.rand(x.values.shape, generator=generator, **like) < strength
    return x.with_values(x.values.masked_fill(drop, 0.0))
