"""Anchors that use agreement or learn their weights, against one sample at a time."""

import numpy as np
import pytest
import torch
from conftest import fast
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skcentrobind import CentroBindTransformer
from skcentrobind._ops import Spectrum
from skcentrobind.anchors import (
    CallableAnchor,
    LearnedAnchor,
    LeaveOneOutAnchor,
    SpectralAnchor,
    TrimmedAnchor,
)
from skcentrobind.losses import AnchorLoss

many = given(
    seed=st.integers(0, 2**32 - 1), n_modalities=st.integers(1, 6), has_missing=st.booleans()
)


def draw(seed, n_modalities, has_missing, batch=5, width=4):
    """Unit rows (n_modalities, batch, width), zero where missing, and which are present."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n_modalities, batch, width))
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    present = rng.random((n_modalities, batch)) < (0.6 if has_missing else 2)
    present[rng.integers(n_modalities, size=batch), np.arange(batch)] = True
    return z * present[:, :, None], present


def tensors(z, present, has_missing):
    return torch.tensor(z), torch.tensor(present) if has_missing else None


def spectral(rows):
    direction = np.linalg.svd(np.transpose(rows), full_matrices=False)[0][:, 0]
    centre = np.sum(rows, axis=0)
    if abs(direction @ centre) < 1e-5:  # at right angles
        return centre / np.linalg.norm(centre)
    return direction if direction @ centre > 0 else -direction


def trimmed(rows):
    if len(rows) < 3:
        return np.mean(rows, axis=0)
    distances = [np.linalg.norm(row - np.mean(rows, axis=0)) for row in rows]
    return np.mean(np.delete(rows, np.argmax(distances), axis=0), axis=0)


@pytest.mark.parametrize(
    ("anchor", "rule"), [(SpectralAnchor(), spectral), (TrimmedAnchor(), trimmed)]
)
@fast
@many
def test_aggregates_equal_one_sample_at_a_time(anchor, rule, seed, n_modalities, has_missing):
    z, present = draw(seed, n_modalities, has_missing)
    found = anchor.aggregate(*tensors(z, present, has_missing))
    expected = [rule(z[present[:, k], k]) for k in range(z.shape[1])]
    assert_allclose(found, expected, atol=1e-7)


@fast
@many
def test_leave_one_out_is_the_mean_of_the_others(seed, n_modalities, has_missing):
    z, present = draw(seed, n_modalities, has_missing)
    (target,) = LeaveOneOutAnchor().targets(*tensors(z, present, has_missing), None)
    if n_modalities == 1:
        assert_allclose(target.embeddings, z)
        return
    for m in range(n_modalities):
        for k in range(z.shape[1]):
            others = [z[i, k] for i in range(n_modalities) if i != m and present[i, k]]
            if others:
                assert_allclose(target.embeddings[m, k], np.mean(others, axis=0), atol=1e-12)
            if has_missing:
                assert bool(target.present[m, k]) == bool(others)


@fast
@many
def test_learned_weights_are_a_softmax_over_what_is_present(seed, n_modalities, has_missing):
    z, present = draw(seed, n_modalities, has_missing)
    anchor = LearnedAnchor()
    anchor.prepare([f"m{i}" for i in range(n_modalities)])
    logits = np.random.default_rng(seed).normal(size=n_modalities)
    anchor.logits.data = torch.tensor(logits)
    found = anchor.aggregate(*tensors(z, present, has_missing)).detach()
    for k in range(z.shape[1]):
        weights = np.exp(logits) * present[:, k]
        assert_allclose(found[k], weights @ z[:, k] / weights.sum(), atol=1e-12)
    assert_allclose(anchor.modality_weights, np.exp(logits) / np.exp(logits).sum())


# --- gradients ----------------------------------------------------------------------------


@pytest.mark.parametrize("has_missing", [False, True])
@pytest.mark.parametrize("anchor", [SpectralAnchor(), TrimmedAnchor()])
def test_gradients(anchor, has_missing):
    z, present = tensors(*draw(0, 4, has_missing, width=3), has_missing)
    z.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: anchor.aggregate(z, present), z)


def test_gradient_of_the_weights():
    anchor = LearnedAnchor()
    anchor.prepare(["a", "b", "c"])
    anchor.logits.data = torch.tensor([0.3, -1.0, 0.2], dtype=torch.float64)
    z, _ = tensors(*draw(0, 3, False), False)
    (target,) = anchor.targets(z, None, None)
    target.embeddings.square().sum().backward()
    step = 1e-6
    for m in range(3):
        values = []
        for sign in (1, -1):
            moved = anchor.logits.detach().clone()
            moved[m] += sign * step
            weights = moved.softmax(0)
            values.append(float(torch.einsum("m,mbd->bd", weights, z).square().sum()))
        assert_allclose(anchor.logits.grad[m], (values[0] - values[1]) / (2 * step), atol=1e-8)


def degenerate(kind):
    """Samples whose Gram matrix has an eigenvalue twice, or zero."""
    e = torch.eye(4, dtype=torch.float64)
    rows = {
        "equal": [e[0], e[0], e[0]],
        "two equal": [e[0], e[0], e[1]],
        "orthogonal": [e[0], e[1], e[2]],
        "antipodal": [e[0], -e[0], e[0]],
        "cancelling": [e[0], -e[0], 0 * e[0]],
    }[kind]
    return torch.stack(rows)[:, None].repeat(1, 2, 1)  # (3, 2, 4)


@pytest.mark.parametrize("kind", ["equal", "two equal", "orthogonal", "antipodal", "cancelling"])
@pytest.mark.parametrize("make", [SpectralAnchor, TrimmedAnchor, LeaveOneOutAnchor, LearnedAnchor])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_degenerate_samples_have_finite_gradients(make, kind, dtype):
    anchor = make()
    anchor.prepare(["a", "b", "c"])
    z = degenerate(kind).to(dtype).requires_grad_()
    loss = AnchorLoss(anchor, 0.2)(z.detach(), z, None, torch.Generator())
    loss.backward()
    assert loss.isfinite()
    assert z.grad.isfinite().all()


def test_more_modalities_than_components():
    z, _ = draw(0, 7, False, width=2)
    found = SpectralAnchor().aggregate(torch.tensor(z), None)
    assert_allclose(found, [spectral(z[:, k]) for k in range(5)], atol=1e-7)


def test_leading_eigenvector():
    rng = np.random.default_rng(0)
    half = torch.tensor(rng.normal(size=(3, 4, 4)))
    matrix = (half @ half.transpose(1, 2)).requires_grad_()

    def signless(matrix):
        symmetric = (matrix + matrix.transpose(1, 2)) / 2
        w = Spectrum.apply(symmetric)[0]
        return w[:, :, None] * w[:, None]

    assert torch.autograd.gradcheck(signless, matrix)
    w = Spectrum.apply(matrix)[0]
    largest = torch.linalg.eigvalsh(matrix)[:, -1]
    assert_allclose((matrix @ w[:, :, None])[..., 0].detach(), (largest[:, None] * w).detach())


# --- in an estimator ----------------------------------------------------------------------


@pytest.fixture
def binder():
    def make(**options):
        return CentroBindTransformer(
            **{"n_components": 4, "hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
            | options
        )

    return make


def test_learned_weights_can_be_read(binder, X):
    bind = binder(aggregator="learned", max_epochs=30, learning_rate=0.03).fit(X)
    weights = bind.aggregator_weights_
    assert list(weights) == list(X.names)
    assert sum(weights.values()) == pytest.approx(1)
    assert max(weights.values()) - min(weights.values()) > 1e-3
    assert bind.fit(X).aggregator_weights_ == weights


def test_aggregators_without_weights_raise(binder, X):
    bind = binder().fit(X)
    assert not hasattr(bind, "aggregator_weights_")
    with pytest.raises(AttributeError, match="aggregator='mean' has no weights; 'learned' and"):
        bind.aggregator_weights_  # noqa: B018


def test_a_function_as_the_aggregator(binder, X):
    mean = binder(aggregator=centroid).fit(X)
    assert_allclose(mean.transform(X), binder().fit(X).transform(X), atol=1e-5)
    for wrong, got in ((lambda z, present: z, "3, 20, 4"), (lambda z, present: 3, "int")):
        with pytest.raises(ValueError, match=r"aggregator must return a tensor of shape .*" + got):
            binder(aggregator=wrong).fit(X[:20])


def centroid(z, present):
    return z.mean(dim=0)


def test_a_function_is_shown_by_its_name():
    assert repr(CallableAnchor(centroid)) == "CallableAnchor(centroid)"
