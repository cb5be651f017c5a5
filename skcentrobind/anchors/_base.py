"""What every anchor can do, and what it answers with."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Target:
    """Vectors that some modalities learn towards in one step.

    Parameters
    ----------
    embeddings : Tensor of shape (batch, n_components) or (n_members, batch, n_components)
        One vector a sample for all members, or one for each member.
    members : list of int, default=None
        The modalities that learn towards it; None means all.
    present : Tensor of bool of shape (batch,) or (n_members, batch), default=None
        Which samples have this target; None means all.
    weight : float, default=1.0
        Factor of the loss.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import Target
    >>> Target(torch.eye(2), members=[0, 2]).weight
    1.0
    """

    embeddings: torch.Tensor
    members: list | None = None
    present: torch.Tensor | None = None
    weight: float = 1.0


class BaseAnchor(nn.Module):
    """Base class of all anchors.

    Attributes
    ----------
    bounded : bool
        Whether every anchor is at most 2 long, given unit-length embeddings. The loss may then
        take exponentials without subtracting a maximum first. False is always safe.
    frozen_step : int or None
        The modality whose encoder must not move in the present step.

    Examples
    --------
    An anchor of your own needs one method:

    >>> import torch
    >>> from skcentrobind.anchors import BaseAnchor
    >>> class FirstAnchor(BaseAnchor):
    ...     def aggregate(self, z, present):
    ...         return z[0]
    >>> FirstAnchor().targets(torch.ones(3, 2, 4), None, None)[0].embeddings.shape
    torch.Size([2, 4])
    """

    bounded = False
    frozen_step = None

    def prepare(self, names):
        """Check the settings against the names of the modalities before training."""

    def frozen(self):
        """Return the indices of the modalities whose encoders never learn, a tuple."""
        return ()

    def sources(self):
        """Return the positions of the modalities that an anchor is made of, None for all."""
        return None

    def aggregate(self, z, present):
        """Return one anchor a sample.

        Parameters
        ----------
        z : Tensor of shape (n_modalities, batch, n_components)
            Unit-length embeddings; the rows of absent samples hold zeros.
        present : Tensor of bool of shape (n_modalities, batch) or None
            Which samples have which modality; None means that all are present. Every sample
            has at least one.

        Returns
        -------
        anchor : Tensor of shape (batch, n_components)
            Need not be of unit length.
        """
        raise TypeError(f"{type(self).__name__} must implement aggregate(z, present).")

    def targets(self, z, present, generator):
        """Return the list of `Target` of this step; by default the aggregate, for everyone."""
        return [Target(self.aggregate(z, present))]
