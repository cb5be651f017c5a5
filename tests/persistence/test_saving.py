"""A file of save() gives back the estimator bit for bit, runs no code, and says what is wrong."""

import json
import pickle
import re
import struct
import sys

import numpy as np
import pytest
import torch
from conftest import QUICK, draw
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn

import skcentrobind
from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer, Modalities, load
from skcentrobind._plain import ANCHOR_CLASSES, from_plain, to_plain
from skcentrobind.anchors import BaseAnchor, MeanAnchor, RandomAnchor, WeightedAnchor

pytest.importorskip("safetensors", reason="the extra `save` is not installed")
from safetensors.torch import load_file, save_file

from skcentrobind import _saving


def same(one, two):
    return one.dtype == two.dtype and one.tobytes() == two.tobytes()


def shown(estimator):
    """Parameters in a form that compares anchors and generators by their contents."""
    return {name: to_plain(value) for name, value in estimator.get_params(deep=False).items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bind.safetensors"


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


def test_missing_modalities(gappy, binder, path):
    bind = binder().fit(gappy)
    bind.save(path)
    loaded = load(path)
    assert same(loaded.transform(gappy), bind.transform(gappy))
    assert same(
        loaded.partial_fit(gappy).transform(gappy), bind.partial_fit(gappy).transform(gappy)
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


# Code, which a file of data cannot hold


def noisy_factory(n_features, n_components):
    return nn.Sequential(nn.Linear(n_features, 7), nn.BatchNorm1d(7), nn.Dropout(0.2))


def shift(x, generator):
    return x + 0.1


class FirstAnchor(BaseAnchor):
    def aggregate(self, z, present):
        return z[0]


CODE = {
    "factory": ({"encoder": noisy_factory}, "function"),
    "mixed": ({"encoder": {"image": nn.Linear(6, 9), "text": "mlp", "audio": "mlp"}}, "Linear"),
    "augmentation": ({"augmentation": [shift, None, "mask"]}, "function"),
    "anchor": ({"aggregator": FirstAnchor()}, "FirstAnchor"),
}


@pytest.mark.parametrize("name", CODE)
def test_code_is_asked_for_again(X, centro, path, name):
    code, kind = CODE[name]
    (parameter,) = code
    bind = centro(**code).fit(X)
    bind.save(path)
    with pytest.raises(
        ValueError, match=rf"{parameter} \(holding a {kind}\).*load\(path, {parameter}"
    ):
        load(path)
    loaded = load(path, **code)
    assert loaded.get_params()[parameter] is code[parameter]
    assert same(loaded.transform(X), bind.transform(X))
    assert same(loaded.partial_fit(X).transform(X), bind.partial_fit(X).transform(X))


@pytest.mark.parametrize(
    "encoder", [nn.Linear(4, 9), nn.Linear(6, 8), "mlp", {"text": "mlp"}, lambda n, d: 1 / 0]
)
def test_other_code_than_before_is_refused(X, centro, path, encoder):
    centro(encoder={"image": nn.Linear(6, 9), "text": "mlp", "audio": "mlp"}).fit(X).save(path)
    with pytest.raises(ValueError, match=r"cannot be loaded.*or encoder is not what it was"):
        load(path, encoder=encoder)


def test_parameters_of_the_file_cannot_be_overruled(X, centro, path):
    centro().fit(X).save(path)
    with pytest.raises(
        TypeError, match=re.escape("['temperature']; change others with set_params")
    ):
        load(path, temperature=0.5)


class Derived(CentroBindTransformer):
    pass


def test_derived_classes_are_refused(X, path):
    with pytest.raises(TypeError, match=r"could not make a Derived.*use joblib\.dump"):
        Derived(**QUICK).fit(X).save(path)
    assert not path.exists()


def test_an_estimator_without_fit_is_refused(binder, path):
    with pytest.raises(NotFittedError):
        binder().save(path)


def test_the_tables_are_those_of_the_public_classes():
    public = [getattr(skcentrobind, name) for name in skcentrobind.__all__]
    transformers = {c.__name__ for c in public if hasattr(c, "transform_modalities")}
    assert set(_saving.CLASSES) == transformers
    assert {"WeightedAnchor", "FixedAnchor", "RandomAnchor"} <= set(ANCHOR_CLASSES)


# Devices


def test_a_device_that_is_not_here(X, centro, path):
    bind = centro().fit(X)
    rewrite(bind, path, lambda header, tensors: header["params"].update(device="cuda:77"))
    with pytest.warns(UserWarning, match=r"device='cuda:77', which is not here.*on the CPU"):
        loaded = load(path)
    assert (loaded.device, loaded.device_) == ("cuda:77", "cpu")
    assert same(loaded.transform(X), bind.transform(X))
    assert load(path, device="cpu").device == "cpu"
    with pytest.raises(ValueError, match="device='cuda:78' cannot be used here"):
        load(path, device="cuda:78")


def test_a_generator_of_another_kind_of_device_starts_anew(X, centro, path):
    def change(header, tensors):
        header["device"] = "cuda"
        tensors["random.generator_"] = torch.zeros(16, dtype=torch.uint8)

    bind = centro().fit(X)
    rewrite(bind, path, change)
    assert np.isfinite(load(path).partial_fit(X).loss_curve_).all()


# Files that cannot be used


def rewrite(bind, path, change):
    """Save, and save once more with a header and tensors that were tampered with."""
    bind.save(path)
    header, tensors = _saving.read(path)
    change(header, tensors)
    save_file(tensors, path, metadata={"skcentrobind": json.dumps(header)})


def set_in(*keys, to):
    def change(header, tensors):
        for key in keys[:-1]:
            header = header[key]
        header[keys[-1]] = to

    return change


def drop_tensor(name):
    return lambda header, tensors: tensors.pop(name)


def set_tensor(name, value):
    return lambda header, tensors: tensors.update({name: value})


TAMPERED = {
    "newer format": (set_in("format", to=99), "in format 99, but this is version.*upgrade"),
    "no format": (set_in("format", to=None), "no format version"),
    "format of text": (set_in("format", to="1"), "no format version"),
    "unknown class": (set_in("class", to="os.system"), "does not know; it loads Centro"),
    "class is no text": (set_in("class", to=3), "lacks a usable 'class'"),
    "no parameters": (set_in("params", to=[]), "lacks a usable 'params'"),
    "unknown parameter": (set_in("params", "speed", to=1), "speed"),
    "bad parameter": (set_in("params", "temperature", to=-1), "temperature=-1, expected"),
    "unknown kind": (set_in("params", "encoder", to={"$eval": "1/0"}), "unknown kind.*eval"),
    "two kinds": (set_in("params", "encoder", to={"$tuple": [], "$dict": []}), "unknown kind"),
    "unknown anchor": (
        set_in("params", "aggregator", to={"$anchor": ["Popen", {"$dict": [["args", "ls"]]}]}),
        "no anchor class 'Popen'",
    ),
    "objects": (
        set_in("params", "modalities", to={"$array": ["O", [[1]]]}),
        "strings only",
    ),
    "missing names": (lambda header, tensors: header["fitted"].pop("modality_names_"), "cannot be"),
    "wrong names": (set_in("fitted", "modality_names_", to=["a"]), "cannot be loaded"),
    "wrong shapes": (set_in("fitted", "_row_shapes", to=[1, 2, 3]), "cannot be loaded"),
    "huge": (set_in("params", "hidden_layer_sizes", to=[10**12]), "cannot be loaded"),
    "wrong groups": (set_in("groups", to=[[0, 1], [2]]), "cannot be loaded"),
    "wrong scalers": (set_in("scalers", to=[40]), "cannot be loaded"),
    "wrong rates": (set_in("rates", to=[]), "cannot be loaded"),
    "wrong history": (set_in("history", to=[3]), "cannot be loaded"),
    "no weights": (drop_tensor("module.groups.0.first_bias"), "first_bias"),
    "no scaler": (drop_tensor("scaler.1.scale_"), "scale_"),
    "no generator": (drop_tensor("random.order_generator_"), "order_generator_"),
    "other weights": (set_tensor("module.groups.0.first_bias", torch.zeros(2)), "size mismatch"),
    "other scaler": (set_tensor("scaler.1.scale_", torch.ones(9)), "another width than 5"),
    "other moments": (set_tensor("optimizer.0.exp_avg", torch.ones(9)), "optimiser's '0.exp_avg'"),
    "a tensor too many": (set_tensor("virus", torch.ones(9)), "nothing needs, such as 'virus'"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_file(X, centro, path, name):
    change, message = TAMPERED[name]
    rewrite(centro().fit(X), path, change)
    with pytest.raises(ValueError, match=f"(?s)bind.safetensors.*{message}"):
        load(path)


def touch(path):
    open(path, "w").close()


class Malicious:
    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return touch, (self.flag,)


def test_foreign_files(path, tmp_path):
    flag = tmp_path / "code ran"
    path.write_bytes(pickle.dumps(Malicious(str(flag))))
    with pytest.raises(ValueError, match="it looks like a pickle, which only joblib"):
        load(path)
    assert not flag.exists()
    torch.save({"w": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match="it looks like a zip archive"):
        load(path)
    for content in (b"", b"hello", b"\0" * 200, struct.pack("<Q", 2**60) + b"{}"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="or it is damaged"):
            load(path)
    save_file({"w": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match="lacks the metadata 'skcentrobind'"):
        load(path)
    save_file({"w": torch.zeros(3)}, path, metadata={"skcentrobind": "[" * 10**5})
    with pytest.raises(ValueError, match="or it is damaged"):
        load(path)
    save_file({"w": torch.zeros(3)}, path, metadata={"skcentrobind": "[1]"})
    with pytest.raises(ValueError, match="no format version"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")


def test_cut_or_changed_bytes_never_crash(X, centro, path):
    centro().fit(X).save(path)
    content = path.read_bytes()
    (header_size,) = struct.unpack("<Q", content[:8])
    rng = np.random.default_rng(0)
    refused = 0
    for k in range(80):
        changed = bytearray(content)
        if k % 5 == 0:
            changed = changed[: rng.integers(len(content))]
        else:
            changed[rng.integers(8 + header_size)] = rng.integers(256)
        path.write_bytes(changed)
        try:
            load(path)
        except ValueError as exc:
            refused += 1
            assert path.name in str(exc)
        # A byte in a number or in the name of a modality may still make a sound file.
    assert refused > 50


# Values


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        0.1,
        "text",
        [1, [2.5, "a"]],
        (1, (2, [3])),
        {"a": 1, 2: (3,), None: slice(1, None, 2)},
        slice(None),
        {"$tuple": [1]},
    ],
)
def test_values_come_back_with_their_types(value):
    back = from_plain(json.loads(json.dumps(to_plain(value))))
    assert back == value
    assert repr(back) == repr(value)


@pytest.mark.parametrize(
    "array", [np.arange(6.0).reshape(2, 3), np.array(["a", "bc"]), np.array(["a"], dtype=object)]
)
def test_arrays_come_back(array):
    back = from_plain(json.loads(json.dumps(to_plain(array))))
    assert back.dtype == array.dtype
    assert_array_equal(back, array)


@pytest.mark.parametrize("value", [print, 1j, {1, 2}, [nn.ReLU()], {"a": object()}, int])
def test_what_is_not_data_is_refused(value):
    with pytest.raises(TypeError):
        to_plain(value)


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
