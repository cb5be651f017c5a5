"""What the two binding transformers do, told apart by behaviour and never by stored numbers."""

import copy
import inspect
import pickle
import re

import numpy as np
import pytest
import torch
from conftest import ESTIMATORS, QUICK, WIDTHS, draw
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import Callback, LRScheduler
from torch import nn

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer, Modalities
from skcentrobind._net import BindNet
from skcentrobind.anchors import ANCHORS, BaseAnchor, MeanAnchor, RandomAnchor, WeightedAnchor
from skcentrobind.metrics import mean_reciprocal_rank

NAMES = list(WIDTHS)
STILL = {"learning_rate": 1e-30, "weight_decay": 0.0, "max_epochs": 1}


def chance(n_samples):
    """Mean reciprocal rank of guessing."""
    return np.mean(1 / np.arange(1, n_samples + 1))


class Recorder(Callback):
    """Writes down how many rows each batch had, and what the learning rate was."""

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


# Parameters

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
    "hidden_layer_sizes": ((9,), {}),
    "learning_rate": (1e-2, {}),
    "learn_temperature": (True, {"learning_rate": 0.1}),
    "max_epochs": (4, {}),
    "n_iter_no_change": (1, {"early_stopping": True, "learning_rate": 1e-30, "max_epochs": 9}),
    "n_specific_components": (3, {}),
    "pretrain_epochs": (3, {}),
    "random_state": (1, {}),
    "regularizers": ({"uniformity": 1.0}, {}),
    "standardize": (False, {}),
    "temperature": (0.5, {}),
    "validation_fraction": (0.5, {"early_stopping": True}),
    "weight_decay": (10.0, {}),
}

#: Parameters that have tests of their own below or in test_bad_input.py.
TESTED_APART = {"callbacks", "device", "modalities", "n_components", "output", "verbose"}
TESTED_APART |= {"alignment_temperature", "init", "precision"}  # in files of their own


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


def test_verbose_2_prints_a_line_an_epoch(X, binder, capfd):
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


# What transform returns


def test_concat_puts_the_blocks_side_by_side(X, binder):
    bind = binder().fit(X)
    Z = bind.transform(X)
    assert Z.shape == (40, 12)
    assert_array_equal(Z, np.hstack(bind.transform_modalities(X).arrays))
    names = [f"{name}_{i}" for name in NAMES for i in range(4)]
    assert list(bind.get_feature_names_out()) == names


def test_mean_is_the_centroid(X, binder):
    bind = binder(output="mean").fit(X)
    Z = bind.transform(X)
    assert Z.shape == (40, 4)
    assert_allclose(Z, np.mean(bind.transform_modalities(X).arrays, axis=0), atol=1e-6)
    assert list(bind.get_feature_names_out()) == ["mean_0", "mean_1", "mean_2", "mean_3"]


def test_transform_modalities_is_a_container_of_unit_rows(X, binder):
    embedded = binder().fit(X).transform_modalities(X)
    assert isinstance(embedded, Modalities)
    assert list(embedded.names) == NAMES
    for Z in embedded.arrays:
        assert Z.dtype == np.float32
        assert_allclose(np.linalg.norm(Z, axis=1), 1, atol=1e-6)


def test_transform_modality_by_name_and_by_position(X, binder):
    bind = binder().fit(X)
    embedded = bind.transform_modalities(X)
    for m, name in enumerate(NAMES):
        for key in (name, m, m - 3, np.int64(m)):
            assert_array_equal(bind.transform_modality(X[name], key), embedded[name])
    assert_array_equal(
        bind.transform_modality(torch.from_numpy(X["text"]), "text"), embedded["text"]
    )
    assert_allclose(
        bind.transform_modality(X["text"][3:5], "text"), embedded["text"][3:5], atol=1e-6
    )


def test_outputs_are_float32_whatever_comes_in(X, binder):
    for dtype in (np.float16, np.float32, np.float64, np.longdouble):
        data = [array.astype(dtype) for array in X.arrays]
        assert binder().fit(data).transform(data).dtype == np.float32
    for dtype in (np.uint8, np.int64, bool):
        data = [(array > 0).astype(dtype) for array in X.arrays]
        assert_array_equal(
            binder().fit_transform(data),
            binder().fit_transform([array.astype(np.float64) for array in data]),
        )


