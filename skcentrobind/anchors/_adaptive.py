"""Aggregates that depend on how well the embeddings of a sample agree, or learn weights."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from skcentrobind._ops import principal_direction
from skcentrobind.anchors._base import BaseAnchor, MeanAnchor, Target


class LearnedAnchor(BaseAnchor):
    """Weighted mean of the embeddings, with weights that are trained together with the encoders.

    The weights are the softmax of one number per modality, all equal at the start; those of the
    modalities that a sample has sum to one.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import LearnedAnchor
    >>> anchor = LearnedAnchor()
    >>> anchor.prepare(["image", "text"])
    >>> anchor.aggregate(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), None).tolist()
    [[0.5, 0.5]]
    """

    bounded = True
    logits: nn.Parameter | None

    def __init__(self) -> None:
        super().__init__()
        self.register_parameter("logits", None)

    def prepare(self, names: Sequence[str]) -> None:
        """Start with equal weights for these modalities."""
        self.logits = nn.Parameter(torch.zeros(len(names), dtype=torch.float32, device="cpu"))

    @property
    def modality_weights(self) -> Tensor:
        """Return the weights for a sample that has all modalities, in their order."""
        if self.logits is None:
            raise self._not_resolved()
        return self.logits.detach().softmax(dim=0)

    def aggregate(self, z: Tensor, present: Tensor | None) -> Tensor:
        """Compute the weighted mean over the modalities of a sample."""
        if self.logits is None:
            raise self._not_resolved()
        logits = self.logits.to(z.dtype)[:, None]  # (n_modalities, 1 or batch)
        if present is not None:
            logits = torch.where(present, logits, -torch.inf)
        return (logits.softmax(dim=0)[:, :, None] * z).sum(dim=0)


class LeaveOneOutAnchor(BaseAnchor):
    """For each modality the centroid of the others, so that none is pulled towards itself.

    A sample of one modality has no others and sits out. If there is a single modality in all, it
    learns from its own augmented rows.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import LeaveOneOutAnchor
    >>> z = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    >>> LeaveOneOutAnchor().targets(z, None, None)[0].embeddings.tolist()
    [[[0.0, 1.0]], [[1.0, 0.0]]]
    """

    bounded = True

    def targets(
        self, z: Tensor, present: Tensor | None, generator: torch.Generator
    ) -> list[Target]:
        """Return one target per modality: the mean over the other modalities of a sample."""
        if len(z) == 1:
            return [Target(z, present=present, bounded=self.bounded)]
        sources = [1, 0] if len(z) == 2 else None
        if present is None:
            others = (z.sum(dim=0) - z) / (len(z) - 1)
            return [Target(others, bounded=self.bounded, sources=sources)]
        z = z * present[:, :, None]
        n_others = present.sum(dim=0) - present.long()  # (n_modalities, batch)
        others = (z.sum(dim=0) - z) / n_others.clamp(min=1)[:, :, None]
        return [Target(others, present=n_others > 0, bounded=self.bounded, sources=sources)]


class TrimmedAnchor(MeanAnchor):
    """Centroid without the embedding that lies farthest from it.

    Nothing is dropped where a sample has fewer than three modalities: of two embeddings of unit
    length neither is farther from their mean.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import TrimmedAnchor
    >>> TrimmedAnchor().aggregate(torch.tensor([[[1.0]], [[1.0]], [[-1.0]]]), None)
    tensor([[1.]])
    """

    def aggregate(self, z: Tensor, present: Tensor | None) -> Tensor:
        """Compute the mean over the modalities of a sample except the worst of three or more."""
        if present is None:
            present = torch.ones(z.shape[:2], dtype=torch.bool, device=z.device)
        centroid = super().aggregate(z, present)
        # |z - a|^2 = 1 + |a|^2 - 2 z.a, so the farthest one has the smallest product.
        agreement = (z.detach() * centroid.detach()).sum(dim=2)  # (n_modalities, batch)
        worst = agreement.masked_fill(~present, torch.inf).argmin(dim=0)
        dropped = torch.arange(len(z), device=z.device)[:, None] == worst
        return super().aggregate(z, present & ~(dropped & (present.sum(dim=0) > 2)))


class SpectralAnchor(BaseAnchor):
    r"""Direction that the embeddings of a sample have most in common, of unit length.

    It is the leading left singular vector of the matrix whose columns are the embeddings
    :math:`z_1, \ldots, z_M` of the sample: a weighted centroid :math:`\sum_m w_m z_m / s_1`, where
    w is the leading eigenvector of their Gram matrix. A modality that disagrees with the others
    has a small weight. Of the two signs the one nearer to the centroid is taken; where the
    direction is at right angles to the centroid, as for two opposed embeddings, the centroid
    itself is, scaled to unit length.

    References
    ----------
    The principal direction as the anchor is due to PMRL, `arXiv:2507.17343
    <https://arxiv.org/abs/2507.17343>`_.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import SpectralAnchor
    >>> z = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]]])
    >>> SpectralAnchor().aggregate(z, None)
    tensor([[1., 0.]])
    """

    bounded = True

    def aggregate(self, z: Tensor, present: Tensor | None) -> Tensor:
        """Compute the leading left singular vector of the embeddings of a sample."""
        if present is not None:
            z = z * present[:, :, None]
        return principal_direction(z)[0]


class CallableAnchor(BaseAnchor):
    """Aggregate that is a function of the user's own.

    Parameters
    ----------
    function : callable
        `function(z, present)`, as `BaseAnchor.aggregate`: embeddings of shape (n_modalities,
        batch, n_components) and presence of shape (n_modalities, batch) or None to anchors of
        shape (batch, n_components).

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import CallableAnchor
    >>> CallableAnchor(lambda z, present: z[0]).aggregate(torch.ones(3, 2, 4), None).shape
    torch.Size([2, 4])
    """

    def __init__(self, function: Callable[[Tensor, Tensor | None], Tensor]) -> None:
        super().__init__()
        self.function = function

    def aggregate(self, z: Tensor, present: Tensor | None) -> Tensor:
        """Call the function and check what it returns."""
        out = self.function(z, present)
        if not isinstance(out, Tensor) or out.shape != z.shape[1:]:
            got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ValueError(
                "aggregator must return a tensor of shape (batch, n_components) = "
                f"{tuple(z.shape[1:])}, got {got}."
            )
        return out

    def extra_repr(self) -> str:
        """Show the function."""
        return getattr(self.function, "__name__", repr(self.function))
