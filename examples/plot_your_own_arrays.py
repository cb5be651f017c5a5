"""
======================================================
First steps: binding and evaluation of your own arrays
======================================================

Three arrays that describe the same samples are all you need. Here they are the measurements of 569
breast cancer biopsies: mean, standard error and worst value of ten properties of the cell nuclei,
ten columns each. Replace them by your own arrays; the rest of the page stays the same.
"""

# %%
# Three arrays
# ------------
# Row k of each array describes sample k. Names make the output easier to read.

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from skcentrobind import Modalities

table, y = load_breast_cancer(return_X_y=True)
X = Modalities({"mean": table[:, :10], "error": table[:, 10:20], "worst": table[:, 20:]})
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0)
X_train

# %%
# Binding
# -------
# No labels are needed. The held-out samples are used only for evaluation.

from skcentrobind import CentroBindTransformer

bind = CentroBindTransformer(random_state=0).fit(X_train)
Z_train, Z_test = bind.transform_modalities(X_train), bind.transform_modalities(X_test)

# %%
# Retrieval between modalities
# ----------------------------
# For every pair of modalities: how often does the embedding of a sample in the first retrieve the
# same sample in the second? Compare with chance, which is k divided by the number of samples.

from skcentrobind.metrics import retrieval_report

report = retrieval_report(Z_test)
print(f"chance for recall@1: {1 / len(X_test):.3f}")
report.round(2)

# %%
# The standard errors are the weak modality: retrieval is poor both from and to them.
#
# Probes for a task
# -----------------
# A probe is a simple classifier on frozen embeddings. Compare it with the same classifier on the
# raw arrays: if the raw arrays win by far, do not bind.

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcentrobind.metrics import probe_accuracy

probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
pd.DataFrame(
    {
        name: probe_accuracy(None, probe, a, y_train, b, y_test, top_k=(1,))["top-1"]
        for name, a, b in [("embeddings", Z_train, Z_test), ("raw arrays", X_train, X_test)]
    }
).round(3)

# %%
# Plots
# -----
# Colour is the class, the marker is the modality, and thin lines join the embeddings of one sample.

import matplotlib.pyplot as plt

from skcentrobind.plotting import EmbeddingDisplay, RetrievalDisplay

EmbeddingDisplay.from_embeddings(
    Z_test, y_test, method="tsne", max_samples=120, random_state=0, links=True
)
RetrievalDisplay.from_embeddings(Z_test)
plt.show()
