"""Principled multimodal representation learning: one large singular value per sample."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skcentrobind._ops import principal_direction
from skcentrobind.losses._base import BaseLoss, Temperature
from skcentrobind.losses._candidates import mean_over
from skcentrobind.losses._info_nce import anchor_info_nce
from skcentrobind.losses._samples import Samples


class PrincipalLoss(BaseLoss):
    r"""Make one singular value of a sample's embeddings dominate, and tell samples apart by it.

    The embeddings of a sample are the columns of a matrix with the singular values
    :math:`s_1 \ge \dots \ge s_M` and the leading left singular vector u. They lie on one line if
    and only if :math:`s_1 = \sqrt M`. The loss is the sum of two terms:

    - alignment, :math:`-\log\frac{e^{s_1/\tau_1}}{\sum_i e^{s_i/\tau_1}}`, the mean over the
      samples that have at least two modalities, where missing ones have no singular value; taken
      for the clean and for the augmented rows, and averaged;
    - instances, InfoNCE between the directions u of the clean rows and :math:`u'` of the augmented
      ones, the mean of both directions, with the temperature :math:`\tau_2`. u has the sign that
      is nearer to the centroid and, where it is at right angles to it, is the centroid, scaled to
      unit length. As directions are of unit length whatever they are made of, samples are compared
      with all others.

    Without augmentation this is the published loss except for its matching term, which needs a
    network on pairs. For a single modality the second term is left: InfoNCE between clean and
    augmented rows.

    Parameters
    ----------
    temperature : float or Temperature, default=0.2
        :math:`\tau_2`; one for all modalities, as samples are compared, not modalities. The paper
        takes 0.1.
    alignment_temperature : float, default=0.05
        :math:`\tau_1`. The paper takes 0.01 to 0.05.

    Notes
    -----
    Singular values do not depend on signs: a modality that points the opposite way counts as
    aligned. Where encoders start at random, `alignment` beside this loss prevents that, see
    `RegularizedLoss`.

    References
    ----------
    Liu et al., "Principled Multimodal Representation Learning", `arXiv:2507.17343
    <https://arxiv.org/abs/2507.17343>`_: the softmax over the singular values and the
    instance-wise term.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import PrincipalLoss
    >>> z = torch.eye(4).expand(3, 4, 4)
    >>> bool(PrincipalLoss(temperature=0.1)(z, z, None, torch.Generator()) < 1e-2)
    True
    """

    def __init__(
        self, temperature: float | Temperature = 0.2, alignment_temperature: float = 0.05
    ) -> None:
        super().__init__(temperature)
        self.alignment_temperature = alignment_temperature

    def prepare(self, names: Sequence[str]) -> None:
        """Resolve the temperature, of which there must be one."""
        super().prepare(names)
        if isinstance(self.temperature.values, list):
            raise ValueError(
                "PrincipalLoss compares samples, not modalities: temperature must be a single "
                f"number, got {self.temperature.temperature!r}."
            )
        if not self.alignment_temperature > 0:
            raise ValueError(
                "alignment_temperature must be a positive number, got "
                f"{self.alignment_temperature!r}."
            )

    def forward(
        self,
        z: Tensor,
        z_augmented: Tensor,
        present: Tensor | None,
        generator: torch.Generator,
        samples: Samples | None = None,
    ) -> Tensor:
        """Add alignment within samples and contrast between samples."""
        counts = None if present is None else present.sum(dim=0)
        alignment: float | Tensor = 0.0
        directions = []
        for vectors in (z, z_augmented):
            if present is not None:
                vectors = vectors * present[:, :, None]
            direction, eigenvalues = principal_direction(vectors)
            directions.append(direction)
            terms = _alignment(eigenvalues, counts, self.alignment_temperature, samples)
            alignment += terms / 2
        instances = anchor_info_nce(
            directions[0][None],
            directions[1],
            self.temperature.value(),
            present=None if present is None else present.any(dim=0)[None],
            bounded=True,
            samples=None if samples is None else samples.merged(present),
        )
        return alignment + instances.sum() / 2


def _alignment(
    eigenvalues: Tensor, counts: Tensor | None, temperature: float, samples: Samples | None
) -> Tensor:
    """Compute the cross-entropy of a softmax over the singular values towards the largest."""
    n_modalities = eigenvalues.shape[1]
    # d sqrt(x) / dx is infinite at 0, where modalities agree or outnumber the components. With
    # eps, the derivative in the embeddings, |Z v| / sqrt(|Z v|^2 + eps), stays below 1.
    eps = 8 * torch.finfo(eigenvalues.dtype).eps
    logits = (eigenvalues.clamp(min=0) + eps).sqrt() / temperature  # (batch, n_modalities)
    weight = None if samples is None else samples.weight
    if counts is None:
        return mean_over(logits.logsumexp(dim=1) - logits[:, -1], None, weight)
    # Missing modalities add zeros, so what belongs to a sample is at the end.
    rank = torch.arange(n_modalities, 0, -1, device=counts.device)
    beyond = rank > counts.clamp(min=1)[:, None]
    per_sample = logits.masked_fill(beyond, -torch.inf).logsumexp(dim=1) - logits[:, -1]
    return mean_over(per_sample, counts > 1, weight)
