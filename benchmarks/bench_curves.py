"""How fast do the methods learn, and does the loss of CentroBind level off earlier?

Accuracy against epochs for four, six and eight modalities (Figures 3, 5, 8 and 9 of the paper) and
for uneven qualities (Figure 10), and the training loss (Figure 7). One training run yields one
curve; probes are fitted after some of the epochs.
"""

import numpy as np
from _figures import band, panels, save, style
from _paper import BACKBONES, QUALITIES, binder, draw, embed, probe
from _report import Table, claims_table, greater, spread
from _runs import Benchmark, main

EPOCHS = (1, 2, 4, 8, 15)
SHARE = 0.95  # of the fall of the loss


def one_draw(settings, seed, n_modalities, methods, backbones, columns, qualities=None):
    train, test = draw(settings, seed, n_modalities, qualities)
    last = settings["encoder"]["max_epochs"]
    epochs = [e for e in EPOCHS if e <= last]
    found = {"raw X": probe(train, test, settings, seed, columns)}
    for backbone in backbones:
        bind = binder("none", backbone, settings, seed).fit(train[0])
        found[f"{backbone}/none"] = probe(*embed(bind, train, test), settings, seed, columns)
        for method in methods:
            bind = binder(method, backbone, settings, seed, qualities, max_epochs=0).fit(train[0])
            curve = {"epochs": epochs, **{column: [] for column in columns}}
            for epoch in range(1, last + 1):
                bind.partial_fit(train[0])
                if epoch in epochs:
                    Z = embed(bind, train, test)
                    for column, value in probe(*Z, settings, seed, columns).items():
                        if column in curve:
                            curve[column].append(value)
            curve["loss"] = [round(loss, 5) for loss in bind.loss_curve_]
            found[f"{backbone}/{method}"] = curve
    return found


def levelled(curve):
    """Return the epochs until a loss curve has fallen by most of its total fall, interpolated."""
    curve = np.asarray(curve)
    level = curve[0] - SHARE * (curve[0] - curve.min())
    after = int(np.argmax(curve <= level))
    if after == 0:
        return 1.0
    return after + float((curve[after - 1] - level) / (curve[after - 1] - curve[after]))


def _losses(runs, row):
    return np.array([run[row]["loss"] for run in runs.values()])


def report(results):
    runs = results["M=4"]
    fixed = [m for m in CASES["M=4"]["methods"] if m != "CentroBind"]
    rows = []
    for backbone in BACKBONES:
        for method in [*fixed, "CentroBind"]:
            losses = _losses(runs, f"{backbone}/{method}")
            n_terms = 4 if method == "CentroBind" else 3
            epochs = [levelled(curve) for curve in losses]
            ends = [spread(losses[:, 0] / n_terms, 2), spread(losses[:, -1] / n_terms, 2)]
            rows.append([backbone, method, *ends, spread(epochs, 1)])
    header = ["backbone", "method", "loss per term, epoch 1", "last epoch"]
    header.append(f"epochs until {SHARE:.0%} of the fall")
    yield Table(f"Training loss, M=4, {len(runs)} draws, mean (s.d.)", header, rows, "loss")

    claims = []
    for backbone in BACKBONES:
        ours = [levelled(c) for c in _losses(runs, f"{backbone}/CentroBind")]
        parts = [
            greater([levelled(c) for c in _losses(runs, f"{backbone}/{m}")], ours, f"{m}: epochs")
            for m in fixed
        ]
        claims.append((f"CentroBind's loss levels off earlier ({backbone} backbones)", parts))
    yield claims_table(claims, "Training loss: claims, paired tests over draws")

    for case, runs in results.items():
        columns = CASES[case]["columns"]
        first = next(iter(runs.values()))
        rows = []
        for name in first:
            for column in columns:
                values = np.array([np.atleast_1d(run[name][column]) for run in runs.values()])
                cells = [spread(v) for v in values.T]
                cells = [*cells, *[""] * (len(EPOCHS) - len(cells))]
                rows.append([name, column, *cells])
        header = ["backbone/method", "column", *(f"epoch {e}" for e in EPOCHS)]
        title = f"Accuracy by epoch, {case}, {len(runs)} draws, mean (s.d.)"
        yield Table(title, header, rows, FIGURES[case])


