"""Gramian representation alignment: the volume that the embeddings of a sample span."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skcentrobind._ops import matmul
from skcentrobind.losses._base import BaseLoss, Temperature, of_members
from skcentrobind.losses._candidates import diagonal_cross_entropy, partners_of
from skcentrobind.losses._samples import Samples


def gramian_volumes(
    queries: Tensor, sets: Tensor, *, present: Tensor | None = None, eps: float = 1e-4
) -> Tensor:
    r"""Compute the volume of the parallelotope that each query spans with each set of vectors.

    For the vectors of a set as the rows of T, with :math:`G = T T^\top + \epsilon I`, bordering
    by a query q of unit length multiplies the determinant by the Schur complement:

    .. math:: V(q, T)^2 = \det(G)\,(1 + \epsilon - q^\top T^\top G^{-1} T q).

    So all pairs take one Cholesky factor per set and n_vectors matrix products, instead of
    :math:`B^2` determinants, and memory is O(n_queries x n_sets). The ridge :math:`\epsilon` keeps
    the factor and the gradient finite where vectors are parallel or outnumber the components:
    there the volume is about :math:`\sqrt\epsilon` instead of 0.

    Parameters
    ----------
    queries : Tensor of shape (n_queries, n_components)
        Unit-length rows.
    sets : Tensor of shape (n_vectors, n_sets, n_components)
        Unit-length vectors of every set.
    present : Tensor of bool of shape (n_vectors, n_sets), default=None
        Which vectors belong to the sets; None means all. Missing ones do not count.
    eps : float, default=1e-4
        Ridge on the diagonal of the Gram matrix, the query's entry included.

    Returns
    -------
    volumes : Tensor of shape (n_queries, n_sets)
        Between 0 and about 1, which it is where all vectors are orthogonal. Differentiable once.

    References
    ----------
    Cicchetti et al., "Gramian Multimodal Representation Learning and Alignment",
    `arXiv:2412.11959 <https://arxiv.org/abs/2412.11959>`_: the volume as the square root of the
    determinant of the Gram matrix. The factorisation and the ridge are ours.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import gramian_volumes
    >>> axes = torch.eye(3)
    >>> gramian_volumes(axes, axes[:2, None]).round(decimals=1)  # the xy plane as the only set
    tensor([[0.],
            [0.],
            [1.]])
    """
    sets = sets.transpose(0, 1)  # (n_sets, n_vectors, n_components)
    ridge = torch.full(sets.shape[:2], eps, dtype=sets.dtype, device=sets.device)
    if present is not None:
        sets = sets * present.T[:, :, None]
        # A missing vector has a row and a column of the identity: a factor of 1.
        ridge = torch.where(present.T, ridge, 1.0)
    gram = sets @ sets.transpose(1, 2) + ridge.diag_embed()
    factor = torch.linalg.cholesky_ex(gram).L
    # q'T' G^-1 T q = |L^-1 T q|^2, where rounding costs the root of the condition of G.
    whitened = torch.linalg.solve_triangular(factor, sets, upper=False)
    explained = _SquaredNorms.apply(queries, whitened)
    # In exact arithmetic the complement is at least eps.
    complement = (1 + eps - explained).clamp(min=eps)
    log_root = factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)  # log det(G) / 2
    return log_root.exp() * complement.sqrt()


class _SquaredNorms(torch.autograd.Function):
    """Compute |W_k q_j|^2 of all queries (n, d) and matrices (k, v, d), keeping no products."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, matrices: Tensor) -> Tensor:
        ctx.save_for_backward(queries, matrices)
        first, *others = matrices.unbind(dim=1)
        total = matmul(queries, first.T).square_()  # (n, k)
        for rows in others:
            total.add_(matmul(queries, rows.T).square_())
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Apply d |W q|^2 = 2 (w_i . q) (w_i . dq + dw_i . q), summed over the rows w_i of W."""
        queries, matrices = ctx.saved_tensors
        grad_queries, grad_rows = torch.zeros_like(queries), []
        for rows in matrices.unbind(dim=1):
            weight = matmul(queries, rows.T).mul_(grad).mul_(2)
            grad_queries += matmul(weight, rows)
            grad_rows.append(matmul(weight.T, queries))
        return grad_queries, torch.stack(grad_rows, dim=1)


class GramianLoss(BaseLoss):
    r"""Contrast of volumes: the embeddings of one sample span less than those of different ones.

    A query of modality m, a clean row :math:`z_{m,j}`, spans a volume :math:`V_{jk}` with the other
    modalities' augmented rows of sample k, see `gramian_volumes`, and :math:`-V_{jk}/\tau` is the
    logit of their match. The loss is the cross-entropy over the samples of each query plus that
    over the queries of each sample. The paper swaps one modality, the same in every batch, so that
    the others have no negatives among themselves; here each modality in turn is the query, and the
    losses are summed.

    A query needs one other modality of its sample. As volumes of more vectors are smaller, the
    candidates of a query are samples that have its modality and as many modalities as its own
    sample has. A single modality spans areas with its own augmented rows.

    Parameters
    ----------
    temperature : float, list of float, dict of float or Temperature, default=0.2
        Divides the volumes. Of several, the query's modality gives its own. The paper starts at
        0.07 and learns it.
    label_smoothing : float, default=0.0
        Share of the target that is spread evenly over all candidates; the authors' code takes 0.1.
    eps : float, default=1e-4
        Ridge of the Gram matrix, see `gramian_volumes`.

    Notes
    -----
    A volume is 0 as soon as any two of its vectors are parallel or opposed, whatever the others do,
    and wherever there are more modalities than components: choose n_components well above the
    number of modalities. So with three or more modalities in perfect agreement all volumes are 0,
    those of wrong samples too, and the loss stops short of it.

    As opposed vectors span nothing either, encoders that start at random may end with modalities
    that match up to sign, and retrieval by inner products then fails, though that by volumes works.
    The paper starts from encoders that agree. Otherwise add `alignment`, see `RegularizedLoss`, or
    start from encoders that were bound by another loss.

    References
    ----------
    Cicchetti et al., "Gramian Multimodal Representation Learning and Alignment",
    `arXiv:2412.11959 <https://arxiv.org/abs/2412.11959>`_: the contrastive loss on volumes.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import GramianLoss
    >>> z = torch.eye(4).expand(2, 4, 4)
    >>> loss = GramianLoss(temperature=0.07)
    >>> bool(loss(z, z, None, torch.Generator()) < 1e-2)
    True
    """

    def __init__(
        self,
        temperature: float | Sequence[float] | dict[str, float] | Temperature = 0.2,
        label_smoothing: float = 0.0,
        eps: float = 1e-4,
    ) -> None:
        super().__init__(temperature)
        self.label_smoothing = label_smoothing
        self.eps = eps

    def prepare(self, names: Sequence[str]) -> None:
        """Resolve the temperatures and check the other settings."""
        super().prepare(names)
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing must be at least 0 and below 1, got {self.label_smoothing!r}."
            )
        if not self.eps > 0:
            raise ValueError(f"eps must be a positive number, got {self.eps!r}.")

    def forward(
        self,
        z: Tensor,
        z_augmented: Tensor,
        present: Tensor | None,
        generator: torch.Generator,
        samples: Samples | None = None,
    ) -> Tensor:
        """Sum both directions of the contrast over the modalities of the queries."""
        temperature = self.temperature.value()
        counts: Any = None if present is None else present.sum(dim=0)
        loss = z.new_zeros(())
        for m in range(len(z)):
            partners, rows, allowed = partners_of(m, len(z)), None, None
            if present is not None:
                rows = present[partners]
                usable = present[m] & rows.any(dim=0)
                allowed = usable[:, None] & usable & (counts[:, None] == counts)
            volumes = gramian_volumes(z[m], z_augmented[partners], present=rows, eps=self.eps)
            logits = -volumes / of_members(temperature, m)
            # Both relations are symmetric, as the set of a sample is for its own query.
            related = {} if samples is None else _related(samples, m)
            for turned in (logits, logits.T):
                smoothing = self.label_smoothing
                loss = loss + diagonal_cross_entropy(turned, allowed, smoothing, **related)
        return loss


def _related(samples: Samples, m: int) -> dict[str, Any]:
    """Return the positives, what is left out, and the weights, for queries of modality m."""
    excluded = samples.of([m]).excluded()
    return {
        "positives": samples.positives(),
        "excluded": None if excluded is None else excluded[0],
        "weight": samples.weight,
    }
