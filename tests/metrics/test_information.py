"""InfoNCE bounds against loops, their limits, and the corrected bound on the loss."""

import math

import numpy as np
import pandas as pd
import pytest
from conftest import unit
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skcentrobind.metrics import anchor_bound, mutual_information_matrix

fast = settings(deadline=None, max_examples=30)
DIRECTIONS = ["anchor -> modality", "modality -> anchor"]


def nce_by_hand(u, v, t):
    total = 0.0
    for k in range(len(u)):
        logits = [sum(float(a) * float(b) for a, b in zip(u[k], row, strict=True)) / t for row in v]
        top = max(logits)
        total += top + math.log(sum(math.exp(s - top) for s in logits)) - logits[k]
    return total / len(u)


def information_by_hand(u, v, t, batch):
    n_batches = len(u) // batch
    bounds = []
    for b in range(n_batches):
        rows = [b + i * n_batches for i in range(batch)]
        both = nce_by_hand(u[rows], v[rows], t), nce_by_hand(v[rows], u[rows], t)
        bounds.append(math.log(batch) - sum(both) / 2)
    return sum(bounds) / len(bounds)


def draw(seed, n_samples=14, missing=0.3):
    rng = np.random.default_rng(seed)
    Z = unit(rng, 3, n_samples, 4)
    augmented = unit(rng, 3, n_samples, 4) * 0.3 + Z
    Z[rng.random((3, n_samples)) < missing] = np.nan
    return Z, augmented


# --- mutual information -------------------------------------------------------------------


@fast
@given(st.integers(0, 1000), st.sampled_from([0.05, 0.2, 1.0]), st.sampled_from([2, 3, 256]))
def test_information_equals_loops(seed, t, batch_size):
    Z, augmented = draw(seed)
    found = mutual_information_matrix(Z, augmented, temperature=t, batch_size=batch_size)
    have = ~np.isnan(Z).any(axis=2)
    pairs = [(a, b) for a in range(3) for b in range(3)]
    shared = {(a, b): have[a] & have[b] for a, b in pairs}
    usable = {at: rows for at, rows in shared.items() if rows.sum() > 1}
    batch = min([batch_size, *(rows.sum() for rows in usable.values())])
    assert found.attrs == {"batch_size": batch, "limit": pytest.approx(math.log(batch))}
    for a, b in pairs:
        if (a, b) not in usable:
            assert np.isnan(found.iloc[a, b])
            continue
        # (a, b) and (b, a) are the same batches, whichever is the query.
        rows = usable[a, b]
        other = augmented if a == b else Z
        expected = information_by_hand(Z[a][rows], other[b][rows], t, batch)
        assert_allclose(found.iloc[a, b], expected, rtol=1e-10, atol=1e-10)


def test_information_saturates_at_the_logarithm_of_the_batch():
    Z = [np.eye(64)] * 2
    for batch_size, batch in ((16, 16), (64, 64), (1000, 64)):
        found = mutual_information_matrix(Z, Z, temperature=0.02, batch_size=batch_size)
        assert found.attrs == {"batch_size": batch, "limit": pytest.approx(np.log(batch))}
        assert_allclose(found, np.log(batch))
        assert (found <= found.attrs["limit"] + 1e-12).all(axis=None)


def test_information_never_exceeds_that_of_a_discrete_source():
    # Five equally likely clusters share log 5 nats, whatever the temperature.
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 400)
    Z = [np.eye(5)[rng.permutation(5)[labels]] for _ in range(2)]
    Z = [np.eye(5)[labels], np.eye(5)[labels]]
    values = [
        mutual_information_matrix(Z, temperature=t, batch_size=500).iloc[0, 1]
        for t in (0.02, 0.1, 0.5, 2.0)
    ]
    assert max(values) <= np.log(5) + 1e-9
    assert values[0] == pytest.approx(np.log(5), abs=1e-6)


def test_unrelated_and_collapsed_embeddings_have_none():
    rng = np.random.default_rng(0)
    found = mutual_information_matrix(unit(rng, 2, 4000, 8), temperature=1.0, batch_size=200)
    assert -0.2 < found.iloc[0, 1] < 0.01
    flat = [np.tile([1.0, 0], (10, 1))] * 2
    assert_allclose(mutual_information_matrix(flat, flat), 0, atol=1e-12)


def test_propositions_of_the_paper_are_visible():
    # Bound to a: b and c determine one half of it each, share nothing, and lose their own part.
    rng = np.random.default_rng(0)
    n, one, two = 512, *rng.normal(size=(2, 512, 8))
    a = np.hstack([one, two]) / 4
    b, c = np.hstack([one, 0 * two]) / 3, np.hstack([0 * one, two]) / 3
    Z = {"a": a, "b": b, "c": c}
    found = mutual_information_matrix(Z, Z, batch_size=n)
    assert found.loc["b", "c"] == pytest.approx(0, abs=1e-9)  # P3
    assert min(found.loc["a", ["b", "c"]]) > 1
    noisy = {"a": a, "b": unit(rng, n, 16), "c": c}  # P2: augmentation has no information about b
    assert mutual_information_matrix(Z, noisy, batch_size=n).loc["b", "b"] < 0.1