def test_fit_returns_the_estimator_and_sets_its_attributes(X, y, binder):
    bind = binder()
    assert bind.fit(X, y) is bind
    assert bind.n_modalities_ == 3
    assert bind.modality_names_ == NAMES
    assert bind.n_features_per_modality_ == [6, 5, 4]
    assert bind.n_features_in_ == 15
    assert bind.n_iter_ == 3
    assert bind.validation_scores_ is None
    assert list(bind.encoders_) == list(bind.scalers_) == NAMES
    assert list(binder().fit(list(X.arrays)).modality_names_) == [f"modality{m}" for m in range(3)]


def test_encoders_and_scalers_do_what_transform_does(X, binder):
    bind = binder().fit(X)
    rows = bind.scalers_["text"].transform(X["text"]).astype(np.float32)
    with torch.no_grad():
        Z = bind.encoders_["text"](torch.from_numpy(rows)).numpy()
    assert_allclose(Z, bind.transform_modality(X["text"], "text"), atol=1e-6)


def test_one_modality(X, binder):
    bind = binder(max_epochs=20).fit(X["text"])
    assert bind.transform(X["text"]).shape == (40, 4)
    assert bind.modality_names_ == ["modality0"]
    assert bind.loss_curve_[-1] < bind.loss_curve_[0]
    assert_array_equal(bind.transform([X["text"]]), bind.transform(X["text"]))


def test_rows_do_not_see_one_another(X, binder):
    bind = binder().fit(X)
    arrays = {name: array.copy() for name, array in X.items()}
    for array in arrays.values():
        array[7] = 100.0
    others = np.arange(40) != 7
    changed, before = bind.transform(arrays), bind.transform(X)
    assert_allclose(changed[others], before[others], atol=1e-6)
    assert np.abs(changed[7] - before[7]).max() > 0.01
    assert_allclose(bind.transform(X[5:9]), before[5:9], atol=1e-6)


def test_many_rows_are_embedded_in_pieces(X, centro, monkeypatch):
    bind = centro().fit(X)
    expected = bind.transform(X)
    monkeypatch.setattr("skcentrobind._data._ENCODE_ROWS", 7)
    assert_allclose(bind.transform(X), expected, atol=1e-6)


