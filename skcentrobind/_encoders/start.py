"""Where the encoders start from, when that is not a random draw."""

import math
import threading

import numpy as np
from scipy import sparse

from skcentrobind._data.scaling import prepare_rows, prepare_sparse
from skcentrobind._encoders.closed_form import generalized_cca
from skcentrobind._encoders.encoders import EncoderBank, IdentityEncoder

# The eigenvectors of this many rows take two seconds, dense rows of this many values 64 MB.
_MAX_ROWS, _MAX_VALUES = 2_000, 2**23

# What remains of the random draw in components that the rows do not determine. At zero they would
# stay there for ever, since their gradient is zero, too; at full length they would drown the others
# in the cosine.
_RANDOM_SHARE = 0.03

# The number of BLAS threads is one of the process: fits in several threads, each of which limits
# and restores it, would undo each other's limit.
_ALONE = threading.Lock()


def start_from_gcca(groups, X, present, rows, scalers, n_components, seed):
    """Let the linear parts of the encoders begin at generalised canonical correlations.

    Parameters
    ----------
    groups : iterable of Module
        The encoders, changed in place. Those without a linear part stay as they are.
    X : Modalities
        Checked data.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    rows : ndarray of int or None
        Those of X that may be looked at, None for all.
    scalers : list of scaler or None
        How each modality is standardised.
    n_components : int
        Width of the shared space; the columns of a second head stay as they are.
    seed : int
        Chooses the rows, where there are more than are needed.

    Returns
    -------
    is_warm : bool
        Whether all modalities that learn start there. None does if fewer than two have encoders
        with a linear part and samples in common.
    """
    places = {
        m: (group, k)
        for group in groups
        if isinstance(group, EncoderBank) and group.has_linear_part
        for k, m in enumerate(group.members)
    }
    rows = np.arange(len(present)) if rows is None else rows
    _, rows = _meeting(list(places), rows, present)
    rows = _some(rows, [X.arrays[m] for m in places], seed)
    # Some of the rows may not hold enough of a rare modality.
    members, rows = _meeting(list(places), rows, present)
    if not members:
        return False
    has = present[np.ix_(rows, members)]
    views = []
    for m, present_m in zip(members, has.T, strict=True):
        prepare = prepare_sparse if sparse.issparse(X.arrays[m]) else prepare_rows
        views.append(prepare(X.names[m], X.arrays[m][rows[present_m]], scalers[m]))
    with _ALONE:
        weights, means, agreement = generalized_cca(views, has, n_components)
    share = np.where(agreement > 0, 0.0, _RANDOM_SHARE)
    for m, weight, mean in zip(members, weights, means, strict=True):
        # The optimiser's steps have a fixed length: weights as large as those of a random start
        # let them mean the same. The embedding has unit length whatever the scale.
        size = np.sqrt(3 * len(weight) * np.mean(weight**2))
        if size:
            group, k = places[m]
            group.start_linear_part(k, weight / size, -mean @ weight / size, share)
    learning = [m for g in groups if not isinstance(g, IdentityEncoder) for m in g.members]
    return len(members) == len(learning)


def _meeting(members, rows, present):
    """Modalities that have two of the rows or more, and rows that have two of them or more."""
    while True:
        has = present[np.ix_(rows, members)]
        kept, meet = has.sum(axis=0) > 1, has.sum(axis=1) > 1
        if kept.all() and meet.all():
            return members, rows
        members, rows = [m for m, keep in zip(members, kept, strict=True) if keep], rows[meet]


def _some(rows, arrays, seed):
    """As many of the rows as are worth the time and memory, in order."""
    width = sum(math.prod(array.shape[1:]) for array in arrays if not sparse.issparse(array))
    n_rows = min(_MAX_ROWS, max(2, _MAX_VALUES // max(1, width)))
    if n_rows >= len(rows):
        return rows
    return np.sort(np.random.RandomState(seed).choice(rows, n_rows, replace=False))
