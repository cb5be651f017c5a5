"""The contract that every estimator keeps, whatever its loss."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ESTIMATORS, QUICK, assert_copies_go_on, draw
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from skorch.callbacks import Callback
from torch import nn

import skcentrobind
from skcentrobind import (
    CentroBindTransformer,
    Modalities,
    PairwiseBindTransformer,
    PrincipalBindTransformer,
)
from skcentrobind.losses import BaseLoss, Temperature

#: These pass scikit-learn's checks in eight configurations there.
IN_TEST_COMMON = {"CentroBindTransformer", "FixedAnchorBindTransformer"}

#: Those whose space holds a sample's embeddings close together, so that pairs can be searched.
PAIRS = [name for name in ESTIMATORS if name != "SymileBindTransformer"]


@pytest.mark.parametrize("name", sorted(set(ESTIMATORS) - IN_TEST_COMMON))
def test_scikit_learns_own_checks(name):
    bind = ESTIMATORS[name](**{**QUICK, "max_epochs": 2})
    results = check_estimator(bind, on_fail=None, on_skip=None)
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] != "passed"]
    assert not failed
    assert len(results) > 40


def test_the_same_seed_gives_the_same_numbers(each, incomplete):
    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    first, second = each().fit(incomplete), each().fit(incomplete)
    assert first.loss_curve_ == second.loss_curve_
    assert_array_equal(first.transform(incomplete), second.transform(incomplete))
    assert_array_equal(np.random.get_state()[1], states[0])
    assert torch.equal(torch.get_rng_state(), states[1])
    assert each(random_state=1).fit(incomplete).loss_curve_ != first.loss_curve_


@pytest.mark.parametrize("name", PAIRS)
def test_retrieval_of_new_samples_is_learned(name):
    train, test = draw(400)[0], draw(100, seed=1)[0]
    settings = {"init": "random", "max_epochs": 30, "batch_size": 100, "learning_rate": 1e-2}
    bind = ESTIMATORS[name](n_components=8, **settings, random_state=0)
    before = clone(bind).set_params(max_epochs=0, pretrain_epochs=0).fit(train).score(test)
    assert before < 0.2
    assert bind.fit(train).score(test) > 2 * before
    assert bind.loss_curve_[-1] < bind.loss_curve_[0]


def test_missing_modalities(each, incomplete, X):
    bind = each().fit(incomplete)
    Z = bind.transform_modalities(incomplete)
    assert_array_equal(Z.present, incomplete.present)
    assert np.isfinite(bind.transform(incomplete)).all()
    # The contents of missing rows are never read.
    arrays = [a.copy() for a in X.arrays]
    arrays[1][5:] = np.nan
    alone = [arrays[0], None, None]
    assert np.isfinite(each().fit(arrays).transform(alone)).all()


def test_one_modality_and_two_samples(each):
    rng = np.random.default_rng(0)
    assert each().fit([rng.normal(size=(20, 3))]).transform([np.eye(3)]).shape == (3, 4)
    two = [rng.normal(size=(2, 3)), rng.normal(size=(2, 2))]
    assert np.isfinite(each().fit(two).transform(two)).all()


def test_more_modalities_than_components(each):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(30, 2)) for _ in range(6)]
    bind = each(n_components=2).fit(X)
    assert np.isfinite(bind.loss_curve_).all()
    assert np.isfinite(bind.transform(X)).all()


def test_search_and_pipeline(each, X, y):
    bind = each(init="random")  # or three epochs may leave every rank as it was
    search = GridSearchCV(bind, {"temperature": [0.1, 0.4]}, cv=3, error_score="raise").fit(X)
    assert len(set(search.cv_results_["mean_test_score"])) == 2
    pipe = make_pipeline(each(), LogisticRegression())
    assert pipe.fit(X, y).score(X, y) > 0.6


def test_pickled_saved_and_continued(each, incomplete, tmp_path):
    bind = each(learn_temperature=True, regularizers={"uniformity": 0.1}).fit(incomplete)
    for copy in assert_copies_go_on(bind, incomplete, tmp_path / "bind.safetensors"):
        assert copy.temperature_ == bind.temperature_
        assert_array_equal(copy.transform(incomplete), bind.transform(incomplete))


def test_partial_fit_is_one_epoch(each, X):
    bind = each(max_epochs=3).fit(X)
    steps = each()
    for _ in range(3):
        steps.partial_fit(X)
    assert_array_equal(steps.transform(X), bind.transform(X))


def test_early_stopping(each, X):
    bind = each(early_stopping=True, validation_fraction=0.3, max_epochs=40, n_iter_no_change=2)
    assert 0 < bind.fit(X).n_iter_ <= 40
    assert len(bind.validation_scores_) == bind.n_iter_


def test_a_temperature_that_is_learned(each, X):
    slow, fast = (
        each(learn_temperature=True, learning_rate=lr, weight_decay=0.5).fit(X)
        for lr in (1e-30, 1e-2)
    )
    # Weight decay alone would have moved it.
    assert slow.temperature_ == pytest.approx(0.2, rel=1e-6)
    assert fast.temperature_ != pytest.approx(0.2, rel=1e-3)
    assert each().fit(X).temperature_ == 0.2
    (group,) = [g for g in fast.net_.optimizer_.param_groups if g["weight_decay"] == 0]
    assert [p.shape for p in group["params"]] == [()]


def test_a_users_parameter_of_that_name_decays_as_others_do(X):
    class Scaled(nn.Module):
        def __init__(self, n_features, n_components):
            super().__init__()
            self.linear = nn.Linear(n_features, n_components)
            self.log_temperature = nn.Parameter(torch.zeros(n_components))

        def forward(self, x):
            return self.linear(x) * self.log_temperature.exp()

    bind = CentroBindTransformer(**{**QUICK, "encoder": Scaled, "learn_temperature": True}).fit(X)
    (group,) = [g for g in bind.net_.optimizer_.param_groups if g["weight_decay"] == 0]
    assert [p.shape for p in group["params"]] == [()]


@pytest.mark.parametrize("lr", [1.0, 10.0])
def test_a_learned_temperature_stays_in_bounds(X, lr):
    bind = CentroBindTransformer(
        n_components=4, learn_temperature=True, learning_rate=lr, max_epochs=20, random_state=0
    ).fit(X)
    low, high = Temperature.bounds
    assert low * 0.999 <= bind.temperature_ <= high * 1.001


def test_early_stopping_restores_the_temperature_of_the_best_epoch(X):
    temperatures = []

    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            temperatures.append(net.criterion_.temperature.values)

    bind = CentroBindTransformer(
        n_components=4,
        learn_temperature=True,
        learning_rate=0.1,
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=3,
        callbacks=[Watch()],
        random_state=0,
    ).fit(X)
    best = bind.n_iter_ - 4
    assert bind.validation_scores_[best] == max(bind.validation_scores_)
    assert bind.temperature_ == temperatures[best] != temperatures[-1]


def test_divergence_is_named_when_the_temperature_is_learned(each, X):
    bind = each(learn_temperature=True, learning_rate=1e30, batch_size=10)
    with pytest.raises(ValueError, match="training diverged"):
        bind.fit(X)


@pytest.mark.parametrize("cls", [CentroBindTransformer, PairwiseBindTransformer])
@pytest.mark.parametrize("learn", [False, True])
def test_a_temperature_per_modality(X, cls, learn):
    values = {"image": 0.1, "text": 0.2, "audio": 0.5}
    quick = {"n_components": 4, "max_epochs": 3, "learn_temperature": learn, "random_state": 0}
    by_name = cls(temperature=values, **quick).fit(X)
    in_order = cls(temperature=list(values.values()), **quick).fit(X)
    assert_array_equal(by_name.transform(X), in_order.transform(X))
    assert list(by_name.temperature_) == list(values)
    assert (by_name.temperature_ == values) != learn
    same = cls(temperature=[0.2] * 3, **quick).fit(X)
    one = cls(temperature=0.2, **quick).fit(X)
    assert np.allclose(same.transform(X), one.transform(X), atol=1e-3) or learn


def test_wrong_temperatures(X):
    for temperature, learn, match in [
        ([0.1, 0.2], False, "temperature has 2 entries for the 3 modalities"),
        ({"image": 0.1}, False, r"temperature must have one entry.*\['text', 'audio'\] have none"),
        (5.0, True, "temperature is 5.0, but one that is learned must start between"),
    ]:
        bind = CentroBindTransformer(temperature=temperature, learn_temperature=learn)
        with pytest.raises(ValueError, match=match):
            bind.fit(X)
    with pytest.raises(ValueError, match=r"one temperature|single|shared"):
        PrincipalBindTransformer(temperature=[0.1, 0.2, 0.3]).fit(X)
    with pytest.raises(ValueError, match=r"no regularizer 'uniform'.*uniformity"):
        CentroBindTransformer(regularizers={"uniform": 0.1}).fit(X)
    with pytest.raises(ValueError, match=r"regularizers=.*dict of names and weights"):
        CentroBindTransformer(regularizers={"uniformity": -1.0}).fit(X)


@pytest.mark.parametrize("name", ["uniformity", "geometric_consistency"])
def test_regularizers_lower_their_terms(X, each, name):
    term = skcentrobind.losses.REGULARIZERS[name]

    def value(weight):
        Z = each(regularizers={name: weight}, max_epochs=15, learning_rate=1e-2).fit(X)
        Z = Z.transform_modalities(X)
        return float(term(torch.from_numpy(np.stack(Z.arrays))))

    assert value(100.0) < value(0.0)


def test_alignment_temperature(X):
    quick = {"n_components": 4, "max_epochs": 3, "random_state": 0}
    fits = [
        PrincipalBindTransformer(alignment_temperature=t, **quick).fit(X).transform(X)
        for t in (0.05, 0.5)
    ]
    assert np.abs(fits[0] - fits[1]).max() > 1e-4


def test_a_loss_is_a_short_file():
    # "One loss file, one estimator file" is only a promise if the latter stays short.
    # Without its docstrings, which hold the description of every parameter.
    for name in set(ESTIMATORS) - IN_TEST_COMMON:
        source = Path(inspect.getsourcefile(ESTIMATORS[name])).read_text()
        docstrings = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Expr)]
        length = sum(n.end_lineno - n.lineno + 1 for n in docstrings)
        assert len(source.splitlines()) - length < 120, name


def test_a_users_own_loss(X):
    class Spread(BaseLoss):
        def forward(self, z, z_augmented, present, generator):
            return (z - z_augmented.mean(dim=0)).square().sum(dim=-1).mean()

    class SpreadTransformer(skcentrobind.PairwiseBindTransformer):
        def __init__(self, extra=1.0, temperature=0.2, max_epochs=20):
            super().__init__(4, temperature=temperature, max_epochs=max_epochs, random_state=0)
            self.extra = extra

        def _make_loss(self, temperature):
            return Spread(temperature)

    bind = SpreadTransformer().fit(X)
    assert bind.loss_curve_[-1] < bind.loss_curve_[0]
    assert clone(bind).get_params() == {"extra": 1.0, "temperature": 0.2, "max_epochs": 20}
    assert isinstance(bind.transform_modalities(X), Modalities)
