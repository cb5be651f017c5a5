"""Whatever cannot work says so, names what is wrong, and says what to do; nothing trains silently.

One table: what is done, the exception, and words that its message must hold. The data are the three
modalities of conftest.py: image (6 features), text (5), audio (4), 40 rows.
"""

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import QUICK, draw
from scipy import sparse
from sklearn.exceptions import NotFittedError
from torch import nn

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer, Modalities
from skcentrobind.anchors import MeanAnchor, WeightedAnchor

DATA = dict(draw()[0].items())
IMAGE, TEXT, AUDIO = DATA.values()
MATRIX = np.hstack([IMAGE, TEXT, AUDIO])
FLAT = pd.DataFrame(MATRIX, columns=[f"f{i}" for i in range(15)])
FRAME = Modalities(DATA).to_frame()
PUNCHED = np.where(MATRIX[2, 3] == MATRIX, np.nan, MATRIX)
TALL = np.random.default_rng(0).normal(size=(40, 8, 8))


def centro(**params):
    return CentroBindTransformer(**{**QUICK, **params})


def fixed(**params):
    return FixedAnchorBindTransformer(**{**QUICK, "pretrain_epochs": 1, **params})


@cache
def fitted():
    return centro().fit(DATA)


def text(array):
    """The data with another text."""
    return {**DATA, "text": array}


def put(value, rows=3, columns=1):
    """The data with a value put into some places of the text."""
    array = TEXT.copy()
    array[rows, columns] = value
    return text(array)


def alternating():
    """Rows that have the image or the text, never both."""
    even = (np.arange(40) % 2 == 0)[:, None]
    return {"image": np.where(even, IMAGE, np.nan), "text": np.where(even, np.nan, TEXT)}


def diverging(n_epochs, cls=centro, **params):
    return cls(learning_rate=1e30, max_epochs=n_epochs, **params)


def repeat_partial_fit(bind, n_epochs):
    for _ in range(n_epochs):
        bind.partial_fit(DATA)


V, T = ValueError, TypeError
NEEDS_FORMS = ["list or dict of arrays", "Modalities", "DataFrame", "(n_samples, n_features)"]

