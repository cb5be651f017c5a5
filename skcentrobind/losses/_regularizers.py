"""Terms that shape the space beside a loss: alignment, uniformity, consistency."""

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from torch import Tensor

from skcentrobind.losses._base import BaseLoss, compute
from skcentrobind.losses._candidates import mean_over
from skcentrobind.losses._samples import Samples
from skcentrobind.losses._wrapped import WrappedLoss


def alignment(
    embeddings: Tensor, *, present: Tensor | None = None, samples: Samples | None = None
) -> Tensor:
    r"""Compute the mean squared distance between the embeddings of a sample.

    Beside `GramianLoss` or `PrincipalLoss`, which do not depend on signs, it keeps modalities from
    settling at opposite ends of the sphere.

    Parameters
    ----------
    embeddings : Tensor of shape (n_modalities, batch, n_components)
        Unit-length rows.
    present : Tensor of bool of shape (n_modalities, batch), default=None
        Which samples have which modality; None means that no modality is missing.
    samples : Samples, default=None
        Of these only the weights matter.

    Returns
    -------
    value : Tensor of shape ()
        :math:`\operatorname{mean}_k |z_{l,k} - z_{m,k}|^2`, the mean over the pairs of modalities
        that share samples; 0 if there are none. Between 0 and 4.

    See Also
    --------
    skcentrobind.metrics.alignment : The same measure of arrays.

    References
    ----------
    Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and
    Uniformity on the Hypersphere", `arXiv:2005.10242 <https://arxiv.org/abs/2005.10242>`_,
    section 4.1.1.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import alignment
    >>> alignment(torch.tensor([[[1.0, 0.0]], [[-1.0, 0.0]]]))
    tensor(4.)
    """
    n_modalities = len(embeddings)
    if n_modalities == 1:
        return 0.0 * embeddings.sum()
    left, right = torch.triu_indices(n_modalities, n_modalities, 1, device=embeddings.device)
    squares = (embeddings[left] - embeddings[right]).square().sum(dim=2)  # (n_pairs, batch)
    weight = None if samples is None else samples.weight
    if weight is not None:
        both = None if present is None else present[left] & present[right]
        share = Samples(weight=weight).share(both, squares)
        return mean_over((squares * share).sum(dim=1), share.sum(dim=1) > 0)
    if present is None:
        return squares.mean()
    both = present[left] & present[right]
    shared = both.sum(dim=1)
    return mean_over((squares * both).sum(dim=1) / shared.clamp(min=1), shared > 0)


def uniformity(
    embeddings: Tensor,
    t: float = 2.0,
    *,
    present: Tensor | None = None,
    samples: Samples | None = None,
) -> Tensor:
    r"""Measure how evenly the embeddings of each modality cover the sphere; smaller is more even.

    Parameters
    ----------
    embeddings : Tensor of shape (n_modalities, batch, n_components)
        Unit-length rows.
    t : float, default=2.0
        Sharpness of the Gaussian potential.
    present : Tensor of bool of shape (n_modalities, batch), default=None
        Which samples have which modality; None means that no modality is missing.
    samples : Samples, default=None
        Samples of one group, and rows that are equal, do not repel each other.

    Returns
    -------
    value : Tensor of shape ()
        :math:`\log \operatorname{mean}_{j<k} e^{-t |z_j - z_k|^2}`, the mean over the modalities
        that have at least two rows; 0 if there are none.

    See Also
    --------
    skcentrobind.metrics.uniformity : The same measure of arrays.

    References
    ----------
    Wang and Isola, `arXiv:2005.10242 <https://arxiv.org/abs/2005.10242>`_, section 4.1.2; see
    `alignment` for the title.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import uniformity
    >>> uniformity(torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]]))  # as far apart as can be
    tensor(-8.)
    """
    n_modalities, batch, _ = embeddings.shape
    if present is None:
        present = torch.ones((n_modalities, batch), dtype=torch.bool, device=embeddings.device)
    both = present[:, :, None] & present[:, None]
    both = both & ~torch.eye(batch, dtype=torch.bool, device=embeddings.device)
    for alike in () if samples is None else (samples.positives(), samples.excluded()):
        both = both if alike is None else both & ~alike
    n_pairs: Tensor = both.sum(dim=(1, 2))  # each counted twice
    # |u - v|^2 = 2 - 2 u.v on the sphere
    logits = 2 * t * (embeddings @ embeddings.transpose(1, 2) - 1)
    if samples is not None and samples.weight is not None:
        row_weight = samples.weight.to(logits)
        logits = logits + row_weight.log()[:, None]
        n_pairs = (both.sum(dim=2) * row_weight).sum(dim=1)
    # Where there are no pairs, a finite number keeps the gradient 0.
    logits = logits.masked_fill(~both, torch.finfo(logits.dtype).min / 4)
    total = torch.where(n_pairs > 0, n_pairs, 1).to(logits.dtype)
    values = logits.flatten(1).logsumexp(dim=1) - total.log()
    return mean_over(torch.where(n_pairs > 0, values, 0.0), n_pairs > 0)


