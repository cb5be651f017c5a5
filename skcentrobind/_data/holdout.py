"""Rows that modalities share, and rows that early stopping holds out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import GroupShuffleSplit

from skcentrobind._data.warn import warn


def count_shared(present: np.ndarray) -> np.ndarray:
    """Count the samples that have both of two modalities.

    Parameters
    ----------
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.

    Returns
    -------
    counts : ndarray of int of shape (n_modalities, n_modalities)
        On the diagonal those that have the modality.
    """
    return present.T.astype(np.int64) @ present


def warn_of_unbound(
    present: np.ndarray, names: Sequence[str], sources: Sequence[int], frozen: Sequence[int]
) -> None:
    """Warn about modalities that share too few samples with those that they are bound to.

    Parameters
    ----------
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    names : sequence of str
        The modalities.
    sources : sequence of int
        Positions of the modalities that the others are bound to; empty for all.
    frozen : sequence of int
        Positions of the modalities that do not learn.
    """
    shared = count_shared(present)
    positions = range(len(names))
    for m in sorted(set(positions) - set(frozen)):
        others = [s for s in sources or positions if s != m]
        if others and shared[m, others].max() < 2:
            warn(
                f"Modality '{names[m]}' shares fewer than 2 samples with "
                f"{', '.join(repr(names[s]) for s in others)}, so it is not bound to the shared "
                "space: its embeddings cannot be compared with those of other modalities. Add "
                "samples that have both, or leave it out.",
            )


def split_rows(
    present: np.ndarray,
    names: Sequence[str],
    validation_fraction: float,
    seed: int,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into training and hold-out, with enough rows in each.

    Parameters
    ----------
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    names : sequence of str
        The modalities.
    validation_fraction : float
        Fraction of the rows to hold out, but at least two rows.
    seed : int
        Seed of the split.
    groups : ndarray of int of shape (n_samples,), default=None
        Samples with equal numbers stay together; the fraction is then one of the groups.

    Returns
    -------
    train, valid : ndarray of int
        Positions of the rows.
    """
    n_samples, n_modalities = present.shape
    train, valid = _split(n_samples, validation_fraction, seed, groups)
    n_valid = len(valid)
    fault = None
    if len(train) < 2:
        fault = "fewer than 2 are left to learn from; give more samples"
    elif present[train].sum(axis=0).min() < 2:
        rarest = names[present[train].sum(axis=0).argmin()]
        fault = f"fewer than 2 that have '{rarest}' are left to learn from; give more samples"
    elif n_modalities > 1 and not _has_shared_pair(present[valid]):
        fault = "no two modalities share 2 of them, so there is no score; hold out more of them"
    if fault:
        raise ValueError(
            f"early_stopping=True with validation_fraction={validation_fraction} holds out "
            f"{n_valid} of {n_samples} samples, and {fault} or set early_stopping=False."
        )
    return train, valid


def quarter(
    n_samples: int, seed: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows at random, and hold out a quarter of them, or of the groups.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    seed : int
        Seed of the split.
    groups : ndarray of int of shape (n_samples,), default=None
        Samples with equal numbers stay together.

    Returns
    -------
    train, held_out : ndarray of int
        Positions of the rows.
    """
    return _split(n_samples, 0.25, seed, groups)


def _split(
    n_samples: int, validation_fraction: float, seed: int, groups: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    if groups is None:
        n_valid = max(2, round(n_samples * validation_fraction))
        order = np.random.RandomState(seed).permutation(n_samples)
        return np.sort(order[n_valid:]), np.sort(order[:n_valid])
    n_groups = len(np.unique(groups))
    # At least two groups, so that a query has a wrong candidate.
    n_valid = max(2, round(n_groups * validation_fraction))
    if n_valid >= n_groups:
        raise ValueError(
            f"early_stopping=True with validation_fraction={validation_fraction} holds out "
            f"{n_valid} of {n_groups} groups, and none is left to learn from; give more groups or "
            "set early_stopping=False."
        )
    split = GroupShuffleSplit(n_splits=1, test_size=n_valid, random_state=seed)
    train, valid = next(split.split(groups, groups=groups))
    return np.sort(train), np.sort(valid)


def _has_shared_pair(present: np.ndarray) -> bool:
    """Return whether any two modalities share two samples or more."""
    shared = count_shared(present)
    np.fill_diagonal(shared, 0)
    return shared.max() > 1
