"""Shared by the figures of the reproduction."""

import io
import os
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

IMAGES = Path(__file__).parent.parent / "docs" / "images" / "paper"

#: Benchmark of the paper, in the order of the README -> figure -> (alternative text, caption).
REPRODUCTION = {
    "bench_table3": {},
    "bench_table4": {},
    "bench_modalities": {},
    "bench_curves": {
        "accuracy_4_modalities": (
            "Accuracy against epochs with four modalities, by embedding and backbone.",
            "Mean over the draws and one s.d. around it. Dotted: no binding. Dash-dotted: "
            "supervised, on the raw data.",
        ),
        "accuracy_6_modalities": (
            "Accuracy against epochs with six modalities.",
            "Six modalities.",
        ),
        "accuracy_8_modalities": (
            "Accuracy against epochs with eight modalities.",
            "Eight modalities.",
        ),
        "accuracy_x4_good": (
            "Accuracy against epochs where X4 alone is good.",
            "X4 good, random backbones.",
        ),
        "accuracy_x3_x4_good": (
            "Accuracy against epochs where X3 and X4 are good.",
            "X3 and X4 good, random backbones.",
        ),
        "loss_curves": (
            "Training loss against epochs for two fixed anchors and CentroBind.",
            "The paper explains why the curves cross by the number of terms: M for the centroid, "
            "M - 1 for a fixed anchor. The right panel divides by it.",
        ),
    },
    "plot_embeddings": {
        "embeddings": (
            "t-SNE and UMAP of the test embeddings of X1, bound to X4 and to the centroid.",
            "Ten of the classes, test rows.",
        ),
    },
    "bench_bounds": {
        "bounds": (
            "Violations of Theorem 3.1, and the loss between the sides of the corrected bound.",
            "Left: how often Theorem 3.1 fails. Right: the loss within the corrected bound.",
        ),
    },
    "calibrate_paper": {},
    "bench_sensitivity": {
        "sensitivity_temperature": ("Accuracy and retrieval against the temperature.", ""),
        "sensitivity_n_components": (
            "Accuracy and retrieval against the width of the embeddings.",
            "",
        ),
        "sensitivity_augmentation_scale": (
            "Accuracy and retrieval against the strength of the augmentation.",
            "",
        ),
        "sensitivity_batch_size": (
            "Accuracy and retrieval against the batch size.",
            "Epochs and learning rate stay the same, so small batches take more steps.",
        ),
        "sensitivity_detach_anchor": (
            "Accuracy and retrieval with and without gradient through the anchor.",
            "The paper does not say whether the gradient flows through the anchor.",
        ),
    },
}

#: The same for the library's own benchmarks, whose figures are in docs/images.
OWN_FIGURES = {
    "bench_methods": {
        "methods_ranks": (
            "Average ranks of the methods by recall@1, and which do not differ significantly.",
            "Average rank of recall@1 over the tasks, 1 is best. Bars join methods that do not "
            "differ significantly by Nemenyi's test at 5 %: a few tasks show no more.",
        ),
    },
    "bench_signs": {
        "signs": (
            "Retrieval between pairs against epochs, by loss, from two starts.",
            "Five feature sets of digits, held-out training rows, mean of the splits and one s.d. "
            "around it. A default stops at the best of three numbers of epochs: it does not follow "
            "its curve down.",
        ),
    },
}

#: Colour, marker and line of each method, distinct without colour, too (Okabe and Ito).
STYLE = {
    "none": ("#000000", "", ":"),
    "FixedAnchor X1": ("#D55E00", "v", "--"),
    "FixedAnchor X4": ("#E69F00", "^", "--"),
    "FixedAnchor X6": ("#E69F00", "^", "--"),
    "FixedAnchor X8": ("#E69F00", "^", "--"),
    "CentroBind": ("#0072B2", "o", "-"),
    "weighted": ("#009E73", "s", "-"),
    "random + intra": ("#CC79A7", "D", "-"),
    "random": ("#56B4E9", "P", "-"),
    "median": ("#F0E442", "X", "-"),
}


def style(method, open_marker=False):
    """Return the keyword arguments of `plot` for a method."""
    colour, marker, line = STYLE[method]
    face = "white" if open_marker else colour
    return {
        "color": colour,
        "marker": marker,
        "linestyle": line,
        "markerfacecolor": face,
        "markeredgecolor": "#444444" if method == "median" else colour,
        "markersize": 4.5,
        "linewidth": 1.4,
    }


def panels(n_rows, n_columns, width=2.3, height=2.2, **options):
    """Make a figure with a grid of axes, always two-dimensional."""
    size = (width * n_columns, height * n_rows)
    options = {"layout": "constrained", "squeeze": False, **options}
    return plt.subplots(n_rows, n_columns, figsize=size, **options)


def band(axis, x, values, label=None, **options):
    """Plot the mean over the draws, with a band of one s.d. around it.

    Parameters
    ----------
    values : array-like of shape (n_draws, n_points)
    """
    values = np.asarray(values, dtype=float)
    mean = values.mean(axis=0)
    axis.plot(x, mean, label=label, **options)
    if len(values) > 1:
        sd = values.std(axis=0, ddof=1)
        axis.fill_between(x, mean - sd, mean + sd, color=options["color"], alpha=0.12, lw=0)


def save(figure, name, folder=IMAGES):
    """Write <name>.png into a folder, by default docs/images/paper."""
    folder.mkdir(parents=True, exist_ok=True)
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    path = folder / f"{name}.png"
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    plt.close(figure)
    # 128 colours are enough and take a third of the bytes.
    Image.open(buffer).convert("RGB").quantize(128).save(path, optimize=True)
    print(f"Drawn: {path.relative_to(IMAGES.parent.parent.parent)}")
