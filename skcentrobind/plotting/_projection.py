"""From embeddings of all modalities to points in two dimensions."""

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE


def check_method(method):
    """Refuse a method that `project` cannot use."""
    known = isinstance(method, str) and method in ("pca", "tsne", "umap")
    own = hasattr(method, "fit_transform") or callable(method)
    # A class has the method fit_transform, but it is the object that can be called.
    if not known and (isinstance(method, str | type) or not own):
        raise ValueError(
            f"method must be 'pca', 'tsne', 'umap', a transformer or a callable, got {method!r}."
        )


def project(pooled, method, rng):
    """From (n_points, n_components) to (n_points, 2), with names of the two axes."""
    n_points = len(pooled)
    if n_points < 3:
        raise ValueError(f"A picture needs at least 3 embeddings, got {n_points}.")
    if not isinstance(method, str):
        return _own(pooled, method)
    return {"pca": _pca, "tsne": _tsne, "umap": _umap}[method](pooled, rng)


def _pca(pooled, rng):
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


def _tsne(pooled, rng):
    n_points, width = pooled.shape
    tsne = TSNE(perplexity=min(30, (n_points - 1) / 3), init="random", random_state=rng)
    if width > 1:
        tsne.set_params(init="pca")
    return tsne.fit_transform(pooled), ("t-SNE 1", "t-SNE 2")


def _umap(pooled, rng):
    try:
        from umap import UMAP
    except ImportError as exc:
        raise ImportError(
            "method='umap' needs umap-learn, which is not installed: pip install umap-learn. "
            "method='tsne' shows neighbourhoods, too, and needs nothing more."
        ) from exc
    n_points = len(pooled)
    # One job, without which a seed has no effect. The spectral start needs more than a few points.
    umap = UMAP(
        n_neighbors=min(15, n_points - 1),
        init="spectral" if n_points > 15 else "random",
        random_state=rng,
        n_jobs=1,
    )
    return umap.fit_transform(pooled), ("UMAP 1", "UMAP 2")


def _own(pooled, method):
    """Project with a user's transformer, of which a copy is fitted, or function."""
    if hasattr(method, "fit_transform"):
        flat, name = clone(method).fit_transform(pooled), type(method).__name__
    else:
        flat, name = method(pooled), getattr(method, "__name__", type(method).__name__)
    flat = np.asarray(flat, dtype=np.float64)
    if flat.shape != (len(pooled), 2) or not np.isfinite(flat).all():
        raise ValueError(
            f"method must turn {pooled.shape} embeddings into ({len(pooled)}, 2) finite numbers, "
            f"{name} returned shape {flat.shape}. For a transformer set its n_components=2."
        )
    return flat, (f"{name} 1", f"{name} 2")
