"""InfoNCE of samples that are related: of the same group, equal in a modality, or weighted.

The loss of `_info_nce.py`, tile by tile as there, with more than one positive per query, candidates
that are left out, and a weighted mean. It is a file of its own so that samples without relations
pay nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skcentrobind._ops import matmul
from skcentrobind.losses._samples import Samples

# A tile of the logits of all modalities has about this many numbers (1 MiB of float32).
_TILE_SIZE = 2**18


class Relations(NamedTuple):
    """How the samples of a batch are related.

    Attributes
    ----------
    samples : Samples
        Groups and duplicates.
    duplicates : Tensor of int64 of shape (n_modalities, batch) or None
        Further duplicates, of the anchors.
    share : Tensor of shape (n_modalities, batch)
        Share of each sample in the mean.
    mask : Tensor of bool of shape (n_modalities, batch) or None
        Which samples take part.
    """

    samples: Samples
    duplicates: Tensor | None
    share: Tensor
    mask: Tensor | None

    def of_tile(self, tile: slice) -> tuple[Tensor | None, Tensor | None]:
        """Return which candidates of a tile count, and which are positives.

        Both are Tensors of bool of shape (n_modalities or 1, batch, chunk). None stands for all
        candidates, and for the sample itself as the only positive.
        """
        positive = self.samples.positives(tile)
        excluded = self.samples.excluded(self.duplicates, tile)
        counts = None if excluded is None else ~excluded
        positive = None if positive is None else positive[None]
        if self.mask is not None:
            valid = self.mask[:, :, None] & self.mask[:, None, tile]
            counts = valid if counts is None else counts & valid
            positive = None if positive is None else positive & valid
        return counts, positive


class RelatedInfoNCE(torch.autograd.Function):
    """Loss and gradient in two sweeps over the tiles; backward multiplies by what comes in.

    With the share w_k of sample k, the loss of a modality is the sum over the directions of
    sum_k w_k (log D_k - log N_k), where D_k sums the exponentials of the candidates of query k and
    N_k those of its positives. Its gradient with respect to the logit of k and j is
    w_k (e^s_kj / D_k - e^s_kj / N_k), where j counts, and is a positive, respectively.
    """

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        a: Tensor,
        scale: float | Tensor,
        relations: Relations,
        softmax_of: tuple[bool, bool],
        chunk_size: int | None,
    ) -> Tensor:
        n_modalities, batch, _ = z.shape
        factor = scale[:, None, None] if isinstance(scale, Tensor) else scale
        scaled, share = z * factor, relations.share
        chunk = min(batch, chunk_size or max(16, _TILE_SIZE // (batch * n_modalities)))
        tiles = [slice(j, min(j + chunk, batch)) for j in range(0, batch, chunk)]
        dims = [dim for dim, wanted in zip((-1, -2), softmax_of, strict=True) if wanted]
        sweep = _Sweep(scaled, a, relations, tiles, dims)
        counted, positive = sweep.normalisers()
        own = (scaled * a).sum(dim=-1)  # (n_modalities, batch), the logits of sample and sample
        per_row = torch.zeros_like(own)
        for dim in dims:
            per_row += counted[dim] - positive.get(dim, own)
        losses = (per_row * share).sum(dim=-1)
        if any(ctx.needs_input_grad[:3]):
            grad_z, grad_a = sweep.gradients(z, counted, positive)
            grad_scale = (grad_z * z).sum(dim=(1, 2)) if ctx.needs_input_grad[2] else None
            each = scale if isinstance(scale, Tensor) else None
            ctx.factor = None if isinstance(scale, Tensor) else scale
            ctx.shared_anchor = a.ndim == 2
            ctx.save_for_backward(grad_z, grad_a, grad_scale, each)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_losses: Tensor) -> tuple[Tensor | None, ...]:
        grad_z, grad_a, grad_scale, each = ctx.saved_tensors
        weight = (grad_losses * (ctx.factor if each is None else each))[:, None, None]
        grad_a = grad_a * weight
        if ctx.shared_anchor:
            grad_a = grad_a.sum(dim=0)
        grad_scale = None if grad_scale is None else grad_losses * grad_scale
        return grad_z * weight, grad_a, grad_scale, None, None, None


class _Sweep:
    """The logits of a batch, a tile at a time."""

    def __init__(
        self,
        scaled: Tensor,
        a: Tensor,
        relations: Relations,
        tiles: list[slice],
        dims: list[int],
    ) -> None:
        self.scaled, self.a, self.relations, self.tiles = scaled, a, relations, tiles
        self.dims = dims
        self.lowest = torch.finfo(scaled.dtype).min / 4

    def _each(self) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """Yield for each tile the logits of what counts and those of the positives.

        Both are of shape (n_modalities, batch, chunk), with the smallest number for all others; the
        second is None where each sample is its only positive.
        """
        for tile in self.tiles:
            logits = matmul(self.scaled, self.a[..., tile, :].transpose(-1, -2))
            counts, positive = self.relations.of_tile(tile)
            # Large but finite: -inf - (-inf) in a missing row would be NaN.
            of_positives = None
            if positive is not None:
                of_positives = logits.masked_fill(~positive, self.lowest)
            if counts is not None:
                logits = logits.masked_fill(~counts, self.lowest)
            yield tile, logits, of_positives

    def normalisers(self) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """Return log D and log N by the dimension summed over, each (n_modalities, batch).

        The second is empty where each sample is its only positive.
        """
        found: tuple[dict[int, list[Tensor]], dict[int, list[Tensor]]] = ({}, {})
        for _, *kinds in self._each():
            for parts, logits in zip(found, kinds, strict=True):
                if logits is not None:
                    for dim in self.dims:
                        parts.setdefault(dim, []).append(logits.logsumexp(dim=dim))
        joined = []
        for parts in found:
            of_dims = {}
            for dim, values in parts.items():
                of_dims[dim] = torch.cat(values, dim=-1) if dim == -2 else values[0]
                if dim == -1:
                    for more in values[1:]:
                        of_dims[dim] = torch.logaddexp(of_dims[dim], more)
            joined.append(of_dims)
        return joined[0], joined[1]

    def gradients(
        self, z: Tensor, counted: dict[int, Tensor], positive: dict[int, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the gradients in z and in the anchors, without the factor scale."""
        share = self.relations.share[..., None]
        grad_z, grads_a = torch.zeros_like(z), []
        for tile, logits, of_positives in self._each():
            weight = self._softmax(logits, counted, tile)
            if of_positives is not None:
                weight -= self._softmax(of_positives, positive, tile)
            if self.relations.mask is not None:
                weight *= self.relations.mask[:, :, None] & self.relations.mask[:, None, tile]
            grad_z += matmul(weight, self.a[..., tile, :])
            grads_a.append(matmul(z.transpose(1, 2), weight))
        grad_a = torch.cat(grads_a, dim=-1).transpose(1, 2)
        if not positive:
            grad_z = grad_z - len(self.dims) * share * self.a
            grad_a = grad_a - len(self.dims) * share * z
        return grad_z, grad_a

    def _softmax(self, logits: Tensor, sums: dict[int, Tensor], tile: slice) -> Tensor:
        """Return the sum of the softmaxes over rows and columns, times the share of the query."""
        share = self.relations.share
        total = torch.zeros_like(logits)
        for dim, log_sum in sums.items():
            if dim == -1:
                total += (logits - log_sum[:, :, None]).exp_() * share[:, :, None]
            else:
                total += (logits - log_sum[:, None, tile]).exp_() * share[:, None, tile]
        return total