@pytest.mark.parametrize("params", [{}, {"standardize": False}, {"encoder": nn.Linear}], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_data_are_not_changed(gappy, binder, params, dtype):
    arrays = [array.astype(dtype) for array in gappy.arrays]
    kept = [array.copy() for array in arrays]
    bind = binder(**params).fit(arrays)
    bind.transform(arrays)
    bind.score(arrays)
    bind.partial_fit(arrays)
    for array, original in zip(arrays, kept, strict=True):
        assert_array_equal(array, original)


def test_read_only_data(gappy, binder):
    arrays = [array.copy() for array in gappy.arrays]
    for array in arrays:
        array.flags.writeable = False
    for standardize in (True, False):
        Z = binder(standardize=standardize).fit_transform(arrays)
        assert np.isfinite(Z).all()


# Missing modalities


def test_gaps_are_nan_rows_of_the_embeddings(gappy, binder):
    bind = binder().fit(gappy)
    embedded = bind.transform_modalities(gappy)
    assert_array_equal(embedded.present, gappy.present)
    for Z, present in zip(embedded.arrays, gappy.present.T, strict=True):
        assert np.isnan(Z[~present]).all()
        assert_allclose(np.linalg.norm(Z[present], axis=1), 1, atol=1e-6)


def test_gaps_leave_the_rest_as_it_is(X, gappy, binder):
    bind = binder().fit(gappy)
    full, embedded = bind.transform_modalities(X), bind.transform_modalities(gappy)
    for name, present in zip(NAMES, gappy.present.T, strict=True):
        assert_allclose(embedded[name][present], full[name][present], atol=1e-6)


def test_block_of_an_absent_modality_is_the_mean_of_the_present_ones(gappy, binder):
    bind = binder().fit(gappy)
    embedded = np.stack(bind.transform_modalities(gappy).arrays)
    mean = np.nanmean(embedded, axis=0)
    expected = np.where(np.isnan(embedded), mean, embedded)
    Z = bind.transform(gappy)
    assert np.isfinite(Z).all()
    assert_allclose(Z, np.hstack(expected), atol=1e-6)
    assert_allclose(bind.set_params(output="mean").transform(gappy), mean, atol=1e-6)


@pytest.mark.parametrize("form", [list, dict])
def test_none_stands_for_a_whole_modality(X, binder, form):
    bind = binder().fit(X)
    holes, nones = dict(X.items()), dict(X.items())
    holes["text"], nones["text"] = np.full((40, 5), np.nan), None
    if form is list:
        holes, nones = list(holes.values()), list(nones.values())
    assert_array_equal(bind.transform(nones), bind.transform(holes))
    assert np.isnan(bind.transform_modalities(nones)["text"]).all()
    only = [None, X["text"], None]
    assert_array_equal(bind.transform(only), np.tile(bind.transform_modality(X["text"], 1), 3))
    assert bind.score(nones) == bind.score(holes)


def test_absent_rows_of_a_single_modality_stay_absent(gappy, binder):
    bind = binder().fit(gappy)
    Z = bind.transform_modality(gappy["text"], "text")
    assert_array_equal(Z, bind.transform_modalities(gappy)["text"])
    assert np.isnan(Z).any()
    assert np.isnan(bind.transform_modality(np.full((2, 5), np.nan), "text")).all()


def test_a_sample_teaches_nothing_where_it_is_absent(X, centro):
    # Rows that have the text alone cannot move the encoders of the others.
    alone = np.arange(40) >= 20
    arrays = {n: np.where(alone[:, None], np.nan, a) for n, a in X.items()}
    arrays["text"] = X["text"]
    other = {**arrays, "text": np.where(alone[:, None], X["text"][::-1], X["text"])}
    settings = {"standardize": False, "augmentation": None, "batch_size": 40, "max_epochs": 1}
    # In one step towards a detached anchor nothing of the text gets into the audio's gradient.
    one, two = (centro(detach_anchor=True, **settings).fit(data) for data in (arrays, other))
    for name in ("image", "audio"):
        assert_array_equal(
            one.transform_modality(X[name], name), two.transform_modality(X[name], name)
        )
    assert not np.array_equal(
        one.transform_modality(X["text"], "text"), two.transform_modality(X["text"], "text")
    )


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"encoder": "mlp"},
        {"aggregator": "median"},
        {"aggregator": "random"},
        {"aggregator": "random_intra"},
        {"aggregator": WeightedAnchor([0.0, 1.0, 0.0])},
        {"augmentation": "marginal"},
        {"augmentation": "mask"},
        {"temperature": 0.005},
        {"standardize": False},
        {"batch_size": 3},
        {"pretrain_epochs": 2},
        {"early_stopping": True},
    ],
    ids=str,
)
def test_every_setting_copes_with_gaps(gappy, centro, params):
    bind = centro(**params).fit(gappy)
    assert np.isfinite(bind.transform(gappy)).all()
    assert np.isfinite(bind.loss_curve_).all()


def test_fixed_anchors_cope_with_gaps(gappy, fixed):
    for anchor in (0, "audio", ["image", "text"]):
        for freeze_anchor in (True, False):
            bind = fixed(anchor=anchor, freeze_anchor=freeze_anchor, batch_size=4).fit(gappy)
            assert np.isfinite(bind.transform(gappy)).all()


