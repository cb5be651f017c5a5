"""
=======================================
Search code by words: sparse modalities
=======================================

Two bags of words describe each function of a library: the first paragraph of its documentation,
and the names in its code. Both are sparse matrices with thousands of columns, of which a row fills
some dozen. They are never made dense: the first layer of an encoder multiplies what is stored.

The functions are those of scipy and scikit-learn, which are installed anyway.
"""

# %%
# Functions and what is said of them
# ----------------------------------
# The documentation is cut out of the code, so that the words have to be found in names alone.

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
# Counts of words
# ---------------
# A word of code is a run of letters, so ``fit_predict`` is two. What ``TfidfVectorizer`` returns
# goes straight into the binding transformer.

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
# Bind
# ----
# Masking drops words at random, which suits bags of words better than noise: the encoders learn
# that a word more or less does not change the meaning. Linear encoders are enough here.

search = make_pipeline(
    PerModality(words),
    CentroBindTransformer(
        encoder="linear", augmentation="mask", temperature=0.1, max_epochs=15, random_state=0
    ),
)
search.fit(train)

# %%
# How often does the documentation of a function that was not seen in training find its code among
# all 1,000 that were not seen?

from skcentrobind.metrics import retrieval_report

bags, bind = search[0], search[-1]
gallery = bind.transform_modalities(bags.transform(test))
print(retrieval_report(gallery).round(3))

# %%
# Ask in words of your own
# ------------------------
# The three functions whose code is closest to each question. None was seen in training.

questions = [
    "distance between two probability distributions",
    "eigenvalues of a symmetric matrix",
    "interpolate with splines",
    "split the samples into training and test sets",
]
asked = bags.transform({"text": questions, "code": None})["text"]
scores = bind.transform_modality(asked, "text") @ gallery["code"].T  # (n_questions, n_functions)
for question, row in zip(questions, scores, strict=True):
    print(f"\n{question}")
    for best in np.argsort(-row)[:3]:
        print(f"   {row[best]:.2f}  {test_names[best]}")

# %%
# Which words of the code does a question look for? A linear encoder is a matrix, so the answer is a
# product: the embedding of a single word of code, for each column of the matrix.

from scipy import sparse

vocabulary = bags.named_transformers_["code"].get_feature_names_out()
single = sparse.eye_array(len(vocabulary), format="csr")
per_word = bind.transform_modality(single, "code")  # (n_words, n_components)
for question, z in zip(questions, bind.transform_modality(asked, "text"), strict=True):
    print(f"{question}: {', '.join(vocabulary[np.argsort(-per_word @ z)[:6]])}")
