"""PerModality as a scikit-learn estimator: nested parameters, clones, searches and checks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from text_and_table import N, as_dense, make, make_items

from skcentrobind import Modalities, PerModality


@pytest.fixture
def items():
    return make_items()


@pytest.fixture
def y():
    return np.arange(N) % 2


# --- searches -----------------------------------------------------------------------------


def test_grid_search_over_nested_parameters(items, y, centro):
    items["image"][::7] = np.nan
    items["text"][1] = None
    pipe = Pipeline(
        [("per", make()), ("bind", centro()), ("clf", LogisticRegression())]
    ).set_params(per__table="drop")
    grid = {
        "per__text__tfidfvectorizer__min_df": [1, 3],
        "per__image": [StandardScaler(), MinMaxScaler()],
        "bind__temperature": [0.1, 0.5],
    }
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(Modalities(items), y)
    assert len(search.cv_results_["mean_test_score"]) == 8
    assert search.predict(Modalities(items)).shape == (N,)
    assert len(cross_val_score(pipe, Modalities(items), y, cv=3, error_score="raise")) == 3


def test_search_without_binding_sees_the_parameters(y):
    # Only a vocabulary that keeps the rare word separates the classes.
    X = Modalities({"text": [f"common {'rare' if label else ''}" for label in y]})
    pipe = Pipeline([("per", PerModality({"text": CountVectorizer()})), ("get", get_text())])
    pipe.steps.append(("clf", LogisticRegression()))
    grid = {"per__text__stop_words": [None, ["rare"]]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    assert_allclose(search.cv_results_["mean_test_score"], [1.0, 0.5])


def get_text():
    return FunctionTransformer(lambda X: X["text"])


# --- a scikit-learn estimator -------------------------------------------------------------


def test_nested_parameters_and_clones(items):
    per = make().fit(items)
    params = per.get_params()
    assert params["text__tfidfvectorizer__min_df"] == 1
    assert params["image"] is per.transformers["image"]
    assert "text" not in per.get_params(deep=False)
    given = per.transformers
    copy = clone(per).set_params(
        text__truncatedsvd__n_components=2, image="drop", remainder="passthrough", n_jobs=1
    )
    assert copy.transformers["text"][-1].n_components == 2
    assert copy.fit_transform(items).names == ("text", "table", "rest")
    assert given is per.transformers
    assert given["text"][-1].n_components == 3
    assert not hasattr(clone(per), "transformers_")
    replaced = clone(per).set_params(transformers={"image": PCA(2)}, image__n_components=1)
    assert replaced.fit_transform(items)["image"].shape == (N, 1)
    with pytest.raises(ValueError, match="Invalid parameter 'txt'"):
        per.set_params(txt__min_df=1)


def as_pairs(per):
    return clone(per).set_params(transformers=list(per.transformers.items()))


def test_pairs_do_what_a_dict_does(items):
    per = make(rest="passthrough")
    pairs = as_pairs(per)
    expected, Z = per.fit_transform(items), pairs.fit_transform(items)
    assert Z.names == expected.names
    for name, item in Z.items():
        assert_array_equal(as_dense(item), as_dense(expected[name]))
    # As with a dict, the order is that in which the modalities came.
    backwards = clone(pairs).set_params(transformers=tuple(reversed(pairs.transformers)))
    assert backwards.fit_transform(items).names == Z.names
    assert list(pairs.get_feature_names_out()[:1]) == ["text/truncatedsvd0"]


def test_nested_parameters_and_clones_of_pairs(items):
    per = as_pairs(make()).fit(items)
    given = per.transformers
    params = per.get_params()
    assert params.keys() == make().get_params().keys()
    assert params["image"] is given[1][1]
    copy = clone(per).set_params(text__truncatedsvd__n_components=2, image="drop")
    assert [name for name, _ in copy.transformers] == ["text", "image", "table"]
    assert copy.fit_transform(items).names == ("text", "table")
    assert copy.named_transformers_.text[-1].n_components == 2
    # What was passed stays as it was.
    assert given is per.transformers
    assert given[0][1][-1].n_components == 3
    assert given[1][1] is params["image"]
    replaced = clone(per).set_params(transformers=[("image", PCA(2))], image__n_components=1)
    assert replaced.fit_transform(items)["image"].shape == (N, 1)
    with pytest.raises(ValueError, match="Invalid parameter 'txt'"):
        per.set_params(txt__min_df=1)
    assert "image" not in PerModality([("image", PCA(), "columns")]).get_params()


def test_search_over_pairs(items, y):
    pairs = PerModality([("text", CountVectorizer()), ("image", "drop")])
    pipe = Pipeline([("per", pairs), ("get", get_text()), ("clf", LogisticRegression())])
    grid = {"per__text__min_df": [1, 3], "per__text": [TfidfVectorizer(), CountVectorizer()]}
    X = Modalities({"text": items["text"], "image": items["image"]})
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert [name for name, _ in search.best_estimator_["per"].transformers] == ["text", "image"]


@pytest.mark.parametrize("pairs", [False, True], ids=["dict", "pairs"])
def test_html_shows_the_parts(items, pairs):
    per = make(rest="passthrough")
    per = as_pairs(per) if pairs else per
    for state in (per, clone(per).fit(items)):
        page = state._repr_html_()
        for part in ("TfidfVectorizer", "StandardScaler", "OneHotEncoder", "text", "passthrough"):
            assert part in page


def test_constructor_only_stores():
    sentinels = {"transformers": object(), "remainder": object(), "n_jobs": object()}
    assert vars(PerModality(**sentinels)) == sentinels


#: What scikit-learn's own checks do with the output, and why that fails for `Modalities`.
ON_ARRAYS = {
    "check_array_api_input": "compares the output as one array",
    "check_estimators_pickle": "compares the output as one array",
    "check_fit_idempotent": "compares the output as one array",
    "check_methods_sample_order_invariance": "compares the output as one array",
    "check_methods_subset_invariance": "compares the output as one array",
    "check_pipeline_consistency": "compares the output as one array",
    "check_transformer_data_not_an_array": "compares the output as one array",
    "check_transformer_general": "compares the output as one array",
    "check_transformer_preserve_dtypes": "needs the dtype of the output",
    "check_n_features_in_after_fitting": "the message counts the features of the modality",
    "check_fit2d_predict1d": "the message says what to do about a modality",
}


def test_check_estimator_fails_only_where_it_needs_one_array():
    per = PerModality({}, remainder=StandardScaler(with_mean=False))
    results = check_estimator(per, on_fail=None, on_skip=None)
    failed = {r["check_name"]: repr(r["exception"]) for r in results if r["status"] != "passed"}
    assert not {name: text for name, text in failed.items() if name not in ON_ARRAYS}
    assert sum(r["status"] == "passed" for r in results) >= 30
