"""Round trips of save and load, bit for bit."""

import pickle
import re
import sys

import numpy as np
import pytest
import torch
from conftest import QUICK, draw, same
from numpy.testing import assert_array_equal
from sklearn.base import clone
from torch import nn

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer, Modalities, load
from skcentrobind._persistence.plain import to_plain
from skcentrobind.anchors import MeanAnchor, RandomAnchor, WeightedAnchor

pytest.importorskip("safetensors", reason="the extra `save` is not installed")
from safetensors.torch import load_file


def shown(estimator):
    """Parameters in a form that compares anchors and generators by their contents."""
    return {name: to_plain(value) for name, value in estimator.get_params(deep=False).items()}


def noisy_factory(n_features, n_components):
    return nn.Sequential(nn.Linear(n_features, 7), nn.BatchNorm1d(7), nn.Dropout(0.2))


# Round trips


CENTRO = {
    "default": {},
    "deep": {"encoder": "mlp", "hidden_layer_sizes": [7, 6]},
    "linear": {"encoder": "linear", "augmentation": "mask", "output": "mean"},
    "mixed": {"encoder": {"image": "mlp", "text": "linear", "audio": "identity"}},
    "augmentations": {"augmentation": ["marginal", None, "gaussian"], "batch_size": 16},
    "as it is": {"standardize": False},
    "median": {"aggregator": "median", "detach_anchor": True},
    "random": {"aggregator": "random", "batch_size": 16},
    "random instance": {"aggregator": RandomAnchor(intra=True), "batch_size": 16},
    "mean instance": {"aggregator": MeanAnchor()},
    "weights": {"aggregator": WeightedAnchor([1, 2, 3.5])},
    "weights by name": {"aggregator": WeightedAnchor({"text": 2, "audio": 1, "image": 0})},
    "weights of numpy": {"aggregator": WeightedAnchor(np.array([1.0, 2.0, 3.0]))},
    "numbers of numpy": {"n_components": np.int64(4), "temperature": np.float32(0.25)},
    "stopped": {"early_stopping": True, "max_epochs": 5, "validation_fraction": 0.3},
    "pretrained": {"pretrain_epochs": 2},
    "untrained": {"max_epochs": 0},
    "seedless": {"random_state": None},
    "generator": {"random_state": np.random.RandomState(3)},
    "device": {"device": torch.device("cpu")},
}
FIXED = {
    "default": {},
    "several": {"anchor": ["text", 2], "freeze_anchor": False},
    "anchor of numpy": {"anchor": np.array([0, 1])},
}
CASES = [(CentroBindTransformer, name, params) for name, params in CENTRO.items()]
CASES += [(FixedAnchorBindTransformer, name, params) for name, params in FIXED.items()]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].__name__[:6]} {case[1]}")
def any_fitted(request):
    cls, _, params = request.param
    return cls(**{**QUICK, "pretrain_epochs": 1, **params}).fit(draw()[0])


def test_a_loaded_estimator_is_the_saved_one(any_fitted, path, X):
    any_fitted.save(path)
    loaded = load(path)
    assert type(loaded) is type(any_fitted)
    assert set(vars(loaded)) == set(vars(any_fitted))
    assert shown(loaded) == shown(any_fitted)
    assert same(loaded.transform(X), any_fitted.transform(X))
    assert same(
        loaded.transform_modality(X["text"], 1), any_fitted.transform_modality(X["text"], 1)
    )
    assert loaded.score(X) == any_fitted.score(X)
    for name in ("loss_curve_", "validation_scores_", "n_iter_", "modality_names_", "device_"):
        assert getattr(loaded, name) == getattr(any_fitted, name), name
    assert_array_equal(loaded.get_feature_names_out(), any_fitted.get_feature_names_out())
    for name, scaler in any_fitted.scalers_.items():
        if scaler is None:
            assert loaded.scalers_[name] is None
        else:
            rows = X[name]
            assert same(loaded.scalers_[name].transform(rows), scaler.transform(rows))