def geometric_consistency(
    embeddings: Tensor, *, present: Tensor | None = None, samples: Samples | None = None
) -> Tensor:
    r"""Measure how far the similarities between samples differ between modalities.

    Of every pair of modalities l and m, with N samples that have both, it is

    .. math:: \frac1N \sum_{jk} (z_{l,j}\cdot z_{m,k} - z_{l,k}\cdot z_{m,j})^2
        + \frac1N \sum_{jk} (z_{l,j}\cdot z_{l,k} - z_{m,j}\cdot z_{m,k})^2.

    Written out, both sums are inner products of the matrices :math:`Z_l^\top Z_m`, of which the
    size does not depend on the batch: that takes O(n_components^2) memory per pair.

    Parameters
    ----------
    embeddings : Tensor of shape (n_modalities, batch, n_components)
        Unit-length rows.
    present : Tensor of bool of shape (n_modalities, batch), default=None
        Which samples have which modality; None means that no modality is missing.
    samples : Samples, default=None
        Of these only the weights matter, those of the samples j.

    Returns
    -------
    value : Tensor of shape ()
        Mean over the pairs of modalities that share at least two samples; 0 if there are none. It
        grows with the batch, as in the paper. Rounding may make it negative by about 1e-7 N.

    References
    ----------
    Goel et al., "CyCLIP: Cyclic Contrastive Language-Image Pretraining", `arXiv:2205.14459
    <https://arxiv.org/abs/2205.14459>`_, equations (2) and (3): cross-modal and in-modal
    consistency.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import geometric_consistency
    >>> z = torch.eye(3)
    >>> geometric_consistency(torch.stack([z, z]))
    tensor(0.)
    """
    pairs = list(combinations(embeddings, 2))
    if not pairs:
        return 0.0 * embeddings.sum()
    if samples is not None and samples.weight is not None:
        return _weighted_inconsistency(embeddings, present, samples)
    if present is None:
        sums = [_inconsistency(left, right) for left, right in pairs]
        return torch.stack(sums).mean() / embeddings.shape[1]
    both = torch.stack([left & right for left, right in combinations(present, 2)])
    shared = both.sum(dim=1)  # (n_pairs,)
    sums = [
        _inconsistency(left * rows[:, None], right * rows[:, None])
        for (left, right), rows in zip(pairs, both, strict=True)
    ]
    return mean_over(torch.stack(sums) / shared.clamp(min=1), shared > 1)


def _weighted_inconsistency(embeddings: Tensor, present: Tensor | None, samples: Samples) -> Tensor:
    """Weight the terms of sample j; the sums over k stay as they are."""
    values, takes_part = [], []
    for left, right in combinations(range(len(embeddings)), 2):
        rows = None if present is None else present[left] & present[right]
        u, v = embeddings[left], embeddings[right]
        if rows is not None:
            u, v = u * rows[:, None], v * rows[:, None]
        share = samples.share(rows, u[:, 0])
        values.append(_inconsistency(u, v, share))
        takes_part.append(share.new_tensor(len(u)) if rows is None else rows.sum().to(share))
    return mean_over(torch.stack(values), torch.stack(takes_part) > 1)


