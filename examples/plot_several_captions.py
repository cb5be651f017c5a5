"""
=============================================
Several captions per picture: false negatives
=============================================

A picture with five captions is five rows. A contrastive loss that takes every other row of a batch
for a negative then pushes a caption away from its own picture, and a metric that takes a single
row for the right one counts a found picture as lost. Neither needs classes to be mended: the
container is told which rows show the same thing.
"""

# %%
# Pictures with five captions each
# --------------------------------
# A caption says four things that it finds in a picture of a handwritten digit, in words of its
# own: how much ink there is, where it lies, how wide it is, whether it leans, whether it encloses
# a hole. It does not name the digit.

import numpy as np
import pandas as pd
from scipy import ndimage
from sklearn.datasets import load_digits

WORDS = {
    "ink": (["thin", "faint", "light"], ["medium"], ["heavy", "bold", "fat"]),
    "height": (["high up", "near the top"], ["centred"], ["low down", "near the bottom"]),
    "side": (["on the left"], ["in the middle"], ["on the right"]),
    "width": (["narrow", "slim"], ["regular"], ["wide", "broad"]),
    "slant": (["leaning left"], ["upright", "straight"], ["leaning right"]),
    "holes": (["open", "without a hole"], ["with a hole", "closed once"], ["with two holes"]),
}


def measured(picture):
    """Return a number per property."""
    y, x = np.nonzero(picture > 4)
    holes = ndimage.label(np.pad(picture, 1) < 5)[1] - 1
    slant = 0 if len(set(y)) < 2 else -np.polyfit(y, x, 1)[0]
    return [picture.sum(), y.mean(), x.mean(), np.ptp(x), slant, holes]


rng = np.random.default_rng(0)
pictures = load_digits().images[rng.permutation(1797)[:400]]
values = pd.DataFrame([measured(picture) for picture in pictures], columns=list(WORDS))
thirds = values.rank(pct=True).mul(3).clip(upper=2.99).astype(int)
thirds["holes"] = values["holes"].clip(0, 2).astype(int)


def caption(row):
    """Say four things about a picture."""
    chosen = rng.choice(list(WORDS), size=4, replace=False)
    return ", ".join(rng.choice(WORDS[what][row[what]]) for what in chosen)


thing = np.repeat(np.arange(400), 5)
captions = [caption(thirds.iloc[k]) for k in thing]
captions[:3], captions[5:8]

# %%
# The container carries the groups
# --------------------------------
# Whatever takes rows from it takes their groups along: slices, splits, searches, pickles.

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GroupShuffleSplit

from skcentrobind import Modalities

X = Modalities({"picture": pictures.reshape(400, -1)[thing], "caption": captions}, groups=thing)
split = GroupShuffleSplit(n_splits=1, test_size=0.25, random_state=0)
train, test = next(split.split(thing, groups=thing))
X

# %%
# False negatives in a batch
# --------------------------
# :class:`~skcentrobind.losses.Samples` is what a loss knows of the rows of a batch. Without groups
# only a row itself is its positive, and the other captions of its picture are false negatives.

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from skcentrobind.losses import Samples

batch = np.sort(rng.permutation(train)[:256])
positives = Samples(groups=torch.as_tensor(thing[batch])).positives().numpy()
false_negatives = positives & ~np.eye(len(batch), dtype=bool)

COLOURS = {"negative": "#d9d9d9", "false negative": "#d1495b", "positive": "#1f77b4"}
itself = np.eye(len(batch), dtype=bool)
kinds = {
    "without groups": np.where(itself, 2, np.where(false_negatives, 1, 0)),
    "with groups": np.where(positives, 2, 0),
}
fig, axes = plt.subplots(1, 2, figsize=(6.4, 4), layout="constrained")
for ax, (title, kind) in zip(axes, kinds.items(), strict=True):
    ax.imshow(kind[:24, :24], cmap=ListedColormap(list(COLOURS.values())), vmin=0, vmax=2)
    ax.set(title=title, xlabel="candidate", xticks=[], yticks=[])
axes[0].set_ylabel("query")
handles = [Patch(color=colour, label=label) for label, colour in COLOURS.items()]
fig.legend(handles=handles, loc="outside lower center", ncols=3)
plt.show()

print(f"{false_negatives.sum(axis=1).mean():.2f} false negatives per row in a batch of 256 rows;")
print(f"{false_negatives.any(axis=1).mean():.0%} of the rows have one or more; with groups none.")

# %%
# Two fits
# --------
# Both see the same rows, and only the second knows which of them belong together. In the first,
# duplicates are negatives, too; by default, rows that are exactly equal in a modality are not,
# which here already covers the pictures.

from sklearn.feature_selection import VarianceThreshold
from sklearn.pipeline import make_pipeline

from skcentrobind import CentroBindTransformer, PerModality

per = PerModality({"caption": TfidfVectorizer(ngram_range=(1, 2)), "picture": VarianceThreshold()})
params = {"n_components": 16, "max_epochs": 30, "random_state": 0}
unaware = make_pipeline(per, CentroBindTransformer(**params, ignore_duplicates=False))
aware = make_pipeline(per, CentroBindTransformer(**params))
unaware.fit(Modalities(dict(X[train].items())))
aware.fit(X[train])

# %%
# What counts as found
# --------------------
# Five rows hold the same picture, so they are exactly as similar to a caption. Without groups a
# metric gives each the mean of their ranks, no picture is ever first, and it warns. With groups any
# row of the picture counts; with ``gallery_groups`` each picture is a candidate only once.

import warnings

from skcentrobind.metrics import recall_at_k

rows = {}
for name, pipe in {"fit without groups": unaware, "fit with groups": aware}.items():
    Z = pipe[-1].transform_modalities(pipe[0].transform(X[test]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = {"recall@1, rows alone": recall_at_k(Z["caption"], Z["picture"])}
    once = {"groups": Z.groups, "gallery_groups": Z.groups[::5]}
    for k in (1, 5, 10):
        found[f"recall@{k}"] = recall_at_k(Z["caption"], Z["picture"][::5], k, **once)
    rows[name] = found
print(caught[0].message)
pd.DataFrame(rows).round(3)

# %%
# Chance is 1, 5 and 10 in 100. The metric is what changes most: training with groups is hardly
# better than training without, here and in ``benchmarks/bench_groups.py``.
#
# From captions to pictures
# -------------------------

queries = ["thin, leaning right", "heavy, with a hole", "wide, near the bottom", "two holes, slim"]
vectorizer = aware[0].named_transformers_["caption"]
z_text = aware[-1].transform_modality(vectorizer.transform(queries), "caption")
one_each = X[test][::5]
features = aware[0].named_transformers_["picture"].transform(one_each["picture"])
z_picture = aware[-1].transform_modality(features, "picture")
nearest = np.argsort(-z_text @ z_picture.T, axis=1)[:, :8]

fig, axes = plt.subplots(len(queries), 8, figsize=(6.4, 3.4), layout="constrained")
for row, query, hits in zip(axes, queries, nearest, strict=True):
    row[0].set_ylabel(query.replace(", ", "\n"), rotation=0, ha="right", va="center", fontsize=8)
    for ax, hit in zip(row, hits, strict=True):
        ax.imshow(one_each["picture"][hit].reshape(8, 8), cmap="gray_r")
        ax.set(xticks=[], yticks=[])
plt.show()
