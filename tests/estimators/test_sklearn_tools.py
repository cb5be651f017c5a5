"""Every stock tool of scikit-learn takes the data, and the form of the data makes no difference.

Three forms pass through scikit-learn's splitters: `Modalities`, a DataFrame with two-level columns,
and one matrix that the estimator cuts by its parameter `modalities`. A bare list or dict does not,
since its length is the number of modalities; it works wherever nothing is split. That several
processes change nothing is tested in test_determinism.py.
"""

import io

import joblib
import numpy as np
import pytest
from conftest import WIDTHS
from scipy import stats
from sklearn.base import clone
from sklearn.ensemble import StackingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    permutation_test_score,
    train_test_split,
)
from sklearn.pipeline import FeatureUnion, Pipeline

from skcentrobind.metrics import mean_reciprocal_rank

GRID = {"bind__temperature": [0.1, 0.5], "bind__aggregator": ["mean", "median"]}


def as_form(form, X, bind):
    """The same data in another form, and an estimator that reads it."""
    if form == "frame":
        return X.to_frame(), bind
    if form == "matrix":
        return np.hstack(X.arrays), clone(bind).set_params(modalities=WIDTHS)
    return X, bind


def classify(bind):
    return Pipeline([("bind", bind), ("clf", LogisticRegression())])


def grid_search(X, y, bind):
    search = GridSearchCV(classify(bind), GRID, cv=3, error_score="raise").fit(X, y)
    return search.cv_results_["mean_test_score"], search.predict_proba(X)


def grid_search_without_labels(X, y, bind):
    search = GridSearchCV(bind, {"temperature": [0.1, 1.0]}, cv=2, error_score="raise").fit(X)
    return search.cv_results_["mean_test_score"], search.transform(X)


def randomized_search(X, y, bind):
    law = {"bind__temperature": stats.loguniform(0.05, 1), "bind__augmentation_scale": [0.1, 0.5]}
    search = RandomizedSearchCV(
        classify(bind), law, n_iter=3, cv=2, random_state=0, error_score="raise"
    ).fit(X, y)
    return search.cv_results_["mean_test_score"], search.decision_function(X)


def halving_search(X, y, bind):
    search = HalvingGridSearchCV(
        classify(bind), GRID, cv=2, factor=2, random_state=0, error_score="raise"
    ).fit(X, y)
    assert search.n_iterations_ > 1
    return search.cv_results_["mean_test_score"], search.predict_proba(X)


def cross_validation(X, y, bind):
    scores = cross_validate(classify(bind), X, y, cv=3, error_score="raise")
    return scores["test_score"], cross_validate(bind, X, error_score="raise")["test_score"]


def cross_prediction(X, y, bind):
    return cross_val_predict(classify(bind), X, y, cv=3, method="predict_proba")


def learning(X, y, bind):
    return learning_curve(bind, X, y, train_sizes=[0.5, 1.0], cv=2, error_score="raise")[2]


def splitting(X, y, bind):
    train, test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    model = classify(bind).fit(train, y_train)
    return model.predict_proba(test), model.score(test, y_test)


def permuting(X, y, bind):
    return permutation_test_score(
        classify(bind), X, y, n_permutations=3, cv=2, random_state=0
    )[1]  # fmt: skip


def stacking(X, y, bind):
    other = clone(bind).set_params(output="mean", temperature=1.0)
    models = [("concat", classify(bind)), ("mean", classify(other))]
    return StackingClassifier(models, cv=2).fit(X, y).predict_proba(X)


def union(X, y, bind):
    parts = [("concat", bind), ("mean", clone(bind).set_params(output="mean"))]
    features = FeatureUnion(parts)
    Z = features.fit_transform(X)
    assert Z.shape == (len(y), 3 * 4 + 4)
    assert list(features.get_feature_names_out()[[0, -1]]) == ["concat__image_0", "mean__mean_3"]
    return Z


def cloning(X, y, bind):
    return clone(bind.fit(X)).fit(X).transform(X)


def pandas_output(X, y, bind):
    Z = clone(bind).set_output(transform="pandas").fit_transform(X)
    assert list(Z.columns[[0, 4, 11]]) == ["image_0", "text_0", "audio_3"]
    return Z.to_numpy()


def dumping(X, y, bind):
    stream = io.BytesIO()
    joblib.dump(classify(bind).fit(X, y), stream)
    stream.seek(0)
    return joblib.load(stream).predict_proba(X)


TOOLS = [
    grid_search,
    grid_search_without_labels,
    randomized_search,
    halving_search,
    cross_validation,
    cross_prediction,
    learning,
    splitting,
    permuting,
    stacking,
    union,
    cloning,
    pandas_output,
    dumping,
]


def flat(results):
    results = results if isinstance(results, tuple) else (results,)
    return np.concatenate([np.ravel(result) for result in results])


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
def test_all_forms_give_the_same_numbers(tool, X, y, centro):
    expected = flat(tool(X, y, centro(max_epochs=2)))
    assert np.isfinite(expected).all()
    assert np.ptp(expected) > 0
    for form in ("frame", "matrix"):
        data, bind = as_form(form, X, centro(max_epochs=2))
        np.testing.assert_array_equal(flat(tool(data, y, bind)), expected, err_msg=form)


@pytest.mark.parametrize("form", ["modalities", "frame", "matrix"])
def test_memory_of_a_pipeline(form, X, y, centro, tmp_path):
    data, bind = as_form(form, X, centro())
    steps = [("bind", bind), ("clf", LogisticRegression())]
    expected = Pipeline(steps).fit(data, y).predict_proba(data)
    for _ in range(2):  # filled by the first fit, read by the second one
        model = Pipeline(steps, memory=str(tmp_path)).fit(data, y)
        np.testing.assert_array_equal(model.predict_proba(data), expected)
    assert list(tmp_path.rglob("output.pkl"))


def test_folds_are_cut_over_samples(X, binder):
    expected = []
    for train, test in KFold(4).split(np.zeros(len(X))):
        bind = binder().fit([array[train] for array in X.arrays])
        embedded = bind.transform_modalities([array[test] for array in X.arrays])
        expected.append(mean_reciprocal_rank(embedded))
    scores = cross_validate(binder(), X, cv=KFold(4), error_score="raise")["test_score"]
    np.testing.assert_array_equal(scores, expected)


def test_grid_search_distinguishes_settings(make_data, centro):
    # A learning rate near zero cannot win against one that learns.
    X, _ = make_data(60)
    grid = {"learning_rate": [1e-12, 1e-2]}
    search = GridSearchCV(
        centro(max_epochs=40, init="random"), grid, cv=2, error_score="raise"
    ).fit(X)
    assert search.best_params_ == {"learning_rate": 1e-2}
    assert search.best_score_ > search.cv_results_["mean_test_score"][0] + 0.1
