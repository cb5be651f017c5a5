"""
================================================
Tuning temperature and aggregator without labels
================================================

Which temperature is best? A retrieval score needs no classes: it measures how often the embedding
of a sample in one modality retrieves the same sample in another. Here stock `GridSearchCV` tunes by
this score, and the labels are used only afterwards, to evaluate the choice.
"""

# %%
# Data: five feature sets of handwritten digits
# ---------------------------------------------

from sklearn.model_selection import train_test_split

from skcentrobind.datasets import load_multiple_features

X, y = load_multiple_features(return_X_y=True)
X = X[["fac", "fou", "kar", "pix", "zer"]]
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=700, stratify=y, random_state=0
)

# %%
# Search
# ------
# `make_retrieval_scorer` returns a scorer for `scoring=`. It is called with the estimator and the
# held-out rows of a fold, and evaluates all ordered pairs of modalities unless `pairs` selects
# some.

from sklearn.model_selection import GridSearchCV

from skcentrobind import CentroBindTransformer
from skcentrobind.metrics import make_retrieval_scorer

# Named, so that no fit of the search has to choose them.
named = {"encoder": "residual", "shrinkage": "oas"}
bind = CentroBindTransformer(n_components=32, **named, max_epochs=20, random_state=0)
grid = {"temperature": [0.05, 0.1, 0.2, 0.5], "aggregator": ["mean", "median"]}
search = GridSearchCV(
    bind, grid, scoring=make_retrieval_scorer(k=1), cv=2, error_score="raise"
).fit(X_train)
print(f"recall@1 {search.best_score_:.3f} with {search.best_params_}")

# %%
# Comparison with a choice by labels
# ----------------------------------
# For each candidate, refitted on all training rows, this is the accuracy of a linear probe on the
# test rows.

import pandas as pd
from sklearn.linear_model import LogisticRegression

from skcentrobind.metrics import probe_accuracy

probe = LogisticRegression(max_iter=1000)
rows = []
for score, setting in zip(
    search.cv_results_["mean_test_score"], search.cv_results_["params"], strict=True
):
    fitted = bind.set_params(**setting).fit(X_train)
    accuracy = probe_accuracy(fitted, probe, X_train, y_train, X_test, y_test, top_k=(1,))["top-1"]
    rows.append(
        {**setting, "recall@1, no labels": score, "accuracy": accuracy[list(X.names)].mean()}
    )
table = pd.DataFrame(rows)
table.round(3)

# %%

chosen = table["accuracy"][table["recall@1, no labels"].idxmax()]
best = table["accuracy"].max()
print(f"accuracy of the choice without labels: {chosen:.3f}")
print(f"accuracy of the best choice by labels: {best:.3f}")

# %%

import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for aggregator, marker in [("mean", "o"), ("median", "^")]:
    part = table[table["aggregator"] == aggregator]
    ax.plot(part["recall@1, no labels"], part["accuracy"], marker, label=aggregator, ms=8)
    for _, row in part.iterrows():
        ax.annotate(
            f"  {row['temperature']:g}", (row["recall@1, no labels"], row["accuracy"]), va="center"
        )
ax.set(
    xlabel="recall@1 on held-out rows, no labels",
    ylabel="accuracy of a probe per modality, mean",
    title="Each point is a candidate; the number is its temperature",
)
ax.legend(frameon=False)
plt.show()
