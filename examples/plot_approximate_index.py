"""
===================================================
Search in a large gallery: text to image with faiss
===================================================

Text queries retrieve pictures: 20,000 characters of six fonts are bound to their names.
Exact search compares a query with all of them. An approximate index compares it with some, and
misses a few of the nearest. How much time does this save, and at what cost in recall?
"""

# %%
# Pictures and their names
# ------------------------
# The fonts come with matplotlib, the names with Python. Some pictures occur in several fonts.
# Exact duplicates act as false negatives, so each picture is kept once.

import unicodedata

import numpy as np
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags

from skcentrobind import Modalities

SIZE = 20


def draw(font, character):
    """Draw a character in the middle of a SIZE x SIZE picture with values from 0 to 1."""
    font.set_text(character, 0, flags=LoadFlags.NO_HINTING)
    font.draw_glyphs_to_bitmap()
    drawn = np.asarray(font.get_image())[:SIZE, :SIZE] / 255
    picture = np.zeros((SIZE, SIZE), dtype="float32")
    top, left = (SIZE - drawn.shape[0]) // 2, (SIZE - drawn.shape[1]) // 2
    picture[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return picture


name_of = {}  # a picture, as bytes -> what it shows
for family in ("DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono"):
    for weight in ("normal", "bold"):
        font = get_font(findfont(FontProperties(family=family, weight=weight)))
        font.set_size(16, 72)
        for code in sorted(font.get_charmap()):
            name = unicodedata.name(chr(code), "").lower()
            if name and (picture := draw(font, chr(code))).any():
                name_of.setdefault(picture.tobytes(), f"{name}, {family} {weight}")

pixels = np.frombuffer(b"".join(name_of), dtype="float32").reshape(len(name_of), -1)
X = Modalities({"name": list(name_of.values()), "picture": pixels})
print("\n".join(X["name"][::5000]))
X

# %%
# Binding a third of the pictures
# -------------------------------
# Each modality has its own preprocessing, see :doc:`plot_text_and_table`.

from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skcentrobind import CentroBindTransformer, PerModality

train = np.random.default_rng(0).choice(len(X), 7000, replace=False)
words = make_pipeline(TfidfVectorizer(), TruncatedSVD(200, random_state=0))
per = PerModality([("name", words), ("picture", PCA(60, random_state=0))])
bind = CentroBindTransformer(hidden_layer_sizes=(128,), max_epochs=8, random_state=0)
bind.fit(per.fit_transform(X[train]))


def embed(rows, modality):
    """New rows of one modality, raw, to the shared space."""
    features = per.named_transformers_[modality].transform(rows)
    return bind.transform_modality(features, modality)


# %%
# Exact and approximate search
# ----------------------------
# All pictures are embedded once. :class:`~sklearn.neighbors.NearestNeighbors` searches all of them,
# and so does faiss's `IndexFlatIP` (`pip install faiss-cpu`), which is optimised for one query at a
# time. `IndexHNSWFlat` is a graph of neighbours in which a search walks towards the query: the
# larger `efSearch`, the more of them it visits. Embeddings have unit length, so ranking by inner
# product and ranking by Euclidean distance agree.

import faiss
from sklearn.neighbors import NearestNeighbors

gallery = embed(X["picture"], "picture")

exact = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(gallery)
flat = faiss.IndexFlatIP(gallery.shape[1])
graph = faiss.IndexHNSWFlat(gallery.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
for index in (flat, graph):
    index.add(gallery)

# %%
# The names of 300 held-out characters are searched one after another, as queries arrive in
# practice. The results of an index are compared with those of exact search; the time is the
# median over the queries.

import time

import pandas as pd

unseen = np.setdiff1d(np.arange(len(X)), train)[::40][:300]
queries = embed([X["name"][i] for i in unseen], "name")
truth = exact.kneighbors(queries, return_distance=False)


def measure(search):
    """Recall of the ten nearest, and milliseconds for a query."""
    found, seconds = [], []
    for query in queries:
        start = time.perf_counter()
        found.append(search(query[None])[0])
        seconds.append(time.perf_counter() - start)
    hits = [np.isin(best, rows).mean() for best, rows in zip(truth, found, strict=True)]
    return {"recall": np.mean(hits), "milliseconds": 1e3 * np.median(seconds)}


def walk(ef):
    """Search the graph with this `efSearch`."""
    parameters = faiss.SearchParametersHNSW(efSearch=ef)
    return lambda query: graph.search(query, 10, params=parameters)[1]


searches = {
    "NearestNeighbors": lambda query: exact.kneighbors(query, return_distance=False),
    "IndexFlatIP": lambda query: flat.search(query, 10)[1],
} | {f"IndexHNSWFlat, efSearch={ef}": walk(ef) for ef in (16, 64, 256)}
table = pd.DataFrame({name: measure(search) for name, search in searches.items()}).T
print(f"{len(gallery)} pictures in the gallery, {len(queries)} queries")
table.round(3)

# %%
# An approximate index pays off if the gallery is large: the time of exact search grows with the
# gallery, that of the graph hardly does. The recall above is that of the *search*. The quality of
# the *embeddings* is another question, and no index can improve it: how often is the picture with
# exactly this name, in this font, among the first ten in the gallery?

print(f"recall@10 of exact search: {(truth == unseen[:, None]).any(axis=1).mean():.2f}")
print(f"recall@10 by chance: {10 / len(gallery):.4f}")

# %%
# Text queries
# ------------

import matplotlib.pyplot as plt

phrases = [
    "leftwards arrow",
    "domino tile",
    "omega, bold",
    "integral",
    "box drawings double",
    "star",
]
_, nearest = graph.search(embed(phrases, "name"), 10)

fig, axes = plt.subplots(len(phrases), 10, figsize=(7, 4), layout="constrained")
for row, text, found in zip(axes, phrases, nearest, strict=True):
    row[0].set_ylabel(text, rotation=0, ha="right", va="center")
    for ax, i in zip(row, found, strict=True):
        ax.imshow(pixels[i].reshape(SIZE, SIZE), cmap="gray_r")
        ax.set(xticks=[], yticks=[])
plt.show()
