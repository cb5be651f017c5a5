"""Uniformity, alignment and geometric consistency beside a loss, against loops."""

import math
import re
from itertools import combinations

import numpy as np
import pytest
import torch
from conftest import fast, unit
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skcentrobind import metrics
from skcentrobind.anchors import FixedAnchor
from skcentrobind.losses import (
    AnchorLoss,
    PairwiseLoss,
    RegularizedLoss,
    Temperature,
    alignment,
    geometric_consistency,
    uniformity,
)


@st.composite
def batches(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    present = rng.random(shape) < draw(st.sampled_from([0.3, 0.8, 1.0]))
    return unit(rng, *shape, 3), present


def mean(values):
    return sum(values) / len(values) if values else 0.0


def uniformity_by_hand(z, present, t):
    values = []
    for z_m, has in zip(z, present, strict=True):
        rows = np.flatnonzero(has)
        pairs = [math.exp(-t * np.sum((z_m[j] - z_m[k]) ** 2)) for j, k in combinations(rows, 2)]
        values += [math.log(mean(pairs))] if pairs else []
    return mean(values)


def alignment_by_hand(z, present):
    values = []
    for left, right in combinations(range(len(z)), 2):
        rows = np.flatnonzero(present[left] & present[right])
        values += (
            [mean([np.sum((z[left, k] - z[right, k]) ** 2) for k in rows])] if len(rows) else []
        )
    return mean(values)


def consistency_by_hand(z, present):
    values = []
    for left, right in combinations(range(len(z)), 2):
        u, v, rows = z[left], z[right], np.flatnonzero(present[left] & present[right])
        if len(rows) < 2:
            continue
        total = 0.0
        for j in rows:
            for k in rows:
                total += (u[j] @ v[k] - u[k] @ v[j]) ** 2 + (u[j] @ u[k] - v[j] @ v[k]) ** 2
        values.append(total / len(rows))
    return mean(values)


@fast
@given(batches(), st.floats(0.5, 5))
def test_uniformity_equals_loops(batch, t):
    z, present = batch
    mask = None if present.all() else torch.tensor(present)
    got = uniformity(torch.tensor(z), t, present=mask)
    assert_allclose(got, uniformity_by_hand(z, present, t), rtol=1e-10, atol=1e-12)


@fast
@given(batches())
def test_consistency_equals_loops(batch):
    z, present = batch
    mask = None if present.all() else torch.tensor(present)
    got = geometric_consistency(torch.tensor(z), present=mask)
    assert_allclose(got, consistency_by_hand(z, present), rtol=1e-10, atol=1e-12)


@fast
@given(batches())
def test_alignment_equals_loops(batch):
    z, present = batch
    mask = None if present.all() else torch.tensor(present)
    got = alignment(torch.tensor(z), present=mask)
    assert_allclose(got, alignment_by_hand(z, present), rtol=1e-10, atol=1e-12)


def test_terms_are_those_of_the_metrics():
    z = unit(np.random.default_rng(0), 2, 20, 4)
    expected = metrics.uniformity(list(z)).drop("pooled").mean()
    assert uniformity(torch.tensor(z)).item() == pytest.approx(expected, rel=1e-10)
    expected = metrics.alignment(list(z)).to_numpy()[0, 1]
    assert alignment(torch.tensor(z)).item() == pytest.approx(expected, rel=1e-10)


def test_consistency_of_rotations():
    rng = np.random.default_rng(0)
    z = torch.tensor(unit(rng, 30, 8), dtype=torch.float32)
    # In float32 the difference of large sums is known to 1e-7 of them.
    assert geometric_consistency(torch.stack([z, z])).abs() < 1e-5
    # Reflections leave the geometry within a modality alone, but not that between the two.
    mirror = torch.linalg.qr(torch.tensor(rng.normal(size=(8, 8)), dtype=torch.float32)).Q
    expected = ((z @ mirror.T @ z.T - z @ mirror @ z.T) ** 2).sum() / 30
    got = geometric_consistency(torch.stack([z, z @ mirror]))
    assert got.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("term", [alignment, uniformity, geometric_consistency])
@pytest.mark.parametrize("masked", [False, True])
def test_gradcheck(term, masked):
    rng = np.random.default_rng(0)
    z = torch.tensor(unit(rng, 3, 4, 3), requires_grad=True)
    present = torch.tensor(rng.random((3, 4)) < 0.7) if masked else None
    assert torch.autograd.gradcheck(lambda z: term(z, present=present), z)


@pytest.mark.parametrize("term", [uniformity, geometric_consistency])
def test_without_two_rows_the_terms_are_0_and_differentiable(term):
    for rows, present in [(1, None), (4, torch.zeros(2, 4, dtype=torch.bool))]:
        z = torch.ones(2, rows, 1, requires_grad=True)
        value = term(z, present=present)
        value.backward()
        assert value == 0
        assert_allclose(z.grad, 0)


def test_weighted_terms_are_added():
    rng = np.random.default_rng(0)
    z, z_aug = (torch.tensor(unit(rng, 3, 6, 4)) for _ in range(2))
    inner = PairwiseLoss(0.3)
    loss = RegularizedLoss(inner, {"uniformity": 0.5, "geometric_consistency": 2.0})
    every = np.ones((3, 6), dtype=bool)
    expected = inner(z, z_aug, None, None).item()
    expected += 0.5 * uniformity_by_hand(z.numpy(), every, 2)
    expected += 2.0 * consistency_by_hand(z.numpy(), every)
    assert loss(z, z_aug, None, None).item() == pytest.approx(expected, rel=1e-10)


def test_the_rest_is_that_of_the_inner_loss():
    temperature = Temperature({"a": 0.1, "b": 0.2, "c": 0.3}, learn=True)
    loss = RegularizedLoss(AnchorLoss(FixedAnchor("b"), temperature), {"uniformity": 0.1})
    loss.prepare(["a", "b", "c"])
    assert loss.temperature is temperature
    assert_allclose(temperature.values, [0.1, 0.2, 0.3])
    assert loss.frozen() == loss.sources() == (1,)
    z = torch.eye(4).expand(3, 4, 4)
    assert loss.step(z, z, None, None)[1] == (1,)
    with torch.no_grad():
        temperature.log_temperature += 10
    loss.clamp_()
    assert temperature.values == [1.0, 1.0, 1.0]
    assert list(loss.state_dict()) == ["loss.temperature.log_temperature"]


def test_losses_without_an_anchor_have_none():
    with pytest.raises(AttributeError, match="anchor"):
        _ = RegularizedLoss(PairwiseLoss(), {}).anchor


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            {"unformity": 1},
            "no regularizer 'unformity'; regularizers must name some of ['alignment', 'geo",
        ),
        ({"uniformity": -1}, "The weight of 'uniformity' must be at least 0, got -1"),
        ({"uniformity": math.nan}, "The weight of 'uniformity' must be at least 0, got nan"),
    ],
)
def test_bad_weights(weights, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        RegularizedLoss(PairwiseLoss(), weights).prepare(["a", "b"])