@pytest.mark.parametrize("encoder", ["mlp", nn.Linear])
def test_batches_of_which_nothing_can_be_learned(X, binder, encoder):
    # Most samples have the image alone, so many a batch of three holds nothing but the (frozen)
    # anchor, and there is no gradient in it.
    alone = np.arange(40) >= 8
    data = {name: np.where(alone[:, None], np.nan, array) for name, array in X.items()}
    data["image"] = X["image"]
    bind = binder(encoder=encoder, batch_size=3).fit(data)
    assert np.isfinite(bind.loss_curve_).all()
    assert np.isfinite(bind.transform(data)).all()


def test_batch_statistics_see_real_rows_only(X, centro):
    def normalised(n_features, n_components):
        return nn.Sequential(nn.BatchNorm1d(n_features, momentum=None), nn.Linear(n_features, 4))

    holes = np.arange(40) % 2 == 0
    data = {**dict(X.items()), "text": np.where(holes[:, None], np.nan, X["text"] + 100)}
    bind = centro(encoder=normalised, augmentation=None, max_epochs=1, batch_size=40).fit(data)
    statistics = bind.encoders_["text"].state_dict()
    mean = next(value for name, value in statistics.items() if name.endswith("running_mean"))
    assert_allclose(mean, data["text"][~holes].mean(axis=0), rtol=1e-4)


# Score


def test_score_is_between_0_and_1_and_the_mean_over_all_pairs(X, gappy, binder):
    for data in (X, gappy):
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


def test_binding_pays_on_rows_that_were_not_seen(make_data, binder):
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
    strangers = {"image": X["image"], "text": make_data(120, seed=9)[0]["text"]}
    bind = centro(max_epochs=60).fit({name: array[:60] for name, array in strangers.items()})
    assert bind.score({name: array[60:] for name, array in strangers.items()}) < 3 * chance(60)


# Training


def test_loss_curve(make_data, binder):
    X, _ = make_data(60)
    bind = binder(max_epochs=30, learning_rate=5e-3, init="random").fit(X)
    assert len(bind.loss_curve_) == bind.n_iter_ == 30
    assert all(isinstance(loss, float) and loss > 0 for loss in bind.loss_curve_)
    assert np.mean(bind.loss_curve_[-5:]) < 0.9 * bind.loss_curve_[0]


def test_loss_is_the_sum_over_the_modalities(X, centro):
    # All rows alike for an encoder that maps everything to one point: each of the two directions
    # of each modality costs log(n).
    class Collapsed(nn.Module):
        def __init__(self):
            super().__init__()
            self.point = nn.Parameter(torch.ones(4))

        def forward(self, x):
            return self.point.expand(len(x), 4)

    bind = centro(encoder=Collapsed(), max_epochs=1).fit(X)
    assert_allclose(bind.loss_curve_, [3 * 2 * np.log(40)], rtol=1e-5)


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "sizes"),
    [
        (257, 256, [129, 128]),
        (256, 256, [256]),
        (40, 256, [40]),
        (41, 20, [14, 14, 13]),
        (41, 2, [3] + [2] * 19),  # never one row alone
    ],
)
def test_batches_are_of_equal_size(make_data, centro, n_samples, batch_size, sizes):
    X, _ = make_data(n_samples)
    bind = centro(batch_size=batch_size, max_epochs=2, callbacks=[Recorder()]).fit(X)
    assert recorder_of(bind).sizes == 2 * sizes


def test_held_out_rows_are_not_kept(binder):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(200, 500)), rng.normal(size=(200, 3))]
    sizes = [
        len(pickle.dumps(binder(early_stopping=stops, validation_fraction=0.5).fit(X)))
        for stops in (False, True)
    ]
    assert sizes[1] < sizes[0] + 5_000  # not 100 x 500 numbers
    bind = binder(early_stopping=True, n_iter_no_change=1, max_epochs=2).fit(X)
    scores = bind.validation_scores_
    for _ in range(3):
        bind.partial_fit(X)
    assert bind.n_iter_ == len(scores) + 3
    assert bind.validation_scores_ == scores


def test_early_stopping_ends_when_there_is_nothing_to_learn(binder):
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=(60, 5)) for _ in range(3)]
    bind = binder(early_stopping=True, n_iter_no_change=2, max_epochs=100).fit(noise)
    assert 3 <= bind.n_iter_ < 100
    assert len(bind.validation_scores_) == len(bind.loss_curve_) == bind.n_iter_
    assert all(0 < score <= 1 for score in bind.validation_scores_)


