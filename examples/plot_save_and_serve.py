"""
======================================
Saving, loading and serving an encoder
======================================

A fitted estimator is saved to a file that holds only data and loaded again, bit for bit. One of its
encoders is exported so that a server without torch can embed queries.
"""

# %%
# Binding
# -------
# Three feature sets of the same handwritten digits, as in the first example.

from sklearn.model_selection import train_test_split

from skcentrobind import CentroBindTransformer
from skcentrobind.datasets import load_multiple_features

X, y = load_multiple_features(return_X_y=True)
X = X[["pix", "fac", "zer"]]
X_train, X_test = train_test_split(X, train_size=800, test_size=300, stratify=y, random_state=0)
bind = CentroBindTransformer(n_components=32, max_epochs=15, random_state=0).fit(X_train)

# %%
# Saving and loading
# ------------------
# The file is in the safetensors format: weights, scalers, and a JSON header with parameters and
# names. Unlike a pickle, it contains nothing executable.

import tempfile
from pathlib import Path

import numpy as np

from skcentrobind import load

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "digits.safetensors"
bind.save(path)
loaded = load(path)
print(f"{path.stat().st_size / 1e6:.1f} MB")
print("same embeddings:", np.array_equal(loaded.transform(X_test), bind.transform(X_test)))
print("same losses:    ", loaded.loss_curve_ == bind.loss_curve_)
loaded

# %%
# Training of the loaded estimator can continue, for example when new digits arrive.

loaded.partial_fit(X_test)
print(f"{bind.n_iter_} epochs before, {loaded.n_iter_} now")

# %%
# Serving
# -------
# Queries are profiles, the gallery holds pictures. The server needs the encoder of the profiles and
# the embeddings of the gallery. The ONNX model takes raw rows, as it includes the standardisation.

import onnxruntime

bind.to_onnx(path.with_suffix(".onnx"), "fac")
session = onnxruntime.InferenceSession(path.with_suffix(".onnx"))
queries = X_test["fac"].astype("float32")
(Z_queries,) = session.run(None, {"features": queries})
difference = np.abs(Z_queries - bind.transform_modality(queries, "fac")).max()
print(f"largest difference: {difference:.0e}")

# %%
# Embeddings have unit length, so inner products are cosines: one matrix product ranks the pictures
# for every profile.

gallery = bind.transform_modality(X_test["pix"], "pix")
ranks = (-Z_queries @ gallery.T).argsort(axis=1)
found = (ranks[:, :5] == np.arange(len(ranks))[:, None]).any(axis=1).mean()
print(f"own picture among the first five of {len(gallery)}: {found:.0%} of the profiles")

# %%
# The distribution of the rank of the matching picture:

import matplotlib.pyplot as plt

own = (ranks == np.arange(len(ranks))[:, None]).argmax(axis=1) + 1
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.plot(np.sort(own), np.arange(1, len(own) + 1) / len(own), drawstyle="steps-post")
ax.plot([1, len(own)], [1 / len(own), 1], "--", color="0.6", label="chance")
ax.set(xscale="log", xlabel="rank of the own picture", ylabel="share of profiles", ylim=(0, 1))
ax.legend(frameon=False)
plt.show()

folder.cleanup()
