"""The module to train: encoders, applied to a batch and to its augmented copy.

An augmentation maps a batch of rows to random copies of them, from which the anchor is computed. It
gets `x` of shape (batch, ...), in which missing rows are zero, `strength`, `spread` (standard
deviation of every feature, a tensor that broadcasts against x, or None where it is 1), `mask` of
shape (batch,), False where the row is missing, or None, and a generator; it returns a new tensor.
To add one, write such a function and add a row to `AUGMENTATIONS`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import nn

from skcentrobind._data.statistics import prepare_rows, prepare_sparse
from skcentrobind._encoders.custom import CustomEncoder, wrap_module
from skcentrobind._encoders.encoders import cut_heads
from skcentrobind._encoders.sparse import (
    SparseRows,
    multiplicative,
    sparse_zero,
    stack_rows,
    to_dense,
)
from skcentrobind._encoders.table import ENCODERS
from skcentrobind._ops import global_torch

# Rows and values that are encoded at a time outside of training.
_ENCODE_ROWS = 8192
_ENCODE_VALUES = 2**25


def gaussian(x, strength, spread, mask, generator):
    """Add normal noise of `strength` standard deviations of each feature."""
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    if spread is not None:
        noise *= spread
    return torch.add(x, noise, alpha=strength)


def zero(x, strength, spread, mask, generator):
    """Set each entry to zero, the mean of a standardised feature, with probability `strength`."""
    drop = _uniform(x.shape, generator, x.device) < strength
    return x.masked_fill(drop, 0.0)


def marginal(x, strength, spread, mask, generator):
    """Replace each entry, with probability `strength`, by another sample's (as SCARF does).

    Values come only from samples that have the modality.
    """
    flat = x.reshape(len(x), -1)
    if mask is None:
        source = torch.randint(len(x), flat.shape, generator=generator, device=x.device)
    else:
        candidates = torch.nonzero(mask)[:, 0]
        if len(candidates) == 0:
            return x
        draw = torch.randint(len(candidates), flat.shape, generator=generator, device=x.device)
        source = candidates[draw]
    swap = _uniform(flat.shape, generator, x.device) < strength
    return torch.where(swap, flat.gather(0, source), flat).view(x.shape)


def _uniform(shape, generator, device):
    return torch.rand(shape, generator=generator, device=device, dtype=torch.float32)


class Augmentation(NamedTuple):
    """One row of `AUGMENTATIONS`.

    Attributes
    ----------
    dense : callable
        The function for tensors.
    sparse : callable or None
        The function for `SparseRows`; None where there is none.
    is_probability : bool
        Whether `strength` is a probability.
    """

    dense: Callable
    sparse: Callable | None
    is_probability: bool


#: Names that the parameter `augmentation` accepts, one row each. There is no sparse "marginal":
#: nearly all values of a feature are zero, so it would be "mask" plus a few random entries.
AUGMENTATIONS = {
    "gaussian": Augmentation(gaussian, multiplicative, is_probability=False),
    "mask": Augmentation(zero, sparse_zero, is_probability=True),
    "marginal": Augmentation(marginal, None, is_probability=True),
}


def augmentation_of(spec, name, is_sparse):
    """Return the function of a name or of a user's callable; None stays None.

    Parameters
    ----------
    spec : str, callable or None
        An entry of the parameter `augmentation`.
    name : str
        The modality, for the error.
    is_sparse : bool
        Whether its rows are sparse.

    Returns
    -------
    augment : callable or None

    Raises
    ------
    ValueError
        If there is none of this name for sparse rows.
    """
    if spec is None:
        return None
    if not isinstance(spec, str):
        return UserAugmentation(spec)
    row = AUGMENTATIONS[spec]
    if is_sparse and row.sparse is None:
        fits = " or ".join(repr(key) for key, other in AUGMENTATIONS.items() if other.sparse)
        raise ValueError(
            f"augmentation={spec!r} does not fit modality '{name}', which is sparse: it is defined "
            f"for dense rows only. Use {fits}, if need be for this modality alone by a dict: "
            f"augmentation={{{name!r}: 'mask', ...}}."
        )
    return row.sparse if is_sparse else row.dense


class UserAugmentation:
    """A user's `f(x, generator)` in the form of the built-in augmentations."""

    def __init__(self, function):
        self.function = function

    def __call__(self, x, strength, spread, mask, generator):
        """Call the user's function and check what it returns."""
        x = to_dense(x)
        out = self.function(x, generator)
        if not isinstance(out, torch.Tensor) or out.shape != x.shape:
            got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
            raise ValueError(
                f"augmentation must return a tensor of the shape of its input, {tuple(x.shape)}, "
                f"got {got}."
            )
        return out


