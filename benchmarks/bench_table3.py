"""Does this library reproduce Table 3 of the paper, and do its claims hold?

Four modalities of rising quality, encoders drawn at random or pre-trained, left alone or bound to
X1, to X4 or to the centroid. Judged by probes on the frozen embeddings of each modality and of all
concatenated; the probe on the raw data is the supervised ceiling.
"""

from _paper import BACKBONES, TABLE3, binder, draw, embed, probe
from _report import (
    Table,
    agreement_row,
    beside_paper,
    claims_table,
    greater,
    series,
    spread,
    within,
)
from _runs import Benchmark, main

COLUMNS = ["Z1", "Z2", "Z3", "Z4", "All"]
METHODS = ["none", "FixedAnchor X1", "FixedAnchor X4", "CentroBind"]
FAR = 0.03  # about the s.d. of an accuracy over the draws


def one_draw(settings, seed):
    train, test = draw(settings, seed)
    found = {"raw X": probe(train, test, settings, seed, logistic=True)}
    for backbone in BACKBONES:
        for method in METHODS:
            bind = binder(method, backbone, settings, seed).fit(train[0])
            Z = embed(bind, train, test)
            found[f"{backbone}/{method}"] = probe(*Z, settings, seed, logistic=True)
    return found


def claims(runs):
    def values(backbone, method, column):
        return series(runs, f"{backbone}/{method}", column)

    def beats(high, low, columns, margin=0.0, backbones=BACKBONES):
        return [
            greater(values(b, high, c), values(b, low, c), f"{b}, {c}: {high} - {low}", margin)
            for b in backbones
            for c in columns
        ]

    cb, x1, x4 = "CentroBind", "FixedAnchor X1", "FixedAnchor X4"
    same = [
        within(
            values("random", cb, c),
            values("pre-trained", cb, c),
            0.01,
            f"{c}: random - pre-trained",
        )
        for c in COLUMNS
    ]
    ceiling = [
        greater(_share(runs, f"{b}/{cb}"), 0.96, f"{b}: share of the ceiling - 0.96")
        for b in BACKBONES
    ]
    far = f"FixedAnchor X1 is far below FixedAnchor X4 (by more than {FAR}) on Z2, Z3 and All"
    return [
        (far, beats(x4, x1, ["Z2", "Z3", "All"], FAR)),
        (
            "FixedAnchor X1 lowers Z4 below no binding (pre-trained)",
            beats("none", x1, ["Z4"], backbones=["pre-trained"]),
        ),
        (
            "FixedAnchor X1 lowers Z4 below no binding (random)",
            beats("none", x1, ["Z4"], backbones=["random"]),
        ),
        ("CentroBind beats FixedAnchor X1 on Z1, Z2 and Z4", beats(cb, x1, ["Z1", "Z2", "Z4"])),
        ("CentroBind beats FixedAnchor X4 on Z1, Z2 and Z4", beats(cb, x4, ["Z1", "Z2", "Z4"])),
        ("CentroBind beats FixedAnchor X4 on Z3", beats(cb, x4, ["Z3"])),
        ("CentroBind beats FixedAnchor X4 on All", beats(cb, x4, ["All"])),
        (
            "CentroBind with random backbones beats FixedAnchor X4 with pre-trained ones",
            [greater(values("random", cb, c), values("pre-trained", x4, c), c) for c in COLUMNS],
        ),
        ("CentroBind with random backbones is within 0.01 of pre-trained ones", same),
        ("CentroBind reaches 96 % of the supervised ceiling, mean over Z1 to Z4 and All", ceiling),
    ]


def _share(runs, row):
    """Average accuracy / accuracy of the probe on the raw data over the columns, by draw."""
    ratios = [series(runs, row, c) / series(runs, "raw X", c) for c in COLUMNS]
    return sum(ratios) / len(ratios)


def report(results):
    runs = results["M=4"]
    rows, differences = beside_paper(runs, TABLE3, COLUMNS)
    raw = [spread(series(runs, "raw X", c)) for c in COLUMNS]
    rows.append(["supervised", "raw X", "ours (s.d.)", *raw])
    head = ["backbone", "method", ""]
    title = f"Table 3: accuracy of the MLP probe, {len(runs)} draws"
    yield Table(title, [*head, *COLUMNS], rows, "accuracy")

    rows = []
    for row in [f"{b}/{m}" for b in BACKBONES for m in METHODS] + ["raw X"]:
        values = [spread(series(runs, row, f"{c} logistic")) for c in COLUMNS]
        rows.append([row, *values])
    title = f"Table 3 with logistic regression as the probe, {len(runs)} draws, mean (s.d.)"
    yield Table(title, ["backbone/method", *COLUMNS], rows, "logistic")

    header = ["cells", "number", "mean absolute difference", "largest", "where"]
    parts = [agreement_row("all", differences)]
    for kind, calibrated in (("calibrated on (none)", True), ("compared", False)):
        chosen = {k: v for k, v in differences.items() if (k[1] == "none") == calibrated}
        parts.append(agreement_row(kind, chosen))
    yield Table("Table 3: difference from the paper", header, parts, "difference")

    rows = [[b, spread(_share(runs, f"{b}/CentroBind"))] for b in BACKBONES]
    title = "CentroBind's accuracy as a share of the probe's on raw X, mean over the columns"
    yield Table(title, ["backbone", "share (s.d.)"], rows, "ceiling")
    goals = [
        ["mean absolute difference at most 0.025", parts[0][2], float(parts[0][2]) <= 0.025],
        ["no cell off by more than 0.08", parts[0][3], float(parts[0][3]) <= 0.08],
    ]
    rows = [[goal, value, "holds" if holds else "does not hold"] for goal, value, holds in goals]
    title = "Table 3: agreement with the paper"
    yield Table(title, ["goal", "found", "verdict"], rows, "agreement")
    yield claims_table(claims(runs), "Table 3: claims, paired tests over draws")


BENCHMARK = Benchmark("bench_table3", one_draw, {"M=4": {}}, 10, report)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
