"""Retrieval ranks and their summaries against loops, for pairs and for several modalities."""

import itertools
import statistics
import subprocess
import sys
import tracemalloc
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from conftest import unit
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skcentrobind import Modalities
from skcentrobind.metrics import (
    _ranks,
    mean_reciprocal_rank,
    median_rank,
    recall_at_k,
    retrieval_ranks,
    retrieval_report,
)

fast = settings(deadline=None, max_examples=50)


def ranks_by_hand(queries, gallery):
    """Compare each query with each gallery row, one product at a time."""
    ranks = []
    for k, query in enumerate(queries):
        products = []
        for row in gallery:
            total = 0.0
            for a, b in zip(query, row, strict=True):
                total += float(a) * float(b)
            products.append(total)
        better = sum(p > products[k] + 1e-9 for p in products)
        equal = sum(abs(p - products[k]) <= 1e-9 for p in products)
        ranks.append(statistics.fmean(range(better + 1, better + equal + 1)))
    return ranks


def pairs_by_hand(arrays):
    """Ranks for every ordered pair of positions, over the samples that have both."""
    ranks = {}
    for q, queries in enumerate(arrays):
        for g, gallery in enumerate(arrays):
            both = [
                k
                for k in range(len(queries))
                if not np.isnan(queries[k]).all() and not np.isnan(gallery[k]).all()
            ]
            if q != g and len(both) > 1:
                ranks[q, g] = ranks_by_hand(queries[both], gallery[both])
    return ranks


