"""
=================================================
Text, image and table: preprocessing per modality
=================================================

Encoders take numbers. :class:`~skcentrobind.PerModality` turns each modality into numbers by its
own transformer, inside the pipeline, so that a search can tune it without leakage between folds.
"""

# %%
# Three modalities of handwritten digits
# --------------------------------------
# The pictures are scikit-learn's. The text is a possible name of the digit, in one of four
# languages, and is missing for one picture in five. The table describes the distribution of the
# ink. Many pictures share a text: as groups, they are no negatives of each other, and any of them
# counts as found. A picture without a text is a group of its own.

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from skcentrobind import Modalities

WORDS = {
    "English": "zero one two three four five six seven eight nine",
    "German": "null eins zwei drei vier fünf sechs sieben acht neun",
    "French": "zéro un deux trois quatre cinq six sept huit neuf",
    "Spanish": "cero uno dos tres cuatro cinco seis siete ocho nueve",
}
PHRASES = ["{}", "a {}", "the digit {}", "{}, by hand"]

rng = np.random.default_rng(0)
image, digit = load_digits(return_X_y=True)
image, digit = image[:1200], digit[:1200]
words = [WORDS[language].split() for language in rng.choice(list(WORDS), size=len(digit))]
text = [rng.choice(PHRASES).format(word[d]) for word, d in zip(words, digit, strict=True)]
text = [None if gone else t for t, gone in zip(text, rng.random(len(text)) < 0.2, strict=True)]

ink = image.reshape(-1, 8, 8)
quarters = np.stack([ink[:, i : i + 4, j : j + 4].sum(axis=(1, 2)) for i in (0, 4) for j in (0, 4)])
names = np.array(["top left", "top right", "bottom left", "bottom right"])
table = pd.DataFrame(
    {
        "ink": ink.sum(axis=(1, 2)),
        "width": (ink.max(axis=1) > 4).sum(axis=1),
        "darkest": names[quarters.argmax(axis=0)],
    }
)

X = Modalities({"text": text, "image": image, "table": table}, groups=text)
train, test = X[:900], X[900:]
X

# %%
# One step per modality
# ---------------------
# `PerModality` is like :class:`~sklearn.compose.ColumnTransformer`, for modalities, and may contain
# one. Samples whose text is missing are not used to fit the text's steps, and their text stays
# missing. Pixels that are white in all pictures are dropped.

from sklearn.compose import make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import VarianceThreshold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

from skcentrobind import CentroBindTransformer, PerModality

per = PerModality(
    {
        "text": make_pipeline(TfidfVectorizer(), TruncatedSVD(20, random_state=0)),
        "image": VarianceThreshold(),
        "table": make_column_transformer(
            (MinMaxScaler(), ["ink", "width"]), (OneHotEncoder(), ["darkest"])
        ),
    }
)
named = {"encoder": "residual", "shrinkage": "oas"}  # so that no fit has to choose them
bind = CentroBindTransformer(n_components=16, **named, max_epochs=15, random_state=0)
pipe = Pipeline([("per", per), ("bind", bind)])
pipe

# %%
# Search over the steps and the temperature
# -----------------------------------------
# The score is the mean reciprocal rank of retrieval, so no labels are needed.

from sklearn.model_selection import GridSearchCV

grid = {
    "per__text__tfidfvectorizer__analyzer": ["word", "char_wb"],
    "bind__temperature": [0.1, 0.3],
}
search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(train)

results = pd.DataFrame(search.cv_results_)
columns = ["param_per__text__tfidfvectorizer__analyzer", "param_bind__temperature"]
results.pivot(index=columns[0], columns=columns[1], values="mean_test_score").round(3)

# %%
# Picture search by words
# -----------------------
# The fitted steps of one modality turn a query into features, and its encoder turns these into an
# embedding.

import matplotlib.pyplot as plt

per, bind = search.best_estimator_["per"], search.best_estimator_["bind"]


def embed(queries):
    return bind.transform_modality(per.named_transformers_.text.transform(queries), "text")


gallery = bind.transform_modality(per.transform(test)["image"], "image")
queries = ["zero", "sieben", "quatre", "the digit ocho"]
nearest = np.argsort(-embed(queries) @ gallery.T, axis=1)[:, :8]

fig, axes = plt.subplots(len(queries), 8, figsize=(6.4, 3.6), layout="constrained")
for row, query, hits in zip(axes, queries, nearest, strict=True):
    row[0].set_ylabel(query, rotation=0, ha="right", va="center")
    for ax, hit in zip(row, hits, strict=True):
        ax.imshow(test["image"][hit].reshape(8, 8), cmap="gray_r")
        ax.set(xticks=[], yticks=[])
plt.show()

# %%
# In the other direction, this classifies the pictures without a classifier: each is assigned the
# digit whose word is nearest.

for language, spelled in WORDS.items():
    read = (gallery @ embed(spelled.split()).T).argmax(axis=1)
    print(f"{language}: {np.mean(read == digit[900:]):.2f} of {len(read)} pictures read correctly")
