"""Groups, duplicates and weights of samples in fit, partial_fit, early stopping and score."""

import numpy as np
import pytest
import torch
from conftest import ESTIMATORS, QUICK, assert_copies_go_on, draw, quick_centro
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skcentrobind import CentroBindTransformer, Modalities
from skcentrobind._data.holdout import split_rows
from skcentrobind._estimators import base
from skcentrobind._estimators.base import BaseBindTransformer
from skcentrobind.losses import AnchorLoss, BaseLoss, PairwiseLoss, Samples
from skcentrobind.metrics import mean_reciprocal_rank

GROUPS = np.arange(40) // 4
WEIGHTS = np.random.default_rng(0).uniform(0.2, 3, size=40)


def known(X, **kwargs):
    return Modalities(X, **{"groups": GROUPS, "sample_weight": WEIGHTS, **kwargs})


def one_step(name, X, **params):
    """Fit with a single step on all rows, whose loss is that of the start."""
    settings = {**QUICK, "augmentation": None, "batch_size": 64, "max_epochs": 1, **params}
    settings["pretrain_epochs"] = 0
    return ESTIMATORS[name](**settings).fit(X)


def embedded_at_the_start(name, X, **params):
    settings = {**QUICK, "augmentation": None, "batch_size": 64, "max_epochs": 0, **params}
    settings["pretrain_epochs"] = 0
    bind = ESTIMATORS[name](**settings).fit(X)
    Z = bind.transform_modalities(X)
    return bind, torch.stack([torch.nan_to_num(torch.from_numpy(z)) for z in Z.arrays])


def with_category(X, n_values=3):
    """The data with a text that only has a few distinct rows."""
    rng = np.random.default_rng(0)
    return Modalities(
        {**dict(X.items()), "text": np.eye(n_values)[rng.integers(n_values, size=40)]}
    )


def codes_of(array):
    rows = [row.tobytes() for row in array]
    return torch.tensor([rows.index(row) if rows.count(row) > 1 else -1 for row in rows])


@pytest.mark.parametrize("same_group", ["positive", "ignore"])
@pytest.mark.parametrize("name", sorted(set(ESTIMATORS) - {"SymileBindTransformer"}))
def test_the_loss_of_a_step_is_that_of_the_samples(name, same_group):
    X = known(with_category(draw()[0]))
    bind, z = embedded_at_the_start(name, X)
    duplicates = torch.stack([codes_of(array) for array in X.arrays])
    assert (duplicates[1] >= 0).all() and (duplicates[[0, 2]] < 0).all()
    weight = torch.from_numpy(WEIGHTS / WEIGHTS.mean()).float()
    samples = Samples(torch.from_numpy(GROUPS), same_group, duplicates, weight)
    loss = bind.net_.criterion_(z, z, None, torch.Generator(), samples)
    found = one_step(name, X, same_group=same_group).loss_curve_[0]
    assert found == pytest.approx(float(loss), rel=1e-4)


def test_symile_takes_them_too(X):
    settings = {"augmentation": None, "batch_size": 64, "max_epochs": 1}
    fits = [
        ESTIMATORS["SymileBindTransformer"](**{**QUICK, **settings}).fit(data)
        for data in (X, known(X, sample_weight=None), known(X, groups=None))
    ]
    assert len({bind.loss_curve_[0] for bind in fits}) == 3


@pytest.mark.parametrize(
    "kwargs",
    [{"groups": range(40)}, {"sample_weight": np.full(40, 3.0)}, {"groups": [None] * 40}],
    ids=["distinct labels", "equal weights", "no labels"],
)
def test_distinct_groups_and_equal_weights_change_no_bit(each, incomplete, kwargs):
    one, two = each().fit(incomplete), each().fit(Modalities(incomplete, **kwargs))
    assert one.loss_curve_ == two.loss_curve_
    assert_array_equal(one.transform(incomplete), two.transform(incomplete))


def test_without_duplicates_the_parameter_changes_no_bit(each, incomplete):
    one = each().fit(incomplete)
    two = each(ignore_duplicates=False).fit(incomplete)
    assert one.loss_curve_ == two.loss_curve_


def test_samples_of_weight_0_are_as_if_not_there(each, incomplete):
    weights = np.where(np.arange(40) % 3, WEIGHTS, 0)
    X = known(incomplete, sample_weight=weights)
    kept = X[np.flatnonzero(weights)]
    one, two = each().fit(X), each().fit(kept)
    assert one.loss_curve_ == two.loss_curve_
    assert_array_equal(one.transform(X), two.transform(X))
    assert one.score(X) == two.score(kept)
    assert one.partial_fit(X).loss_curve_ == two.partial_fit(kept).loss_curve_