FIT = {
    # id: (parameters of CentroBindTransformer, X, exception, words)
    "lengths differ": ({}, text(TEXT[:30]), V, ["image: 40, text: 30", "Align the rows"]),
    "transposed": ({}, text(TEXT.T), V, ["text: 5", "'text' transposed", ".T"]),
    "one nan": ({}, put(np.nan), V, ["'text'", "NaN in 1 of 5", "row 3", "SimpleImputer"]),
    "nan in all but one": (
        {}, put(np.nan, 3, slice(4)), V, ["'text'", "NaN in 4 of 5", "row 3", "imputed"],
    ),
    "sample without modality": (
        {}, {k: np.where(np.arange(40)[:, None] == 7, np.nan, a) for k, a in DATA.items()}, V,
        ["1 of 40 samples", "no modality at all", "row 7", "drop", "X.present.any(axis=1)"],
    ),
    "infinity": ({}, put(np.inf), V, ["'text'", "infinity", "row 3", "Clip"]),
    "minus infinity": ({}, put(-np.inf), V, ["'text'", "infinity", "row 3"]),
    "infinity in float16": (
        {}, text(put(np.inf)["text"].astype(np.float16)), V, ["'text'", "infinity", "row 3"],
    ),
    "infinity behind a gap": (
        {}, text(np.vstack([np.full((1, 5), np.nan), put(np.inf)["text"][1:]])), V, ["row 3"],
    ),
    "too large for float32": ({}, put(1e200), V, ["'text'", "too large", "row 3", "rescale"]),
    "too large, not standardised": (
        {"standardize": False}, text(TEXT * 1e200), V, ["'text'", "too large", "rescale"],
    ),
    "squares too large": (
        {"standardize": False}, text(TEXT * 1e25), V, ["'text'", "too large", "rescale"],
    ),
    "squares too large for a module": (
        {"encoder": nn.Linear}, text(TEXT * 1e25), V, ["'text'", "too large", "rescale"],
    ),
    "constant modality": ({}, text(np.ones((40, 5))), V, ["'text'", "constant", "Leave it out"]),
    "equal rows": (
        {}, text(np.repeat(TEXT[:1], 40, axis=0)), V, ["'text'", "rows are equal", "Leave it out"],
    ),
    "constant but for gaps": (
        {}, text(np.where(np.arange(40)[:, None] < 9, np.nan, 2.5 * np.ones((40, 5)))), V,
        ["'text'", "constant"],
    ),
    "one sample": (
        {}, {k: a[:1] for k, a in DATA.items()}, V, ["1 sample(s)", "minimum of 2"],
    ),
    "no rows": ({}, {k: a[:0] for k, a in DATA.items()}, V, ["'image'", "0 sample(s)"]),
    "no features": ({}, text(TEXT[:, :0]), V, ["'text'", "0 feature(s)", "leave the modality out"]),
    "modality in one sample": (
        {}, put(np.nan, slice(1, None), slice(None)), V,
        ["'text'", "1 of 40 samples", "at least 2", "leave the modality out"],
    ),
    "modality in no sample": (
        {}, put(np.nan, slice(None), slice(None)), V, ["'text'", "0 of 40", "leave the modality"],
    ),
    "empty list": ({}, [], V, ["no array", "Modalities([X_image, X_text])"]),
    "empty dict": ({}, {}, V, ["no array", "expected at least one"]),
    "nothing": ({}, None, T, ["NoneType", *NEEDS_FORMS]),
    "a string": ({}, "image", T, ["str", *NEEDS_FORMS]),
    "a number": ({}, 3.0, T, ["float", *NEEDS_FORMS]),
    "a set": ({}, {1, 2}, T, ["set", *NEEDS_FORMS]),
    "a generator": ({}, (a for a in [IMAGE, TEXT]), T, ["generator", *NEEDS_FORMS]),
    "None among the items": ({}, text(None), V, ["'text'", "None", "transform", "NaN"]),
    "None in a list": ({}, [IMAGE, None], V, ["'modality1'", "None", "transform", "NaN"]),
    "strings": ({}, text(np.full((40, 5), "a")), V, ["'text'", "dtype <U1", "OneHotEncoder"]),
    "texts": ({}, text(["a text"] * 40), V, ["'text'", "dtype object", "PerModality"]),
    "texts in a list": ({}, [["a text"] * 40, IMAGE], V, ["'modality0'", "PerModality"]),
    "categories": (
        {}, text(pd.DataFrame({"u": pd.Categorical(["a"] * 40)})), V, ["'text'", "PerModality"],
    ),
    "objects": ({}, text(TEXT.astype(object)), V, ["'text'", "object", ".astype(float)"]),
    "dates": ({}, text(TEXT.astype("M8[s]")), V, ["'text'", "datetime64", "expected numbers"]),
    "a text column": (
        {}, text(pd.DataFrame(TEXT).assign(word="a")), V, ["'text'", "column 'word'", "Encode"],
    ),
    "complex": ({}, text(TEXT + 1j), V, ["'text'", "complex", "X.real, X.imag"]),
    "a vector in a dict": ({}, text(TEXT[:, 0]), V, ["'text'", "1-D", ".reshape(-1, 1)"]),
    "a vector in a list": ({}, [IMAGE, TEXT[:, 0]], V, ["item 1 is 1-D", "reshape(-1, 1)"]),
    "a list of vectors": ({}, [IMAGE[:, 0], TEXT[:, 0]], V, ["item 0 is 1-D", "reshape(-1, 1)"]),
    "a single vector": ({}, TEXT[:, 0], V, ["Expected 2D array", "reshape(-1, 1)"]),
    "rows of two axes alone": ({}, TALL, V, ["one array of shape", "[X]", "list(X)"]),
    "rows of different length": ({}, [[1.0, 2.0], [3.0]], V, ["inhomogeneous"]),
    "csr alone": ({}, sparse.csr_array(MATRIX), T, ["Sparse", "toarray"]),
    "dok alone": ({}, sparse.dok_array(MATRIX), T, ["Sparse", "toarray"]),
    "masked": ({}, text(np.ma.masked_less(TEXT, 0)), V, ["'text'", "masked", "filled(np.nan)"]),
    "masked alone": ({}, np.ma.masked_less(MATRIX, 0), V, ["masked", "filled(np.nan)"]),
    "equal names": ({}, {"1": IMAGE, 1: TEXT}, V, ["more than once", "['1']", "a name of its own"]),
    "three levels of columns": (
        {}, pd.concat({"a": FRAME}, axis=1), V, ["two-level columns", "pd.concat"],
    ),
    # cuts of a matrix
    "widths do not add up": ({"modalities": [6, 5, 3]}, MATRIX, V, ["sum to 14", "15 columns"]),
    "negative width": ({"modalities": [16, -1]}, MATRIX, V, ["positive widths"]),
    "a cut that is a number": ({"modalities": 3}, MATRIX, V, ["widths, slices or lists", "got 3"]),
    "an empty cut": ({"modalities": []}, MATRIX, V, ["widths, slices or lists", "got []"]),
    "widths that are not whole": ({"modalities": [7.5, 7.5]}, MATRIX, V, ["[7.5, 7.5]", "widths"]),
    "widths among slices": ({"modalities": [3, slice(3, 15)]}, MATRIX, V, ["widths, slices or"]),
    "names for parts": ({"modalities": ["f0", "f1"]}, FLAT, V, ["lists of columns"]),
    "columns beyond": (
        {"modalities": [[0, 1], [20]]}, MATRIX, V, ["'modality1'", "[20]", "15 feature(s)"],
    ),
    "slice beyond": (
        {"modalities": {"a": slice(0, 5), "b": slice(5, 50)}}, MATRIX, V, ["'b'", "5 to 50", "15"],
    ),
    "part without columns": (
        {"modalities": {"a": slice(0, 15), "b": []}}, MATRIX, V, ["'b'", "no column", "15"],
    ),
    "column without a frame": (
        {"modalities": {"a": ["f0"], "b": ["f1"]}}, MATRIX, V, ["'a'", "'f0'", "pass a DataFrame"],
    ),
    "unknown column": (
        {"modalities": {"a": ["f0"], "b": ["f55"]}}, FLAT, V, ["'b'", "'f55'", "Did you mean 'f5'"],
    ),
    "cut of a list": ({"modalities": [6, 5]}, [IMAGE, TEXT], V, ["list", "leave modalities=None"]),
    "cut of a container": (
        {"modalities": [6, 5, 4]}, Modalities(DATA), V, ["Modalities", "leave modalities=None"],
    ),
    "cut of a two-level frame": (
        {"modalities": [6, 5, 4]}, FRAME, V, ["DataFrame", "leave modalities=None"],
    ),
    "nan in a cut": (
        {"modalities": {"a": [0, 1], "b": [2, 3]}}, PUNCHED, V,
        ["'b'", "NaN in 1 of 2", "row 2", "imputed"],
    ),
}  # fmt: skip

