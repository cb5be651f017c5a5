"""Calls that cannot work after a fit, or before it: messages that name the likely fix."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from three_modalities import (
    AUDIO,
    DATA,
    FLAT,
    FRAME,
    IMAGE,
    MATRIX,
    NEEDS_FORMS,
    TALL,
    TEXT,
    T,
    V,
    alternating,
    assert_refused,
    centro,
    fitted,
    put,
    text,
)

CASES = {
    # id: (what is done, exception, words)
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
        ["2 modalities", "fitted with 3", "None for a missing modality", "Modalities(X)"],
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
    "score without a pair of shared samples": (
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


@pytest.mark.parametrize("case", CASES)
def test_message(case):
    assert_refused(*CASES[case])
