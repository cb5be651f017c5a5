"""Encoders that compute in bfloat16 are close to those in float32, and all else stays float32."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from conftest import draw
from numpy.testing import assert_array_equal
from scipy import sparse
from torch import nn

from skcentrobind import CentroBindTransformer, Modalities, load
from skcentrobind._encoders.table import ENCODERS
from skcentrobind._ops import check_precision, matmul, unit_rows
from skcentrobind.datasets import load_multiple_features

BF16 = torch.bfloat16

#: Widths of the members, hidden layers, form of the encoders.
BANKS = [
    ((7,), (6,), "residual"),
    ((7, 7, 7), (6, 5), "residual"),
    ((3, 9), (6,), "mlp"),
    ((4, 4), (), "linear"),
    ((3, 9), (), "linear"),
    ((300, 40), (150,), "residual"),
]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make_bank(widths, hidden, kind, dtype=None, n_components=4):
    bank = ENCODERS[kind](range(len(widths)), widths, n_components, hidden, seeded())
    with torch.no_grad():
        for i, parameter in enumerate(bank.parameters()):
            fan_in = parameter.shape[-2] if parameter.shape[-2] > 1 else parameter.shape[-1]
            parameter.copy_(torch.randn(parameter.shape, generator=seeded(i)) / fan_in**0.5)
    bank.product_dtype = dtype
    return bank


def cosines(one, two):
    return (torch.as_tensor(one) * torch.as_tensor(two)).sum(dim=-1)


# --- the bank -----------------------------------------------------------------------------


@pytest.mark.parametrize(("widths", "hidden", "kind"), BANKS)
def test_embeddings_and_gradients_are_close(widths, hidden, kind):
    x = torch.randn(200, sum(widths), generator=seeded(9))
    probe = torch.randn(len(widths), 200, 16, generator=seeded(8))
    outs, grads = [], []
    for dtype in (None, BF16):
        bank, rows = make_bank(widths, hidden, kind, dtype, 16), x.clone().requires_grad_()
        z = bank(rows)
        (z * probe).sum().backward()
        outs.append(z.detach())
        grads.append([rows.grad, *(parameter.grad for parameter in bank.parameters())])
        for k, x_k in enumerate(x.split(widths, dim=1)):
            assert cosines(bank.encode(k, x_k), z[k]).min() > 0.999
    assert outs[1].dtype == torch.float32
    torch.testing.assert_close(outs[1].norm(dim=-1), torch.ones(len(widths), 200))
    assert not torch.equal(*outs)
    assert cosines(*outs).min() > 0.99
    for full, low in zip(*grads, strict=True):
        assert low.dtype == torch.float32
        # Single hidden units near zero switch, which changes sums over few rows most.
        assert (low - full).norm() < 0.1 * full.norm()


def test_what_bfloat16_holds_exactly_is_exact():
    # Whole numbers up to 256 need no more than its 8 bits.
    def integers(*shape, seed):
        return torch.randint(-2, 3, shape, generator=seeded(seed)).float()

    outs = []
    for dtype in (None, BF16):
        bank = make_bank((3, 5), (4, 2), "residual", dtype)
        with torch.no_grad():
            for i, parameter in enumerate(bank.parameters()):
                parameter.copy_(integers(*parameter.shape, seed=i).sign())
        outs.append(bank(integers(30, 8, seed=7)))
    assert torch.equal(*outs)


def test_layers_keep_half_of_the_memory_for_the_backward_pass():
    kept = {}

    def keep(tensor):
        kept[dtype].append(tensor)
        return tensor

    for dtype in (None, BF16):
        kept[dtype] = []
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            make_bank((50, 50), (40, 30), "residual", dtype)(torch.ones(60, 100))
    # Unit rows and their norms stay float32.
    assert sum(tensor.dtype == torch.float32 for tensor in kept[BF16]) == 2
    sizes = {dtype: sum(t.numel() * t.element_size() for t in kept[dtype]) for dtype in kept}
    unit = 2 * 60 * (4 + 1) * 4
    assert sizes[BF16] - unit == (sizes[None] - unit) / 2


def test_blocks_of_products_are_added_in_float32():
    left, right = torch.rand(3, 4096, generator=seeded()), torch.rand(4096, 2, generator=seeded(1))
    exact = left.to(BF16).double() @ right.to(BF16).double()
    found = matmul(left.to(BF16), right.to(BF16))
    assert found.dtype == BF16
    # Each block is rounded once, to 8 bits, and so is their sum.
    assert ((found - exact).abs() <= exact * 2**-8).all()


@pytest.mark.parametrize("shape", [(500, 240, 320), (47, 500, 320), (7, 1000, 64)])
def test_products_do_not_depend_on_the_number_of_threads(shape, threads):
    n, k, m = shape
    left = torch.randn(n, k, generator=seeded()).to(BF16)
    right = torch.randn(k, m, generator=seeded(1)).to(BF16)
    products = []
    for number in (1, 2, 4):
        threads(number)
        products += [matmul(left, right), matmul(left[None], right[None])[0]]
        products.append(matmul(left.T.contiguous().T, right))
    for i in range(3):
        assert torch.equal(products[i], products[i + 3])
        assert torch.equal(products[i], products[i + 6])


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


# --- modules of a user --------------------------------------------------------------------


class Notes(nn.Module):
    """Records the types of its input and output."""

    seen: ClassVar = []

    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(6, width)

    def forward(self, x):
        out = self.linear(x)
        self.seen.append((x.dtype, out.dtype, torch.is_autocast_enabled("cpu")))
        return out


@pytest.mark.parametrize("width", [4, 3])
def test_modules_run_under_autocast(X, centro, width):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = [Notes(width), "mlp", "mlp"]
    full = centro(encoder=encoder).fit(X)
    Notes.seen.clear()
    bind = centro(encoder=encoder, precision="bf16").fit(X)
    Z = bind.transform_modality(X["image"], "image")
    # The first call is the trial of the module.
    assert set(Notes.seen[1:]) == {(torch.float32, BF16, True)}
    assert not torch.is_autocast_enabled("cpu")
    assert Z.dtype == np.float32
    assert cosines(Z, full.transform_modality(X["image"], "image")).min() > 0.99
    parameters = list(bind.net_.module_.parameters())
    assert {p.dtype for p in parameters} == {p.grad.dtype for p in parameters} == {torch.float32}


# --- the estimators -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    X, _ = load_multiple_features(return_X_y=True)
    return X[::4]


@pytest.mark.parametrize(
    "params", [{"init": "random"}, {"encoder": "mlp", "hidden_layer_sizes": (64, 32)}]
)
def test_digits_are_learned_as_in_float32(digits, params):
    params = {"n_components": 16, "max_epochs": 12, "random_state": 0, "device": "cpu", **params}
    full = CentroBindTransformer(**params).fit(digits)
    bind = CentroBindTransformer(**params, precision="bf16").fit(digits)
    assert bind.loss_curve_ != full.loss_curve_
    np.testing.assert_allclose(bind.loss_curve_, full.loss_curve_, rtol=2e-3)
    assert bind.loss_curve_[-1] < 0.75 * bind.loss_curve_[0]
    for Z, expected in zip(
        bind.transform_modalities(digits).arrays,
        full.transform_modalities(digits).arrays,
        strict=True,
    ):
        assert Z.dtype == np.float32
        assert cosines(Z, expected).min() > 0.99
    assert bind.score(digits) == pytest.approx(full.score(digits), abs=0.02)


def test_missing_modalities_and_both_estimators(binder, incomplete):
    full, bind = binder().fit(incomplete), binder(precision="bf16").fit(incomplete)
    np.testing.assert_allclose(bind.loss_curve_, full.loss_curve_, rtol=0.02)
    bind.partial_fit(incomplete)
    assert np.isfinite(bind.transform(incomplete)).all()


def test_sparse_rows(X, centro):
    bags = Modalities({"bag": sparse.csr_array(np.maximum(X["image"], 0)), "text": X["text"]})
    full, bind = centro().fit(bags), centro(precision="bf16").fit(bags)
    np.testing.assert_allclose(bind.loss_curve_, full.loss_curve_, rtol=0.02)
    for Z, expected in zip(bind.transform(bags), full.transform(bags), strict=True):
        assert cosines(Z, expected) > 2 * 0.99


def test_the_same_seed_gives_the_same_numbers(binder, X, threads):
    results = []
    for number in (1, 2, 1):
        threads(number)
        results.append(binder(precision="bf16").fit(X).transform(X))
    assert_array_equal(results[0], results[2])
    assert_array_equal(results[0], results[1])


def test_identity_has_no_products(X, centro):
    params = {"encoder": ["identity", "mlp", "mlp"], "n_components": 6}
    Z = centro(**params, precision="bf16").fit(X).transform_modality(X["image"], "image")
    assert_array_equal(Z, unit_rows(torch.tensor(X["image"], dtype=torch.float32)).numpy())


def test_saved_and_loaded(X, centro, tmp_path):
    pytest.importorskip("safetensors", reason="the extra `save` is not installed")
    bind = centro(precision="bf16").fit(X)
    bind.save(tmp_path / "bind")
    loaded = load(tmp_path / "bind")
    assert loaded.precision == "bf16"
    assert_array_equal(loaded.transform(X), bind.transform(X))
    assert_array_equal(loaded.partial_fit(X).transform(X), bind.partial_fit(X).transform(X))


def test_onnx_computes_in_float32(X, centro):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `test` is not installed")
    pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    bind = centro(precision="bf16").fit(X)
    model = bind.to_onnx(None, "text").SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    rows = X["text"].astype("f4")
    (Z,) = session.run(None, {"features": rows})
    assert cosines(Z, bind.transform_modality(rows, "text")).min() > 0.99


# --- what it refuses ----------------------------------------------------------------------


@pytest.mark.parametrize("value", ["bfloat16", "fp16", None, 16, BF16])
def test_other_precisions(binder, X, value):
    with pytest.raises(ValueError, match=r"precision=.*expected 'float32' or 'bf16'"):
        binder(precision=value).fit(X)


def test_a_device_that_cannot(binder, X, monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("BFloat16 is not supported here\nand more")

    check_precision("float32", "meta")
    # The meta device has only shapes and cannot compute.
    with pytest.raises(ValueError, match=r"'bf16' cannot be used on device='meta' \(.*'float32'"):
        check_precision("bf16", "meta")
    monkeypatch.setattr(torch.Tensor, "__matmul__", refuse)
    with pytest.raises(ValueError, match=r"'cpu' \(BFloat16 is not supported here\); use"):
        binder(precision="bf16", device="cpu").fit(X)


needs_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("encoder", ["residual", nn.Linear(6, 5)], ids=["bank", "module"])
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=needs_gpu)])
def test_a_gpu_computes_in_bfloat16(centro, device, encoder):
    X, _ = draw()
    params = {"encoder": [encoder, "mlp", "mlp"], "device": device}
    full, bind = centro(**params).fit(X), centro(**params, precision="bf16").fit(X)
    np.testing.assert_allclose(bind.loss_curve_, full.loss_curve_, rtol=0.02)
    assert bind.transform(X).dtype == np.float32
