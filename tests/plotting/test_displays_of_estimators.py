"""Displays draw the same from a binding transformer, a pipeline, a search and another library."""

import matplotlib
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skcentrobind import Modalities, PerModality
from skcentrobind.metrics import mutual_information_matrix
from skcentrobind.plotting import (
    EmbeddingDisplay,
    InformationDisplay,
    LossCurveDisplay,
    ModalityGapDisplay,
    RetrievalDisplay,
)

matplotlib.use("Agg")

#: What every display of embeddings computes from an estimator.
DRAWN = {
    EmbeddingDisplay: lambda display: display.points,
    InformationDisplay: lambda display: display.information,
    ModalityGapDisplay: lambda display: display.gaps,
    RetrievalDisplay: lambda display: np.array(list(display.ranks.values())),
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def reduced():
    """Return a step without which the binding transformer refuses the data."""
    return PerModality({"text": PCA(2)}, remainder="passthrough")


def pipeline_of(kind, bind):
    steps = {
        "reduced": [("reduce", reduced()), ("bind", bind)],
        "classified": [("bind", bind), ("probe", LogisticRegression())],
        "nested": [("reduce", reduced()), ("inner", make_pipeline(bind, StandardScaler()))],
    }
    return Pipeline(steps[kind])


@pytest.fixture(params=["reduced", "classified", "nested"])
def kind(request):
    return request.param


@pytest.fixture(params=["pipeline", "search"])
def fitted(request, kind, centro, X, y):
    """Return a fitted pipeline, or a search over one, and its binding transformer with its data."""
    model = pipeline_of(kind, centro(temperature=0.4))
    if request.param == "search":
        model = GridSearchCV(
            model, {}, cv=2, scoring=lambda estimator, X, y: 0.0, error_score="raise"
        )
    model.fit(X, y)
    pipeline = getattr(model, "best_estimator_", model)
    data = X if kind == "classified" else pipeline["reduce"].transform(X)
    bind = pipeline["inner"][0] if kind == "nested" else pipeline["bind"]
    return model, bind, data


@pytest.mark.parametrize("display", DRAWN, ids=lambda display: display.__name__)
def test_displays_of_embeddings(display, fitted, X):
    model, bind, data = fitted
    found = DRAWN[display](display.from_estimator(model, X))
    np.testing.assert_array_equal(found, DRAWN[display](display.from_estimator(bind, data)))


def test_augmented_data_goes_through_the_same_steps(fitted, X):
    model, bind, data = fitted
    found = InformationDisplay.from_estimator(model, X, X).information
    expected = InformationDisplay.from_estimator(bind, data, data).information
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(found.diagonal()).all()


def test_loss_curves(fitted):
    model, bind, _ = fitted
    display = LossCurveDisplay.from_estimator(model)
    assert list(display.losses) == ["CentroBindTransformer"]
    np.testing.assert_array_equal(display.losses["CentroBindTransformer"], [bind.loss_curve_])
    display = LossCurveDisplay.from_estimators([model, bind])
    assert {label: len(runs) for label, runs in display.losses.items()} == {
        "CentroBindTransformer": 2
    }
    display = LossCurveDisplay.from_estimators({"searched": model, "bare": [bind, bind]})
    assert {label: len(runs) for label, runs in display.losses.items()} == {
        "searched": 1,
        "bare": 2,
    }


def test_scores_of_a_pipeline(centro, X):
    bind = centro(early_stopping=True, validation_fraction=0.2)
    model = pipeline_of("reduced", bind).fit(X)
    display = LossCurveDisplay.from_estimator(model, label="run")
    np.testing.assert_array_equal(display.scores["run"], [bind.validation_scores_])


@pytest.mark.parametrize("display", DRAWN, ids=lambda display: display.__name__)
def test_models_of_other_libraries_and_embeddings(display, centro, X):
    class Halve(BaseEstimator):
        def transform(self, arrays):
            return [a[:, :2] / 2 for a in arrays]

    halved = [a[:, :2] / 2 for a in X.arrays]
    expected = DRAWN[display](display.from_embeddings(Modalities(halved, X.names)))
    for estimator, data in ((Halve(), X), (None, dict(zip(X.names, halved, strict=True)))):
        found = display.from_estimator(estimator, data)
        np.testing.assert_array_equal(DRAWN[display](found), expected)


# ---------------------------------------------------------------- temperature


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"temperature": 0.4}, 0.4),
        ({"temperature": [0.1, 0.2, 0.4]}, 0.2),
        ({"temperature": {"text": 0.1, "image": 0.8, "audio": 0.1}}, 0.2),
    ],
)
@pytest.mark.parametrize("kind", ["bare", "reduced"])
def test_fixed_temperatures(centro, X, kind, options, expected):
    bind = centro(**options)
    model = (bind if kind == "bare" else pipeline_of(kind, bind)).fit(X)
    Z = bind.transform_modalities(X if kind == "bare" else model["reduce"].transform(X))
    found = InformationDisplay.from_estimator(model, X).information
    np.testing.assert_allclose(found, mutual_information_matrix(Z, temperature=expected))
    found = InformationDisplay.from_estimator(model, X, temperature=1.5).information
    np.testing.assert_allclose(found, mutual_information_matrix(Z, temperature=1.5))


