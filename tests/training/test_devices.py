"""Everything runs on the chosen device, shown on the CPU by a simulated device.

`Elsewhere` wraps tensors that say that they live on the device "maia". Their numbers stay in the
CPU's memory, so results can be compared with the CPU's, but an operation that mixes them with
tensors of the CPU fails, as on a GPU. What a GPU alone can show is marked `gpu`.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import QUICK, draw
from sklearn.utils.fixes import parse_version
from skorch.callbacks import Callback
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

import skcentrobind
from skcentrobind import (
    CentroBindTransformer,
    FixedAnchorBindTransformer,
    GramianBindTransformer,
    Modalities,
    PairwiseBindTransformer,
    PrincipalBindTransformer,
    SymileBindTransformer,
    anchors,
    load,
)
from skcentrobind._ops import resolve_device
from skcentrobind.anchors import (
    ANCHORS,
    BaseAnchor,
    CallableAnchor,
    FixedAnchor,
    IntraAnchor,
    RandomAnchor,
    WeightedAnchor,
)

PACKAGE = str(Path(skcentrobind.__file__).parent)
TORCH = str(Path(torch.__file__).parent)
OLD_TORCH = parse_version(torch.__version__) < parse_version("2.9")

SETTINGS = {name: {"aggregator": name} for name in ANCHORS}
SETTINGS |= {
    "weighted": {"aggregator": WeightedAnchor([1, 2, 3])},
    "random instance": {"aggregator": RandomAnchor(intra=True)},
    "detached": {"detach_anchor": True},
    "mask": {"augmentation": "mask"},
    "marginal": {"augmentation": "marginal"},
    "raw": {"standardize": False},
    "raw marginal": {"standardize": False, "augmentation": ["marginal", "gaussian", None]},
    "mlp": {"encoder": "mlp", "hidden_layer_sizes": (8, 7)},
    "mixed": {"encoder": ["linear", "mlp", "identity"]},
    "module": {"encoder": [torch.nn.Linear(6, 9), "mlp", "mlp"]},
    "stopped": {"early_stopping": True, "validation_fraction": 0.3},
    "pretrained": {"pretrain_epochs": 1},
    "cold": {"temperature": 0.005},
    "fixed": {"cls": FixedAnchorBindTransformer, "pretrain_epochs": 1},
    "regularized": {
        "n_specific_components": 2,
        "learn_temperature": True,
        "regularizers": {"uniformity": 0.1, "alignment": 0.1, "separation": 0.1},
    },
    "learned temperatures": {"temperature": [0.1, 0.2, 0.3], "learn_temperature": True},
    "callbacks": {"callbacks": [Callback()]},
    "pairwise": {"cls": PairwiseBindTransformer},
    "symile": {"cls": SymileBindTransformer},
    "gramian": {"cls": GramianBindTransformer},
    "principal": {"cls": PrincipalBindTransformer},
    "several fixed": {
        "cls": FixedAnchorBindTransformer,
        "anchor": ["text", "image"],
        "freeze_anchor": False,
    },
}


def everything(X, device, cls=CentroBindTransformer, **params):
    """Fit, and all that can be done with what was fitted; arrays and numbers."""
    bind = cls(**{**QUICK, "batch_size": 16, "max_epochs": 2, **params}, device=device).fit(X)
    assert bind.device_ == device
    bind.partial_fit(X)
    return [
        bind.transform(X),
        *bind.transform_modalities(X).arrays,
        bind.transform_modality(X["text"], "text"),
        bind.score(X),
        bind.loss_curve_,
    ]


def data(has_missing):
    X, _ = draw()
    if has_missing:
        present = np.random.default_rng(1).random((len(X), 3)) < 0.7
        present[np.arange(len(X)), np.arange(len(X)) % 3] = True
        arrays = [np.where(present[:, [m]], a, np.nan) for m, a in enumerate(X.arrays)]
        X = Modalities(arrays, names=X.names)
    return X


# A device that is made up

DEVICE = torch.device("maia:0")
TAKE = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default)


class Elsewhere(torch.Tensor):
    """A tensor of the CPU that reports the device `DEVICE`."""

    @staticmethod
    def __new__(cls, tensor):
        made = torch.Tensor._make_wrapper_subclass(
            cls, tensor.shape, strides=tensor.stride(), dtype=tensor.dtype, device="cpu"
        )
        made.inner = tensor
        return made

    @property
    def device(self):
        return DEVICE

    def __deepcopy__(self, memo):
        return Elsewhere(self.inner.clone())

    def cpu(self):
        # torch would get a tensor of the CPU and do nothing.
        return self.inner.clone()

    def tolist(self):
        return self.inner.tolist()

    def numpy(self, *args, **kwargs):
        raise TypeError("can't convert a tensor of another device to numpy; use .cpu() first")

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return run_elsewhere(function, args, kwargs or {})


class AnyGenerator(torch.Generator):
    """A generator of the CPU that reports the requested device."""

    # Without a default, so that the package must pass a device.
    def __new__(cls, device):
        made = super().__new__(cls)
        made.home = torch.device(device)
        return made

    @property
    def device(self):
        return self.home


def run_elsewhere(function, args, kwargs):
    """Run an operation on the wrapped tensors, unless it mixes devices."""
    flat = torch.utils._pytree.tree_leaves((args, kwargs))
    tensors = [t for t in flat if isinstance(t, torch.Tensor)]
    there = [isinstance(t, Elsewhere) for t in tensors]
    target = kwargs.get("device")
    aten = torch.ops.aten
    if function is aten._to_copy.default and torch._C._current_autograd_node() is not None:
        target = None  # the gradient of a cast goes where C++ believes the input to be
    moves = function in (aten._to_copy.default, aten.copy_.default, *TAKE)
    # As on a GPU, a number without axes may come from the CPU, and so may the rows to take.
    at_home = [t for t in tensors if not isinstance(t, Elsewhere) and t.ndim]
    # Autograd makes zeros for unused outputs of unbind where C++ believes them to be.
    unused = function is aten.stack.default and not any(t.any() for t in at_home)
    if any(there) and at_home and not moves and not unused:
        raise RuntimeError(f"{function}: expected all tensors to be on the same device")
    result_there = any(there) if target is None else torch.device(target).type == DEVICE.type
    if function is aten.copy_.default:
        result_there = there[0]
    if target is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    wrappers = {id(t.inner): t for t in tensors if isinstance(t, Elsewhere)}
    out = function(
        *tree_map(lambda t: t.inner if isinstance(t, Elsewhere) else t, args),
        **tree_map(lambda t: t.inner if isinstance(t, Elsewhere) else t, kwargs),
    )
    if not result_there:
        return out

    def wrap(value):
        if not isinstance(value, torch.Tensor):
            return value
        if value.dtype in (torch.float64, torch.complex128):
            raise TypeError(f"{DEVICE} has no {value.dtype}, as Apple's GPUs have none")
        # An operation in place returns its own input.
        return wrappers[id(value)] if id(value) in wrappers else Elsewhere(value)

    return tree_map(wrap, out)


class OtherDevice(TorchDispatchMode):
    """Makes tensors on `DEVICE` if requested."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return run_elsewhere(function, args, kwargs or {})


