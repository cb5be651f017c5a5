"""Whitening: uncorrelated features with enough rows, little change with few."""

import numpy as np
import pytest
from conftest import draw
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import hadamard
from sklearn import config_context
from sklearn.covariance import oas
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from skcentrobind import CentroBindTransformer, Modalities, load
from skcentrobind._data import statistics as _statistics
from skcentrobind._data.statistics import WhiteningScaler, fit_scalers


def correlated(n_samples=500, width=6, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(width, width)) + np.outer(rng.normal(size=width), np.full(width, 3))
    return rng.normal(size=(n_samples, width)) @ mixing * 50 + 1e4


def whitener(x):
    (scaler,) = fit_scalers(Modalities({"x": x}), whitened=["x"])
    return scaler


def binder(**params):
    quick = {"n_components": 4, "hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
    return CentroBindTransformer(standardize="whiten", **{**quick, **params})


@pytest.mark.parametrize(("n_samples", "width"), [(500, 6), (30, 5), (10, 40)])
def test_matrix_is_the_inverse_root_of_the_shrunk_covariance(n_samples, width):
    x = correlated(n_samples, width)
    scaler = whitener(x)
    rows = StandardScaler().fit_transform(x)
    shrunk, shrinkage = oas(rows, assume_centered=True)
    assert scaler.shrinkage_ == pytest.approx(shrinkage)
    assert_allclose(scaler.whitening_ @ shrunk @ scaler.whitening_, np.eye(width), atol=1e-6)
    assert_allclose(scaler.whitening_, scaler.whitening_.T, atol=1e-10)
    assert_allclose(scaler.transform(x), rows @ scaler.whitening_, atol=1e-8)


def test_many_rows_become_white_and_few_keep_their_form():
    x = correlated(20_000)
    assert_allclose(np.cov(whitener(x).transform(x).T), np.eye(6), atol=0.05)
    noise = np.random.default_rng(0).normal(size=(8, 30))
    whitening = whitener(noise).whitening_
    # What is shrunk to the identity is only scaled, and the scale is lost in unit rows anyway.
    off = whitening - np.diag(np.diag(whitening))
    assert np.abs(off).max() < 0.1 * np.diag(whitening).min()


def test_blocks_missing_rows_and_constant_columns(monkeypatch):
    x = correlated(60)
    expected = whitener(x).whitening_
    padded = np.full((65, 6), np.nan)
    padded[2:62] = x
    monkeypatch.setattr(_statistics, "_CHUNK_VALUES", 30)
    assert_allclose(whitener(padded).whitening_, expected, rtol=1e-8, atol=1e-10)
    with pytest.warns(UserWarning, match="'x': 1 of 7 columns are constant"):
        scaler = whitener(np.column_stack([x, np.ones(60)]))
    other = np.column_stack([x, np.arange(60)])
    assert np.isfinite(scaler.transform(other)).all()
    assert_allclose(scaler.transform(other)[:, 6], 0, atol=1e-12)


def test_a_repeated_feature_is_no_error():
    x = correlated(300)
    Z = whitener(np.column_stack([x, x])).transform(np.column_stack([x, x]))
    assert np.abs(Z).max() < 20


@pytest.mark.parametrize("seed", range(5))
def test_uncorrelated_features_are_only_scaled(seed):
    rng = np.random.default_rng(seed)
    signs = hadamard(8)[:, 1:4] * rng.uniform(0.1, 3, size=3) + rng.normal(size=3)
    scaler = whitener(signs)
    assert scaler.shrinkage_ == 1
    assert_allclose(scaler.whitening_, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_output_containers_stay_outside(container):
    pytest.importorskip(container)
    X, _ = draw(60)
    expected = binder().fit_transform(X)
    with config_context(transform_output=container):
        Z = binder().fit_transform(X)
    assert type(Z).__module__.startswith(container)
    assert_array_equal(Z.to_numpy(), expected)


def test_other_offsets_and_units_change_nothing():
    X, _ = draw(80)
    moved = {name: 1e3 * a + 7 for name, a in X.items()}
    Z = [binder().fit(data).transform(data) for data in (dict(X.items()), moved)]
    assert_allclose(*Z, atol=1e-4)
    assert np.abs(Z[0] - binder().set_params(standardize=True).fit_transform(X)).max() > 1e-2


def test_search_sparse_and_users_modules():
    X, _ = draw(60)
    grid = {"standardize": [True, False, "whiten"]}
    search = GridSearchCV(binder(), grid, cv=2, error_score="raise").fit(X)
    assert len(set(search.cv_results_["mean_test_score"])) == 3
    mixed = {**dict(X.items()), "bag": sparse.csr_array(np.abs(X["text"]))}
    encoder = dict.fromkeys(mixed, "residual") | {"audio": "identity"}
    bind = binder(encoder=encoder).fit(mixed)
    kinds = [type(scaler).__name__ for scaler in bind.scalers_.values()]
    assert kinds == ["WhiteningScaler", "WhiteningScaler", "NoneType", "MaxAbsScaler"]


def test_saved_mapped_and_exported(tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    X, _ = draw(60)
    bind = binder().fit(X)
    bind.save(tmp_path / "bind.safetensors")
    loaded = load(tmp_path / "bind.safetensors")
    assert_array_equal(loaded.transform(X), bind.transform(X))
    assert loaded.scalers_["image"].shrinkage_ == bind.scalers_["image"].shrinkage_
    np.save(tmp_path / "image.npy", X["image"])
    mapped = {**dict(X.items()), "image": np.load(tmp_path / "image.npy", mmap_mode="r")}
    assert_array_equal(binder().fit(mapped).transform(mapped), bind.transform(X))
    session = runtime.InferenceSession(
        bind.to_onnx(None, "image", dtype="float64").SerializeToString()
    )
    (Z,) = session.run(["embedding"], {"features": X["image"]})
    assert_allclose(Z, bind.transform_modality(X["image"], "image"), atol=1e-5)


@pytest.mark.parametrize(("fitted", "then"), [("whiten", True), (True, "whiten")])
def test_saved_after_the_parameter_was_changed(tmp_path, fitted, then):
    X, _ = draw(60)
    bind = binder().set_params(standardize=fitted).fit(X).set_params(standardize=then)
    bind.save(tmp_path / "bind.safetensors")
    loaded = load(tmp_path / "bind.safetensors")
    assert loaded.standardize == then
    assert_array_equal(loaded.transform(X), bind.transform(X))


def test_errors(monkeypatch):
    X, _ = draw()
    with pytest.raises(
        ValueError, match="standardize='white', expected True, False, 'whiten' or 'robust'"
    ):
        binder().set_params(standardize="white").fit(X)
    monkeypatch.setattr("skcentrobind._data.statistics._MAX_WIDTH", 5)
    with pytest.raises(ValueError, match=r"'whiten'.*'image' has 6 .*PCA.*standardize=True"):
        binder().fit(X)
    assert WhiteningScaler().get_params() == StandardScaler().get_params()
