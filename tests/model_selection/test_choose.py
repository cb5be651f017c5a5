"""What fit chooses by itself, what it reports, and what names take out of the choice."""

import pickle
import warnings

import numpy as np
import pytest
from conftest import ESTIMATORS, draw, same
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import skcentrobind
from skcentrobind import CentroBindTransformer, Modalities
from skcentrobind._training.plan import enough_epochs
from skcentrobind.model_selection import _features, choose

OPEN = {"random_state": 0, "device": "cpu"}
CHOOSING = sorted(set(ESTIMATORS) - {"FixedAnchorBindTransformer"})


def bind(**params):
    return CentroBindTransformer(**OPEN | params)


def circles(n_samples=150, seed=0):
    """Two modalities that share an angle, which no linear map of one shows in the other."""
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, n_samples), rng.uniform(0.8, 1.2, (2, n_samples))
    one = np.column_stack([np.cos(angle), np.sin(angle)]) * radius[0][:, None]
    two = np.column_stack([np.cos(2 * angle), np.sin(2 * angle)]) * radius[1][:, None]
    return Modalities({"one": one, "two": two})


def test_chosen_params_leave_nothing_open():
    X, _ = draw(120)
    fitted = bind().fit(X)
    params = fitted.chosen_params_
    again = bind(**params).fit(X)
    assert again.selection_.empty and again.chosen_params_ == params
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))


def taken(fitted):
    table = fitted.selection_
    return table[table["taken"]]


@pytest.mark.parametrize("name", CHOOSING)
def test_every_estimator_chooses_and_says_so(name):
    X, _ = draw(60)
    fitted = ESTIMATORS[name](**OPEN).fit(X)
    table = fitted.selection_
    starts, lengths = table[:20], table[20:]
    assert starts["epochs"].eq(0).all()
    assert sorted(lengths["epochs"]) == sorted({0, 15, lengths["epochs"].max()})
    assert taken(fitted)["epochs"].iloc[-1] == fitted.n_iter_
    assert starts["taken"].sum() == lengths["taken"].sum() == 1
    best = lengths["score"].max()
    assert lengths.loc[lengths["taken"], "score"].iloc[0] == best
    spec = fitted._plan.modalities[0]
    assert starts.loc[starts["taken"], "encoder"].iloc[0] == spec.encoder
    assert (table["seconds"] >= 0).all()


def test_a_nonlinear_relation_takes_a_kernel_and_a_linear_one_need_not():
    X = circles()
    fitted = bind().fit(X[:100])
    assert taken(fitted)["encoder"].iloc[0] == "kernel"
    linear = bind(encoder="linear", shrinkage="oas", max_epochs=0).fit(X[:100])
    assert fitted.score(X[100:]) > 2 * linear.score(X[100:])


def test_names_take_only_themselves_out_of_the_choice():
    X, _ = draw(60)
    encoder = bind(encoder="residual", max_epochs=1).fit(X).selection_
    assert set(encoder["encoder"]) == {"residual"}
    assert sorted(map(str, encoder["shrinkage"])) == ["0.01", "0.1", "0.5", "0.9", "oas"]
    shrinkage = bind(shrinkage=0.3, max_epochs=1).fit(X).selection_
    assert set(shrinkage["shrinkage"]) == {0.3}
    assert len(shrinkage) == 4
    kernel = bind(encoder="kernel", gamma=0.2, shrinkage="oas", max_epochs=1).fit(X)
    assert kernel.selection_.empty
    assert kernel._plan.modalities[0].gamma == 0.2
    width = bind(encoder="kernel", shrinkage="oas", max_epochs=1).fit(X).selection_
    assert width["gamma"].tolist() == [0.1, 0.3, 1.0]
    length = bind(encoder="residual", shrinkage="oas").fit(X).selection_
    assert set(length["encoder"]) == {"given"}
    everything = bind(encoder="residual", shrinkage=0.5, max_epochs=2).fit(X)
    assert everything.selection_.empty
    assert everything._plan.shrinkage == 0.5
    own = bind(encoder={"image": "auto", "text": "linear", "audio": "kernel"}, max_epochs=1).fit(X)
    kinds = [spec.encoder for spec in own._plan.modalities]
    assert kinds[1:] == ["linear", "kernel"]
    assert kinds[0] in ("residual", "kernel")


