"""
============================
Diagnosis of a weak modality
============================

A shared space is as good as its modalities, and they are not equally good. This example answers
four questions with metrics and plots: do they retrieve each other, how much information do they
share, is there a modality gap, and how much class information does each of them hold?
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
# Retrieval between modalities
# ----------------------------
# From the modality of the row to that of the column. Pale modalities are weak, as a query or as a
# gallery.

from skcentrobind.plotting import RetrievalDisplay

RetrievalDisplay.from_embeddings(Z)
plt.show()

# %%
# Mutual information
# ------------------
# InfoNCE bounds the mutual information of two modalities from below. The diagonal compares a
# modality with its own augmented rows. The paper lists three kinds of information that a fixed
# anchor loses, and all of them are in this matrix: what the anchor does not hold (its row), the
# information within a modality (the diagonal), and what the others share without the anchor (the
# rest).

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
# Modality gap
# ------------
# Distances between the means of the modalities; 0 means no modality gap, and 2 is the maximum.

from skcentrobind.metrics import alignment
from skcentrobind.plotting import ModalityGapDisplay

ModalityGapDisplay.from_embeddings(Z)
plt.show()

# %%
# A small modality gap alone says little: a collapsed space has none. Also check the distance
# between the embeddings of the same sample.

print(alignment(Z).round(2).to_string())

# %%
# Class information per modality
# ------------------------------

from sklearn.linear_model import LogisticRegression

from skcentrobind.metrics import probe_accuracy

probe = LogisticRegression(max_iter=1000)
probe_accuracy(bind, probe, X_train, y_train, X_test, y_test, top_k=(1, 3)).round(3)

# %%
# Conclusion
# ----------
# `mor` is weak by all four criteria, which is worth knowing before you rely on it. Would the others
# be better without it? Leave it out and compare the mean over the pairs of the others.

from skcentrobind.metrics import retrieval_report

others = ["fac", "fou", "kar", "pix", "zer"]
alone = CentroBindTransformer(n_components=32, max_epochs=40, random_state=0).fit(X_train[others])
with_mor = retrieval_report(Z[others])["recall@1"].mean()
without = retrieval_report(alone.transform_modalities(X_test[others]))["recall@1"].mean()
print(f"recall@1 among the other five, bound with mor {with_mor:.3f}, without {without:.3f}")
