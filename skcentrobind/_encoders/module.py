"""The network that skorch trains: groups of encoders, run on a batch and on its augmented copy."""

import torch
from torch import nn

from skcentrobind._encoders.sparse import stack_rows


class View:
    """How one group's input is augmented.

    Parameters
    ----------
    augment : callable or None
        `augment(x, strength, spread, present, generator)`, see `_augment`; None for x' = x.
    strength : float
        Its strength.
    spread : Tensor or None
        Standard deviation of every feature of the input; None where it is 1.
    widths : list of int
        Widths of the members, which are augmented apart where some samples are absent.
    """

    def __init__(self, augment, strength, spread, widths):
        self.augment = augment
        self.strength = strength
        self.spread = spread
        self.widths = widths

    def __call__(self, x, present, generator):
        """Augment x of shape (batch, ...); `present` is (n_members, batch) or None."""
        if present is None or len(self.widths) == 1:
            rows = None if present is None else present[0]
            return self.augment(x, self.strength, self.spread, rows, generator)
        spreads = [None] * len(self.widths)
        if self.spread is not None:
            spreads = self.spread.split(self.widths)
        parts = zip(x.split(self.widths, dim=1), spreads, present, strict=True)
        return torch.cat(
            [self.augment(x_m, self.strength, s_m, p_m, generator) for x_m, s_m, p_m in parts],
            dim=1,
        )


class BindModule(nn.Module):
    """Embed a batch with all encoders.

    Parameters
    ----------
    groups : ModuleList
        Groups of encoders, see `_encoders.build_groups`.
    views : list of View
        The augmentation of each group.
    """

    def __init__(self, groups, views):
        super().__init__()
        self.groups = groups
        self.views = views
        order = [m for group in groups for m in group.members]
        self.order = None if order == sorted(order) else [order.index(m) for m in sorted(order)]
        self.frozen = ()

    def group_of(self, modality):
        """Return the group that encodes a modality, and the modality's place among its members."""
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

    def forward(self, inputs, present, generator):
        """Embed the rows and their augmented copies.

        Parameters
        ----------
        inputs : list of Tensor or SparseRows of shape (batch, ...)
            One input a group.
        present : Tensor of bool of shape (n_modalities, batch) or None
            Which samples have which modality.
        generator : torch.Generator
            Source of the augmentation's randomness.

        Returns
        -------
        z, z_augmented : Tensor of shape (n_modalities, batch, n_components)
            Unit-length embeddings, zero where a modality is absent.
        """
        outs = []  # each (n_members, 2 x batch, n_components), augmented rows first
        for group, view, x in zip(self.groups, self.views, inputs, strict=True):
            here = None if present is None else present[list(group.members)]
            x_augmented = x if view.augment is None else view(x, here, generator)
            both = stack_rows(x_augmented, x)
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
        if present is not None:
            z = z * present[:, None, :, None]
        z_augmented, z = z.unbind(dim=1)
        return z, z_augmented


def _encode_present(group, x, rows):
    """Encode only the rows that are present; the others get zeros. None if there are none."""
    index = torch.nonzero(rows)[:, 0]
    if len(index) == 0:
        return None
    # Statistics over a batch need two different samples; one alone uses the running ones.
    encode = _in_eval_mode if len(index) <= 2 else _in_own_mode
    out = encode(group, x.index_select(0, index))
    return out.new_zeros(1, len(x), out.shape[-1]).index_copy(1, index, out)


def _in_own_mode(group, x):
    return group(x)


def _in_eval_mode(group, x):
    mode = group.training
    out = group.eval()(x)
    group.train(mode)
    return out
