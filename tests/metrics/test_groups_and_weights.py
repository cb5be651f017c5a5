"""Ranks of the best of a group, and weighted means of ranks, compared with loops."""

import itertools
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from conftest import quick_centro
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from skcentrobind import Modalities
from skcentrobind.metrics import (
    cross_modal_accuracy,
    make_alignment_scorer,
    make_retrieval_scorer,
    mean_reciprocal_rank,
    median_rank,
    probe_accuracy,
    recall_at_k,
    retrieval_ranks,
    retrieval_report,
)
from skcentrobind.metrics._group_ranks import chance_recall
from skcentrobind.plotting import RetrievalDisplay


def captions(n_things=60, n_captions=5, noise=0.5, seed=0):
    """Return captions, their pictures, which repeat, and the things."""
    rng = np.random.default_rng(seed)
    pictures = rng.normal(size=(n_things, 8))
    things = np.arange(n_things).repeat(n_captions)
    texts = pictures[things] + noise * rng.normal(size=(len(things), 8))
    order = rng.permutation(len(things))
    return texts[order], pictures[things][order], things[order]


def naive_ranks(queries, gallery, groups, gallery_groups):
    """Put equal candidates in every order of members and others, and average the first place."""
    ranks = []
    for query, group in zip(queries, groups, strict=True):
        similarity = [float(query @ candidate) for candidate in gallery]
        members = [j for j, other in enumerate(gallery_groups) if other == group]
        best = max(similarity[j] for j in members)
        above = sum(s > best + 1e-9 for s in similarity)
        tied = [j for j, s in enumerate(similarity) if abs(s - best) <= 1e-9]
        flags = [j in members for j in tied]
        if len(flags) <= 7:
            places = [order.index(True) for order in set(itertools.permutations(flags))]
        else:
            places = [(len(flags) - sum(flags)) / (sum(flags) + 1)]
        ranks.append(1 + above + np.mean(places))
    return np.array(ranks)


def test_recall_of_captions_is_the_share_that_a_loop_counts():
    texts, pictures, things = captions()
    found = np.mean(
        [
            things[np.argmax([t @ p for p in pictures])] == k
            for t, k in zip(texts, things, strict=True)
        ]
    )
    assert 0.2 < found < 1
    assert recall_at_k(texts, pictures, groups=things) == pytest.approx(found)
    with pytest.warns(UserWarning, match="100% of the queries other candidates are exactly as"):
        assert recall_at_k(texts, pictures) == 0  # five equal pictures: the mean rank is 3 or more


@pytest.mark.parametrize("k", [1, 3, 10])
def test_recall_at_k_counts_any_of_the_group(k):
    texts, _, things = captions(noise=1.5)
    others = texts + np.random.default_rng(1).normal(size=texts.shape)
    hits = []
    for row, thing in zip(texts, things, strict=True):
        nearest = np.argsort([-(row @ other) for other in others])[:k]
        hits.append(thing in things[nearest])
    assert recall_at_k(texts, others, k, groups=things) == pytest.approx(np.mean(hits))


@pytest.mark.parametrize("n_values", [2, 3, 1000])
def test_ranks_of_groups_with_ties(n_values):
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(40, 3))
    gallery = rng.integers(0, n_values, size=(40, 3)).astype(float)
    groups = rng.integers(0, 12, size=40)
    ranks = retrieval_ranks(queries, gallery, groups=groups)
    assert_allclose(ranks, naive_ranks(queries, gallery, groups, groups))


