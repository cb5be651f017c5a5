"""Probes within and across modalities against loops, for every kind of estimator."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcentrobind import Modalities
from skcentrobind.metrics import cross_modal_accuracy, probe_accuracy

NAMES = ["image", "text", "audio"]
TABLES = [cross_modal_accuracy, probe_accuracy]


def draw(seed=0, n_classes=4, missing=0.0, n_samples=60):
    """Train and test embeddings of one space, and their classes."""
    world = np.random.default_rng(0)
    centres = world.normal(size=(n_classes, 3))
    rng = np.random.default_rng(seed)
    parts = []
    for n in (n_samples, n_samples // 2):
        y = rng.permutation(np.arange(n) % n_classes)
        Z = centres[y] + rng.normal(size=(3, n, 3))
        Z[rng.random((3, n)) < missing] = np.nan
        parts += [Modalities(dict(zip(NAMES, Z, strict=True))), y]
    return parts


def top_k_by_hand(probe, x, y, k):
    right = 0
    for row, label in zip(x, y, strict=True):
        if hasattr(probe, "predict_proba"):
            scores = probe.predict_proba(row[None])[0]
        else:
            scores = probe.decision_function(row[None])[0]
        likeliest = sorted(range(len(scores)), key=lambda c: scores[c], reverse=True)[:k]
        right += label in [probe.classes_[c] for c in likeliest]
    return right / len(y)


def usable(x):
    return ~np.isnan(x).any(axis=1)


# --- values -------------------------------------------------------------------------------


@pytest.mark.parametrize("probe", [GaussianNB(), RidgeClassifier()], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_cross_modal_equals_loops(probe, missing):
    Z_train, y_train, Z_test, y_test = draw(missing=missing)
    found = cross_modal_accuracy(None, probe, Z_train, y_train, Z_test, y_test, top_k=(1, 2, 3))
    assert list(found.index) == NAMES
    assert list(found["top-2"].columns) == NAMES
    assert found.columns.get_level_values(0).unique().tolist() == ["top-1", "top-2", "top-3"]
    for m in NAMES:
        rows = usable(Z_train[m])
        fitted = type(probe)().fit(Z_train[m][rows], y_train[rows])
        for n in NAMES:
            rows = usable(Z_test[n])
            for k in (1, 2, 3):
                expected = top_k_by_hand(fitted, Z_test[n][rows], y_test[rows], k)
                assert found.loc[m, (f"top-{k}", n)] == pytest.approx(expected)
    assert not hasattr(probe, "classes_")  # the one that was passed is a pattern


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_probe_accuracy_equals_loops(missing):
    parts = draw(missing=missing)
    found = probe_accuracy(None, GaussianNB(), *parts, top_k=(1, 3))
    assert list(found.index) == [*NAMES, "concatenated", "centroid"]
    assert list(found.columns) == ["top-1", "top-3"]

    def inputs(Z):
        both = {name: Z[name] for name in NAMES}
        both["concatenated"] = np.hstack(Z.arrays)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # samples without any modality
            both["centroid"] = np.nanmean(Z.arrays, axis=0)
        return both

    train, test = inputs(parts[0]), inputs(parts[2])
    for name, x in train.items():
        fitted = GaussianNB().fit(x[usable(x)], parts[1][usable(x)])
        rows = usable(test[name])
        for k in (1, 3):
            expected = top_k_by_hand(fitted, test[name][rows], parts[3][rows], k)
            assert found.loc[name, f"top-{k}"] == pytest.approx(expected)


def test_the_diagonal_is_the_probe_of_one_modality():
    parts = draw()
    table = cross_modal_accuracy(None, GaussianNB(), *parts)
    alone = probe_accuracy(None, GaussianNB(), *parts)
    for k in (1, 3, 5):
        assert_allclose(np.diag(table[f"top-{k}"]), alone.loc[NAMES, f"top-{k}"])
    assert (table["top-5"] == 1).all(axis=None)  # four classes


def test_chance_level():
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(2, 2, 4000, 3)), rng.integers(5, size=(2, 4000))
    parts = [part for pair in zip(Z, y, strict=True) for part in pair]
    for table in TABLES:
        found = table(None, GaussianNB(), *parts)
        for k in (1, 3, 5):
            assert_allclose(found[f"top-{k}"], k / 5, atol=0.04)


def test_two_classes_and_probes_without_scores():
    parts = draw(n_classes=2)
    found = probe_accuracy(None, LogisticRegression(), *parts)
    assert (found[["top-3", "top-5"]] == 1).all(axis=None)
    assert found["top-1"].between(0.5, 1).all()

    probe = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis())
    assert cross_modal_accuracy(None, probe, *draw(), top_k=[1]).shape == (3, 3)
    with pytest.raises(TypeError, match="predict_proba or decision_function"):
        probe_accuracy(None, NoScores(), *draw(), top_k=[2])
    assert probe_accuracy(None, NoScores(), *draw(), top_k=[1]).shape == (5, 1)


class NoScores(GaussianNB):
    predict_proba = property()

    def predict(self, X):
        return self.classes_[self._joint_log_likelihood(X).argmax(axis=1)]


def test_classes_that_only_the_test_samples_have_are_missed():
    Z_train, y_train, Z_test, y_test = draw()
    rows = y_train < 3
    known = y_test < 3
    found = probe_accuracy(None, GaussianNB(), Z_train[rows], y_train[rows], Z_test, y_test)
    fewer = probe_accuracy(
        None, GaussianNB(), Z_train[rows], y_train[rows], Z_test[known], y_test[known]
    )
    assert_allclose(found, fewer * known.mean())


def test_labels_may_be_words():
    Z_train, y_train, Z_test, y_test = draw()
    words = np.array(["cat", "dog", "ant", "bee"])
    for table in TABLES:
        expected = table(None, GaussianNB(), Z_train, y_train, Z_test, y_test)
        found = table(None, GaussianNB(), Z_train, words[y_train], Z_test, list(words[y_test]))
        assert_allclose(found, expected)


def test_order_of_samples_does_not_matter():
    Z_train, y_train, Z_test, y_test = draw()
    rng = np.random.default_rng(0)
    a, b = rng.permutation(len(y_train)), rng.permutation(len(y_test))
    for table in TABLES:
        expected = table(None, GaussianNB(), Z_train, y_train, Z_test, y_test)
        found = table(None, GaussianNB(), Z_train[a], y_train[a], Z_test[b], y_test[b])
        assert_allclose(found, expected)


def test_modalities_that_no_sample_has():
    Z_train, y_train, Z_test, y_test = draw()
    nothing = np.full_like(Z_test["text"], np.nan)
    gone = Modalities({**dict(Z_test.items()), "text": nothing})
    table = cross_modal_accuracy(None, GaussianNB(), Z_train, y_train, gone, y_test)["top-1"]
    assert table["text"].isna().all()
    assert table.drop(columns="text").notna().all(axis=None)
    found = probe_accuracy(None, GaussianNB(), Z_train, y_train, gone, y_test)["top-1"]
    assert found.isna().tolist() == [False, True, False, True, False]


# --- estimators ---------------------------------------------------------------------------


class CCAZooModel:
    """A model as in cca-zoo, from a list of arrays to a list of arrays."""

    def fit(self, arrays):
        self.shift = [x.mean(axis=0) for x in arrays]
        return self

    def transform(self, arrays):
        return [(x - s)[:, :4] for x, s in zip(arrays, self.shift, strict=True)]


@pytest.mark.parametrize("table", TABLES)
def test_every_kind_of_estimator(table, centro, make_data):
    (X, y), (X_test, y_test) = make_data(), make_data(30, seed=1)
    bind = centro().fit(X)
    Z, Z_test = bind.transform_modalities(X), bind.transform_modalities(X_test)
    probe = GaussianNB()
    expected = table(None, probe, Z, y, Z_test, y_test)
    pipeline = make_pipeline(centro(), StandardScaler(), probe).fit(X, y)
    for estimator in (bind, pipeline):
        assert_allclose(table(estimator, probe, X, y, X_test, y_test), expected)
    dicts = dict(Z.items()), dict(Z_test.items())
    assert_allclose(table(None, probe, dicts[0], y, dicts[1], y_test), expected)
    model = CCAZooModel().fit(X.arrays)
    expected = table(
        None, probe, model.transform(X.arrays), y, model.transform(X_test.arrays), y_test
    )
    found = table(model, probe, X, y, X_test, y_test)
    assert_allclose(found, expected)
    assert list(found.index)[:3] == list(X.names)


@pytest.mark.parametrize("table", TABLES)
def test_cca_zoo(table, make_data):
    linear = pytest.importorskip("cca_zoo.linear", reason="the extra `bench` is not installed")
    (X, y), (X_test, y_test) = make_data(), make_data(30, seed=1)
    model = linear.MCCA(n_components=3, shrinkage=0.1)
    model.fit(list(X.arrays))
    found = table(model, LogisticRegression(), X, y, X_test, y_test, top_k=[1])
    assert found.to_numpy().mean() > 0.6


def test_features_of_unequal_widths(make_data):
    (X, y), (X_test, y_test) = make_data(), make_data(30, seed=1)
    found = probe_accuracy(None, GaussianNB(), X, y, X_test, y_test)
    assert list(found.index) == [*X.names, "concatenated"]
    with pytest.raises(ValueError, match=r"'image': 6, 'text': 5.*Bind the modalities first"):
        cross_modal_accuracy(None, GaussianNB(), X, y, X_test, y_test)


# --- refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
def test_refusals(table):
    Z, y, Z_test, y_test = draw()
    with pytest.raises(ValueError, match=r"y_train must hold .* 60 samples, .* shape \(59,\)"):
        table(None, GaussianNB(), Z, y[1:], Z_test, y_test)
    with pytest.raises(ValueError, match=r"y_test must hold .* 30 samples, .* shape \(30, 1\)"):
        table(None, GaussianNB(), Z, y, Z_test, y_test[:, None])
    with pytest.raises(ValueError, match="same modalities"):
        table(None, GaussianNB(), Z, y, Z_test[["image", "text"]], y_test)
    with pytest.raises(ValueError, match="top_k must be a whole number of at least 1, got 0"):
        table(None, GaussianNB(), Z, y, Z_test, y_test, top_k=(1, 0))
    with pytest.raises(TypeError, match="probe must be a classifier, got LinearRegression"):
        table(None, LinearRegression(), Z, y, Z_test, y_test)
