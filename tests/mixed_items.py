"""Modalities with one item of each kind, and comparisons that do not depend on the kind."""

import numpy as np
import pandas as pd
from numpy.testing import assert_array_equal
from scipy import sparse

from skcentrobind import Modalities


def to_dense(item):
    """Any item as a plain array: the independent reference for every test of rows."""
    if sparse.issparse(item):
        return item.toarray()
    return item.to_numpy() if isinstance(item, pd.DataFrame) else np.asarray(item)


def assert_same(X, other):
    assert X.names == other.names
    for a, b in zip(X.arrays, other.arrays, strict=True):
        assert type(a) is type(b)
        assert to_dense(a).dtype == to_dense(b).dtype
        assert_array_equal(to_dense(a), to_dense(b))


def make_mixed(n_samples, rng):
    """One modality of each kind that is kept without conversion."""
    return Modalities(
        {
            "dense": rng.normal(size=(n_samples, 3)),
            "image": rng.integers(0, 255, size=(n_samples, 2, 4), dtype=np.uint8),
            "sparse": sparse.csr_array(np.maximum(rng.normal(size=(n_samples, 5)), 0)),
            "frame": pd.DataFrame(
                {"u": rng.normal(size=n_samples), "v": rng.integers(0, 9, size=n_samples)},
                index=[f"row{i}" for i in range(n_samples)],
            ),
            "flag": rng.random((n_samples, 1)) < 0.5,
        }
    )
