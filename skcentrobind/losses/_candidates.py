"""What objectives on whole sets of embeddings share: who is compared with whom, and how."""

import torch


def partners_of(m, n_modalities):
    """Return the other modalities; a single modality is its own partner, by augmented rows."""
    return [other for other in range(n_modalities) if other != m] or [m]


def mean_over(per_row, takes_part):
    """Mean over the rows that take part, 0 (with a gradient of 0) if there are none."""
    takes_part = takes_part.to(per_row.dtype)
    share = takes_part / takes_part.sum().clamp(min=1)
    return (per_row * share).sum()


def diagonal_cross_entropy(logits, allowed=None, label_smoothing=0.0):
    """Cross-entropy of rows of logits whose right answer is on the diagonal.

    Parameters
    ----------
    logits : Tensor of shape (batch, batch)
        Queries in rows, candidates in columns.
    allowed : Tensor of bool of shape (batch, batch), default=None
        Which candidates a query chooses among; None means all. Its own must be one of them, or
        the query takes no part, nor does it without any other.
    label_smoothing : float, default=0.0
        Share of the target that is spread evenly over all candidates.

    Returns
    -------
    loss : Tensor of shape ()
        Mean over the rows that take part, in nats; 0 if there are none.
    """
    if allowed is None:
        allowed = torch.ones_like(logits, dtype=torch.bool)
    own = allowed.diagonal()
    # The diagonal keeps the normaliser of rows that take no part finite.
    allowed = allowed | torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    log_p = logits.masked_fill(~allowed, -torch.inf).log_softmax(dim=1)
    n_candidates = allowed.sum(dim=1)
    per_row = -log_p.diagonal()
    if label_smoothing:
        even = -log_p.masked_fill(~allowed, 0.0).sum(dim=1) / n_candidates
        per_row = (1 - label_smoothing) * per_row + label_smoothing * even
    return mean_over(per_row, own & (n_candidates > 1))
