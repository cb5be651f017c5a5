"""Built-in encoders: one function per modality from prepared rows to the shared space.

Modalities with the same kind of encoder share a *bank*, which runs all of them in batched matrix
products. To add a kind, derive from `Bank` or one of its subclasses and add a row to `ENCODERS` in
table.py.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from scipy import sparse
from torch import nn

from skcentrobind._data.statistics import (
    ALONE,
    generalized_cca,
    prepare,
)
from skcentrobind._encoders.sparse import SparseRows, to_dense
from skcentrobind._ops import product, unit_rows

# The eigenvectors of this many rows take two seconds, dense rows of this many values 64 MB.
_MAX_ROWS, _MAX_VALUES = 2_000, 2**23

# Scale of the random draw in components that the rows do not determine. At zero they would never
# move, since their gradient is zero, too; at full scale they would dominate the cosine.
_RANDOM_SHARE = 0.03


class Bank(nn.Module):
    """Base class of the banks: encoders of several modalities in common tensors.

    Parameters
    ----------
    members : sequence of int
        Positions of the modalities.
    n_features : sequence of int
        Their widths.

    Attributes
    ----------
    standardizes : bool
        Whether rows are standardised before they are encoded.
    keeps_width : bool
        Whether embeddings are as wide as the rows, which excludes a second head.
    has_linear_part : bool
        Whether `start_linear_part` can set columns of a linear map.
    is_mapped : bool
        Whether the linear part is a map of what `start_rows` makes of the rows.
    has_features : bool
        Whether `forward` takes what `features` makes of the rows, which is then augmented in
        place of the rows.
    product_dtype : torch.dtype or None
        Type in which layers compute; None means that of the weights.
    """

    standardizes = True
    keeps_width = False
    has_linear_part = False
    is_mapped = False
    has_features = False
    product_dtype = None

    def __init__(self, members, n_features):
        super().__init__()
        self.members = tuple(members)
        self.n_features = list(n_features)

    def forward(self, x):
        """Encode (batch, sum of n_features) to (n_members, batch, n_components)."""
        parts = to_dense(x).flatten(1).split(self.n_features, dim=1)
        return torch.stack([self.encode(k, part) for k, part in enumerate(parts)])

    def encode(self, k, x):
        """Encode rows of member k alone: (batch, n_features[k]) to (batch, n_components)."""
        raise TypeError(f"{type(self).__name__} must implement encode(k, x).")

    @staticmethod
    def options(specs):
        """Return further arguments for members with these ModalitySpecs."""
        return {}

    def features(self, x):
        """Return the input of `forward` for the rows of all members."""
        return x

    def start_rows(self, k, rows, n_samples):
        """Return what the linear part of member k is a map of, for prepared rows."""
        return rows

    def member_parameters(self, k):
        """Return the tensors of member k, as views that share memory with the bank."""
        return []

    def write(self, graph, x, k):
        """Add the encoder of member k to an ONNX graph, up to the scaling to unit length.

        Parameters
        ----------
        graph : Graph
            See `skcentrobind._persistence.onnx`.
        x : str
            Name of the prepared rows.
        k : int
            Position among the members.

        Returns
        -------
        out : str
            Name of the output.
        """
        raise ValueError(f"{type(self).__name__} cannot be exported to ONNX.")


class Residual(Bank):
    """z = unit(W x + MLP(x)), where the last layer of the MLP starts at zero.

    Parameters
    ----------
    members : sequence of int
        Positions of the modalities.
    n_features : sequence of int
        Their widths.
    n_components : int
        Width of the shared space, both heads together.
    hidden_layer_sizes : tuple of int
        Widths of the hidden layers.
    generator : torch.Generator
        Source of the initial weights.
    """

    has_linear_part = True
    starts_linear = True

    def __init__(self, members, n_features, n_components, hidden_layer_sizes, generator):
        super().__init__(members, n_features)
        hidden = tuple(hidden_layer_sizes)
        self.n_hidden = hidden[0] if hidden else 0
        self.has_linear_part = self.has_linear_part or not hidden
        n_first = self.n_hidden + (n_components if self.has_linear_part else 0)
        n_members = len(self.members)

        # The first layers of all members are stacked along the rows; their columns are the hidden
        # units, then the linear part, so that one product per member yields both.
        first = [uniform((d, n_first), d, generator) for d in n_features]
        bias = [uniform((1, n_first), d, generator) for d in n_features]
        self.first_weight = nn.Parameter(torch.cat(first))  # (sum of n_features, n_first)
        self.first_bias = nn.Parameter(torch.stack(bias))  # (n_members, 1, n_first)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        sizes = (*hidden, n_components) if hidden else ()
        for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            weight = uniform((n_members, fan_in, fan_out), fan_in, generator)
            bias = uniform((n_members, 1, fan_out), fan_in, generator)
            if self.starts_linear and i == len(sizes) - 2:
                # The encoder starts as a linear map.
                weight, bias = weight.zero_(), bias.zero_()
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(bias))

    def forward(self, x):
        """Encode (batch, sum of n_features) to (n_members, batch, n_components)."""
        layers = zip(self.weights, self.biases, strict=True)
        return self._encode(x, self.n_features, self.first_weight, self.first_bias, layers)

    def encode(self, k, x):
        """Encode rows of member k alone: (batch, n_features[k]) to (batch, n_components)."""
        some = slice(k, k + 1)
        weight = self.first_weight.split(self.n_features)[k]
        layers = [(w[some], b[some]) for w, b in zip(self.weights, self.biases, strict=True)]
        return self._encode(x, self.n_features[some], weight, self.first_bias[some], layers)[0]

    def _encode(self, x, widths, weight, bias, layers):
        x = x.flatten(1)
        first = self._first_layer(x, widths, weight, bias)
        if not self.n_hidden:
            return unit_rows(first.to(weight.dtype))
        hidden, linear = first, None
        if first.shape[-1] > self.n_hidden:
            # Unlike slices, both parts of a split send their gradients back in one piece.
            n_linear = first.shape[-1] - self.n_hidden
            hidden, linear = first.split([self.n_hidden, n_linear], dim=-1)
        for weight_l, bias_l in layers:
            if self.product_dtype is not None:
                weight_l, bias_l = self._low(weight_l), self._bias(bias_l, len(x))
            # In place, except for a view of the first layer, where autograd would copy all of it.
            hidden = hidden.relu_() if linear is None else torch.relu(hidden)
            hidden = product(hidden, weight_l, bias_l)
        out = hidden.to(weight.dtype)
        return unit_rows(out if linear is None else out + linear)

    def _first_layer(self, x, widths, weight, bias):
        if isinstance(x, SparseRows):
            # Sums over sparse rows are short and bound by memory: low precision gains nothing.
            return (x.product(weight) + bias).to(self.product_dtype or weight.dtype)
        if self.product_dtype is not None:
            x, weight, bias = self._low(x), self._low(weight), self._bias(bias, len(x))
        if len(set(widths)) == 1:
            shape = (len(widths), widths[0])
            x = x.unflatten(1, shape).transpose(0, 1)  # (n_members, batch, n_features)
            return product(x, weight.unflatten(0, shape), bias)
        parts = zip(x.split(widths, dim=1), weight.split(widths), strict=True)
        return torch.stack([product(x_m, w_m) for x_m, w_m in parts]).add_(bias)

    def _bias(self, bias, n_rows):
        # Its gradient, a sum over the rows, stays in float32.
        return bias.expand(-1, n_rows, -1).to(self.product_dtype)

    def _low(self, tensor):
        return tensor.to(self.product_dtype)

    @torch.no_grad()
    def start_linear_part(self, k, weight, bias, share):
        """Set the first columns of W x + b of member k, and keep a share of its weights.

        Parameters
        ----------
        k : int
            Position among the members.
        weight : ndarray of shape (n_features[k], n_columns)
            The columns.
        bias : ndarray of shape (n_columns,)
            Their constants.
        share : ndarray of shape (n_columns,)
            Share of the old weights that is kept in each.
        """
        columns = slice(self.n_hidden, self.n_hidden + len(bias))
        old = self.first_weight.split(self.n_features)[k][:, columns]
        arrays = (np.asarray(array, dtype=np.float32) for array in (weight, bias, share))
        weight, bias, share = (torch.from_numpy(array).to(old.device) for array in arrays)
        old.mul_(share).add_(weight)
        self.first_bias[k, 0, columns] = bias

    def member_parameters(self, k):
        """Return the tensors of member k, as views that share memory with the bank."""
        first = self.first_weight.split(self.n_features)[k]
        rest = [p[k] for p in (self.first_bias, *self.weights, *self.biases)]
        return [first, *rest]

    def write(self, graph, x, k):
        """Add the encoder of member k to an ONNX graph, up to the scaling to unit length."""
        first, bias, *rest = (p.detach().cpu().numpy() for p in self.member_parameters(k))
        n, bias = self.n_hidden, bias[0]
        if not rest:
            return graph.add("Gemm", x, first, bias)
        h = graph.add("Gemm", x, first[:, :n], bias[:n])
        n_layers = len(rest) // 2
        for weight, bias_l in zip(rest[:n_layers], rest[n_layers:], strict=True):
            h = graph.add("Gemm", graph.add("Relu", h), weight, bias_l[0])
        if first.shape[1] > n:
            h = graph.add("Add", h, graph.add("Gemm", x, first[:, n:], bias[n:]))
        return h


class Perceptron(Residual):
    """z = unit(MLP(x)), the encoder of the paper."""

    has_linear_part = False
    starts_linear = False


class Linear(Residual):
    """z = unit(W x + b)."""

    def __init__(self, members, n_features, n_components, hidden_layer_sizes, generator):
        super().__init__(members, n_features, n_components, (), generator)


class Identity(Bank):
    """Rows that are in the shared space already and are only scaled to unit length."""

    standardizes = False  # directions have a meaning
    keeps_width = True

    def __init__(self, members, n_features, n_components, hidden_layer_sizes, generator):
        super().__init__(members, n_features)
        self.n_components = n_components

    def encode(self, k, x):
        """Scale the rows to unit length."""
        return unit_rows(to_dense(x).flatten(1))

    def write(self, graph, x, k):
        """Return the rows as they are."""
        return x


class ModalityEncoder(nn.Module):
    """Encoder of one modality, or some of its heads: prepared float32 rows to unit-length rows.

    It shares its weights with the trained network. "Prepared" means standardised by the
    estimator's `scalers_`, where the modality has one. It works under `torch.func`: the Jacobian
    of the embeddings of rows X is ``vmap(jacrev(encoder))(X)``.

    Parameters
    ----------
    group : Module
        The bank or the user's module that encodes the modality.
    position : int
        Its position among the members of the group.
    heads : tuple of slice, default=()
        Columns of each head to return, concatenated; empty if there is one head.
    row_shape : tuple of int, default=None
        Shape of one row, to distinguish a single row from a batch; None accepts batches only.
    """

    def __init__(self, group, position, heads=(), row_shape=None):
        super().__init__()
        self.group = group
        self.position = position
        self.heads = heads
        self.row_shape = row_shape

    def forward(self, x):
        """Embed rows of shape (batch, ...) as (batch, n_components), or one row alone."""
        if isinstance(x, torch.Tensor) and x.shape == self.row_shape:
            return self(x[None])[0]
        z = self.group.encode(self.position, x)
        return cut_heads(z, self.heads) if self.heads else z


def cut_heads(z, heads):
    """Cut embeddings (batch, width) into heads, scale each to unit length and concatenate them."""
    return torch.cat([unit_rows(z[:, head]) for head in heads], dim=1)


def uniform(shape, fan_in, generator):
    """Draw from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), the default of torch's linear layers."""
    bound = 1 / math.sqrt(fan_in)
    tensor = torch.empty(shape, dtype=torch.float32, device="cpu")
    return tensor.uniform_(-bound, bound, generator=generator)


