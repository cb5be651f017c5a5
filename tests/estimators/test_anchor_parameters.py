"""Fixed and frozen anchors, pre-training, and aggregators by name or instance."""

import copy

import numpy as np
import pytest
import torch
from conftest import QUICK, WIDTHS
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skcentrobind.anchors import ANCHORS, BaseAnchor, MeanAnchor, RandomAnchor, WeightedAnchor

NAMES = list(WIDTHS)
STILL = {"learning_rate": 1e-30, "weight_decay": 0.0, "max_epochs": 1}


def own_weights(bind, name):
    """Weights of one modality's encoder, which may share its tensors with others."""
    encoder = bind.encoders_[name]
    return encoder.group.member_parameters(encoder.position)


def moved(one, two, X):
    """Which modalities are embedded differently by two fitted estimators."""
    return [
        name
        for name in NAMES
        if not np.array_equal(
            one.transform_modality(X[name], name), two.transform_modality(X[name], name)
        )
    ]


@pytest.mark.parametrize("anchor", [0, -3, "image", np.int64(0)])
def test_a_frozen_anchor_does_not_move_while_the_others_bind(X, fixed, anchor):
    short, long = (fixed(anchor=anchor, max_epochs=k).fit(X) for k in (1, 5))
    assert moved(short, long, X) == ["text", "audio"]
    for name in NAMES:
        weights = [own_weights(bind, name) for bind in (short, long)]
        assert all(map(torch.equal, *weights)) == (name == "image")


def test_a_frozen_anchor_moves_in_pre_training(X, fixed):
    fits = [fixed(pretrain_epochs=k).fit(X) for k in (0, 1, 3)]
    assert moved(fits[0], fits[1], X) == moved(fits[1], fits[2], X) == NAMES
    drawn = fixed(pretrain_epochs=0, max_epochs=9).fit(X)
    assert moved(fits[0], drawn, X) == ["text", "audio"]


def test_an_anchor_that_is_not_frozen_moves(X, fixed):
    short, long = (fixed(freeze_anchor=False, max_epochs=k).fit(X) for k in (1, 5))
    assert moved(short, long, X) == NAMES


def test_several_anchors(X, fixed):
    short, long = (fixed(anchor=["image", 2], max_epochs=k).fit(X) for k in (1, 5))
    assert moved(short, long, X) == ["text"]
    # The text learns towards both, not towards the first one only.
    assert moved(long, fixed(anchor="image", max_epochs=5).fit(X), X) == ["text", "audio"]
    short, long = (
        fixed(anchor=[0, 1, 2], freeze_anchor=False, max_epochs=k).fit(X) for k in (1, 5)
    )
    assert moved(short, long, X) == NAMES


def test_batch_statistics_of_a_frozen_anchor_stay(X, fixed):
    def normalised(n_features, n_components):
        return nn.Sequential(nn.BatchNorm1d(n_features), nn.Linear(n_features, n_components))

    short, long = (fixed(encoder=normalised, max_epochs=k).fit(X) for k in (1, 5))
    assert moved(short, long, X) == ["text", "audio"]


def test_pre_training_prepares_every_encoder(make_data, centro):
    # Nothing has been bound, but each modality separates its own rows despite the noise.
    X, _ = make_data(60)
    plain = centro(pretrain_epochs=0, **STILL).fit(X)
    for name in NAMES:
        quiet = centro(pretrain_epochs=40, max_epochs=1, learning_rate=3e-3).fit([X[name]])
        still = centro(**STILL).fit([X[name]])
        assert quiet.score([X[name]]) > still.score([X[name]])
    assert moved(plain, centro(pretrain_epochs=2, **STILL).fit(X), X) == []
    assert centro(pretrain_epochs=2).fit(X).n_iter_ == QUICK["max_epochs"]


@pytest.mark.parametrize("aggregator", ANCHORS)
def test_every_named_aggregator_binds(make_data, centro, aggregator):
    X, _ = make_data(60)
    # The start in closed form would have found most of it before the anchor is used.
    still = centro(aggregator=aggregator, init="random", **STILL).fit(X)
    bind = centro(aggregator=aggregator, init="random", max_epochs=80, learning_rate=5e-3).fit(X)
    assert bind.score(X) > still.score(X) + 0.1


def test_aggregators_differ(X, centro):
    fits = {name: centro(aggregator=name).fit_transform(X) for name in ANCHORS}
    names = list(fits)
    for i, name in enumerate(names):
        for other in names[:i]:
            assert not np.array_equal(fits[name], fits[other]), (name, other)


def test_names_and_instances_of_anchors_are_the_same(X, centro):
    for name, instance in {
        "mean": MeanAnchor(),
        "random": RandomAnchor(),
        "random_intra": RandomAnchor(intra=True),
    }.items():
        assert_array_equal(
            centro(aggregator=name).fit_transform(X), centro(aggregator=instance).fit_transform(X)
        )


def test_a_weighted_anchor(X, centro):
    by_position = WeightedAnchor([3.0, 0.5, 1.0])
    by_name = WeightedAnchor({"audio": 1.0, "image": 3.0, "text": 0.5})
    state = copy.deepcopy(vars(by_name))
    Z = centro(aggregator=by_position).fit_transform(X)
    assert_array_equal(centro(aggregator=by_name).fit_transform(X), Z)
    assert vars(by_name).keys() == state.keys()
    assert by_name.state_dict() == {}  # the weights by position stay in the copy
    assert not np.array_equal(centro(aggregator="mean").fit_transform(X), Z)
    equal = centro(aggregator=WeightedAnchor([2, 2, 2])).fit_transform(X)
    assert_allclose(equal, centro(aggregator="mean").fit_transform(X), atol=1e-4)


def test_a_users_own_anchor(X, centro):
    class First(BaseAnchor):
        def aggregate(self, z, present):
            return z[0]

    Z = centro(aggregator=First()).fit_transform(X)
    one_hot = centro(aggregator=WeightedAnchor([1, 0, 0])).fit_transform(X)
    assert_allclose(Z, one_hot, atol=1e-5)


def test_a_detached_anchor(X, centro):
    # Seen from the loss of the first step both are equal; the gradient, and so the next one, not.
    free, detached = (centro(detach_anchor=flag, batch_size=40).fit(X) for flag in (False, True))
    assert free.loss_curve_[0] == detached.loss_curve_[0]
    assert free.loss_curve_[-1] != detached.loss_curve_[-1]
