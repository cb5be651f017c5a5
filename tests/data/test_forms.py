"""Forms of input: names, columns, and advice on bare lists."""

import numpy as np
import pandas as pd
import pytest
from conftest import WIDTHS
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

from skcentrobind import Modalities


def classify(bind):
    return Pipeline([("bind", bind), ("clf", LogisticRegression())])


def test_bare_list_in_a_pipeline(X, y, binder):
    model, reference = classify(binder()), classify(binder()).fit(X, y)
    arrays = list(X.arrays)
    model.fit(arrays, y)
    np.testing.assert_array_equal(model.predict_proba(arrays), reference.predict_proba(X))
    assert model.score(arrays, y) == reference.score(X, y)
    np.testing.assert_array_equal(model[:-1].transform(arrays), reference[:-1].transform(X))


def test_dict_and_tuple_in_a_pipeline(X, y, binder):
    expected = make_pipeline(binder()).fit(X, y).transform(X)
    for data in (dict(X.items()), X.arrays):
        np.testing.assert_array_equal(
            make_pipeline(binder()).fit(data, y).transform(data), expected
        )


def test_splitting_a_bare_list_is_explained(X, centro):
    # scikit-learn sees three "samples", the modalities, and cuts the list over them.
    search = GridSearchCV(centro(), {"temperature": [0.1]}, cv=3, error_score="raise")
    with pytest.raises(ValueError, match=r"fitted with 2.*wrap it in Modalities"):
        search.fit(list(X.arrays))


# The fits fail, so that the search has no score at all; the warning that explains it is tested.
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_splitting_a_bare_list_is_explained_by_a_warning_too(X, centro):
    search = GridSearchCV(centro(), {"temperature": [0.1]}, cv=3)
    with pytest.warns(UserWarning, match="wrap it in Modalities"):
        search.fit(list(X.arrays))


def test_labels_uncover_a_bare_list(X, y, centro):
    # With y scikit-learn raises, before the estimator gets any data.
    search = GridSearchCV(centro(), {"temperature": [0.1]}, cv=3, error_score="raise")
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[3, 40\]"):
        search.fit(list(X.arrays), y)
    search.fit(Modalities(list(X.arrays)), y)


def test_pandas_output_keeps_the_index_and_the_type(X, centro):
    frame = X.to_frame(index=[f"row{i}" for i in range(len(X))])
    bind = centro().set_output(transform="pandas").fit(frame)
    Z = bind.transform(frame.iloc[5:8])
    assert list(Z.index) == ["row5", "row6", "row7"]
    assert set(Z.dtypes) == {np.dtype("float32")}
    assert isinstance(bind.transform_modalities(frame), Modalities)


def test_columns_of_a_flat_frame_may_be_named(X, centro):
    names = [f"{name}{i}" for name, width in WIDTHS.items() for i in range(width)]
    frame = pd.DataFrame(np.hstack(X.arrays), columns=names)
    cut = {name: [column for column in names if column.startswith(name)] for name in WIDTHS}
    bind = centro(modalities=cut).fit(frame)
    np.testing.assert_array_equal(bind.transform(frame), centro().fit_transform(X))
    assert list(bind.feature_names_in_) == names
    assert bind.modality_names_ == list(WIDTHS)


def test_names_of_a_two_level_frame(X, centro):
    bind = centro().fit(X.to_frame())
    assert list(bind.feature_names_in_[[0, 6, -1]]) == ["image/0", "text/0", "audio/3"]
    assert bind.n_features_in_ == 15
    assert bind.n_features_per_modality_ == [6, 5, 4]


def as_frames(X, prefix=""):
    index = [f"row{i}" for i in range(len(X))]
    return {k: pd.DataFrame(a, index=index).add_prefix(f"{prefix}f") for k, a in X.items()}


