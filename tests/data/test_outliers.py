"""A few bad rows are named by a warning, and standardize="robust" keeps them from the others."""

import re
import warnings

import numpy as np
import pytest
from conftest import QUICK, draw, same
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from skcentrobind import CentroBindTransformer, Modalities, describe, load
from skcentrobind._data.robust import RobustScaler, SparseRobustScaler, outlying_rows
from skcentrobind.datasets import load_multiple_features


def two(n=300, seed=0):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 4))
    maps = [rng.normal(size=(4, width)) for width in (8, 5)]
    return {k: latent @ w + 0.1 * rng.normal(size=(n, w.shape[1])) for k, w in zip("ab", maps)}  # noqa: B905


def some_entries(shape, density):
    rng = np.random.default_rng(0)
    return rng.random(shape) * (rng.random(shape) < density)


def fit(X, **params):
    own = {"n_components": 8, "random_state": 0, "max_epochs": 20}
    own |= {"encoder": "residual", "shrinkage": "oas"}
    return CentroBindTransformer(**own | params).fit(X)


def found(X, **params):
    """Modality and rows of the warnings of a fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CentroBindTransformer(**{**QUICK, "max_epochs": 0, **params}).fit(X)
    pattern = r"Modality '(\w+)': (?:row (\d+) alone|\d+ rows \(([\d, .]+)\)) hold"
    return [re.match(pattern, str(w.message)).groups()[:3] for w in caught]


@pytest.mark.parametrize("init", ["gcca", "random"])
def test_a_sentinel_row_is_named_and_robust_scaling_restores_the_score(init):
    X = two()
    clean = fit(X, init=init).score(X)
    X["a"][7] = -9999
    with pytest.warns(UserWarning, match=r"'a': row 7 alone holds 99 %.*NaN.*'robust'.*describe"):
        bad = fit(X, init=init).score(X)
    robust = fit(X, init=init, standardize="robust").score(X)
    assert bad < 0.1
    assert robust > clean - 0.05


@pytest.mark.parametrize("sentinel", [-9999, 999, 1e6, 1e12])
@pytest.mark.parametrize("rows", [[0], [299], [3, 70], [3, 70, 200]])
def test_sentinels_are_found(sentinel, rows):
    X = two()
    X["b"][rows] = sentinel
    ((name, one, several),) = found(X)
    assert name == "b"
    assert sorted(map(int, (one or several).split(", "))) == rows
    table = describe(X)
    assert table.loc["b", "max_share_row"] in rows
    assert table.loc["b", "max_share"] > 0.9 / len(rows)
    assert table.loc["a", "max_share"] < 0.1


def test_the_row_is_that_of_the_user():
    X = two()
    X["a"][:100:2] = np.nan
    X["a"][251] = -9999
    for params in ({}, {"standardize": False}, {"encoder": "mlp"}, {"standardize": "whiten"}):
        assert found(X, **params) == [("a", "251", None)]
    # 251 is in the training part of the hold-out split of some seeds, and else not used.
    split = {"early_stopping": True, "validation_fraction": 0.5}
    seen = [found(X, **split, random_state=seed) for seed in range(6)]
    assert {tuple(each) for each in seen} == {(("a", "251", None),), ()}


def test_sparse_sentinels_are_found():
    counts = some_entries((300, 40), 0.2)
    counts[9] = 9999.0
    X = {"a": two()["a"], "words": sparse.csr_array(counts)}
    assert found(X) == [("words", "9", None)]
    assert found(X, standardize="robust") == []


def ordinary(rng):
    """Data in which a few rows may hold much, and which nobody would call wrong."""
    n = int(rng.choice([10, 30, 300]))
    words = ["".join(rng.choice(list("abcdef"), size=3)) for _ in range(40)]
    texts = [" ".join(rng.choice(words, size=rng.integers(1, 12))) for _ in range(n)]
    category = rng.integers(0, 5, size=n)
    category[0] = 5
    return {
        "normal": rng.normal(size=(n, 3)),
        "one": rng.normal(size=(n, 1)),
        "uniform": rng.random((n, 4)),
        "counts": rng.poisson(0.2, size=(n, 20)) + 0.0,
        "omics": np.exp(rng.normal(size=(n, 30))),
        "omics counts": rng.poisson(rng.gamma(0.5, 5, size=(n, 30))) + 0.0,
        "students": rng.standard_t(3, size=(n, 6)),
        "categories": np.eye(6)[category],
        "rare flag": (np.arange(n) == 3)[:, None] + 0.0,
        "tfidf": TfidfVectorizer().fit_transform(texts),
        "length": np.column_stack([rng.lognormal(3, 1, n), rng.normal(size=n)]),
    }


@pytest.mark.parametrize("seed", range(12))
def test_ordinary_data_are_not_called_outliers(seed):
    for name, array in ordinary(np.random.default_rng(seed)).items():
        assert len(outlying_rows(array)[0]) == 0, name


def test_real_data_are_not_called_outliers():
    X, _ = load_multiple_features(return_X_y=True)
    for name, array in X.items():
        assert len(outlying_rows(array)[0]) == 0, name


# The scaler


@given(st.integers(0, 10_000))
def test_robust_scaling_equals_loops(seed):
    rng = np.random.default_rng(seed)
    array = rng.choice([0.0, 1.0, 2.0, -3.5, 40.0], size=(rng.integers(2, 12), 3))
    array[rng.random(len(array)) < 0.2] = np.nan
    array[:2] = [[0, 1, 2], [1, 1, 2]]
    scaler = RobustScaler().fit_array(array)
    kept = array[~np.isnan(array[:, 0])]
    for j in range(3):
        median = np.median(kept[:, j])
        scale = (np.quantile(kept[:, j], 0.75) - np.quantile(kept[:, j], 0.25)) / 1.3489795
        if scale == 0:
            far = [abs(v - median) for v in kept[:, j] if v != median]
            scale = np.median(far) if far else np.inf
        expected = [min(max((v - median) / scale, -5), 5) for v in kept[:, j]]
        np.testing.assert_allclose(scaler.transform(kept)[:, j], expected, rtol=1e-6)
    assert np.isnan(scaler.transform(array)).all(axis=1).sum() == len(array) - len(kept)


def test_sparse_robust_scaling_keeps_zeros_and_order():
    csr = sparse.csr_array(some_entries((50, 6), 0.3))
    csr.data[0] = 1e6
    scaler = SparseRobustScaler().fit_array(csr)
    out = scaler.transform(csr.copy())
    assert np.array_equal(out.indices, csr.indices)
    assert np.abs(out.data).max() <= 3
    for j in range(6):
        values = np.sort(np.abs(csr[:, [j]].toarray().ravel()))
        values = values[values > 0]
        assert scaler.scale_[j] == values[int(0.9 * (len(values) - 1))]


def test_memory_maps_and_chunks_give_the_same_scales(tmp_path, monkeypatch):
    array = np.random.default_rng(0).normal(size=(60, 3, 4))
    array[4] = np.nan
    stored = np.memmap(tmp_path / "rows", dtype="f8", mode="w+", shape=array.shape)
    stored[:] = array
    whole = RobustScaler().fit_array(array)
    monkeypatch.setattr("skcentrobind._data.robust._CHUNK_VALUES", 100)
    parts = RobustScaler().fit_array(stored)
    assert np.array_equal(whole.center_, parts.center_)
    assert np.array_equal(whole.scale_, parts.scale_)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_robust_estimators_are_saved_and_exported(kind, path):
    pytest.importorskip("safetensors", reason="the extra `save` is not installed")
    X = dict(draw()[0].items())
    X["text"] = X["text"] * (X["text"] > 0)
    dense = X["text"].astype(np.float32)
    if kind == "sparse":
        X["text"] = sparse.csr_array(X["text"])
    bind = CentroBindTransformer(**QUICK, standardize="robust").fit(X)
    bind.save(path)
    loaded = load(path)
    assert same(loaded.transform(X), bind.transform(X))
    assert same(loaded.partial_fit(X).transform(X), bind.partial_fit(X).transform(X))
    pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    runtime = pytest.importorskip("onnxruntime")
    dense[3] = 1e6
    model = bind.to_onnx(None, "text")
    session = runtime.InferenceSession(model.SerializeToString())
    (out,) = session.run(None, {"features": dense})
    rows = sparse.csr_array(dense) if kind == "sparse" else dense
    np.testing.assert_allclose(out, bind.transform_modality(rows, "text"), atol=1e-5)


def test_missing_rows_stay_missing(incomplete):
    bind = CentroBindTransformer(**QUICK, standardize="robust").fit(incomplete)
    Z = bind.transform_modalities(incomplete)
    assert np.array_equal(Z.present, incomplete.present)


def test_constant_features_are_ignored():
    X = two()
    X["a"][:, 2] = 7.0
    with pytest.warns(UserWarning, match="1 of 8 columns are constant"):
        bind = CentroBindTransformer(**QUICK, standardize="robust").fit(X)
    other = Modalities({**X, "a": np.where(np.arange(8) == 2, 100.0, X["a"])})
    assert same(bind.transform(other), bind.transform(X))
