"""InfoNCE between modalities and anchors: values and gradients against loops, and AnchorLoss."""

import copy
import functools
import math
import pickle
from unittest import mock

import numpy as np
import pytest
import torch
from conftest import fast, unit
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch.utils._python_dispatch import TorchDispatchMode

from skcentrobind.anchors import BaseAnchor, MeanAnchor, Target
from skcentrobind.losses import AnchorLoss, _info_nce, anchor_info_nce, info_nce

DIRECTIONS = ["both", "from_anchor", "to_anchor"]


def nce_by_hand(queries, keys, temperature, rows):
    """InfoNCE over some rows, one pair at a time, with its gradients in queries and keys."""
    loss, grad_queries, grad_keys = 0.0, np.zeros_like(queries), np.zeros_like(keys)
    for k in rows:
        logits = {j: float(np.dot(queries[k], keys[j])) / temperature for j in rows}
        top = max(logits.values())
        total = sum(math.exp(s - top) for s in logits.values())
        loss += (top + math.log(total) - logits[k]) / len(rows)
        for j in rows:
            slope = (math.exp(logits[j] - top) / total - (j == k)) / (len(rows) * temperature)
            grad_queries[k] += slope * keys[j]
            grad_keys[j] += slope * queries[k]
    return loss, grad_queries, grad_keys


def by_hand(z, a, temperature, present=None, weights=None, direction="both"):
    """Loss of every modality; gradients of the weighted sum of the losses."""
    z, a = np.asarray(z, dtype=np.float64), np.asarray(a, dtype=np.float64)
    weights = np.ones(len(z)) if weights is None else np.asarray(weights)
    losses, grad_z, grad_a = np.zeros(len(z)), np.zeros_like(z), np.zeros_like(a)
    for m, z_m in enumerate(z):
        a_m, grad_a_m = (a, grad_a) if a.ndim == 2 else (a[m], grad_a[m])
        rows = [k for k in range(len(z_m)) if present is None or present[m][k]]
        if direction in ("both", "from_anchor"):
            loss, grad_queries, grad_keys = nce_by_hand(a_m, z_m, temperature, rows)
            losses[m] += loss
            grad_z[m] += weights[m] * grad_keys
            grad_a_m += weights[m] * grad_queries
        if direction in ("both", "to_anchor"):
            loss, grad_queries, grad_keys = nce_by_hand(z_m, a_m, temperature, rows)
            losses[m] += loss
            grad_z[m] += weights[m] * grad_queries
            grad_a_m += weights[m] * grad_keys
    return losses, grad_z, grad_a


def compute(z, a, temperature, *, present=None, weights=None, dtype=torch.float64, **options):
    """Losses and gradients of the function under test, as float64 arrays."""
    z = torch.tensor(np.asarray(z), dtype=dtype, requires_grad=True)
    a = torch.tensor(np.asarray(a), dtype=dtype, requires_grad=True)
    present = None if present is None else torch.tensor(present)
    losses = anchor_info_nce(z, a, temperature, present=present, **options)
    weights = np.ones(len(z)) if weights is None else weights
    grads = torch.autograd.grad((losses * torch.tensor(weights, dtype=dtype)).sum(), [z, a])
    return [t.detach().double().numpy() for t in (losses, *grads)]


