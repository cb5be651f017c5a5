"""
=======================================
Code search by words: sparse modalities
=======================================

Two bags of words describe each function of a library: the first paragraph of its documentation,
and the names in its code. Both are sparse matrices with thousands of columns, and a row has a few
dozen entries. They are never made dense: the first layer of an encoder multiplies only the stored
values.

The functions are those of scipy and scikit-learn, which are installed anyway.
"""

# %%
# Functions and their documentation
# ---------------------------------
# The documentation is removed from the code, so that only the names are left to match the words.

import ast
from pathlib import Path

import numpy as np
import scipy
import sklearn

from skcentrobind import Modalities

names, texts, codes = [], [], []
for library in (scipy, sklearn):
    folder = Path(library.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        if {"tests", "externals"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            text = (ast.get_docstring(node) or "").split("\n\n")[0]
            if len(text) >= 30 and len(node.body) > 2:
                names.append(f"{library.__name__}: {path.stem}.{node.name}")
                texts.append(text.replace("\n", " "))
                codes.append("\n".join(ast.unparse(line) for line in node.body[1:]))

X = Modalities({"text": np.array(texts, dtype=object), "code": np.array(codes, dtype=object)})
print(len(X), "functions, for example", names[0])

# %%
# Word counts
# -----------
# A word of code is a run of letters, so ``fit_predict`` is two words. The binding transformer
# accepts the output of ``TfidfVectorizer`` as it is.

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skcentrobind import CentroBindTransformer, PerModality

words = {
    "text": TfidfVectorizer(sublinear_tf=True, stop_words="english"),
    "code": TfidfVectorizer(sublinear_tf=True, token_pattern="[A-Za-z]{2,}", min_df=2),
}
train, test, _, test_names = train_test_split(X, names, test_size=1000, random_state=0)
print(PerModality(words).fit_transform(train))

# %%
# Binding
# -------
# Masking drops words at random, which suits bags of words better than noise: the encoders learn
# that one word more or less does not change the meaning. Linear encoders are sufficient here.

search = make_pipeline(
    PerModality(words),
    CentroBindTransformer(
        encoder="linear", augmentation="mask", temperature=0.1, max_epochs=15, random_state=0
    ),
)
search.fit(train)

# %%
# How often does the documentation of a held-out function retrieve its code among all 1,000 held-out
# functions?

from skcentrobind.metrics import retrieval_report

bags, bind = search[0], search[-1]
gallery = bind.transform_modalities(bags.transform(test))
print(retrieval_report(gallery).round(3))

# %%
# Free-text queries
# -----------------
# These are the three functions whose code is closest to each question. None was seen in training.

questions = [
    "distance between two probability distributions",
    "eigenvalues of a symmetric matrix",
    "interpolate with splines",
    "split the samples into training and test sets",
]
queries = bags.transform({"text": questions, "code": None})["text"]
scores = bind.transform_modality(queries, "text") @ gallery["code"].T  # (n_questions, n_functions)
for question, row in zip(questions, scores, strict=True):
    print(f"\n{question}")
    for best in np.argsort(-row)[:3]:
        print(f"   {row[best]:.2f}  {test_names[best]}")

# %%
# Which words of the code match a question? A linear encoder is a matrix, so a product answers this:
# embed each word of code on its own, one per column of the matrix.

from scipy import sparse

vocabulary = bags.named_transformers_["code"].get_feature_names_out()
single = sparse.eye_array(len(vocabulary), format="csr")
per_word = bind.transform_modality(single, "code")  # (n_words, n_components)
for question, z in zip(questions, bind.transform_modality(queries, "text"), strict=True):
    print(f"{question}: {', '.join(vocabulary[np.argsort(-per_word @ z)[:6]])}")