def test_the_number_of_epochs_is_that_of_the_rule_where_nothing_is_compared():
    X, _ = draw(60)
    full = bind(encoder="residual", shrinkage="oas", max_epochs="full").fit(X)
    assert full.n_iter_ == enough_epochs(1, is_warm=True) == 50
    assert bind(init="random").fit(X).n_iter_ == 100
    assert bind(init="random").fit(X).selection_.empty
    stopped = bind(encoder="residual", shrinkage="oas", early_stopping=True).fit(X)
    assert stopped.selection_.empty
    few = bind().fit(X[:11])
    assert few.n_iter_ == 50
    assert few.selection_.empty


def test_it_is_deterministic_and_survives_files(tmp_path):
    X, _ = draw(60)
    one, two = bind().fit(X), bind().fit(X)
    assert same(one.transform(X), two.transform(X))
    columns = ["encoder", "gamma", "shrinkage", "epochs", "score", "taken"]
    assert one.selection_[columns].equals(two.selection_[columns])
    one.save(tmp_path / "bind")
    for copy in (pickle.loads(pickle.dumps(one)), skcentrobind.load(tmp_path / "bind")):
        assert copy.selection_.equals(one.selection_)
        assert same(copy.transform(X), one.transform(X))
        assert same(copy.partial_fit(X).transform(X), clone_of(one, X).transform(X))


def clone_of(fitted, X):
    return pickle.loads(pickle.dumps(fitted)).partial_fit(X)


@pytest.mark.parametrize("gamma", [0.3, 1.0])
def test_partial_fits_are_a_fit_on_kernels(gamma):
    X, _ = draw(60)
    named = {"encoder": "kernel", "gamma": gamma, "shrinkage": 0.1}
    whole = bind(**named, max_epochs=3).fit(X)
    steps = bind(**named)
    for _ in range(3):
        steps.partial_fit(X)
    assert same(steps.transform(X), whole.transform(X))


def test_a_search_chooses_anew_and_grids_of_names_do_not():
    X, _ = draw(80)
    names = {"encoder": "residual", "shrinkage": "oas", "max_epochs": 2}
    for params, is_empty in (({}, False), (names, True)):
        search = GridSearchCV(bind(**params), {"temperature": [0.1, 0.3]}, cv=2).fit(X)
        assert search.best_estimator_.selection_.empty == is_empty


def test_missing_grouped_and_weighted_samples(incomplete):
    groups = np.arange(40) // 2
    weights = np.ones(40)
    weights[:5] = 0
    for known in ({"groups": groups}, {"sample_weight": weights}, {}):
        X = Modalities(dict(incomplete.items()), **known)
        fitted = bind().fit(X)
        assert np.isfinite(fitted.transform(X)).all()
        assert not fitted.selection_.empty


@pytest.mark.parametrize("n_samples", [2, 3, 5, 11, 12, 13, 25])
def test_few_samples(n_samples):
    X, _ = draw(n_samples)
    fitted = bind(max_epochs=2).fit(X)
    assert np.isfinite(fitted.transform(X)).all()
    assert fitted.selection_.empty == (n_samples < 12)
    alone = bind(max_epochs=2).fit(X[["image"]])
    assert alone.selection_.empty


@pytest.mark.parametrize("n_groups", [1, 2, 3, 11, 12])
def test_few_groups(n_groups):
    X, _ = draw(40)
    known = Modalities(dict(X.items()), groups=np.arange(40) % n_groups)
    fitted = bind().fit(known)
    assert np.isfinite(fitted.transform(X)).all()
    assert fitted.selection_.empty == (n_groups < 12)


