"""Modalities in scikit-learn's splitters, searches and pipelines, against one matrix."""

import re

import numpy as np
import pytest
from mixed_items import assert_same, make_mixed, to_dense
from numpy.testing import assert_array_equal
from sklearn import model_selection
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import indexable, resample, shuffle

from skcentrobind._data.modalities import Modalities


@pytest.fixture
def X():
    return make_mixed(12, np.random.default_rng(0))


class Joined(ClassifierMixin, BaseEstimator):
    """Naive Bayes on all features side by side; X is a Modalities or the 2-D array of it."""

    def __init__(self, var_smoothing=1e-9, extra=None):
        self.var_smoothing = var_smoothing
        self.extra = extra

    def _join(self, X):
        if not isinstance(X, Modalities):
            assert isinstance(X, np.ndarray), type(X)
            return X
        return join(X)

    def fit(self, X, y):
        self.model_ = GaussianNB(var_smoothing=self.var_smoothing).fit(self._join(X), y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(self._join(X))

    def predict_proba(self, X):
        return self.model_.predict_proba(self._join(X))


def join(X):
    return np.hstack([to_dense(item).reshape(len(X), -1) for item in X.arrays]).astype(float)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = make_mixed(60, rng)
    y = (X["dense"][:, 0] + 0.5 * rng.normal(size=60) > 0).astype(int)
    return X, join(X), y


def test_indexable_and_splitters(data):
    X, flat, y = data
    assert indexable(X, y)[0] is X
    some = np.arange(60) % 7
    for cv, groups in (
        (model_selection.KFold(4), None),
        (model_selection.StratifiedKFold(4, shuffle=True, random_state=0), None),
        (model_selection.GroupKFold(3), some),
        (model_selection.ShuffleSplit(2, random_state=0), None),
        (model_selection.LeavePOut(59), None),
    ):
        pairs = zip(cv.split(X, y, groups), cv.split(flat, y, groups), strict=True)
        for (train, test), (flat_train, flat_test) in pairs:
            assert_array_equal(train, flat_train)
            assert_array_equal(test, flat_test)


def test_as_many_samples_as_modalities_are_split_by_rows():
    arrays = [np.full((3, 2), i) + np.arange(3)[:, None] * 10 for i in range(3)]
    train, test = model_selection.train_test_split(Modalities(arrays), test_size=1, shuffle=False)
    assert train.n_modalities == test.n_modalities == 3
    assert [item[0, 0] for item in test.arrays] == [20, 21, 22]


@pytest.mark.parametrize(
    "tool",
    [
        lambda X, y: model_selection.train_test_split(X, y, stratify=y, random_state=0),
        lambda X, y: model_selection.train_test_split(X, y, shuffle=False),
        lambda X, y: shuffle(X, y, random_state=0),
        lambda X, y: shuffle(X, y, random_state=0, n_samples=5),
        lambda X, y: resample(X, y, random_state=0),
        lambda X, y: resample(X, y, replace=False, n_samples=7, stratify=y, random_state=0),
    ],
)
def test_row_selectors_agree_with_2d(data, tool):
    X, flat, y = data
    for part, flat_part in zip(tool(X, y), tool(flat, y), strict=True):
        if isinstance(part, Modalities):
            assert part.names == X.names
            part = join(part)
        assert_array_equal(part, flat_part)


@pytest.mark.parametrize(
    "tool",
    [
        lambda X, y: model_selection.cross_val_score(Joined(), X, y, error_score="raise"),
        lambda X, y: model_selection.cross_val_predict(Joined(), X, y, method="predict_proba"),
        lambda X, y: model_selection.cross_val_predict(make_pipeline(Joined()), X, y),
        lambda X, y: model_selection.cross_validate(
            Joined(), X, y, return_train_score=True, error_score="raise"
        )["train_score"],
        lambda X, y: np.hstack(
            model_selection.learning_curve(
                Joined(), X, y, shuffle=True, random_state=0, error_score="raise"
            )[1:3]
        ),
        lambda X, y: np.hstack(
            model_selection.validation_curve(
                Joined(),
                X,
                y,
                param_name="var_smoothing",
                param_range=[1e-9, 1.0],
                error_score="raise",
            )
        ),
        lambda X, y: model_selection.permutation_test_score(
            Joined(), X, y, n_permutations=3, random_state=0
        )[1],
    ],
)
def test_evaluation_agrees_with_2d(data, tool):
    X, flat, y = data
    result = tool(X, y)
    assert np.isfinite(result).all()
    assert_array_equal(result, tool(flat, y))


@pytest.mark.parametrize(
    "search",
    [
        lambda grid: model_selection.GridSearchCV(Joined(), grid, error_score="raise"),
        lambda grid: model_selection.RandomizedSearchCV(
            Joined(), grid, n_iter=2, random_state=0, error_score="raise"
        ),
        lambda grid: model_selection.HalvingGridSearchCV(
            Joined(), grid, random_state=0, min_resources=20, error_score="raise"
        ),
    ],
)
def test_searches_agree_with_2d(data, search):
    X, flat, y = data
    grid = {"var_smoothing": [1e-9, 1e-1, 10.0]}
    ours, theirs = search(grid).fit(X, y), search(grid).fit(flat, y)
    for key in ("mean_test_score", "rank_test_score"):
        assert_array_equal(ours.cv_results_[key], theirs.cv_results_[key])
    assert ours.best_params_ == theirs.best_params_
    assert_array_equal(ours.predict(X[:9]), theirs.predict(flat[:9]))
    assert ours.score(X, y) == theirs.score(flat, y)


def test_search_in_other_processes_with_memmapped_arrays():
    rng = np.random.default_rng(0)
    # above 1 MB joblib hands read-only memory maps to its workers
    X = Modalities({"a": rng.normal(size=(1200, 120)), "b": rng.normal(size=(1200, 2))})
    assert X["a"].nbytes > 2**20
    y = (X["b"][:, 0] > 0).astype(int)
    grid = {"var_smoothing": [1e-9, 1.0]}
    scores = [
        model_selection.GridSearchCV(
            Joined(), grid, cv=2, n_jobs=n_jobs, error_score="raise"
        ).fit(X, y).cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    ]  # fmt: skip
    assert_array_equal(*scores)


def test_clone_of_an_estimator_that_holds_one(X):
    copied = clone(Joined(extra=X)).extra
    assert copied is not X
    assert_same(copied, X)


def test_pipeline_memory(data, tmp_path):
    X, flat, y = data
    pipe = make_pipeline("passthrough", Joined(), memory=str(tmp_path))
    assert_array_equal(pipe.fit(X, y).predict(X), Joined().fit(flat, y).predict(flat))


def test_one_array_is_refused_with_advice(X):
    advice = re.escape("Expected one array, got Modalities(12 samples: dense (3)")
    for use in (np.asarray, StandardScaler().fit, lambda X: np.float64(2) * X):
        with pytest.raises(TypeError, match=advice) as info:
            use(X)
        assert "np.hstack(X.arrays)" in str(info.value)
