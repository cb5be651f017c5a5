"""Which rows early stopping holds out."""

import numpy as np

from skcentrobind._data.checks import count_shared


def split_rows(present, names, validation_fraction, seed):
    """Split rows into training and validation, each with enough rows to do its work.

    Parameters
    ----------
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    names : list of str
        The modalities.
    validation_fraction : float
        Share of the rows to hold out, at least two.
    seed : int
        Seed of the choice.

    Returns
    -------
    train, valid : ndarray of int
        Positions of the rows.
    """
    n_samples, n_modalities = present.shape
    n_valid = max(2, round(n_samples * validation_fraction))
    order = np.random.RandomState(seed).permutation(n_samples)
    train, valid = np.sort(order[n_valid:]), np.sort(order[:n_valid])
    fault = None
    if len(train) < 2:
        fault = "fewer than 2 are left to learn from; give more samples"
    elif present[train].sum(axis=0).min() < 2:
        poorest = names[present[train].sum(axis=0).argmin()]
        fault = f"fewer than 2 that have '{poorest}' are left to learn from; give more samples"
    elif n_modalities > 1 and not _some_pair_meets(present[valid]):
        fault = "no two modalities meet in 2 of them, so there is no score; hold out more of them"
    if fault:
        raise ValueError(
            f"early_stopping=True with validation_fraction={validation_fraction} holds out "
            f"{n_valid} of {n_samples} samples, and {fault} or set early_stopping=False."
        )
    return train, valid


def _some_pair_meets(present):
    """Whether any two modalities share two samples or more."""
    shared = count_shared(present)
    np.fill_diagonal(shared, 0)
    return shared.max() > 1