class Augmenter:
    """Augments the input of one group of encoders.

    Parameters
    ----------
    augment : callable or None
        The augmentation; None for x' = x.
    strength : float
        Strength of the augmentation.
    spread : Tensor or None
        Standard deviation of every feature of the input; None where it is 1.
    widths : list of int
        Widths of the members, which are augmented apart where some rows are missing.
    """

    def __init__(self, augment, strength, spread, widths):
        self.augment = augment
        self.strength = strength
        self.spread = spread
        self.widths = widths

    def __call__(self, x, mask, generator):
        """Augment x of shape (batch, ...); `mask` is (n_members, batch) or None."""
        if self.augment is None:
            return x
        if mask is None or len(self.widths) == 1:
            rows = None if mask is None else mask[0]
            return self.augment(x, self.strength, self.spread, rows, generator)
        spreads = [None] * len(self.widths)
        if self.spread is not None:
            spreads = self.spread.split(self.widths)
        parts = zip(x.split(self.widths, dim=1), spreads, mask, strict=True)
        return torch.cat(
            [self.augment(x_m, self.strength, s_m, m_m, generator) for x_m, s_m, m_m in parts],
            dim=1,
        )


class Source(NamedTuple):
    """Rows of one modality, and how they are prepared.

    Attributes
    ----------
    name : str
        The modality.
    array : ndarray or csr_array of shape (n_samples, ...)
        All of its rows.
    scaler : scaler or None
        How they are scaled.
    device : str
        Device to compute on.
    """

    name: str
    array: Any
    scaler: Any
    device: str


