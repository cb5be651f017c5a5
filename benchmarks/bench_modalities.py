"""Does CentroBind stay ahead of fixed anchors with six and eight modalities?

The protocol of Table 3 (Figures 8 and 9 of the paper, which gives no numbers for them).
"""

from _paper import BACKBONES, binder, draw, embed, probe
from _report import Table, claims_table, greater, series, spread
from _runs import Benchmark, main


def methods(n_modalities):
    return ["none", "FixedAnchor X1", f"FixedAnchor X{n_modalities}", "CentroBind"]


def one_draw(settings, seed, n_modalities):
    train, test = draw(settings, seed, n_modalities)
    found = {"raw X": probe(train, test, settings, seed)}
    for backbone in BACKBONES:
        for method in methods(n_modalities):
            bind = binder(method, backbone, settings, seed).fit(train[0])
            found[f"{backbone}/{method}"] = probe(*embed(bind, train, test), settings, seed)
    return found


def _claim(results, case, n_modalities, fixed, column):
    runs = results[case]
    name = f"FixedAnchor {fixed}"
    parts = [
        greater(
            series(runs, f"{b}/CentroBind", column),
            series(runs, f"{b}/{name}", column),
            f"{b}: CentroBind - {name}",
        )
        for b in BACKBONES
    ]
    return f"M={n_modalities}: CentroBind beats {name} on {column}", parts


def report(results):
    claims = []
    for case, runs in results.items():
        n_modalities = BENCHMARK.cases[case]["n_modalities"]
        names = [f"{b}/{m}" for b in BACKBONES for m in methods(n_modalities)]
        columns = [*(f"Z{m}" for m in range(1, n_modalities + 1)), "mean Z", "All"]
        rows = [[n, *(spread(series(runs, n, c)) for c in columns)] for n in [*names, "raw X"]]
        title = f"{n_modalities} modalities: accuracy of the MLP probe, {len(runs)} draws, mean"
        name = f"{n_modalities}_modalities"
        yield Table(f"{title} (s.d.)", ["backbone/method", *columns], rows, name)
        claims += [
            _claim(results, case, n_modalities, fixed, column)
            for column in ("mean Z", "All")
            for fixed in ("X1", f"X{n_modalities}")
        ]
    yield claims_table(claims, "More modalities: claims, paired tests over draws")


CASES = {f"M={n}": {"n_modalities": n} for n in (6, 8)}
BENCHMARK = Benchmark("bench_modalities", one_draw, CASES, 6, report)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
