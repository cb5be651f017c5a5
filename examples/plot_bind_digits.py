"""
======================================================
Binding, retrieval and plotting: digits in three forms
======================================================

Three feature sets describe the same handwritten digits: pixel averages, profile correlations and
Zernike moments. We bind them into one shared space without using the classes. Then the profile of a
digit retrieves its picture, and a classifier trained on profiles classifies pictures.
"""

# %%
# The data: rows are digits, columns are modalities
# -------------------------------------------------
# The container :class:`~skcentrobind.Modalities` holds arrays of different widths. Its length is
# the number of samples, so scikit-learn's `train_test_split` splits digits.

from sklearn.model_selection import train_test_split

from skcentrobind.datasets import load_multiple_features

X, y = load_multiple_features(return_X_y=True)
X = X[["pix", "fac", "zer"]]
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=1000, test_size=300, stratify=y, random_state=0
)
X_train

# %%
# Binding
# -------
# `fit` needs no classes. `loss_curve_` is the sum of the losses of the three modalities.

from skcentrobind import CentroBindTransformer

bind = CentroBindTransformer(n_components=32, max_epochs=30, random_state=0)
bind.fit(X_train)
print(f"loss of the first epoch: {bind.loss_curve_[0]:.1f}")
print(f"loss of the last epoch:  {bind.loss_curve_[-1]:.1f}")

# %%
# Retrieval
# ---------
# The embedding of a digit in each modality has unit length, so inner products are cosines. For
# every pair of modalities, the report states how often the embedding of a digit in the first
# modality retrieves the same digit in the second, among all held-out digits.

from skcentrobind.metrics import retrieval_report

Z_test = bind.transform_modalities(X_test)
retrieval_report(Z_test).round(2)

# %%
# A query needs only one modality: `transform_modality` embeds it alone. These are the pictures that
# rank first for five profiles. The profiles themselves are lists of 216 correlations, which are not
# worth plotting.

import matplotlib.pyplot as plt

queries = bind.transform_modality(X_test["fac"][:5], "fac")
pictures = bind.transform_modality(X_test["pix"], "pix")
titles = ["its own", "1st", "2nd", "3rd", "4th"]
best = (-queries @ pictures.T).argsort(axis=1)[:, :4]

fig, axes = plt.subplots(5, 5, figsize=(6, 6.6), layout="constrained")
for k, row in enumerate(axes):
    for ax, j, title in zip(row, [k, *best[k]], titles, strict=True):
        ax.imshow(X_test["pix"][j].reshape(16, 15), cmap="gray_r")
        ax.set(xticks=[], yticks=[], title=title if k == 0 else "")
        if title != "its own" and j == k:
            ax.spines[:].set(color="#3f90da", linewidth=4)
fig.suptitle("Pictures found by five profiles (blue frame: its own)")
plt.show()

# %%
# A classifier across modalities
# ------------------------------
# It is trained on the profiles of the training digits and tested on the pictures of the held-out
# digits.

from sklearn.linear_model import LogisticRegression

Z_train = bind.transform_modalities(X_train)
classifier = LogisticRegression(max_iter=1000).fit(Z_train["fac"], y_train)
print(f"tested on profiles: {classifier.score(Z_test['fac'], y_test):.2f}")
print(f"tested on pictures: {classifier.score(Z_test['pix'], y_test):.2f}")

# %%
# Plot of the shared space
# ------------------------
# :class:`~skcentrobind.plotting.EmbeddingDisplay` draws all modalities in one plot. Thin lines
# join the embeddings of a digit: short lines mean good alignment.

from skcentrobind.plotting import EmbeddingDisplay

EmbeddingDisplay.from_embeddings(
    Z_test, y_test, method="tsne", max_samples=150, random_state=0, links=True
)
plt.show()
