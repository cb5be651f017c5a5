"""
==============================================
Comparison of anchors: centroid, median, fixed
==============================================

The anchor is what embeddings are pulled towards. ImageBind uses one modality; the centroid combines
the information of all of them. The difference is largest if the chosen modality is a poor one.
"""

# %%
# Data and fits
# -------------
# Four feature sets of handwritten digits, of which `mor` is poor. Fixed anchors are pre-trained on
# their own rows, then frozen.

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer
from skcentrobind.datasets import load_multiple_features
from skcentrobind.metrics import probe_accuracy, retrieval_report

X, y = load_multiple_features(return_X_y=True)
X = X[["fac", "kar", "zer", "mor"]]
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=1200, stratify=y, random_state=0
)
common = {"n_components": 32, "max_epochs": 40, "random_state": 0}
common |= {"encoder": "residual", "shrinkage": "oas"}  # the same for all
binders = {
    "centroid": CentroBindTransformer(**common),
    "median": CentroBindTransformer(aggregator="median", **common),
    "random": CentroBindTransformer(aggregator="random", **common),
    "fixed fac": FixedAnchorBindTransformer(anchor="fac", **common),
    "fixed mor": FixedAnchorBindTransformer(anchor="mor", **common),
}
for binder in binders.values():
    binder.fit(X_train)

# %%
# Evaluation without and with labels
# ----------------------------------

rows = {}
probe = LogisticRegression(max_iter=1000)
for name, binder in binders.items():
    report = retrieval_report(binder.transform_modalities(X_test))
    accuracy = probe_accuracy(binder, probe, X_train, y_train, X_test, y_test, top_k=(1,))["top-1"]
    rows[name] = {
        "recall@1": report["recall@1"].mean(),
        "probe, one modality": accuracy[list(X.names)].mean(),
        "probe, all": accuracy["concatenated"],
    }
pd.DataFrame(rows).T.round(3)

# %%
# Loss curves
# -----------
# The loss values of different anchors are not comparable: the centroid has one term more than
# a frozen anchor. Compare when the curves level off.

import matplotlib.pyplot as plt

from skcentrobind.plotting import LossCurveDisplay

LossCurveDisplay.from_estimators({name: binders[name] for name in ("centroid", "fixed mor")})
plt.show()

# %%
# Embeddings
# ----------

from skcentrobind.plotting import EmbeddingDisplay

fig, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
for ax, name in zip(axes, ["centroid", "fixed mor"], strict=True):
    EmbeddingDisplay.from_estimator(
        binders[name], X_test, y_test, method="tsne", max_samples=120, random_state=0,
        ax=ax, legend=False,
    )  # fmt: skip
    ax.set_title(name)
plt.show()