def test_one_picture_for_several_captions():
    texts, pictures, things = captions()
    _, first = np.unique(things, return_index=True)
    known = {"groups": things, "gallery_groups": things[first]}
    ranks = retrieval_ranks(texts, pictures[first], **known)
    assert_allclose(ranks, naive_ranks(texts, pictures[first], things, things[first]))
    recall = recall_at_k(texts, pictures[first], **known)
    # Copies of the right picture do not matter, those of others would count again.
    assert recall == recall_at_k(texts, pictures, groups=things)
    assert median_rank(texts, pictures[first], **known) == np.median(ranks)
    named = Modalities({"text": texts}, groups=things)
    found = retrieval_ranks(named, pictures[first], gallery_groups=things[first])
    assert_allclose(found, ranks)
    with pytest.raises(ValueError, match="queries have no candidate of their group"):
        retrieval_ranks(texts, pictures[:3], groups=things, gallery_groups=things[:3])
    with pytest.raises(ValueError, match="gallery_groups needs groups"):
        retrieval_ranks(texts, pictures[:3], gallery_groups=things[:3])


def test_a_collapsed_space_is_at_chance():
    groups = np.arange(40) // 4
    ranks = retrieval_ranks(np.ones((40, 3)), np.ones((40, 3)), groups=groups)
    assert_allclose(ranks, (40 + 1) / (4 + 1))
    with pytest.warns(UserWarning, match="mean of the tied ranks"):
        assert_allclose(retrieval_ranks(np.ones((40, 3)), np.ones((40, 3))), 20.5)


def test_the_warning_names_the_line_of_the_caller():
    z = np.ones((40, 3))
    X = {"a": np.arange(80.0).reshape(40, 2), "b": (np.arange(40) % 2)[:, None] * z}
    bind = quick_centro().fit(X)
    calls = [
        lambda: retrieval_ranks(z, z),
        lambda: recall_at_k(z, z),
        lambda: mean_reciprocal_rank([z, z]),
        lambda: bind.score(X),
    ]
    for call in calls:
        with pytest.warns(UserWarning, match="of the queries other candidates") as found:
            call()
        assert found[0].filename == __file__


def test_distinct_labels_are_no_groups():
    texts, _, _ = captions()
    others = texts + np.random.default_rng(1).normal(size=texts.shape)
    expected = retrieval_ranks(texts, others)
    assert_allclose(retrieval_ranks(texts, others, groups=range(len(texts))), expected)


