"""Symile: a multilinear inner product that sees what no pair of modalities shows."""

from functools import reduce

import torch

from skcentrobind.losses._base import BaseLoss, of_members
from skcentrobind.losses._candidates import diagonal_cross_entropy, partners_of


class SymileLoss(BaseLoss):
    r"""Contrast of multilinear inner products, which bounds the total correlation.

    The score of a tuple is :math:`d^{(M-2)/2} \sum_i \prod_m z_{m,i}` with d the number of
    components. The factor, which is not in the paper, keeps the size of the scores, and so the
    meaning of the temperature, what they are for two modalities, of which it is the inner product.

    Each modality in turn asks with its clean rows; the candidates are tuples of the augmented rows
    of the others. The right one is the tuple of the query's sample; the wrong ones combine samples
    at random: one of the others keeps its order and each further one is permuted, anew in every
    step. Which one stays makes no difference, and one has to stay so that no wrong tuple equals
    the right one. The loss is the cross-entropy, summed over the modalities: with two of them,
    symmetric InfoNCE.

    An absent modality of a candidate is the vector :math:`(1, \dots, 1)/\sqrt d`, which turns the
    score into that of the modalities present. A query needs one other modality of its sample, and
    candidates are made of as many as its own. A single modality asks for its augmented rows.

    Parameters
    ----------
    temperature : float, list of float, dict of float or Temperature, default=0.2
        Divides the scores. Of several, the query's modality gives its own.

    Notes
    -----
    Rotating all embeddings changes the score, unlike those of the other objectives: the
    components have a meaning of their own. Pairs of modalities need not be similar at all, so
    measures of pairwise retrieval may miss what was learned.

    References
    ----------
    Saporta et al., "Contrasting with Symile: Simple Model-Agnostic Representation Learning for
    Unlimited Modalities", `arXiv:2411.01053 <https://arxiv.org/abs/2411.01053>`_: the multilinear
    inner product, and negatives by one permutation a modality.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import SymileLoss
    >>> z = torch.eye(4).expand(3, 4, 4)
    >>> bool(SymileLoss(temperature=0.1)(z, z, None, torch.Generator()) < 1e-2)
    True
    """

    def forward(self, z, z_augmented, present, generator):
        """Cross-entropy of the queries of each modality, summed."""
        n_modalities, batch, width = z.shape
        temperature = self.temperature.value()
        if present is not None:
            z_augmented = torch.where(present[:, :, None], z_augmented, width**-0.5)
        order = _permutations(z, present, generator)
        loss = 0.0
        for m in range(n_modalities):
            first, *rest = partners = partners_of(m, n_modalities)
            vectors = [z_augmented[first], *(z_augmented[n] * width**0.5 for n in rest)]
            true = reduce(torch.mul, vectors)  # (batch, n_components)
            wrong = [n[order[other]] for n, other in zip(vectors[1:], rest, strict=True)]
            logits = z[m] @ reduce(torch.mul, wrong, vectors[0]).T
            own = torch.eye(batch, dtype=torch.bool, device=z.device)
            logits = torch.where(own, (z[m] * true).sum(dim=1)[:, None], logits)
            allowed = None
            if present is not None:
                allowed = _allowed(present[m], present[partners], order[rest])
            loss = loss + diagonal_cross_entropy(logits / of_members(temperature, m), allowed)
        return loss


def _permutations(z, present, generator):
    """Random permutations (n_modalities, batch) that keep absent rows where they are."""
    shape = z.shape[:2]
    keys = torch.rand(shape, generator=generator, device=z.device)
    if present is None:
        return keys.argsort(dim=1)
    # Both list the rows that are present first: in their order, and at random. The absent ones
    # follow, in their order.
    rows = (~present).long().argsort(dim=1, stable=True)
    drawn = keys.masked_fill(~present, 2.0).argsort(dim=1, stable=True)
    return torch.empty_like(rows).scatter_(1, rows, drawn)


def _allowed(asks, present, order):
    """Which candidates (columns) queries (rows) choose among, (batch, batch).

    `asks` (batch,) are the samples with the query's modality, `present` (n_partners, batch) those
    with the partners', of which all but the first take rows in the given `order`.
    """
    counts = present.sum(dim=0)
    usable = asks & (counts > 0)
    allowed = usable[:, None] & (counts[:, None] == counts)
    # Where partners are absent, a wrong tuple can be the right one by chance: all that it has is
    # of the query's sample.
    batch = torch.arange(len(asks), device=asks.device)
    sources = torch.cat([batch[None], order])
    own = torch.where(present, batch, -1)[:, :, None]
    same = (own == torch.where(present, sources, -1)[:, None]).all(dim=0)
    return allowed & (~same | torch.eye(len(asks), dtype=torch.bool, device=asks.device))
