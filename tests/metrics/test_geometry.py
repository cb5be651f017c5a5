"""Alignment, uniformity, gap, CKA and effective rank against loops, chance levels, invariances."""

import itertools
import math
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from conftest import unit
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import hyp0f1

from skcentrobind import Modalities
from skcentrobind.metrics import (
    _geometry,
    alignment,
    centroid_alignment,
    effective_rank,
    linear_cka,
    modality_gap,
    uniformity,
)

fast = settings(deadline=None, max_examples=30)
NAMES = ["z", "a", "m"]

MATRICES = {
    "alignment": alignment,
    "alignment, alpha=1": lambda Z: alignment(Z, alpha=1),
    "gap": modality_gap,
    "cka": linear_cka,
    "debiased cka": lambda Z: linear_cka(Z, debiased=True),
}
SERIES = {
    "centroid alignment": centroid_alignment,
    "uniformity": uniformity,
    "effective rank": effective_rank,
}
ALL = MATRICES | SERIES


@st.composite
def embeddings(draw):
    """Three modalities, some rows missing, lengths of any size."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = 3, draw(st.integers(1, 12)), draw(st.integers(1, 4))
    Z = unit(rng, *shape) * draw(st.sampled_from([1.0, 0.1, 3.0]))
    Z[rng.random(shape[:2]) < draw(st.sampled_from([0.0, 0.3, 0.6]))] = np.nan
    return dict(zip(NAMES, Z, strict=True))


def distance(a, b):
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


def rows_of(Z, *names):
    return [k for k in range(len(Z["z"])) if not any(np.isnan(Z[name][k]).any() for name in names)]


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else math.nan


def pairs_by_hand(Z, measure, diagonal):
    table = {}
    for a in NAMES:
        for b in NAMES:
            rows = rows_of(Z, a, b)
            value = measure([Z[a][k] for k in rows], [Z[b][k] for k in rows]) if rows else math.nan
            table[a, b] = diagonal if a == b else value
    return [[table[a, b] for b in NAMES] for a in NAMES]


def pooled_by_hand(Z, measure):
    parts = [[Z[name][k] for k in rows_of(Z, name)] for name in NAMES]
    return [measure(part) for part in [*parts, [z for part in parts for z in part]]]


# --- against loops ------------------------------------------------------------------------


@fast
@given(embeddings(), st.sampled_from([1, 2, 3.5]))
def test_alignment_equals_loops(Z, alpha):
    def by_hand(x, y):
        return mean(distance(a, b) ** alpha for a, b in zip(x, y, strict=True))

    expected = pairs_by_hand(Z, by_hand, 0.0)
    assert_allclose(alignment(Z, alpha=alpha), expected, rtol=1e-10, atol=1e-10)


@fast
@given(embeddings(), st.sampled_from([1, 2, 3.5]))
def test_centroid_alignment_equals_loops(Z, alpha):
    expected = []
    for name in NAMES:
        values = []
        for k in rows_of(Z, name):
            have = [Z[other][k] for other in NAMES if not np.isnan(Z[other][k]).any()]
            if len(have) > 1:
                centre = [mean(column) for column in zip(*have, strict=True)]
                values.append(distance(Z[name][k], centre) ** alpha)
        expected.append(mean(values))
    found = centroid_alignment(Z, alpha=alpha)
    assert list(found.index) == NAMES
    assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@fast
@given(embeddings(), st.sampled_from([0.5, 2, 7]), st.sampled_from([1, 2, 5, 1024]))
def test_uniformity_equals_loops(Z, t, block):
    def by_hand(z):
        pairs = [(j, k) for k in range(len(z)) for j in range(k)]
        kernel = mean(math.exp(-t * distance(z[j], z[k]) ** 2) for j, k in pairs)
        return math.log(kernel)

    expected = pooled_by_hand(Z, by_hand)
    with mock.patch.object(_geometry, "_BLOCK", block):
        found = uniformity(Z, t=t)
    assert list(found.index) == [*NAMES, "pooled"]
    assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@fast
@given(embeddings())
def test_gap_equals_loops(Z):
    def by_hand(x, y):
        means = [[mean(column) for column in zip(*z, strict=True)] for z in (x, y)]
        return distance(*means)

    assert_allclose(modality_gap(Z), pairs_by_hand(Z, by_hand, 0.0), rtol=1e-10, atol=1e-10)


def hsic_by_hand(x, y, debiased):
    """Biased or unbiased estimate from the n x n kernels (Song et al. 2012, equations 4 and 5)."""
    n = len(x)
    K, L = (np.array([[float(a @ b) for a in z] for b in z]) for z in (x, y))
    if not debiased:
        H = np.eye(n) - 1 / n
        return np.trace(K @ H @ L @ H)
    np.fill_diagonal(K, 0)
    np.fill_diagonal(L, 0)
    one = np.ones(n)
    total = np.trace(K @ L) + (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2))
    return (total - 2 / (n - 2) * (one @ K @ L @ one)) / (n * (n - 3))


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_cka_equals_kernels(seed, debiased):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(12, 3)) + 1, rng.normal(size=(12, 5))
    y[:, :3] += x
    both = rng.random(12) < 0.8
    expected = hsic_by_hand(x[both], y[both], debiased) / np.sqrt(
        hsic_by_hand(x[both], x[both], debiased) * hsic_by_hand(y[both], y[both], debiased)
    )
    found = linear_cka([x, np.where(both[:, None], y, np.nan)], debiased=debiased)
    assert_allclose(found, [[1, expected], [expected, 1]], rtol=1e-10)


def singular_values(rows):
    """One-sided Jacobi: turn pairs of columns until all are orthogonal; their lengths are left."""
    columns = [[float(x) for x in column] for column in zip(*rows, strict=True)]
    for _ in range(60):
        turned = False
        for p, q in itertools.combinations(range(len(columns)), 2):
            pp, qq, pq = (
                sum(x * y for x, y in zip(columns[i], columns[j], strict=True))
                for i, j in ((p, p), (q, q), (p, q))
            )
            if abs(pq) <= 1e-15 * math.sqrt(pp * qq):
                continue
            turned = True
            zeta = (qq - pp) / (2 * pq)
            tangent = math.copysign(1, zeta) / (abs(zeta) + math.hypot(1, zeta))
            cosine = 1 / math.hypot(1, tangent)
            pairs = list(zip(columns[p], columns[q], strict=True))
            columns[p] = [cosine * (x - tangent * y) for x, y in pairs]
            columns[q] = [cosine * (tangent * x + y) for x, y in pairs]
        if not turned:
            break
    return [math.sqrt(sum(x * x for x in column)) for column in columns]


@fast
@given(embeddings())
def test_effective_rank_equals_loops(Z):
    def by_hand(z):
        if not z:
            return math.nan
        values = singular_values(z)
        shares = [v / sum(values) for v in values if v > 0]
        return math.exp(-sum(p * math.log(p) for p in shares))

    assert_allclose(effective_rank(Z), pooled_by_hand(Z, by_hand), rtol=1e-10)


def test_effective_rank_of_known_singular_values():
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.normal(size=(n, 3)))[0] for n in (20, 5))
    z = u * [4.0, 2.0, 2.0] @ v.T
    entropy = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25))
    assert_allclose(effective_rank([z])["modality0"], math.exp(entropy), rtol=1e-10)


# --- chance levels and extremes -----------------------------------------------------------


def test_chance_levels():
    Z = dict(zip(NAMES, unit(np.random.default_rng(0), 3, 2000, 8), strict=True))
    off = ~np.eye(3, dtype=bool)
    assert_allclose(alignment(Z).to_numpy()[off], 2, atol=0.08)
    assert_allclose(centroid_alignment(Z), 1 - 1 / 3, atol=0.03)
    assert_allclose(uniformity(Z), np.log(hyp0f1(4, 4)) - 4, atol=0.02)
    assert_allclose(modality_gap(Z).to_numpy()[off], np.sqrt(2 / 2000), rtol=0.6)
    assert_allclose(effective_rank(Z), 8, atol=0.05)
    assert_allclose(linear_cka(Z).to_numpy()[off], 8 / 2000, rtol=0.4)
    assert_allclose(linear_cka(Z, debiased=True).to_numpy()[off], 0, atol=2e-3)


def test_documented_uniformity_of_64_components():
    assert round(float(np.log(hyp0f1(32, 4)) - 4), 2) == -3.88


def test_collapsed_space():
    Z = [np.tile(unit(np.random.default_rng(0), 5), (9, 1))] * 2
    assert_allclose(alignment(Z), 0)
    assert_allclose(uniformity(Z), 0, atol=1e-14)
    assert_allclose(effective_rank(Z), 1, rtol=1e-10)
    assert np.isnan(linear_cka(Z).loc["modality0", "modality1"])
    assert np.isnan(linear_cka(Z, debiased=True).loc["modality0", "modality1"])


def test_uniformity_keeps_digits_where_all_is_close_or_far():
    z = unit(np.random.default_rng(0), 20, 4)
    tight = 1e-5 * z + 1  # kernel = 1 - t d^2
    squares = [distance(z[j], z[k]) ** 2 for k in range(20) for j in range(k)]
    assert_allclose(uniformity([tight])["pooled"], -2e-10 * mean(squares), rtol=1e-3)
    assert uniformity([np.eye(3) * 100])["pooled"] == pytest.approx(-40000)


# --- invariances and forms ----------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_invariances(name):
    measure, rng = ALL[name], np.random.default_rng(0)
    Z = unit(rng, 3, 30, 4)
    Z[rng.random((3, 30)) < 0.2] = np.nan
    expected = measure(dict(zip(NAMES, Z, strict=True)))
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    turned = measure(dict(zip(NAMES, Z @ rotation, strict=True)))
    mixed = measure(dict(zip(NAMES, Z[:, rng.permutation(30)], strict=True)))
    assert_allclose(turned, expected, rtol=1e-10, atol=1e-10)
    assert_allclose(mixed, expected, rtol=1e-10, atol=1e-10)
    order = [2, 0, 1]
    swapped = measure({NAMES[m]: Z[m] for m in order})
    aligned = swapped.reindex(expected.index)
    aligned = aligned[expected.columns] if expected.ndim == 2 else aligned
    assert_allclose(aligned, expected, rtol=1e-10, atol=1e-10)


def test_cka_ignores_rotation_and_scale_of_one_modality():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30, 4))
    turned = 3 * y @ np.linalg.qr(rng.normal(size=(4, 4)))[0]
    for debiased in (False, True):
        values = [linear_cka([x, z], debiased=debiased) for z in (y, turned)]
        assert_allclose(*values, rtol=1e-10)
    assert linear_cka([y, turned]).iloc[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("name", ALL)
def test_forms(name):
    measure, Z = ALL[name], unit(np.random.default_rng(0), 2, 8, 4)
    expected = measure({"image": Z[0], "text": Z[1]})
    kind = pd.DataFrame if name in MATRICES else pd.Series
    assert isinstance(expected, kind)
    assert list(expected.index)[:2] == ["image", "text"]
    if kind is pd.DataFrame:
        assert list(expected.columns) == ["image", "text"]
        assert_allclose(expected, expected.T)
    kind_equal = pd.testing.assert_frame_equal if kind is pd.DataFrame else None
    kind_equal = kind_equal or pd.testing.assert_series_equal
    kind_equal(measure(Modalities({"image": Z[0], "text": Z[1]})), expected)
    assert_allclose(measure(Z.tolist()), expected)


ok = np.eye(3)
holey = np.array([[1.0, 0, 0], [np.nan] * 3, [0, np.inf, 0]])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("Z", "words"),
    [
        ([ok, ok[:2]], ["same number of samples", "[3, 2]", "modality1"]),
        ({"a": ok, "b": holey}, ["embeddings of 'b'", "1 of 3 rows, first in row 2", "with NaN"]),
        ([ok, ok[0]], ["'modality1'", "got shape (3,)"]),
    ],
)
def test_bad_embeddings(name, Z, words):
    with pytest.raises(ValueError) as info:
        ALL[name](Z)
    assert all(word in str(info.value) for word in words), str(info.value)


@pytest.mark.parametrize("name", [n for n in ALL if "cka" not in n])
def test_unequal_widths(name):
    with pytest.raises(ValueError, match=r"same number of components, got \[3, 2\]"):
        ALL[name]([ok, ok[:, :2]])


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf, "2", None])
def test_bad_numbers(value):
    with pytest.raises(ValueError, match="alpha must be a positive number"):
        alignment([ok, ok], alpha=value)
    with pytest.raises(ValueError, match="alpha must be a positive number"):
        centroid_alignment([ok, ok], alpha=value)
    with pytest.raises(ValueError, match="t must be a positive number"):
        uniformity([ok, ok], t=value)


def test_nothing_shared_is_nan():
    Z = np.stack([ok, ok])
    Z[0, :2] = Z[1, 2] = np.nan
    for measure in MATRICES.values():
        assert np.isnan(measure(list(Z)).iloc[0, 1])
    assert centroid_alignment(list(Z)).isna().all()
    assert np.isnan(uniformity(list(Z))["modality0"])  # one embedding
    assert not np.isnan(uniformity(list(Z))["pooled"])