def test_equal_rows_are_no_negatives_unless_the_parameter_says_so(X):
    X = with_category(X)
    losses = {
        value: one_step("CentroBindTransformer", X, ignore_duplicates=value).loss_curve_[0]
        for value in (True, False)
    }
    assert losses[True] < losses[False]
    # Sparse rows are found as well.
    text = sparse.csr_array(X["text"])
    Y = Modalities({**dict(X.items()), "text": text})
    found = [
        one_step("CentroBindTransformer", Y, ignore_duplicates=v).loss_curve_[0]
        for v in (True, False)
    ]
    assert found[0] < found[1]


def test_memory_maps_are_searched_too(X, tmp_path):
    X = with_category(X)
    np.save(tmp_path / "text.npy", X["text"])
    text = np.load(tmp_path / "text.npy", mmap_mode="r")
    Y = Modalities({**dict(X.items()), "text": text})
    losses = [
        one_step("CentroBindTransformer", Y, ignore_duplicates=v).loss_curve_[0]
        for v in (True, False)
    ]
    assert losses[0] < losses[1]
    assert losses[0] == one_step("CentroBindTransformer", X).loss_curve_[0]


def test_missing_rows_are_no_duplicates(incomplete):
    one = one_step("CentroBindTransformer", incomplete, ignore_duplicates=True)
    assert (
        one.loss_curve_
        == one_step("CentroBindTransformer", incomplete, ignore_duplicates=False).loss_curve_
    )


@pytest.mark.parametrize("n_groups", [2, 3, 10, 40])
def test_no_group_is_split(n_groups):
    rng = np.random.default_rng(0)
    groups = np.concatenate([np.arange(n_groups), rng.integers(n_groups, size=200 - n_groups)])
    present = np.ones((200, 2), dtype=bool)
    for seed in range(5):
        if n_groups == 2:
            with pytest.raises(ValueError, match="holds out 2 of 2 groups, and none is left"):
                split_rows(present, ["a", "b"], 0.2, seed, groups)
            continue
        train, valid = split_rows(present, ["a", "b"], 0.2, seed, groups)
        assert not set(groups[train]) & set(groups[valid])
        assert_array_equal(np.sort([*train, *valid]), np.arange(200))
        assert len(set(groups[valid])) == max(2, round(0.2 * n_groups))


def test_early_stopping_holds_out_whole_groups(X, monkeypatch):
    seen = []

    def spy(*args):
        seen.append((args[-1], *split_rows(*args)))
        return seen[-1][1:]

    monkeypatch.setattr(base, "split_rows", spy)
    bind = quick_centro(early_stopping=True, validation_fraction=0.3).fit(known(X))
    ((groups, train, valid),) = seen
    assert not set(groups[train]) & set(groups[valid])
    assert len(valid) == 12
    # Each held-out query has three more samples of its group.
    assert bind.validation_scores_[0] > 0


def test_score_counts_any_sample_of_the_group(X):
    bind = quick_centro().fit(X)
    Z = bind.transform_modalities(X)
    expected = mean_reciprocal_rank(Z, groups=GROUPS, sample_weight=WEIGHTS)
    assert bind.score(known(X)) == pytest.approx(expected)
    assert bind.score(known(X, sample_weight=None)) > bind.score(X)
    alone = quick_centro().fit(X[["text"]])
    assert alone.score(known(X, sample_weight=None)[["text"]]) > alone.score(X[["text"]])


def captions(n_things=80, n_captions=5, seed=0):
    rng = np.random.default_rng(seed)
    maps = np.random.default_rng(99).normal(size=(2, 6, 12))
    latent = rng.normal(size=(n_things, 6))
    things = np.arange(n_things).repeat(n_captions)
    texts = latent[things] + 0.7 * rng.normal(size=(len(things), 6))
    return Modalities(
        {"picture": (latent @ maps[0])[things], "text": texts @ maps[1]}, groups=things
    )


@pytest.mark.parametrize("same_group", ["positive", "ignore"])
def test_groups_help_to_find_unseen_things(same_group):
    train, test = captions(), captions(40, seed=1)
    settings = {"n_components": 8, "init": "random", "max_epochs": 30, "random_state": 0}
    settings |= {"ignore_duplicates": False}
    with_groups = CentroBindTransformer(**settings, same_group=same_group).fit(train)
    without = CentroBindTransformer(**settings).fit(dict(train.items()))
    assert with_groups.score(test) > without.score(test) > 0.3