@pytest.mark.parametrize("start", [0.4, {"text": 0.1, "image": 0.8, "audio": 0.3}])
def test_learned_temperatures_are_those_after_training(centro, X, start):
    bind = centro(temperature=start, learn_temperature=True, learning_rate=0.1).fit(X)
    values = bind.temperature_
    values = list(values.values()) if isinstance(values, dict) else [values]
    expected = np.prod(values) ** (1 / len(values))
    started = list(start.values()) if isinstance(start, dict) else [start]
    assert abs(expected - np.prod(started) ** (1 / len(started))) > 1e-3
    Z = bind.transform_modalities(X)
    found = InformationDisplay.from_estimator(bind, X).information
    np.testing.assert_allclose(found, mutual_information_matrix(Z, temperature=expected))


def test_models_without_a_temperature_get_the_default(X):
    class Cut(BaseEstimator):
        def transform(self, arrays):
            return [a[:, :2] for a in arrays]

    found = InformationDisplay.from_estimator(Cut(), X).information
    expected = mutual_information_matrix([a[:, :2] for a in X.arrays], temperature=0.2)
    np.testing.assert_array_equal(found, expected)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("display", [*DRAWN, LossCurveDisplay], ids=lambda d: d.__name__)
def test_searches_without_an_estimator(display, centro, X):
    data = () if display is LossCurveDisplay else (X,)
    search = GridSearchCV(make_pipeline(centro()), {}, cv=2, refit=False)
    for model in (search, search.fit(X)):
        with pytest.raises(NotFittedError, match="GridSearchCV has no best_estimator_; fit it"):
            display.from_estimator(model, *data)


@pytest.mark.parametrize("display", DRAWN, ids=lambda display: display.__name__)
def test_what_cannot_be_drawn(display, X):
    with pytest.raises(TypeError, match="LogisticRegression has neither transform_modalities"):
        display.from_estimator(LogisticRegression(), X)
    with pytest.raises(TypeError, match=r"No step .* got the steps \['logisticregression'\]"):
        display.from_estimator(make_pipeline(LogisticRegression()), X)


def test_loss_curves_of_other_estimators(X, y):
    model = MLPClassifier((2,), max_iter=300, tol=0.1, n_iter_no_change=2, random_state=0)
    display = LossCurveDisplay.from_estimator(model.fit(X.arrays[0], y))
    np.testing.assert_array_equal(display.losses["MLPClassifier"], [model.loss_curve_])
    with pytest.raises(TypeError, match="a binding transformer, got Pipeline"):
        LossCurveDisplay.from_estimator(make_pipeline(LogisticRegression()))
