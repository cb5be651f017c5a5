"""Files from other devices, formats and sources: load names the fault."""

import json
import pickle
import struct

import numpy as np
import pytest
import torch
from conftest import same

from skcentrobind import load

pytest.importorskip("safetensors", reason="the extra `save` is not installed")
from safetensors.torch import save_file

from skcentrobind._persistence import safetensors as _safetensors

# Devices


def test_an_unavailable_device(X, centro, path):
    bind = centro().fit(X)
    rewrite(bind, path, lambda header, tensors: header["params"].update(device="cuda:77"))
    with pytest.warns(UserWarning, match=r"device='cuda:77', which is not available.*on the CPU"):
        loaded = load(path)
    assert (loaded.device, loaded.device_) == ("cuda:77", "cpu")
    assert same(loaded.transform(X), bind.transform(X))
    assert load(path, device="cpu").device == "cpu"
    with pytest.raises(ValueError, match="device='cuda:78' cannot be used here"):
        load(path, device="cuda:78")


def test_a_generator_of_another_kind_of_device_starts_afresh(X, centro, path):
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
    header, tensors = _safetensors.read(path)
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
    "unknown class": (set_in("class", to="os.system"), "does not support; it loads Centro"),
    "class is no text": (set_in("class", to=3), "has no usable 'class'"),
    "no parameters": (set_in("params", to=[]), "has no usable 'params'"),
    "unknown parameter": (set_in("params", "speed", to=1), "speed"),
    "bad parameter": (set_in("params", "temperature", to=-1), "temperature=-1, expected"),
    "unknown kind": (set_in("params", "encoder", to={"$eval": "1/0"}), "unknown kind.*eval"),
    "two kinds": (set_in("params", "encoder", to={"$tuple": [], "$dict": []}), "unknown kind"),
    "unknown anchor": (
        set_in("params", "aggregator", to={"$anchor": ["Popen", {"$dict": [["args", "ls"]]}]}),
        "no anchor class 'Popen'",
    ),
    "missing names": (lambda header, tensors: header["schema"].pop("names"), "cannot be"),
    "wrong names": (set_in("schema", "names", to=["a"]), "cannot be loaded"),
    "wrong shapes": (set_in("schema", "row_shapes", to=[1, 2, 3]), "cannot be loaded"),
    "huge": (set_in("plan", "hidden_layer_sizes", to=[10**12]), "cannot be loaded"),
    "missing width": (lambda header, tensors: header["plan"].pop("n_components"), "n_components"),
    "unknown encoder": (set_in("plan", "modalities", 0, "encoder", to="exec"), "cannot be loaded"),
    "wrong groups": (set_in("groups", to=[[0, 1], [2]]), "cannot be loaded"),
    "wrong scalers": (set_in("scalers", to=[40]), "cannot be loaded"),
    "wrong settings": (set_in("optimizer", to=[]), "cannot be loaded"),
    "wrong history": (set_in("history", to=[3]), "cannot be loaded"),
    "no weights": (drop_tensor("module.groups.0.first_bias"), "first_bias"),
    "no scaler": (drop_tensor("scaler.1.scale_"), "scale_"),
    "no generator": (drop_tensor("random.order_generator_"), "order_generator_"),
    "other weights": (set_tensor("module.groups.0.first_bias", torch.zeros(2)), "size mismatch"),
    "other scaler": (set_tensor("scaler.1.scale_", torch.ones(9)), "another width than 5"),
    "other moments": (set_tensor("optimizer.0.exp_avg", torch.ones(9)), "optimiser's '0.exp_avg'"),
    "a tensor too many": (set_tensor("virus", torch.ones(9)), "unused tensors, such as 'virus'"),
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
    with pytest.raises(ValueError, match="the metadata 'skcentrobind' is missing"):
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
