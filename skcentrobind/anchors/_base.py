"""The base class of all anchors, its targets, and the simple aggregates."""

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
    bounded : bool, default=False
        Whether its vectors are at most 2 long, given unit-length embeddings. The loss may then
        take exponentials without subtracting a maximum first. False is always safe.
    frozen : tuple of int, default=()
        Positions of the modalities whose encoders must not move in this step.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import Target
    >>> Target(torch.eye(2), members=[0, 2]).weight
    1.0
    """

    embeddings: torch.Tensor
    members: list[int] | None = None
    present: torch.Tensor | None = None
    weight: float = 1.0
    bounded: bool = False
    frozen: tuple[int, ...] = ()


class BaseAnchor(nn.Module):
    """Base class of all anchors.

    Attributes
    ----------
    bounded : bool
        Whether every anchor is at most 2 long, given unit-length embeddings; `targets` passes it
        on to each `Target`. False is always safe.

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

    def __init__(self):
        super().__init__()
        own = type(self)
        if own.aggregate is BaseAnchor.aggregate and own.targets is BaseAnchor.targets:
            raise TypeError(
                f"{own.__name__} must implement aggregate(z, present), or "
                "targets(z, present, generator)."
            )

    def prepare(self, names):
        """Check the settings against the names of the modalities before training."""

    def frozen(self):
        """Return the positions of the modalities whose encoders never learn, a tuple."""
        return ()

    def sources(self):
        """Return the positions of the modalities that an anchor is made of, () for all."""
        return ()

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
        raise NotImplementedError(f"{type(self).__name__} implements targets alone.")

    def targets(self, z, present, generator):
        """Return the list of `Target` of this step; by default the aggregate, for all."""
        return [Target(self.aggregate(z, present), bounded=self.bounded)]


class MeanAnchor(BaseAnchor):
    """The centroid: mean of the embeddings that are present, not re-normalised.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import MeanAnchor
    >>> MeanAnchor().aggregate(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), None)
    tensor([[0.5000, 0.5000]])
    """

    bounded = True

    def aggregate(self, z, present):
        """Equation (7) of the paper: mean over the modalities that a sample has."""
        if present is None:
            return z.mean(dim=0)
        share = present.to(z.dtype)
        share = share / share.sum(dim=0)  # (n_modalities, batch)
        return (share[:, :, None] * z).sum(dim=0)


class WeightedAnchor(BaseAnchor):
    """Weighted mean of the embeddings; the weights of the present modalities sum to one.

    Parameters
    ----------
    weights : sequence of float or dict of str to float
        One non-negative weight a modality, in their order or by name.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import WeightedAnchor
    >>> WeightedAnchor([1, 3]).aggregate(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), None)
    tensor([[0.2500, 0.7500]])
    """

    bounded = True

    def __init__(self, weights):
        super().__init__()
        self.weights = weights
        self.register_buffer("_w", None)
        if not isinstance(weights, dict):
            self._w = _as_weights(weights)

    def prepare(self, names):
        """Check that there is one usable weight for each modality."""
        weights = self.weights
        if isinstance(weights, dict):
            if set(weights) != set(names):
                raise ValueError(
                    f"WeightedAnchor got weights for {sorted(map(str, weights))}, but the "
                    f"modalities are {list(names)}; give one weight for each of them."
                )
            weights = [weights[name] for name in names]
        self._w = _as_weights(weights)
        if self._w.shape != (len(names),):
            raise ValueError(
                f"WeightedAnchor got {self._w.numel()} weights for {len(names)} modalities "
                f"{list(names)}; give one weight for each."
            )
        if not (torch.isfinite(self._w).all() and (self._w >= 0).all() and self._w.sum() > 0):
            raise ValueError(
                f"WeightedAnchor needs finite weights >= 0 that are not all 0, got {weights}."
            )

    @property
    def modality_weights(self):
        """Weights of the modalities where all are present, in their order."""
        return self._w / self._w.sum()

    def aggregate(self, z, present):
        """Weighted mean over the modalities that a sample has."""
        weights = self._w.to(z.dtype)[:, None]  # (n_modalities, 1 or batch)
        if present is not None:
            weights = weights * present
            # A sample that has only modalities of weight 0 falls back on their plain mean.
            none_left = weights.sum(dim=0) == 0
            weights = torch.where(none_left, present.to(z.dtype), weights)
        weights = weights / weights.sum(dim=0)
        return (weights[:, :, None] * z).sum(dim=0)

    def extra_repr(self):
        """Show the weights."""
        return f"{self.weights}"


def _as_weights(weights):
    try:
        return torch.as_tensor(weights, dtype=torch.float32, device="cpu")
    except (TypeError, ValueError, RuntimeError) as exc:
        raise ValueError(
            "WeightedAnchor needs one number for each modality, as a sequence or a dict by name, "
            f"got {weights!r}."
        ) from exc


class MedianAnchor(BaseAnchor):
    """Coordinate-wise median of the embeddings that are present.

    With an even number of modalities it is the mean of the two middle values.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import MedianAnchor
    >>> MedianAnchor().aggregate(torch.tensor([[[1.0]], [[0.9]], [[-1.0]]]), None)
    tensor([[0.9000]])
    """

    # At least M/2 of M unit vectors are, in coordinate c, at least as far from zero as the
    # median is, so M/2 |median|^2 <= sum of all squared coordinates = M: it is at most sqrt(2).
    bounded = True

    def aggregate(self, z, present):
        """Coordinate-wise median over the modalities that a sample has."""
        if present is None:
            ordered = z.sort(dim=0).values
            middle, half = divmod(len(z) - 1, 2)
            return (ordered[middle] + ordered[middle + half]) / 2
        # Absent embeddings sort behind all others, so the k present ones come first.
        ordered = z.masked_fill(~present[:, :, None], torch.inf).sort(dim=0).values
        last = (present.sum(dim=0) - 1)[None, :, None].expand(1, *z.shape[1:])
        lower, upper = ordered.gather(0, last // 2), ordered.gather(0, (last + 1) // 2)
        return ((lower + upper) / 2)[0]