def assert_close_in_float32(got, expected, temperature):
    # A logit of size 2/temperature is known to 2e-7/temperature.
    error = 2e-6 / temperature
    assert_allclose(got[0], expected[0], rtol=1e-5, atol=error)
    for ours, theirs in zip(got[1:], expected[1:], strict=True):
        assert_allclose(ours, theirs, rtol=1e-4, atol=error * 4 / temperature)


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_modalities, batch, width = (
        draw(st.integers(1, 4)),
        draw(st.integers(1, 9)),
        rng.integers(1, 6),
    )
    z = unit(rng, n_modalities, batch, width)
    if draw(st.booleans()):  # rows that are hard to distinguish, and exact ties
        z[:, rng.integers(batch, size=batch // 2)] = z[:, :1]
    a = {
        "mean": lambda: z.mean(axis=0),
        "own": lambda: unit(rng, n_modalities, batch, width),
        # the longest that `bounded` allows
        "long": lambda: 2 * rng.choice([-1, 1], size=(batch, 1)) * z[0],
    }[draw(st.sampled_from(["mean", "own", "long"]))]()
    present = rng.random((n_modalities, batch)) < rng.choice([0.3, 0.8], size=(n_modalities, 1))
    present[rng.integers(n_modalities), 1:] &= draw(st.booleans())  # at most one row stays
    masked = draw(st.booleans())
    temperature = math.exp(draw(st.floats(math.log(0.005), math.log(2))))
    return {
        "z": z,
        "a": a,
        "temperature": temperature,
        "present": present if masked else None,
        "weights": rng.normal(size=n_modalities),
        "direction": draw(st.sampled_from(DIRECTIONS)),
    }


# --- value and gradients ------------------------------------------------------------------


@fast
@given(problems(), st.sampled_from([None, 1, 3, 4, 100]), st.booleans())
def test_anchor_info_nce_equals_loops(problem, chunk_size, bounded):
    expected = by_hand(**problem)
    got = compute(**problem, chunk_size=chunk_size, bounded=bounded)
    scale = 1 / problem["temperature"]
    assert_allclose(got[0], expected[0], rtol=1e-10, atol=1e-13 * scale)
    for ours, theirs in zip(got[1:], expected[1:], strict=True):
        assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13 * scale**2)


@fast
@given(problems(), st.sampled_from([None, 3]), st.booleans())
def test_float32_is_as_accurate_as_its_logits(problem, chunk_size, bounded):
    for key in ("z", "a"):
        problem[key] = problem[key].astype(np.float32)
    expected = by_hand(**problem)
    got = compute(**problem, chunk_size=chunk_size, bounded=bounded, dtype=torch.float32)
    assert_close_in_float32(got, expected, problem["temperature"])


@functools.cache
def tile_problem(masked, shared, direction):
    rng = np.random.default_rng(0)
    z = unit(rng, 3, 37, 4)
    a = z.mean(axis=0) if shared else unit(rng, 3, 37, 4)
    present = rng.random((3, 37)) < [[0.9], [0.02], [0.5]] if masked else None
    return z, a, present, by_hand(z, a, 0.1, present, direction=direction)


@pytest.mark.parametrize("tile_size", [1, 37 * 16, 2 * 37 * 16, 37 * 37, 2 * 37 * 37])
@pytest.mark.parametrize("keep_size", [0, 2**22])
@pytest.mark.parametrize(("masked", "shared"), [(True, False), (False, True)])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_blocks_and_tiles_add_up(tile_size, keep_size, masked, shared, direction):
    z, a, present, expected = tile_problem(masked, shared, direction)
    with mock.patch.multiple(_info_nce, _TILE_SIZE=tile_size, _KEEP_SIZE=keep_size):
        for bounded in (True, False):
            got = compute(z, a, 0.1, present=present, bounded=bounded, direction=direction)
            for ours, theirs in zip(got, expected, strict=True):
                assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("chunk_size", [None, 250])
def test_large_batches(bounded, chunk_size):
    rng = np.random.default_rng(0)
    z, a = unit(rng, 2, 600, 3), unit(rng, 600, 3)
    tensors = [torch.tensor(t, requires_grad=True) for t in (z, a)]
    pairs = [pair for z_m in tensors[0] for pair in ((z_m, tensors[1]), (tensors[1], z_m))]
    sum(info_nce(*pair, 0.1) for pair in pairs).backward()
    got = compute(z, a, 0.1, bounded=bounded, chunk_size=chunk_size)
    assert_allclose(got[0].sum(), sum(info_nce(*p, 0.1).item() for p in pairs), rtol=1e-12)
    for ours, tensor in zip(got[1:], tensors, strict=True):
        assert_allclose(ours, tensor.grad, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_gradcheck(shared, masked, chunk_size, bounded, direction):
    rng = np.random.default_rng(0)
    z = torch.tensor(unit(rng, 2, 5, 3), requires_grad=True)
    a = torch.tensor(unit(rng, 5, 3) if shared else unit(rng, 2, 5, 3), requires_grad=True)
    present = torch.tensor(rng.random((2, 5)) < 0.7) if masked else None
    options = {"present": present, "chunk_size": chunk_size, "bounded": bounded}
    options["direction"] = direction
    assert torch.autograd.gradcheck(lambda z, a: anchor_info_nce(z, a, 0.3, **options), (z, a))


@pytest.mark.parametrize("needs", [(True, False), (False, True), (False, False)])
def test_gradients_where_they_are_wanted(needs):
    rng = np.random.default_rng(0)
    z, a = unit(rng, 3, 6, 4), unit(rng, 6, 4)
    losses, *grads = by_hand(z, a, 0.2)
    tensors = [torch.tensor(t, requires_grad=r) for t, r in zip((z, a), needs, strict=True)]
    out = anchor_info_nce(*tensors, 0.2)
    assert_allclose(out.detach().numpy(), losses, rtol=1e-12)
    assert out.requires_grad == any(needs)
    if any(needs):
        out.sum().backward()
    for tensor, grad, wanted in zip(tensors, grads, needs, strict=True):
        assert (tensor.grad is not None) == wanted
        if wanted:
            assert_allclose(tensor.grad.numpy(), grad, rtol=1e-10, atol=1e-12)


def test_inputs_are_left_alone_and_may_be_strided():
    rng = np.random.default_rng(0)
    z, a = unit(rng, 6, 3, 4), unit(rng, 4, 6).T / 2
    expected = by_hand(z.swapaxes(0, 1), a, 0.2)
    strided = torch.tensor(z).transpose(0, 1), torch.tensor(a.T.copy()).T
    before = copy.deepcopy(strided)
    for bounded in (True, False):
        assert_allclose(anchor_info_nce(*strided, 0.2, bounded=bounded), expected[0], rtol=1e-12)
    assert all(torch.equal(t, b) for t, b in zip(strided, before, strict=True))


def test_second_derivative_is_refused():
    rng = np.random.default_rng(0)
    z, a = torch.tensor(unit(rng, 2, 4, 3), requires_grad=True), torch.tensor(unit(rng, 4, 3))
    loss = anchor_info_nce(z, a, 0.2).sum()
    (grad,) = torch.autograd.grad(loss, z, create_graph=True)
    with pytest.raises(RuntimeError, match=r"once_differentiable|does not require grad"):
        grad.sum().backward()


@fast
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.floats(0.01, 2))
def test_info_nce_equals_loops(seed, batch, temperature):
    rng = np.random.default_rng(seed)
    queries, keys = unit(rng, batch, 3), 2 * unit(rng, batch, 3)
    expected = nce_by_hand(queries, keys, temperature, range(batch))
    tensors = [torch.tensor(t, requires_grad=True) for t in (queries, keys)]
    loss = info_nce(*tensors, temperature)
    loss.backward()
    assert_allclose(loss.item(), expected[0], rtol=1e-10, atol=1e-12 / temperature)
    for tensor, grad in zip(tensors, expected[1:], strict=True):
        assert_allclose(tensor.grad, grad, rtol=1e-10, atol=1e-12 / temperature**2)


# --- extreme logits -----------------------------------------------------------------------


# exp of a logit of 2/temperature leaves float32 from temperature = 1/44 on
@pytest.mark.parametrize("temperature", [1e-3, 5e-3, 1 / 50, 1 / 41, 1 / 40])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_extreme_logits_in_float32(temperature, sign, masked, direction):
    rng = np.random.default_rng(0)
    for z in (unit(rng, 2, 12, 4), np.broadcast_to(unit(rng, 4), (2, 12, 4))):
        z = z.astype(np.float32)
        a = 2 * sign * z[0]
        present = rng.random((2, 12)) < 0.6 if masked else None
        expected = by_hand(z, a, temperature, present, direction=direction)
        long = {"a": 20 * a, "temperature": 20 * temperature}  # the same logits
        expected_of_long = expected[0], expected[1], expected[2] / 20
        for chunk_size in (None, 5):
            options = {"present": present, "chunk_size": chunk_size, "dtype": torch.float32}
            options["direction"] = direction
            for bounded in (True, False):
                got = compute(z, a, temperature, bounded=bounded, **options)
                assert_close_in_float32(got, expected, temperature)
            assert_close_in_float32(compute(z, **long, **options), expected_of_long, temperature)


# --- properties ---------------------------------------------------------------------------


@fast
@given(problems(), st.sampled_from([None, 2]), st.integers(0, 2**32 - 1))
def test_order_of_samples_and_modalities_does_not_matter(problem, chunk_size, seed):
    rng = np.random.default_rng(seed)
    order_m, order = (rng.permutation(n) for n in problem["z"].shape[:2])
    a, present = problem["a"], problem["present"]
    moved = {
        "z": problem["z"][order_m][:, order],
        "a": a[order] if a.ndim == 2 else a[order_m][:, order],
        "temperature": problem["temperature"],
        "present": None if present is None else present[order_m][:, order],
        "weights": problem["weights"][order_m],
        "direction": problem["direction"],
    }
    plain, permuted = (compute(**p, chunk_size=chunk_size) for p in (problem, moved))
    error = 1e-12 / problem["temperature"] ** 2
    assert_allclose(permuted[0], plain[0][order_m], rtol=1e-9, atol=error)
    assert_allclose(permuted[1], plain[1][order_m][:, order], rtol=1e-9, atol=error)


def test_fewer_than_two_rows_have_loss_zero():
    rng = np.random.default_rng(0)
    present = np.array([[False] * 5, [False, True] + [False] * 3, [True] * 5])
    for bounded in (True, False):
        losses, grad_z, _ = compute(unit(rng, 3, 5, 4), unit(rng, 5, 4), 0.1, present=present,
                                    bounded=bounded)  # fmt: skip
        assert_allclose(losses[:2], 0, atol=1e-13)
        assert_allclose(grad_z[:2], 0, atol=1e-12)
        assert losses[2] > 0.1


@fast
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 8), st.floats(0.02, 2))
def test_loss_to_the_centroid_lies_below_the_mean_of_the_pairwise_losses(
    seed, n_modalities, batch, temperature
):
    # mean_l L(z'_l, z) - mean_lk R_lk^2 / 8 <= L(mean_l z'_l, z) <= mean_l L(z'_l, z), with
    # R_lk the range over j of what logit kj of modality l exceeds the logit of the centroid by.
    rng = np.random.default_rng(seed)
    z, augmented = unit(rng, batch, 3), unit(rng, n_modalities, batch, 3)
    if n_modalities > 1 and seed % 2:
        augmented[1:] = augmented[0] + 0.1 * rng.normal(size=augmented[1:].shape)
    a = augmented.mean(axis=0)
    for turn in (False, True):
        centroid, pairwise, slack = 0.0, [], []
        for z_l in (a, *augmented):
            pair = (z, z_l) if turn else (z_l, z)
            value = info_nce(*map(torch.tensor, pair), temperature).item()
            if z_l is a:
                centroid = value
                continue
            pairwise.append(value)
            excess = (z @ (z_l - a).T if turn else (z_l - a) @ z.T) / temperature
            slack += [(max(row) - min(row)) ** 2 / 8 for row in excess]
        assert centroid <= np.mean(pairwise) + 1e-10
        assert centroid >= np.mean(pairwise) - np.mean(slack) - 1e-10
        if n_modalities == 1:
            assert_allclose(centroid, np.mean(pairwise), atol=1e-10)