def test_columns_of_each_modality_are_compared(X, binder):
    frames = as_frames(X)
    bind = binder().fit(frames)
    expected = bind.transform(frames)
    assert list(bind.feature_names_in_[[0, 6, -1]]) == ["image/f0", "text/f0", "audio/f3"]
    same = [
        dict(reversed(frames.items())),
        list(frames.values()),
        Modalities(frames),
        pd.concat(frames, axis=1),
        pd.concat(dict(reversed(frames.items())), axis=1),
    ]
    for form in same:
        np.testing.assert_array_equal(bind.transform(form), expected)
    text = frames["text"]
    wrong = {
        r"unseen at fit time:\n- text/g\n.*now missing:\n- text/f0": text.rename(
            columns={"f0": "g"}
        ),
        "same order": text.iloc[:, ::-1],
        r"now missing:\n- text/f0\n$": text.iloc[:, 1:],
        r"unseen at fit time:\n- text/more": text.assign(more=1.0),
    }
    for words, frame in wrong.items():
        for form in ({**frames, "text": frame}, [frames["image"], frame, frames["audio"]]):
            with pytest.raises(ValueError, match=f"(?s)Modality 'text': The feature.*{words}"):
                bind.transform(form)
        with pytest.raises(ValueError, match=f"(?s)Modality 'text': The feature.*{words}"):
            bind.transform_modality(frame, "text")
    assert np.isfinite(bind.transform({**frames, "text": None})).all()


def test_a_reordered_list_shows_by_its_widths(X, binder):
    bind = binder().fit(list(X.arrays))
    with pytest.raises(ValueError, match=r"'modality0' has 5 .*with 6 .*'modality1'.*swapped"):
        bind.transform([X["text"], X["image"], X["audio"]])


def test_names_on_one_side_only_warn(X, centro):
    frames, mixed = as_frames(X), {**as_frames(X), "text": X["text"]}
    with pytest.warns(UserWarning, match="'text' does not have valid feature names, but Centro"):
        centro().fit(frames).transform(mixed)
    with pytest.warns(UserWarning, match="'text' has feature names, but CentroBind.* without"):
        bind = centro().fit(mixed)
        bind.transform(frames)
    assert not hasattr(bind, "feature_names_in_")
    assert not hasattr(bind.fit(X), "feature_names_in_")


def test_pandas_output_keeps_the_index_that_all_items_share(X, centro):
    frames = as_frames(X)
    for data in (frames, list(frames.values()), Modalities(frames), {**frames, "text": X["text"]}):
        bind = centro().set_output(transform="pandas")
        Z = bind.fit_transform(data)
        assert list(Z.index[:2]) == ["row0", "row1"]
        assert list(Z.columns) == list(bind.get_feature_names_out())
    frames["text"] = frames["text"].reset_index(drop=True)
    assert list(centro().set_output(transform="pandas").fit_transform(frames).index[:2]) == [0, 1]
    assert type(centro().fit_transform(frames)) is np.ndarray


def test_polars(X, centro):
    pl = pytest.importorskip("polars", reason="polars is optional")
    frames = {
        name: pl.DataFrame(array, schema=[f"{name}{i}" for i in range(array.shape[1])])
        for name, array in X.items()
    }
    expected = centro().fit_transform(X)
    bind = centro().fit(frames)
    np.testing.assert_array_equal(bind.transform(Modalities(frames)), expected)
    with pytest.raises(ValueError, match=r"(?s)Modality 'text'.*now missing:\n- text/text0"):
        bind.transform({**frames, "text": frames["text"].rename({"text0": "other"})})
    flat = pl.DataFrame({name: f[name] for f in frames.values() for name in f.columns})
    cut = centro(modalities={name: f.columns for name, f in frames.items()}).fit(flat)
    np.testing.assert_array_equal(cut.transform(flat), expected)
    for data, estimator in ((frames, centro()), (flat, centro(modalities=[6, 5, 4]))):
        Z = estimator.set_output(transform="polars").fit_transform(data)
        assert isinstance(Z, pl.DataFrame)
        assert Z.columns == list(estimator.get_feature_names_out())