def _inconsistency(left: Tensor, right: Tensor, share: Tensor | None = None) -> Tensor:
    """Sum both squared differences over j and k, for rows (batch, n_components).

    The share (batch,) is a factor of the terms of j, 1 if None.
    """
    # With C = Z_l' Z_m, S_l = Z_l' Z_l and S_m = Z_m' Z_m, squared norms of (batch, batch) matrices
    # are |Z_l Z_m'|^2 = <S_l, S_m>, |Z_l Z_l'|^2 = |S_l|^2 and <Z_l Z_l', Z_m Z_m'> = |C|^2;
    # <Z_l Z_m', (Z_l Z_m')'> = <C, C'>.
    cross, own_left, own_right = left.T @ right, left.T @ left, right.T @ right
    if share is not None:
        # The sum over j is weighted: there Z becomes W Z in one of the two factors.
        u, v = left * share[:, None], right * share[:, None]
        cross_j, left_j, right_j = left.T @ v, left.T @ u, right.T @ v
        crossed = (left_j * own_right).sum() + (own_left * right_j).sum()
        crossed = crossed - 2 * (cross_j * cross.T).sum()
        within = (left_j * own_left).sum() + (right_j * own_right).sum()
        return crossed + within - 2 * (cross_j * cross).sum()
    crossed = 2 * (own_left * own_right).sum() - 2 * (cross * cross.T).sum()
    within = own_left.square().sum() + own_right.square().sum() - 2 * cross.square().sum()
    return crossed + within


#: Names that `RegularizedLoss` understands.
REGULARIZERS: dict[str, Callable[..., Tensor]] = {
    "alignment": alignment,
    "geometric_consistency": geometric_consistency,
    "uniformity": uniformity,
}


class RegularizedLoss(WrappedLoss):
    """Loss plus weighted terms that shape the space of the clean rows.

    Parameters
    ----------
    loss : BaseLoss
        The inner loss. Its temperature, and what it freezes, are those of the sum.
    weights : dict of float
        Weight of each term by name: "alignment", "uniformity" or "geometric_consistency".

    References
    ----------
    Jiang et al., "Understanding and Constructing Latent Modality Structures in Multi-modal
    Representation Learning", `arXiv:2303.05952 <https://arxiv.org/abs/2303.05952>`_, section 3:
    such terms beside a contrastive loss.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import PairwiseLoss, RegularizedLoss
    >>> loss = RegularizedLoss(PairwiseLoss(), {"uniformity": 0.1})
    >>> z = torch.eye(4).expand(2, 4, 4)  # |z_j - z_k|^2 = 2, so uniformity is -4
    >>> loss(z, z, None, None) - loss.loss(z, z, None, None)
    tensor(-0.4000)
    """

    def __init__(self, loss: BaseLoss, weights: dict[str, float]) -> None:
        super().__init__(loss)
        self.weights = weights

    def prepare(self, names: Sequence[str]) -> None:
        """Resolve the settings of the inner loss, and check the weights."""
        for name, weight in self.weights.items():
            if name not in REGULARIZERS:
                raise ValueError(
                    f"There is no regularizer {name!r}; regularizers must name some of "
                    f"{sorted(REGULARIZERS)}, or 'separation' beside n_specific_components."
                )
            if not 0 <= weight < math.inf:
                raise ValueError(f"The weight of {name!r} must be at least 0, got {weight!r}.")
        super().prepare(names)

    def forward(
        self,
        z: Tensor,
        z_augmented: Tensor,
        present: Tensor | None,
        generator: torch.Generator,
        samples: Samples | None = None,
    ) -> Tensor:
        """Add the weighted terms to the inner loss."""
        total = compute(self.loss, z, z_augmented, present, generator, samples)
        for name, weight in self.weights.items():
            total = total + weight * REGULARIZERS[name](z, present=present, samples=samples)
        return total