@fast
@given(problems(), st.booleans())
def test_the_directions_add_up_to_both(problem, bounded):
    both, one, other = (
        compute(**{**problem, "direction": direction}, bounded=bounded) for direction in DIRECTIONS
    )
    for total, *parts in zip(both, one, other, strict=True):
        error = 1e-12 / problem["temperature"] ** 2
        assert_allclose(np.sum(parts, axis=0), total, rtol=1e-9, atol=error)


@fast
@given(problems())
def test_the_directions_exchange_rows_and_anchors(problem):
    # What rows are to anchors in one direction, anchors are to rows in the other.
    z, a = problem["z"], np.broadcast_to(problem["a"], problem["z"].shape)
    one = compute(**{**problem, "a": a, "direction": "from_anchor"})
    other = compute(**{**problem, "z": a, "a": z, "direction": "to_anchor"})
    error = 1e-12 / problem["temperature"] ** 2
    for ours, theirs in zip(one, [other[0], other[2], other[1]], strict=True):
        assert_allclose(ours, theirs, rtol=1e-9, atol=error)


@pytest.mark.parametrize("bounded", [True, False])
def test_descent_aligns(bounded):
    rng = np.random.default_rng(0)
    h = torch.tensor(rng.normal(size=(3, 12, 4)), requires_grad=True)
    curve = []
    for _ in range(40):
        z = torch.nn.functional.normalize(h, dim=-1)
        loss = anchor_info_nce(z, z.mean(dim=0), 0.3, bounded=bounded).sum()
        (grad,) = torch.autograd.grad(loss, h)
        h = (h - 0.3 * grad).detach().requires_grad_()
        curve.append(loss.item())
    assert np.all(np.diff(curve) < 0)
    assert curve[-1] < 0.5 * curve[0]