def test_a_rare_modality():
    X, _ = draw(80)
    for n_there in (2, 3, 5, 8):
        audio = np.where(np.arange(80)[:, None] < n_there, X["audio"], np.nan)
        fitted = bind(max_epochs="auto").fit({**dict(X.items()), "audio": audio})
        assert np.isfinite(fitted.transform(X)).all()


def test_a_fit_goes_on_from_its_checkpoint_with_the_same_choice(tmp_path):
    X, _ = draw(60)
    expected = bind().fit(X)
    for _ in range(2):
        found = bind().fit(X, checkpoint=tmp_path / "point")
        assert same(found.transform(X), expected.transform(X))
        assert found.n_iter_ == expected.n_iter_


def test_trials_warn_of_nothing_twice():
    X, _ = draw(60)
    arrays = {**dict(X.items()), "image": np.column_stack([X["image"], np.ones(60)])}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bind().fit(arrays)
    assert [str(w.message)[:18] for w in caught] == ["Modality 'image': "]


def test_the_table_alone_is_that_of_fit():
    X, _ = draw(60)
    table = choose(X, random_state=bind(max_epochs=0).fit(X)._plan.seed)
    fitted = bind(max_epochs=0).fit(X).selection_
    fitted = fitted.sort_values("score", ascending=False, ignore_index=True, na_position="last")
    columns = ["encoder", "gamma", "shrinkage", "score", "taken"]
    assert table[columns].equals(fitted[columns])
    assert list(table) == list(fitted)
    assert choose(X[["image"]]).empty
    cut = choose(np.hstack(X.arrays), modalities=X.n_features)
    assert_array_equal(cut["score"], choose(list(X.arrays))["score"])
    assert set(choose(X, encoder="residual", shrinkage=0.1)) == set(table)
    assert choose(X, encoder="residual", shrinkage=0.1).empty
    noise = [np.random.default_rng(k).normal(size=(90, 4)) for k in range(2)]
    assert choose(noise)["score"].max() < 0.3 < choose(X)["score"].max()


def test_the_width_follows_the_search():
    X, _ = draw(60)
    assert bind(max_epochs=0).fit(X).n_components_ == 64
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(500, 150))
    wide = [latent @ rng.normal(size=(150, 200)) + 9 * rng.normal(size=(500, 200)) for _ in "ab"]
    fitted = bind(max_epochs=0).fit(wide)
    assert fitted.n_components_ > 64
    assert bind(max_epochs=0, n_components=5).fit(X).n_components_ == 5
    same_width = Modalities({"a": X["image"], "b": X["image"] + 0.1, "c": X["text"]})
    encoder = {"a": "identity", "b": "auto", "c": "auto"}
    assert bind(max_epochs=0, encoder=encoder).fit(same_width).n_components_ == 6


def test_few_rows_are_compared_with_the_smoothest_kernel_alone():
    X, _ = draw(60)
    assert set(choose(X[:47])["gamma"].dropna()) == {_features.GAMMAS[0]}
    assert set(choose(X[:48])["gamma"].dropna()) == set(_features.GAMMAS)


def test_a_clone_forgets_the_choice():
    X, _ = draw(60)
    fitted = bind(max_epochs=1).fit(X)
    assert clone(fitted).get_params() == bind(max_epochs=1).get_params()
    assert not hasattr(clone(fitted), "_plan")


def test_the_choice_is_shown(capsys):
    X, _ = draw(60)
    fitted = bind(verbose=1).fit(X)
    assert "chose encoder='" in capsys.readouterr().err
    text = repr(fitted)
    assert eval(text).get_params() == fitted.get_params()
    spec = fitted._plan.modalities[0]
    comment = text.split("# chose ")[1]
    assert f"encoder='{spec.encoder}'" in comment
    assert f"max_epochs={fitted.n_iter_}" in comment
    assert "#" not in repr(bind())
    named = bind(encoder="residual", shrinkage="oas", max_epochs=1, verbose=1).fit(X)
    assert "#" not in repr(named)
    assert "chose" not in capsys.readouterr().err
