"""Encoders: one function from features to the shared space for every modality.

Modalities whose encoders have the same form share one `EncoderBank`, which runs all of them in
batched matrix products. A user's own module is wrapped on its own. Both are *groups*: they know
their `members` (positions of modalities), map one input tensor to unit-length embeddings of all
members, and can `encode` one member alone.
"""

import copy
import math
from itertools import pairwise

import torch
from torch import nn

from skcentrobind._encoders.layers import Perceptrons
from skcentrobind._encoders.sparse import to_dense
from skcentrobind._ops import unit_rows

BUILT_IN = ("residual", "mlp", "linear", "identity")


class EncoderBank(nn.Module):
    """Residual, MLP or linear encoders of several modalities in common tensors.

    Parameters
    ----------
    members : sequence of int
        Positions of the modalities.
    n_features : sequence of int
        Their widths.
    n_components : int
        Width of the shared space.
    kind : {"residual", "mlp", "linear"}
        Form of the encoders.
    hidden_layer_sizes : tuple of int
        Widths of the hidden layers.
    generator : torch.Generator
        Source of the initial weights.
    """

    product_dtype = None  # that of the rows, or torch.bfloat16

    def __init__(self, members, n_features, n_components, kind, hidden_layer_sizes, generator):
        super().__init__()
        hidden = () if kind == "linear" else tuple(hidden_layer_sizes)
        self.members = tuple(members)
        self.n_features = list(n_features)
        self.n_hidden = hidden[0] if hidden else 0
        self.has_linear_part = kind != "mlp" or not hidden
        n_first = self.n_hidden + (n_components if self.has_linear_part else 0)
        n_members = len(self.members)

        # The first layers of all members stand below one another; their columns are the hidden
        # units, then the linear part, so that one product per member yields both.
        first = [_uniform((d, n_first), d, generator) for d in n_features]
        bias = [_uniform((1, n_first), d, generator) for d in n_features]
        self.first_weight = nn.Parameter(torch.cat(first))  # (sum of n_features, n_first)
        self.first_bias = nn.Parameter(torch.stack(bias))  # (n_members, 1, n_first)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        sizes = (*hidden, n_components) if hidden else ()
        for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            weight = _uniform((n_members, fan_in, fan_out), fan_in, generator)
            bias = _uniform((n_members, 1, fan_out), fan_in, generator)
            if kind == "residual" and i == len(sizes) - 2:
                # z = W x + MLP(x) starts as the linear map and adds only what helps.
                weight, bias = weight.zero_(), bias.zero_()
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(bias))

    def forward(self, x):
        """Encode (batch, sum of n_features) to (n_members, batch, n_components)."""
        rest = [p for pair in zip(self.weights, self.biases, strict=True) for p in pair]
        first = (self.first_weight, self.first_bias)
        how = (self.n_features, self.n_hidden, self.product_dtype)
        return Perceptrons.apply(x.flatten(1), *how, *first, *rest)

    def encode(self, k, x):
        """Encode rows of member k alone: (batch, n_features[k]) to (batch, n_components)."""
        first = (self.first_weight.split(self.n_features)[k], self.first_bias[k : k + 1])
        pairs = zip(self.weights, self.biases, strict=True)
        rest = [p[k : k + 1] for pair in pairs for p in pair]
        how = (self.n_features[k : k + 1], self.n_hidden, self.product_dtype)
        return Perceptrons.apply(x.flatten(1), *how, *first, *rest)[0]

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
            How much of the old weights is added to each.
        """
        columns = slice(self.n_hidden, self.n_hidden + len(bias))
        old = self.first_weight.split(self.n_features)[k][:, columns]
        weight, bias, share = (old.new_tensor(array) for array in (weight, bias, share))
        old.mul_(share).add_(weight)
        self.first_bias[k, 0, columns] = bias

    def member_parameters(self, k):
        """Return the tensors of member k, as views that share memory with the bank."""
        first = self.first_weight.split(self.n_features)[k]
        rest = [p[k] for p in (self.first_bias, *self.weights, *self.biases)]
        return [first, *rest]


class IdentityEncoder(nn.Module):
    """Modalities that live in the shared space already and are only normalised."""

    def __init__(self, members, n_components):
        super().__init__()
        self.members = tuple(members)
        self.n_components = n_components

    def forward(self, x):
        """Cut (batch, n_members * n_components) into (n_members, batch, n_components)."""
        x = to_dense(x).view(len(x), len(self.members), self.n_components)
        return unit_rows(x.transpose(0, 1))

    def encode(self, k, x):
        """Scale the rows to unit length."""
        return unit_rows(to_dense(x).flatten(1))

    def member_parameters(self, k):
        """Return no tensors, since nothing is learned."""
        return []


class CustomEncoder(nn.Module):
    """A user's own module, with a linear projection where its output has another width.

    Rows of absent samples never reach it, so that layers which look at a whole batch, such as
    batch normalisation, see real data only. Layers of which nothing learns stay in evaluation
    mode: a frozen backbone is the same function in training and afterwards.
    """

    product_dtype = None  # that of the module, or torch.bfloat16

    def __init__(self, member, module, projection=None):
        super().__init__()
        self.members = (member,)
        self.module = module
        self.projection = projection

    def train(self, mode=True):
        """Switch between training and evaluation; frozen layers stay in evaluation."""
        super().train(mode)
        for layer in _frozen_layers(self.module):
            layer.eval()
        return self

    def forward(self, x):
        """Encode (batch, ...) to (1, batch, n_components)."""
        return self.encode(0, x)[None]

    def encode(self, k, x):
        """Encode (batch, ...) to (batch, n_components)."""
        x = to_dense(x)
        if self.product_dtype is None:
            return unit_rows(self._project(x))
        with torch.autocast(x.device.type, dtype=self.product_dtype):
            out = self._project(x)
        return unit_rows(out.float())

    def _project(self, x):
        out = self.module(x)
        return out if self.projection is None else self.projection(out)

    def member_parameters(self, k):
        """Return the module's parameters."""
        return list(self.parameters())