def test_few_ties_cause_no_warning():
    rng = np.random.default_rng(0)
    z, other = rng.normal(size=(2, 50, 4))
    other[1] = other[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        retrieval_ranks(z, other)


def weighted_median(ranks, weights):
    """Repeat every rank as often as its weight, a whole number, says."""
    return np.median(np.repeat(ranks, weights))


def test_weights_are_like_copies_of_the_queries():
    texts, _, things = captions(noise=1.0)
    rng = np.random.default_rng(1)
    others = texts + rng.normal(size=texts.shape)
    weights = rng.integers(1, 4, size=len(texts))
    for groups in (None, things):
        ranks = retrieval_ranks(texts, others, groups=groups)
        known = {"groups": groups, "sample_weight": weights}
        for k in (1, 5):
            expected = np.repeat(ranks <= k, weights).mean()
            assert recall_at_k(texts, others, k, **known) == pytest.approx(expected)
        assert median_rank(texts, others, **known) == weighted_median(ranks, weights)
        back = retrieval_ranks(others, texts, groups=groups)
        expected = np.mean([np.repeat(1 / r, weights).mean() for r in (ranks, back)])
        assert mean_reciprocal_rank([texts, others], **known) == pytest.approx(expected)


def test_samples_of_weight_0_are_left_out():
    texts, _, things = captions(noise=1.0)
    others = texts + np.random.default_rng(1).normal(size=texts.shape)
    weights = np.ones(len(texts))
    weights[::3] = 0
    kept = np.flatnonzero(weights)
    known = {"groups": things, "sample_weight": weights}
    part = {"groups": things[kept]}
    for metric in (recall_at_k, median_rank):
        assert metric(texts, others, **known) == metric(texts[kept], others[kept], **part)
    whole, some = [texts, others], [texts[kept], others[kept]]
    expected = pytest.approx(mean_reciprocal_rank(some, **part))
    assert mean_reciprocal_rank(whole, **known) == expected
    pd.testing.assert_frame_equal(retrieval_report(whole, **known), retrieval_report(some, **part))
    with pytest.raises(ValueError, match="0 in all 300 samples"):
        recall_at_k(texts, others, sample_weight=np.zeros(300))


def three():
    texts, pictures, things = captions(noise=1.0)
    rng = np.random.default_rng(2)
    sounds = texts + rng.normal(size=texts.shape)
    sounds[::7] = np.nan
    weights = rng.uniform(0, 2, size=len(texts))
    weights[::5] = 0
    return Modalities(
        {"text": texts, "picture": pictures, "sound": sounds}, groups=things, sample_weight=weights
    )


def test_modalities_bring_their_own():
    Z = three()
    known = {"groups": Z.groups, "sample_weight": Z.sample_weight}
    bare = dict(Z.items())
    pd.testing.assert_frame_equal(
        retrieval_report(Z, subsets=True), retrieval_report(bare, subsets=True, **known)
    )
    assert mean_reciprocal_rank(Z) == mean_reciprocal_rank(bare, **known)
    both = Z[["text", "picture"]]
    several = retrieval_ranks(both, Z["picture"])
    assert_allclose(
        several, naive_ranks((both["text"] + both["picture"]) / 2, Z["picture"], Z.groups, Z.groups)
    )


def test_reports_are_loops_over_the_samples_of_each_pair():
    Z = three()
    report = retrieval_report(Z, ks=(1, 5), subsets=True)
    for (query, gallery), row in report.iterrows():
        members = query.split(" + ")
        rows = Z.sample_weight > 0
        for name in [*members, gallery]:
            rows &= ~np.isnan(Z[name][:, 0])
        queries = np.mean([Z[name][rows] for name in members], axis=0)
        ranks = naive_ranks(queries, Z[gallery][rows], Z.groups[rows], Z.groups[rows])
        weight = Z.sample_weight[rows]
        assert row["n_samples"] == rows.sum()
        assert row["recall@5"] == pytest.approx(((ranks <= 5) * weight).sum() / weight.sum())
        assert row["mrr"] == pytest.approx((weight / ranks).sum() / weight.sum())


def test_scorers_use_groups_and_weights():
    Z = three()
    report = retrieval_report(Z, ks=(3,))
    assert make_retrieval_scorer(3)(None, Z) == pytest.approx(report["recall@3"].mean())
    assert make_retrieval_scorer("mrr")(None, Z) == pytest.approx(mean_reciprocal_rank(Z))
    expected = []
    for a, b in itertools.combinations(Z.names, 2):
        rows = ~np.isnan(Z[a][:, 0]) & ~np.isnan(Z[b][:, 0])
        squares = ((Z[a][rows] - Z[b][rows]) ** 2).sum(axis=1)
        expected.append(np.average(squares, weights=Z.sample_weight[rows]))
    assert make_alignment_scorer()(None, Z) == pytest.approx(-np.mean(expected))


def test_probes_use_weights():
    Z = three()
    y = Z.groups % 3
    w = Z.sample_weight
    probe = LogisticRegression()
    table = probe_accuracy(None, probe, Z, y, Z, y, top_k=(1, 2))
    across = cross_modal_accuracy(None, probe, Z, y, Z, y, top_k=(1,))["top-1"]
    rows = w > 0
    fitted = LogisticRegression().fit(Z["text"][rows], y[rows], sample_weight=w[rows] / w.mean())
    right = fitted.predict(Z["text"][rows]) == y[rows]
    assert table.loc["text", "top-1"] == pytest.approx(np.average(right, weights=w[rows]))
    assert across.loc["text", "text"] == table.loc["text", "top-1"]
    with pytest.raises(TypeError, match=r"KNeighborsClassifier.fit takes no sample_weight"):
        probe_accuracy(None, KNeighborsClassifier(), Z, y, Z, y)


@pytest.mark.parametrize("sizes", [[1] * 12, [3, 3, 3, 2, 2, 1, 1, 3, 3, 3, 3, 3]])
def test_chance_is_that_of_random_orders(sizes):
    rng = np.random.default_rng(0)
    n, sizes = 12, np.array(sizes)
    firsts = np.array([min(rng.permutation(n)[:m]) + 1 for m in sizes for _ in range(2000)])
    ks = np.arange(1, n + 1)
    by_drawing = [(firsts <= k).mean() for k in ks]
    assert_allclose(chance_recall(n, sizes, ks), by_drawing, atol=0.015)


@pytest.mark.parametrize("kind", ["matrix", "curve"])
def test_the_display_draws_the_report(kind):
    Z = three()
    display = RetrievalDisplay.from_embeddings(Z, kind=kind, metric="recall@5")
    report = retrieval_report(Z, ks=(5,))["recall@5"]
    if kind == "matrix":
        drawn = np.asarray(display.im_.get_array(), dtype=float)
        for (query, gallery), value in report.items():
            at = Z.names.index(query), Z.names.index(gallery)
            assert drawn[at] == pytest.approx(value)
        return
    line = display.pair_lines_["text", "sound"]
    at = list(line.get_xdata()).index(5)
    assert line.get_ydata()[at] == pytest.approx(report["text", "sound"])
    # By chance any of about five rows counts as found, which is above k / n.
    counts = Counter(Z.groups)
    assert max(counts.values()) == 5
    assert display.chance_line_.get_ydata()[0] > 3 / 300


def test_bad_arguments_are_refused():
    z = np.ones((5, 2))
    with pytest.raises(ValueError, match=r"groups must hold one label for each of the 5 samples"):
        recall_at_k(z, z, groups=[1, 2])
    with pytest.raises(ValueError, match=r"sample_weight must be finite and at least 0"):
        mean_reciprocal_rank([z, z], sample_weight=[1, 1, -1, 1, 1])


def test_displays_take_groups_and_weights_of_bare_arrays():
    Z = three()
    weights = np.random.default_rng(0).integers(3, size=len(Z)) / 2.0
    blocks = dict(Z.items())
    known = {"groups": Z.groups, "sample_weight": weights}
    for kind in ("matrix", "curve"):
        bare = RetrievalDisplay.from_embeddings(blocks, kind=kind, **known)
        whole = RetrievalDisplay.from_embeddings(Modalities(blocks, **known), kind=kind)
        assert bare.ranks.keys() == whole.ranks.keys()
        for pair, ranks in bare.ranks.items():
            assert_array_equal(ranks, whole.ranks[pair])
            assert_array_equal(bare.weights[pair], whole.weights[pair])
    # A query that counts double has double the say in the level of chance, too.
    pair = ("text", "sound")
    rows = np.isfinite(Z["text"][:, 0]) & np.isfinite(Z["sound"][:, 0]) & (weights > 0)
    of_row = [sum(Z.groups[rows] == group) / rows.sum() for group in Z.groups[rows]]
    first = np.average(of_row, weights=weights[rows])
    assert bare._chance_recall(pair, np.array([1]))[0] == pytest.approx(first)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"weights": {("q", "p"): [1, 1]}}, r"weights of \('q', 'p'\) have no ranks"),
        ({"weights": {("p", "q"): [1]}}, r"must be of shape \(2,\), as the ranks"),
        ({"weights": {("p", "q"): [0, 0]}}, r"weights of \('p', 'q'\) must"),
        ({"group_sizes": {("p", "q"): [0, 1]}}, r"group_sizes of .* and at least 1, got shape"),
    ],
)
def test_a_display_refuses_what_does_not_fit_its_ranks(known, message):
    with pytest.raises(ValueError, match=message):
        RetrievalDisplay({("p", "q"): [1, 2]}, **known)
