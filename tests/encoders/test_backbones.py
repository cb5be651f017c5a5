"""Users' own networks: images, sequences, frozen backbones, LoRA."""

import copy
import pickle

import numpy as np
import pytest
import torch
from conftest import distance, draw_pictures, state_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn
from torch.utils.checkpoint import checkpoint

# Modes of layers


class Modes(Callback):
    """Records in each step which layers of the first encoder are in training mode."""

    def __init__(self):
        self.seen = set()

    def __deepcopy__(self, memo):
        return self  # callbacks are copied in every fit, but this one is to be read afterwards

    def on_grad_computed(self, net, **kwargs):
        layers = net.module_.groups[0].module.named_modules()
        self.seen.add(tuple(name for name, layer in layers if layer.training))


def backbone():
    """Convolutions with statistics and dropout, none of which learns, for 8 x 8 images."""
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(
        nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(),
        nn.Dropout(0.5), nn.Flatten(),
    )  # fmt: skip
    with torch.no_grad():
        net[1].weight.normal_(generator=generator)
        net[1].bias.zero_()
    return net


def statistics(encoder):
    """Running means, variances and numbers of batches."""
    return {key: value.clone() for key, value in encoder.state_dict().items() if "running" in key}


@pytest.fixture
def images():
    return draw_pictures(30)


def beside(encoder, **params):
    """Settings for the images, with a user's own module for the pictures."""
    return {"encoder": {"picture": encoder, "position": "linear"}, **params}


def test_layers_train_in_fit_and_not_in_transform(images, centro):
    modes = Modes()
    encoder = backbone().eval()
    bind = centro(**beside(encoder), callbacks=[modes], early_stopping=True).fit(images)
    assert modes.seen == {("", "0", "1", "2", "3", "4", "5")}
    assert not any(layer.training for layer in bind.encoders_["picture"].group.modules())
    moved = statistics(bind.encoders_["picture"])
    before = statistics(encoder)
    assert all(not torch.equal(a, b) for a, b in zip(before.values(), moved.values(), strict=True))
    bind.transform(images)
    bind.score(images)
    after = statistics(bind.encoders_["picture"])
    assert all(torch.equal(moved[key], after[key]) for key in moved)
    assert_array_equal(bind.transform(images), bind.transform(images))
    # One row alone and in a batch: no statistics of the batch.
    alone = bind.transform_modality(images["picture"][:1], "picture")
    assert_allclose(bind.transform_modality(images["picture"], "picture")[:1], alone, atol=1e-5)


def test_a_frozen_backbone_is_the_same_function_in_training(images, binder):
    modes = Modes()
    frozen = backbone().requires_grad_(False).train()
    bind = binder(**beside(frozen, max_epochs=4), callbacks=[modes], pretrain_epochs=1).fit(images)
    assert modes.seen == {()}
    group = bind.encoders_["picture"].group
    for key, value in frozen.state_dict().items():
        assert torch.equal(group.module.state_dict()[key], value), key
    # The projection behind it, in contrast, has learned.
    drawn = binder(**beside(frozen, max_epochs=0), pretrain_epochs=0).fit(images)
    assert distance(state_of(drawn, "picture"), state_of(bind, "picture")) > 1e-4
    assert frozen.training  # the user's own module is as it was


def test_layers_are_frozen_one_by_one(images, centro):
    modes = Modes()
    net = nn.Sequential(
        backbone().requires_grad_(False), nn.BatchNorm1d(108), nn.Dropout(0.1), nn.Linear(108, 4)
    )
    bind = centro(**beside(net), callbacks=[modes]).fit(images)
    assert modes.seen == {("", "1", "2", "3")}
    before, after = statistics(net), statistics(bind.encoders_["picture"].group.module)
    assert [torch.equal(before[key], after[key]) for key in before] == [True, True, False, False]


def test_a_frozen_backbone_equals_its_features(images, centro):
    # With nothing random before the projection, binding the outputs of the backbone is the same.
    frozen = backbone().requires_grad_(False)
    settings = {"augmentation": None, "random_state": 3, "max_epochs": 5}
    with torch.no_grad():
        features = frozen.eval()(torch.tensor(images["picture"], dtype=torch.float32)).numpy()
    inside = centro(**beside(frozen.train()), **settings).fit(images)
    outside = centro(**beside(nn.Identity()), **settings).fit({**images, "picture": features})
    expected = outside.transform({**images, "picture": features})
    assert_allclose(inside.transform(images), expected, atol=1e-4)


