"""Symile: a multilinear inner product for what no pair of modalities shows."""

from functools import reduce
from typing import Any

import torch
from torch import Tensor

from skcentrobind.losses._base import BaseLoss, of_members
from skcentrobind.losses._candidates import diagonal_cross_entropy, partners_of
from skcentrobind.losses._samples import Samples


class SymileLoss(BaseLoss):
    r"""Contrast of multilinear inner products, which bounds the total correlation.

    The score of a tuple is :math:`d^{(M-2)/2} \sum_i \prod_m z_{m,i}` with d the number of
    components. The factor, which is not in the paper, keeps the size of the scores, and so the
    meaning of the temperature, what they are for two modalities, of which it is the inner product.

    The clean rows of each modality in turn are the queries; the candidates are tuples of the
    augmented rows of the others. The positive is the tuple of the query's sample; the negatives
    combine samples at random: one of the others keeps its order and each further one is permuted,
    anew in every step. Which one stays makes no difference, and one has to stay so that no negative
    equals the positive. The loss is the cross-entropy, summed over the modalities: with two of
    them, symmetric InfoNCE.

    A missing modality of a candidate is the vector :math:`(1, \dots, 1)/\sqrt d`, which turns the
    score into that of the other modalities. A query needs one other modality of its sample, and
    candidates are made of as many as its own. The candidates of a single modality are its augmented
    rows.

    Parameters
    ----------
    temperature : float, list of float, dict of float or Temperature, default=0.2
        Divides the scores. Of several, the query's modality gives its own.

    Notes
    -----
    Rotating all embeddings changes the score, unlike those of the other losses: the
    components have a meaning of their own. Pairs of modalities need not be similar at all, so
    measures of pairwise retrieval may miss what was learned.

    References
    ----------
    Saporta et al., "Contrasting with Symile: Simple Model-Agnostic Representation Learning for
    Unlimited Modalities", `arXiv:2411.01053 <https://arxiv.org/abs/2411.01053>`_: the multilinear
    inner product, and negatives by one permutation per modality.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import SymileLoss
    >>> z = torch.eye(4).expand(3, 4, 4)
    >>> bool(SymileLoss(temperature=0.1)(z, z, None, torch.Generator()) < 1e-2)
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
        """Sum the cross-entropy of the queries over the modalities."""
        n_modalities, batch, width = z.shape
        temperature = self.temperature.value()
        if present is not None:
            z_augmented = torch.where(present[:, :, None], z_augmented, width**-0.5)
        order = _permutations(z, present, generator)
        loss = z.new_zeros(())
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
            related = {}
            if samples is not None:
                has = None if present is None else present[partners]
                related = _related(samples, m, order[rest], has)
            logits = logits / of_members(temperature, m)
            loss = loss + diagonal_cross_entropy(logits, allowed, **related)
        return loss


def _permutations(z: Tensor, mask: Tensor | None, generator: torch.Generator) -> Tensor:
    """Draw permutations (n_modalities, batch) that keep missing rows where they are."""
    shape = z.shape[:2]
    keys = torch.rand(shape, generator=generator, device=z.device, dtype=torch.float32)
    if mask is None:
        return keys.argsort(dim=1)
    # Both list the rows that are present first: in their order, and at random. The missing ones
    # follow, in their order.
    rows = (~mask).long().argsort(dim=1, stable=True)
    drawn = keys.masked_fill(~mask, 2.0).argsort(dim=1, stable=True)
    return torch.empty_like(rows).scatter_(1, rows, drawn)


def _allowed(queries: Tensor, mask: Tensor, order: Tensor) -> Tensor:
    """Return which candidates (columns) the queries (rows) have, (batch, batch).

    `queries` (batch,) are the samples with the query's modality, `mask` (n_partners, batch) those
    with the partners', of which all except the first take rows in the given `order`.
    """
    counts = mask.sum(dim=0)
    usable = queries & (counts > 0)
    allowed = usable[:, None] & (counts[:, None] == counts)
    # Where partners are missing, a negative can be the positive by chance: all that it has is of
    # the query's sample.
    batch = torch.arange(len(queries), device=queries.device)
    sources = torch.cat([batch[None], order])
    own = torch.where(mask, batch, -1)[:, :, None]
    same = (own == torch.where(mask, sources, -1)[:, None]).all(dim=0)
    return allowed & (~same | torch.eye(len(queries), dtype=torch.bool, device=queries.device))


def _related(samples: Samples, m: int, order: Tensor, mask: Tensor | None) -> dict[str, Any]:
    """Return the positives, what is left out, and the weights, for queries of modality m.

    A candidate is one or the other if all of its rows are of samples that are so.
    """
    n_samples = order.shape[1]
    batch = torch.arange(n_samples, device=order.device)
    sources = torch.cat([batch[None], order])  # (n_partners, batch), samples of the rows

    def of_candidates(related: Tensor) -> Tensor:
        parts = related[:, sources].transpose(0, 1)  # (n_partners, batch, batch)
        return (parts if mask is None else parts | ~mask[:, None]).all(dim=0)

    positives = samples.positives()
    own = torch.eye(n_samples, dtype=torch.bool, device=order.device)
    excluded = samples.of([m]).excluded()
    if excluded is not None:
        some = excluded[0] | (own if positives is None else positives)
        excluded = of_candidates(some) & ~own
    if positives is not None:
        # On the diagonal is the sample itself, whatever the order of the others is.
        positives = of_candidates(positives) | own
        excluded = None if excluded is None else excluded & ~positives
    return {"positives": positives, "excluded": excluded, "weight": samples.weight}
