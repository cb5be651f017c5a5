"""Groups and weights travel with the data: slices, splits, pickles, DataFrames, transformers."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GroupKFold, KFold, train_test_split
from sklearn.preprocessing import StandardScaler

from skcentrobind import CentroBindTransformer, Modalities, PerModality, describe

LABELS = ["x", "x", "y", "z", "y", "x"]
WEIGHTS = [1.0, 2.0, 0.5, 0.0, 1.0, 3.0]


def draw(**kwargs):
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=(6, 3)), "b": rng.normal(size=(6, 2))}
    return Modalities(arrays, **kwargs)


def grouped():
    return draw(groups=LABELS, sample_weight=WEIGHTS)


@pytest.mark.parametrize(
    "rows",
    [slice(1, 4), [5, 0, 0], np.array([True, False, True, True, False, False]), 2],
    ids=["slice", "list", "mask", "scalar"],
)
def test_slices_keep_them(rows):
    at = np.arange(6)[rows] if not isinstance(rows, int) else [rows]
    part = grouped()[rows]
    assert_array_equal(part.groups, np.array(LABELS)[at])
    assert_array_equal(part.sample_weight, np.array(WEIGHTS)[at])


def test_names_pickles_and_containers_of_containers_keep_them():
    X = grouped()
    for same in (X[["b"]], pickle.loads(pickle.dumps(X)), Modalities(X)):
        assert_array_equal(same.groups, LABELS)
        assert_array_equal(same.sample_weight, WEIGHTS)
    other = Modalities(X, groups=range(6))
    assert_array_equal(other.groups, range(6))
    assert_array_equal(other.sample_weight, WEIGHTS)
    assert draw().groups is None
    assert draw().sample_weight is None


def test_pickles_of_older_versions_have_none():
    old = Modalities.__new__(Modalities)
    old.__setstate__((draw().arrays, ("a", "b")))
    assert (old.index, old.groups, old.sample_weight) == (None, None, None)


def test_splits_of_scikit_learn_keep_them():
    X = grouped()
    one, two = train_test_split(X, random_state=0)
    assert sorted([*one.groups, *two.groups]) == sorted(LABELS)
    for train, test in GroupKFold(3).split(X, groups=X.groups):
        assert not set(X[train].groups) & set(X[test].groups)
    for train, _ in KFold(3).split(X):
        assert_array_equal(X[train].sample_weight, np.array(WEIGHTS)[train])


@pytest.mark.parametrize("which", [{"groups"}, {"sample_weight"}, {"groups", "sample_weight"}])
def test_frames_keep_them(which):
    given = {"groups": LABELS, "sample_weight": WEIGHTS}
    X = draw(**{name: given[name] for name in which})
    df = X.to_frame(index=list("uvwxyz"))
    assert df.shape == (6, 5 + len(which))
    Y = Modalities.from_frame(df)
    assert Y.names == ("a", "b")
    assert_array_equal(Y["a"], X["a"])
    for name, values in given.items():
        found = getattr(Y, name)
        assert found is None if name not in which else (found == np.array(values)).all()
    # Rows of the frame that an estimator gets are split with them.
    part = df.iloc[[0, 2, 4]]
    assert_array_equal(
        Modalities.from_frame(part).to_frame().to_numpy(), part.reset_index(drop=True).to_numpy()
    )


def test_estimators_read_them_from_frames():
    X = draw(groups=LABELS)
    fit = {"n_components": 2, "max_epochs": 2, "random_state": 0}
    one = CentroBindTransformer(**fit).fit(X)
    two = CentroBindTransformer(**fit).fit(X.to_frame())
    assert one.loss_curve_ == two.loss_curve_
    assert one.loss_curve_ != CentroBindTransformer(**fit).fit(draw()).loss_curve_
    assert one.score(X) == two.score(X.to_frame())


def test_a_frame_with_other_columns_without_a_modality_is_refused():
    df = draw(groups=LABELS).to_frame()
    df["", "patient"] = 1
    with pytest.raises(ValueError, match=r"can only be \[\('', 'groups'\)"):
        Modalities.from_frame(df)


def test_transformers_keep_them():
    X = grouped()
    scaled = PerModality({"a": StandardScaler()}, remainder="passthrough").fit_transform(X)
    Z = CentroBindTransformer(n_components=2, max_epochs=1).fit(X).transform_modalities(X)
    raw = PerModality({"a": StandardScaler()}, remainder="passthrough").fit_transform(X.to_frame())
    for out in (scaled, Z, raw):
        assert_array_equal(out.groups, LABELS)
        assert_array_equal(out.sample_weight, WEIGHTS)


@pytest.mark.parametrize(
    ("labels", "n_groups"),
    [
        ([1, 1, 2, 2, 3, 3], 3),
        (["x", None, None, "x", "y", "y"], 4),
        ([1.0, np.nan, np.nan, 1.0, 2.0, 2.0], 4),
        ([("a", 1), ("a", 1), ("a", 2), ("b", 1), ("b", 1), ("b", 1)], 3),
        ([1, "1", 1, "1", 2, 2], 3),
        (pd.Categorical(["u", "v", "u", "v", "u", "u"]), 2),
        (pd.Series(["u", "v", "u", "v", "u", pd.NA], dtype="string"), 3),
        (pd.date_range("2026", periods=6), 6),
    ],
    ids=["ints", "None", "NaN", "tuples", "mixed", "categories", "nullable", "dates"],
)
def test_labels_of_any_kind(labels, n_groups):
    X = draw(groups=labels)
    assert f"6 samples in {n_groups} group" in repr(X)
    assert f"6 samples in {n_groups} group" in X._repr_html_()
    assert describe(X)["groups"].tolist() == [n_groups, n_groups]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64"])
def test_tensors_are_labels_and_weights(dtype):
    torch = pytest.importorskip("torch", reason="the container works without torch")
    values = torch.tensor([1, 1, 2, 3, 2, 1]).to(getattr(torch, dtype))
    X = draw(groups=values, sample_weight=values)
    assert_array_equal(X.sample_weight, [1, 1, 2, 3, 2, 1])
    assert "in 3 groups" in repr(X)


def test_describe_counts_the_groups_of_present_samples():
    a = np.ones((6, 2)) * np.arange(6)[:, None]
    a[[2, 4]] = np.nan
    table = describe(Modalities({"a": a, "b": np.ones((6, 1))}, groups=LABELS))
    assert table["groups"].tolist() == [2, 3]
    assert "groups" not in describe(draw())


def test_weights_show_in_the_repr():
    assert repr(grouped()) == "Modalities(6 samples in 3 groups, weighted: a (3), b (2))"
    assert repr(draw()) == "Modalities(6 samples: a (3), b (2))"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"groups": LABELS[:5]}, ValueError, r"each of the 6 samples, got shape \(5,\)"),
        ({"groups": np.ones((6, 1))}, ValueError, r"got shape \(6, 1\)"),
        ({"groups": "x"}, ValueError, r"got shape \(\)"),
        ({"groups": [{}, {}, {}, {}, {}, {}]}, TypeError, "labels such as numbers or text"),
        ({"sample_weight": [1, 2]}, ValueError, r"each of the 6 samples, got shape \(2,\)"),
        ({"sample_weight": [1, 1, 1, -2, 1, 1]}, ValueError, "got -2.0 in row 3"),
        ({"sample_weight": [1, 1, np.inf, 1, 1, 1]}, ValueError, "got inf in row 2"),
        ({"sample_weight": [1, 1, None, 1, 1, 1]}, ValueError, "got nan in row 2"),
        ({"sample_weight": list("abcdef")}, ValueError, "must hold numbers, got dtype <U1"),
    ],
)
def test_bad_values_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        draw(**arguments)


def test_labels_of_a_series_are_compared_with_those_of_the_samples():
    ids = [f"p{i}" for i in range(6)]
    items = {"a": pd.DataFrame(np.ones((6, 2)), index=ids), "b": np.zeros((6, 1))}
    moved = pd.Series(LABELS, index=ids[::-1])
    with pytest.raises(ValueError, match=r"Use groups.loc\[X.index\]"):
        Modalities(items, groups=moved)
    with pytest.raises(ValueError, match="sample_weight has row labels of the samples, but not"):
        Modalities(items, sample_weight=pd.Series(WEIGHTS, index=ids[::-1]))
    X = Modalities(items)
    assert_array_equal(Modalities(X, groups=moved.loc[X.index]).groups, LABELS[::-1])
    assert_array_equal(Modalities(items, groups=moved.reset_index(drop=True)).groups, LABELS)
    assert_array_equal(Modalities(items, groups=moved, ignore_index=True).groups, LABELS)
