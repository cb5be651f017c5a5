"""Losses on the whole set of a sample's embeddings: PMRL, GRAM and Symile."""

import math

import numpy as np
import pytest
import torch
from conftest import unit
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skcentrobind.losses import GramianLoss, PrincipalLoss, SymileLoss, gramian_volumes, info_nce
from skcentrobind.losses._gramian import _SquaredNorms
from skcentrobind.losses._symile import _permutations

fast = settings(deadline=None, max_examples=30)


def cross_entropy(logits, right, smoothing=0.0):
    """Of one query: logits are a dict from candidates to numbers, `right` is one of them."""
    top = max(logits.values())
    total = top + math.log(sum(math.exp(s - top) for s in logits.values()))
    even = sum(total - s for s in logits.values()) / len(logits)
    return (1 - smoothing) * (total - logits[right]) + smoothing * even


def mean(values):
    return sum(values) / len(values) if values else 0.0


@st.composite
def batches(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_modalities, batch = draw(st.integers(1, 4)), draw(st.integers(2, 8))
    z, z_aug = unit(rng, n_modalities, batch, 5), unit(rng, n_modalities, batch, 5)
    present = np.ones((n_modalities, batch), dtype=bool)
    if draw(st.booleans()):
        present = rng.random((n_modalities, batch)) < draw(st.sampled_from([0.3, 0.7]))
    return z * present[:, :, None], z_aug * present[:, :, None], present


def evaluate(loss, z, z_aug, present, generator=None):
    mask = None if present.all() else torch.tensor(present)
    return loss(torch.tensor(z), torch.tensor(z_aug), mask, generator).item()


# --- PMRL ---------------------------------------------------------------------------------


def principal_by_hand(z, z_aug, present, tau1, tau2):
    loss, directions = 0.0, []
    for vectors in (z, z_aug):
        aligned, u = [], {}
        for k in range(z.shape[1]):
            mine = vectors[present[:, k], k]
            if not len(mine):
                continue
            left, s, _ = np.linalg.svd(mine.T, full_matrices=False)
            s = [*s, *[0.0] * (len(mine) - len(s))]  # a value for each vector
            along = left[:, 0] @ mine.sum(axis=0)
            u[k] = left[:, 0] * np.sign(along)
            if abs(along) < 1e-5:  # of two modalities with an obtuse angle
                u[k] = mine.sum(axis=0) / np.linalg.norm(mine.sum(axis=0))
            if len(mine) > 1:
                aligned.append(cross_entropy({i: s_i / tau1 for i, s_i in enumerate(s)}, 0))
        loss += mean(aligned) / 2
        directions.append(u)
    for queries, keys in (directions, directions[::-1]):
        logits = {j: {k: queries[j] @ keys[k] / tau2 for k in keys} for j in queries}
        loss += mean([cross_entropy(row, j) for j, row in logits.items()]) / 2
    return loss


@fast
@given(batches())
def test_principal_loss_equals_singular_values(batch):
    got = evaluate(PrincipalLoss(0.3, alignment_temperature=0.4), *batch)
    assert got == pytest.approx(principal_by_hand(*batch, 0.4, 0.3), rel=1e-6, abs=1e-6)


def test_principal_loss_of_lines():
    # Parallel modalities have the one singular value sqrt(3), and opposed ones the same.
    z = torch.eye(5).repeat(3, 1, 1).double()
    for signs in ([1, 1, 1], [1, -1, 1]):
        lines = z * torch.tensor(signs)[:, None, None]
        alignment = -math.log(math.exp(math.sqrt(3)) / (math.exp(math.sqrt(3)) + 2))
        instances = info_nce(z[0], z[0], 0.1).item()
        got = PrincipalLoss(0.1, alignment_temperature=1.0)(lines, lines, None, None)
        assert got.item() == pytest.approx(alignment + instances, rel=1e-6)


def test_principal_loss_of_one_modality_is_intra_modal():
    rng = np.random.default_rng(0)
    z, z_aug = (torch.tensor(unit(rng, 1, 6, 4)) for _ in range(2))
    expected = (info_nce(z[0], z_aug[0], 0.3) + info_nce(z_aug[0], z[0], 0.3)) / 2
    assert PrincipalLoss(0.3)(z, z_aug, None, None).item() == pytest.approx(expected.item())


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="alignment_temperature must be a positive number, got 0"):
        PrincipalLoss(alignment_temperature=0).prepare(["a"])
    with pytest.raises(ValueError, match=r"label_smoothing must be .* below 1, got 1"):
        GramianLoss(label_smoothing=1).prepare(["a"])
    with pytest.raises(ValueError, match="eps must be a positive number, got 0"):
        GramianLoss(eps=0).prepare(["a"])


