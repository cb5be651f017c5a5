"""The score: mean reciprocal rank over all pairs of modalities."""

import numpy as np
from torch import nn

from skcentrobind.metrics import mean_reciprocal_rank

STILL = {"learning_rate": 1e-30, "weight_decay": 0.0, "max_epochs": 1}


def chance(n_samples):
    """Mean reciprocal rank at chance."""
    return np.mean(1 / np.arange(1, n_samples + 1))


def test_score_is_between_0_and_1_and_the_mean_over_all_pairs(X, incomplete, binder):
    for data in (X, incomplete):
        bind = binder().fit(data)
        assert 0 < bind.score(data) < 1
        assert bind.score(data) == mean_reciprocal_rank(bind.transform_modalities(data))
        assert isinstance(bind.score(data), float)


def test_score_of_perfect_and_of_broken_alignment(X, centro):
    # Equal weights for equal arrays that hardly move: each row finds itself.
    image = X["image"]
    bind = centro(encoder=nn.Linear(6, 4), **STILL).fit({"a": image, "b": image})
    assert bind.score([image, image]) == 1.0
    shuffled = np.random.default_rng(0).permutation(image)
    assert bind.score([image, shuffled]) < 3 * chance(40)


def test_score_of_one_modality(X, binder):
    quiet = binder(augmentation_scale=1e-6, **STILL).fit([X["image"]])
    assert quiet.score([X["image"]]) == 1.0
    loud = binder(augmentation_scale=100, **STILL).fit([X["image"]])
    assert chance(40) / 2 < loud.score([X["image"]]) < 0.5


def test_binding_helps_on_new_rows(make_data, binder):
    X, _ = make_data(120)
    train, test = X[:60], X[60:]
    params = {"n_components": 8, "hidden_layer_sizes": (32,)}
    bound = binder(**params, max_epochs=150, pretrain_epochs=0, learning_rate=5e-3).fit(train)
    untrained = binder(**params, **STILL, pretrain_epochs=0, init="random").fit(train)
    assert untrained.score(test) < 3 * chance(60)
    assert bound.score(test) > 5 * chance(60)
    assert bound.score(test) > 2 * untrained.score(test)


def test_nothing_is_learned_from_modalities_that_share_nothing(make_data, centro):
    X, _ = make_data(120)
    unrelated = {"image": X["image"], "text": make_data(120, seed=9)[0]["text"]}
    bind = centro(max_epochs=60).fit({name: array[:60] for name, array in unrelated.items()})
    assert bind.score({name: array[60:] for name, array in unrelated.items()}) < 3 * chance(60)