class Largest(TorchDispatchMode):
    """Remember the size of the largest tensor that any operation returns."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("bounded", [False, True])
def test_chunks_bound_the_memory(masked, bounded):
    n_modalities, batch, width, chunk_size = 3, 96, 4, 7
    rng = np.random.default_rng(0)
    z = torch.tensor(unit(rng, n_modalities, batch, width), requires_grad=True)
    options = {"bounded": bounded}
    options["present"] = torch.tensor(rng.random((n_modalities, batch)) < 0.7) if masked else None
    sizes = []
    for chunk in (chunk_size, None):
        with Largest() as largest:
            anchor_info_nce(z, z.mean(dim=0), 0.1, chunk_size=chunk, **options).sum().backward()
        sizes.append(largest.numel)
    assert sizes[0] <= n_modalities * batch * max(chunk_size, width)
    assert sizes[1] > n_modalities * batch * max(chunk_size, width)  # the recorder does see


def test_bad_settings_are_refused():
    z = torch.eye(3)[None]
    for temperature in (0, 0.0, -0.1, math.nan):
        with pytest.raises(ValueError, match=f"temperature must be a positive.* got {temperature}"):
            anchor_info_nce(z, z[0], temperature)
    for chunk_size in (0, -2):
        with pytest.raises(ValueError, match=f"chunk_size must be at least 1.* got {chunk_size}"):
            anchor_info_nce(z, z[0], chunk_size=chunk_size)
    with pytest.raises(ValueError, match=r"direction must be one of \['both'.* got 'forth'"):
        anchor_info_nce(z, z[0], direction="forth")


# --- AnchorLoss ---------------------------------------------------------------------------


class TwoTargets(BaseAnchor):
    """A shared target for two of three modalities, and one target for each of all three."""

    def targets(self, z, present, generator):
        some = None if present is None else present[1]
        return [Target(z[1], [0, 2], some, weight=0.25), Target(z.flip(0), weight=2.0)]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_anchor_loss_sums_over_targets(masked, detach, direction):
    rng = np.random.default_rng(0)
    z, z_aug = (torch.tensor(unit(rng, 3, 7, 4), requires_grad=True) for _ in range(2))
    present = rng.random((3, 7)) < 0.5 if masked else None
    first, rest = z_aug.detach()[1], z_aug.detach().flip(0)
    both = None if present is None else present[[0, 2]] & present[1]
    members = z.detach()[[0, 2]]
    one, one_z, one_a = by_hand(members, first, 0.2, both, direction=direction)
    two, two_z, two_a = by_hand(z.detach(), rest, 0.2, present, direction=direction)
    grad_z, grad_aug = 2 * two_z, 2 * two_a[::-1]
    grad_z[[0, 2]] += 0.25 * one_z
    grad_aug[1] += 0.25 * one_a

    loss = AnchorLoss(TwoTargets(), 0.2, detach_anchor=detach, direction=direction)
    value = loss(z, z_aug, None if present is None else torch.tensor(present), torch.Generator())
    value.backward()
    assert value.shape == ()
    assert_allclose(value.item(), 0.25 * one.sum() + 2 * two.sum(), rtol=1e-12)
    assert_allclose(z.grad, grad_z, atol=1e-12)
    if detach:
        assert z_aug.grad is None
    else:
        assert_allclose(z_aug.grad, grad_aug, atol=1e-12)


def test_anchor_loss_of_the_centroid_is_the_papers():
    rng = np.random.default_rng(0)
    z, z_aug = unit(rng, 3, 6, 4), unit(rng, 3, 6, 4)
    loss = pickle.loads(pickle.dumps(AnchorLoss(MeanAnchor(), 0.1)))
    value = loss(torch.tensor(z), torch.tensor(z_aug), None, torch.Generator())
    expected = sum(
        nce_by_hand(*pair, 0.1, range(6))[0]
        for z_m in z
        for pair in ((z_aug.mean(axis=0), z_m), (z_m, z_aug.mean(axis=0)))
    )
    assert_allclose(value.item(), expected, rtol=1e-12)
