"""Metadata reach the transformers that request them, as in ColumnTransformer."""

import numpy as np
import pytest
import sklearn
from conftest import QUICK
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.cross_decomposition import CCA, PLSRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcentrobind import CentroBindTransformer, Modalities, PerModality

rng = np.random.default_rng(0)
A, B = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
A[20:] = np.nan
X = Modalities({"a": A, "b": B})
Y = rng.integers(2, size=30)
WEIGHTS = rng.uniform(0.1, 3, size=30)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def weighted():
    return StandardScaler().set_fit_request(sample_weight=True)


class Shift(BaseEstimator):
    """Has no fit_transform, and takes metadata in transform, too."""

    def fit(self, X, y=None, by=0.0):
        self.by_ = by
        return self

    def transform(self, X, offsets=None):
        return X + self.by_ + (0 if offsets is None else np.asarray(offsets)[:, None])


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_weights_reach_the_scaler_that_requests_them(method):
    per = PerModality({"a": weighted(), "b": StandardScaler().set_fit_request(sample_weight=False)})
    getattr(per, method)(X, sample_weight=WEIGHTS)
    expected = StandardScaler().fit(A[:20], sample_weight=WEIGHTS[:20])
    np.testing.assert_array_equal(per.named_transformers_.a.mean_, expected.mean_)
    assert not np.allclose(expected.mean_, A[:20].mean(axis=0))
    np.testing.assert_array_equal(per.named_transformers_.b.mean_, B.mean(axis=0))


@pytest.mark.usefixtures("routing")
def test_the_remainder_gets_its_own():
    per = PerModality({"b": "passthrough"}, remainder=weighted()).fit(X, sample_weight=WEIGHTS)
    expected = StandardScaler().fit(A[:20], sample_weight=WEIGHTS[:20])
    np.testing.assert_array_equal(per.named_transformers_.a.mean_, expected.mean_)


@pytest.mark.usefixtures("routing")
def test_metadata_of_fit_and_transform_are_apart():
    shift = Shift().set_fit_request(by=True).set_transform_request(offsets=True)
    per = PerModality({"a": shift, "b": "drop"}).fit(X, by=2.0)
    offsets = np.arange(30.0)
    Z = per.transform(X, offsets=offsets)
    np.testing.assert_array_equal(Z["a"], A + 2 + offsets[:, None])


@pytest.mark.usefixtures("routing")
def test_a_request_that_is_not_said_is_an_error():
    per = PerModality({"a": StandardScaler(), "b": "drop"})
    with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
        per.fit(X, sample_weight=WEIGHTS)


@pytest.mark.parametrize("method", ["fit", "fit_transform", "transform"])
def test_without_routing_it_is_the_error_of_column_transformer(method):
    per = PerModality({"a": StandardScaler()}).fit(X)
    columns = ColumnTransformer([("a", StandardScaler(), [0])]).fit(B)
    messages = []
    for each, data in ((columns, B), (per, X)):
        with pytest.raises(ValueError, match="enable_metadata_routing") as caught:
            getattr(each, method)(data, sample_weight=WEIGHTS)
        messages.append(str(caught.value).replace("ColumnTransformer", "PerModality"))
    assert messages[0] == messages[1]


@pytest.mark.usefixtures("routing")
def test_a_pipeline_in_a_search_routes_to_scaler_and_classifier():
    bind = CentroBindTransformer(**QUICK)
    classifier = LogisticRegression().set_fit_request(sample_weight=True)
    classifier.set_score_request(sample_weight=True)
    pipe = make_pipeline(PerModality({"a": weighted(), "b": weighted()}), bind, classifier)
    # Every fold needs rows of both kinds.
    order = np.random.default_rng(1).permutation(30)
    search = GridSearchCV(pipe, {"centrobindtransformer__temperature": [0.1, 0.2]}, cv=3)
    search.fit(X[order], Y[order], sample_weight=WEIGHTS[order])
    scaler = search.best_estimator_[0].named_transformers_.b
    expected = StandardScaler().fit(B[order], sample_weight=WEIGHTS[order])
    np.testing.assert_array_equal(scaler.mean_, expected.mean_)


def test_the_binding_refuses_weights():
    with pytest.raises(TypeError, match="sample_weight"):
        CentroBindTransformer(**QUICK).fit(X, sample_weight=WEIGHTS)


@pytest.mark.parametrize("transformer", [PLSRegression(2), CCA(1)])
def test_transformers_that_return_the_scores_of_y_too(transformer):
    target = (B @ [1.0, -2.0, 0.5] + 0.1 * WEIGHTS)[:, None]
    per = PerModality({"b": transformer, "a": "drop"})
    Z = per.fit_transform(X, target)["b"]
    expected = transformer.fit(B, target).transform(B)
    np.testing.assert_allclose(Z, expected)
    np.testing.assert_array_equal(Z, per.transform(X)["b"])
