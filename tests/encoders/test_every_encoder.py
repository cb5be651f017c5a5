"""What holds for every built-in encoder; a new one joins by its row in ENCODERS."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skcentrobind import Modalities, load
from skcentrobind._encoders.sparse import SparseRows
from skcentrobind._encoders.table import ENCODERS

every_encoder = pytest.mark.parametrize("kind", ENCODERS)


def options(kind, n_members, is_sparse=False):
    """What a kind needs beside what all need: here its rows are augmented, not its features."""
    spec = SimpleNamespace(n_landmarks=4, is_sparse=is_sparse, augmentation=draw)
    return ENCODERS[kind].options([spec] * n_members)


def make_bank(kind, widths=(5, 5, 5), seed=0, is_sparse=False):
    """A bank in which every parameter is random: as built, some parts add nothing."""
    generator = torch.Generator().manual_seed(seed)
    more = options(kind, len(widths), is_sparse)
    bank = ENCODERS[kind](range(len(widths)), widths, 5, (6, 4), generator, **more).double()
    for k, width in enumerate(widths if kind == "kernel" else ()):
        bank.fit_map(k, draw(9, width, seed=k).numpy(), 0.5, seed)
    with torch.no_grad():
        for parameter in bank.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
    return bank


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@every_encoder
def test_members_alone_and_together(kind):
    bank, x = make_bank(kind), draw(7, 15)
    z = bank(x)
    assert z.shape == (3, 7, 5)
    assert_allclose(z.detach().norm(dim=-1), np.ones((3, 7)), atol=1e-12)
    for k, part in enumerate(x.split(5, dim=1)):
        assert_allclose(bank.encode(k, part).detach(), z[k].detach(), atol=1e-12)
        assert_allclose(bank.encode(k, part.view(7, 5, 1)).detach(), z[k].detach(), atol=1e-12)


@every_encoder
def test_rows_do_not_see_one_another(kind):
    bank, x, order = make_bank(kind), draw(7, 5), torch.randperm(7)
    z = bank.encode(1, x).detach()
    assert_allclose(bank.encode(1, x[order]).detach(), z[order], atol=1e-12)
    assert_allclose(bank.encode(1, x[:1]).detach(), z[:1], atol=1e-12)


@every_encoder
def test_sparse_rows_are_encoded_as_dense_ones(kind):
    bank = make_bank(kind, widths=(5,), is_sparse=True)
    dense = draw(7, 5) * (draw(7, 5, seed=1) > 0)
    dense[0, 0] = 1
    rows = SparseRows.from_csr(sparse.csr_array(dense.numpy()), "cpu")
    assert_allclose(bank(rows).detach(), bank(dense).detach(), atol=1e-12)
    assert_allclose(bank.encode(0, rows).detach(), bank(dense)[0].detach(), atol=1e-12)


@every_encoder
def test_member_parameters_are_all_there_is_and_no_copies(kind):
    bank, x = make_bank(kind), draw(7, 15)
    before = bank(x).detach()
    parts = [bank.member_parameters(k) for k in range(3)]
    assert sum(t.numel() for part in parts for t in part) == sum(
        p.numel() for p in bank.parameters()
    )
    with torch.no_grad():
        for tensor in parts[1]:
            tensor.add_(0.5)
    after = bank(x).detach()
    assert_array_equal(after[[0, 2]], before[[0, 2]])
    assert (after[1] - before[1]).abs().max() > 1e-3 or not parts[1]


@every_encoder
def test_gradients(kind):
    bank = make_bank(kind)
    x = draw(3, 15).requires_grad_()
    assert torch.autograd.gradcheck(bank, x)
    tensors = list(bank.parameters())
    if tensors:
        grads = torch.autograd.grad((bank(x) * draw(3, 3, 5, seed=1)).sum(), tensors)
        assert all(g.isfinite().all() and g.any() for g in grads)


@every_encoder
def test_the_same_seed_gives_the_same_weights(kind):
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 0, 1)]
    state = torch.get_rng_state()
    more = options(kind, 2)
    banks = [ENCODERS[kind]([0, 1], [4, 4], 4, (3,), g, **more) for g in generators]
    assert torch.equal(torch.get_rng_state(), state)
    same, again, other = ([p.detach() for p in bank.parameters()] for bank in banks)
    assert all(map(torch.equal, same, again))
    assert not same or not all(map(torch.equal, same, other))


@every_encoder
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_fitted_saved_pickled_and_exported(kind, precision, centro, tmp_path):
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(30, 4))
    X = Modalities({name: latent @ rng.normal(size=(4, 6)) for name in ("a", "b")})
    bind = centro(n_components=6, encoder={"a": kind, "b": "mlp"}, precision=precision).fit(X)
    Z = bind.transform(X)
    assert np.isfinite(bind.loss_curve_).all()
    bind.save(tmp_path / "bind.safetensors")
    copies = [load(tmp_path / "bind.safetensors"), pickle.loads(pickle.dumps(bind))]
    for copy in copies:
        assert_array_equal(copy.transform(X), Z)
        assert copy.partial_fit(X).n_iter_ == bind.n_iter_ + 1
    runtime = pytest.importorskip("onnxruntime", reason="the extra `test` is not installed")
    model = bind.to_onnx(None, "a").SerializeToString()
    session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (embedding,) = session.run(None, {"features": X["a"].astype(np.float32)})
    # A kernel's whitening multiplies the rounding of float32 by up to 1 / sqrt(1e-5).
    tolerance = {"float32": 1e-4 if kind == "kernel" else 1e-5, "bf16": 0.05}[precision]
    assert_allclose(embedding, Z[:, :6], atol=tolerance)
