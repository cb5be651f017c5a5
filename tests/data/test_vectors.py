"""Vectors in the cells of a column, as of a parquet file: stacked, or an error that helps."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import draw, fast, quick_centro, same
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.feature_extraction.text import TfidfVectorizer

from skcentrobind import Modalities, PerModality
from skcentrobind.metrics import mean_reciprocal_rank

IMAGE, TEXT = draw(20)[0].arrays[:2]


def objects(rows):
    cells = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        cells[i] = row
    return cells


FORMS = {
    "series": lambda rows: pd.Series(list(rows), index=[f"s{i}" for i in range(len(rows))]),
    "frame": lambda rows: pd.DataFrame({"embedding": list(rows)}),
    "lists": lambda rows: pd.Series([None if r is None else list(r) for r in rows]),
    "tuples": lambda rows: objects([None if r is None else tuple(r) for r in rows]),
    "objects": objects,
    "one column of objects": lambda rows: objects(rows)[:, None],
    "tensors": lambda rows: objects([None if r is None else torch.tensor(r) for r in rows]),
    "list": list,
}


@pytest.mark.parametrize("form", FORMS)
def test_vectors_are_stacked(form):
    item = FORMS[form](TEXT)
    X = Modalities({"image": IMAGE, "text": item})
    np.testing.assert_array_equal(X["text"], TEXT)
    assert X["text"].dtype == np.float64
    expected = quick_centro().fit_transform({"image": IMAGE, "text": TEXT})
    assert same(quick_centro().fit_transform({"image": IMAGE, "text": item}), expected)
    assert same(quick_centro().fit_transform([IMAGE, item]), expected)
    bind = quick_centro().fit({"image": IMAGE, "text": item})
    np.testing.assert_array_equal(
        bind.transform_modality(item, "text"), bind.transform_modality(TEXT, "text")
    )


@pytest.mark.parametrize("form", FORMS)
def test_cells_without_a_vector_are_missing(form):
    rows = [None if i in (0, 7) else row for i, row in enumerate(TEXT)]
    expected = TEXT.copy()
    expected[[0, 7]] = np.nan
    X = Modalities({"image": IMAGE, "text": FORMS[form](rows)})
    np.testing.assert_array_equal(X["text"], expected)
    np.testing.assert_array_equal(X.present[:, 1], [i not in (0, 7) for i in range(20)])
    fitted = quick_centro().fit_transform([IMAGE, FORMS[form](rows)])
    assert same(fitted, quick_centro().fit_transform([IMAGE, expected]))


@fast
@given(
    st.sampled_from([np.float64, np.float32, np.int16, bool]),
    st.integers(1, 4),
    st.sampled_from([(3,), (2, 2)]),
    st.data(),
)
def test_stacking_against_a_loop(dtype, n_samples, shape, data):
    array = data.draw(hnp.arrays(dtype, (n_samples, *shape)))
    missing = data.draw(st.lists(st.booleans(), min_size=n_samples, max_size=n_samples))
    missing[0] = False
    blank = data.draw(st.sampled_from([None, np.nan, pd.NA]))
    cells = [blank if gone else row for row, gone in zip(array, missing, strict=True)]
    item = Modalities([objects(cells)]).arrays[0]
    assert item.shape == array.shape
    for got, row, gone in zip(item, array, missing, strict=True):
        np.testing.assert_array_equal(got, np.full(shape, np.nan) if gone else row)


def test_nested_lists_of_a_parquet_file():
    rows = [objects([np.array([1.0, 2.0]), np.array([3.0, 4.0])]), None]
    X = Modalities([pd.Series(rows)])
    np.testing.assert_array_equal(X.arrays[0][0], [[1, 2], [3, 4]])
    assert X.present.tolist() == [[True], [False]]


def test_one_column_alone_and_in_two_levels():
    expected = quick_centro().fit_transform([TEXT])
    column = pd.DataFrame({"embedding": list(TEXT)})
    for form in (column, column["embedding"], objects(TEXT)):
        bind = quick_centro().fit(form)
        assert same(bind.transform(form), expected)
        assert bind.n_features_in_ == 5 and not hasattr(bind, "feature_names_in_")
    deep = pd.DataFrame({("image", "e"): list(IMAGE), ("text", "e"): list(TEXT)})
    assert same(quick_centro().fit_transform(deep), quick_centro().fit_transform([IMAGE, TEXT]))
    assert not hasattr(quick_centro().fit(deep), "feature_names_in_")


def test_metrics_stack_vectors():
    expected = mean_reciprocal_rank([IMAGE[:, :5], TEXT])
    column = pd.Series(list(TEXT))
    assert mean_reciprocal_rank([IMAGE[:, :5], column]) == expected
    assert mean_reciprocal_rank([IMAGE[:, :5], column.to_frame("e")]) == expected


def replaced(row, value):
    rows = list(TEXT)
    rows[row] = value
    return rows


WIDE = pd.DataFrame({"embedding": list(TEXT), "size": 1.0})

BAD = {
    "ragged series": (pd.Series(replaced(3, np.ones(2))), ["'text'", "5 in row 0 but 2 in row 3"]),
    "ragged frame": (
        pd.DataFrame({"e": replaced(3, np.ones(2))}), ["'text'", "column 'e'", "2 in row 3"],
    ),
    "ragged list": (replaced(3, [1.0, 2.0]), ["'text'", "5 in row 0 but 2 in row 3"]),
    "empty": (pd.Series(replaced(3, [])), ["'text'", "5 in row 0 but 0 in row 3"]),
    "other cell": (pd.Series(replaced(3, "oops")), ["'text'", "row 3 holds str 'oops'"]),
    "number": (pd.Series(replaced(3, 7.0)), ["'text'", "row 3 holds float"]),
    "several columns": (WIDE, ["'text'", "column 'embedding'", "df[column]"]),
    "partly missing": (
        pd.Series(replaced(3, [1.0, None, 2.0, 3.0, 4.0])), ["'text'", "NaN in 1 of 5", "row 3"],
    ),
    "ragged rows of two axes": (
        [[[1.0, 2.0], [3.0]] for _ in range(20)], ["'text'", "cannot become a numpy array"],
    ),
    "texts": (pd.Series([["a", "b"]] * 20), ["'text'", "PerModality"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_other_cells_are_refused(case):
    item, words = BAD[case]
    with pytest.raises(ValueError) as info:
        quick_centro().fit({"image": IMAGE, "text": item})
    assert all(word in str(info.value) for word in words), str(info.value)


@pytest.mark.parametrize(
    ("X", "cut", "words"),
    [
        (WIDE, None, ["Column 'embedding' of X", 'df["image"]']),
        (
            WIDE,
            {"a": ["embedding"], "b": ["size"]},
            ["Column 'embedding'", "without the parameter"],
        ),
        (pd.Series(replaced(3, np.ones(2))), None, ["X holds vectors", "2 in row 3"]),
    ],
)
def test_vectors_in_a_table(X, cut, words):
    with pytest.raises(ValueError) as info:
        quick_centro(modalities=cut).fit(X)
    assert all(word in str(info.value) for word in words), str(info.value)


def test_tokens_stay_as_they_are():
    tokens = pd.Series([["a", "b"], ["b"], ["c", "a"], None])
    numbers = pd.Series([[1, 2], [2], [3, 1], None])
    for column in (tokens, numbers):
        per = PerModality({"t": TfidfVectorizer(analyzer=lambda cell: map(str, cell))})
        Z = per.fit_transform({"t": column})
        assert Z["t"].shape == (4, 3)
        assert Z.present[:, 0].tolist() == [True, True, True, False]
    pairs = pd.Series([["a", "b"], ["b", "c"]])
    assert Modalities({"t": pairs})["t"].tolist() == pairs.tolist()


def test_polars_lists():
    pl = pytest.importorskip("polars", reason="polars is optional")
    lists = pl.Series([None, *TEXT[1:].tolist()])
    fixed = pl.Series([None, *TEXT[1:].tolist()], dtype=pl.Array(pl.Float64, 5))
    for item in (lists, fixed, pl.DataFrame({"e": lists}), pl.DataFrame({"e": fixed})):
        X = Modalities([IMAGE, item])
        np.testing.assert_array_equal(X.arrays[1][1:], TEXT[1:])
        assert X.present[:, 1].tolist() == [False] + [True] * 19
    full = pl.DataFrame({"e": TEXT.tolist()})
    assert same(quick_centro().fit_transform(full), quick_centro().fit_transform([TEXT]))
    with pytest.raises(ValueError, match="1 in row 0 but 5 in row 1"):
        quick_centro().fit([IMAGE, pl.Series([[1.0], *TEXT[1:].tolist()])])
