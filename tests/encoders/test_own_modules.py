"""Modules and factories as the parameter `encoder`."""

import pickle

import numpy as np
import pytest
import torch
from conftest import WIDTHS, draw_pictures
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skcentrobind import FixedAnchorBindTransformer

NAMES = list(WIDTHS)
STILL = {"learning_rate": 1e-30, "weight_decay": 0.0, "max_epochs": 1}


def weights_of(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def test_a_module_is_copied_and_the_copy_learns(X, binder):
    modules = [nn.Linear(width, 4) for width in X.n_features]
    before = [weights_of(module) for module in modules]
    bind = binder(encoder=modules, learning_rate=0.01).fit(X)
    assert bind.get_params()["encoder"] is modules
    for module, weights, encoder in zip(modules, before, bind.encoders_.values(), strict=True):
        assert all(map(torch.equal, weights_of(module), weights))
        assert module.weight.grad is None
        assert module.training
        changed = not all(map(torch.equal, weights_of(encoder), weights))
        anchored = isinstance(bind, FixedAnchorBindTransformer) and bind.pretrain_epochs == 0
        assert changed or anchored


def test_a_module_starts_from_its_present_weights(X, centro):
    module = nn.Linear(6, 4)
    bind = centro(encoder=[module, "linear", "linear"], **STILL).fit(X)
    with torch.no_grad():
        raw = module(torch.from_numpy(X["image"]).float()).numpy()
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    assert_allclose(bind.transform_modality(X["image"], "image"), raw, atol=1e-6)


def test_one_module_serves_modalities_of_equal_width_apart(X, centro):
    data = {"a": X["image"], "b": -X["image"]}
    bind = centro(encoder=nn.Linear(6, 4)).fit(data)
    a, b = (weights_of(bind.encoders_[name])[0] for name in "ab")
    assert not torch.equal(a, b)


@pytest.mark.parametrize("form", ["list", "tuple", "dict", "single"])
def test_factories(X, binder, form):
    calls = []

    def factory(n_features, n_components):
        calls.append((n_features, n_components))
        return nn.Linear(n_features, n_components)

    entries = {"audio": factory, "text": "mlp", "image": factory}
    encoder = {
        "list": [entries[name] for name in NAMES],
        "tuple": tuple(entries[name] for name in NAMES),
        "dict": entries,
        "single": factory,
    }[form]
    bind = binder(encoder=encoder).fit(X)
    assert calls == [(6, 4), (5, 4), (4, 4)] if form == "single" else [(6, 4), (4, 4)]
    assert bind.transform(X).shape == (40, 12)
    assert_array_equal(bind.transform(X), binder(encoder=encoder).fit_transform(X))


def test_each_modality_gets_its_own_encoder(X, centro):
    bind = centro(encoder={"image": "linear", "text": "mlp", "audio": "residual"}).fit(X)
    alone = {kind: centro(encoder=kind).fit(X) for kind in ("linear", "mlp", "residual")}
    assert len({tuple(len(p.shape) for p in weights_of(e)) for e in bind.encoders_.values()}) > 1
    for kind, other in alone.items():
        assert not np.array_equal(bind.transform(X), other.transform(X)), kind


def test_the_order_of_mixed_encoders_is_kept(X, centro):
    # Groups of encoders are made in another order than the modalities have.
    encoder = ["linear", nn.Linear(5, 4), "linear"]
    bind = centro(encoder=encoder, **STILL).fit(X)
    with torch.no_grad():
        raw = encoder[1](torch.from_numpy(X["text"]).float()).numpy()
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    assert_allclose(bind.transform_modalities(X)["text"], raw, atol=1e-6)
    assert_allclose(bind.transform(X)[:, 4:8], raw, atol=1e-6)


def test_a_projection_is_added_where_the_width_differs(X, centro):
    bind = centro(encoder=[nn.Linear(width, 7) for width in X.n_features]).fit(X)
    assert bind.transform(X).shape == (40, 12)
    assert [tuple(p.shape) for p in bind.encoders_["text"].parameters()][-2:] == [(4, 7), (4,)]
    kept = centro(encoder=[nn.Linear(width, 4) for width in X.n_features]).fit(X)
    assert len(list(kept.encoders_["text"].parameters())) == 2


def test_frozen_parameters_of_a_module_stay(X, binder):
    def half_frozen(n_features, n_components):
        torch.manual_seed(0)
        backbone = nn.Linear(n_features, 8).requires_grad_(False)
        return nn.Sequential(backbone, nn.ReLU(), nn.Linear(8, n_components))

    bind = binder(encoder=half_frozen, weight_decay=1.0, learning_rate=0.1).fit(X)
    fresh = half_frozen(5, 4)
    trained = bind.encoders_["text"].state_dict()
    for key, value in fresh.state_dict().items():
        same = torch.equal(value, next(v for k, v in trained.items() if k.endswith(key)))
        assert same == key.startswith("0."), key


def test_dropout_is_off_outside_of_training(X, binder):
    def dropping(n_features, n_components):
        return nn.Sequential(nn.Dropout(0.5), nn.Linear(n_features, n_components))

    bind = binder(encoder=dropping).fit(X)
    assert_array_equal(bind.transform(X), bind.transform(X))
    assert bind.score(X) == bind.score(X)
    assert not np.array_equal(
        bind.transform(X),
        binder(encoder=lambda d, k: nn.Sequential(nn.Identity(), nn.Linear(d, k))).fit_transform(X),
    )


@pytest.fixture
def images():
    return draw_pictures(50)


class Convolution(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        assert n_features == 64
        self.convolution = nn.Conv2d(1, 4, 3, padding=1)
        self.linear = nn.Linear(4 * 8, n_components)

    def forward(self, x):
        assert x.shape[1:] == (8, 8)
        return self.linear(self.convolution(x[:, None]).relu().mean(dim=3).flatten(1))


@pytest.mark.parametrize("width", [None, 4, 6])
def test_a_convolution_gets_rows_of_two_axes(images, binder, width):
    encoder = Convolution if width is None else Convolution(64, width)
    settings = {"encoder": {"picture": encoder, "position": "linear"}, "learning_rate": 0.01}
    bind = binder(**settings, max_epochs=30, batch_size=16).fit(images)
    assert bind.n_features_per_modality_ == [64, 8]
    untrained = binder(**settings | STILL, pretrain_epochs=0).fit(images)
    assert bind.score(images) > 2 * untrained.score(images)
    single = bind.transform_modality(images["picture"][:3], "picture")
    assert_allclose(single, bind.transform(images)[:3, :4], atol=1e-6)
    assert_array_equal(pickle.loads(pickle.dumps(bind)).transform(images), bind.transform(images))


@pytest.mark.parametrize("encoder", ["residual", "mlp", "linear"])
@pytest.mark.parametrize("params", [{}, {"standardize": False}, {"augmentation": "marginal"}])
def test_built_in_encoders_flatten_rows_of_two_axes(images, binder, encoder, params):
    flat = {**images, "picture": images["picture"].reshape(50, 64)}
    bind = binder(encoder=encoder, **params).fit(images)
    reference = binder(encoder=encoder, **params).fit(flat)
    assert_array_equal(bind.transform(images), reference.transform(flat))
    assert_array_equal(
        bind.transform_modality(images["picture"], "picture"),
        reference.transform_modality(flat["picture"], "picture"),
    )
    alone = binder(encoder=encoder, **params).fit([images["picture"]])
    reference = binder(encoder=encoder, **params).fit([flat["picture"]])
    assert_array_equal(alone.transform([images["picture"]]), reference.transform([flat["picture"]]))
    assert alone.score([images["picture"]]) == reference.score([flat["picture"]])


def test_identity_keeps_the_directions(X, centro):
    settings = {"n_components": 6, "encoder": ["identity", "linear", "linear"]}
    bind = centro(**settings).fit(X)
    unit = X["image"] / np.linalg.norm(X["image"], axis=1, keepdims=True)
    assert_allclose(bind.transform_modality(X["image"], "image"), unit, atol=1e-6)
    assert bind.scalers_["image"] is None
    longer = centro(**settings, max_epochs=60, learning_rate=0.01).fit(X)
    assert_allclose(longer.transform_modality(X["image"], "image"), unit, atol=1e-6)
    assert longer.score(X) > bind.score(X)  # the others came to it