# --- GRAM ---------------------------------------------------------------------------------


def volume(vectors, eps):
    gram = np.array([[float(u @ v) for v in vectors] for u in vectors])
    return math.sqrt(np.linalg.det(gram + eps * np.eye(len(gram))))


@fast
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 6), st.sampled_from([1e-4, 1e-8])
)
def test_volumes_equal_determinants(seed, n_vectors, width, eps):
    rng = np.random.default_rng(seed)
    queries, sets = unit(rng, 4, width), unit(rng, n_vectors, 3, width)
    present = rng.random((n_vectors, 3)) < 0.6
    got = gramian_volumes(
        torch.tensor(queries), torch.tensor(sets), present=torch.tensor(present), eps=eps
    )
    expected = [[volume([q, *sets[present[:, k], k]], eps) for k in range(3)] for q in queries]
    # With more vectors than components the determinant is a small difference of large numbers.
    assert_allclose(got, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("distance", [0, 1e-4, 1e-2])
def test_volumes_in_float32(distance):
    # Three vectors almost on one line: the Gram matrix is as good as singular.
    rng = np.random.default_rng(0)
    queries = unit(rng, 6, 8)
    sets = queries + distance * rng.normal(size=(3, 6, 8))
    sets /= np.linalg.norm(sets, axis=-1, keepdims=True)
    exact, got = (
        gramian_volumes(torch.tensor(queries, dtype=t), torch.tensor(sets, dtype=t))
        for t in (torch.float64, torch.float32)
    )
    assert_allclose(got, exact, rtol=2e-2, atol=1e-7)


def test_volumes_of_two_vectors_are_sines():
    angles = torch.tensor([0.0, 0.3, math.pi / 2, math.pi]).double()
    queries = torch.stack([angles.cos(), angles.sin()], dim=1)
    got = gramian_volumes(queries, queries[None, :1], eps=1e-12)[:, 0]
    assert_allclose(got, angles.sin(), atol=2e-6)


def test_gradcheck_of_volumes():
    rng = np.random.default_rng(0)
    queries, sets = (torch.tensor(unit(rng, *s), requires_grad=True) for s in ((3, 4), (2, 3, 4)))
    assert torch.autograd.gradcheck(gramian_volumes, (queries, sets))
    matrices = sets.detach().transpose(0, 1).clone().requires_grad_()
    assert torch.autograd.gradcheck(_SquaredNorms.apply, (queries, matrices))


def gramian_by_hand(z, z_aug, present, temperature, smoothing, eps):
    n_modalities, batch, _ = z.shape
    loss, counts = 0.0, present.sum(axis=0)
    for m in range(n_modalities):
        others = [n for n in range(n_modalities) if n != m] or [m]
        usable = [k for k in range(batch) if present[m, k] and present[others, k].any()]
        v = {
            (j, k): volume([z[m, j], *(z_aug[n, k] for n in others if present[n, k])], eps)
            for j in usable
            for k in usable
        }
        by_query, by_sample = [], []
        for j in usable:
            rivals = [k for k in usable if counts[k] == counts[j]]
            if len(rivals) < 2:
                continue
            by_query.append(
                cross_entropy({k: -v[j, k] / temperature for k in rivals}, j, smoothing)
            )
            by_sample.append(
                cross_entropy({k: -v[k, j] / temperature for k in rivals}, j, smoothing)
            )
        loss += mean(by_query) + mean(by_sample)
    return loss


@fast
@given(batches(), st.sampled_from([0.0, 0.1]))
def test_gramian_loss_equals_determinants(batch, smoothing):
    got = evaluate(GramianLoss(0.3, label_smoothing=smoothing), *batch)
    expected = gramian_by_hand(*batch, 0.3, smoothing, 1e-4)
    assert got == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_queries_of_a_modality_have_its_temperature():
    rng = np.random.default_rng(0)
    z, z_aug = (torch.tensor(unit(rng, 2, 6, 4)) for _ in range(2))
    for make in (GramianLoss, SymileLoss):
        several = make([0.25, 0.5])
        several.prepare(["a", "b"])
        values = [several, make(0.25), make(0.5)]
        values = [loss(z, z_aug, None, torch.Generator()).item() for loss in values]
        turned = [make(0.25), make(0.5)]
        # Of a modality alone: what remains if the temperature of the other one is so high that its
        # cross-entropies are log(batch).
        flat = (2 if make is GramianLoss else 1) * math.log(6)
        alone = []
        for m, loss in enumerate(turned):
            hot = make([1e9, 1e9])
            hot.temperature.temperature[m] = loss.temperature.value()
            hot.prepare(["a", "b"])
            alone.append(hot(z, z_aug, None, torch.Generator()).item() - flat)
        assert values[0] == pytest.approx(sum(alone), rel=1e-6)


# --- Symile -------------------------------------------------------------------------------


def symile_by_hand(z, z_aug, present, temperature, order):
    n_modalities, batch, width = z.shape
    constant = np.full(width, width**-0.5)
    loss = 0.0
    for m in range(n_modalities):
        others = [n for n in range(n_modalities) if n != m] or [m]
        losses = []
        for j in range(batch):
            if not present[m, j] or not present[others, j].any():
                continue
            logits, right = {}, None
            for k in range(batch):
                if present[others, k].sum() != present[others, j].sum():
                    continue
                # The row that each of the others gives to candidate k.
                rows = [k if n == others[0] or k == j else order[n][k] for n in others]
                has = [present[n, row] for n, row in zip(others, rows, strict=True)]
                parts = [
                    z_aug[n, row] if p else constant
                    for n, row, p in zip(others, rows, has, strict=True)
                ]
                name = tuple(row if p else None for row, p in zip(rows, has, strict=True))
                if k == j:
                    right = name
                product = 0.0
                for i in range(width):
                    term = z[m, j, i]
                    for part in parts:
                        term = term * part[i]
                    product += term
                score = product * width ** ((max(n_modalities, 2) - 2) / 2) / temperature
                logits[name if k == j else (k, name)] = score
            # A tuple of the query's own sample is no wrong answer.
            logits = {key: s for key, s in logits.items() if key == right or key[1] != right}
            if len(logits) > 1:
                losses.append(cross_entropy(logits, right))
        loss += mean(losses)
    return loss


@fast
@given(batches(), st.integers(0, 2**31))
def test_symile_loss_equals_loops(batch, seed):
    z, _, present = batch
    mask = None if present.all() else torch.tensor(present)
    order = _permutations(torch.tensor(z), mask, torch.Generator().manual_seed(seed)).tolist()
    for m, rows in enumerate(order):
        assert sorted(rows) == list(range(len(rows)))
        for k, row in enumerate(rows):
            assert present[m, k] == present[m, row]
            assert present[m, k] or row == k
    got = evaluate(SymileLoss(0.3), *batch, torch.Generator().manual_seed(seed))
    assert got == pytest.approx(symile_by_hand(*batch, 0.3, order), rel=1e-8, abs=1e-10)


def test_symile_of_two_modalities_is_info_nce():
    rng = np.random.default_rng(0)
    z, z_aug = (torch.tensor(unit(rng, 2, 6, 4)) for _ in range(2))
    expected = info_nce(z[0], z_aug[1], 0.2) + info_nce(z[1], z_aug[0], 0.2)
    got = SymileLoss(0.2)(z, z_aug, None, torch.Generator())
    assert got.item() == pytest.approx(expected.item(), rel=1e-10)


def test_symile_draws_from_the_generator_alone():
    rng = np.random.default_rng(0)
    z = torch.tensor(unit(rng, 3, 8, 4))
    before = torch.get_rng_state()
    values = [
        SymileLoss()(z, z, None, torch.Generator().manual_seed(seed)).item() for seed in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]
    assert torch.equal(before, torch.get_rng_state())


def test_symile_learns_what_pairs_cannot():
    # The third is the product of the signs of the first two: any two of them are independent.
    signs = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]).double()
    a, b = signs.T
    z = torch.stack([torch.stack([t, t.roll(1), t * 0 + 1], dim=1) for t in (a, b, a * b)])
    z = torch.nn.functional.normalize(z, dim=-1)
    generators = [torch.Generator().manual_seed(seed) for seed in range(20)]
    true = mean([SymileLoss(0.1)(z, z, None, g).item() for g in generators])
    wrong = torch.stack([z[0], z[1], -z[2]])
    assert true < mean([SymileLoss(0.1)(wrong, wrong, None, g).item() for g in generators])
