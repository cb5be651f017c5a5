"""Queries and candidates of losses on whole sets of embeddings."""

import torch
from torch import Tensor

from skcentrobind.losses._samples import Samples


def partners_of(m: int, n_modalities: int) -> list[int]:
    """Return the other modalities; a single modality is its own partner, by augmented rows."""
    return [other for other in range(n_modalities) if other != m] or [m]


def mean_over(per_row: Tensor, takes_part: Tensor | None, weight: Tensor | None = None) -> Tensor:
    """Return the mean over the rows that take part, 0 (with a gradient of 0) if there are none.

    None means that all rows take part, and that all weights are equal.
    """
    if weight is None:
        if takes_part is None:
            return per_row.mean()
        takes_part = takes_part.to(per_row.dtype)
        share = takes_part / takes_part.sum().clamp(min=1)
        return (per_row * share).sum()
    return (per_row * Samples(weight=weight).share(takes_part, per_row)).sum()


def diagonal_cross_entropy(
    logits: Tensor,
    allowed: Tensor | None = None,
    label_smoothing: float = 0.0,
    *,
    positives: Tensor | None = None,
    excluded: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Compute the cross-entropy of rows of logits whose positives are on the diagonal.

    Parameters
    ----------
    logits : Tensor of shape (batch, batch)
        Queries in rows, candidates in columns.
    allowed : Tensor of bool of shape (batch, batch), default=None
        Which candidates a query has; None means all. A query takes no part unless its positive is
        one of them, and there is at least one more.
    label_smoothing : float, default=0.0
        Share of the target that is spread evenly over all candidates.
    positives : Tensor of bool of shape (batch, batch), default=None
        Candidates that are positives of a query, with the diagonal; None means the diagonal alone.
    excluded : Tensor of bool of shape (batch, batch), default=None
        Candidates that are neither positives nor negatives.
    weight : Tensor of shape (batch,), default=None
        Weights of the queries; None means that all are equal.

    Returns
    -------
    loss : Tensor of shape ()
        Mean over the rows that take part, in nats; 0 if there are none.
    """
    takes_part: Tensor | None = None
    if allowed is not None:
        takes_part = allowed.diagonal() & (allowed.sum(dim=1) > 1)
    if excluded is not None:
        allowed = ~excluded if allowed is None else allowed & ~excluded
    n_candidates: int | Tensor = len(logits)
    if allowed is None:
        log_p = candidates = logits.log_softmax(dim=1)
    else:
        # The diagonal keeps the normaliser of rows that take no part finite.
        allowed = allowed | torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        log_p = logits.masked_fill(~allowed, -torch.inf).log_softmax(dim=1)
        candidates, n_candidates = log_p.masked_fill(~allowed, 0.0), allowed.sum(dim=1)
    per_row = -log_p.diagonal()
    if positives is not None:
        own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        per_row = -log_p.masked_fill(~(positives | own), -torch.inf).logsumexp(dim=1)
    if label_smoothing:
        even = -candidates.sum(dim=1) / n_candidates
        per_row = (1 - label_smoothing) * per_row + label_smoothing * even
    return mean_over(per_row, takes_part, weight)
