"""Does training by a loss that does not see signs keep what the closed-form start had?

Singular values and volumes are the same for a vector and its opposite. All losses train the same
residual encoders from the same start on five feature sets of digits; after some of the epochs
retrieval between pairs is measured on held-out training rows, and how many pairs of embeddings of a
sample point in opposite directions. The losses of PMRL and GRAM are shown as published, with the
alignment term of the defaults, and PMRL's with a softer softmax over the singular values.
"""

import numpy as np
from _common import NAMED
from _figures import IMAGES, band, panels, save
from _report import Table, spread
from _runs import Benchmark, main
from bench_ablation import Task, split

from skcentrobind import CentroBindTransformer, GramianBindTransformer, PrincipalBindTransformer
from skcentrobind.metrics import mean_reciprocal_rank

PUBLISHED = {"regularizers": None}
SOFTER = {"alignment_temperature": 0.5}
LOSSES = {
    "centroid": (CentroBindTransformer, {}),
    "principal, published": (PrincipalBindTransformer, PUBLISHED),
    "principal, softer": (PrincipalBindTransformer, {**PUBLISHED, **SOFTER}),
    "principal, default": (PrincipalBindTransformer, {}),
    "gramian, published": (GramianBindTransformer, PUBLISHED),
    "gramian, default": (GramianBindTransformer, {}),
}
COLOURS = {"centroid": "#0072B2", "principal": "#D55E00", "gramian": "#009E73"}
LINES = {"published": ":", "softer": "-.", "default": "-"}
EPOCHS = (0, 1, 2, 5, 10, 20, 30)
STARTS = ("closed form", "random")
SETTINGS = {"n_train": 1500, "n_test": 1000, "validation": 0.25, "device": "cpu", "last": 30}
SMOKE_SETTINGS = {**SETTINGS, "n_train": 80, "n_test": 40, "last": 2}


def opposite(Z):
    """Return the share of pairs of embeddings of a sample whose inner product is negative."""
    blocks = np.stack(Z.arrays)  # (n_modalities, n_samples, n_components)
    inner = np.einsum("and,bnd->abn", blocks, blocks)
    return float((inner[np.triu_indices(len(blocks), 1)] < 0).mean())


def one_draw(settings, seed, start):
    X_fit, X_held_out = split(Task("digits five"), settings, seed)
    common = {**NAMED, "random_state": seed, "device": settings["device"], "max_epochs": 0}
    common["init"] = "gcca" if start == "closed form" else "random"
    epochs = [epoch for epoch in EPOCHS if epoch <= settings["last"]]
    found = {}
    for name, (cls, params) in LOSSES.items():
        bind = cls(**common, **params).fit(X_fit)
        curve = {"mrr": [], "opposite": []}
        for epoch in range(settings["last"] + 1):
            if epoch:
                bind.partial_fit(X_fit)
            if epoch in epochs:
                Z = bind.transform_modalities(X_held_out)
                curve["mrr"].append(round(float(mean_reciprocal_rank(Z)), 5))
                curve["opposite"].append(round(opposite(Z), 5))
        found[name] = curve
    return found


def report(results):
    for start, runs in results.items():
        rows = []
        for name in LOSSES:
            values = np.array([run[name]["mrr"] for run in runs.values()])
            last = [run[name]["opposite"][-1] for run in runs.values()]
            rows.append([name, *map(spread, values.T), spread(last)])
        shown = EPOCHS[: len(rows[0]) - 2]
        header = ["loss", *(f"epoch {epoch}" for epoch in shown), "opposite pairs at the end"]
        title = f"Mean reciprocal rank by epoch, start: {start}, {len(runs)} splits, mean (s.d.)"
        yield Table(title, header, rows, start.replace(" ", "_"))


def figures(results):
    figure, axes = panels(1, len(results), width=3.9, height=3.1, sharey=True)
    for (start, runs), axis in zip(results.items(), axes[0], strict=True):
        for name in LOSSES:
            kind, _, form = name.partition(", ")
            options = {"color": COLOURS[kind], "linestyle": LINES[form or "default"]}
            band(axis, EPOCHS, [run[name]["mrr"] for run in runs.values()], name, **options)
        axis.set_title(f"start: {start}", fontsize=9)
        axis.set_xlabel("epochs", fontsize=9)
        axis.tick_params(labelsize=8)
    axes[0, 0].set_ylabel("mean reciprocal rank, held-out rows", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    save(figure, "signs", IMAGES.parent)


BENCHMARK = Benchmark(
    "bench_signs",
    one_draw,
    {start: {"start": start} for start in STARTS},
    3,
    report,
    figures,
    settings=SETTINGS,
    smoke_settings=SMOKE_SETTINGS,
    smoke_seeds=1,
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
