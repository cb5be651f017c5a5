"""Derivatives of trained encoders: Jacobians, batches of them, second derivatives."""

import numpy as np
import pytest
import torch
from conftest import fast
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse
from torch.func import jacrev, vmap

from skcentrobind import Modalities
from skcentrobind._encoders.sparse import SparseRows
from skcentrobind._ops import matmul, product, unit_rows

KINDS = ["residual", "mlp", "linear", "identity"]


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(params=[5, 700], ids=["short", "long"])  # longer sums than one block
def fitted(request, centro):
    """Return a function that fits encoders of one kind to modalities of this width."""
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=(20, request.param)), "b": rng.normal(size=(20, request.param))}

    def fit(kind):
        bind = centro(
            n_components="auto" if kind == "identity" else 4,
            encoder={"a": kind, "b": "linear"},
            max_epochs=1,
        )
        return bind.fit(Modalities(arrays)).encoders_["a"].double(), request.param

    return fit


def numerical_jacobian(function, x, step=1e-6):
    """Central differences, one feature at a time."""
    columns = []
    for i in range(len(x)):
        shift = torch.zeros_like(x)
        shift[i] = step
        columns.append((function(x + shift) - function(x - shift)) / (2 * step))
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize("kind", KINDS)
def test_jacobian_of_one_row(fitted, kind):
    encoder, width = fitted(kind)
    x = draw(width)
    jacobian = jacrev(encoder)(x)
    expected = numerical_jacobian(lambda row: encoder(row).detach(), x)
    assert_allclose(jacobian.detach(), expected, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_jacobians_of_a_batch(fitted, kind):
    encoder, width = fitted(kind)
    X = draw(3, width)
    batch = vmap(jacrev(encoder))(X)
    for row, jacobian in zip(X, batch, strict=True):
        assert_allclose(jacobian.detach(), jacrev(encoder)(row).detach(), atol=1e-10)
    # The same through batches of one row, as plain autograd sees them.
    alone = torch.autograd.functional.jacobian(lambda x: encoder(x[None])[0], X[0])
    assert_allclose(batch[0].detach(), alone, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives(fitted, kind):
    encoder, width = fitted(kind)
    some = draw(2, 6, seed=1)
    spread = draw(6, width, seed=2) / width**0.5  # a few directions stand for all features
    assert torch.autograd.gradgradcheck(
        lambda x: encoder(x @ spread), some.requires_grad_(), check_undefined_grad=False
    )
    # ... and in the weights, as penalties of the gradient need them.
    x = draw(3, width, seed=3).requires_grad_()
    (slope,) = torch.autograd.grad(encoder(x)[:, 0].sum(), x, create_graph=True)
    weights = [w for w in encoder.parameters() if w.requires_grad]
    grads = torch.autograd.grad(slope.square().sum(), weights, allow_unused=True) if weights else []
    assert all(g is None or g.isfinite().all() for g in grads)
    assert not weights or any(g is not None and g.any() for g in grads)


def test_a_single_row_is_embedded_as_in_a_batch(centro, X):
    for name, encoder in centro().fit(X).encoders_.items():
        rows = torch.tensor(X[name][:4], dtype=torch.float32)
        assert_allclose(encoder(rows[2]).detach(), encoder(rows)[2].detach(), atol=1e-6)


def test_a_single_row_with_several_axes(centro):
    rng = np.random.default_rng(0)
    bind = centro().fit({"image": rng.normal(size=(10, 2, 3)), "text": rng.normal(size=(10, 4))})
    rows = draw(3, 2, 3).float()
    batch = vmap(jacrev(bind.encoders_["image"]))(rows)
    assert batch.shape == (3, 4, 2, 3)


# --- products in blocks -------------------------------------------------------------------


@fast
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 600]), st.sampled_from([2, 600]))
def test_product_and_its_gradients_are_those_of_plain_torch(seed, rows, width):
    left, right, bias = draw(2, rows, width, seed=seed), draw(2, width, 3, seed=1), draw(2, 1, 3)
    weight = draw(2, rows, 3, seed=2)
    found, expected = [], []
    for multiply, out in ((product, found), (torch_product, expected)):
        leaves = [t.clone().requires_grad_() for t in (left, right, bias)]
        value = multiply(*leaves)
        grads = torch.autograd.grad((value * weight).sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in grads), leaves[:2])
        out += [value, *grads, *second]
    for ours, reference in zip(found, expected, strict=True):
        assert_allclose(ours.detach(), reference.detach(), rtol=1e-9, atol=1e-9)


def torch_product(left, right, bias):
    return left @ right + bias


@pytest.mark.parametrize("shape", [(3, 700, 2), (700, 3, 2), (2, 3, 700)])
def test_gradients_of_long_products(shape):
    rows, inner, columns = shape
    draws = (draw(rows, inner), draw(inner, columns, seed=1))
    directions = [draw(*d.shape, seed=2) for d in draws]

    def along(t, s):
        return product(draws[0] + t * directions[0], draws[1] + s * directions[1])

    steps = [torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(along, steps)
    assert torch.autograd.gradgradcheck(along, steps)
    assert_allclose(matmul(*draws), draws[0] @ draws[1], atol=1e-11)


def test_second_derivatives_of_unit_rows():
    h = draw(2, 3, 4).requires_grad_()
    assert torch.autograd.gradgradcheck(unit_rows, h)
    assert_allclose(
        vmap(jacrev(unit_rows))(h.detach()[0]),
        [numerical_jacobian(unit_rows, row) for row in h.detach()[0]],
        atol=1e-8,
    )


def test_second_derivatives_of_sparse_products():
    rng = np.random.default_rng(0)
    csr = sparse.csr_array(rng.normal(size=(4, 5)) * (rng.random((4, 5)) < 0.5))
    x, weight = SparseRows.from_csr(csr, "cpu"), draw(5, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: x.product(w) ** 2, weight)
    assert torch.autograd.gradgradcheck(lambda w: x.product(w) ** 3, weight)
