"""
==============================================
Comparison with canonical correlation analysis
==============================================

CCA is the classical method to map two arrays into one space. The metrics accept embeddings from
any source, so the same code evaluates both methods.
"""

# %%
# Two feature sets of handwritten digits
# --------------------------------------

import numpy as np
from sklearn.cross_decomposition import CCA
from sklearn.model_selection import train_test_split

from skcentrobind.datasets import load_multiple_features

X, y = load_multiple_features(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X[["kar", "zer"]], y, train_size=1200, stratify=y, random_state=0
)

# %%
# The number of components of CCA matters, so it is selected on held-out training rows, like any
# other parameter.

from skcentrobind import Modalities
from skcentrobind.metrics import mean_reciprocal_rank, retrieval_report

X_fit, X_valid = train_test_split(X_train, test_size=0.3, random_state=0)


def cca_embeddings(n_components, train, data):
    cca = CCA(n_components, max_iter=2000).fit(*train.arrays)
    Z = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in cca.transform(*data.arrays)]
    return Modalities(Z, names=X_train.names)


scores = {k: mean_reciprocal_rank(cca_embeddings(k, X_fit, X_valid)) for k in (4, 8, 12, 20)}
n_components = max(scores, key=scores.get)
print(f"chosen: {n_components} components")

# %%
# Two kinds of encoders
# ---------------------
# Linear encoders are as flexible as CCA; the default encoders add a nonlinear part.

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcentrobind import CentroBindTransformer
from skcentrobind.metrics import cross_modal_accuracy

embeddings = {"CCA": [cca_embeddings(n_components, X_train, part) for part in (X_train, X_test)]}
for encoder in ("linear", "residual"):
    bind = CentroBindTransformer(encoder=encoder, max_epochs=40, random_state=0).fit(X_train)
    embeddings[f"CentroBind, {encoder}"] = [
        bind.transform_modalities(part) for part in (X_train, X_test)
    ]

probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
rows = {}
for name, (Z_train, Z_test) in embeddings.items():
    report = retrieval_report(Z_test)
    transfer = cross_modal_accuracy(None, probe, Z_train, y_train, Z_test, y_test)["top-1"]
    rows[name] = {
        "recall@1": report["recall@1"].mean(),
        "MRR": report["mrr"].mean(),
        "trained in kar, tested in zer": transfer.loc["kar", "zer"],
        "trained in zer, tested in kar": transfer.loc["zer", "kar"],
    }
pd.DataFrame(rows).T.round(3)

# %%
# recall@k as a function of k
# ---------------------------

import matplotlib.pyplot as plt

from skcentrobind.plotting import RetrievalDisplay

fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained", sharey=True)
for ax, (name, (_, Z_test)) in zip(axes, embeddings.items(), strict=True):
    RetrievalDisplay.from_embeddings(Z_test, kind="curve", ax=ax)
    ax.set_title(name)
plt.show()
