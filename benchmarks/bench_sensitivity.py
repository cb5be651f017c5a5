"""Which settings of CentroBind matter?

One setting at a time is changed from those of the other benchmarks; random backbones, four
modalities. Judged by the probe's accuracy, and by retrieval between modalities, which needs no
labels.
"""

import numpy as np
from _figures import panels, save
from _paper import SETTINGS, binder, draw, embed, probe
from _report import Table, claims_table, greater, series, spread, within
from _runs import Benchmark, main

COLUMNS = ["Z1", "Z2", "Z3", "Z4", "All"]
VALUES = {
    "detach_anchor": [True],
    "temperature": [0.05, 0.1, 0.3, 0.5, 1.0],
    "n_components": [4, 8, 16, 32, 64],
    "augmentation_scale": [0.0, 0.1, 0.6, 1.0, 1.5],
    "batch_size": [32, 64, 128, 512, 1024, 2048],
}
DEFAULTS = {"detach_anchor": False, **SETTINGS["encoder"]}
N_GALLERY = 1000


def one_draw(settings, seed, **changes):
    train, test = draw(settings, seed)
    bind = binder("CentroBind", "random", settings, seed, **changes).fit(train[0])
    found = probe(*embed(bind, train, test), settings, seed)
    found["MRR"] = round(bind.score(test[0][:N_GALLERY]), 5)
    return {"CentroBind": found}


def case_of(parameter, value):
    return "default" if value == DEFAULTS[parameter] else f"{parameter}={value}"


def swept(results, parameter):
    """Return the finished (value, runs) of a parameter and its default, in rising order."""
    values = sorted([DEFAULTS[parameter], *VALUES[parameter]])
    cases = [(value, results.get(case_of(parameter, value))) for value in values]
    return [(value, runs) for value, runs in cases if runs]


def report(results):
    for parameter in VALUES:
        rows = []
        for value, runs in swept(results, parameter):
            mark = " (default)" if value == DEFAULTS[parameter] else ""
            cells = [spread(series(runs, "CentroBind", c)) for c in [*COLUMNS, "mean Z", "MRR"]]
            rows.append([f"{value}{mark}", *cells])
        header = [parameter, *COLUMNS, "mean Z", f"MRR, {N_GALLERY} samples"]
        n_draws = len(results["default"])
        title = f"Sensitivity to {parameter}, {n_draws} draws, mean (s.d.)"
        yield Table(title, header, rows, parameter)
    detached = results.get("detach_anchor=True")
    if detached is None:
        return
    shared = sorted(set(detached) & set(results["default"]), key=int)
    free, held = ({k: results[c][k] for k in shared} for c in ("default", "detach_anchor=True"))
    claims = []
    for column in ("mean Z", "All"):
        a, b = series(free, "CentroBind", column), series(held, "CentroBind", column)
        claims.append((f"gradient through the anchor raises {column}", [greater(a, b, column)]))
        same = f"gradient through the anchor changes {column} by less than 0.01"
        claims.append((same, [within(a, b, 0.01, column)]))
    yield claims_table(claims, "detach_anchor: paired tests over draws")


def figures(results):
    for parameter in VALUES:
        _figure(results, parameter)


def _figure(results, parameter):
    points = swept(results, parameter)
    figure, axes = panels(1, 2, width=3.2, height=2.7)
    positions = np.arange(len(points))
    colours = {"mean Z": ("#0072B2", "o", "mean over Z1 to Z4"), "All": ("#D55E00", "s", "All")}
    for column, (colour, marker, label) in colours.items():
        _errors(axes[0, 0], positions, points, column, colour, marker, label)
    _errors(axes[0, 1], positions, points, "MRR", "#009E73", "D", "MRR")
    axes[0, 0].set_ylabel("accuracy of the probe", fontsize=9)
    axes[0, 0].set_ylim(bottom=0)
    axes[0, 0].legend(fontsize=8)
    axes[0, 1].set_ylabel(f"MRR among {N_GALLERY} samples", fontsize=9)
    axes[0, 1].set_ylim(bottom=0)
    for axis in axes[0]:
        axis.set_xticks(
            positions,
            [
                f"{value:g}" if value is not True and value is not False else str(value)
                for value, _ in points
            ],
        )
        axis.set_xlim(-0.5, len(points) - 0.5)
        axis.set_xlabel(parameter, fontsize=9)
        axis.tick_params(labelsize=8)
        default = [value for value, _ in points].index(DEFAULTS[parameter])
        axis.axvspan(default - 0.3, default + 0.3, color="#BBBBBB", alpha=0.3, lw=0)
    save(figure, f"sensitivity_{parameter}")


def _errors(axis, positions, points, column, colour, marker, label):
    values = [series(runs, "CentroBind", column) for _, runs in points]
    sds = [v.std(ddof=1) if len(v) > 1 else 0 for v in values]
    means = [v.mean() for v in values]
    options = {"color": colour, "marker": marker, "markersize": 4.5, "linewidth": 1.4}
    axis.errorbar(positions, means, sds, capsize=3, label=label, **options)


CASES = {"default": {}}
CASES |= {f"{p}={value}": {p: value} for p, values in VALUES.items() for value in values}
SMOKE_CASES = {case: CASES[case] for case in ("default", "detach_anchor=True")}
BENCHMARK = Benchmark(
    "bench_sensitivity", one_draw, CASES, 3, report, figures, smoke_cases=SMOKE_CASES
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