@pytest.mark.parametrize("n_present", [2, 3])
def test_batches_with_one_present_row(images, centro, n_present):
    # Most batches hold one picture or none: two equal rows have no statistics of their own.
    pictures = images["picture"].copy()
    pictures[n_present:] = np.nan
    data = {**images, "picture": pictures}
    settings = {"augmentation": None, "batch_size": 4}
    bind = centro(**beside(backbone()), **settings).fit(data)
    assert np.isfinite(bind.transform(data)).all()
    assert np.isfinite(bind.loss_curve_).all()
    for value in statistics(bind.encoders_["picture"]).values():
        assert torch.isfinite(value).all()


def test_one_present_row_leaves_statistics_and_modes(images, centro):
    modes = Modes()
    pictures = images["picture"].copy()
    pictures[2:] = np.nan
    encoder = backbone()
    bind = centro(**beside(encoder), batch_size=2, callbacks=[modes], max_epochs=1)
    bind.fit({**images, "picture": pictures})
    group = bind.encoders_["picture"].group
    # Unless both pictures fell into one batch, the statistics are those of the start.
    together = int(group.module[2].num_batches_tracked)
    assert together in (0, 1)
    if not together:
        assert torch.equal(group.module[2].running_mean, encoder[2].running_mean)
    assert modes.seen == {("", "0", "1", "2", "3", "4", "5")}


def test_no_warning_of_constant_pixels(images, centro):
    # A module gets them as they are; a built-in encoder ignores them, and says so.
    pictures = images["picture"].copy()
    pictures[:, :, 0] = 1.0
    data = {**images, "picture": pictures}
    bind = centro(**beside(backbone())).fit(data)
    dark = pictures.copy()
    dark[:, :, 0] = 0.0
    shown, other = (bind.transform_modality(p, "picture") for p in (pictures, dark))
    assert np.abs(shown - other).max() > 1e-3
    with pytest.warns(UserWarning, match="'picture': 8 of 64 columns are constant"):
        centro().fit(data)


class Checkpointed(nn.Module):
    """A net with dropout whose activations are computed again in the backward pass."""

    def __init__(self, recompute):
        super().__init__()
        self.recompute = recompute
        generator = torch.Generator().manual_seed(0)
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)
        for p in self.parameters():
            p.data.uniform_(-0.3, 0.3, generator=generator)
        self.dropout = nn.Dropout(0.3)

    def block(self, x):
        return self.second(self.dropout(self.first(x).relu()))

    def forward(self, x):
        x = x.mean(dim=1)
        return checkpoint(self.block, x, use_reentrant=False) if self.recompute else self.block(x)


def test_gradient_checkpoints(images, centro):
    plain, recomputed = (
        centro(**beside(Checkpointed(flag)), max_epochs=4).fit(images) for flag in (False, True)
    )
    assert_array_equal(plain.transform(images), recomputed.transform(images))


# Sequences


