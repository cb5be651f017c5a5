"""Small data with known structure, and estimators that fit it in a fraction of a second."""

import os
import pickle

# scipy reads it when it is first imported; scikit-learn's check of array API inputs needs it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np
import pytest
import torch
from hypothesis import settings

import skcentrobind
from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer, Modalities

#: For properties of small arrays.
fast = settings(deadline=None, max_examples=40)

WIDTHS = {"image": 6, "text": 5, "audio": 4}


def draw(n_samples=40, seed=0, noise=0.3):
    """Three noisy linear views of the same latent points; whoever knows one can find the others."""
    world = np.random.default_rng(0)
    maps = {name: world.normal(size=(3, width)) for name, width in WIDTHS.items()}
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n_samples, 3))
    arrays = {
        name: latent @ view + noise * rng.normal(size=(n_samples, WIDTHS[name]))
        for name, view in maps.items()
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
def gappy():
    """The data of `X` in which most samples lack something, but no modality and no sample all."""
    X, _ = draw()
    present = np.random.default_rng(1).random((len(X), 3)) < 0.6
    present[np.arange(len(X)), np.arange(len(X)) % 3] = True
    arrays = [np.where(present[:, [m]], a, np.nan) for m, a in enumerate(X.arrays)]
    return Modalities(arrays, names=X.names)


def assert_copies_go_on(bind, X, path):
    """Save and pickle an estimator, train it and the copies on, and return both copies."""
    bind.save(path)
    copies = [pickle.loads(pickle.dumps(bind)), skcentrobind.load(path)]
    bind.partial_fit(X)
    for copy in copies:
        copy.partial_fit(X)
        assert copy.loss_curve_ == bind.loss_curve_
    return copies


QUICK = {"n_components": 4, "hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}


def quick_centro(**params):
    return CentroBindTransformer(**{**QUICK, **params})


@pytest.fixture
def centro():
    return quick_centro


@pytest.fixture
def fixed():
    return lambda **params: FixedAnchorBindTransformer(**{**QUICK, "pretrain_epochs": 2, **params})


#: Every estimator of the package, one row each.
ESTIMATORS = {
    name: getattr(skcentrobind, name)
    for name in skcentrobind.__all__
    if name.endswith("BindTransformer")
}


@pytest.fixture(params=ESTIMATORS)
def each(request):
    """Run the test once for each estimator of the package."""
    return lambda **params: ESTIMATORS[request.param](**{**QUICK, "pretrain_epochs": 0, **params})


@pytest.fixture(params=["centro", "fixed"])
def binder(request):
    """Run the test once for each of the two classes that bind to an anchor."""
    return request.getfixturevalue(request.param)
