"""Kernel encoders: what they compute, and that they are encoders like any other."""

import numpy as np
import pytest
import torch
from conftest import draw, draw_pictures, quick_centro, same
from numpy.testing import assert_allclose
from scipy import sparse
from torch.func import jacrev, vmap

from skcentrobind import Modalities, load
from skcentrobind._data import kernels as kernels_file
from skcentrobind._data.kernels import fit_landmarks
from skcentrobind._encoders.encoders import Bank
from skcentrobind._encoders.kernel import KernelMap
from skcentrobind._training import net as net_file
from skcentrobind._training import plan as plan_file
from skcentrobind._training.streaming import features_in_blocks

KERNEL = {"encoder": "kernel", "gamma": 0.3}


def kernels(**params):
    return quick_centro(**KERNEL | params)


def by_loops(bind, X, name):
    """Embed the rows of a modality one at a time, in float64, from what fit has kept."""
    encoder = bind.encoders_[name]
    bank, k = encoder.group, encoder.position
    phi = bank.maps[k]
    n = phi.n_landmarks
    landmarks, centre = phi.landmarks[:n].double().numpy(), phi.centre[:n].double().numpy()
    whitening = phi.whitening[:n, :n].double().numpy()
    weight, bias = (t.detach().double().numpy() for t in bank.member_parameters(k))
    embedded = []
    for x in bind.scalers_[name].transform(X[name]):
        near = [np.exp(-float(phi.rate) * np.sum((x - landmark) ** 2)) for landmark in landmarks]
        features = (np.array(near) - centre) @ whitening
        z = np.concatenate([x, features]) @ weight + bias[0]
        embedded.append(z / np.linalg.norm(z))
    return np.array(embedded)


def test_embeddings_are_those_of_loops():
    X, _ = draw()
    bind = kernels().fit(X)
    Z = bind.transform_modalities(X)
    for name in X.names:
        assert_allclose(Z[name], by_loops(bind, X, name), atol=1e-4)


def test_training_takes_features_that_are_computed_once(monkeypatch):
    X, _ = draw()
    calls = []
    forward = plan_file.ENCODERS["kernel"].features

    def counted(self, x):
        calls.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(plan_file.ENCODERS["kernel"], "features", counted)
    kernels(max_epochs=3).fit(X)
    assert calls == [40]


def test_streamed_rows_are_as_those_in_memory(monkeypatch):
    X, _ = draw()
    expected = kernels(batch_size=10).fit(X).transform(X)
    monkeypatch.setattr(net_file, "_COPY_BYTES", 0)
    assert_allclose(kernels(batch_size=10).fit(X).transform(X), expected, atol=1e-4)


def test_sparse_and_missing_rows(tmp_path):
    X, _ = draw()
    words = sparse.csr_array(np.where(X["text"] > 0.3, X["text"], 0))
    arrays = {**dict(X.items()), "text": words, "audio": X["audio"].copy()}
    arrays["audio"][::3] = np.nan
    bind = kernels().fit(arrays)
    Z = bind.transform_modalities(arrays)
    assert np.isnan(Z["audio"][::3]).all()
    assert np.isfinite(bind.transform(arrays)).all()
    bind.save(tmp_path / "bind")
    assert same(load(tmp_path / "bind").transform(arrays), bind.transform(arrays))
    # The linear part and the landmarks need no dense copy of the rows.
    assert not bind.encoders_["text"].group.n_linear[0]
    dense = {**arrays, "text": words.toarray()}
    assert kernels().fit(dense).transform(dense).shape == (40, 12)


@pytest.mark.parametrize(
    "params",
    [
        {"n_specific_components": 2, "output": "all"},
        {"learning_rate": {"image": 1e-2, "text": 1e-3, "audio": 1e-3}},
        {"augmentation": "mask"},
        {"augmentation": "marginal"},
        {"augmentation": None},
        {"standardize": False},
        {"standardize": "whiten"},
        {"standardize": "robust"},
        {"init": "random"},
        {"pretrain_epochs": 2},
        {"early_stopping": True, "validation_fraction": 0.3},
        {"precision": "bf16"},
        {"encoder": ["kernel", "residual", "mlp"], "gamma": [0.3, "auto", 0.1]},
    ],
    ids=lambda params: next(iter(params)),
)
def test_they_go_with_every_parameter(params, tmp_path):
    X, _ = draw()
    bind = kernels(**params).fit(X)
    assert np.isfinite(bind.transform(X)).all()
    bind.save(tmp_path / "bind")
    copy = load(tmp_path / "bind")
    assert same(copy.transform(X), bind.transform(X))
    assert same(copy.partial_fit(X).transform(X), bind.partial_fit(X).transform(X))


