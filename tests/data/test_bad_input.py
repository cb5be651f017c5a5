"""Data that cannot be fitted: the message names the fault and the likely fix.

One table: parameters, data, the exception, and words that its message must hold. The data are the
three modalities of three_modalities.py: image (6 features), text (5), audio (4), 40 rows.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from three_modalities import (
    AUDIO,
    DATA,
    FLAT,
    FRAME,
    IMAGE,
    MATRIX,
    NEEDS_FORMS,
    PUNCHED,
    TALL,
    TEXT,
    T,
    V,
    alternating,
    assert_refused,
    centro,
    fitted,
    fixed,
    put,
    text,
)
from torch import nn

from skcentrobind import Modalities

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
    "infinity behind a missing row": (
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
    "constant except for missing rows": (
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
    "equal names": ({}, {"1": IMAGE, 1: TEXT}, V, ["duplicate names: ['1']", "a name of its own"]),
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

CASES = {
    f"fit: {k}": (lambda p=p, X=X: centro(**p).fit(X), *end) for k, (p, X, *end) in FIT.items()
}


@pytest.mark.parametrize("case", CASES)
def test_message(case):
    assert_refused(*CASES[case])


def test_constant_columns_warn():
    with pytest.warns(UserWarning, match="'text': 2 of 5 columns are constant and are ignored"):
        centro().fit(put(2.0, slice(None), [1, 4]))


def test_a_modality_without_samples_of_the_anchor_warns():
    apart = put(np.nan, slice(0, 20), slice(None)) | {"image": IMAGE.copy()}
    apart["image"][20:] = np.nan  # 'text' has the other half of the samples
    with pytest.warns(UserWarning, match="'text' shares fewer than 2 samples with 'image'"):
        fixed(anchor="image").fit(apart)
    with pytest.warns(UserWarning, match="shares fewer than 2 samples with '[ab]'") as caught:
        centro().fit({"a": apart["image"], "b": apart["text"]})
    assert len(caught) == 2
    fixed(anchor="audio").fit(apart)
    centro().fit(apart)


def test_data_that_are_only_unusual_are_fine():
    # The opposite of the table: nothing here may be refused.
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


def test_a_refused_fit_changes_nothing():
    bind = centro().fit(DATA)
    before = bind.transform(DATA)
    with pytest.raises(ValueError, match="infinity"):
        bind.fit(put(np.inf))
    np.testing.assert_array_equal(bind.transform(DATA), before)
