"""The base class of all anchors, its targets, and the simple aggregates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from skcentrobind._names import per_modality


@dataclass
class Target:
    """Vectors that some modalities learn towards in one step.

    Parameters
    ----------
    embeddings : Tensor of shape (batch, n_components) or (n_members, batch, n_components)
        One vector per sample for all members, or one for each member.
    members : list of int, default=None
        Positions of the modalities that learn towards it; None means all.
    present : Tensor of bool of shape (batch,) or (n_members, batch), default=None
        Which samples have this target; None means all.
    weight : float, default=1.0
        Factor of the loss.
    bounded : bool, default=False
        Whether its vectors are at most 2 long, given unit-length embeddings. The loss may then
        take exponentials without subtracting a maximum first. False is always safe.
    frozen : tuple of int, default=()
        Positions of the modalities whose encoders must not move in this step.
    sources : list of int of length n_members, default=None
        For each member the position of the one modality that its vectors are made of: rows that
        are equal there are not negatives of each other. None if there are several.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import Target
    >>> Target(torch.eye(2), members=[0, 2]).weight
    1.0
    """

    embeddings: Tensor
    members: list[int] | None = None
    present: Tensor | None = None
    weight: float = 1.0
    bounded: bool = False
    frozen: tuple[int, ...] = ()
    sources: list[int] | None = None


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

    def __init__(self) -> None:
        super().__init__()
        own = type(self)
        if own.aggregate is BaseAnchor.aggregate and own.targets is BaseAnchor.targets:
            raise TypeError(
                f"{own.__name__} must implement aggregate(z, present), or "
                "targets(z, present, generator)."
            )

    def prepare(self, names: Sequence[str]) -> None:
        """Resolve the settings for modalities of these names, once, before training."""

    def frozen(self) -> tuple[int, ...]:
        """Return the positions of the modalities whose encoders never learn."""
        return ()

    def sources(self) -> tuple[int, ...]:
        """Return the positions of the modalities that anchors are made of, () for all."""
        return ()

    def aggregate(self, z: Tensor, present: Tensor | None) -> Tensor:
        """Return one anchor per sample.

        Parameters
        ----------
        z : Tensor of shape (n_modalities, batch, n_components)
            Unit-length embeddings; zeros where a modality is missing.
        present : Tensor of bool of shape (n_modalities, batch) or None
            Which samples have which modality; None means that no modality is missing. Every sample
            has at least one.

        Returns
        -------
        anchor : Tensor of shape (batch, n_components)
            Need not be of unit length.
        """
        raise TypeError(f"{type(self).__name__} implements only targets(), not aggregate().")

    def targets(
        self, z: Tensor, present: Tensor | None, generator: torch.Generator
    ) -> list[Target]:
        """Return the targets of this step: by default the aggregate, for all modalities."""
        return [Target(self.aggregate(z, present), bounded=self.bounded)]

    def _not_resolved(self) -> RuntimeError:
        return RuntimeError(f"{self!r} is not resolved yet: call prepare(names).")


def as_list(value: Any) -> Any:
    """Return an array or tensor as a list, anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


class MeanAnchor(BaseAnchor):
    """Mean of the embeddings of a sample, the centroid; it is not re-normalised.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import MeanAnchor
    >>> MeanAnchor().aggregate(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), None)
    tensor([[0.5000, 0.5000]])
    """

    bounded = True

    def aggregate(self, z: Tensor, present: Tensor | None) -> Tensor:
        """Compute equation (7) of the paper: the mean over the modalities of a sample."""
        if present is None:
            return z.mean(dim=0)
        share = present.to(z.dtype)
        share = share / share.sum(dim=0)  # (n_modalities, batch)
        return (share[:, :, None] * z).sum(dim=0)


class WeightedAnchor(BaseAnchor):
    """Weighted mean of the embeddings of a sample; the weights of its modalities sum to one.

    Parameters
    ----------
    weights : sequence of float or dict of str to float
        One non-negative weight per modality, in their order or by name.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import WeightedAnchor
    >>> WeightedAnchor([1, 3]).aggregate(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), None)
    tensor([[0.2500, 0.7500]])
    """

    bounded = True
    _w: Tensor | None

    def __init__(self, weights: Sequence[float] | dict[str, float] | Tensor) -> None:
        super().__init__()
        self.weights = weights
        self.register_buffer("_w", None)
        if not isinstance(weights, dict):
            self._w = self._as_tensor(as_list(weights))

    def prepare(self, names: Sequence[str]) -> None:
        """Check that each modality has one usable weight."""
        names, weights = list(names), as_list(self.weights)
        if isinstance(weights, dict) and set(map(str, weights)) != set(names):
            given = f"weights for {sorted(map(str, weights))}"
        elif not isinstance(weights, dict) and len(weights) != len(names):
            given = f"{len(weights)} weights"
        else:
            weights = self._as_tensor(per_modality(weights, names, "weights"))
            if not (torch.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
                raise ValueError(
                    "WeightedAnchor needs finite weights >= 0 that are not all 0, got "
                    f"{self.weights!r}."
                )
            self._w = weights
            return
        raise ValueError(
            f"WeightedAnchor got {given} for {len(names)} modalities {names}; give one weight for "
            "each of them."
        )

    def _as_tensor(self, weights: Sequence[float]) -> Tensor:
        try:
            tensor = torch.as_tensor(weights, dtype=torch.float32, device="cpu")
        except (TypeError, ValueError, RuntimeError):
            tensor = torch.empty((), dtype=torch.float32, device="cpu")
        if tensor.ndim != 1:
            raise ValueError(
                "WeightedAnchor needs one number for each modality, as a sequence or a dict by "
                f"name, got {self.weights!r}."
            )
        return tensor

    @property
    def modality_weights(self) -> Tensor:
        """Return the weights for a sample that has all modalities, in their order."""
        if self._w is None:
            raise self._not_resolved()
        return self._w / self._w.sum()

    def aggregate(self, z: Tensor, present: Tensor | None) -> Tensor:
        """Compute the weighted mean over the modalities of a sample."""
        if self._w is None:
            raise self._not_resolved()
        weights = self._w.to(z.dtype)[:, None]  # (n_modalities, 1 or batch)
        if present is not None:
            weights = weights * present
            # A sample that has only modalities of weight 0 falls back on their plain mean.
            none_left = weights.sum(dim=0) == 0
            weights = torch.where(none_left, present.to(z.dtype), weights)
        weights = weights / weights.sum(dim=0)
        return (weights[:, :, None] * z).sum(dim=0)

    def extra_repr(self) -> str:
        """Show the weights."""
        return f"{self.weights}"


class MedianAnchor(BaseAnchor):
    """Coordinate-wise median of the embeddings of a sample.

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

    def aggregate(self, z: Tensor, present: Tensor | None) -> Tensor:
        """Compute the coordinate-wise median over the modalities of a sample."""
        if present is None:
            ordered = z.sort(dim=0).values
            middle, half = divmod(len(z) - 1, 2)
            return (ordered[middle] + ordered[middle + half]) / 2
        # Missing embeddings sort behind all others, so the k present ones come first.
        ordered = z.masked_fill(~present[:, :, None], torch.inf).sort(dim=0).values
        last = (present.sum(dim=0) - 1)[None, :, None].expand(1, *z.shape[1:])
        lower, upper = ordered.gather(0, last // 2), ordered.gather(0, (last + 1) // 2)
        return ((lower + upper) / 2)[0]
