"""Equal rows, compared with a loop over all pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from skcentrobind import _ops
from skcentrobind._encoders import sparse as _sparse
from skcentrobind._encoders.sparse import SparseRows
from skcentrobind._ops import equal_rows

ENTRIES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 1e-30])


def of_dense(x):
    return equal_rows(*x.shape, torch.from_numpy(x).__getitem__)


def of_sparse(x):
    csr = sparse.csr_array(x)
    csr.eliminate_zeros()
    return SparseRows.from_csr(csr, "cpu").equal_rows()


def assert_equal_to_the_loop(codes, dense):
    for i, one in enumerate(dense):
        twins = [j for j, two in enumerate(dense) if (one == two).all()]
        if codes is None:
            assert len(twins) == 1
        elif len(twins) == 1:
            assert codes[i] < 0
        else:
            assert codes[i] >= 0
            assert (codes == codes[i]).nonzero()[:, 0].tolist() == twins


@settings(deadline=None, max_examples=50)
@given(x=hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2), elements=ENTRIES))
def test_equal_rows_are_those_of_a_loop(x):
    assert_equal_to_the_loop(of_dense(x), x)
    assert_equal_to_the_loop(of_sparse(x), x)


@pytest.mark.parametrize("block", [1, 7, 2**21])
def test_blocks_and_colliding_hashes_change_nothing(block, monkeypatch):
    x = np.random.default_rng(0).integers(0, 2, size=(40, 3)).astype(np.float32)
    expected = of_dense(x)
    monkeypatch.setattr(_ops, "_HASHED", block)
    assert torch.equal(of_dense(x), expected)
    # All hashes are equal: only the comparison of the rows tells them apart.
    for module in (_ops, _sparse):
        monkeypatch.setattr(module, "hash_factors", lambda width: torch.zeros(width).long())
    assert_equal_to_the_loop(of_dense(x), x)
    assert_equal_to_the_loop(of_sparse(x), x)