class Words(nn.Module):
    """Mean over time of a recurrent net over embedded tokens; 0 pads."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.embedding = nn.Embedding(12, 6, padding_idx=0)
        self.recurrent = nn.GRU(6, 8, batch_first=True)
        self.out = nn.Linear(8, n_components)

    def forward(self, tokens):
        tokens = tokens.long()
        assert tokens.min() >= 0
        assert tokens.max() < 12
        here = (tokens > 0)[..., None]
        states, _ = self.recurrent(self.embedding(tokens))
        return self.out((states * here).sum(dim=1) / here.sum(dim=1).clamp(min=1))


@pytest.fixture
def sentences(images):
    """Sequences of tokens of different lengths; the first says which row of the picture is lit."""
    rng = np.random.default_rng(1)
    tokens = rng.integers(1, 12, size=(30, 5))
    tokens[:, 0] = 1 + images["picture"].mean(axis=2).argmax(axis=1)
    tokens[np.arange(5) >= rng.integers(1, 6, size=30)[:, None]] = 0
    return {"picture": images["picture"], "words": tokens}


@pytest.mark.parametrize("augmentation", [None, "mask", "marginal"])
def test_sequences_of_tokens(sentences, centro, augmentation):
    settings = {
        "encoder": {"picture": "linear", "words": Words},
        "augmentation": {"picture": "gaussian", "words": augmentation},
        "augmentation_scale": 0.1,
        "learning_rate": 0.02,
    }
    drawn = centro(**settings, max_epochs=0).fit(sentences)
    bind = centro(**settings, max_epochs=40).fit(sentences)
    assert bind.score(sentences) > drawn.score(sentences) + 0.1
    # Whether the others of a batch are long or short, a sentence means the same.
    some = bind.transform_modality(sentences["words"][:3], "words")
    assert_allclose(some, bind.transform_modality(sentences["words"], "words")[:3], atol=1e-6)


def test_missing_sequences(sentences, centro):
    words = sentences["words"].astype(float)
    words[::3] = np.nan
    data = {**sentences, "words": words}
    settings = {"encoder": {"picture": "linear", "words": Words}}
    bind = centro(**settings, augmentation=["gaussian", "mask"], batch_size=7).fit(data)
    Z = bind.transform_modalities(data)
    assert_array_equal(np.isnan(Z["words"]).all(axis=1), np.arange(30) % 3 == 0)


# LoRA


@pytest.fixture
def peft():
    return pytest.importorskip("peft", reason="the extra `models` is not installed")


def tower():
    """A net as if it were pre-trained: two linear layers and a batch normalisation."""
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU())
    net.append(nn.Linear(16, 10))
    for p in net.parameters():
        p.data.uniform_(-0.3, 0.3, generator=generator)
    return net


@pytest.fixture
def adapted(peft):
    torch.manual_seed(0)  # the first matrix of each pair is drawn at random
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["1", "4"], lora_dropout=0.1)
    return peft.get_peft_model(tower(), config)


def test_lora_trains_its_pairs_and_the_projection_alone(images, centro, adapted):
    before = copy.deepcopy(adapted.state_dict())
    settings = beside(adapted, max_epochs=4, learning_rate=0.01)
    bind = centro(**settings, pretrain_epochs=1).fit(images)
    group = bind.encoders_["picture"].group
    learning = {name for name, p in group.named_parameters() if p.requires_grad}
    pairs = {name for name in learning if "lora_" in name}
    rank = {tuple(p.shape) for name, p in group.named_parameters() if name in pairs}
    assert rank == {(4, 64), (16, 4), (4, 16), (10, 4)}
    assert learning - pairs == {"projection.weight", "projection.bias"}
    for name, value in group.module.state_dict().items():
        assert torch.equal(value, before[name]) == ("lora_" not in name), name
    # The user's own module is as it was.
    assert all(torch.equal(before[name], t) for name, t in adapted.state_dict().items())


def test_lora_starts_as_the_backbone(images, centro, adapted):
    plain = centro(**beside(tower()), max_epochs=0).fit(images)
    bind = centro(**beside(adapted), max_epochs=0).fit(images)
    assert_allclose(bind.transform(images), plain.transform(images), atol=1e-6)


def test_lora_can_be_copied_cloned_and_pickled(images, centro, adapted):
    bind = centro(**beside(adapted, learning_rate={"picture": 0.02, "position": 1e-3})).fit(images)
    expected = bind.transform(images)
    for other in (copy.deepcopy(bind), pickle.loads(pickle.dumps(bind)), clone(bind).fit(images)):
        assert_array_equal(other.transform(images), expected)
        again = other.partial_fit(images).transform(images)
        assert not np.array_equal(again, expected)


def test_lora_from_a_factory(images, centro, peft):
    def factory(n_features, n_components):
        return peft.get_peft_model(tower(), peft.LoraConfig(r=4, target_modules=["1"]))

    bind = centro(**beside(factory)).fit(images)
    assert_array_equal(
        bind.transform(images), centro(**beside(factory)).fit(images).transform(images)
    )


def test_numbers_as_names(X, centro):
    by_number = dict(enumerate(X.arrays))
    rates = {0: 1e-2, 1: 1e-3, 2: 1e-4}
    bind = centro(encoder={0: "mlp", 1: "linear", 2: "mlp"}, learning_rate=rates).fit(by_number)
    reference = centro(encoder=["mlp", "linear", "mlp"], learning_rate=[*rates.values()])
    assert bind.modality_names_ == ["0", "1", "2"]
    assert_array_equal(bind.transform(by_number), reference.fit(X.arrays).transform(X.arrays))
