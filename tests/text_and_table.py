"""Texts, images and tables of the same samples, and a PerModality that turns them into numbers."""

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skcentrobind import PerModality

N = 24
WORDS = ["red", "green", "blue", "cup", "plate", "fork"]


def make_items(n_samples=N, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "text": [" ".join(rng.choice(WORDS, size=4)) for _ in range(n_samples)],
        "image": rng.normal(size=(n_samples, 6)),
        "table": pd.DataFrame(
            {"size": rng.normal(size=n_samples), "kind": rng.choice(["a", "b"], size=n_samples)},
            index=[f"row{i}" for i in range(n_samples)],
        ),
        "rest": rng.normal(size=(n_samples, 2, 2)),
    }


def text_steps():
    return make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0))


def table_steps():
    return make_column_transformer((StandardScaler(), ["size"]), (OneHotEncoder(), ["kind"]))


def make(**changes):
    steps = {"text": text_steps(), "image": StandardScaler(), "table": table_steps()}
    params = {key: changes.pop(key) for key in ("remainder", "n_jobs") if key in changes}
    return PerModality({**steps, **changes}, **params)


def as_dense(item):
    return item.toarray() if sparse.issparse(item) else np.asarray(item)