def test_partial_fit_is_one_epoch_of_fit(each, incomplete):
    X = known(incomplete)
    settings = {"pretrain_epochs": 0, "max_epochs": 3, "early_stopping": False}
    whole, parts = each(**settings).fit(X), each(**settings)
    for _ in range(3):
        parts.partial_fit(X)
    assert whole.loss_curve_ == parts.loss_curve_
    assert_array_equal(whole.transform(X), parts.transform(X))


def test_copies_go_on_with_groups(each, incomplete, path):
    bind = each(same_group="ignore", ignore_duplicates=True).fit(known(incomplete))
    assert_copies_go_on(bind, known(incomplete), path)


def test_everything_at_once(each, incomplete):
    settings = {"early_stopping": True, "validation_fraction": 0.3, "pretrain_epochs": 1}
    settings |= {"n_specific_components": 2, "regularizers": {"uniformity": 0.1, "alignment": 0.1}}
    bind = each(**settings).fit(known(incomplete))
    assert np.isfinite(bind.loss_curve_).all()
    assert 0 < bind.score(known(incomplete)) <= 1


def test_stock_searches_need_nothing_else(X):
    search = GridSearchCV(quick_centro(), {"same_group": ["positive", "ignore"]}, cv=2)
    search.fit(known(X))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert clone(search.best_estimator_).same_group in ("positive", "ignore")


class Unaware(BaseLoss):
    def forward(self, z, z_augmented, present, generator):
        return PairwiseLoss()(z, z_augmented, present, generator)


class Aware(BaseLoss):
    seen = None

    def forward(self, z, z_augmented, present, generator, samples=None):
        self.seen = samples
        return PairwiseLoss()(z, z_augmented, present, generator, samples)


class Own(BaseBindTransformer):
    loss = Unaware

    def _make_loss(self, temperature):
        return self.loss(temperature)


def test_a_loss_of_ones_own_gets_them_or_the_data_are_refused(X):
    bind = Own(4, max_epochs=1)
    for kwargs in ({"groups": None}, {"sample_weight": None}):
        with pytest.raises(TypeError, match=r"Unaware.forward takes no argument `samples`"):
            bind.fit(known(X, **kwargs))
    bind.fit(with_category(X))  # duplicates are not looked for
    bind.fit(X)
    with pytest.raises(TypeError, match="would not see groups"):
        bind.partial_fit(known(X))
    assert bind.score(known(X)) > 0

    class WithSamples(Own):
        loss = Aware

    seen = WithSamples(4, max_epochs=1, batch_size=64).fit(known(X)).net_.criterion_.seen
    assert sorted(seen.groups.tolist()) == GROUPS.tolist()
    assert float(seen.weight.mean()) == pytest.approx(1, abs=1e-6)


def test_anchor_losses_around_a_loss_of_ones_own_are_checked_inside(X):
    class Wrapped(BaseBindTransformer):
        def _make_loss(self, temperature):
            return Unaware(temperature)

    with pytest.raises(TypeError, match="Unaware"):
        Wrapped(4, regularizers={"uniformity": 0.1}).fit(known(X))
    assert issubclass(AnchorLoss, BaseLoss)


@pytest.mark.parametrize(
    ("weights", "message"),
    [(np.zeros(40), "sample_weight is 0 in all 40 samples"), (np.eye(40)[3], "with 1 sample")],
)
def test_too_few_weights_are_refused(X, weights, message):
    fitted = quick_centro().fit(X)
    for call in (quick_centro().fit, fitted.score, fitted.partial_fit):
        with pytest.raises(ValueError, match=message):
            call(known(X, sample_weight=weights))
    assert fitted.transform(known(X, sample_weight=weights)).shape[0] == 40


def test_a_checkpoint_of_other_groups_is_refused(X, path):
    pytest.importorskip("safetensors", reason="the extra `save` is not installed")
    quick_centro(max_epochs=2).fit(known(X), checkpoint=path)
    with pytest.raises(ValueError, match="other groups or weights"):
        quick_centro(max_epochs=2).fit(known(X, groups=range(40)), checkpoint=path)
    with pytest.raises(ValueError, match="other groups or weights"):
        quick_centro(max_epochs=2).fit(X, checkpoint=path)
    quick_centro(max_epochs=2).fit(known(X, groups=GROUPS * 2), checkpoint=path)  # other names
