"""Items that are not numbers yet: texts, objects, polars frames."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn import model_selection

from skcentrobind._data.modalities import Modalities

TEXTS = ["one", None, "three", "", float("nan"), "six"]


def raw_items():
    """Pairs (item, the rows it must hold, which of them are missing)."""
    words = ["one", "two", "three", "four", "five", "six"]
    missing = np.array([False, True, False, False, True, False])
    nothing = np.zeros(6, dtype=bool)
    objects = np.empty(6, dtype=object)
    objects[:] = [{"a": 1}, None, [1, 2], np.ones(3), np.nan, "x"]
    dates = np.array(["2020-01-01", "NaT", *["2020-01-02"] * 2, "NaT", "2021-01-01"], dtype="M8[D]")
    return {
        "list": (TEXTS, TEXTS, missing),
        "tuple": (tuple(words), words, nothing),
        "strings": (np.array(words), words, nothing),
        "numpy's long strings": (
            np.array(words, dtype=np.dtypes.StringDType()), words, nothing,
        ),
        "objects": (objects, list(objects), missing),
        "series": (pd.Series(TEXTS, index=list("abcdef")), TEXTS, missing),
        "dates": (dates, list(dates), missing),
        "categories": (pd.Series(words, dtype="category"), words, nothing),
    }  # fmt: skip


@pytest.mark.parametrize("kind", raw_items())
@pytest.mark.parametrize(
    "rows", [slice(1, 5, 2), [5, 0, 1], np.arange(6) % 2 == 1, -1, np.array([4])], ids=str
)
def test_rows_of_raw_items(kind, rows):
    item, expected, missing = raw_items()[kind]
    X = Modalities({"raw": item, "numbers": np.arange(12.0).reshape(6, 2)})
    assert len(X) == 6
    assert X.shape == (6, 3)
    assert_array_equal(X.present, np.column_stack([~missing, np.ones(6, dtype=bool)]))
    positions = np.atleast_1d(np.arange(6)[rows])
    assert type(X[rows]["raw"]) is np.ndarray
    for got, i in zip(X[rows]["raw"], positions, strict=True):
        if missing[i]:
            assert pd.isna(got)
        else:
            assert_array_equal(got, expected[i])
    assert_array_equal(X[rows]["numbers"][:, 0], 2.0 * positions)
    assert_array_equal(X[rows].present, X.present[positions])


def test_raw_items_of_two_axes():
    categories = [["a", None], [None, np.nan], ["b", "u"]]
    frame = pd.DataFrame({"u": [1.0, np.nan, 2.0], "v": pd.Categorical(["x", None, "y"])})
    X = Modalities({"categories": categories, "mixed": frame})
    assert X["mixed"] is frame
    assert X.shape == (3, 4)
    assert X["categories"][0, 1] is None
    assert_array_equal(X.present, [[True, True], [False, False], [True, True]])


def test_repr_of_raw_items():
    X = Modalities({"text": TEXTS, "image": np.ones((6, 2)), "words": [["a", "b"]] * 6})
    assert repr(X) == "Modalities(6 samples: text (1-D, raw), image (2), words (2, raw))"
    assert "<td>text</td><td>1-D</td><td>object</td><td>raw</td>" in X._repr_html_()


def test_raw_items_in_frames():
    frame = pd.concat(
        {"text": pd.DataFrame({"title": ["a b", "b c"]}), "n": pd.DataFrame({"u": [1, 2]})}, axis=1
    )
    X = Modalities.from_frame(frame)
    assert list(X["text"].columns) == ["title"]
    assert type(X["n"]) is np.ndarray
    assert X.to_frame().columns.tolist() == [("text", "title"), ("n", 0)]
    assert Modalities({"text": ["a b", "b c"]}).to_frame()["text"][0].tolist() == ["a b", "b c"]


def test_raw_items_are_split_by_scikit_learn():
    X = Modalities({"text": np.array([f"text {i}" for i in range(20)]), "n": np.ones((20, 2))})
    train, test = model_selection.train_test_split(X, test_size=5, random_state=0)
    assert isinstance(train, Modalities)
    assert sorted([*train["text"], *test["text"]]) == sorted(X["text"])
    assert len(test["text"]) == 5


def test_polars():
    pl = pytest.importorskip("polars", reason="polars is optional")
    frame = pl.DataFrame({"u": [1, None, 3], "v": [1.0, None, 2.0]})
    X = Modalities(
        {
            "numbers": frame,
            "text": pl.Series(["a", None, "c"]),
            "words": pl.select(w=pl.lit("x")).sample(3, with_replacement=True),
        }
    )
    assert X["numbers"].equals(pd.DataFrame({"u": [1, np.nan, 3], "v": [1, np.nan, 2.0]}))
    assert_array_equal(X.present, [[True] * 3, [False, False, True], [True] * 3])
    assert X[[2, 0]]["numbers"]["u"].tolist() == [3, 1]
    assert X[np.array([True, False, True])]["text"].tolist() == ["a", "c"]
    with pytest.raises(TypeError, match="single DataFrame of shape"):
        Modalities(frame)
