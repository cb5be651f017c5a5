"""
=====================================
Emojis: find pictures by text
=====================================

Pictures of emojis and their names in English, Spanish and Japanese are bound into one space. Any
text in these languages then finds pictures, including those of emojis held out from training.
"""

# %%
# Features first
# --------------
# The pictures come with features of a pre-trained network. Names become weights of their n-grams of
# characters, so that any text has features, without a model. Both are fitted on the training rows.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import VarianceThreshold
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skcentrobind import CentroBindTransformer, Modalities, PerModality
from skcentrobind.datasets import load_emoji
from skcentrobind.metrics import cross_modal_accuracy, retrieval_report

emoji = load_emoji(images=True)
pairs = zip(emoji.data["en"], emoji.data["keywords"], strict=True)
english = np.array([f"{name}, {keywords}" for name, keywords in pairs])
X = Modalities({"english": english, **{n: emoji.data[n] for n in ("es", "ja", "picture")}})

seen, unseen = train_test_split(np.arange(len(X)), test_size=400, random_state=0)
ngrams = make_pipeline(
    TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True),
    TruncatedSVD(150, random_state=0),
)
steps = PerModality(
    {"picture": VarianceThreshold(), **dict.fromkeys(("english", "es", "ja"), ngrams)}
)
F = steps.fit(X[seen]).transform(X)

# %%
# Bind
# ----
# The features and the start are named, so that this page builds in seconds; without arguments,
# `fit` chooses them, as the demo does.

bind = CentroBindTransformer(
    encoder="kernel", gamma=0.3, shrinkage=0.1, n_components=128, max_epochs=5, random_state=0
)
bind.fit(F[seen])
Z = bind.transform_modalities(F)
retrieval_report(Z[unseen], ks=(1, 10))[["recall@1", "recall@10", "mrr"]].round(2)

# %%
# Free text
# ---------
# These queries were written down before the space was fitted.


def search(text, language, rows):
    """Return the rows whose pictures are nearest to a text."""
    query = bind.transform_modality(steps.named_transformers_[language].transform([text]), language)
    return rows[np.argsort(-(Z["picture"][rows] @ query[0]))[:8]]


queries = [("wild cat", "english"), ("sport with a ball", "english"), ("música", "es")]
figure, axes = plt.subplots(2 * len(queries), 8, figsize=(7, 6), layout="constrained")
for k, (text, language) in enumerate(queries):
    for row, rows, among in ((2 * k, np.arange(len(X)), "all"), (2 * k + 1, unseen, "unseen")):
        for axis, i in zip(axes[row], search(text, language, rows), strict=True):
            axis.imshow(emoji.images[i])
            axis.set_axis_off()
        axes[row, 0].set_title(f'"{text}", among {among}', loc="left", fontsize=10)

# %%
# Categories, without a labelled picture
# --------------------------------------
# A classifier that is trained on names in one language is tested on pictures of unseen emojis.

from sklearn.linear_model import LogisticRegression

table = cross_modal_accuracy(
    None,
    LogisticRegression(max_iter=1000),
    Z[seen],
    emoji.target[seen],
    Z[unseen],
    emoji.target[unseen],
    top_k=(1,),
)
table["top-1"].round(2)