def test_early_stopping_restores_the_best_weights(make_data, binder):
    # Rows that the optimiser has not seen are found by what it cannot know: their embeddings after
    # the best epoch have the best score.
    X, _ = make_data(80)
    found = 0
    for seed in range(4):
        bind = binder(
            early_stopping=True, validation_fraction=0.25, n_iter_no_change=3, random_state=seed,
            max_epochs=40, learning_rate=0.03,
        ).fit(X)  # fmt: skip
        best = max(bind.validation_scores_)
        found += bind.validation_scores_[-1] < best - 0.01
        held_out = np.random.RandomState(bind._seed).permutation(80)[:20]
        assert bind.score(X[np.sort(held_out)]) == pytest.approx(best, abs=2e-4)
    assert found  # ... or the last weights would have done as well


def test_early_stopping_holds_rows_out(make_data, centro):
    X, _ = make_data(80)
    bind = centro(early_stopping=True, validation_fraction=0.25, callbacks=[Recorder()]).fit(X)
    assert recorder_of(bind).sizes == [60] * bind.n_iter_


def test_early_stopping_with_a_short_last_batch(make_data, binder):
    # 3 rows are held out; in batches of at most 2 one of them stands alone.
    X, _ = make_data(30)
    bind = binder(early_stopping=True, validation_fraction=0.1, batch_size=2).fit(X)
    assert all(0 < score <= 1 for score in bind.validation_scores_)
    bind = binder(early_stopping=True, validation_fraction=0.1, batch_size=2).fit([X["text"]])
    assert all(0 < score <= 1 for score in bind.validation_scores_)


def rarely_together(X):
    """Every sample has its text or its audio, few have their image: few pairs can be scored."""
    rng = np.random.default_rng(0)
    arrays = {name: array.copy() for name, array in X.items()}
    with_text = rng.random(len(X)) < 0.5
    arrays["text"][~with_text] = np.nan
    arrays["audio"][with_text] = np.nan
    arrays["image"][rng.random(len(X)) < 0.8] = np.nan
    return arrays


# Where modalities rarely meet, fit warns of it; test_bad_input holds the warning.
@pytest.mark.filterwarnings("ignore:Modality .* shares fewer than 2 samples")
def test_early_stopping_where_held_out_rows_hardly_overlap(X, binder):
    bind = binder(early_stopping=True, validation_fraction=0.5).fit(rarely_together(X))
    assert all(0 < score <= 1 for score in bind.validation_scores_)
    with pytest.raises(ValueError, match=r"holds out 4 of 40 .* no two modalities meet .* more"):
        binder(early_stopping=True).fit(rarely_together(X))


def test_no_epochs_leave_the_encoders_as_they_were_drawn(X, binder):
    untrained = binder(max_epochs=0, pretrain_epochs=0).fit(X)
    assert (untrained.n_iter_, untrained.loss_curve_, untrained.validation_scores_) == (0, [], None)
    still = binder(**STILL, pretrain_epochs=0).fit(X)
    assert_allclose(untrained.transform(X), still.transform(X), atol=1e-6)
    one = binder(max_epochs=1, pretrain_epochs=0).fit(X)
    assert_array_equal(untrained.partial_fit(X).transform(X), one.transform(X))
    # What pre-training did stays.
    prepared = binder(max_epochs=0, pretrain_epochs=2).fit(X)
    assert not np.array_equal(prepared.transform(X), still.transform(X))


def test_partial_fit_trains_one_epoch_at_a_time(X, binder, make_data):
    bind = binder()
    assert bind.partial_fit(X) is bind
    assert bind.n_iter_ == 1
    before = bind.transform(X)
    bind.partial_fit(make_data(seed=3)[0])  # other rows
    assert bind.n_iter_ == 2
    assert not np.array_equal(bind.transform(X), before)
    assert_array_equal(bind.scalers_["text"].mean_, binder().partial_fit(X).scalers_["text"].mean_)


