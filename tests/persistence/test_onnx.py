"""An exported encoder, run by another engine, embeds raw rows as transform_modality does."""

import re
import sys

import numpy as np
import pytest
from conftest import draw
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from torch import nn

from skcentrobind import load

onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def embed(model, rows):
    session = runtime.InferenceSession(model.SerializeToString())
    return session.run(["embedding"], {"features": rows})[0]


FORMS = {
    "residual": {},
    "two layers": {"hidden_layer_sizes": (8, 7)},
    "mlp": {"encoder": "mlp"},
    "deep mlp": {"encoder": "mlp", "hidden_layer_sizes": (8, 7, 6)},
    "no hidden layer": {"encoder": "mlp", "hidden_layer_sizes": ()},
    "linear": {"encoder": "linear"},
    "as they are": {"standardize": False},
    "several banks": {
        "encoder": ["linear", "mlp", "identity"],
        "augmentation": [None, "mask", None],
    },
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
def test_the_model_embeds_as_the_estimator(X, binder, form, dtype):
    bind = binder(**FORMS[form]).fit(X)
    other, _ = draw(33, seed=7)
    for m, (name, rows) in enumerate(other.items()):
        rows = rows.astype(dtype)
        model = bind.to_onnx(None, m if dtype == "float32" else name, dtype=dtype)
        for some in (rows, rows[:1], rows[:0]):
            Z = embed(model, some)
            assert (Z.dtype, Z.shape) == (np.float32, (len(some), 4))
            if len(some):
                assert_allclose(Z, bind.transform_modality(some, name), atol=1e-5)
                assert_allclose(np.linalg.norm(Z, axis=1), 1, atol=1e-5)


def test_large_offsets_need_float64(X, centro):
    # Time stamps in seconds that differ by seconds: float32 knows them to two minutes.
    X = {"time": 1.7e9 + 3 * X["image"], "text": X["text"]}
    bind = centro().fit(X)
    exact = bind.transform_modality(X["time"], "time")
    Z = embed(bind.to_onnx(None, "time", dtype="float64"), X["time"])
    assert_allclose(Z, exact, atol=1e-5)
    Z = embed(bind.to_onnx(None, "time"), X["time"].astype("f4"))
    assert np.abs(Z - exact).max() > 0.1


def test_rows_with_more_axes_and_constant_columns(centro):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(30, 3, 2))
    images[:, 0, 0] = 4.0
    X = {"image": images, "text": rng.normal(size=(30, 6))}
    with pytest.warns(UserWarning, match="constant"):
        bind = centro().fit(X)
    images = images.astype("f4") + np.float32(0.5)  # the constant column is another number now
    Z = embed(bind.to_onnx(None, "image"), images)
    assert_allclose(Z, bind.transform_modality(images, "image"), atol=1e-5)


def test_rows_of_zeros_stay_zeros(X, centro):
    bind = centro(encoder=["identity", "mlp"], n_components=6).fit([X["image"], X["text"]])
    assert_allclose(embed(bind.to_onnx(None, 0), np.zeros((2, 6), "f4")), 0)


def test_the_file_is_the_model(X, centro, tmp_path):
    path = tmp_path / "text.onnx"
    bind = centro().fit(X)
    model = bind.to_onnx(path, "text")
    assert onnx.load(path) == model
    assert [
        d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim
    ] == [
        "batch",
        5,
    ]
    assert (model.graph.name, model.producer_name) == ("text", "skcentrobind")


def test_a_loaded_estimator_exports_the_same(X, centro, tmp_path):
    pytest.importorskip("safetensors", reason="the extra `save` is not installed")
    bind = centro().fit(X)
    bind.save(tmp_path / "bind")
    assert load(tmp_path / "bind").to_onnx(None, 0) == bind.to_onnx(None, 0)


def test_what_cannot_be_exported(X, centro):
    with pytest.raises(NotFittedError):
        centro().to_onnx(None, "text")
    bind = centro(encoder=["mlp", nn.Linear(5, 4), "mlp"]).fit(X)
    assert bind.to_onnx(None, "image").graph.node
    with pytest.raises(ValueError, match=r"torch\.onnx\.export\(estimator\.encoders_\['text'\]"):
        bind.to_onnx(None, "text")
    with pytest.raises(ValueError, match=r"a name or position of .*, got 'txt'"):
        bind.to_onnx(None, "txt")
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64', got 'int8'"):
        bind.to_onnx(None, "image", dtype="int8")


def test_without_onnx(X, centro, monkeypatch):
    bind = centro().fit(X)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'skcentrobind[onnx]'")):
        bind.to_onnx(None, "text")
