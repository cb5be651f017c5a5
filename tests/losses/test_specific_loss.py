"""Losses with a second head: separation of what is shared from what is specific."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skcentrobind.anchors import IntraAnchor, MeanAnchor
from skcentrobind.losses import AnchorLoss, PairwiseLoss, SeparatedLoss, separation


def unit(z):
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


@st.composite
def two_heads(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    present = rng.random(shape) < draw(st.sampled_from([0.3, 0.8, 1.0]))
    return rng.normal(size=(*shape, 3)), rng.normal(size=(*shape, 2)), present


def separation_by_hand(u, v, present):
    values = []
    for u_m, v_m, has in zip(u, v, present, strict=True):
        rows = np.flatnonzero(has)
        if len(rows) < 2:
            continue
        norms = {}
        for key, left, right in (("uv", u_m, v_m), ("uu", u_m, u_m), ("vv", v_m, v_m)):
            total = 0.0
            for i in range(left.shape[1]):
                for j in range(right.shape[1]):
                    x, y = left[rows, i], right[rows, j]
                    total += sum((x - x.mean()) * (y - y.mean())) ** 2
            norms[key] = total
        values.append(norms["uv"] / np.sqrt(norms["uu"] * norms["vv"]))
    return sum(values) / len(values) if values else 0.0


@settings(deadline=None, max_examples=60)
@given(two_heads())
def test_separation_equals_loops(heads):
    u, v, present = heads
    expected = separation_by_hand(u, v, present)
    tensors = torch.tensor(u), torch.tensor(v)
    assert_allclose(separation(*tensors, present=torch.tensor(present)).item(), expected, atol=1e-9)
    if present.all():
        assert_allclose(separation(*tensors).item(), expected, atol=1e-9)


def test_separation_of_copies_and_of_constants():
    rng = np.random.default_rng(0)
    u = torch.tensor(rng.normal(size=(2, 30, 4)))
    turn = torch.tensor(np.linalg.qr(rng.normal(size=(4, 4)))[0])
    assert separation(u, 3 * u @ turn + 1).item() == pytest.approx(1, abs=1e-12)
    constant = torch.ones(2, 30, 3, dtype=u.dtype, requires_grad=True)
    value = separation(u, constant)
    value.backward()
    assert value.item() == 0
    assert torch.isfinite(constant.grad).all()


@settings(deadline=None, max_examples=15)
@given(two_heads())
def test_gradient_of_separation(heads):
    u, v, present = heads
    inputs = [torch.tensor(h, requires_grad=True) for h in (u, v)]
    # With two rows the value is 1 wherever they are, and a square root of rounding is its slope.
    rows = torch.tensor(present & (present.sum(axis=1, keepdims=True) > 2))
    assert torch.autograd.gradcheck(lambda *uv: separation(*uv, present=rows), inputs, atol=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_the_loss_is_that_of_both_heads(weight):
    rng = np.random.default_rng(0)
    z, z_augmented = (torch.tensor(rng.normal(size=(3, 9, 6))) for _ in range(2))
    present = torch.tensor(rng.random((3, 9)) < 0.8)
    shared, specific = PairwiseLoss(0.3), AnchorLoss(IntraAnchor(), 0.2)
    loss = SeparatedLoss(shared, specific, 4, weight)
    loss.prepare(["a", "b", "c"])
    u, u_augmented, v, v_augmented = (
        torch.tensor(unit(h[..., part].numpy()))
        for part in (slice(4), slice(4, None))
        for h in (z, z_augmented)
    )
    expected = shared(u, u_augmented, present, None) + specific(v, v_augmented, present, None)
    expected = expected + weight * separation(u, v, present=present)
    assert loss(z, z_augmented, present, None).item() == pytest.approx(expected.item(), rel=1e-9)
    assert_allclose(loss.shared(z), u)


def test_what_surrounds_a_loss_hands_on_its_state():
    inner = AnchorLoss(MeanAnchor(), 0.3)
    loss = SeparatedLoss(inner, AnchorLoss(IntraAnchor(), 0.1), 2, 1.0)
    assert loss.temperature is inner.temperature
    assert loss.anchor is inner.anchor
    assert loss.frozen() == loss.sources() == inner.sources() == ()
