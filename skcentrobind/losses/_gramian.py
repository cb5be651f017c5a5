"""Gramian representation alignment: the volume that the embeddings of a sample span."""

import torch
from torch.autograd.function import once_differentiable

from skcentrobind._layers import matmul
from skcentrobind.losses._base import BaseLoss, of_members
from skcentrobind.losses._candidates import diagonal_cross_entropy, partners_of


def gramian_volumes(queries, sets, *, present=None, eps=1e-4):
    r"""Volume of the parallelotope that each query spans with each set of vectors.

    For the vectors of a set as the rows of T, with :math:`G = T T^\top + \epsilon I`, bordering
    by a query q of unit length multiplies the determinant by the Schur complement:

    .. math:: V(q, T)^2 = \det(G)\,(1 + \epsilon - q^\top T^\top G^{-1} T q).

    So all pairs take one Cholesky factor a set and n_vectors matrix products, in place of
    :math:`B^2` determinants, and memory is O(n_queries x n_sets). The ridge :math:`\epsilon` keeps
    the factor and the gradient finite where vectors are parallel or outnumber the components:
    there the volume is about :math:`\sqrt\epsilon` in place of 0.

    Parameters
    ----------
    queries : Tensor of shape (n_queries, n_components)
        Unit-length rows.
    sets : Tensor of shape (n_vectors, n_sets, n_components)
        Unit-length vectors of every set.
    present : Tensor of bool of shape (n_vectors, n_sets), default=None
        Which vectors belong to the sets; None means all. The volume is that of those present.
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
        # An absent vector has a row and a column of the identity: a factor of 1.
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
    """|W_k q_j|^2 of all queries (n, d) and matrices (k, v, d), without keeping the products."""

    @staticmethod
    def forward(ctx, queries, matrices):
        ctx.save_for_backward(queries, matrices)
        total = None  # (n, k)
        for rows in matrices.unbind(dim=1):
            square = matmul(queries, rows.T).square_()
            total = square if total is None else total.add_(square)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        """D |W q|^2 = 2 (w_i . q) (w_i . dq + dw_i . q), summed over the rows w_i of W."""
        queries, matrices = ctx.saved_tensors
        grad_queries, grad_rows = torch.zeros_like(queries), []
        for rows in matrices.unbind(dim=1):
            weight = matmul(queries, rows.T).mul_(grad).mul_(2)
            grad_queries += matmul(weight, rows)
            grad_rows.append(matmul(weight.T, queries))
        return grad_queries, torch.stack(grad_rows, dim=1)


class GramianLoss(BaseLoss):
    r"""Contrast of volumes: the embeddings of one sample span less than those of different ones.

    A query of modality m, a clean row :math:`z_{m,j}`, meets the other modalities' augmented rows
    of sample k, and :math:`-V_{jk}/\tau` is the logit of their match, V as in `gramian_volumes`.
    The loss is the cross-entropy of queries that look for their sample plus that of samples that
    look for their query. The paper swaps one modality, the same in every batch, so that the
    others never meet their negatives among themselves; here each modality in turn is the
    query, and the losses are summed.

    A query needs one other modality of its sample. As volumes of more vectors are smaller, a query
    chooses among samples that have its modality and as many modalities as its own sample has. A
    single modality spans areas with its own augmented rows.

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
    start from encoders that were bound by another objective.

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

    def __init__(self, temperature=0.2, label_smoothing=0.0, eps=1e-4):
        super().__init__(temperature)
        self.label_smoothing = label_smoothing
        self.eps = eps

    def prepare(self, names):
        """Resolve the temperatures and check the other settings."""
        super().prepare(names)
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing must be at least 0 and below 1, got {self.label_smoothing!r}."
            )
        if not self.eps > 0:
            raise ValueError(f"eps must be a positive number, got {self.eps!r}.")

    def forward(self, z, z_augmented, present, generator):
        """Both directions of the contrast, summed over the modalities that ask."""
        temperature = self.temperature.value()
        counts = None if present is None else present.sum(dim=0)
        loss = 0.0
        for m in range(len(z)):
            partners, rows, allowed = partners_of(m, len(z)), None, None
            if present is not None:
                rows = present[partners]
                usable = present[m] & rows.any(dim=0)
                allowed = usable[:, None] & usable & (counts[:, None] == counts)
            volumes = gramian_volumes(z[m], z_augmented[partners], present=rows, eps=self.eps)
            logits = -volumes / of_members(temperature, m)
            for turned in (logits, logits.T):
                loss = loss + diagonal_cross_entropy(turned, allowed, self.label_smoothing)
        return loss