def start_in_closed_form(groups, X, present, rows, scalers, n_components, seed, shrinkage=None):
    """Start the linear parts of the encoders at generalised canonical correlations.

    Parameters
    ----------
    groups : iterable of Module
        The encoders, changed in place. Those without a linear part stay as they are.
    X : Modalities
        Checked data.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    rows : ndarray of int or None
        Rows of X to use, None for all.
    scalers : list of scaler or None
        How each modality is standardised.
    n_components : int
        Width of the shared space; the columns of a second head stay as they are.
    seed : int
        Seed of the choice of rows, if there are more than needed.
    shrinkage : float, default=None
        Shrinkage of the covariances, see `generalized_cca`.

    Returns
    -------
    is_warm : bool
        Whether all modalities that learn start so. None does if fewer than two have encoders
        with a linear part and samples in common.
    """
    group_of = {
        m: (group, k)
        for group in groups
        if getattr(group, "has_linear_part", False)
        for k, m in enumerate(group.members)
    }
    rows = np.arange(len(present)) if rows is None else rows
    n_samples = len(rows)
    _, rows = _sharing(list(group_of), rows, present)
    rows = _some(rows, [X.arrays[m] for m in group_of], seed)
    # The chosen rows may contain too few of a rare modality.
    members, rows = _sharing(list(group_of), rows, present)
    if not members:
        return False
    has = present[np.ix_(rows, members)]
    blocks = []
    for m, present_m in zip(members, has.T, strict=True):
        blocks.append(prepare(X.names[m], X.arrays[m][rows[present_m]], scalers[m]))
    for i, m in enumerate(members):
        group, k = group_of[m]
        if group.is_mapped:
            blocks[i] = group.start_rows(k, blocks[i], n_samples)
    with ALONE:
        weights, means, agreement = generalized_cca(blocks, has, n_components, shrinkage)
    share = np.where(agreement > 0, 0.0, _RANDOM_SHARE)
    for m, weight, mean in zip(members, weights, means, strict=True):
        # The optimiser's steps have a fixed length: weights as large as those of a random start
        # keep their relative size. The embedding has unit length whatever the scale.
        size = np.sqrt(3 * len(weight) * np.mean(weight**2))
        if size:
            group, k = group_of[m]
            group.start_linear_part(k, weight / size, -mean @ weight / size, share)
    learning = [m for g in groups if any(True for _ in g.parameters()) for m in g.members]
    return len(members) == len(learning)