PARAMETERS = {
    # id: (parameters, exception, words)
    "n_components": ({"n_components": 0}, V, ["n_components=0", "at least 1"]),
    "n_components is not whole": ({"n_components": 2.0}, V, ["n_components=2.0", "integer"]),
    "unknown encoder": ({"encoder": "cnn"}, V, ["encoder='cnn'", "'residual'", "torch.nn.Module"]),
    "hidden_layer_sizes": ({"hidden_layer_sizes": 8}, V, ["hidden_layer_sizes=8", "(256,)"]),
    "hidden layer of no width": ({"hidden_layer_sizes": (8, 0)}, V, ["(8, 0)", "positive"]),
    "temperature": ({"temperature": 0}, V, ["temperature=0", "positive", "0.2"]),
    "temperature is nan": ({"temperature": np.nan}, V, ["temperature=nan", "positive"]),
    "unknown augmentation": ({"augmentation": "crop"}, V, ["augmentation='crop'", "'marginal'"]),
    "augmentation by an array": ({"augmentation": np.ones(3)}, V, ["augmentation=", "callable"]),
    "augmentations too few": ({"augmentation": ["mask"]}, V, ["has 1", "3 modalities"]),
    "augmentation_scale": ({"augmentation_scale": -1}, V, ["augmentation_scale=-1", "at least 0"]),
    "probability": (
        {"augmentation": "mask", "augmentation_scale": 2}, V, ["scale=2", "at most 1", "'mask'"],
    ),
    "probability in a list": (
        {"augmentation": [None, "marginal", None], "augmentation_scale": 2}, V, ["at most 1"],
    ),
    "standardize": ({"standardize": "yes"}, V, ["standardize='yes'", "True, False or 'whiten'"]),
    "pretrain_epochs": ({"pretrain_epochs": -1}, V, ["pretrain_epochs=-1", "at least 0"]),
    "output": ({"output": "sum"}, V, ["output='sum'", "'concat', 'mean' or 'all'"]),
    "batch of one": ({"batch_size": 1}, V, ["batch_size=1", "at least 2"]),
    "max_epochs": ({"max_epochs": -1}, V, ["max_epochs=-1", "at least 0"]),
    "learning_rate": ({"learning_rate": 0}, V, ["learning_rate=0", "positive", "list or dict"]),
    "a learning rate of a modality": (
        {"learning_rate": {"image": 1e-3, "text": -1, "audio": 1e-3}}, V,
        ["learning_rate=", "'text': -1", "one for each modality"],
    ),
    "no learning rates": ({"learning_rate": []}, V, ["learning_rate=[]", "positive"]),
    "learning rates too few": (
        {"learning_rate": [1e-3, 1e-4]}, V, ["learning_rate has 2", "3 modalities", "single value"],
    ),
    "learning rates of wrong names": (
        {"learning_rate": {"image": 1e-3, "txt": 1e-3, "audio": 1e-3}}, V,
        ["learning_rate", "'txt'", "['image', 'text', 'audio']", "one entry for each"],
    ),
    "weight_decay": ({"weight_decay": -0.1}, V, ["weight_decay=-0.1", "at least 0"]),
    "early_stopping": ({"early_stopping": 5}, V, ["early_stopping=5", "True or False"]),
    "validation_fraction": ({"validation_fraction": 1}, V, ["validation_fraction=1", "between"]),
    "n_iter_no_change": ({"n_iter_no_change": 0}, V, ["n_iter_no_change=0", "at least 1"]),
    "device": ({"device": "quantum"}, V, ["device='quantum'", "device='cpu'"]),
    "device that is not there": ({"device": "cuda:99"}, V, ["device='cuda:99'", "device='auto'"]),
    "device by number": ({"device": 0}, V, ["device=0", "'cuda:1'"]),
    "callbacks": ({"callbacks": ["stop"]}, V, ["callbacks=['stop']", "skorch callbacks"]),
    "a callback that is no list": ({"callbacks": "x"}, V, ["callbacks='x'", "list of skorch"]),
    "random_state": ({"random_state": "x"}, V, ["random_state='x'", "integer"]),
    "negative random_state": ({"random_state": -1}, V, ["random_state=-1", "from 0"]),
    "verbose": ({"verbose": -1}, V, ["verbose=-1", "0, 1 or 2"]),
    "detach_anchor": ({"detach_anchor": "no"}, V, ["detach_anchor='no'", "True or False"]),
    "several at once": (
        {"n_components": -1, "temperature": "hot", "output": 3, "max_epochs": None}, V,
        ["n_components=-1", "temperature='hot'", "output=3", "max_epochs=None"],
    ),
    "unknown aggregator": ({"aggregator": "meen"}, V, ["'meen'", "Did you mean 'mean'", "median"]),
    "weighted by name": ({"aggregator": "weighted"}, V, ["WeightedAnchor([", "instance"]),
    "an aggregator's class": ({"aggregator": MeanAnchor}, V, ["instance of an anchor class"]),
    "weights too few": (
        {"aggregator": WeightedAnchor([1, 2])}, V, ["2 weights", "3 modalities", "one weight"],
    ),
    "weights by wrong names": (
        {"aggregator": WeightedAnchor({"image": 1, "txt": 1, "audio": 1})}, V,
        ["txt", "['image', 'text', 'audio']"],
    ),
    "negative weight": ({"aggregator": WeightedAnchor([1, 1, -1])}, V, ["weights >= 0"]),
    "weights of nothing": ({"aggregator": WeightedAnchor([0, 0, 0])}, V, ["not all 0"]),
    "encoders too few": ({"encoder": ["mlp", "linear"]}, V, ["encoder has 2", "3 modalities"]),
    "encoders of wrong names": (
        {"encoder": {"image": "mlp", "txt": "mlp", "audio": "mlp"}}, V,
        ["encoder", "'txt'", "['image', 'text', 'audio']", "one entry for each"],
    ),
    "an unknown encoder in a dict": (
        {"encoder": {"image": "mlp", "text": "cnn", "audio": "mlp"}}, V, ["encoder=", "'cnn'"],
    ),
    "encoder that fails": (
        {"encoder": nn.Linear(7, 4)}, V, ["'image'", "(2, 6)", "float32", "cannot be multiplied"],
    ),
    "encoder of the wrong shape": (
        {"encoder": {"image": nn.Unflatten(1, (2, 3)), "text": "mlp", "audio": "mlp"}}, V,
        ["'image'", "(batch, width)", "(2, 2, 3)", "flatten or pool"],
    ),
    "encoder that pools the rows": (
        {"encoder": lambda d, k: nn.Sequential(nn.Linear(d, k), nn.Flatten(0))}, V,
        ["'image'", "(batch, width)", "(8,)"],
    ),
    "encoder that returns two things": (
        {"encoder": ["mlp", nn.LSTM(5, 4), "mlp"]}, V, ["'text'", "tuple", "(batch, width)"],
    ),
    "factory of no module": (
        {"encoder": ["mlp", lambda d, k: "mlp", "mlp"]}, T, ["'text'", "torch.nn.Module", "str"],
    ),
    "factory of another signature": (
        {"encoder": ["mlp", lambda d: nn.Linear(d, 4), "mlp"]}, V,
        ["'text'", "(n_features, n_components) = (5, 4)"],
    ),
    "identity of the wrong width": (
        {"encoder": {"image": "linear", "text": "identity", "audio": "linear"}}, V,
        ["'text'", "n_components=4", "5", "n_components=5"],
    ),
    "identities of different widths": (
        {"n_components": "auto", "encoder": ["identity", "identity", "linear"]}, V,
        ["the same for all", "{'image': 6, 'text': 5}", "choose another encoder"],
    ),
    "augmentation of the wrong shape": (
        {"augmentation": lambda x, generator: x[:, :2]}, V,
        ["augmentation must return", "shape of its input", "(40, 6)", "(40, 2)"],
    ),
    "augmentation without result": (
        {"augmentation": lambda x, generator: None}, V, ["augmentation must return", "NoneType"],
    ),
    "augmentation that makes nan": (
        {"augmentation": lambda x, generator: x / 0}, V, ["loss became nan", "epoch 1"],
    ),
}  # fmt: skip

