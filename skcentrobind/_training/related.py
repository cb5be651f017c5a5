"""Groups, duplicates and weights of the training data."""

from __future__ import annotations

import inspect
import math

import numpy as np
import torch
from scipy import sparse

from skcentrobind._data.per_sample import repeated_codes, uneven_weights
from skcentrobind._encoders.sparse import SparseRows
from skcentrobind._ops import equal_rows
from skcentrobind.losses import BaseLoss, Samples


def codes_of_streamed(x, members):
    """Find the equal rows of the members of a group whose rows are streamed.

    Parameters
    ----------
    x : StreamedRows
        Input of the group.
    members : tuple of int
        Positions of its modalities.

    Returns
    -------
    codes : dict of int to Tensor of int64 of shape (n_rows,)
        For the modalities that have equal rows, see `_ops.equal_rows`.
    """
    if sparse.issparse(x.arrays[0]):
        # Columns are only divided by a constant, so rows that are equal stay so.
        csr = x.arrays[0] if x.rows is None else x.arrays[0][x.rows]
        data = csr.data.astype(np.float32)
        rows = type(csr)((data, csr.indices, csr.indptr), shape=csr.shape)
        found = SparseRows.from_csr(rows, "cpu").equal_rows()
        return {} if found is None else {members[0]: found}
    codes = {}
    for k, m in enumerate(members):
        alone = x.member(k)  # the others of the group are not read

        def read(rows, alone=alone):
            at = torch.arange(rows.start, rows.stop, device="cpu")
            return alone.index_select(0, at).flatten(1)

        found = equal_rows(len(x), math.prod(x.arrays[k].shape[1:]), read)
        if found is not None:
            codes[m] = found
    return codes


def samples_of(per_sample, codes, present, rows, same_group, device):
    """Return what is known of some samples.

    Parameters
    ----------
    per_sample : PerSample
        Groups and weights of all samples.
    codes : dict of int to Tensor of int64 of shape (n_rows,)
        Equal rows by modality.
    present : ndarray of bool of shape (n_rows, n_modalities)
        Which of the samples have which modality.
    rows : ndarray of int of shape (n_rows,) or None
        Their positions; None for all.
    same_group : {"positive", "ignore"}
        The parameter.
    device : str
        Device of the result.

    Returns
    -------
    samples : Samples or None
        None if all are different and equally heavy.
    """
    if rows is not None:
        per_sample = per_sample.take(rows)
    groups = repeated_codes(per_sample.groups)
    weight = uneven_weights(per_sample.sample_weight)
    if groups is None and weight is None and not codes:
        return None
    duplicates = None
    if codes:
        duplicates = torch.full(present.T.shape, -1, dtype=torch.int64, device="cpu")
        for m, found in codes.items():
            duplicates[m] = found
        duplicates[torch.from_numpy(~present.T)] = -1
        duplicates = duplicates.to(device)
    if groups is not None:
        groups = torch.from_numpy(groups).to(device)
    if weight is not None:
        weight = torch.from_numpy(weight.astype(np.float32)).to(device)
    return Samples(groups, same_group, duplicates, weight)


def known_to_metrics(samples):
    """Return groups and weights of a batch as arguments of a metric."""
    if samples is None:
        return {}
    known = {"groups": samples.groups, "sample_weight": samples.weight}
    return {name: values.cpu().numpy() for name, values in known.items() if values is not None}


def seen_by(loss: BaseLoss, samples: Samples) -> Samples | None:
    """Return what a loss takes of what is known of the samples.

    Parameters
    ----------
    loss : BaseLoss
        Perhaps a user's own, or with one inside.
    samples : Samples
        Groups and weights, which the user has passed, and duplicates, which fit has found.

    Returns
    -------
    samples : Samples or None
        The same, None if there are only duplicates and a `forward` takes no `samples`.

    Raises
    ------
    TypeError
        If it would not see groups or weights.
    """
    unaware = [
        type(part).__name__
        for part in loss.modules()
        if isinstance(part, BaseLoss)
        and "samples" not in inspect.signature(part.forward).parameters
    ]
    if not unaware:
        return samples
    given = {"groups": samples.groups, "sample_weight": samples.weight}
    known = [name for name, values in given.items() if values is not None]
    if known:
        raise TypeError(
            f"{unaware[0]}.forward takes no argument `samples`, so it would not see "
            f"{' and '.join(known)}. Add it: forward(self, z, z_augmented, present, generator, "
            "samples=None), see skcentrobind.losses.Samples."
        )
    return None
