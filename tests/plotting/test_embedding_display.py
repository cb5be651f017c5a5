"""Scatter plots of embeddings: projections, colours, legends and links."""

import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA

from skcentrobind import CentroBindTransformer, Modalities
from skcentrobind.datasets import make_multimodal_gmm
from skcentrobind.plotting import EmbeddingDisplay

matplotlib.use("Agg")

pytestmark = pytest.mark.usefixtures("close_figures")

N, WIDTH = 30, 6


@pytest.fixture
def Z():
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(N, WIDTH)) for name in ("image", "text", "audio")}
    arrays["text"][[3, 7]] = np.nan
    return Modalities(arrays)


@pytest.fixture
def full():
    rng = np.random.default_rng(0)
    return Modalities([rng.normal(size=(N, WIDTH)) for _ in range(3)])


@pytest.fixture
def y():
    return np.repeat(["cat", "dog", "owl"], N // 3)


def drawn(display):
    """Number of points of every modality in the picture."""
    return {name: len(scatter.get_offsets()) for name, scatter in display.scatters_.items()}


@pytest.mark.parametrize("form", ["modalities", "dict", "list"])
def test_every_form_of_embeddings_gives_the_same_picture(Z, y, form):
    forms = {"modalities": Z, "dict": dict(Z.items()), "list": list(Z.arrays)}
    display = EmbeddingDisplay.from_embeddings(forms[form], y)
    expected = EmbeddingDisplay.from_embeddings(Z, y)
    np.testing.assert_array_equal(display.points, expected.points)
    names = [f"modality{m}" for m in range(3)] if form == "list" else list(Z.names)
    assert display.names == names


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_missing_embeddings_are_left_out(Z, y, method):
    display = EmbeddingDisplay.from_embeddings(Z, y, method=method, random_state=0)
    assert drawn(display) == {"image": N, "text": N - 2, "audio": N}
    np.testing.assert_array_equal(np.isfinite(display.points).all(axis=2), Z.present.T)


def test_pca_is_that_of_the_pooled_embeddings(Z):
    pooled = np.vstack([z[~np.isnan(z[:, 0])] for z in Z.arrays])
    pooled -= pooled.mean(axis=0)
    _, singular, axes = np.linalg.svd(pooled, full_matrices=False)
    display = EmbeddingDisplay.from_embeddings(Z)
    points = display.points[np.isfinite(display.points).all(axis=2)]
    np.testing.assert_allclose(np.abs(points), np.abs(pooled @ axes[:2].T), atol=1e-9)
    share = singular[0] ** 2 / (singular**2).sum()
    assert display.axis_labels[0] == f"PCA 1 ({100 * share:.0f} % of the variance)"


def test_colour_is_the_class_and_marker_the_modality(Z, y):
    display = EmbeddingDisplay.from_embeddings(Z, y)
    colours = display.scatters_["image"].get_facecolors()
    assert len(np.unique(colours, axis=0)) == 3
    for animal in np.unique(y):
        assert len(np.unique(colours[y == animal], axis=0)) == 1
    assert (colours == display.scatters_["audio"].get_facecolors()).all()
    outlines = [scatter.get_paths()[0].vertices for scatter in display.scatters_.values()]
    assert len({outline.tobytes() for outline in outlines}) == 3


def test_without_classes_colour_is_the_modality(Z):
    display = EmbeddingDisplay.from_embeddings(Z)
    colours = {tuple(s.get_facecolors()[0]) for s in display.scatters_.values()}
    assert len(colours) == 3
    assert [t.get_text() for t in display.legends_[0].get_texts()] == list(Z.names)


@pytest.mark.parametrize("n_classes", [1, 3, 10, 25])
@pytest.mark.parametrize("n_modalities", [1, 6, 16])
def test_legends_overlap_neither_the_axes_nor_each_other(n_classes, n_modalities):
    rng = np.random.default_rng(0)
    Z = [rng.normal(size=(50, 3)) for _ in range(n_modalities)]
    display = EmbeddingDisplay.from_embeddings(Z, np.arange(50) % n_classes)
    display.figure_.canvas.draw()
    axes = display.ax_.get_window_extent()
    beside, below = (legend.get_window_extent() for legend in display.legends_)
    assert not axes.overlaps(beside) and not axes.overlaps(below) and not beside.overlaps(below)
    assert axes.width > 200 and axes.height > 200
    for box in (beside, below):
        assert display.figure_.bbox.contains(*box.min) and display.figure_.bbox.contains(*box.max)


def test_links_join_the_modalities_that_a_sample_has(Z):
    only_one = Z[[0, 3, 7]]
    arrays = dict(only_one.items())
    arrays["image"][1] = arrays["image"][2] = np.nan
    display = EmbeddingDisplay.from_embeddings(arrays, links=True)
    # Sample 0 has three modalities; the others have a single one, which joins nothing.
    segments = display.links_.get_segments()
    assert len(segments) == 3
    np.testing.assert_allclose([s[1] for s in segments], [display.points[:, 0].mean(axis=0)] * 3)
    assert EmbeddingDisplay.from_embeddings(arrays).links_ is None


def test_many_samples_are_thinned_the_same_way_every_time(Z, y):
    display = EmbeddingDisplay.from_embeddings(Z, y, max_samples=12, random_state=1)
    assert display.points.shape == (3, 12, 2)
    np.testing.assert_array_equal(display.labels, y[display.rows])
    again = EmbeddingDisplay.from_embeddings(Z, y, max_samples=12, random_state=1)
    np.testing.assert_array_equal(display.points, again.points)
    assert EmbeddingDisplay.from_embeddings(Z, max_samples=None).points.shape == (3, N, 2)


def test_draws_into_given_axes_and_passes_options_on(Z, y):
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    display = EmbeddingDisplay.from_embeddings(Z, y, ax=ax, legend=False, s=33, c="red")
    assert display.ax_ is ax and display.figure_ is ax.figure and display.legends_ == []
    assert display.scatters_["text"].get_sizes() == [33]
    assert display.plot(ax=ax) is display


def test_from_estimator():
    X, y = make_multimodal_gmm(40, n_classes=2, random_state=0)
    bind = CentroBindTransformer(n_components=4, max_epochs=1, random_state=0).fit(X)
    display = EmbeddingDisplay.from_estimator(bind, X, y, random_state=0)
    expected = EmbeddingDisplay.from_embeddings(bind.transform_modalities(X), y, random_state=0)
    np.testing.assert_array_equal(display.points, expected.points)
    with pytest.raises(TypeError, match="list has neither transform_modalities nor transform"):
        EmbeddingDisplay.from_estimator([], X)


def test_one_component():
    display = EmbeddingDisplay.from_embeddings([np.arange(5.0)[:, None], np.ones((5, 1))])
    assert (display.points[..., 1] == 0).all()
    flat = [np.arange(9.0)[:, None]]
    assert EmbeddingDisplay.from_embeddings(flat, method="tsne", random_state=0).points.ndim == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "lda"}, "method must be 'pca', 'tsne', 'umap', a tr.* callable, got 'lda'"),
        ({"method": PCA}, r"a transformer or a callable, got <class .*PCA'>"),
        (
            {"method": PCA(3)},
            r"\(90, 6\) .* into \(90, 2\) finite .* returned shape \(90, 3\)",
        ),
        ({"method": lambda z: z[:, :2] * np.nan}, "finite numbers, <lambda> returned"),
        ({"y": [0, 1]}, r"one class for each of the 30 samples, got shape \(2,\)"),
    ],
)
def test_unusable_arguments(full, arguments, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingDisplay.from_embeddings(full, **arguments)


def test_a_transformer_or_function_projects(full):
    pooled = np.vstack(full.arrays)
    own = PCA(n_components=2, svd_solver="full")
    display = EmbeddingDisplay.from_embeddings(full, method=own)
    assert display.axis_labels == ("PCA 1", "PCA 2")
    np.testing.assert_allclose(np.vstack(display.points), clone(own).fit_transform(pooled))
    assert not hasattr(own, "components_")

    def two_features(embeddings):
        return embeddings[:, [3, 1]]

    display = EmbeddingDisplay.from_embeddings(full, method=two_features)
    assert display.axis_labels == ("two_features 1", "two_features 2")
    np.testing.assert_array_equal(np.vstack(display.points), pooled[:, [3, 1]])


@pytest.mark.slow  # umap compiles its functions when it is imported
@pytest.mark.parametrize("n_samples", [2, 40])
def test_umap_is_seeded_and_takes_few_points(n_samples):
    pytest.importorskip("umap", reason="umap-learn is optional")
    rng = np.random.default_rng(0)
    Z = [rng.normal(size=(n_samples, WIDTH)) for _ in range(2)]
    first, again = (
        EmbeddingDisplay.from_embeddings(Z, method="umap", random_state=0) for _ in range(2)
    )
    assert first.axis_labels == ("UMAP 1", "UMAP 2") and np.isfinite(first.points).all()
    np.testing.assert_array_equal(first.points, again.points)


def test_umap_gets_settings_that_suit_few_points_and_a_seed(full, monkeypatch):
    calls = []

    class UMAP:
        def __init__(self, **settings):
            calls.append(settings)

        def fit_transform(self, pooled):
            return pooled[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    EmbeddingDisplay.from_embeddings(full[:3], method="umap", random_state=0)
    EmbeddingDisplay.from_embeddings(full, method="umap", random_state=0)
    few, many = calls
    assert (few["n_neighbors"], few["init"], few["n_jobs"]) == (8, "random", 1)
    assert (many["n_neighbors"], many["init"], many["n_jobs"]) == (15, "spectral", 1)


def test_a_missing_umap_is_explained(Z, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r"'tsne'.* needs umap-learn, .*pip install umap-learn"):
        EmbeddingDisplay.from_embeddings(Z, method="umap")


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_modalities_in_the_legend_stand_out_from_the_background(Z, y, style):
    import matplotlib.pyplot as plt
    from matplotlib.colors import to_rgb

    with plt.style.context(style):
        display = EmbeddingDisplay.from_embeddings(Z, y)
    background = np.mean(to_rgb(display.figure_.get_facecolor()))
    for handle in display.legends_[1].legend_handles:
        assert abs(np.mean(to_rgb(handle.get_color())) - background) > 0.5


def test_unusable_embeddings():
    with pytest.raises(ValueError, match=r"same n_components .* Pass what transform_modalities"):
        EmbeddingDisplay.from_embeddings([np.ones((5, 2)), np.ones((5, 3))])
    with pytest.raises(ValueError, match="at least 3 embeddings, got 2"):
        EmbeddingDisplay.from_embeddings([np.eye(2)])


def test_a_missing_matplotlib_is_explained(Z, monkeypatch):
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'skcentrobind\[plot\]'"):
        EmbeddingDisplay.from_embeddings(Z)


def test_import_loads_neither_torch_nor_matplotlib():
    code = (
        "import sys, skcentrobind.plotting; "
        "print([m for m in ('torch', 'skorch', 'matplotlib') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
