"""From embeddings of all modalities to points in two dimensions."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE


def check_labels(y, n_samples):
    """Return the classes as an array, None if there are none."""
    if y is None:
        return None
    y = np.asarray(y)
    if y.shape != (n_samples,):
        raise ValueError(
            f"y must have one class a sample, shape ({n_samples},), got shape {y.shape}."
        )
    return y


def stack(Z):
    """Embeddings as one array, and which of them are there."""
    shapes = {name: z.shape[1:] for name, z in Z.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise ValueError(
            "Embeddings must be of shape (n_samples, n_components), with the same n_components "
            f"for all modalities, got rows of shape {shapes}. Pass what transform_modalities "
            "returns, not the raw data."
        )
    return np.stack([np.asarray(z) for z in Z.arrays]), Z.present.T  # (n_modalities, n_samples)


def project(pooled, method, rng):
    """From (n_points, n_components) to (n_points, 2), with names of the two axes."""
    n_points, width = pooled.shape
    if n_points < 3:
        raise ValueError(f"A picture needs at least 3 embeddings, got {n_points}.")
    if method == "tsne":
        tsne = TSNE(perplexity=min(30, (n_points - 1) / 3), init="random", random_state=rng)
        if width > 1:
            tsne.set_params(init="pca")
        return tsne.fit_transform(pooled), ("t-SNE 1", "t-SNE 2")
    pca = PCA(n_components=min(2, width), random_state=rng)
    flat = pca.fit_transform(pooled)
    labels = [
        f"PCA {i} ({share:.0%} of the variance)".replace("%", " %")
        for i, share in enumerate(pca.explained_variance_ratio_, start=1)
    ]
    if width == 1:
        return np.column_stack([flat, np.zeros(n_points)]), (labels[0], "")
    return flat, tuple(labels)