OTHER = {
    # id: (what is done, exception, words)
    "weights of letters": (
        lambda: WeightedAnchor("abc"), V, ["one number for each modality", "'abc'"],
    ),
    "unknown anchor": (
        lambda: fixed(anchor="txt").fit(DATA), V, ["'txt'", "['image', 'text', 'audio']"],
    ),
    "anchor out of range": (lambda: fixed(anchor=3).fit(DATA), V, ["position", "got 3"]),
    "anchor that is not whole": (lambda: fixed(anchor=1.0).fit(DATA), V, ["position", "got 1.0"]),
    "no anchor": (lambda: fixed(anchor=[]).fit(DATA), V, ["anchor must name one", "got []"]),
    "the same anchor twice": (
        lambda: fixed(anchor=[0, "image"]).fit(DATA), V, ["different ones", "[0, 'image']"],
    ),
    "all anchors frozen": (
        lambda: fixed(anchor=[0, 1, 2]).fit(DATA), V, ["freezes all", "freeze_anchor=False"],
    ),
    "freeze_anchor": (
        lambda: fixed(freeze_anchor=None).fit(DATA), V, ["freeze_anchor=None", "True or False"],
    ),
    "direction": (
        lambda: fixed(direction="from").fit(DATA), V, ["direction='from'", "'from_anchor' or"],
    ),
    "nothing to train": (
        lambda: centro(encoder="identity").fit([AUDIO, AUDIO + 1]), V,
        ["nothing to train", "'identity' or frozen", "encoder='residual'"],
    ),
    "nothing but frozen modules": (
        lambda: centro(encoder=nn.Linear(4, 4).requires_grad_(False)).fit([AUDIO, AUDIO + 1]), V,
        ["nothing to train", "frozen"],
    ),
    "nothing but the frozen anchor could learn": (
        lambda: fixed(n_components=5, encoder=["linear", "identity"]).fit([IMAGE, TEXT]), V,
        ["nothing to train", "frozen"],
    ),
    "identity of one feature": (
        lambda: centro(n_components="auto", encoder=["linear", "identity"]).fit(
            [IMAGE, TEXT[:, :1]]
        ), V, ["at least 2", "{'modality1': 1}"],
    ),
    "a stack of modalities": (
        lambda: centro().fit(np.stack([TEXT, TEXT + 1])), V, ["(2, 40, 5)", "list(X)"],
    ),
    "divergence": (
        lambda: diverging(20).fit(DATA), V, ["loss became", "Lower learning_rate", "1e+30"],
    ),
    "divergence in pre-training": (
        lambda: diverging(1, fixed, pretrain_epochs=20).fit(DATA), V, ["loss became", "Lower"],
    ),
    "divergence in pieces": (
        lambda: repeat_partial_fit(diverging(1), 20), V, ["loss became", "Lower learning_rate"],
    ),
    "too few rows to stop early": (
        lambda: centro(early_stopping=True).fit({k: a[:3] for k, a in DATA.items()}), V,
        ["holds out 2 of 3", "fewer than 2", "early_stopping=False"],
    ),
    "hardly any row left to learn from": (
        lambda: centro(early_stopping=True, validation_fraction=0.99).fit(DATA), V,
        ["validation_fraction=0.99", "holds out 40 of 40", "fewer than 2"],
    ),
    "no modality left to learn from": (
        lambda: centro(early_stopping=True, validation_fraction=0.9).fit(
            put(np.nan, slice(2, None), slice(None))
        ), V, ["holds out 36 of 40", "'text'", "give more samples"],
    ),
    "no pair among the rows held out": (
        lambda: centro(early_stopping=True).fit(alternating()), V,
        ["holds out 4 of 40", "no two modalities meet", "early_stopping=False"],
    ),
    # transform and score
    "transform before fit": (lambda: centro().transform(DATA), NotFittedError, ["not fitted"]),
    "transform_modality before fit": (
        lambda: centro().transform_modality(TEXT, "text"), NotFittedError, ["Call 'fit'"],
    ),
    "score before fit": (lambda: centro().score(DATA), NotFittedError, ["not fitted"]),
    "names before fit": (lambda: centro().get_feature_names_out(), NotFittedError, ["not fitted"]),
    "attribute before fit": (lambda: centro().loss_curve_, NotFittedError, ["not fitted"]),
    "swapped modalities": (
        lambda: fitted().transform([TEXT, IMAGE, AUDIO]), V,
        ["'image' has 5 features", "fitted with 6", "shape of 'text'", "swapped"],
    ),
    "swapped names": (
        lambda: fitted().transform({"image": TEXT, "text": IMAGE, "audio": AUDIO}), V,
        ["'image' has 5 features", "swapped"],
    ),
    "too few modalities": (
        lambda: fitted().transform([IMAGE, TEXT]), V,
        ["2 modalities", "fitted with 3", "None for an absent modality", "Modalities(X)"],
    ),
    "too many modalities": (
        lambda: fitted().transform([IMAGE, TEXT, AUDIO, AUDIO]), V, ["4 modalities", "with 3"],
    ),
    "too many modalities, some None": (
        lambda: fitted().transform([IMAGE, None, None, None]), V, ["4 modalities", "with 3"],
    ),
    "wrong name": (
        lambda: fitted().transform({"image": IMAGE, "txt": TEXT, "audio": AUDIO}), V,
        ["'txt'", "Did you mean 'text'", "Rename"],
    ),
    "wrong name for None": (
        lambda: fitted().transform({"image": IMAGE, "txt": None, "audio": AUDIO}), V,
        ["'txt'", "Did you mean 'text'"],
    ),
    "missing name": (
        lambda: fitted().transform({"image": IMAGE, "text": TEXT}), V,
        ["['image', 'text']", "['image', 'text', 'audio']", "Pass None"],
    ),
    "wrong width": (
        lambda: fitted().transform(text(TEXT[:, :3])), V, ["'text' has 3 features", "with 5"],
    ),
    "names in messages about lists": (
        lambda: fitted().transform([IMAGE, TEXT[:3], AUDIO]), V, ["image: 40, text: 3, audio: 40"],
    ),
    "rows of another shape": (
        lambda: centro().fit([TALL, TEXT]).transform([TALL[:, :, :4], TEXT]), V,
        ["'modality0'", "(8, 4)", "fitted with", "(8, 8)"],
    ),
    "rows that were flattened": (
        lambda: centro().fit([TALL, TEXT]).transform([TALL.reshape(40, 64), TEXT]), V,
        ["'modality0'", "64 features", "fitted with", "(8, 8)"],
    ),
    "all None in a list": (
        lambda: fitted().transform([None] * 3), V, ["All 3 modalities are None", "at least one"],
    ),
    "all None in a dict": (
        lambda: fitted().transform(dict.fromkeys(DATA)), V, ["All 3 modalities are None", "'text'"],
    ),
    "nothing but NaN": (
        lambda: fitted().transform([np.full_like(a, np.nan) for a in DATA.values()]), V,
        ["40 of 40 samples have no modality", "row 0"],
    ),
    "lengths beside None": (
        lambda: fitted().transform([IMAGE, None, AUDIO[:3]]), V, ["image: 40", "audio: 3"],
    ),
    "infinity at transform": (
        lambda: fitted().transform(put(np.inf)), V, ["'text'", "infinity", "row 3"],
    ),
    "nan at transform": (
        lambda: fitted().transform(put(np.nan)), V, ["'text'", "NaN in 1 of 5", "row 3"],
    ),
    "too large at transform": (
        lambda: fitted().transform(put(1e200)), V, ["'text'", "too large", "row 3"],
    ),
    "squares too large at transform": (
        lambda: fitted().transform(put(1e30)), V, ["'text'", "too large", "outliers"],
    ),
    "a matrix after a dict": (
        lambda: fitted().transform(MATRIX), V, ["1 modalities", "fitted with 3"],
    ),
    "nothing at transform": (lambda: fitted().transform(None), T, ["NoneType", *NEEDS_FORMS]),
    "renamed modality of a frame": (
        lambda: centro().fit(FRAME).transform(FRAME.rename(columns={"text": "txt"})), V,
        ["'txt'", "Did you mean 'text'"],
    ),
    "renamed column of a two-level frame": (
        lambda: centro().fit(FRAME).transform(FRAME.rename(columns={0: "zero"})), V,
        ["'image'", "feature names should match", "image/zero", "now missing", "image/0"],
    ),
    "renamed column of a flat frame": (
        lambda: centro(modalities=[6, 9]).fit(FLAT).transform(FLAT.rename(columns={"f5": "g"})), V,
        ["feature names should match", "g", "now missing", "f5"],
    ),
    "columns in another order": (
        lambda: centro(modalities=[6, 9]).fit(FLAT).transform(FLAT[FLAT.columns[::-1]]), V,
        ["same order"],
    ),
    "unknown name of a single modality": (
        lambda: fitted().transform_modality(TEXT, "txt"), V, ["'txt'", "name or", "'text'"],
    ),
    "position of a single modality": (
        lambda: fitted().transform_modality(TEXT, 3), V, ["name or position", "got 3"],
    ),
    "width of a single modality": (
        lambda: fitted().transform_modality(IMAGE, "text"), V, ["'text' has 6 features", "with 5"],
    ),
    "one row of a single modality": (
        lambda: fitted().transform_modality(TEXT[0], "text"), V, ["'text'", "1-D", "reshape"],
    ),
    "nan in a single modality": (
        lambda: fitted().transform_modality(put(np.nan)["text"], "text"), V, ["'text'", "row 3"],
    ),
    "score of one row": (
        lambda: fitted().score([a[:1] for a in DATA.values()]), V, ["minimum of 2", "score"],
    ),
    "score of one row of one modality": (
        lambda: centro().fit([TEXT]).score([TEXT[:1]]), V, ["minimum of 2", "score"],
    ),
    "score where no pair meets": (
        lambda: fitted().score({**alternating(), "audio": None}), V,
        ["two modalities that share at least two samples"],
    ),
    "too few input features": (
        lambda: fitted().get_feature_names_out(["a"]), V, ["input_features", "(15)", "got 1"],
    ),
    "other input features": (
        lambda: centro().fit(FRAME).get_feature_names_out(list("abcdefghijklmno")), V,
        ["input_features is not equal to feature_names_in_"],
    ),
    # partial_fit
    "partial_fit with one sample": (
        lambda: centro().fit(DATA).partial_fit([a[:1] for a in DATA.values()]), V,
        ["1 sample(s)", "minimum of 2", "partial_fit"],
    ),
    "partial_fit with one sample first": (
        lambda: centro().partial_fit([a[:1] for a in DATA.values()]), V, ["1 sample(s)"],
    ),
    "partial_fit with another width": (
        lambda: centro().fit(DATA).partial_fit(text(TEXT[:, :3])), V, ["'text' has 3 features"],
    ),
    "partial_fit with bad parameters": (
        lambda: centro(temperature=-1).partial_fit(DATA), V, ["temperature=-1"],
    ),
}  # fmt: skip

