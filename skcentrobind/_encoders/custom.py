"""Encoders that wrap a user's own module."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from skcentrobind._encoders.encoders import uniform
from skcentrobind._encoders.sparse import to_dense
from skcentrobind._ops import unit_rows


class CustomEncoder(nn.Module):
    """A user's own module, with a linear projection where its output has another width.

    Missing rows never reach it, so that statistics over a batch, such as those of batch
    normalisation, use real data only. Layers without a parameter that learns stay in evaluation
    mode: a frozen backbone is the same function in training and afterwards.
    """

    has_features = False
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


def wrap_module(member, spec, shape, name, n_components, generator, rows):
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
        projection = nn.Linear(
            out.shape[1], n_components, device="meta", dtype=torch.float32
        ).to_empty(device="cpu")
        with torch.no_grad():
            projection.weight.copy_(uniform(projection.weight.shape, out.shape[1], generator))
            projection.bias.copy_(uniform(projection.bias.shape, out.shape[1], generator))
    return CustomEncoder(member, module, projection)
