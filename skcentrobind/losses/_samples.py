"""What is known of the samples of a batch beside their modalities: groups, duplicates, weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor

# All candidates of a batch.
_ALL = slice(None)


@dataclass(frozen=True)
class Samples:
    r"""Groups, duplicates and weights of the samples of a batch.

    With the logits :math:`s_{kj}` of query k and candidate j, and the group :math:`G_k` of sample
    k, the loss of a query is :math:`\log \sum_{j \notin E_k} e^{s_{kj}} - \log \sum_{j \in G_k}
    e^{s_{kj}}`, where :math:`E_k` are the other samples that are equal to k in the modality of the
    logits and not in its group. The loss of a batch is the mean of these, weighted by the weights
    of the samples k.

    Parameters
    ----------
    groups : Tensor of int64 of shape (batch,), default=None
        Samples with equal numbers show the same thing; None means that all show different ones.
    same_group : {"positive", "ignore"}, default="positive"
        What the other samples of its group are to a sample.

        "positive" adds them to the positives: minus the logarithm of the softmax, summed over the
        group.

        "ignore" leaves them out of the denominator.
    duplicates : Tensor of int64 of shape (n_modalities, batch), default=None
        Rows of a modality with equal numbers of at least 0 are equal; negative numbers mark rows
        without a duplicate. None means that no rows are equal.
    weight : Tensor of float32 of shape (batch,), default=None
        Positive weights; None means that all are equal.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import Samples, info_nce
    >>> z = torch.eye(4)[[0, 0, 1, 2]]
    >>> captions = Samples(groups=torch.tensor([7, 7, 8, 9]))
    >>> bool(info_nce(z, z, 0.1) > 0.3)  # the two captions of picture 7 repel each other
    True
    >>> bool(info_nce(z, z, 0.1, samples=captions) < 1e-3)
    True
    """

    groups: Tensor | None = None
    same_group: str = "positive"
    duplicates: Tensor | None = None
    weight: Tensor | None = None

    def __post_init__(self) -> None:
        """Check the option."""
        if self.same_group not in ("positive", "ignore"):
            raise ValueError(f"same_group must be 'positive' or 'ignore', got {self.same_group!r}.")

    def __len__(self) -> int:
        """Return the number of samples, as skorch asks every part of a batch."""
        known = (self.groups, self.weight, self.duplicates)
        return next((part.shape[-1] for part in known if part is not None), 0)

    def of(self, members: Sequence[int] | int | None) -> Samples:
        """Return the same for some modalities.

        Parameters
        ----------
        members : int, list of int or None
            Positions of the modalities; None means all.

        Returns
        -------
        samples : Samples
            With duplicates of these modalities.
        """
        if members is None or self.duplicates is None:
            return self
        return replace(self, duplicates=self.duplicates[members])

    def of_rows(self, rows: Tensor) -> Samples:
        """Return the same for some samples.

        Parameters
        ----------
        rows : Tensor of int64 of shape (n_rows,)
            Positions of the samples.

        Returns
        -------
        samples : Samples
            Of n_rows samples.
        """
        groups, duplicates, weight = self.groups, self.duplicates, self.weight
        return replace(
            self,
            groups=None if groups is None else groups.index_select(0, rows),
            duplicates=None if duplicates is None else duplicates.index_select(1, rows),
            weight=None if weight is None else weight.index_select(0, rows),
        )

    def related_modalities(self, other: Tensor | None = None) -> list[bool] | None:
        """Return which modalities hold rows that are equal to others of the batch.

        Parameters
        ----------
        other : Tensor of int64 of shape (n_modalities, batch), default=None
            Further duplicates, as in `excluded`.

        Returns
        -------
        related : list of bool of length n_modalities or None
            None where groups or weights relate the samples in all modalities, and on an
            accelerator, which would stall if it were read.
        """
        codes = [part for part in (self.duplicates, other) if part is not None]
        if self.groups is not None or self.weight is not None or not codes:
            return None
        if codes[0].device.type != "cpu":
            return None
        return torch.stack([_repeats(part) for part in codes]).any(dim=0).tolist()

    def merged(self, present: Tensor | None) -> Samples:
        """Return the same for one modality, in which samples are equal that are so in all.

        Parameters
        ----------
        present : Tensor of bool of shape (n_modalities, batch) or None
            Which samples have which modality; those that lack one are equal there.

        Returns
        -------
        samples : Samples
            With duplicates of shape (1, batch).
        """
        if self.duplicates is None:
            return self
        equal = _equal(self.duplicates)
        if present is not None:
            equal = equal | ~(present[:, :, None] | present[:, None])
        own = torch.eye(len(self), dtype=torch.bool, device=equal.device)
        equal = equal.all(dim=0) | own
        # The number of a sample is the position of the first one that is equal to it.
        return replace(self, duplicates=equal.to(torch.int8).argmax(dim=1)[None])

    def positives(self, tile: slice = _ALL) -> Tensor | None:
        """Return which candidates (columns) are positives of which queries (rows).

        Parameters
        ----------
        tile : slice, default=slice(None)
            The candidates.

        Returns
        -------
        positives : Tensor of bool of shape (batch, n_candidates) or None
            None if these are the samples themselves alone.
        """
        if self.groups is None or self.same_group == "ignore":
            return None
        return self.groups[:, None] == self.groups[tile]

    def excluded(self, other: Tensor | None = None, tile: slice = _ALL) -> Tensor | None:
        """Return which candidates are neither positives nor negatives.

        Parameters
        ----------
        other : Tensor of int64 of shape (n_modalities, batch), default=None
            Further duplicates, those of the modality that the candidates are of.
        tile : slice, default=slice(None)
            The candidates.

        Returns
        -------
        excluded : Tensor of bool of shape (n_modalities or 1, batch, n_candidates) or None
            None if there are none. Symmetric.
        """
        alike = [_equal(codes, tile) for codes in (self.duplicates, other) if codes is not None]
        if self.groups is not None and self.same_group == "ignore":
            alike.append((self.groups[:, None] == self.groups[tile])[None])
        if not alike:
            return None
        excluded = reduce(torch.bitwise_or, alike)
        positives = self.positives(tile)
        if positives is None:
            rows = torch.arange(excluded.shape[1], device=excluded.device)
            positives = rows[:, None] == rows[tile]
        return excluded & ~positives

    def share(self, mask: Tensor | None, like: Tensor) -> Tensor:
        """Return the share of every sample in the mean over the batch.

        Parameters
        ----------
        mask : Tensor of bool of shape (..., batch) or None
            Which samples take part; None means all.
        like : Tensor of shape (..., batch)
            Gives type and shape.

        Returns
        -------
        share : Tensor of shape (..., batch)
            Sums to 1, or is 0 where no sample takes part.
        """
        weight = torch.ones_like(like) if self.weight is None else self.weight.to(like)
        weight = weight.expand_as(like)
        if mask is not None:
            weight = weight * mask
        total = weight.sum(dim=-1, keepdim=True)
        return weight / total.masked_fill(total == 0, 1)


def _equal(codes: Tensor, tile: slice = _ALL) -> Tensor:
    """Return which rows have equal numbers of at least 0, (n_modalities, batch, n_candidates)."""
    return (codes[:, :, None] == codes[:, None, tile]) & (codes >= 0)[:, :, None]


def relevant(samples: Samples) -> Samples | None:
    """Return None in place of samples that are all different and equally heavy.

    A batch rarely holds two samples of one small group. On an accelerator nothing is read, which
    would stall it.
    """
    groups, duplicates = samples.groups, samples.duplicates
    if groups is not None and groups.device.type == "cpu" and not _repeats(groups[None]).any():
        groups = None
    if (
        duplicates is not None
        and duplicates.device.type == "cpu"
        and not _repeats(duplicates).any()
    ):
        duplicates = None
    if groups is None and duplicates is None and samples.weight is None:
        return None
    return replace(samples, groups=groups, duplicates=duplicates)


def _repeats(codes: Tensor) -> Tensor:
    """Return which rows of codes (n_modalities, batch) hold a number of at least 0 twice."""
    ordered = codes.sort(dim=1).values
    return ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(dim=1)