CASES = {
    **{f"fit: {k}": (lambda p=p, X=X: centro(**p).fit(X), *end) for k, (p, X, *end) in FIT.items()},
    **{
        f"parameter: {k}": (lambda p=p: centro(**p).fit(DATA), *end)
        for k, (p, *end) in PARAMETERS.items()
    },
    **OTHER,
}


@pytest.mark.parametrize("case", CASES)
def test_message(case):
    act, exception, words = CASES[case]
    everywhere = "".join(f"(?=.*{re.escape(word)})" for word in words)
    with pytest.raises(exception, match=f"(?s)^{everywhere}"):
        act()


def test_constant_columns_warn():
    with pytest.warns(UserWarning, match="'text': 2 of 5 columns are constant and are ignored"):
        centro().fit(put(2.0, slice(None), [1, 4]))


def test_a_modality_that_never_meets_the_anchor_warns():
    apart = put(np.nan, slice(0, 20), slice(None)) | {"image": IMAGE.copy()}
    apart["image"][20:] = np.nan  # 'text' has the other half of the samples
    with pytest.warns(UserWarning, match="'text' shares fewer than 2 samples with 'image'"):
        fixed(anchor="image").fit(apart)
    with pytest.warns(UserWarning, match="shares fewer than 2 samples with '[ab]'") as caught:
        centro().fit({"a": apart["image"], "b": apart["text"]})
    assert len(caught) == 2
    fixed(anchor="audio").fit(apart)
    centro().fit(apart)


