"""
======================================================
Classification across modalities: Table 2 of the paper
======================================================

In a shared space, a classifier does not depend on the modality of an embedding. It can therefore be
trained on a modality with labels and applied to one without. The paper reports this as a matrix:
the modality on which the probe is trained against the one on which it is tested, for several values
of k in top-k accuracy.
"""

# %%
# Five feature sets of handwritten digits
# ---------------------------------------

from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer
from skcentrobind.datasets import load_multiple_features
from skcentrobind.metrics import cross_modal_accuracy

X, y = load_multiple_features(return_X_y=True)
X = X[["fac", "fou", "kar", "pix", "zer"]]
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=1000, stratify=y, random_state=0
)
centrobind = CentroBindTransformer(n_components=32, max_epochs=40, random_state=0).fit(X_train)

# %%
# The matrix
# ----------
# Rows: trained on. Columns: evaluated on. The diagonal is the usual accuracy within a modality.

probe = LogisticRegression(max_iter=1000)
table = cross_modal_accuracy(centrobind, probe, X_train, y_train, X_test, y_test)
table["top-1"].round(2)

# %%
# Top-3: is the digit among the three most likely classes?

table["top-3"].round(2)

# %%
# Comparison with a fixed anchor
# ------------------------------
# The same with all modalities bound to the Fourier coefficients `fou`, which cannot distinguish a 6
# from a 9, since these differ by a rotation.

import matplotlib.pyplot as plt
import numpy as np

fixed = FixedAnchorBindTransformer(
    n_components=32, anchor="fou", max_epochs=40, random_state=0
).fit(X_train)
tables = {
    "CentroBind": table["top-1"],
    "fixed anchor fou": cross_modal_accuracy(
        fixed, probe, X_train, y_train, X_test, y_test, top_k=(1,)
    )["top-1"],
}
fig, axes = plt.subplots(1, 2, figsize=(8.4, 4), layout="constrained")
for ax, (title, values) in zip(axes, tables.items(), strict=True):
    image = ax.imshow(values, vmin=0.5, vmax=1, cmap="cividis")
    for i, j in np.ndindex(values.shape):
        colour = "white" if values.iloc[i, j] < 0.75 else "black"
        ax.text(j, i, f"{values.iloc[i, j]:.2f}", ha="center", va="center", color=colour)
    ax.set_xticks(range(5), values.columns)
    ax.set_yticks(range(5), values.index)
    ax.set(xlabel="evaluated on", ylabel="trained on", title=title)
fig.colorbar(image, ax=axes, label="accuracy", shrink=0.8)
plt.show()
