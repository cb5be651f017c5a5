"""What a fit computes does not depend on what the caller has set in torch, nor on other threads."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from conftest import QUICK, quick_centro, same
from torch import nn

import skcentrobind
from skcentrobind import CentroBindTransformer, PairwiseBindTransformer


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


#: What a caller may have set around a call.
AROUND = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "default device": lambda: torch.device("meta"),
}


@pytest.fixture(params=AROUND)
def around(request):
    return AROUND[request.param]


class Dropout(nn.Sequential):
    """A user's layers, whose dropout draws from torch's global generator."""

    def __init__(self, n_features, n_components):
        super().__init__(nn.Linear(n_features, 8), nn.Dropout(0.5), nn.Linear(8, n_components))

    def forward(self, x):
        return super().forward(x + torch.zeros(x.shape[1]))


def numbers(bind, X):
    """Everything that computes, in turn."""
    bind.fit(X)
    found = [bind.transform(X), *bind.transform_modalities(X).arrays]
    found += [bind.transform_modality(X["text"], "text"), np.array(bind.score(X))]
    bind.partial_fit(X)
    return [*found, bind.transform(X), np.array(bind.loss_curve_)]


def assert_same(found, expected):
    assert all(same(a, b) for a, b in zip(found, expected, strict=True))


PARAMS = {
    "random": {"init": "random"},
    "gcca": {"init": "gcca"},
    "pretrained": {"init": "random", "pretrain_epochs": 1, "augmentation": "marginal"},
    "stopped": {"early_stopping": True, "validation_fraction": 0.2, "augmentation": "mask"},
    "learned": {"temperature": [0.1, 0.2, 0.3], "learn_temperature": True},
    "factory": {"encoder": ["mlp", Dropout, "linear"]},
}


@pytest.mark.parametrize("name", PARAMS)
def test_the_caller_does_not_matter(name, around, X):
    params = QUICK | PARAMS[name]
    expected = numbers(CentroBindTransformer(**params), X)
    with around():
        found = numbers(CentroBindTransformer(**params), X)
    assert_same(found, expected)


def test_no_estimator_depends_on_the_caller(each, around, X):
    params = {"init": "random", "n_specific_components": 2}
    start = each(**params, max_epochs=0).fit(X).transform(X)
    expected = numbers(each(**params), X)
    assert not np.allclose(start, expected[0])
    with around():
        found = numbers(each(**params), X)
    assert_same(found, expected)


def test_sparse_rows_do_not_depend_on_the_caller(around, X):
    sparse = pytest.importorskip("scipy.sparse")
    items = {**dict(X.items()), "text": sparse.csr_array(X["text"] * (X["text"] > 0.5))}
    for augmentation in ("gaussian", "mask"):
        params = QUICK | {"augmentation": augmentation, "init": "random"}
        expected = CentroBindTransformer(**params).fit_transform(items)
        with around():
            found = CentroBindTransformer(**params).fit_transform(items)
        assert same(found, expected)


@pytest.mark.parametrize("reads", ["load", "deepcopy"])
def test_copies_made_under_inference_mode_go_on(reads, X, path, centro):
    import copy

    pytest.importorskip("safetensors", reason="the extra `save` is not installed")
    bind = centro().fit(X)
    bind.save(path)
    with torch.inference_mode():
        other = copy.deepcopy(bind) if reads == "deepcopy" else skcentrobind.load(path)
    assert same(other.partial_fit(X).transform(X), bind.partial_fit(X).transform(X))


def test_a_module_made_under_inference_mode_learns(X):
    def module():
        torch.manual_seed(0)
        return nn.Linear(5, 4)

    expected = quick_centro(encoder=["mlp", module(), "mlp"]).fit_transform(X)
    with torch.inference_mode():
        bind = quick_centro(encoder=["mlp", module(), "mlp"])
        assert same(bind.fit_transform(X), expected)


def test_the_state_is_given_back(around, X, each):
    def state():
        kinds = ("cpu", "cuda")
        return (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            [torch.is_autocast_enabled(kind) for kind in kinds],
            torch.get_default_dtype(),
            torch.get_default_device(),
        )

    encoder = ["mlp", Dropout, "mlp"]
    with around():
        before = state()
        bind = each(encoder=encoder).fit(X)
        bind.transform(X)
        with pytest.raises(ValueError, match="text"):
            bind.partial_fit({**dict(X.items()), "text": np.full((40, 5), np.inf)})
        assert state() == before


# An epoch without a gradient


class Detached(nn.Linear):
    def forward(self, x):
        return super().forward(x).detach()


def detach(n_features, n_components):
    return Detached(n_features, n_components)


@pytest.mark.parametrize("callbacks", [False, True])
def test_an_epoch_without_a_gradient_is_an_error(X, callbacks):
    from skorch.callbacks import Callback

    own = [Callback()] if callbacks else None
    bind = quick_centro(encoder=detach, callbacks=own)
    with pytest.raises(ValueError, match=r"epoch 1 \(binding\) had a gradient.*detaches"):
        bind.fit(X)


class DetachedAtFirst(nn.Linear):
    n_calls = 0

    def forward(self, x):
        self.n_calls += self.training
        out = super().forward(x)
        return out.detach() if self.training and self.n_calls < 3 else out


def test_a_batch_without_a_gradient_is_none(X):
    params = {"encoder": DetachedAtFirst, "batch_size": 10, "max_epochs": 1}
    start = CentroBindTransformer(**{**QUICK, **params, "max_epochs": 0}).fit_transform(X)
    bind = CentroBindTransformer(**{**QUICK, **params}).fit(X)
    assert bind.n_iter_ == 1
    assert not np.allclose(bind.transform(X), start)


# Threads


@pytest.mark.parametrize("cls", [CentroBindTransformer, PairwiseBindTransformer])
def test_fits_in_threads_equal_fits_alone(cls, X):
    torch.manual_seed(7)
    before = torch.get_rng_state()

    def run(seed):
        params = QUICK | {"random_state": seed, "max_epochs": 15, "batch_size": 8}
        bind = cls(**params | {"encoder": ["mlp", Dropout, Dropout]}).fit(X)
        return bind.partial_fit(X).transform(X)

    alone = [run(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, range(4)))
    assert_same(together, alone)
    assert torch.equal(torch.get_rng_state(), before)
