"""Every parameter of the binding transformers has an effect."""

import inspect
import re

import numpy as np
import pytest
import torch
from conftest import ESTIMATORS
from numpy.testing import assert_allclose, assert_array_equal

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer

#: Another value of every parameter that changes what is learned, and the settings it needs.
EFFECTS = {
    "aggregator": ("median", {}),
    "anchor": ("text", {}),
    "augmentation": ("mask", {}),
    "augmentation_scale": (0.9, {}),
    "batch_size": (10, {}),
    "detach_anchor": (True, {}),
    "direction": ("to_anchor", {}),
    "early_stopping": (True, {}),
    "encoder": ("mlp", {}),
    "freeze_anchor": (False, {}),
    "gamma": (2.0, {"encoder": "kernel", "gamma": 0.3}),
    "hidden_layer_sizes": ((9,), {}),
    "learning_rate": (1e-2, {}),
    "learn_temperature": (True, {"learning_rate": 0.1}),
    "max_epochs": (4, {}),
    "n_iter_no_change": (1, {"early_stopping": True, "learning_rate": 1e-30, "max_epochs": 9}),
    "n_specific_components": (3, {}),
    "pretrain_epochs": (3, {}),
    "random_state": (1, {}),
    "regularizers": ({"uniformity": 1.0}, {}),
    "shrinkage": (0.9, {"init": "gcca"}),
    "standardize": (False, {}),
    "temperature": (0.5, {}),
    "validation_fraction": (0.5, {"early_stopping": True}),
    "weight_decay": (10.0, {}),
}


#: Parameters that have tests of their own, here or in other files.
TESTED_APART = {"callbacks", "device", "modalities", "n_components", "output", "verbose"}
TESTED_APART |= {"alignment_temperature", "init", "precision", "same_group", "ignore_duplicates"}


CLASSES = {"centro": CentroBindTransformer, "fixed": FixedAnchorBindTransformer}
PARAMETERS = {kind: list(inspect.signature(cls).parameters) for kind, cls in CLASSES.items()}


def test_every_parameter_has_a_test():
    everywhere = set().union(*(inspect.signature(cls).parameters for cls in ESTIMATORS.values()))
    assert everywhere == set(EFFECTS) | TESTED_APART


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, names in PARAMETERS.items() for name in names if name in EFFECTS],
)
def test_parameter_changes_what_is_learned(X, request, kind, name):
    make = request.getfixturevalue(kind)
    value, needs = EFFECTS[name]
    plain, changed = make(**needs).fit(X), make(**{**needs, name: value}).fit(X)
    if name == "n_iter_no_change":
        assert changed.n_iter_ < plain.n_iter_
    else:
        assert np.abs(plain.transform(X) - changed.transform(X)).max() > 1e-5


@pytest.mark.parametrize("n_components", [1, 3, np.int64(7)])
def test_n_components(X, binder, n_components):
    bind = binder(n_components=n_components).fit(X)
    assert bind.transform(X).shape == (40, 3 * n_components)
    assert bind.transform_modality(X["text"], "text").shape == (40, n_components)
    assert bind.n_components_ == n_components
    assert type(bind.n_components_) is int


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ((6, 5, 4), 64),  # a space of 64 costs no more than one of 4
        ((127, 127, 127), 64),
        ((128, 5, 900), 128),
        ((128, 127), 64),  # their median is between two
        ((255, 2, 300), 128),
        ((256, 256, 2), 256),
        ((3, 5000, 4000), 256),
    ],
)
def test_the_space_is_as_wide_as_most_modalities(centro, widths, expected):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(12, width)) for width in widths]
    bind = centro(n_components="auto", max_epochs=0).fit(X)
    assert bind.n_components_ == expected
    assert bind.transform(X).shape == (12, len(widths) * expected)
    assert len(bind.get_feature_names_out()) == len(widths) * expected
    images = [*X[:-1], X[-1].reshape(12, 1, -1)]  # all features of a row count
    assert centro(n_components="auto", max_epochs=0).fit(images).n_components_ == expected


def test_the_space_is_as_wide_as_rows_that_are_in_it_already(X, binder):
    encoder = {"image": "residual", "text": "identity", "audio": "mlp"}
    bind = binder(n_components="auto", encoder=encoder).fit(X)
    assert bind.n_components_ == X["text"].shape[1]
    unit = X["text"] / np.linalg.norm(X["text"], axis=1, keepdims=True)
    assert_allclose(bind.transform_modality(X["text"], "text"), unit, atol=1e-6)
    assert binder(n_components=5, encoder=encoder).fit(X).n_components_ == 5


def test_hidden_layers_of_all_depths(X, centro):
    for sizes in [(), (5,), (5, 6, 7), [5, 6]]:
        Z = centro(encoder="mlp", hidden_layer_sizes=sizes).fit_transform(X)
        assert_allclose(np.linalg.norm(Z.reshape(40, 3, 4), axis=2), 1, atol=1e-5)
    # Without hidden layers nothing but the linear map is left.
    linear = centro(encoder="linear").fit_transform(X)
    for encoder in ("mlp", "residual"):
        assert_array_equal(centro(encoder=encoder, hidden_layer_sizes=()).fit_transform(X), linear)


def test_verbose_0_is_silent(X, binder, capfd):
    binder(pretrain_epochs=2, verbose=0).fit(X)
    assert capfd.readouterr() == ("", "")


def test_verbose_1_shows_a_bar(X, binder, capfd):
    binder(pretrain_epochs=2, verbose=1).fit(X)
    out, err = capfd.readouterr()
    assert out == ""
    assert re.search(r"pre-training: 100%.*2/2.*loss=", err)
    assert re.search(r"binding: 100%.*3/3.*loss=", err)


def test_verbose_2_prints_a_line_per_epoch(X, binder, capfd):
    binder(max_epochs=3, pretrain_epochs=0, early_stopping=True, verbose=2).fit(X)
    out, err = capfd.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert {"epoch", "train_loss", "valid_score"} <= set(lines[0].split())
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "3"]


def test_device(X, binder):
    auto, cpu = binder(device="auto").fit(X), binder(device="cpu").fit(X)
    assert cpu.device_ == "cpu"
    assert auto.device_ in ("cpu", "cuda", "mps")
    if auto.device_ == "cpu":
        assert_array_equal(auto.transform(X), cpu.transform(X))
    assert binder(device=torch.device("cpu")).fit(X).device_ == "cpu"


def test_classes_have_the_same_defaults_except_for_their_own_parameters():
    ours, theirs = (
        {name: p.default for name, p in inspect.signature(cls).parameters.items()}
        for cls in (CentroBindTransformer, FixedAnchorBindTransformer)
    )
    differ = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    # A fixed anchor must not learn from the others.
    assert differ == {"pretrain_epochs", "init"}
    assert ours.keys() ^ theirs.keys() == {
        "aggregator",
        "detach_anchor",
        "anchor",
        "freeze_anchor",
        "direction",
    }