class SaysWhere(TorchFunctionMode):
    """Refuses what depends on the caller: new tensors of the package without device or dtype.

    Generators of another device are refused, too.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in _device_constructors() and "device" not in kwargs and called_by_package():
            raise AssertionError(f"torch.{function.__name__}() without device=")
        generator = kwargs.get("generator")
        if isinstance(generator, AnyGenerator):
            where = torch.device(kwargs["device"]) if "device" in kwargs else args[0].device
            if where.type != generator.device.type:
                raise RuntimeError(f"{function.__name__}: a generator of {generator.device}")
        made = function(*args, **kwargs)
        if function in _device_constructors() and "dtype" not in kwargs and called_by_package():
            assert not made.is_floating_point(), f"torch.{function.__name__}() without dtype="
        return made


def called_by_package():
    """Whether the call came from a file of the package, and not from torch, skorch or a test."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename.startswith(TORCH):
        # Optimisers of torch keep their step counts on any device.
        if "optim" in Path(frame.f_code.co_filename).parts:
            return False
        frame = frame.f_back
    return frame.f_code.co_filename.startswith(PACKAGE)


@pytest.fixture
def other_device(monkeypatch):
    monkeypatch.setattr(torch, "Generator", AnyGenerator)
    # Modules get new parameters on the new device; the old ones could not change their class.
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    with OtherDevice(), SaysWhere():
        yield str(DEVICE)
    torch.__future__.set_overwrite_module_params_on_conversion(False)