def test_information_does_not_depend_on_rotation_or_order():
    Z, augmented = draw(0, n_samples=20, missing=0.0)
    rng = np.random.default_rng(1)
    rotation, order = np.linalg.qr(rng.normal(size=(4, 4)))[0], rng.permutation(20)
    expected = mutual_information_matrix(Z, augmented)  # one batch
    turned = mutual_information_matrix(Z @ rotation, augmented @ rotation)
    assert_allclose(turned, expected, rtol=1e-10)
    mixed = mutual_information_matrix(Z[:, order], augmented[:, order])
    assert_allclose(mixed, expected, rtol=1e-10)


def test_form_of_the_information():
    Z, augmented = draw(0, missing=0.0)
    named = dict(zip("xyz", Z, strict=True))
    found = mutual_information_matrix(named)
    assert isinstance(found, pd.DataFrame)
    assert list(found.index) == list(found.columns) == list("xyz")
    assert np.isnan(np.diag(found)).all()
    full = mutual_information_matrix(named, dict(zip("xyz", augmented, strict=True)))
    off = ~np.eye(3, dtype=bool)
    assert_allclose(full.to_numpy()[off], found.to_numpy()[off])
    assert_allclose(full, full.T)


# --- bound on the loss --------------------------------------------------------------------


@fast
@given(
    st.integers(0, 10_000),
    st.integers(1, 6),
    st.integers(2, 9),
    st.sampled_from([0.02, 0.2, 1.0, 5.0]),
)
def test_the_bound_holds_for_any_batch_and_number_of_modalities(seed, n_modalities, batch, t):
    rng = np.random.default_rng(seed)
    z, augmented = rng.normal(size=(2, n_modalities, batch, 3))
    found = anchor_bound(z, augmented, temperature=t)
    slack = 1e-9 * (1 + found["upper"].abs())
    assert (found["lower"] <= found["loss"] + slack).all()
    assert (found["loss"] <= found["upper"] + slack).all()
    if n_modalities == 1:
        assert_allclose(found["lower"], found["upper"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_the_bound_equals_loops(missing):
    t = 0.3
    z, augmented = draw(3, missing=missing)
    found = anchor_bound(z, augmented, temperature=t)
    rows = ~np.isnan(z).any(axis=(0, 2))
    z, augmented = z[:, rows], augmented[:, rows]
    anchor, n = augmented.mean(axis=0), rows.sum()
    for m in range(3):
        for direction in DIRECTIONS:
            forward = direction == DIRECTIONS[0]
            pairs, ranges = [], []
            for copy in augmented:
                pairs.append(nce_by_hand(copy, z[m], t) if forward else nce_by_hand(z[m], copy, t))
                for k in range(n):
                    rest = [
                        (copy[k] - anchor[k]) @ z[m][j]
                        if forward
                        else (copy[j] - anchor[j]) @ z[m][k]
                        for j in range(n)
                    ]
                    ranges.append((max(rest) - min(rest)) / t)
            upper = sum(pairs) / 3
            lower = upper - sum(r**2 for r in ranges) / len(ranges) / 8
            loss = nce_by_hand(anchor, z[m], t) if forward else nce_by_hand(z[m], anchor, t)
            row = found.loc[(f"modality{m}", direction)]
            assert_allclose(row[["lower", "loss", "upper"]], [lower, loss, upper], rtol=1e-10)


def test_equal_modalities_leave_no_room():
    z = unit(np.random.default_rng(0), 10, 4)
    found = anchor_bound([z, z], [z, z])
    assert_allclose(found["lower"], found["upper"])
    assert found.index.names == ["modality", "direction"]
    assert list(found.index) == [(f"modality{m}", d) for m in (0, 1) for d in DIRECTIONS]


def test_the_loss_is_that_of_training():
    import torch

    from skcentrobind.losses import anchor_info_nce

    z, augmented = draw(0, missing=0.0)
    anchor = torch.tensor(augmented.mean(axis=0))
    losses = anchor_info_nce(torch.tensor(z), anchor, 0.2)
    expected = anchor_bound(z, augmented, temperature=0.2)["loss"].groupby("modality").sum()
    assert_allclose(np.atleast_1d(losses.numpy()).sum(), expected.sum(), rtol=1e-9)


# --- refusals -----------------------------------------------------------------------------

ok = np.eye(3)
missing_pair = np.where(np.arange(3)[:, None] < 2, np.nan, ok)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mutual_information_matrix([ok, ok], temperature=0), ["temperature", "got 0"]),
        (lambda: mutual_information_matrix([ok, ok], batch_size=1), ["at least 2, got 1"]),
        (lambda: mutual_information_matrix([ok, ok], [ok]), ["Z_augmented", "modality1"]),
        (lambda: mutual_information_matrix([ok], [ok[:2]]), ["(2, 3)", "expected", "(3, 3)"]),
        (lambda: mutual_information_matrix([ok], {"a": ok}), ["'a'", "'modality0'"]),
        (lambda: anchor_bound([ok], [ok], temperature=-1), ["temperature", "got -1"]),
        (lambda: anchor_bound([ok, missing_pair], [ok, ok]), ["two samples with all", "got 1"]),
        (lambda: anchor_bound([ok, ok], [ok, ok[:, :2]]), ["same number of components"]),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError) as info:
        call()
    assert all(word in str(info.value) for word in words), str(info.value)