def _frozen_layers(module):
    """Yield the outermost layers that have parameters, none of which requires a gradient."""
    learns = [parameter.requires_grad for parameter in module.parameters()]
    if learns and not any(learns):
        yield module
    else:
        for child in module.children():
            yield from _frozen_layers(child)


class ModalityEncoder(nn.Module):
    """Encoder of one modality, or some of its heads: prepared float32 rows to unit-length rows.

    It shares its weights with the trained network. "Prepared" means standardised by the
    estimator's `scalers_`, where the modality has one.

    Parameters
    ----------
    group : Module
        The group that the modality belongs to.
    position : int
        Its position among the group's members.
    heads : tuple of slice, default=()
        Which columns make up each head to return, side by side; empty if there is one head.
    """

    def __init__(self, group, position, heads=()):
        super().__init__()
        self.group = group
        self.position = position
        self.heads = heads

    def forward(self, x):
        """Embed (batch, n_features) to (batch, n_components)."""
        z = self.group.encode(self.position, x)
        if not self.heads:
            return z
        return torch.cat([unit_rows(z[:, head]) for head in self.heads], dim=1)


def build_groups(specs, shapes, names, n_components, hidden_layer_sizes, split, generator, probe):
    """Make the groups of encoders.

    Parameters
    ----------
    specs : list
        One specification a modality: a built-in name, a module, or a factory
        `(n_features, n_components) -> Module`.
    shapes : list of tuple of int
        Shape of one row of each modality.
    names : sequence of str
        Their names, for messages.
    n_components, hidden_layer_sizes
        See `EncoderBank`.
    split : list
        Modalities whose entries differ never share a bank.
    generator : torch.Generator
        Source of the initial weights.
    probe : callable
        `probe(m)` returns a few prepared rows of modality m, to try a user's module on.

    Returns
    -------
    groups : ModuleList
        Every modality is a member of exactly one of them.
    """
    groups, banks = [], {}
    for m, spec in enumerate(specs):
        if isinstance(spec, str):
            banks.setdefault((spec, split[m]), []).append(m)
        else:
            groups.append(_custom(m, spec, shapes[m], names[m], n_components, generator, probe(m)))
    for (kind, _), members in banks.items():
        widths = [math.prod(shapes[m]) for m in members]
        if kind == "identity":
            for m, width in zip(members, widths, strict=True):
                if width != n_components:
                    raise ValueError(
                        f"encoder='identity' needs modality '{names[m]}' to have as many features "
                        f"as the shared space, n_components={n_components}, but it has {width}; "
                        f"set n_components={width} or choose another encoder for it."
                    )
            groups.append(IdentityEncoder(members, n_components))
        else:
            groups.append(
                EncoderBank(members, widths, n_components, kind, hidden_layer_sizes, generator)
            )
    return nn.ModuleList(groups)


def _custom(member, spec, shape, name, n_components, generator, rows):
    """Copy or make a user's module, try it on a few rows and add a projection if needed."""
    if isinstance(spec, nn.Module):
        module = copy.deepcopy(spec)
    else:
        try:
            module = spec(math.prod(shape), n_components)
        except Exception as exc:
            raise ValueError(
                f"The encoder factory of modality '{name}' failed when called with (n_features, "
                f"n_components) = ({math.prod(shape)}, {n_components}): {exc}"
            ) from exc
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"The encoder factory of modality '{name}' must return a torch.nn.Module, "
                f"got {type(module).__name__}."
            )
    training = {layer: layer.training for layer in module.modules()}
    try:
        with torch.no_grad():
            out = module.eval()(rows)
    except Exception as exc:
        raise ValueError(
            f"The encoder of modality '{name}' failed on an input of shape {tuple(rows.shape)} "
            f"and dtype {rows.dtype}: {exc}"
        ) from exc
    for layer, mode in training.items():
        layer.training = mode
    if not isinstance(out, torch.Tensor) or out.ndim != 2 or len(out) != len(rows):
        got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise ValueError(
            f"The encoder of modality '{name}' must return a tensor of shape (batch, width), here "
            f"({len(rows)}, width), got {got}; flatten or pool its output."
        )
    projection = None
    if out.shape[1] != n_components:
        projection = nn.Linear(out.shape[1], n_components, device="meta").to_empty(device="cpu")
        with torch.no_grad():
            projection.weight.copy_(_uniform(projection.weight.shape, out.shape[1], generator))
            projection.bias.copy_(_uniform(projection.bias.shape, out.shape[1], generator))
    return CustomEncoder(member, module, projection)


def _uniform(shape, fan_in, generator):
    """Draw from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), the law of torch's linear layers."""
    bound = 1 / math.sqrt(fan_in)
    return torch.empty(shape, device="cpu").uniform_(-bound, bound, generator=generator)