def test_a_loaded_estimator_goes_on_as_the_saved_one(any_fitted, path, X):
    any_fitted.save(path)
    loaded = load(path)
    revived = pickle.loads(pickle.dumps(loaded))
    for _ in range(2):
        expected = any_fitted.partial_fit(X).transform(X)
        assert same(loaded.partial_fit(X).transform(X), expected)
        assert same(revived.partial_fit(X).transform(X), expected)
    assert loaded.loss_curve_ == any_fitted.loss_curve_
    if any_fitted.random_state is not None:
        fresh = clone(any_fitted)
        assert same(clone(loaded).fit_transform(X), fresh.fit_transform(X))


def test_a_second_file_equals_the_first(any_fitted, path, tmp_path):
    any_fitted.save(path)
    load(path).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_missing_modalities(incomplete, binder, path):
    bind = binder().fit(incomplete)
    bind.save(path)
    loaded = load(path)
    assert same(loaded.transform(incomplete), bind.transform(incomplete))
    assert same(
        loaded.partial_fit(incomplete).transform(incomplete),
        bind.partial_fit(incomplete).transform(incomplete),
    )


def test_one_modality(X, centro, path):
    bind = centro(augmentation="mask").fit([X["text"]])
    bind.save(path)
    assert load(path).score([X["text"]]) == bind.score([X["text"]])


def test_rows_with_more_axes(centro, path):
    rng = np.random.default_rng(0)
    X = {"image": rng.normal(size=(30, 3, 2)), "text": rng.normal(size=(30, 6)).astype("f4")}
    bind = centro(standardize=False).fit(X)
    bind.save(path)
    assert same(load(path).partial_fit(X).transform(X), bind.partial_fit(X).transform(X))


@pytest.mark.parametrize("cut", [[6, 5, 4], {"a": slice(0, 6), "b": [6, 7]}, {"a": ["x1", "x3"]}])
def test_frames_cuts_and_output(X, centro, path, cut):
    frame = X.to_frame()
    frame.columns = [f"x{i}" for i in range(frame.shape[1])]
    bind = centro(modalities=cut).fit(frame).set_output(transform="pandas")
    bind.save(path)
    loaded = load(path)
    assert loaded.get_params() == bind.get_params()
    assert_array_equal(loaded.feature_names_in_, bind.feature_names_in_)
    assert loaded.feature_names_in_.dtype == bind.feature_names_in_.dtype
    assert loaded.transform(frame).equals(bind.transform(frame))


def test_frozen_anchors_stay_frozen(X, fixed, path):
    fixed(anchor="text").fit(X).save(path)
    loaded = load(path)
    before = loaded.transform_modalities(X)
    after = loaded.partial_fit(X).transform_modalities(X)
    assert same(after["text"], before["text"])
    assert not same(after["image"], before["image"])


def test_constant_columns(X, centro, path):
    X = dict(X.items())
    X["text"] = np.column_stack([X["text"], np.full(40, 3.0)])
    with pytest.warns(UserWarning, match="constant"):
        bind = centro().fit(X)
    bind.save(path)
    assert same(load(path).transform(X), bind.transform(X))


def test_the_file_is_replaced_at_once_or_not_at_all(X, centro, path, monkeypatch):
    bind = centro().fit(X)
    bind.save(path)
    before = path.read_bytes()
    monkeypatch.setattr("safetensors.torch.save_file", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bind.partial_fit(X).save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_global_states_are_left_alone(X, centro, path):
    bind = centro(encoder=[noisy_factory, "mlp", "linear"]).fit(X)
    before = torch.get_rng_state()
    bind.save(path)
    load(path, encoder=[noisy_factory, "mlp", "linear"])
    assert torch.equal(torch.get_rng_state(), before)


def test_without_safetensors(X, centro, path, monkeypatch):
    bind = centro().fit(X)
    bind.save(path)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    message = re.escape("pip install 'skcentrobind[save]'")
    with pytest.raises(ImportError, match=message):
        bind.save(path)
    with pytest.raises(ImportError, match=message):
        load(path)


def test_any_tool_can_read_the_weights(X, centro, path):
    bind = centro(encoder="linear", standardize=False).fit(X)
    bind.save(path)
    tensors = load_file(path)
    weight = tensors["module.groups.0.first_weight"][6:11].numpy()
    raw = X["text"].astype("f4") @ weight + tensors["module.groups.0.first_bias"][1].numpy()
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(bind.transform_modality(X["text"], "text"), unit, atol=1e-5)
    assert isinstance(bind.transform_modalities(X), Modalities)
