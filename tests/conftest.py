"""Small data with known structure, and estimators that fit it in a fraction of a second."""

import os
import pickle

# scipy reads it when it is first imported; scikit-learn's check of array API inputs needs it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np
import pytest
import torch
from hypothesis import settings
from skorch.callbacks import Callback

import skcentrobind
from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer, Modalities
from skcentrobind._public import estimator_classes

#: For properties of small arrays.
fast = settings(deadline=None, max_examples=40)

WIDTHS = {"image": 6, "text": 5, "audio": 4}


def draw(n_samples=40, seed=0, noise=0.3):
    """Three noisy linear maps of the same latent points: each predicts the others."""
    world = np.random.default_rng(0)
    maps = {name: world.normal(size=(3, width)) for name, width in WIDTHS.items()}
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n_samples, 3))
    arrays = {
        name: latent @ weight + noise * rng.normal(size=(n_samples, WIDTHS[name]))
        for name, weight in maps.items()
    }
    return Modalities(arrays), (latent[:, 0] > 0).astype(int)


@pytest.fixture(autouse=True)
def weights_of_modules():
    """Modules that a test makes by itself draw their weights from torch's global generator."""
    torch.manual_seed(0)


@pytest.fixture
def make_data():
    return draw


@pytest.fixture
def X():
    return draw()[0]


@pytest.fixture
def y():
    return draw()[1]


@pytest.fixture
def incomplete():
    """The data of `X` with a missing modality in most samples, but never all of a sample."""
    X, _ = draw()
    present = np.random.default_rng(1).random((len(X), 3)) < 0.6
    present[np.arange(len(X)), np.arange(len(X)) % 3] = True
    arrays = [np.where(present[:, [m]], a, np.nan) for m, a in enumerate(X.arrays)]
    return Modalities(arrays, names=X.names)


def draw_pictures(n_samples):
    """8 x 8 pictures with a bright row, and vectors of its position."""
    rng = np.random.default_rng(0)
    position = rng.integers(8, size=n_samples)
    pictures = rng.normal(scale=0.1, size=(n_samples, 8, 8))
    pictures[np.arange(n_samples), position] += 1
    return {
        "picture": pictures,
        "position": np.eye(8)[position] + rng.normal(scale=0.1, size=(n_samples, 8)),
    }


@pytest.fixture
def memmap(tmp_path):
    array = np.memmap(tmp_path / "rows.dat", dtype="f4", mode="w+", shape=(12, 4))
    array[:] = np.arange(48).reshape(12, 4)
    return array


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bind.safetensors"


@pytest.fixture
def close_figures():
    """Close the figures of a test; for pytest.mark.usefixtures."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


class Recorder(Callback):
    """Records the number of rows and the learning rate of each batch."""

    def __init__(self):
        self.sizes, self.rates, self.gradients = [], [], 0

    def on_batch_end(self, net, batch, training, **kwargs):
        if training:
            self.sizes.append(len(batch[0]["inputs"][0]))

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.gradients += all(p.grad is not None for _, p in named_parameters)

    def on_epoch_end(self, net, **kwargs):
        self.rates.append(net.optimizer_.param_groups[0]["lr"])


def recorder_of(bind):
    return next(cb for _, cb in bind.net_.callbacks_ if isinstance(cb, Recorder))


def state_of(bind, name):
    """Copies of the tensors of one modality's encoder, in any group."""
    encoder = bind.encoders_[name]
    return [t.detach().clone() for t in encoder.group.member_parameters(encoder.position)]


def unit(rng, *shape):
    """Random rows of unit length."""
    z = rng.normal(size=shape)
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def same(one, two):
    """Whether two embeddings agree in every bit."""
    return one.dtype == two.dtype and one.tobytes() == two.tobytes()


def distance(before, after):
    """Largest move of any weight."""
    return max(float((a - b).abs().max()) for a, b in zip(before, after, strict=True))


def assert_copies_go_on(bind, X, path):
    """Save and pickle an estimator, train it and the copies on, and return both copies."""
    bind.save(path)
    copies = [pickle.loads(pickle.dumps(bind)), skcentrobind.load(path)]
    bind.partial_fit(X)
    for copy in copies:
        copy.partial_fit(X)
        assert copy.loss_curve_ == bind.loss_curve_
    return copies


QUICK = {
    "n_components": 4,
    "encoder": "residual",
    "hidden_layer_sizes": (8,),
    "shrinkage": "oas",
    "max_epochs": 3,
    "random_state": 0,
}


def quick_centro(**params):
    return CentroBindTransformer(**{**QUICK, **params})


@pytest.fixture
def centro():
    return quick_centro


@pytest.fixture
def fixed():
    return lambda **params: FixedAnchorBindTransformer(**{**QUICK, "pretrain_epochs": 2, **params})


#: Every estimator of the package, by name.
ESTIMATORS = estimator_classes()


@pytest.fixture(params=ESTIMATORS)
def each(request):
    """Run the test once for each estimator of the package."""
    return lambda **params: ESTIMATORS[request.param](**{**QUICK, "pretrain_epochs": 0, **params})


@pytest.fixture(params=["centro", "fixed"])
def binder(request):
    """Run the test once for each of the two classes that bind to an anchor."""
    return request.getfixturevalue(request.param)
