"""The loss over all pairs of modalities, which needs no anchor."""

from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from skcentrobind.losses._base import BaseLoss
from skcentrobind.losses._info_nce import anchor_info_nce
from skcentrobind.losses._samples import Samples


def pairwise_info_nce(
    embeddings: Tensor,
    partners: Tensor,
    temperature: float | Tensor = 0.2,
    *,
    present: Tensor | None = None,
    samples: Samples | None = None,
) -> Tensor:
    r"""Compute the symmetric InfoNCE between every modality and each of the others.

    With :math:`L(u, v)` the sum of both directions of InfoNCE, the loss of modality m is the mean
    over the other modalities l of :math:`L(z'_l, z_m)`. A single modality learns from its own
    augmented rows: :math:`L(z'_1, z_1)`.

    The mean makes the loss comparable with that of an anchor: each modality has one symmetric
    InfoNCE, as in `anchor_info_nce`, and where the anchor is the centroid of the others, the loss
    to it is never larger than this one, as the logarithm of a sum of exponentials is convex.

    Parameters
    ----------
    embeddings : Tensor of shape (n_modalities, batch, n_components)
        Unit-length rows.
    partners : Tensor of shape (n_modalities, batch, n_components)
        Unit-length rows to compare them with: embeddings of augmented rows, or `embeddings`
        themselves.
    temperature : float or Tensor of shape () or (n_modalities,), default=0.2
        Divides the inner products. If each modality has its own, a pair takes their geometric
        mean.
    present : Tensor of bool of shape (n_modalities, batch), default=None
        Which samples have which modality; None means that no modality is missing. A pair compares
        the samples that have both. Pairs with fewer than two of these take no part in the mean.
    samples : Samples, default=None
        Groups, duplicates and weights of the samples. Rows that are equal in either modality of a
        pair are not negatives of each other.

    Returns
    -------
    losses : Tensor of shape (n_modalities,)
        Loss of each modality, in nats; 0 if it has no partner. Differentiable once.

    References
    ----------
    Guzhov et al., "AudioCLIP: Extending CLIP to Image, Text and Audio",
    `arXiv:2106.13043 <https://arxiv.org/abs/2106.13043>`_, section 3.1, which takes the plain mean
    over the pairs; Radford et al., `arXiv:2103.00020 <https://arxiv.org/abs/2103.00020>`_,
    figure 3, for a single pair.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import anchor_info_nce, pairwise_info_nce
    >>> z = torch.nn.functional.normalize(torch.arange(16.0).sin().view(2, 4, 2), dim=-1)
    >>> to_the_other = anchor_info_nce(z, z.flip(0), 0.5)
    >>> torch.allclose(pairwise_info_nce(z, z, 0.5), to_the_other)
    True
    """
    n_modalities = len(embeddings)
    pairs = list(permutations(range(n_modalities), 2))
    own, other = (list(side) for side in zip(*(pairs or [(0, 0)]), strict=True))
    if isinstance(temperature, Tensor) and temperature.ndim:
        temperature = temperature.to(embeddings)
        temperature = (temperature[own] * temperature[other]).sqrt()
    both = None if present is None else present[own] & present[other]
    related: dict[str, Any] = {}
    if samples is not None:
        related["samples"] = samples.of(own)
        if samples.duplicates is not None:
            related["duplicates"] = samples.duplicates[other]
    losses = anchor_info_nce(
        embeddings[own], partners[other], temperature, present=both, bounded=True, **related
    ).view(n_modalities, -1)
    if both is None:
        return losses.mean(dim=1)
    # A pair with fewer than two samples has loss 0 already.
    takes_part = (both.sum(dim=1) > 1).view(n_modalities, -1)
    return losses.sum(dim=1) / takes_part.sum(dim=1).clamp(min=1)


class PairwiseLoss(BaseLoss):
    r"""Sum over the modalities of the mean symmetric InfoNCE to each of the others.

    The clean rows of a modality are compared with the augmented rows of the others, as they are
    with an anchor. The sum runs over ordered pairs, so each modality is compared both ways.

    Parameters
    ----------
    temperature : float, list of float, dict of float or Temperature, default=0.2
        Divides the inner products. Of several, a pair takes the geometric mean of its two.

    See Also
    --------
    pairwise_info_nce : The formula, and what happens where modalities are missing.

    References
    ----------
    Guzhov et al., "AudioCLIP: Extending CLIP to Image, Text and Audio",
    `arXiv:2106.13043 <https://arxiv.org/abs/2106.13043>`_, section 3.1.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import PairwiseLoss
    >>> z = torch.eye(4).expand(3, 4, 4)
    >>> bool(PairwiseLoss(temperature=0.1)(z, z, None, torch.Generator()) < 1e-2)
    True
    """

    def forward(
        self,
        z: Tensor,
        z_augmented: Tensor,
        present: Tensor | None,
        generator: torch.Generator,
        samples: Samples | None = None,
    ) -> Tensor:
        """Sum `pairwise_info_nce` over the modalities."""
        temperature = self.temperature.value()
        losses = pairwise_info_nce(z, z_augmented, temperature, present=present, samples=samples)
        return losses.sum()
