"""
=======================================
Missing modalities in fit and transform
=======================================

In this example a third of all entries is missing, so most samples are incomplete. Mark missing
modalities by rows of NaN; nothing else is needed. Missing rows are never encoded; the anchor of a
sample is the centroid of the modalities that it has.
"""

# %%
# Digits with missing entries
# ---------------------------

import numpy as np
from sklearn.model_selection import train_test_split

from skcentrobind import Modalities
from skcentrobind.datasets import load_multiple_features


def remove(X, share, seed):
    """Remove a share of all entries at random, but leave every sample one modality."""
    rng = np.random.default_rng(seed)
    missing = rng.random((len(X), X.n_modalities)) < share
    empty = np.flatnonzero(missing.all(axis=1))
    missing[empty, rng.integers(X.n_modalities, size=len(empty))] = False
    return Modalities(
        {
            name: np.where(missing[:, [m]], np.nan, array)
            for m, (name, array) in enumerate(X.items())
        }
    )


X, y = load_multiple_features(return_X_y=True)
X = X[["fac", "kar", "pix", "zer"]]
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=1200, stratify=y, random_state=0
)
incomplete_train, incomplete_test = remove(X_train, 0.3, seed=1), remove(X_test, 0.3, seed=2)
complete = incomplete_train.present.all(axis=1)
print(f"{complete.sum()} of {len(complete)} training samples are complete")

# %%
# Fit on incomplete data
# ----------------------
# The usual alternative is to drop incomplete samples. Both fits are evaluated on the same test
# rows, for each pair on the samples that have both modalities.

from skcentrobind import CentroBindTransformer
from skcentrobind.metrics import retrieval_report

bind = CentroBindTransformer(max_epochs=25, random_state=0)
fits = {
    "nothing missing": X_train,
    "30 % missing": incomplete_train,
    "complete samples only": incomplete_train[complete],
}
recall = {}
for name, data in fits.items():
    Z = bind.fit(data).transform_modalities(incomplete_test)
    recall[name] = retrieval_report(Z)["recall@1"].unstack()
    print(f"{name:22s} recall@1 {np.nanmean(recall[name]):.3f}")

# %%
# Transform
# ---------
# `transform_modalities` returns NaN for a missing modality; `transform` replaces it by the mean of
# the sample's other embeddings, so that a classifier receives complete rows. If a modality is
# missing for all samples, pass None.

from sklearn.linear_model import LogisticRegression

bind.fit(incomplete_train)
classifier = LogisticRegression(max_iter=1000).fit(bind.transform(incomplete_train), y_train)
print(f"all four           {classifier.score(bind.transform(X_test), y_test):.3f}")
print(f"30 % missing       {classifier.score(bind.transform(incomplete_test), y_test):.3f}")
for name in X.names:
    only = {other: X_test[other] if other == name else None for other in X.names}
    print(f"{name} only           {classifier.score(bind.transform(only), y_test):.3f}")

# %%
# Effect of the share of missing entries
# --------------------------------------

import matplotlib.pyplot as plt

shares = [0, 0.3, 0.6]
bound, dropped = [], []
for share in shares:
    train = remove(X_train, share, seed=3)
    whole = train.present.all(axis=1)
    for curve, data in [(bound, train), (dropped, train[whole])]:
        Z = bind.fit(data).transform_modalities(X_test)
        curve.append(retrieval_report(Z)["recall@1"].mean())

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(shares, bound, "o-", label="CentroBind on all samples")
ax.plot(shares, dropped, "s--", label="CentroBind on complete samples")
ax.set(xlabel="share of entries missing in fit", ylabel="recall@1 on complete test samples", ylim=0)
ax.legend(frameon=False)
plt.show()