def test_partial_fit_continues_a_fit(X, binder):
    bind = binder(max_epochs=3).fit(X)
    start = list(bind.loss_curve_)
    bind.partial_fit(X)
    assert bind.loss_curve_[:3] == start
    assert bind.n_iter_ == 4


def test_callbacks_hear_everything_and_are_not_mutated(X, binder):
    recorder = Recorder()
    bind = binder(batch_size=20, callbacks=[recorder]).fit(X)
    heard = recorder_of(bind)
    assert heard is not recorder
    assert heard.sizes == [20, 20] * 3
    assert heard.gradients == 6
    assert len(heard.rates) == 3
    assert (recorder.sizes, recorder.rates, recorder.gradients) == ([], [], 0)
    assert bind.get_params()["callbacks"] == [recorder]


def test_listening_changes_nothing(X, binder):
    assert_array_equal(
        binder(batch_size=20, callbacks=[Recorder()]).fit_transform(X),
        binder(batch_size=20).fit_transform(X),
    )


def test_a_learning_rate_schedule(X, binder):
    scheduler = LRScheduler("StepLR", step_size=1, gamma=0.1)
    bind = binder(callbacks=[scheduler, ("spy", Recorder())], learning_rate=1e-2).fit(X)
    assert_allclose(bind.net_.optimizer_.param_groups[0]["lr"], 1e-5)
    assert not np.array_equal(bind.transform(X), binder(learning_rate=1e-2).fit_transform(X))


def test_a_fit_that_fails_leaves_an_unfitted_estimator(X, binder):
    bind = binder().fit(X)
    with pytest.raises(ValueError, match="diverged"):
        bind.set_params(learning_rate=1e30, max_epochs=20).fit(X)
    with pytest.raises(ValueError, match="not fitted"):
        bind.transform(X)


# Anchors


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
    # Nothing has been bound, but each modality tells its own rows apart despite the noise.
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
    # The start in closed form would have found most of it before the anchor is asked.
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


def test_an_anchor_of_ones_own(X, centro):
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


# Encoders


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
    """8 x 8 pictures of a bar, and a vector that says where it stands."""
    rng = np.random.default_rng(0)
    place = rng.integers(8, size=50)
    pictures = rng.normal(scale=0.1, size=(50, 8, 8))
    pictures[np.arange(50), place] += 1
    return {"picture": pictures, "place": np.eye(8)[place] + rng.normal(scale=0.1, size=(50, 8))}


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
    settings = {"encoder": {"picture": encoder, "place": "linear"}, "learning_rate": 0.01}
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


# Preparation and augmentation


def test_standardised_features_may_have_any_unit_and_offset(X, binder):
    other = {n: a * np.geomspace(1e-3, 1e3, a.shape[1]) + 1e4 for n, a in X.items()}
    assert_allclose(binder().fit_transform(other), binder().fit_transform(X), atol=1e-3)
    raw = binder(standardize=False)
    assert np.abs(raw.fit_transform(other) - raw.fit_transform(X)).max() > 0.1
    assert set(raw.scalers_.values()) == {None}


def test_constant_columns_are_ignored_with_a_warning(X, binder):
    # Two equal numbers whose mean is not exactly the same number must not be blown up.
    data = {name: np.column_stack([array, np.full(40, 0.1)]) for name, array in X.items()}
    bind = binder()
    with pytest.warns(UserWarning, match=r"'(image|text|audio)': 1 of \d columns are constant"):
        bind.fit(data)
    before = bind.transform(data)
    for array in data.values():
        array[:, -1] = 1e6
    assert_array_equal(bind.transform(data), before)


@pytest.mark.parametrize("augmentation", ["gaussian", "mask", "marginal"])
@pytest.mark.parametrize("standardize", [True, False])
def test_augmentations_change_what_is_learned(X, binder, augmentation, standardize):
    none = binder(augmentation=None, standardize=standardize).fit_transform(X)
    some = binder(augmentation=augmentation, standardize=standardize).fit_transform(X)
    assert np.abs(some - none).max() > 1e-5
    zero = binder(augmentation=augmentation, augmentation_scale=0, standardize=standardize)
    # Random numbers are drawn as before, but nothing is changed by them.
    assert_allclose(zero.fit_transform(X), none, atol=1e-4)


