"""Rows matched by label: against a slow reference that looks up one label at a time."""

import numpy as np
import pandas as pd
import pytest
from conftest import draw, fast, quick_centro, same
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from skcentrobind import Modalities


def slow_labels(tables, how):
    """Labels of the common rows, in order of first appearance."""
    if how == "left":
        return list(tables[0])
    seen = list(dict.fromkeys(label for table in tables for label in table))
    return seen if how == "outer" else [k for k in seen if all(k in table for table in tables)]


@st.composite
def labelled_tables(draw_):
    kind = draw_(st.sampled_from(["text", "int", "pair", "time"]))
    make = {
        "text": lambda i: f"s{i}",
        "int": lambda i: i,
        "pair": lambda i: (f"p{i % 3}", i),
        "time": lambda i: pd.Timestamp("2020-01-01") + pd.Timedelta(days=i),
    }[kind]
    n_tables = draw_(st.integers(1, 3))
    unique = st.lists(st.integers(0, 8), min_size=1, max_size=8, unique=True)
    rows = [[0, *[i + 1 for i in draw_(unique)]] for _ in range(n_tables)]  # all share label 0
    rows = [draw_(st.permutations(own)) for own in rows]
    return [{make(i): [10.0 * m + i, i / 2] for i in own} for m, own in enumerate(rows)]


@fast
@given(labelled_tables(), st.sampled_from(["inner", "outer", "left"]))
def test_align_against_a_lookup(tables, how):
    frames = []
    for table in tables:
        keys = list(table)
        index = pd.MultiIndex.from_tuples(keys) if isinstance(keys[0], tuple) else pd.Index(keys)
        frames.append(pd.DataFrame(list(table.values()), index=index, columns=["u", "v"]))
    before = [frame.copy() for frame in frames]
    X = Modalities.align(frames, how)
    expected = slow_labels(tables, how)
    assert list(X.index) == expected
    for item, table in zip(X.arrays, tables, strict=True):
        assert list(item.index) == expected
        assert list(item.columns) == ["u", "v"]
        rows = [table.get(label, [np.nan, np.nan]) for label in expected]
        np.testing.assert_array_equal(item.to_numpy(), rows)
    present = [[label in table for table in tables] for label in expected]
    np.testing.assert_array_equal(X.present, present)
    for frame, old in zip(frames, before, strict=True):
        pd.testing.assert_frame_equal(frame, old)


def test_a_shuffled_modality_is_learned_from_as_if_it_were_not():
    X, _ = draw(40)
    ids = [f"s{i}" for i in range(40)]
    frames = {name: pd.DataFrame(item, index=ids) for name, item in X.items()}
    expected = quick_centro().fit_transform(X)
    frames["text"] = frames["text"].sample(frac=1, random_state=0)
    for how in ("inner", "outer", "left"):
        aligned = Modalities.align(frames, how)
        assert same(quick_centro().fit_transform(aligned), expected)
        Z = quick_centro().set_output(transform="pandas").fit_transform(aligned)
        assert list(Z.index) == list(aligned.index) == ids


def test_a_modality_that_lacks_rows_is_missing_there():
    X, _ = draw(40)
    ids = [f"s{i}" for i in range(40)]
    frames = {name: pd.DataFrame(item, index=ids) for name, item in X.items()}
    frames["text"] = frames["text"].iloc[5:].iloc[::-1]
    arrays = {name: item.copy() for name, item in X.items()}
    arrays["text"][:5] = np.nan
    aligned = Modalities.align(frames, "outer")
    assert same(quick_centro().fit_transform(aligned), quick_centro().fit_transform(arrays))
    assert len(Modalities.align(frames)) == 35


def test_a_container_can_be_aligned():
    one = pd.DataFrame({"u": [1.0, 2.0]}, index=["x", "y"])
    X = Modalities({"a": one, "b": one.iloc[::-1]}, ignore_index=True)
    aligned = Modalities.align(X)
    assert aligned.names == ("a", "b") and list(aligned.index) == ["x", "y"]
    np.testing.assert_array_equal(aligned["b"], one)


def test_types_of_columns():
    one = pd.DataFrame({"u": [1.0, 2.0, 3.0]}, index=list("abc"))
    two = pd.DataFrame(
        {
            "whole": [1, 2],
            "flag": [True, False],
            "half": np.array([1, 2], dtype=np.float32),
            "nullable": pd.array([1, 2], dtype="Int64"),
            "word": pd.Series(["x", "y"], index=list("cd"), dtype=object),
            "day": pd.to_datetime(["2020-01-01", "2020-01-02"]),
        },
        index=list("cd"),
    )
    inner = Modalities.align({"one": one, "two": two})["two"]
    assert list(inner.dtypes) == list(two.dtypes)
    outer = Modalities.align([one, two], how="outer")
    item = outer.arrays[1]
    dtypes = [str(dtype) for dtype in item.dtypes]
    assert dtypes[:5] == ["float64", "float64", "float32", "Int64", "object"]
    assert item.dtypes["day"].kind == "M"
    assert item["word"].tolist() == [None, None, "x", "y"]
    np.testing.assert_array_equal(outer.present, [[1, 0], [1, 0], [1, 1], [0, 1]])
    texts = Modalities.align([one, pd.Series(["x", "y"], index=list("cd"))], "left")
    assert texts.arrays[1].tolist() == [None, None, "x"]
    vectors = Modalities.align([one, pd.Series([[1.0, 2.0], [3.0, 4.0]], index=list("cd"))], "left")
    np.testing.assert_array_equal(vectors.arrays[1], [[np.nan] * 2, [np.nan] * 2, [1, 2]])


ONE = pd.DataFrame({"u": [1.0, 2.0]}, index=["x", "y"])


@pytest.mark.parametrize(
    ("items", "how", "words"),
    [
        ({"a": ONE, "b": np.ones((2, 1))}, "inner", ["'b'", "ndarray without row labels"]),
        ({"a": ONE, "b": [[1.0], [2.0]]}, "inner", ["'b'", "list without row labels"]),
        ({"a": ONE, "b": ONE.iloc[[0, 1, 0]]}, "inner", ["'b'", "'x' in rows 0 and 2"]),
        ({"a": ONE, "b": ONE.set_axis(["p", "q"])}, "inner", ["no row label in common", "'p'"]),
        ({"a": ONE, "b": ONE.set_axis(["p", "q"])}, "outer", ["no row label in common", "'x'"]),
        ({"a": ONE, "b": ONE.set_axis([3, 4])}, "left", ["'b'", "int64", "astype(str)"]),
        (
            [ONE, ONE.set_axis(["y", "z"]), ONE.set_axis(["z", "x"])], "inner",
            ["common to all", "how='outer'"],
        ),
        ({"a": ONE, "b": ONE.set_axis([["p", "q"], [1, 2]])}, "inner", ["2 level(s)"]),
        ({"a": ONE, "b": ONE}, "right", ["'inner', 'outer' or 'left'", "'right'"]),
        (
            {"a": ONE, "b": pd.DataFrame.sparse.from_spmatrix(sparse.eye(2), index=["x", "y"])},
            "inner", ["'b'", "sparse columns", "to_dense"],
        ),
        ({"a": ONE, "b": pd.Series([1.0, 2.0], index=["x", "y"])}, "left", ["'b'", "[[column]]"]),
        ({}, "inner", ["Got no array"]),
    ],
)  # fmt: skip
def test_bad_items(items, how, words):
    with pytest.raises(ValueError) as info:
        Modalities.align(items, how)
    assert all(word in str(info.value) for word in words), str(info.value)
