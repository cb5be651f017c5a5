"""
===================================================
Retrieval of photograph patches by their neighbours
===================================================

A typical use of retrieval: an index over one modality, queries from another. Two photographs are
cut into small patches. Each patch has three modalities: its colours, its texture, and the texture
of its neighbour on the right. Which patches could lie to the left of a given texture?
"""

# %%
# Patches and their modalities
# ----------------------------
# The two photographs come with scikit-learn. Neighbours do not overlap, so they are bound by the
# content of the picture, not by common pixels. Training and test patches come from alternating
# bands of the photographs, four patches high.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images

from skcentrobind import Modalities

SIZE = 16


def patches_of(photo):
    """Cut a photograph (height, width, 3) into (rows, columns, SIZE, SIZE, 3)."""
    rows, columns = photo.shape[0] // SIZE, photo.shape[1] // SIZE
    cut = photo[: rows * SIZE, : columns * SIZE].reshape(rows, SIZE, columns, SIZE, 3)
    return cut.swapaxes(1, 2) / 255


def colours(patches):
    """Mean and quartiles of each channel."""
    pixels = patches.reshape(len(patches), -1, 3)
    parts = [pixels.mean(axis=1), *np.quantile(pixels, [0.1, 0.5, 0.9], axis=1)]
    return np.hstack(parts)


def texture(patches):
    """Amplitudes of the two-dimensional spectrum of the grey values, in logarithms."""
    grey = patches.mean(axis=-1)
    return np.log(np.abs(np.fft.rfft2(grey)) + 0.1).reshape(len(patches), -1)


def modalities_of(grids):
    """Patches that have a neighbour on the right, and their three modalities."""
    left = np.concatenate([g[:, :-1].reshape(-1, SIZE, SIZE, 3) for g in grids])
    right = np.concatenate([g[:, 1:].reshape(-1, SIZE, SIZE, 3) for g in grids])
    named = {"colours": colours(left), "texture": texture(left), "neighbour": texture(right)}
    return left, right, Modalities(named)


grids = [patches_of(photo) for photo in load_sample_images().images]
in_test = [np.arange(len(grid)) // 4 % 2 == 1 for grid in grids]
_, _, X_train = modalities_of([g[~test] for g, test in zip(grids, in_test, strict=True)])
left, right, X_test = modalities_of([g[test] for g, test in zip(grids, in_test, strict=True)])
X_train

# %%
# Binding
# -------

from skcentrobind import CentroBindTransformer
from skcentrobind.metrics import retrieval_report

bind = CentroBindTransformer(n_components=32, max_epochs=60, random_state=0).fit(X_train)
report = retrieval_report(bind.transform_modalities(X_test), ks=(1, 10, 100))
print(f"{len(X_test)} test patches; chance for recall@10 is {10 / len(X_test):.3f}")
report.round(3)

# %%
# This is a hard task: many patches of sky or of a roof fit many others. Ranks well above chance are
# all that can be expected, and more than raw features allow, which cannot be compared across
# modalities.
#
# An index and a query
# --------------------
# The gallery is embedded once. Embeddings have unit length, so nearest neighbours by Euclidean
# distance are those by the cosine, and any index works.

from sklearn.neighbors import NearestNeighbors

gallery = bind.transform_modality(X_test["colours"], "colours")
index = NearestNeighbors(n_neighbors=7).fit(gallery)

chosen = np.random.default_rng(3).choice(len(X_test), 5, replace=False)
queries = bind.transform_modality(X_test["neighbour"][chosen], "neighbour")
found = index.kneighbors(queries, return_distance=False)

fig, axes = plt.subplots(5, 9, figsize=(8.2, 5), layout="constrained")
for row, k, answers in zip(axes, chosen, found, strict=True):
    for ax, patch in zip(row, [right[k], left[k], *left[answers]], strict=True):
        ax.imshow(patch)
        ax.set(xticks=[], yticks=[])
for ax, title in zip(axes[0], ["query", "truth", *map(str, range(1, 8))], strict=True):
    ax.set_title(title, fontsize=10)
fig.suptitle("Found by colour, from the texture of the right-hand neighbour alone")
plt.show()

# %%
# Several modalities as one query
# -------------------------------
# The texture of the patch itself helps. Use the mean of the two embeddings as the query.

both = bind.transform_modality(X_test["texture"][chosen], "texture") + queries
print(index.kneighbors(both, return_distance=False)[:, :3])