@st.composite
def embeddings(draw, n_modalities=2, has_missing=False):
    """Embeddings with many exact ties, or with few."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = n_modalities, draw(st.integers(1, 12)), draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["signs", "unit", "single", "copies"]))
    Z = unit(rng, *shape) if kind != "signs" else rng.integers(-1, 2, size=shape).astype(float)
    if kind == "copies":
        Z = Z[:, rng.integers(shape[1], size=shape[1])]
    Z = Z.astype(np.float32) if kind == "single" else Z
    if has_missing:
        Z[rng.random(shape[:2]) < draw(st.sampled_from([0.0, 0.3, 0.6]))] = np.nan
    return list(Z)


# --- ranks --------------------------------------------------------------------------------


@fast
@given(embeddings(), st.sampled_from([1, 3, 7, 30]), st.sampled_from([1, 2, 32]))
def test_ranks_equal_loops(pair, chunk, crowded):
    with mock.patch.multiple(_ranks, _ROWS=chunk, _COLUMNS=chunk, _CROWDED=crowded):
        ranks = retrieval_ranks(*pair)
    assert_array_equal(ranks, ranks_by_hand(*pair))


@fast
@given(embeddings(), st.integers(1, 12))
def test_summaries_of_the_ranks(pair, k):
    ranks = ranks_by_hand(*pair)
    assert recall_at_k(*pair, k=k) == pytest.approx(sum(r <= k for r in ranks) / len(ranks))
    assert recall_at_k(*pair, k=len(ranks)) == 1.0
    assert median_rank(*pair) == pytest.approx(statistics.median(ranks))
    values = recall_at_k(*pair), median_rank(*pair)
    assert all(type(value) is float for value in values)


@fast
@given(embeddings(), st.integers(0, 2**32 - 1), st.floats(0.01, 100))
def test_ranks_depend_on_angles_only(pair, seed, scale):
    rng = np.random.default_rng(seed)
    queries, gallery = (np.asarray(z, dtype=np.float64) for z in pair)
    rotation = np.linalg.qr(rng.normal(size=(queries.shape[1],) * 2))[0]
    ranks, order = retrieval_ranks(queries, gallery), rng.permutation(len(queries))
    assert_array_equal(retrieval_ranks(queries[order], gallery[order]), ranks[order])
    assert_array_equal(retrieval_ranks(scale * queries, gallery), ranks)
    # Rotating rounds, which decides exact ties differently; random embeddings have none.
    queries, gallery = rng.normal(size=(2, *queries.shape))
    rotated = retrieval_ranks(queries @ rotation, gallery @ rotation)
    assert_array_equal(rotated, retrieval_ranks(queries, gallery))


# Candidates are equal on purpose, of which the measures warn.
@pytest.mark.filterwarnings("ignore:For .* of the queries other candidates")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_samples", [7, 1001])
def test_collapsed_space_ranks_at_chance(n_samples, dtype):
    rng = np.random.default_rng(0)
    Z = np.tile(unit(rng, 33).astype(dtype), (n_samples, 1))
    for crowded in (32, 2 * n_samples):
        with mock.patch.object(_ranks, "_CROWDED", crowded):
            assert_array_equal(retrieval_ranks(Z, Z), (n_samples + 1) / 2)


# Candidates are equal on purpose, of which the measures warn.
@pytest.mark.filterwarnings("ignore:For .* of the queries other candidates")
def test_duplicates_share_their_ranks():
    rng = np.random.default_rng(0)
    Z = np.tile(unit(rng, 300, 33), (3, 1))
    assert_array_equal(retrieval_ranks(Z, Z), 2)


def test_chance_level():
    rng = np.random.default_rng(0)
    n_samples, tries = 200, 10
    Z = unit(rng, 2 * tries, n_samples, 5)
    pairs = list(zip(Z[::2], Z[1::2], strict=True))
    ranks = np.concatenate([retrieval_ranks(*pair) for pair in pairs])
    # 2,000 ranks: within 4 standard errors
    assert_allclose(ranks.mean(), 100.5, atol=4 * 58 / np.sqrt(2000))
    recall = np.mean([recall_at_k(*pair, k=20) for pair in pairs])
    assert_allclose(recall, 0.1, atol=4 * 0.3 / np.sqrt(2000))
    mrr = np.mean([mean_reciprocal_rank(pair) for pair in pairs])
    assert_allclose(mrr, np.mean(1 / np.arange(1, 201)), atol=0.006)


def test_perfect_and_worst_retrieval():
    Z = np.eye(6)
    assert_array_equal(retrieval_ranks(Z, Z), 1)
    assert_array_equal(retrieval_ranks(Z, -Z), 6)
    assert mean_reciprocal_rank([Z, Z, Z]) == 1.0


# Candidates are equal on purpose, of which the measures warn.
@pytest.mark.filterwarnings("ignore:For .* of the queries other candidates")
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, bool])
def test_quantised_embeddings_do_not_overflow(dtype):
    rng = np.random.default_rng(0)
    queries, gallery = (rng.integers(0, 128, size=(2, 20, 9)) * 2 % 255).astype(dtype)
    expected = ranks_by_hand(queries.tolist(), gallery.tolist())
    assert_array_equal(retrieval_ranks(queries, gallery), expected)


# --- several modalities -------------------------------------------------------------------


@fast
@given(embeddings(n_modalities=3, has_missing=True))
def test_all_pairs_equal_loops(Z):
    expected = pairs_by_hand(Z)
    if not expected:
        with pytest.raises(ValueError, match="at least two modalities that share"):
            mean_reciprocal_rank(Z)
        return
    value = mean_reciprocal_rank(Z)
    assert type(value) is float
    means = [statistics.fmean(1 / r for r in ranks) for ranks in expected.values()]
    assert value == pytest.approx(statistics.fmean(means))

    names = ["z", "a", "m"]
    report = retrieval_report(dict(zip(names, Z, strict=True)), ks=(1, 3))
    assert list(report.columns) == ["recall@1", "recall@3", "mrr", "median_rank", "n_samples"]
    assert list(report.index) == [(names[q], names[g]) for q, g in expected]
    for row, ranks in zip(report.itertuples(index=False), expected.values(), strict=True):
        counts = [sum(r <= k for r in ranks) / len(ranks) for k in (1, 3)]
        mrr = statistics.fmean(1 / r for r in ranks)
        assert_allclose(row, [*counts, mrr, statistics.median(ranks), len(ranks)])


@fast
@given(embeddings(n_modalities=4, has_missing=True))
def test_several_to_one_equals_loops(Z):
    expected = {}
    for size in (2, 3):
        for query in itertools.combinations(range(4), size):
            for gallery in sorted(set(range(4)) - set(query)):
                members = [*query, gallery]
                both = [
                    k for k in range(len(Z[0])) if not any(np.isnan(Z[m][k]).any() for m in members)
                ]
                if len(both) > 1:
                    centroid = np.array(
                        [
                            [
                                statistics.fmean(c)
                                for c in zip(*(Z[m][k] for m in query), strict=True)
                            ]
                            for k in both
                        ]
                    )
                    ranks = ranks_by_hand(centroid, Z[gallery][both])
                    expected[query, gallery] = statistics.fmean(1 / r for r in ranks)
    if not pairs_by_hand(Z):
        with pytest.raises(ValueError, match="at least two modalities that share"):
            retrieval_report(Z, subsets=True)
        return
    names = ["z", "a", "m", "b"]
    report = retrieval_report(dict(zip(names, Z, strict=True)), subsets=True)
    several = report[[" + " in query for query, _ in report.index]]
    labels = [(" + ".join(names[m] for m in query), names[g]) for query, g in expected]
    assert list(several.index) == labels
    assert_allclose(several["mrr"], list(expected.values()), rtol=1e-10)
    singles = retrieval_report(dict(zip(names, Z, strict=True)))
    pd.testing.assert_frame_equal(report.iloc[: len(singles)], singles)


# Candidates are equal on purpose, of which the measures warn.
@pytest.mark.filterwarnings("ignore:For .* of the queries other candidates")
def test_queries_of_several_modalities():
    Z = unit(np.random.default_rng(0), 3, 30, 4)
    expected = retrieval_ranks((Z[0] + Z[1]) / 2, Z[2])
    for queries in (
        Z[:2],
        list(Z[:2]),
        Z[:2].tolist(),
        Modalities(list(Z[:2])),
        {0: Z[0], 1: Z[1]},
    ):
        assert_array_equal(retrieval_ranks(queries, Z[2]), expected)
    assert recall_at_k(Z[:2], Z[2], k=3) == np.mean(expected <= 3)
    assert median_rank(Z[:2], Z[2]) == np.median(expected)
    # Opposite embeddings cancel: their centroid is zero.
    assert_array_equal(retrieval_ranks([Z[0], -Z[0]], Z[2]), 15.5)


def test_number_of_rows_with_subsets():
    Z = unit(np.random.default_rng(0), 5, 6, 3)
    for m in range(2, 6):
        assert len(retrieval_report(Z[:m], subsets=True)) == m * (2 ** (m - 1) - 1)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_ranks_of_near_ties_are_those_of_float64(size):
    rng = np.random.default_rng(0)
    queries = unit(rng, 300, 6)
    # Copies that are equal in float32 but not in float64.
    gallery = queries[rng.integers(5, size=300)] + 1e-9 * rng.normal(size=(300, 6))
    similarity = queries @ gallery.T
    own = np.diag(similarity)[:, None]
    expected = (similarity > own).sum(axis=1) + 1
    found = retrieval_ranks(size * queries, size * gallery)
    assert_array_equal(found, expected)
    assert len(np.unique(found)) > 100


def test_memory_does_not_grow_with_the_gallery():
    Z = unit(np.random.default_rng(0), 2, 6000, 3)
    tracemalloc.start()
    retrieval_ranks(*Z)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # all similarities in float32 take 144 MB


def test_form_of_the_report():
    Z = list(unit(np.random.default_rng(0), 3, 8, 4))
    report = retrieval_report(Z, ks=[2])
    assert isinstance(report, pd.DataFrame)
    assert report.index.names == ["query", "gallery"]
    assert report["n_samples"].dtype.kind == "i"
    assert report.shape == (6, 4)
    assert report.loc[("modality2", "modality0"), "mrr"] == np.mean(1 / retrieval_ranks(Z[2], Z[0]))
    assert mean_reciprocal_rank(Z) == pytest.approx(report["mrr"].mean())


def test_embeddings_in_any_container():
    Z = unit(np.random.default_rng(0), 2, 8, 4)
    named = {"image": Z[0], "text": Z[1]}
    expected = retrieval_report(Modalities(named))
    pd.testing.assert_frame_equal(retrieval_report(named), expected)
    assert list(expected.index) == [("image", "text"), ("text", "image")]
    for form in (Z, list(Z), tuple(Z), Z.tolist(), named, Modalities(named)):
        assert mean_reciprocal_rank(form) == pytest.approx(expected["mrr"].mean())
        assert_array_equal(retrieval_report(form), expected)


def test_order_of_modalities_does_not_matter():
    Z = unit(np.random.default_rng(0), 4, 9, 3)
    Z[0, :4] = np.nan
    assert mean_reciprocal_rank(Z[[2, 0, 3, 1]]) == pytest.approx(mean_reciprocal_rank(Z))


@pytest.mark.parametrize("dtype", [bool, int])
def test_present_instead_of_nan(dtype):
    rng = np.random.default_rng(0)
    Z = unit(rng, 3, 20, 4)
    present = rng.random((20, 3)) < 0.6
    incomplete = np.where(present.T[..., None], Z, np.nan)
    given = present.astype(dtype)
    assert mean_reciprocal_rank(Z, present=given) == mean_reciprocal_rank(incomplete)
    zeros = np.where(present.T[..., None], Z, 0)
    assert mean_reciprocal_rank(zeros, present=given) == mean_reciprocal_rank(incomplete)


def test_presence_of_the_data_fits_the_embeddings():
    Z = unit(np.random.default_rng(0), 3, 20, 4)
    rows = np.random.default_rng(1).random((3, 20, 1)) < 0.6
    X = Modalities(list(np.where(rows, Z, np.nan)))
    value = mean_reciprocal_rank(Z, present=X.present)
    assert value == mean_reciprocal_rank(X) == mean_reciprocal_rank(X, present=X.present)


def test_presence_with_as_many_samples_as_modalities():
    # Both orientations have this shape, so a transposed one would go unnoticed.
    Z = unit(np.random.default_rng(0), 4, 4, 3)
    present = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 1], [0, 1, 1, 1]], dtype=bool)
    expected = []
    for query, gallery in itertools.permutations(range(4), 2):
        both = [k for k in range(4) if present[k, query] and present[k, gallery]]
        if len(both) > 1:
            ranks = ranks_by_hand(Z[query][both], Z[gallery][both])
            expected.append(statistics.fmean(1 / r for r in ranks))
    assert mean_reciprocal_rank(Z, present=present) == pytest.approx(statistics.fmean(expected))
    assert mean_reciprocal_rank(Z, present=present.T) != pytest.approx(statistics.fmean(expected))


@pytest.mark.parametrize("shape", [(3, 2), (5, 4)])
def test_presence_with_the_modalities_first_is_refused(shape):
    n_samples, n_modalities = shape
    Z = unit(np.random.default_rng(0), n_modalities, n_samples, 3)
    with pytest.raises(ValueError) as info:
        mean_reciprocal_rank(Z, present=np.ones(shape[::-1]))
    for words in (f"= {shape}, got {shape[::-1]}.", "pass present.T", "CHANGES.md"):
        assert words in str(info.value)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_every_mark_of_a_missing_row_counts(missing):
    Z = unit(np.random.default_rng(0), 2, 6, 3)
    incomplete = Z.copy()
    incomplete[0, 2] = np.nan
    marked = Z[0].astype(object)
    marked[2] = missing
    frame = pd.DataFrame(marked)
    expected = mean_reciprocal_rank(list(incomplete))
    forms = [frame.astype("Float64")] + [frame] * (missing is not pd.NA)
    forms += [marked] * (missing is not pd.NA)
    for form in forms:
        assert mean_reciprocal_rank(Modalities([form, Z[1]])) == expected
        assert mean_reciprocal_rank([form, Z[1]]) == expected


# --- refusals -----------------------------------------------------------------------------

ok = np.eye(3)
holey = np.array([[1.0, 0, 0], [np.nan] * 3, [0, np.inf, 0]])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: retrieval_ranks(ok, ok[:2]), ["same shape", "(3, 3) and (2, 3)"]),
        (lambda: retrieval_ranks(ok, ok[:, :2]), ["same shape", "(3, 3) and (3, 2)"]),
        (lambda: retrieval_ranks(ok[0], ok), ["queries must be of shape", "got shape (3,)"]),
        (lambda: retrieval_ranks(ok, ok[None]), ["gallery must be of shape", "(1, 3, 3)"]),
        (lambda: median_rank(ok[:0], ok[:0]), ["at least one row", "(0, 3)"]),
        (lambda: recall_at_k(holey, ok), ["queries has NaN", "2 of 3 rows", "first in row 1"]),
        (lambda: median_rank(ok, holey), ["gallery has NaN", "retrieval_report"]),
        (lambda: recall_at_k(ok, ok, k=0), ["k must be a whole number of at least 1, got 0"]),
        (lambda: recall_at_k(ok, ok, k=1.5), ["k must be a whole number", "got 1.5"]),
        (lambda: retrieval_report([ok, ok], ks=[1, 0]), ["k must be a whole number", "got 0"]),
        (lambda: retrieval_report([ok]), ["at least two modalities", "got ['modality0'] alone"]),
        (lambda: retrieval_report([ok, holey]), ["'modality1'", "first in row 2"]),
        (lambda: retrieval_ranks([ok, holey], ok), ["queries of 'modality1'", "2 of 3 rows"]),
        (lambda: retrieval_ranks({"a": ok, "b": ok[:2]}, ok), ["same shape", "(2, 3)"]),
        (
            lambda: mean_reciprocal_rank([ok]),
            ["at least two modalities", "got ['modality0'] alone"],
        ),
        (lambda: mean_reciprocal_rank([]), ["got [] alone"]),
        (lambda: mean_reciprocal_rank([ok[:1], ok[:1]]), ["share at least two samples"]),
        (lambda: mean_reciprocal_rank(ok), ["'modality0'", "got shape (3,)"]),
        (lambda: mean_reciprocal_rank({"a": ok, "b": ok[:2]}), ["[3, 2] for ['a', 'b']"]),
        (lambda: retrieval_report([ok, ok[:2]]), ["same number of samples"]),
        (lambda: retrieval_report([ok, ok[:, :2]]), ["same number of components", "[3, 2]"]),
        (
            lambda: mean_reciprocal_rank([ok, ok], present=np.ones((3, 3))),
            ["(n_samples, n_modalities) = (3, 2), got (3, 3)."],
        ),
        (lambda: retrieval_report([sparse.csr_array(ok), ok]), ["dense numbers", "csr_array"]),
        (lambda: retrieval_report([[["a"]] * 3, ok]), ["'modality0' must be dense numbers"]),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError) as info:
        call()
    assert all(word in str(info.value) for word in words), str(info.value)


def test_torch_is_not_needed():
    code = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "skorch"):
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
import numpy as np
from skcentrobind import Modalities
import skcentrobind.metrics as metrics
print(metrics.mean_reciprocal_rank(Modalities([np.eye(3), np.eye(3)])))
print(len(metrics.retrieval_report([np.eye(3), np.eye(3)])))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["1.0", "2"]), done.stderr