def test_noise_follows_the_spread_of_each_feature(X, centro):
    # Without standardisation, noise of 0.3 standard deviations still is relative to each feature.
    def score(scale):
        data = [X["image"] * scale]
        return centro(standardize=False, **STILL).fit(data).score(data)

    assert score(1e3) == pytest.approx(score(1.0), abs=0.05)


def test_a_callable_augmentation(X, centro):
    seen = []

    def shift(x, generator):
        seen.append((tuple(x.shape), x.dtype, type(generator)))
        return x + torch.rand(x.shape, generator=generator)

    Z = centro(augmentation=shift, batch_size=20, max_epochs=1).fit_transform(X)
    assert sorted(shape for shape, _, _ in seen) == [(20, 4)] * 2 + [(20, 5)] * 2 + [(20, 6)] * 2
    assert {(dtype, kind) for _, dtype, kind in seen} == {(torch.float32, torch.Generator)}
    assert_array_equal(centro(augmentation=shift, batch_size=20, max_epochs=1).fit_transform(X), Z)
    assert not np.array_equal(
        centro(augmentation=None, batch_size=20, max_epochs=1).fit_transform(X), Z
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", [list, dict])
def test_each_modality_gets_its_own_augmentation(X, centro, name, form):
    widths = set()

    def spy(x, generator):
        widths.add(x.shape[1])
        return x

    augmentation = {other: spy if other == name else None for other in NAMES}
    if form is list:
        augmentation = list(augmentation.values())
    centro(augmentation=augmentation).fit(X)
    assert widths == {WIDTHS[name]}


def test_mixed_augmentations_reach_their_modalities(X, centro):
    # Only the image is disturbed, and so heavily that it cannot be told apart any more.
    loud = lambda x, generator: torch.randn(x.shape, generator=generator)  # noqa: E731
    one = centro(augmentation={"image": loud, "text": None, "audio": None}, max_epochs=1).fit(X)
    none = centro(augmentation=None, max_epochs=1).fit(X)
    assert one.loss_curve_ != none.loss_curve_
    single = centro(augmentation=[loud], **STILL).fit([X["image"]])
    assert single.score([X["image"]]) < 0.3


def test_classes_have_the_same_defaults_but_for_their_own_parameters():
    ours, theirs = (
        {name: p.default for name, p in inspect.signature(cls).parameters.items()}
        for cls in (CentroBindTransformer, FixedAnchorBindTransformer)
    )
    differ = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    # The anchor of a fixed anchor must not know the others.
    assert differ == {"pretrain_epochs", "init"}
    assert ours.keys() ^ theirs.keys() == {
        "aggregator",
        "detach_anchor",
        "anchor",
        "freeze_anchor",
        "direction",
    }


def test_data_of_the_fixtures_are_what_the_tests_assume():
    X, y = draw()
    assert X.n_features == list(WIDTHS.values())
    assert 10 < y.sum() < 30


@pytest.mark.parametrize(
    ("steps", "epochs"), [(1, 100), (100, 100), (101, 99), (400, 25), (1000, 10), (5000, 10)]
)
@pytest.mark.parametrize(
    ("params", "most"),
    [
        ({}, 50),
        ({"init": "random"}, 100),
        ({"encoder": "mlp"}, 100),
        ({"n_specific_components": 1}, 100),
    ],
)
def test_large_data_need_fewer_epochs(X, monkeypatch, steps, epochs, params, most):
    monkeypatch.setattr(BindNet, "steps_in", lambda self, data: steps)
    monkeypatch.setattr(BindNet, "train_on", lambda self, data, n: asked.append(n))
    asked = []
    CentroBindTransformer(n_components=2, hidden_layer_sizes=(3,), **params).fit(X)
    assert asked == [min(epochs, most)]
