"""Helpers of the benchmarks: resuming, tests, tables, the protocol and ranks."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


def helper(name):
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def paper():
    return helper("_paper")


@pytest.fixture(scope="module")
def runs():
    return helper("_runs")


@pytest.fixture(scope="module")
def report():
    return helper("_report")


# ---------------------------------------------------------------- the resumable store


def counting_benchmark(runs, calls, cases=None, settings=None):
    def one_draw(settings, seed, factor):
        calls.append((factor, seed))
        return {"row": {"value": factor * seed}}

    return runs.Benchmark(
        "counting",
        one_draw,
        cases or {"double": {"factor": 2}, "triple": {"factor": 3}},
        2,
        report=lambda results: [],
        settings=settings or {"width": (10,)},
    )


def test_finished_draws_are_not_run_again(runs, tmp_path):
    calls, path = [], tmp_path / "counting.json"
    runs.run(counting_benchmark(runs, calls), 2, path=path)
    assert calls == [(2, 0), (3, 0), (2, 1), (3, 1)]  # all cases of a draw before the next one
    store = runs.run(counting_benchmark(runs, calls), 3, path=path)
    assert calls[4:] == [(2, 2), (3, 2)]
    assert store.results()["triple"] == {str(k): {"row": {"value": 3 * k}} for k in range(3)}
    assert json.loads(path.read_text())["results"] == store.results()
    assert set(json.loads(path.read_text())["cpu_seconds"]["double"]) == {"0", "1", "2"}


def test_an_interrupted_run_keeps_what_is_done(runs, tmp_path):
    calls, path = [], tmp_path / "counting.json"
    benchmark = counting_benchmark(runs, calls)
    finish = benchmark.one_draw

    def interrupted(settings, seed, factor):
        if seed == 1:
            raise KeyboardInterrupt
        return finish(settings, seed, factor)

    benchmark.one_draw = interrupted
    with pytest.raises(KeyboardInterrupt):
        runs.run(benchmark, 2, path=path)
    runs.run(counting_benchmark(runs, calls), 2, path=path)
    assert calls == [(2, 0), (3, 0), (2, 1), (3, 1)]


def test_other_settings_start_afresh_and_another_case_alone(runs, tmp_path, capsys):
    calls, path = [], tmp_path / "counting.json"
    runs.run(counting_benchmark(runs, calls), 1, path=path)
    changed = {"double": {"factor": 4}, "triple": {"factor": 3}}
    store = runs.run(counting_benchmark(runs, calls, changed), 1, path=path)
    assert calls[2:] == [(4, 0)]
    assert list(store.results()) == ["double", "triple"]
    runs.run(counting_benchmark(runs, calls, settings={"width": (12,)}), 1, path=path)
    assert calls[3:] == [(2, 0), (3, 0)]
    assert "settings differ" in capsys.readouterr().out


def test_some_cases_are_run_and_the_others_are_kept(runs, tmp_path):
    calls, path = [], tmp_path / "counting.json"
    runs.run(counting_benchmark(runs, calls), 1, path=path, only="tri*")
    assert calls == [(3, 0)]
    store = runs.run(counting_benchmark(runs, calls), 1, path=path, only="double")
    assert calls == [(3, 0), (2, 0)]
    assert list(store.results()) == ["double", "triple"]


def test_fresh_and_smoke(runs, tmp_path):
    calls, path = [], tmp_path / "counting.json"
    runs.run(counting_benchmark(runs, calls), 1, path=path)
    runs.run(counting_benchmark(runs, calls), 1, fresh=True, path=path)
    assert len(calls) == 4
    before = path.read_text()
    store = runs.run(counting_benchmark(runs, calls), 2, smoke=True, path=path)
    assert list(store.results()) == ["double"]
    assert path.read_text() == before


# ---------------------------------------------------------------- tests and tables


@pytest.mark.parametrize("tied", [False, True])
def test_greater_against_a_loop(report, tied):
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.1, 0.1, 12), rng.normal(0, 0.1, 12)
    if tied:  # one difference is zero, and nine are 1 or -1
        a, b = np.round(8 * (a - b)), np.zeros(12)
    differences = [x - y for x, y in zip(a, b, strict=True)]
    mean = sum(differences) / 12
    sd = (sum((d - mean) ** 2 for d in differences) / 11) ** 0.5
    found = report.greater(a, b)
    assert found.mean == pytest.approx(mean)
    assert found.sd == pytest.approx(sd)
    assert found.p == pytest.approx(stats.t.sf(mean / (sd / 12**0.5), 11))
    # exact distribution of the signed ranks: all 2^12 signs
    nonzero = [d for d in differences if d != 0]
    ranks = stats.rankdata(np.abs(nonzero))
    observed = sum(r for r, d in zip(ranks, nonzero, strict=True) if d > 0)
    signs = (np.arange(2 ** len(nonzero))[:, None] >> np.arange(len(nonzero))) & 1
    assert found.p_wilcoxon == pytest.approx(np.mean(signs @ ranks >= observed - 1e-9))


def test_greater_with_a_margin_and_within(report):
    a, b = np.array([0.51, 0.52, 0.51, 0.53]), np.full(4, 0.5)
    assert report.greater(a, b).holds
    assert not report.greater(a, b, margin=0.03).holds
    assert not report.greater(b, a).holds
    near = report.within(a, b, 0.05)
    assert near.holds
    assert near.p == max(report.greater(a, b, margin=-0.05).p, report.greater(b, a, margin=-0.05).p)
    assert not report.within(a, b, 0.01).holds


@pytest.mark.parametrize("a, p", [([0.5, 0.5], 1.0), ([0.6, 0.6], 0.0), ([0.4, 0.4], 1.0)])
def test_differences_without_spread(report, a, p):
    assert report.greater(a, [0.5, 0.5]).p == p


def test_one_draw_shows_nothing(report):
    alone = report.greater([0.6], [0.5])
    assert np.isnan(alone.p)
    assert not alone.holds
    assert report.p_value(alone.p) == "n/a"


def test_a_claim_holds_only_if_all_parts_do(report):
    good = report.greater([0.6, 0.7, 0.65], [0.1, 0.2, 0.1], "good")
    bad = report.greater([0.1, 0.2, 0.1], [0.6, 0.7, 0.65], "bad")
    table = report.claims_table([("one", [good]), ("both", [good, bad])])
    assert [row[0] for row in table.rows] == ["one", "both", "", ""]
    assert [row[-1] for row in table.rows] == ["holds", "does not hold", "yes", "no"]
    assert table.rows[1][3] == report.p_value(bad.p)


def test_numbers_as_text(report):
    assert report.number(-0.0001, 3, sign=True) == "0.000"
    assert report.number(0.0126, 3, sign=True) == "+0.013"
    assert report.spread([1.0, 2.0]) == "1.500 (0.707)"
    assert report.spread([1.0]) == "1.000"


def test_table_in_three_forms(report):
    table = report.Table("Sizes", ["name", "size, MB"], [["a", 1], ["long", "2, or 3"]])
    assert table.text().splitlines()[2:] == ["name  size, MB", "a     1", "long  2, or 3"]
    assert "| long | 2, or 3 |" in table.markdown()
    assert '   long,"2, or 3"' in table.rst().splitlines()


def test_differences_from_the_paper(report):
    runs = {"0": {"random/none": {"Z1": 0.2}}, "1": {"random/none": {"Z1": 0.4}}}
    rows, offsets = report.beside_paper(runs, {"random": {"none": (0.25,)}}, ["Z1"])
    assert offsets == {("random", "none", "Z1"): pytest.approx(0.05)}
    assert [row[3] for row in rows] == ["0.300 (0.141)", "0.250", "+0.050"]
    assert report.agreement_row("all", offsets)[1:] == ["1", "0.0500", "0.050", "random, none, Z1"]


# ---------------------------------------------------------------- the protocol


def test_tables_of_the_paper_are_complete(paper):
    assert sum(len(c) for rows in paper.TABLE3.values() for c in rows.values()) == 40
    cells = [c for case in paper.TABLE4.values() for rows in case.values() for c in rows.values()]
    assert [len(c) for c in cells] == [3] * 28


def test_all_methods_start_from_the_same_encoders(paper):
    settings = paper.SMOKE_SETTINGS
    train, test = paper.draw(settings, 0)
    for backbone in paper.BACKBONES:
        Z = [
            paper.binder(method, backbone, settings, 0, max_epochs=0)
            .fit(train[0])
            .transform(test[0])
            for method in ("none", "FixedAnchor X1", "FixedAnchor X4", "CentroBind", "random")
        ]
        for other in Z[1:]:
            np.testing.assert_array_equal(other, Z[0])


def test_probe_columns(paper):
    settings = paper.SMOKE_SETTINGS
    train, test = paper.draw(settings, 0)
    found = paper.probe(train, test, settings, 0, logistic=True)
    names = ["Z1", "Z2", "Z3", "Z4"]
    assert found["mean Z"] == pytest.approx(np.mean([found[n] for n in names]), abs=1e-5)
    assert set(paper.probe(train, test, settings, 0, ["Z2", "All"])) == {"Z2", "All"}
    assert all(0 <= value <= 1 for value in found.values())


def test_the_printed_bound_needs_a_batch_as_large_as_the_modalities():
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    bounds = helper("bench_bounds")
    rng = np.random.default_rng(0)
    for n_modalities, batch, temperature in [(4, 16, 0.2), (4, 3, 2.0), (8, 4, 1.0), (1, 5, 0.5)]:
        z = rng.normal(size=(2, n_modalities, batch, 6))
        z /= np.linalg.norm(z, axis=-1, keepdims=True)
        left, right = bounds.theorem(*z, temperature)
        assert (left >= right).all() == (batch >= n_modalities)


def test_the_printed_bound_against_a_loop():
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    bounds = helper("bench_bounds")
    rng = np.random.default_rng(1)
    z_augmented, z = rng.normal(size=(2, 3, 4, 2))
    anchor, t = z_augmented.mean(axis=0), 0.7

    def nce(u, v, t):
        s = u @ v.T / t
        return np.mean([np.log(np.exp(s[k]).sum()) - s[k, k] for k in range(len(s))])

    left, right = bounds.theorem(z_augmented, z, t)
    for i in range(3):
        assert left[i] == pytest.approx(4 * nce(anchor, z[i], t))
        constants = 0.0
        for k in range(4):
            g = np.exp(
                [[4 * z_augmented[m, k] @ z[i, j] / (t * 3) for j in range(4)] for m in range(3)]
            )
            constants += np.log((g.min() + g.max()) ** 2 / (4 * g.min() * g.max()))
        pairs = sum(nce(z_augmented[m], z[i], t * 3 / 4) for m in range(3))
        assert right[i] == pytest.approx(pairs - constants)


# ---------------------------------------------------------------- all methods


@pytest.fixture(scope="module")
def ranks():
    return helper("_ranks")


def test_critical_differences_of_the_table_of_demsar(ranks):
    # q at 5 %, Table 5 (a) of the paper; 14 data sets and 4 methods are its example.
    for n_methods, q in [(2, 1.960), (4, 2.569), (7, 2.949), (10, 3.164)]:
        expected = q * (n_methods * (n_methods + 1) / (6 * 14)) ** 0.5
        assert ranks.critical_difference(n_methods, 14) == pytest.approx(expected, abs=2e-3)


def test_ranking_against_a_loop(ranks):
    values = {"a": [0.9, 0.5, 0.7], "b": [0.8, 0.5, 0.9], "c": [0.1, 0.2, 0.3]}
    expected = {}
    for name, mine in values.items():
        each = []
        for k, value in enumerate(mine):
            others = [column[k] for other, column in values.items() if other != name]
            ties = sum(other == value for other in others)
            each.append(1 + sum(other > value for other in others) + ties / 2)
        expected[name] = sum(each) / 3
    ranking = ranks.rank_methods(values)
    assert dict(zip(ranking.names, ranking.ranks, strict=True)) == pytest.approx(expected)
    assert ranking.names[-1] == "c"
    assert ranking.p == pytest.approx(stats.friedmanchisquare(*values.values()).pvalue)


def test_groups_are_the_longest_runs(ranks):
    ranking = ranks.Ranking(list("abcde"), np.array([1.0, 1.8, 2.5, 4.0, 4.2]), 5, 0.01, 1.0)
    assert ranking.groups() == [(0, 1), (1, 2), (3, 4)]
    ranking.difference = 9.0
    assert ranking.groups() == [(0, 4)]
    ranking.difference = 0.1
    assert ranking.groups() == []


def test_losses_come_first_and_are_complete():
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    tables = helper("_method_tables")
    run = {"fit seconds": 1.0, "setting": {}, "fits": 1, "rows": 9, "gallery": 5}
    results = {
        "digits five/CentroBind, default": {
            str(k): {"recall@1": 0.5 + k / 100, "mrr": 0.6, **run} for k in range(3)
        },
        "digits five/MCCA": {"0": {"recall@1": 0.4, "mrr": 0.65, **run}},
        "digits five/GCCA": {str(k): {"recall@1": 0.7, "mrr": 0.5, **run} for k in range(2)},
    }
    first, _, goals, *_ = tables.report(results)
    assert [row[1:3] for row in first.rows] == [["recall@1", "GCCA"], ["mrr", "MCCA"]]
    assert first.rows[0][3:6] == ["0.505", "0.700", "+0.195"]  # of the draws that both have
    assert goals.rows[0][-1] == "does not hold"
    assert "GCCA" in goals.rows[0][0]


def test_xor_needs_both_and_blocks_of_the_image_stay_apart():
    data = helper("_method_data")
    split = data.xor(0, 2000, 200)
    X = split.X_train
    for a, b in (("x1", "x2"), ("x1", "x3"), ("x2", "x3")):
        correlation = np.corrcoef(X[a].T, X[b].T)[:16, 16:]
        assert np.abs(correlation).max() < 0.12  # four s.d. and more of independent ones
    pytest.importorskip("tensorly", reason="the extra `bench` is not installed")
    split = data.indian_pines(0, 10**6, 10**6)
    every = data.indian_pines(1, 10**6, 10**6)
    assert len(split.X_train) < len(every.X_train) + len(every.X_test)
    assert sum(x.shape[1] for x in split.X_train.arrays) == 200
    held_out = {row.tobytes() for row in split.X_test["visible"]}
    assert not held_out & {row.tobytes() for row in split.X_train["visible"]}


# One component of unit length is 1 or -1, so most queries tie.
@pytest.mark.filterwarnings("ignore:For .* of the queries other candidates")
def test_settings_are_chosen_by_the_held_out_rows():
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    bench, methods = helper("bench_methods"), helper("_methods")
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(80, 6))
    X = bench.Modalities({"a": shared, "b": shared + 0.1 * rng.normal(size=shared.shape)})

    class Noisy:
        def __init__(self, noise, keep):
            self.noise, self.keep = noise, keep

        def fit(self, X):
            assert len(X) == 60
            return self

        def transform_modalities(self, X):
            rng = np.random.default_rng(1)
            arrays = [x + self.noise * rng.normal(size=x.shape) for x in X.arrays]
            return bench.Modalities([a * (np.arange(6) < self.keep) for a in arrays], X.names)

    def make(settings, seed, noise=0.0, keep=6):
        return Noisy(noise, keep)

    stages = [{"noise": [2.0, 0.1, 0.5]}, {"keep": [2, 1]}]
    row = methods.Method(make, stages)
    found = bench.choose(row, stages, True, X, bench.SETTINGS, 0)
    assert found == ({"noise": 0.1}, None, 5)  # the stage behind it has nothing better
    row = methods.Method(make, stages, widths=(1, 6))
    assert bench.choose(row, stages, True, X, bench.SETTINGS, 0)[1] == 6


def test_narrower_embeddings_are_the_first_components():
    linear = pytest.importorskip("cca_zoo.linear", reason="the extra `bench` is not installed")
    methods, data = helper("_methods"), helper("_method_data")
    X = data.gmm(0, 300, 10).X_train
    for model in (linear.MCCA, linear.GCCA):
        wide, narrow = (methods.CCAZoo(model(k, shrinkage=0.1)).fit(X) for k in (12, 5))
        Z, expected = methods.embed(wide, X, 5), methods.embed(narrow, X)
        for z, other in zip(Z.arrays, expected.arrays, strict=True):
            sign = np.sign(np.sum(z * other, axis=0))
            np.testing.assert_allclose(z * sign, other, atol=1e-6)
            np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1)


def test_what_the_readme_says_of_the_default_is_stored():
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    tables = helper("_method_tables")
    stored = json.loads((BENCHMARKS / "results" / "bench_methods.json").read_text())
    tasks = tables.by_task({k: v for k, v in stored["results"].items() if not k.startswith("xor")})
    for measure in ("recall@1", "mrr", "cross-modal accuracy"):
        assert tables.ranking(tasks, measure).names[0] == tables.OURS
    losses = {tuple(row[:3]) for row in tables.losses(tasks).rows}
    assert ("indian pines", "mrr", "KGCCA") in losses
    assert ("emoji", "mrr", "pairwise") in losses