def test_the_made_up_device_refuses_a_mix(other_device):
    there = torch.ones(2, device=other_device)
    assert there.device == DEVICE
    assert (there * 2 + there).cpu().tolist() == [3, 3]
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.ones(2)
    with pytest.raises(RuntimeError, match="generator"):
        torch.rand(2, device=other_device, generator=torch.Generator("cpu"))
    with pytest.raises(TypeError, match=r"use \.cpu"):
        there.numpy()
    with pytest.raises(TypeError, match=r"no torch\.float64"):
        there.double()


@pytest.mark.parametrize("has_missing", [False, True], ids=["complete", "missing"])
@pytest.mark.parametrize("name", SETTINGS)
def test_another_device_gives_the_same_numbers(name, has_missing, request):
    if name == "median" and OLD_TORCH:
        pytest.skip("the backward pass of sort makes tensors on the CPU in old releases of torch")
    X, params = data(has_missing), SETTINGS[name]
    expected = everything(X, "cpu", **params)
    found = everything(X, request.getfixturevalue("other_device"), **params)
    for a, b in zip(found, expected, strict=True):
        # The fused form of AdamW is for real devices only and rounds differently.
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)


def test_bfloat16_on_another_device(request):
    X, params = data(has_missing=True), {"precision": "bf16", "n_components": 6}
    params["encoder"] = ["identity", "mlp", "residual"]
    expected = everything(X, "cpu", **params)
    found = everything(X, request.getfixturevalue("other_device"), **params)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=0.05, rtol=0.05)


def test_one_modality_on_another_device(request):
    X = [draw()[0]["text"]]
    scores = [CentroBindTransformer(**QUICK, device="cpu").fit(X).score(X)]
    device = request.getfixturevalue("other_device")
    scores.append(CentroBindTransformer(**QUICK, device=device).fit(X).score(X))
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


@pytest.mark.skipif(OLD_TORCH, reason="safetensors reads by torch.asarray without device= there")
def test_saved_on_the_cpu_and_loaded_on_another_device(tmp_path, request):
    pytest.importorskip("safetensors", reason="the extra `save` is not installed")
    X, _ = draw()
    bind = CentroBindTransformer(**QUICK, device="cpu").fit(X)
    bind.save(tmp_path / "bind")
    loaded = load(tmp_path / "bind", device=request.getfixturevalue("other_device"))
    assert loaded.encoders_["text"].group.first_weight.device == DEVICE
    np.testing.assert_array_equal(loaded.transform(X), bind.transform(X))
    loaded.save(tmp_path / "again")
    loaded.partial_fit(X)
    again = load(tmp_path / "again", device="cpu")
    np.testing.assert_array_equal(again.transform(X), bind.transform(X))


def test_every_aggregator_was_run():
    used = {type(params["aggregator"]) for params in SETTINGS.values() if "aggregator" in params}
    named = {type(make()) for make in ANCHORS.values()}
    public = {cls for cls in vars(anchors).values() if isinstance(cls, type)}
    public = {cls for cls in public if issubclass(cls, BaseAnchor)}
    # FixedAnchor has its own estimator, IntraAnchor is the pre-training, a function is the user's.
    assert public - used - named == {BaseAnchor, CallableAnchor, FixedAnchor, IntraAnchor}


# The choice of a device


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_prefers_cuda_then_mps(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device("auto") == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda")])
def test_an_unavailable_gpu_is_an_error(binder, X, device):
    with pytest.raises(ValueError, match=r"cannot be used here.*use device='auto' or device='cpu'"):
        binder(device=device).fit(X)


# What only a GPU can show

needs_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("has_missing", [False, True], ids=["complete", "missing"])
@pytest.mark.parametrize("name", [pytest.param(name, marks=needs_gpu) for name in SETTINGS])
def test_a_gpu_learns(name, has_missing):
    X, params = data(has_missing), SETTINGS[name]
    first, second = (everything(X, "cuda", **params) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert np.isfinite(first[0]).all()


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=needs_gpu)])
def test_an_estimator_moves_between_gpu_and_cpu(device, tmp_path):
    pytest.importorskip("safetensors", reason="the extra `save` is not installed")
    X, _ = draw()
    bind = CentroBindTransformer(**QUICK, device=device).fit(X)
    bind.save(tmp_path / "bind")
    loaded = load(tmp_path / "bind", device="cpu")
    np.testing.assert_allclose(loaded.transform(X), bind.transform(X), atol=1e-4)
    assert loaded.partial_fit(X).n_iter_ == bind.n_iter_ + 1