class BindModule(nn.Module):
    """Embed a batch with all encoders.

    Parameters
    ----------
    groups : ModuleList
        Banks and users' modules; every modality is a member of exactly one of them.
    augmenters : list of Augmenter
        One per group.
    """

    def __init__(self, groups, augmenters):
        super().__init__()
        self.groups = groups
        self.augmenters = augmenters
        order = [m for group in groups for m in group.members]
        self.order = None if order == sorted(order) else [order.index(m) for m in sorted(order)]
        self.frozen = ()

    def group_of(self, modality):
        """Return the group that encodes a modality, and its position among the members."""
        group = next(group for group in self.groups if modality in group.members)
        return group, group.members.index(modality)

    def freeze(self, modalities):
        """Stop groups that hold only these modalities from learning and from updating statistics.

        A frozen member of a bank with others is put back after every step instead, see `BindNet`.
        """
        self.frozen = tuple(modalities)
        for group in self._frozen_groups():
            group.requires_grad_(False)

    def _frozen_groups(self):
        return [group for group in self.groups if set(group.members) <= set(self.frozen)]

    def train(self, mode=True):
        """Switch between training and evaluation; frozen encoders stay in evaluation."""
        super().train(mode)
        for group in self._frozen_groups():
            group.eval()
        return self

    def held_parameters(self, modalities):
        """Return tensors of frozen modalities that an optimiser step would move.

        Weight decay and momentum move weights without a gradient, too. Groups that are frozen as a
        whole have no gradient, so that the optimiser skips them.

        Parameters
        ----------
        modalities : iterable of int
            Positions of the modalities that must not move.

        Returns
        -------
        tensors : list of Tensor
            Without history; those of members of banks share memory with the bank.
        """
        frozen = set(self.frozen)
        encoders = [self.group_of(m) for m in sorted(modalities)]
        return [
            tensor.detach()
            for group, k in encoders
            if not set(group.members) <= frozen
            for tensor in group.member_parameters(k)
        ]

    @torch.no_grad()
    def encode_rows(self, m, source, rows, out, start=0, heads=()):
        """Write embeddings of some rows of one modality to an array.

        Parameters
        ----------
        m : int
            Position of the modality.
        source : Source
            All of its rows.
        rows : ndarray of int
            Which of them to encode.
        out : ndarray of shape (n_rows, width)
            Array to write to, row k of the modality to row k - start.
        start : int, default=0
            Row of the modality that is written to the first row of `out`.
        heads : tuple of slice, default=()
            See `ModalityEncoder`.
        """
        group, k = self.group_of(m)
        step = max(1, min(_ENCODE_ROWS, _ENCODE_VALUES // math.prod(source.array.shape[1:])))
        is_custom = isinstance(group, CustomEncoder)
        with global_torch(0, source.device) if is_custom else contextlib.nullcontext():
            for first in range(0, len(rows), step):
                some = rows[first : first + step]
                scalers = [source.scaler]
                x = prepared_batch([source.name], [source.array[some]], scalers, source.device)
                z = group.encode(k, x)
                out[some - start] = (cut_heads(z, heads) if heads else z).cpu().numpy()

    def forward(self, inputs, mask, generator):
        """Embed the rows and their augmented copies.

        Parameters
        ----------
        inputs : list of Tensor or SparseRows of shape (batch, ...)
            One input per group.
        mask : Tensor of bool of shape (n_modalities, batch) or None
            Which samples have which modality; None means that none is missing.
        generator : torch.Generator
            Source of the augmentation's randomness.

        Returns
        -------
        z, z_augmented : Tensor of shape (n_modalities, batch, n_components)
            Unit-length embeddings, zero where a modality is missing.
        """
        outs = []  # each (n_members, 2 x batch, n_components), augmented rows first
        for group, augmenter, x in zip(self.groups, self.augmenters, inputs, strict=True):
            here = None if mask is None else mask[list(group.members)]
            both = _stack(augmenter(x, here, generator), x)
            if here is None or len(here) > 1:
                outs.append(group(both))
            else:
                outs.append(_encode_present(group, both, here[0].repeat(2)))
        if any(out is None for out in outs):
            # Every sample has some modality, so some group has an output.
            like = next(out for out in outs if out is not None)[:1]
            outs = [torch.zeros_like(like) if out is None else out for out in outs]
        z = outs[0] if len(outs) == 1 else torch.cat(outs)
        if self.order is not None:
            z = z[self.order]
        z = z.unflatten(1, (2, -1))  # (n_modalities, 2, batch, n_components)
        if mask is not None:
            z = z * mask[:, None, :, None]
        z_augmented, z = z.unbind(dim=1)
        return z, z_augmented


def _stack(x_augmented, x):
    if isinstance(x, torch.Tensor) and isinstance(x_augmented, torch.Tensor):
        return torch.cat([x_augmented, x])
    return stack_rows(x_augmented, x)


def _encode_present(group, x, rows):
    """Encode only the rows that are present; the others get zeros. None if there are none."""
    index = torch.nonzero(rows)[:, 0]
    if len(index) == 0:
        return None
    # Statistics over a batch need two different samples; one alone uses the running ones.
    present = x.index_select(0, index)
    out = _in_eval_mode(group, present) if len(index) <= 2 else group(present)
    return out.new_zeros(1, len(x), out.shape[-1]).index_copy(1, index, out)


def _in_eval_mode(group, x):
    mode = group.training
    out = group.eval()(x)
    group.train(mode)
    return out


def make_groups(plan, probe):
    """Make the banks and wrap users' modules; torch's global random state stays as it was.

    Parameters
    ----------
    plan : Plan
        Its `modalities` define the encoders.
    probe : callable
        `probe(m)` returns a few prepared rows of modality m, to try a user's module on.

    Returns
    -------
    groups : ModuleList
        Every modality is a member of exactly one of them.
    """
    generator = torch.Generator("cpu").manual_seed(plan.seed)
    width = plan.n_components + plan.n_specific_components
    groups, banks = [], {}
    is_custom = [not isinstance(spec.encoder, str) for spec in plan.modalities]
    # A user's factory may draw weights from torch's global generator.
    with global_torch(plan.seed) if any(is_custom) else contextlib.nullcontext():
        for m, spec in enumerate(plan.modalities):
            if is_custom[m]:
                own = (spec.encoder, spec.row_shape, spec.name)
                groups.append(wrap_module(m, *own, width, generator, probe(m)))
            else:
                banks.setdefault(_group_key(spec), []).append(m)
    for members in banks.values():
        own = [plan.modalities[m] for m in members]
        kind = ENCODERS[own[0].encoder]
        for spec in own if kind.keeps_width else ():
            if spec.n_features != width:
                raise ValueError(
                    f"encoder={spec.encoder!r} needs modality '{spec.name}' to have as many "
                    f"features as the shared space, n_components={width}, but it has "
                    f"{spec.n_features}; set n_components={spec.n_features} or choose another "
                    "encoder for it."
                )
        widths = [spec.n_features for spec in own]
        more = kind.options(own)
        groups.append(kind(members, widths, width, plan.hidden_layer_sizes, generator, **more))
    return nn.ModuleList(groups)


def _group_key(spec):
    """Return what modalities of one bank have in common.

    Another augmentation or learning rate needs another group; a user's augmentation gets one
    modality at a time, and sparse rows form a group of their own.
    """
    is_alone = spec.is_sparse or callable(spec.augmentation)
    augmentation = (spec.name,) if is_alone else spec.augmentation
    return spec.encoder, augmentation, spec.learning_rate


def assemble(plan, groups, spreads):
    """Combine encoders and augmentation on the device.

    Parameters
    ----------
    plan : Plan
        Defines how each modality is augmented.
    groups : ModuleList
        The encoders.
    spreads : list of Tensor or None
        For each group the standard deviations of its features, flat.

    Returns
    -------
    module : BindModule
    """
    product_dtype = torch.bfloat16 if plan.precision == "bf16" else None
    augmenters = []
    for group, spread in zip(groups, spreads, strict=True):
        group.product_dtype = product_dtype
        first, *others = (plan.modalities[m] for m in group.members)
        if spread is not None:
            is_flat = others or group.has_features
            spread = spread if is_flat else spread.view(first.row_shape)
            spread = spread.to(plan.device)
        is_sparse = first.is_sparse and not group.has_features
        augment = augmentation_of(first.augmentation, first.name, is_sparse)
        widths = [plan.modalities[m].n_features for m in group.members]
        if group.has_features:
            widths = group.n_features
        augmenters.append(Augmenter(augment, plan.augmentation_scale, spread, widths))
    return BindModule(groups, augmenters).to(plan.device)


def prepared_batch(names, arrays, scalers, device):
    """Prepare rows as the input of a group.

    Parameters
    ----------
    names : list of str
        Members of the group.
    arrays : list of array of shape (n_samples, ...)
        Their rows. A sparse member has no others beside it.
    scalers : list of scaler or None
        See `prepare_rows` and `prepare_sparse`.
    device : str
        Device of the input.

    Returns
    -------
    x : Tensor or SparseRows of shape (n_samples, ...)
        A single member keeps its shape; several are concatenated.
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
