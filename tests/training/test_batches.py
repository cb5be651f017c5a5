"""Batches of equal size, in a new order every epoch."""

import numpy as np
import torch
from conftest import fast
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skcentrobind import Modalities
from skcentrobind._data.statistics import fit_scalers
from skcentrobind._training.net import BindData, EpochBatches


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@fast
@given(st.integers(1, 70), st.integers(2, 20), st.integers(0, 99))
def test_every_row_once_an_epoch_in_equal_batches(n_samples, batch_size, seed):
    x = torch.arange(n_samples)[:, None]
    present = torch.arange(n_samples)[:, None] % 2 == 0
    batches = EpochBatches(BindData([x, 10 * x], present), batch_size, seeded(seed))
    again = EpochBatches(BindData([x, 10 * x], present), batch_size, seeded(seed))
    before = torch.get_rng_state()
    for _ in range(2):
        seen, sizes = [], []
        epoch = list(batches)
        for (batch, target), (same, _) in zip(epoch, again, strict=True):
            assert target is None
            first, second = batch["inputs"]
            assert torch.equal(first, same["inputs"][0])
            assert torch.equal(second, 10 * first)
            assert torch.equal(batch["mask"], first % 2 == 0)
            seen += first[:, 0].tolist()
            sizes.append(len(first))
        assert sorted(seen) == list(range(n_samples))
        assert len(batches) == len(sizes)
        assert max(sizes) - min(sizes) <= 1
        # A batch of one has no negatives: three rows make one batch, even with batch_size=2.
        assert min(sizes) > 1 or n_samples == 1
        assert max(sizes) <= batch_size or (batch_size, max(sizes), n_samples % 2) == (2, 3, 1)
        assert len(sizes) == 1 or max(sizes) > batch_size / 2
    assert torch.equal(torch.get_rng_state(), before)


def test_order_of_the_rows():
    data = BindData([torch.arange(50)[:, None]], None)

    def order(batches):
        return torch.cat([batch["inputs"][0][:, 0] for batch, _ in batches]).tolist()

    shuffled = EpochBatches(data, 8, seeded(1))
    first, second = order(shuffled), order(shuffled)
    assert first != second
    assert first != order(EpochBatches(data, 8, seeded(2)))
    assert order(EpochBatches(data, 8)) == list(range(50))
    assert all("mask" not in batch for batch, _ in shuffled)


def test_data_are_laid_out_as_the_groups_need_them():
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=(5, 2)), "b": rng.normal(size=(5, 2, 3)), "c": np.eye(5)}
    X = Modalities(arrays)
    scalers = [*fit_scalers(X)[:1], None, None]
    everywhere, partly = np.ones((5, 3), dtype=bool), np.arange(15).reshape(5, 3) % 2 == 0
    for present in (everywhere, partly):
        data = BindData.from_modalities(X, present, scalers, [(2, 0), (1,)], "cpu")
        a = (arrays["a"] - arrays["a"].mean(axis=0)) / arrays["a"].std(axis=0)
        assert_allclose(data.inputs[0], np.hstack([np.eye(5), a]), atol=1e-6)
        assert_allclose(data.inputs[1], arrays["b"], atol=1e-6)
        assert len(data) == 5
        assert (data.mask is None) == present.all()
        batch = data[torch.tensor([3, 1])]
        assert_allclose(batch["inputs"][1], arrays["b"][[3, 1]], atol=1e-6)
        if not present.all():
            assert_array_equal(batch["mask"], present[[3, 1]])
