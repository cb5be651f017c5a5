"""
===============================
Which modality is the weak one?
===============================

A shared space is as good as its modalities, and they are not equally good. Four questions, each
with its number and its picture: can they find each other, how much do they know of each other, is
there a gap between them, and what does each know of the classes?
"""

# %%
# Six feature sets of handwritten digits
# --------------------------------------
# The sixth, `mor`, has only six morphological features.

import matplotlib.pyplot as plt
from sklearn.model_selection import train_test_split

from skcentrobind import CentroBindTransformer
from skcentrobind.datasets import load_multiple_features

X, y = load_multiple_features(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=1200, stratify=y, random_state=0
)
bind = CentroBindTransformer(n_components=32, max_epochs=40, random_state=0).fit(X_train)
Z = bind.transform_modalities(X_test)

# %%
# Can they find each other?
# -------------------------
# From the modality of the row to that of the column. What is pale is weak, as a query or as a
# target.

from skcentrobind.plotting import RetrievalDisplay

RetrievalDisplay.from_embeddings(Z)
plt.show()

# %%
# How much do they know of each other?
# ------------------------------------
# InfoNCE bounds the mutual information of two modalities from below. The diagonal compares a
# modality with its own augmented rows. The paper lists three things that a fixed anchor loses, and
# they are all in this matrix: what the anchor does not know (its row), what a modality knows of
# itself (the diagonal), and what the others share without it (the rest).

import numpy as np

from skcentrobind import Modalities
from skcentrobind.plotting import InformationDisplay

rng = np.random.default_rng(0)
X_noisy = Modalities(
    {name: x + 0.3 * x.std(axis=0) * rng.normal(size=x.shape) for name, x in X_test.items()}
)
InformationDisplay.from_estimator(bind, X_test, X_noisy)
plt.show()

# %%
# Is there a gap?
# ---------------
# Distances between the means of the modalities; 0 is no gap, and 2 the most that can be.

from skcentrobind.metrics import alignment
from skcentrobind.plotting import ModalityGapDisplay

ModalityGapDisplay.from_embeddings(Z)
plt.show()

# %%
# A small gap alone says little: a collapsed space has none. So look at the distance between the
# embeddings of the same sample, too.

print(alignment(Z).round(2).to_string())

# %%
# What does each know of the classes?
# -----------------------------------

from sklearn.linear_model import LogisticRegression

from skcentrobind.metrics import probe_accuracy

probe = LogisticRegression(max_iter=1000)
probe_accuracy(bind, probe, X_train, y_train, X_test, y_test, top_k=(1, 3)).round(3)

# %%
# The verdict
# -----------
# `mor` is weak in each of the four: worth knowing before you build on it. Would the rest be better
# without it? Leave it out and compare the mean over the pairs of the others.

from skcentrobind.metrics import retrieval_report

others = ["fac", "fou", "kar", "pix", "zer"]
alone = CentroBindTransformer(n_components=32, max_epochs=40, random_state=0).fit(X_train[others])
with_mor = retrieval_report(Z[others])["recall@1"].mean()
without = retrieval_report(alone.transform_modalities(X_test[others]))["recall@1"].mean()
print(f"recall@1 among the other five, bound with mor {with_mor:.3f}, without {without:.3f}")
