"""The sum of InfoNCE over all pairs of modalities, against loops."""

import math

import numpy as np
import pytest
import torch
from conftest import fast, unit
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skcentrobind.anchors import LeaveOneOutAnchor
from skcentrobind.losses import AnchorLoss, PairwiseLoss, Temperature, pairwise_info_nce


def nce(queries, keys, temperature, rows):
    """InfoNCE over some rows, one pair at a time."""
    loss = 0.0
    for k in rows:
        logits = {j: float(queries[k] @ keys[j]) / temperature for j in rows}
        top = max(logits.values())
        loss += top + math.log(sum(math.exp(s - top) for s in logits.values())) - logits[k]
    return loss / len(rows)


def by_hand(z, z_aug, temperatures, present):
    losses = []
    for m in range(len(z)):
        terms = []
        for other in range(len(z)):
            if other == m and len(z) > 1:
                continue
            rows = [k for k in range(z.shape[1]) if present[m][k] and present[other][k]]
            if len(rows) < 2:
                continue
            t = math.sqrt(temperatures[m] * temperatures[other])
            terms.append(nce(z[m], z_aug[other], t, rows) + nce(z_aug[other], z[m], t, rows))
        losses.append(sum(terms) / len(terms) if terms else 0.0)
    return losses


@fast
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.integers(2, 7),
    st.sampled_from([None, 0.2, 0.7]),
)
def test_equals_loops(seed, n_modalities, batch, share):
    rng = np.random.default_rng(seed)
    z, z_aug = unit(rng, n_modalities, batch, 3), unit(rng, n_modalities, batch, 3)
    present = np.ones((n_modalities, batch), dtype=bool)
    if share is not None:
        present = rng.random((n_modalities, batch)) < share
    mask = None if share is None else torch.tensor(present)
    several = rng.choice([0.25, 0.5, 1.0], size=n_modalities)
    for temperature, values in [(0.3, [0.3] * n_modalities), (torch.tensor(several), several)]:
        losses = pairwise_info_nce(torch.tensor(z), torch.tensor(z_aug), temperature, present=mask)
        assert_allclose(losses, by_hand(z, z_aug, values, present), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("masked", [False, True])
def test_gradcheck_of_temperatures(masked):
    rng = np.random.default_rng(0)
    z, z_aug = (torch.tensor(unit(rng, 3, 4, 3), requires_grad=True) for _ in range(2))
    t = torch.tensor([0.3, 0.5, 0.8], dtype=torch.float64, requires_grad=True)
    present = torch.tensor(rng.random((3, 4)) < 0.7) if masked else None
    assert torch.autograd.gradcheck(
        lambda z, z_aug, t: pairwise_info_nce(z, z_aug, t, present=present),
        (z, z_aug, t),
        fast_mode=True,
    )


def test_the_loss_is_the_sum_over_the_modalities():
    rng = np.random.default_rng(0)
    z, z_aug = (torch.tensor(unit(rng, 3, 5, 3)) for _ in range(2))
    loss = PairwiseLoss(Temperature({"c": 0.5, "a": 0.25, "b": 1.0}))
    loss.prepare(["a", "b", "c"])
    every = torch.ones(3, 5, dtype=torch.bool)
    expected = sum(by_hand(z.numpy(), z_aug.numpy(), [0.25, 1.0, 0.5], every))
    assert loss(z, z_aug, None, None).item() == pytest.approx(expected, rel=1e-10)


@fast
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.floats(0.02, 1))
def test_the_centroid_of_the_others_is_never_harder(seed, n_modalities, temperature):
    # The logits to the centroid are the means of the pairwise ones, and logsumexp is convex.
    rng = np.random.default_rng(seed)
    z, z_aug = (torch.tensor(unit(rng, n_modalities, 6, 3)) for _ in range(2))
    pairwise = PairwiseLoss(temperature)(z, z_aug, None, None)
    centroid = AnchorLoss(LeaveOneOutAnchor(), temperature)(z, z_aug, None, None)
    assert centroid <= pairwise + 1e-10
    if n_modalities < 3:
        assert centroid.item() == pytest.approx(pairwise.item(), rel=1e-10)
