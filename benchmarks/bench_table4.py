"""Is Table 4 of the paper reproduced, and does it matter how the anchor is aggregated?

Four modalities of uneven quality: three poor and one good, or two poor and two good. Five
aggregates that train all encoders are compared with no binding and with the best fixed anchor.
"""

import numpy as np
from _paper import BACKBONES, QUALITIES, TABLE4, binder, draw, embed, probe
from _report import Table, agreement_row, beside_paper, claims_table, greater, series, spread
from _runs import Benchmark, main

COLUMNS = ["Z2", "Z4", "All"]
TRAINED = ["CentroBind", "weighted", "random + intra", "random", "median"]
METHODS = ["none", "FixedAnchor X4", *TRAINED]
FIXED = "FixedAnchor X4"


def one_draw(settings, seed, qualities):
    train, test = draw(settings, seed, qualities=qualities)
    found = {}
    for backbone in BACKBONES:
        for method in METHODS:
            bind = binder(method, backbone, settings, seed, weights=qualities).fit(train[0])
            Z = embed(bind, train, test)
            found[f"{backbone}/{method}"] = probe(*Z, settings, seed, COLUMNS)
    return found


def compare(results, high, lows, columns, backbones=BACKBONES):
    """Compare `high - low` in every case and backbone."""
    return [
        greater(
            series(runs, f"{b}/{high}", c),
            series(runs, f"{b}/{low}", c),
            f"{case}, {b}, {c}: {high} - {low}",
        )
        for case, runs in results.items()
        for b in backbones
        for c in columns
        for low in lows
    ]


def claims(results):
    above = {
        c: [
            part
            for method in TRAINED
            for part in compare(results, method, [FIXED], [c], ["random"])
        ]
        for c in ("Z4", "All")
    }
    others = [m for m in TRAINED if m != "CentroBind"]
    return [
        ("random backbones: every trained aggregator > FixedAnchor X4 on Z4", above["Z4"]),
        ("random backbones: every trained aggregator > FixedAnchor X4 on All", above["All"]),
        (
            "pre-trained backbones: CentroBind > FixedAnchor X4 on Z4",
            compare(results, "CentroBind", [FIXED], ["Z4"], ["pre-trained"]),
        ),
        (
            "pre-trained backbones: CentroBind > FixedAnchor X4 on All",
            compare(results, "CentroBind", [FIXED], ["All"], ["pre-trained"]),
        ),
        (
            "the weighted anchor beats the centroid on All (not in the paper)",
            compare(results, "weighted", ["CentroBind"], ["All"]),
        ),
        (
            "the weighted anchor beats the centroid on Z4 (not in the paper)",
            compare(results, "weighted", ["CentroBind"], ["Z4"]),
        ),
        (
            "the centroid is the best aggregator on All",
            compare(results, "CentroBind", others, ["All"]),
        ),
    ]


def _spreads(results):
    """Yield best minus worst trained aggregator, of the means and of single draws."""
    for case, runs in results.items():
        for backbone in BACKBONES:
            for column in COLUMNS:
                values = np.array([series(runs, f"{backbone}/{m}", column) for m in TRAINED])
                of_means = np.ptp(values.mean(axis=1))
                within_draws = np.ptp(values, axis=0)
                paper = [TABLE4[case][backbone][m][COLUMNS.index(column)] for m in TRAINED]
                between = np.mean(values.std(axis=1, ddof=1)) if len(runs) > 1 else np.nan
                yield [
                    case,
                    backbone,
                    column,
                    f"{of_means:.3f}",
                    f"{np.ptp(paper):.3f}",
                    spread(within_draws),
                    f"{between:.3f}",
                ]


def report(results):
    differences = {}
    for case, runs in results.items():
        rows, offsets = beside_paper(runs, TABLE4[case], COLUMNS)
        differences |= {(case, *cell): x for cell, x in offsets.items()}
        title = f"Table 4, {case} {QUALITIES[case]}: accuracy of the MLP probe, {len(runs)} draws"
        name = case.lower().replace(" ", "_")
        yield Table(title, ["backbone", "method", "", *COLUMNS], rows, name)

    header = ["cells", "number", "mean absolute difference", "largest", "where"]
    rows = [agreement_row("all", differences)]
    for column in COLUMNS:
        for backbone in BACKBONES:
            chosen = {k: v for k, v in differences.items() if k[1] == backbone and k[3] == column}
            rows.append(agreement_row(f"{column}, {backbone}", chosen))
    yield Table("Table 4: difference from the paper", header, rows, "difference")

    header = ["qualities", "backbone", "column", "best - worst mean", "in the paper"]
    header += ["best - worst within a draw (s.d.)", "s.d. over draws of one aggregator"]
    rows = list(_spreads(results))
    yield Table("Table 4: spread among the five aggregators", header, rows, "spread")
    yield claims_table(claims(results), "Table 4: claims, paired tests over draws")


CASES = {case: {"qualities": list(q)} for case, q in QUALITIES.items()}
BENCHMARK = Benchmark("bench_table4", one_draw, CASES, 10, report)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
