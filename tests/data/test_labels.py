"""Row labels: compared wherever frames are taken, and kept in what is returned."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from conftest import draw, fast, quick_centro
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skcentrobind import Modalities, PerModality
from skcentrobind.metrics import mean_reciprocal_rank
from skcentrobind.plotting import ModalityGapDisplay

N = 12
IDS = [f"s{i}" for i in range(N)]
BACK = list(range(N))[::-1]


def frames(one=IDS, two=IDS):
    X, _ = draw(N)
    return {"a": pd.DataFrame(X["image"], index=one), "b": pd.DataFrame(X["text"], index=two)}


def slow_verdict(one, two):
    """Whether two sequences of labels may stand side by side, by the rules in words."""
    default = list(range(len(one)))
    if list(one) == list(two) or default in (list(one), list(two)):
        return True
    return not set(one) & set(two)


labels = st.lists(st.integers(0, 9) | st.sampled_from("xyz"), min_size=1, max_size=5)


@fast
@given(labels, st.data())
def test_verdict_is_that_of_the_rules(one, data):
    two = data.draw(st.permutations(one) | st.lists(st.integers(0, 30), min_size=len(one)))
    two = two[: len(one)]
    items = [
        pd.DataFrame({"u": np.ones(len(one))}, index=pd.Index(own, dtype=object))
        for own in (one, two)
    ]
    if slow_verdict(one, two):
        X = Modalities(items)
        assert (X.index is not None) == (list(one) == list(two))
    else:
        with pytest.raises(ValueError, match=r"'modality0' and 'modality1'.*Modalities\.align"):
            Modalities(items)


DAYS = pd.date_range("2020-01-01", periods=N)
PAIRS = pd.MultiIndex.from_product([["x", "y"], range(N // 2)])
TWICE = [i // 2 for i in range(5, 5 + N)]

SAME = {
    "text": (IDS, IDS),
    "numbers of two dtypes": (np.arange(5, 5 + N), np.arange(5.0, 5 + N)),
    "numbers beside their text": (np.arange(5, 5 + N), [str(i) for i in range(5, 5 + N)]),
    "times of two units": (DAYS, DAYS.as_unit("s")),
    "times of two zones": (
        DAYS.tz_localize("UTC"),
        DAYS.tz_localize("UTC").tz_convert("Asia/Aden"),
    ),
    "periods": (DAYS.to_period("D"), DAYS.to_period("D")),
    "two levels": (PAIRS, PAIRS),
    "categories": (pd.CategoricalIndex(IDS), IDS),
    "duplicated": (TWICE, TWICE),
    "missing": ([np.nan, *IDS[1:]], [np.nan, *IDS[1:]]),
    "mixed": ([7, *IDS[1:]], [7, *IDS[1:]]),
}


@pytest.mark.parametrize("kind", SAME)
def test_equal_labels_pass_and_the_same_in_another_order_do_not(kind):
    one, two = SAME[kind]
    X = Modalities(frames(one, two))
    assert X.index.equals(pd.Index(one))
    backwards = pd.Index(two)[BACK]
    with pytest.raises(ValueError, match="'a' and 'b' have the same row labels in another order"):
        Modalities(frames(one, backwards))
    assert Modalities(frames(one, backwards), ignore_index=True).index is None
    later = pd.Index(two)[[*range(1, N), 1]]
    with pytest.raises(ValueError, match=r"share only some|same row labels in another order"):
        Modalities(frames(one, later))


@pytest.mark.parametrize(
    "two", [range(N), range(N)[::-1], [f"t{i}" for i in range(N)], PAIRS], ids=str
)
def test_default_and_disjoint_labels_pass(two):
    one = range(N) if list(two) == BACK else IDS
    assert Modalities(frames(one, two)).index is None
    assert np.isfinite(quick_centro().fit_transform(frames(one, two))).all()


def test_message_gives_the_label_and_both_rows():
    with pytest.raises(ValueError) as info:
        Modalities(frames(IDS, [*IDS[3:], *IDS[:3]]))
    words = ["'s0' is row 0 of 'a' and row 9 of 'b'", "Modalities.align({'a'", "ignore_index=True"]
    assert all(word in str(info.value) for word in words)
    with pytest.raises(ValueError, match=r"only some of their row labels \(2 of 12 and 12\)"):
        Modalities(frames(IDS, [*IDS[:2], *range(N - 2)]))
    short = frames()
    short["b"] = short["b"].iloc[:5]
    with pytest.raises(ValueError, match=r"a: 12, b: 5\. Align.*Modalities\.align"):
        Modalities(short)


def test_every_pair_of_items_is_compared():
    apart = pd.DataFrame(np.ones((N, 2)), index=[f"t{i}" for i in range(N)])
    items = {**frames(), "c": apart, "d": apart.iloc[::-1]}
    with pytest.raises(ValueError, match="Modalities 'c' and 'd' have the same row labels"):
        Modalities(items)
    texts = pd.Series(["x"] * N, index=IDS[::-1])
    with pytest.raises(ValueError, match="'a' and 'text' have the same row labels"):
        Modalities({"a": items["a"], "array": np.ones((N, 2)), "text": texts})


def test_labels_are_compared_wherever_frames_are_taken():
    good, bad = frames(), frames(IDS, IDS[::-1])
    bind = quick_centro().fit(good)
    per = PerModality({"a": StandardScaler(), "b": StandardScaler()}).fit(good)
    square = {name: frame.iloc[:, :4] for name, frame in bad.items()}
    calls = {
        "Modalities": Modalities,
        "fit": quick_centro().fit,
        "partial_fit": bind.partial_fit,
        "transform": bind.transform,
        "transform_modalities": bind.transform_modalities,
        "score": bind.score,
        "PerModality.fit": clone(per).fit,
        "PerModality.transform": per.transform,
        "metric": lambda X: mean_reciprocal_rank(square),
        "metric of a list": lambda X: mean_reciprocal_rank(list(square.values())),
        "display": lambda X: ModalityGapDisplay.from_embeddings(square),
    }
    for name, call in calls.items():
        for X in (bad, list(bad.values())):
            with pytest.raises(ValueError, match=r"row labels in another order.*Modalities\.align"):
                call(X)
                pytest.fail(name)


def test_positions_count_where_the_index_is_ignored(binder):
    bad = frames(IDS, IDS[::-1])
    X = Modalities(bad, ignore_index=True)
    expected = binder().fit_transform([frame.to_numpy() for frame in bad.values()])
    bind = binder().set_output(transform="pandas")
    Z = bind.fit_transform(X)
    np.testing.assert_array_equal(Z.to_numpy(), expected)
    assert list(Z.index) == list(range(N))
    assert bind.transform_modalities(X).index is None
    for part in (X[3:7], X[["b", "a"]], pickle.loads(pickle.dumps(X)), Modalities(X)):
        assert part.index is None
        bind.transform(part[:2])
    scaled = PerModality({"a": "passthrough", "b": "passthrough"}).fit_transform(X)
    assert scaled.index is None
    assert list(X.to_frame().index) == list(range(N))


def test_index_is_taken_with_the_rows():
    X = Modalities({**frames(), "array": np.ones((N, 2))})
    for rows in (slice(2, 9, 3), [5, 0, 5], np.arange(N) % 3 == 1, 4, -1):
        expected = list(np.atleast_1d(np.array(IDS)[rows]))
        assert list(X[rows].index) == expected
        assert list(X[rows].to_frame().index) == expected
        assert list(X[rows][["array"]].to_frame().index) == expected
        assert list(Modalities(X[rows]).index) == expected
    with pytest.raises(AttributeError, match="immutable"):
        X.index = None
    train, test = train_test_split(X, random_state=0)
    assert list(train.index) == list(train["a"].index)
    assert sorted([*train.index, *test.index]) == sorted(IDS)


def test_index_survives_copies(tmp_path):
    X = Modalities(frames())
    Z = quick_centro().fit(X).transform_modalities(X)
    for data in (X, Z, X[:3]):
        joblib.dump(data, tmp_path / "data")
        copies = [
            pickle.loads(pickle.dumps(data)),
            copy.copy(data),
            copy.deepcopy(data),
            joblib.load(tmp_path / "data"),
        ]
        for other in copies:
            assert other.index.equals(data.index)
    # Without frames, which pandas before 3 does not hash like their copies.
    assert joblib.hash(copy.deepcopy(Z)) == joblib.hash(Z)
    old = object.__new__(Modalities)
    old.__setstate__((X.arrays, X.names))
    assert old.index is None and old.names == X.names


@pytest.mark.parametrize("form", ["dict", "list", "container", "two levels", "mixed", "flat"])
def test_output_keeps_the_index(form, binder):
    data = frames()
    flat = pd.concat(data.values(), axis=1).set_axis([f"f{i}" for i in range(11)], axis=1)
    data, options = {
        "dict": (data, {}),
        "list": (list(data.values()), {}),
        "container": (Modalities(data), {}),
        "two levels": (pd.concat(data, axis=1), {}),
        "mixed": ({**data, "b": data["b"].to_numpy()}, {}),
        "flat": (flat, {"modalities": [6, 5]}),
    }[form]
    bind = binder(**options).fit(data)
    assert list(bind.transform_modalities(data).index) == IDS
    assert list(bind.transform_modalities(data).to_frame().index) == IDS
    Z = bind.set_output(transform="pandas").transform(data)
    assert list(Z.index) == IDS
    np.testing.assert_array_equal(Z, bind.set_output(transform="default").transform(data))


def test_per_modality_keeps_the_index():
    X = Modalities.align(frames(IDS, IDS[::-1]))
    per = PerModality({"a": StandardScaler(), "b": StandardScaler()})
    for Z in (per.fit_transform(X), per.transform(X)):
        assert list(Z.index) == IDS
        assert type(Z["a"]) is np.ndarray


def test_an_item_that_is_none_leaves_the_index_of_the_others():
    data = frames()
    bind = quick_centro().fit(data).set_output(transform="pandas")
    assert list(bind.transform({**data, "b": None}).index) == IDS


def test_polars_output_keeps_the_order_of_rows():
    pl = pytest.importorskip("polars", reason="polars is optional")
    data = frames()
    bind = quick_centro().fit(data)
    expected = bind.transform(data)
    Z = bind.set_output(transform="polars").transform(data)
    assert isinstance(Z, pl.DataFrame)
    np.testing.assert_array_equal(Z.to_numpy(), expected)
