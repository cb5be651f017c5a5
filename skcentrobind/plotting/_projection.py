"""Project embeddings of all modalities to points in two dimensions."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from skcentrobind._names import did_you_mean, optional
from skcentrobind.metrics._inputs import as_array

#: Points of shape (n_points, 2), and the labels of both axes.
Projection: TypeAlias = tuple[NDArray[np.float64], tuple[str, ...]]


def check_method(method: Any) -> None:
    """Refuse a method that `project` cannot use."""
    known = isinstance(method, str) and method in _METHODS
    custom = hasattr(method, "fit_transform") or callable(method)
    # A transformer class has fit_transform as well, but only its instances can be used.
    if not known and (isinstance(method, str | type) or not custom):
        raise ValueError(
            f"method must be 'pca', 'tsne', 'umap', a transformer or a callable, got {method!r}."
            f"{did_you_mean(method, _METHODS)}"
        )


def project(pooled: NDArray[np.float64], method: Any, rng: np.random.RandomState) -> Projection:
    """Project points of shape (n_points, n_components) to two dimensions, and name the axes."""
    n_points = len(pooled)
    if n_points < 3:
        raise ValueError(f"A scatter plot needs at least 3 embeddings, got {n_points}.")
    if not isinstance(method, str):
        return _custom(pooled, method)
    return _METHODS[method](pooled, rng)


def _pca(pooled: NDArray[np.float64], rng: np.random.RandomState) -> Projection:
    n_points, width = pooled.shape
    pca = PCA(n_components=min(2, width), random_state=rng)
    flat = pca.fit_transform(pooled)
    labels = [
        f"PCA {i} ({share:.0%} of the variance)".replace("%", " %")
        for i, share in enumerate(pca.explained_variance_ratio_, start=1)
    ]
    if width == 1:
        return np.column_stack([flat, np.zeros(n_points)]), (labels[0], "")
    return flat, tuple(labels)


def _tsne(pooled: NDArray[np.float64], rng: np.random.RandomState) -> Projection:
    n_points, width = pooled.shape
    tsne = TSNE(perplexity=min(30, (n_points - 1) / 3), init="random", random_state=rng)
    if width > 1:
        tsne.set_params(init="pca")
    return tsne.fit_transform(pooled), ("t-SNE 1", "t-SNE 2")


def _umap(pooled: NDArray[np.float64], rng: np.random.RandomState) -> Projection:
    what = "method='umap', unlike 'tsne', which shows neighbourhoods as well,"
    library = optional("umap", what, package="umap-learn")
    n_points = len(pooled)
    # The seed only takes effect with one job. Spectral initialisation needs more than a few points.
    umap = library.UMAP(
        n_neighbors=min(15, n_points - 1),
        init="spectral" if n_points > 15 else "random",
        random_state=rng,
        n_jobs=1,
    )
    return umap.fit_transform(pooled), ("UMAP 1", "UMAP 2")


_METHODS = {"pca": _pca, "tsne": _tsne, "umap": _umap}


def _custom(pooled: NDArray[np.float64], method: Any) -> Projection:
    """Project with a user's function, or with a fitted clone of a user's transformer."""
    if hasattr(method, "fit_transform"):
        flat, name = clone(method).fit_transform(pooled), type(method).__name__
    else:
        flat, name = method(pooled), getattr(method, "__name__", type(method).__name__)
    flat = as_array(flat, np.float64)
    if flat.shape != (len(pooled), 2) or not np.isfinite(flat).all():
        raise ValueError(
            f"method must turn {pooled.shape} embeddings into ({len(pooled)}, 2) finite numbers, "
            f"{name} returned shape {flat.shape}. For a transformer set n_components=2."
        )
    return flat, (f"{name} 1", f"{name} 2")
