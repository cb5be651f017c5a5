"""Are CentroBind's embeddings of X1 better clustered than those bound to X4?

Four equally informative modalities, pre-trained backbones; t-SNE and UMAP of the test embeddings of
X1 (Figures 4 and 6 of the paper), and figures against visual illusions: silhouette and probe
accuracy over several draws.
"""

import numpy as np
from _figures import panels, save
from _paper import SETTINGS, SMOKE_SETTINGS, binder, draw, embed, probe
from _report import Table, claims_table, greater, series, spread
from _runs import Benchmark, main
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score

METHODS = ("FixedAnchor X4", "CentroBind")
N_CLASSES = 10  # of 50, so that the colours can be distinguished
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"]
COLOURS += ["#D55E00", "#F0E442", "#000000", "#999999", "#882255"]
MARKERS = "o^sDvP*Xph"


def umap_or_none():
    """Return UMAP's class, or print a note and return None."""
    try:
        from umap import UMAP
    except ImportError:
        print("umap-learn is not installed, so only t-SNE is drawn: pip install umap-learn")
        return None
    return UMAP


def one_draw(settings, seed, qualities):
    train, test = draw(settings, seed, qualities=qualities)
    y = test[1]
    some = y < N_CLASSES
    found = {"raw X": probe(train, test, settings, seed, ["Z1"])}
    for method in METHODS:
        bind = binder(method, "pre-trained", settings, seed).fit(train[0])
        Z = embed(bind, train, test)
        z = Z[1][0].arrays[0][some]
        found[method] = probe(*Z, settings, seed, ["Z1"])
        silhouette = silhouette_score(z, y[some], metric="cosine")
        found[method]["silhouette"] = round(float(silhouette), 5)
        if seed == 0:
            found[method]["classes"] = " ".join(map(str, y[some]))
            found[method] |= _maps(z, settings["maps"])
    return found


def _maps(z, kinds):
    """Return two coordinates per sample as text, which keeps the JSON file short."""
    makers = {}
    if "t-SNE" in kinds:
        makers["t-SNE"] = TSNE(random_state=0, init="pca", metric="cosine")
    if "UMAP" in kinds and (umap := umap_or_none()):
        makers["UMAP"] = umap(random_state=0, n_jobs=1, metric="cosine")
    return {
        name: " ".join(f"{v:.2f}" for v in maker.fit_transform(z).ravel())
        for name, maker in makers.items()
    }


def report(results):
    runs = results["equal"]
    rows = []
    for name in (*METHODS, "raw X"):
        silhouette = "" if name == "raw X" else spread(series(runs, name, "silhouette"))
        rows.append([name, silhouette, spread(series(runs, name, "Z1"))])
    header = ["method", f"silhouette of {N_CLASSES} classes", "accuracy Z1, 50 classes"]
    title = f"Embeddings of X1, equal qualities, {len(runs)} draws, mean (s.d.)"
    yield Table(title, header, rows, "clusters")
    fixed, centroid = METHODS
    claims = [
        (
            f"CentroBind's embeddings of X1 are better clustered ({figure})",
            [greater(series(runs, centroid, key), series(runs, fixed, key), f"against {fixed}")],
        )
        for figure, key in (("silhouette", "silhouette"), ("accuracy", "Z1"))
    ]
    yield claims_table(claims, "Embeddings: claims, paired tests over draws")


def figures(results):
    run = results["equal"]["0"]
    kinds = [kind for kind in ("t-SNE", "UMAP") if kind in run["CentroBind"]]
    figure, axes = panels(len(kinds), len(METHODS), width=3.2, height=2.7)
    for kind, row in zip(kinds, axes, strict=True):
        for method, axis in zip(METHODS, row, strict=True):
            y = np.array(run[method]["classes"].split(), dtype=int)
            points = np.array(run[method][kind].split(), dtype=float).reshape(-1, 2)
            for k in range(N_CLASSES):
                marker = {"color": COLOURS[k], "marker": MARKERS[k], "s": 9, "lw": 0}
                axis.scatter(*points[y == k].T, **marker)
            axis.set_title(f"{kind} of X1: {method}", fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
    save(figure, "embeddings")


BENCHMARK = Benchmark(
    "plot_embeddings",
    one_draw,
    {"equal": {"qualities": [0.8, 0.8, 0.8, 0.8]}},
    5,
    report,
    figures,
    settings={**SETTINGS, "maps": ["t-SNE", "UMAP"]},
    smoke_settings={**SMOKE_SETTINGS, "maps": ["t-SNE"]},
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