def fit_maps(groups, X, present, rows, scalers, gammas, seed):
    """Choose the landmarks of kernel encoders.

    Parameters
    ----------
    groups : iterable of Module
        The encoders, changed in place.
    X, present, rows, scalers
        As in `start_in_closed_form`.
    gammas : list of float or None
        Width of the kernel of each modality.
    seed : int
        Seed of the choice.
    """
    rows = np.arange(len(present)) if rows is None else rows
    for group in groups:
        for k, m in enumerate(group.members if getattr(group, "fit_map", None) else ()):
            own = rows[present[rows, m]]
            some = _some(own, [X.arrays[m]], seed)
            prepared = prepare(X.names[m], X.arrays[m][some], scalers[m])
            with ALONE:
                group.fit_map(k, prepared, gammas[m], seed)


def _sharing(members, rows, present):
    """Return modalities with at least two of the rows, and rows with at least two of them."""
    while True:
        has = present[np.ix_(rows, members)]
        kept, shared = has.sum(axis=0) > 1, has.sum(axis=1) > 1
        if kept.all() and shared.all():
            return members, rows
        members, rows = [m for m, keep in zip(members, kept, strict=True) if keep], rows[shared]


def _some(rows, arrays, seed):
    """Return some of the rows, in order, to bound time and memory."""
    width = sum(math.prod(array.shape[1:]) for array in arrays if not sparse.issparse(array))
    n_rows = min(_MAX_ROWS, max(2, _MAX_VALUES // max(1, width)))
    if n_rows >= len(rows):
        return rows
    return np.sort(np.random.RandomState(seed).choice(rows, n_rows, replace=False))