def figures(results):
    for case, name in FIGURES.items():
        if case in results:
            _accuracy_figure(results[case], CASES[case], name)
    _loss_figure(results["M=4"])


def _accuracy_figure(runs, case, name):
    columns, backbones = case["columns"], case["backbones"]
    width = min(3.2, 11.5 / len(columns))
    figure, axes = panels(len(backbones), len(columns), width, sharex=True, sharey="col")
    for backbone, row in zip(backbones, axes, strict=True):
        for column, axis in zip(columns, row, strict=True):
            for method in case["methods"]:
                curves = [run[f"{backbone}/{method}"] for run in runs.values()]
                values = [curve[column] for curve in curves]
                band(axis, curves[0]["epochs"], values, method, **style(method))
            for row_name, label, line in (
                (f"{backbone}/none", "no binding", ":"),
                ("raw X", "supervised, raw X", "-."),
            ):
                level = np.mean([run[row_name][column] for run in runs.values()])
                axis.axhline(level, color="black", linestyle=line, linewidth=1, label=label)
            axis.set_title(f"{column}, {backbone}", fontsize=9)
            axis.tick_params(labelsize=8)
            axis.set_xticks([1, 4, 8, 15])
        row[0].set_ylabel("accuracy", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("epochs of binding", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    n_columns = 5 if len(columns) > 2 else 3
    figure.legend(handles, labels, loc="outside lower center", ncols=n_columns, fontsize=8)
    save(figure, name)


def _loss_figure(runs):
    figure, axes = panels(1, 2, width=3.4, height=2.8)
    for per_term, axis in zip((False, True), axes[0], strict=True):
        for method in CASES["M=4"]["methods"]:
            for backbone in BACKBONES:
                losses = _losses(runs, f"{backbone}/{method}")
                terms = (4 if method == "CentroBind" else 3) if per_term else 1
                line = style(method, open_marker=backbone == "random") | {"markevery": 2}
                epochs = np.arange(1, losses.shape[1] + 1)
                band(axis, epochs, losses / terms, f"{method}, {backbone}", **line)
        axis.set_xlabel("epochs of binding", fontsize=9)
        axis.tick_params(labelsize=8)
    axes[0, 0].set_title("total: 4 terms against 3", fontsize=9)
    axes[0, 1].set_title("per term", fontsize=9)
    axes[0, 0].set_ylabel("training loss", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    save(figure, "loss_curves")


def _more(n_modalities, columns):
    methods = ["FixedAnchor X1", f"FixedAnchor X{n_modalities}", "CentroBind"]
    return {
        "n_modalities": n_modalities,
        "methods": methods,
        "backbones": list(BACKBONES),
        "columns": columns,
    }


AGGREGATED = ["FixedAnchor X4", "CentroBind", "weighted", "random + intra", "random", "median"]
CASES = {
    "M=4": _more(4, ["Z1", "Z2", "Z3", "Z4", "All"]),
    "M=6": _more(6, ["Z1", "Z6", "All"]),
    "M=8": _more(8, ["Z1", "Z8", "All"]),
}
for _case, _qualities in QUALITIES.items():
    CASES[_case] = {
        "n_modalities": 4,
        "qualities": list(_qualities),
        "methods": AGGREGATED,
        "backbones": ["random"],
        "columns": ["Z4", "All"],
    }
FIGURES = {
    "M=4": "accuracy_4_modalities",
    "M=6": "accuracy_6_modalities",
    "M=8": "accuracy_8_modalities",
    "X4 good": "accuracy_x4_good",
    "X3 and X4 good": "accuracy_x3_x4_good",
}
BENCHMARK = Benchmark("bench_curves", one_draw, CASES, 2, report, figures)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
