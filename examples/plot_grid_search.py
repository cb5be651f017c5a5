"""
==============================================
Stock GridSearchCV over temperature and anchor
==============================================

scikit-learn's searches read a plain list of arrays as a list of samples. In a
:class:`~skcentrobind.Modalities` container the rows are samples, so `GridSearchCV` works unchanged,
also on a whole pipeline.
"""

# %%
# Noisy data with four modalities
# -------------------------------
# The synthetic data of the CentroBind paper: four modalities of a Gaussian mixture, of which the
# first shows least and the last shows most.

from sklearn.model_selection import train_test_split

from skcentrobind.datasets import make_multimodal_gmm

X, y = make_multimodal_gmm(1500, n_classes=10, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=500, random_state=0)
X_train

# %%
# Search
# ------
# The names of parameters start with the name of the pipeline step. An aggregator is a name or an
# instance, so weights can be searched, too. `error_score="raise"` reports errors at once.

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skcentrobind import CentroBindTransformer
from skcentrobind.anchors import WeightedAnchor

# Named, so that no fit of the search has to choose them.
named = {"encoder": "residual", "shrinkage": "oas"}
bind = CentroBindTransformer(n_components=16, **named, max_epochs=10, random_state=0)
pipe = Pipeline([("bind", bind), ("classify", LogisticRegression(max_iter=1000))])
grid = {
    "bind__temperature": [0.1, 0.2, 0.5],
    "bind__aggregator": ["mean", "median", WeightedAnchor([0.2, 0.2, 0.2, 1.0])],
}
search = GridSearchCV(pipe, grid, cv=3, error_score="raise").fit(X_train, y_train)

table = pd.DataFrame(search.cv_results_)
table["aggregator"] = table["param_bind__aggregator"].astype(str)
table["temperature"] = table["param_bind__temperature"]
scores = table.pivot(index="aggregator", columns="temperature", values="mean_test_score")
scores.round(3)

# %%
# Differences are small here; the standard deviation over the folds shows which of them matter.

import matplotlib.pyplot as plt

deviation = table.pivot(index="aggregator", columns="temperature", values="std_test_score")
fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for aggregator, marker, shift in zip(scores.index, "os^", [0.97, 1, 1.03], strict=True):
    ax.errorbar(
        scores.columns * shift,  # shifted so that they do not overlap
        scores.loc[aggregator],
        deviation.loc[aggregator],
        marker=marker,
        capsize=3,
        label=aggregator,
    )
ax.set(xscale="log", xlabel="temperature", ylabel="accuracy, mean and s.d. of three folds")
ax.set_xticks(list(scores.columns), [str(t) for t in scores.columns])
ax.minorticks_off()
ax.legend(loc="upper left", bbox_to_anchor=(0, -0.18), frameon=False)
plt.show()

# %%
# The best pipeline, on data not used in the search:

print(f"held-out accuracy: {search.score(X_test, y_test):.3f}")

# %%
# Search without classes
# ----------------------
# A search needs no classifier: `score` of the transformer itself is the mean reciprocal rank of
# retrieval over all pairs of modalities, so a search can select its parameters without labels.

grid = {"temperature": [0.1, 0.2, 0.5]}
alone = GridSearchCV(bind, grid, cv=3, error_score="raise").fit(X_train)
print(f"mean reciprocal rank {alone.best_score_:.3f} at {alone.best_params_}")
