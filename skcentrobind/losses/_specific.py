"""A second head for modality-specific information, kept apart from the shared head."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skcentrobind._ops import unit_rows
from skcentrobind.losses._base import BaseLoss, compute
from skcentrobind.losses._candidates import mean_over
from skcentrobind.losses._samples import Samples
from skcentrobind.losses._wrapped import WrappedLoss


def separation(
    shared: Tensor,
    specific: Tensor,
    *,
    present: Tensor | None = None,
    samples: Samples | None = None,
) -> Tensor:
    r"""Measure the overlap of two heads of the same modality by their RV coefficient.

    Parameters
    ----------
    shared : Tensor of shape (n_modalities, batch, n_components)
        Embeddings of the head that is bound to the other modalities.
    specific : Tensor of shape (n_modalities, batch, n_specific)
        Embeddings of the head that is bound to none.
    present : Tensor of bool of shape (n_modalities, batch), default=None
        Which samples have which modality; None means that no modality is missing.
    samples : Samples, default=None
        Of these only the weights matter, for means and covariances.

    Returns
    -------
    value : Tensor of shape ()
        With the cross-covariance :math:`C_{uv}` and the covariances :math:`C_{uu}, C_{vv}` of both
        heads over the batch, :math:`|C_{uv}|_F^2 / (|C_{uu}|_F |C_{vv}|_F)`, the mean over the
        modalities that have at least two rows; 0 if there are none. It lies between 0, where the
        heads are orthogonal, and 1, where one is a rotated and scaled copy of the other. Heads
        that are independent have about n_components / (batch + n_components), if they are of equal
        width and spread evenly.

    References
    ----------
    Bousmalis et al., "Domain Separation Networks", `arXiv:1608.06019
    <https://arxiv.org/abs/1608.06019>`_, equation (5), is the numerator. Jiang et al.,
    "Understanding and Constructing Latent Modality Structures in Multi-modal Representation
    Learning", `arXiv:2303.05952 <https://arxiv.org/abs/2303.05952>`_, section 3: separate features
    in contrastive learning. Robert and Escoufier, "A Unifying Tool for Linear Multivariate
    Statistical Methods: The RV-Coefficient", Applied Statistics 25 (1976): the ratio.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import separation
    >>> u = torch.tensor([[[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]])
    >>> separation(u, u.flip(2)).round(decimals=3)
    tensor(1.)
    >>> separation(u, torch.tensor([[[1.0], [1.0], [-1.0], [-1.0]]]))
    tensor(0.)
    """
    n_rows = torch.full(shared.shape[:1], shared.shape[1], device=shared.device)
    if present is not None:
        n_rows = present.sum(dim=1)
    if samples is None or samples.weight is None:
        u, v = _centred(shared, present, n_rows), _centred(specific, present, n_rows)
    else:
        share = samples.share(present, shared[..., 0])[..., None]
        # With rows times the root of their share, sums of squares are weighted covariances.
        u, v = (
            (h - (h * share).sum(dim=1, keepdim=True)) * share.sqrt() for h in (shared, specific)
        )
    cross, own_u, own_v = (
        (left.transpose(1, 2) @ right).square().sum(dim=(1, 2))  # (n_modalities,)
        for left, right in ((u, v), (u, u), (v, v))
    )
    # Constant heads have nothing in common; the bound keeps their gradient finite.
    bound = torch.finfo(cross.dtype).tiny ** 0.5
    values = cross / (own_u.clamp(min=bound).sqrt() * own_v.clamp(min=bound).sqrt())
    return mean_over(values, n_rows > 1)


def _centred(z: Tensor, mask: Tensor | None, n_rows: Tensor) -> Tensor:
    """Subtract from the rows the mean of those that are present; missing ones become zero."""
    if mask is None:
        return z - z.mean(dim=1, keepdim=True)
    rows = mask[:, :, None].to(z.dtype)
    mean = (z * rows).sum(dim=1, keepdim=True) / n_rows.clamp(min=1)[:, None, None]
    return (z - mean) * rows


class SeparatedLoss(WrappedLoss):
    """Loss on the first columns of the embeddings plus another on the rest, kept apart.

    Parameters
    ----------
    loss : BaseLoss
        Loss of the shared head. Its temperature, its anchor and what it freezes are those of the
        whole.
    specific : BaseLoss
        Loss of the specific head.
    n_components : int
        Width of the shared head, which comes first.
    weight : float
        Weight of `separation`.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import IntraAnchor, MeanAnchor
    >>> from skcentrobind.losses import AnchorLoss, SeparatedLoss
    >>> loss = SeparatedLoss(
    ...     AnchorLoss(MeanAnchor(), 0.1),
    ...     AnchorLoss(IntraAnchor(), 0.1),
    ...     n_components=4,
    ...     weight=1,
    ... )
    >>> z = torch.eye(4).repeat(1, 2).expand(3, 4, 8)  # both heads are equal
    >>> loss(z, z, None, torch.Generator()).round(decimals=2)
    tensor(1.)
    """

    def __init__(
        self, loss: BaseLoss, specific: BaseLoss, n_components: int, weight: float
    ) -> None:
        super().__init__(loss)
        self.specific = specific
        self.n_components = n_components
        self.weight = weight

    def prepare(self, names: Sequence[str]) -> None:
        """Resolve the settings of both losses."""
        super().prepare(names)
        self.specific.prepare(names)

    def shared(self, z: Tensor) -> Tensor:
        """Return the shared head's part, scaled to unit length; rows of zeros stay."""
        return unit_rows(z[..., : self.n_components])

    def forward(
        self,
        z: Tensor,
        z_augmented: Tensor,
        present: Tensor | None,
        generator: torch.Generator,
        samples: Samples | None = None,
    ) -> Tensor:
        """Add both losses and the weighted overlap of the clean rows."""
        # The heads of rows of unit length are shorter; rows of zeros, which are missing, stay.
        u, u_augmented = self.shared(z), self.shared(z_augmented)
        v, v_augmented = (unit_rows(h[..., self.n_components :]) for h in (z, z_augmented))
        total = compute(self.loss, u, u_augmented, present, generator, samples)
        total = total + compute(self.specific, v, v_augmented, present, generator, samples)
        if self.weight:
            overlap = separation(u, v, present=present, samples=samples)
            total = total + self.weight * overlap
        return total