def test_a_users_augmentation_gets_rows_in_their_shape():
    pictures, shapes = draw_pictures(30), []

    def flip(x, generator):
        shapes.append(tuple(x.shape[1:]))
        return x.flip(-1)

    augmentation = {"picture": flip, "position": "gaussian"}
    bind = kernels(augmentation=augmentation, batch_size=15).fit(pictures)
    assert set(shapes) == {(8, 8)}
    assert np.isfinite(bind.transform(pictures)).all()


def test_jacobians_of_encoders():
    X, _ = draw()
    encoder = kernels(max_epochs=0).fit(X).encoders_["image"].double()
    x = torch.from_numpy(X["image"][:3])
    slopes = vmap(jacrev(encoder))(x)
    for i, step in enumerate(1e-6 * torch.eye(6, dtype=torch.float64)):
        numeric = (encoder(x + step) - encoder(x - step)) / 2e-6
        assert_allclose(slopes[:, :, i].detach(), numeric.detach(), atol=1e-5)


def test_few_landmarks_are_joined_by_the_rows_themselves(monkeypatch):
    X, _ = draw(60)
    weights = {}
    for n_landmarks in (60, 30, 29):
        monkeypatch.setattr(plan_file, "MAX_LANDMARKS", n_landmarks)
        bind = kernels(max_epochs=0).fit(X)
        encoder = bind.encoders_["image"]
        first, _ = encoder.group.member_parameters(encoder.position)
        assert len(first) == 6 + n_landmarks
        weights[n_landmarks] = float(first.detach()[:6].abs().max())
    assert weights[60] == weights[30] == 0
    assert weights[29] > 0


def test_the_bank_is_one_of_the_banks():
    X, _ = draw()
    group = kernels(max_epochs=0).fit(X).encoders_["image"].group
    assert isinstance(group, Bank)
    assert group.members == (0, 1, 2)
    # They have one row per sample at most.
    assert [phi.n_landmarks for phi in group.maps] == [40, 40, 40]
    assert not any(buffer.requires_grad for buffer in group.buffers())


def test_repeated_and_constant_rows():
    X = Modalities({"a": np.eye(3)[np.arange(30) % 3], "b": draw(30)[0]["image"]})
    bind = kernels(max_epochs=2).fit(X)
    assert np.isfinite(bind.transform(X)).all()


def test_wide_rows_have_few_landmarks_and_are_not_chosen(monkeypatch):
    X, _ = draw(60)
    monkeypatch.setattr(plan_file, "MAX_VALUES", 6 * 20)
    assert [spec.n_landmarks for spec in kernels().fit(X)._plan.modalities] == [20, 24, 30]
    monkeypatch.setattr(kernels_file, "MAX_VALUES", 256 * 5)
    chosen = quick_centro(encoder="auto").fit(X)
    assert chosen._plan.modalities[0].encoder == "residual"


def test_features_in_blocks_are_those_of_all_rows():
    x = torch.randn(10, 3)
    for n_rows in (3, 5, 10, 20):
        assert torch.equal(features_in_blocks(torch.tanh, x, n_rows), torch.tanh(x))


@pytest.mark.parametrize("n_landmarks", [9, 11, 40])
def test_equal_rows_have_equal_bits_wherever_they_stand(n_landmarks):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n_landmarks, 5)).astype(np.float32)
    phi = KernelMap(5, n_landmarks)
    phi.fill(fit_landmarks(rows, 0.3, n_landmarks, 0))
    for n_rows in range(4, 40):
        some = np.arange(n_rows) % 3
        features = phi(torch.from_numpy(rows[some]))
        assert torch.equal(features, features[:3][some])