def test_partial_fit_that_diverges_leaves_nothing_that_could_be_used():
    bind = centro(augmentation=lambda x, generator: x / flaw).set_params(random_state=0)
    flaw = 1.0
    bind.fit(DATA)
    flaw = 0.0
    with pytest.raises(ValueError, match="diverged"):
        bind.partial_fit(DATA)
    with pytest.raises(NotFittedError):
        bind.transform(DATA)


def test_data_that_are_only_unusual_are_fine():
    # The other side of the table: nothing here may be refused.
    few = {name: array[:2] for name, array in DATA.items()}
    assert np.isfinite(centro().fit_transform(few)).all()
    assert np.isfinite(centro().fit_transform([TEXT[:, :1], AUDIO])).all()
    assert np.isfinite(centro().fit_transform(put(1e12))).all()
    assert np.isfinite(centro().fit_transform([TEXT.tolist(), AUDIO.tolist()])).all()
    assert np.isfinite(centro().fit_transform(TEXT.tolist())).all()
    with pytest.warns(UserWarning, match="is not bound"):
        assert np.isfinite(centro().fit_transform(alternating())).all()
    assert np.isfinite(centro().fit_transform([torch.from_numpy(TEXT), AUDIO > 0])).all()
    assert np.isfinite(centro(modalities=[[0, 1], (1, 2), range(5)]).fit_transform(MATRIX)).all()
    for cut in ([np.arange(2), np.array([2])], [np.arange(3) < 2, np.arange(3) == 2], np.r_[2, 1]):
        bind = centro(modalities=cut).fit(MATRIX[:, :3])
        assert bind.n_features_per_modality_ == [2, 1]
    assert np.isfinite(fitted().transform(put(np.nan, 3, slice(None)))).all()
    assert np.isfinite(fitted().transform({name: array[:1] for name, array in DATA.items()})).all()


def test_a_refused_fit_leaves_nothing_that_could_be_used():
    bind = centro().fit(DATA)
    with pytest.raises(ValueError, match="infinity"):
        bind.fit(put(np.inf))
    with pytest.raises(NotFittedError):
        bind.transform(DATA)
