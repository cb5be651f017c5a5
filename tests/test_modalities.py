import ast
import copy
import pickle
import re
import sys
import tracemalloc
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn import model_selection
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import indexable, resample, shuffle
from sklearn.utils.fixes import parse_version

from skcentrobind import _items, _modalities
from skcentrobind._modalities import Modalities

fast = settings(deadline=None, max_examples=50)


def to_dense(item):
    """Any item as a plain array: the independent reference for every test of rows."""
    if sparse.issparse(item):
        return item.toarray()
    return item.to_numpy() if isinstance(item, pd.DataFrame) else np.asarray(item)


def assert_same(X, other):
    assert X.names == other.names
    for a, b in zip(X.arrays, other.arrays, strict=True):
        assert type(a) is type(b)
        assert to_dense(a).dtype == to_dense(b).dtype
        assert_array_equal(to_dense(a), to_dense(b))


def make_mixed(n_samples, rng):
    """One modality of each kind that is kept without conversion."""
    return Modalities(
        {
            "dense": rng.normal(size=(n_samples, 3)),
            "image": rng.integers(0, 255, size=(n_samples, 2, 4), dtype=np.uint8),
            "sparse": sparse.csr_array(np.maximum(rng.normal(size=(n_samples, 5)), 0)),
            "frame": pd.DataFrame(
                {"u": rng.normal(size=n_samples), "v": rng.integers(0, 9, size=n_samples)},
                index=[f"row{i}" for i in range(n_samples)],
            ),
            "flag": rng.random((n_samples, 1)) < 0.5,
        }
    )


@pytest.fixture
def X():
    return make_mixed(12, np.random.default_rng(0))


@pytest.fixture
def memmap(tmp_path):
    array = np.memmap(tmp_path / "rows.dat", dtype="f4", mode="w+", shape=(12, 4))
    array[:] = np.arange(48).reshape(12, 4)
    return array


# --- what it holds ------------------------------------------------------------------------


def test_default_names():
    X = Modalities([np.ones((2, 1)), np.zeros((2, 2)), np.zeros((2, 3))])
    assert X.names == ("modality0", "modality1", "modality2")


def test_names_of_list_and_dict_agree():
    a, b = np.ones((2, 1)), np.zeros((2, 2))
    for X in (
        Modalities([a, b], names=["text", "image"]),
        Modalities((a, b), names=np.array(["text", "image"])),
        Modalities([a, b], names=pd.Index(["text", "image"])),
        Modalities({"text": a, "image": b}),
    ):
        assert X.names == ("text", "image")
        assert all(type(name) is str for name in X.names)
        assert X["text"] is a
        assert X["image"] is b


@fast
@given(st.lists(st.one_of(st.text(min_size=1), st.integers()), min_size=1, max_size=6))
def test_names_are_distinct_strings_or_an_error(names):
    arrays = [np.full((2, 1), i) for i in range(len(names))]
    expected = tuple(str(name) for name in names)
    if len(set(expected)) < len(expected):
        with pytest.raises(ValueError, match="stand more than once"):
            Modalities(arrays, names=names)
        return
    X = Modalities(arrays, names=names)
    assert X.names == expected
    assert all(name in X and X[name] is array for name, array in X.items())
    backwards = X[list(X.names[::-1])]
    assert backwards.names == expected[::-1]
    assert all(backwards[name] is X[name] for name in expected)


def test_shape_of_each_kind(X):
    assert len(X) == 12
    assert X.n_modalities == 5
    assert X.n_features == [3, 8, 5, 2, 1]
    assert X.shape == (12, 19)
    assert all(type(size) is int for size in (*X.shape, *X.n_features))
    assert X.ndim == 2
    assert len(X.arrays) == 5
    assert isinstance(X.arrays, tuple)
    assert [name for name, _ in X.items()] == list(X.names)


@pytest.mark.parametrize(
    "item",
    [
        np.ones((3, 2), dtype=np.float16),
        np.asfortranarray(np.ones((3, 2))),
        np.ones((3, 2, 2), dtype=np.int8),
        np.ones((3, 2), dtype=bool),
        sparse.csr_array(np.eye(3)),
        sparse.csr_matrix(np.eye(3)),
        pd.DataFrame({"a": [1, 2, 3], "b": [True, False, True]}),
        pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64")}),
    ],
    ids=lambda item: type(item).__name__,
)
def test_item_kept_as_it_is(item):
    assert Modalities({"a": item})["a"] is item


@pytest.mark.parametrize("make", [sparse.csc_array, sparse.coo_array, sparse.lil_matrix])
def test_sparse_becomes_csr(make):
    X = Modalities([make(np.eye(3)), sparse.dok_array(np.eye(3))])
    assert [item.format for item in X.arrays] == ["csr", "csr"]
    assert_array_equal(X.arrays[0].toarray(), np.eye(3))


def test_nested_list_becomes_array():
    X = Modalities([[[1, 2], [3, 4]]])
    assert isinstance(X.arrays[0], np.ndarray)
    assert_array_equal(X.arrays[0], [[1, 2], [3, 4]])


def test_matrix_becomes_array():
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix([[1, 2], [3, 4]])
    assert type(Modalities([matrix]).arrays[0]) is np.ndarray


def test_copy_of_modalities_holds_the_same_arrays(X):
    other = Modalities(X)
    assert other.names == X.names
    assert all(a is b for a, b in zip(other.arrays, X.arrays, strict=True))


def test_torch_tensor_becomes_array():
    torch = pytest.importorskip("torch")
    tensor = torch.arange(6.0, requires_grad=True).reshape(3, 2)
    X = Modalities({"text": tensor})
    assert type(X["text"]) is np.ndarray
    assert_array_equal(X["text"], [[0, 1], [2, 3], [4, 5]])
    with pytest.raises(ValueError, match=r"'text': got a Tensor that cannot.*\.float\(\)"):
        Modalities({"text": tensor.detach().to(torch.bfloat16)})


def test_immutable(X):
    for attribute in ("names", "arrays", "shape", "ndim", "present", "anything"):
        with pytest.raises(AttributeError):
            setattr(X, attribute, None)
    with pytest.raises(TypeError):
        X["dense"] = np.ones((12, 3))


def test_identity_is_equality(X):
    assert X == X
    assert Modalities(X) != X
    assert len({X, Modalities(X)}) == 2


# --- what it refuses ----------------------------------------------------------------------

ok = np.ones((10, 3))


@pytest.mark.parametrize(
    ("arrays", "error", "words"),
    [
        ([], ValueError, ["Got no array", "expected at least one", "Modalities([X_image"]),
        ({}, ValueError, ["Got no array", "expected at least one"]),
        (ok, TypeError, ["single ndarray of shape (10, 3)", "Wrap one", "Modalities([X])"]),
        (np.ones((2, 9, 3)), TypeError, ["shape (2, 9, 3)", "pass list(X)"]),
        (sparse.dok_matrix(ok), TypeError, ["single dok_matrix of shape (10, 3)", "Wrap one"]),
        (pd.DataFrame(ok), TypeError, ["single DataFrame", "Wrap one", "Modalities.from_frame"]),
        (3, TypeError, ["single int", "expected a list or dict"]),
        ("ab", TypeError, ["single str", "expected a list or dict"]),
        ((ok for _ in range(2)), TypeError, ["single generator", "expected a list or dict"]),
    ],
)
def test_bad_container_of_arrays(arrays, error, words):
    with pytest.raises(error) as info:
        Modalities(arrays)
    assert all(word in str(info.value) for word in words), str(info.value)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (None, ["got None", "only in an estimator's transform", "NaN"]),
        (np.ma.array(ok), ["masked array", "filled(np.nan)"]),
        (np.zeros(10, dtype=[("u", float)]), ["dtype [('u'", "expected numbers", "PerModality"]),
        ("a text", ["0-D data", "expected (n_samples, n_features)"]),
        ([], ["1-D data of shape (0,)"]),
        (np.array([], dtype=object), ["0 sample(s)", "shape=(0,)"]),
        (ok * 1j, ["complex128", "Complex data not supported", "X.real"]),
        (sparse.csr_array(ok * 1j), ["complex128", "Complex data not supported"]),
        (pd.DataFrame(ok * 1j), ["complex128", "Complex data not supported"]),
        (ok[:, 0], ["1-D data of shape (10,)", "list of 1-D arrays is rows", "reshape(-1, 1)"]),
        (pd.Series(ok[:, 0]), ["1-D data of shape (10,)", "df[[column]]"]),
        (sparse.coo_array(ok[:, 0]), ["1-D data of shape (10,)", "reshape(-1, 1)"]),
        (4.0, ["0-D data", "expected (n_samples, n_features)"]),
        (ok[:0], ["0 sample(s)", "shape=(0, 3)"]),
        (ok[:, :0], ["0 feature(s)", "shape=(10, 0)"]),
        (np.ones((10, 2, 0)), ["0 feature(s)", "shape=(10, 2, 0)"]),
        (sparse.csr_array((10, 0)), ["0 feature(s)", "shape=(10, 0)"]),
        (pd.DataFrame(index=range(10)), ["0 feature(s)", "shape=(10, 0)"]),
        ([[1, 2], [3]], ["got a list that cannot", "same number of features"]),
        (Modalities([ok]), ["got a Modalities that cannot", "X.arrays"]),
    ],
)
def test_bad_item(item, words):
    with pytest.raises(ValueError) as info:
        Modalities({"fine": ok, "the text": item})
    words = ["Modality 'the text'", *words]
    assert all(word in str(info.value) for word in words), str(info.value)


@pytest.mark.skipif(
    parse_version(scipy.__version__) < parse_version("1.15"),
    reason="scipy has no sparse arrays of three dimensions there",
)
def test_bad_sparse_item_of_three_dimensions():
    test_bad_item(sparse.coo_array(np.ones((10, 2, 2))), ["3-D data", "(n_samples, n_features)"])


def test_list_of_rows_refused():
    with pytest.raises(ValueError, match=re.escape("A list of 1-D arrays is rows, thus one")):
        Modalities(list(np.ones((4, 2))))


def test_unequal_lengths_list_all_modalities():
    with pytest.raises(ValueError) as info:
        Modalities({"image": np.ones((10, 3)), "text": np.ones((9, 3)), "tag": np.ones((10, 1))})
    message = str(info.value)
    assert "same number of samples, got image: 10, text: 9, tag: 10." in message
    assert "fill those of samples that lack a modality with NaN" in message
    assert "transposed" not in message


def test_unequal_lengths_hint_at_transposed_array():
    arrays = {"image": np.ones((10, 3)), "text": np.ones((3, 10)), "tag": np.ones((10, 1))}
    with pytest.raises(ValueError, match=re.escape("Is 'text' transposed?")) as info:
        Modalities(arrays)
    assert "pass its .T" in str(info.value)
    arrays["text"] = arrays["text"].T
    assert Modalities(arrays).shape == (10, 7)


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        (["a"], ValueError, ["Got 1 names ('a',) for 2 arrays"]),
        (["a", "b", "c"], ValueError, ["Got 3 names", "for 2 arrays"]),
        ([], ValueError, ["Got 0 names", "for 2 arrays"]),
        (["a", "a"], ValueError, ["more than once: ['a']", "('a', 'a')", "a name of its own"]),
        ([1, "1"], ValueError, ["more than once: ['1']"]),
        (["a", ""], ValueError, ["an empty name", "('a', '')"]),
        ("ab", TypeError, ["names='ab'", "expected a list of 2 string(s)"]),
        ({"a", "b"}, TypeError, ["expected a list of 2 string(s)"]),
        (7, TypeError, ["names=7", "expected a list of 2 string(s)"]),
    ],
)
def test_bad_names(names, error, words):
    with pytest.raises(error) as info:
        Modalities([ok, ok], names=names)
    assert all(word in str(info.value) for word in words), str(info.value)


@pytest.mark.parametrize("arrays", [{"a": ok}, Modalities({"a": ok})])
def test_names_beside_arrays_that_bring_names(arrays):
    with pytest.raises(ValueError, match=r"names=\['b'\].*brings its own names \['a'\]") as info:
        Modalities(arrays, names=["b"])
    assert "rename with Modalities(X.arrays, names=...)" in str(info.value)


# --- rows ---------------------------------------------------------------------------------


@st.composite
def sizes_and_keys(draw):
    """A length, a key, and the row numbers that the key must give, found by numpy alone."""
    n = draw(st.integers(1, 8))
    ints = st.lists(st.integers(-n, n - 1), min_size=1, max_size=10)
    bools = st.lists(st.booleans(), min_size=n, max_size=n).filter(any)
    kind = draw(st.sampled_from(["slice", "range", "int", "ints", "bools"]))
    if kind == "slice":
        key = draw(st.slices(n).filter(lambda s: len(range(n)[s]) > 0))
        rows = np.arange(n)[key]
    elif kind == "range":
        key = range(*draw(st.tuples(st.integers(0, n - 1), st.just(n), st.integers(1, 3))))
        rows = np.array(key)
    elif kind == "int":
        row = draw(st.integers(-n, n - 1))
        key = draw(st.sampled_from([int, np.int8, np.intp, np.array]))(row)
        rows = np.arange(n)[[row]]
    else:
        values = draw(ints if kind == "ints" else bools)
        rows = np.arange(n)[np.array(values)]
        forms = [list, np.array, pd.Series, pd.Index]
        if kind == "ints":
            forms.append(lambda v: np.array(v, dtype=np.int8))
            forms.append(lambda v: (np.array(v) % n).astype(np.uint64))
        else:
            forms.append(lambda v: pd.Series(v, dtype="boolean", index=range(5, 5 + n)))
            forms.append(lambda v: [np.bool_(x) for x in v])
        key = draw(st.sampled_from(forms))(values)
    return n, (key, Ellipsis) if draw(st.booleans()) else key, rows


@settings(deadline=None, max_examples=150)
@given(sizes_and_keys())
def test_rows_like_numpy(case):
    n, key, rows = case
    X = make_mixed(n, np.random.default_rng(n))
    taken = X[key]
    assert taken.names == X.names
    assert len(taken) == len(rows)
    assert taken.shape[1] == X.shape[1]
    for item, before in zip(taken.arrays, X.arrays, strict=True):
        assert type(item) is type(before)
        assert to_dense(item).dtype == to_dense(before).dtype
        assert_array_equal(to_dense(item), to_dense(before)[rows])


def test_one_row_keeps_its_axis(X):
    assert X[-1].shape == (1, 19)
    assert X[-1]["image"].shape == (1, 2, 4)
    assert_array_equal(X[-1]["image"][0], X["image"][11])


def test_frame_rows_keep_index_and_columns(X):
    assert list(X[[3, 1]]["frame"].index) == ["row3", "row1"]
    assert list(X[[3, 1]]["frame"].columns) == ["u", "v"]


@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        (12, IndexError, "index 12 is out of bounds"),
        (-13, IndexError, "index -13 is out of bounds"),
        ([0, 12], IndexError, "index 12 is out of bounds"),
        (np.ones(5, dtype=bool), IndexError, "size of axis is 12 but size of corresponding bool"),
        ([True, False], IndexError, "boolean index did not match"),
        ([], IndexError, "selects none of the 12 samples"),
        (slice(3, 3), IndexError, "selects none of the 12 samples"),
        (slice(20, None), IndexError, "selects none of the 12 samples"),
        (np.zeros(12, dtype=bool), IndexError, "selects none of the 12 samples"),
        (([], Ellipsis), IndexError, "selects none of the 12 samples"),
        (1.0, IndexError, "integer"),
        ([0.0, 1.0], IndexError, "integer"),
        (None, IndexError, "integer"),
        (Ellipsis, IndexError, "integer"),
        (True, IndexError, "Rows must be 1-D, got a 0-D key of dtype bool"),
        ([["dense"]], IndexError, "integer"),
        ([[0, 1]], IndexError, "Rows must be 1-D, got a 2-D key of dtype int"),
        ((0, 1), IndexError, "Got keys (0, 1), expected one: X[rows]"),
        ((slice(None), 0), IndexError, 'X["a"] or X[["a", "b"]]'),
        ((0, Ellipsis, 0), IndexError, "expected one"),
        (slice("dense", "image"), TypeError, "slice indices must be integers"),
    ],
)
def test_bad_rows(X, key, error, words):
    with pytest.raises(error, match=re.escape(words)):
        X[key]


def test_slices_share_memory(X):
    for key in (slice(2, 9, 3), 4, (slice(None, None, -1), Ellipsis)):
        part = X[key]
        assert np.shares_memory(part["dense"], X["dense"])
        assert np.shares_memory(part["image"], X["image"])


def test_memmap_is_kept_and_sliced_lazily(memmap):
    X = Modalities({"rows": memmap, "other": np.ones((12, 1))})
    assert X["rows"] is memmap
    part = X[2:5]
    assert isinstance(part["rows"], np.memmap)
    assert np.shares_memory(part["rows"], memmap)
    assert_array_equal(part["rows"][:, 0], [8, 12, 16])
    taken = X[[7, 0]]["rows"]
    assert not np.shares_memory(taken, memmap)
    assert_array_equal(taken[:, 0], [28, 0])


# --- names as keys ------------------------------------------------------------------------


@pytest.mark.parametrize("form", [list, np.array, pd.Index, pd.Series])
def test_list_of_names_selects_and_orders(X, form):
    part = X[form(["image", "dense"])]
    assert part.names == ("image", "dense")
    assert part["image"] is X["image"]
    assert part["dense"] is X["dense"]
    assert len(part) == len(X)
    assert all(type(name) is str for name in part.names)


def test_unknown_name_lists_names_and_suggests(X):
    with pytest.raises(KeyError, match=r"No modality named 'imgae', expected one of \['dense'"):
        X["imgae"]
    with pytest.raises(KeyError, match="Did you mean 'image'"):
        X[["dense", "imgae"]]
    with pytest.raises(KeyError) as info:
        X["zzz"]
    assert "Did you mean" not in str(info.value)


def test_name_twice_is_refused(X):
    with pytest.raises(ValueError, match=re.escape("more than once: ['image']")):
        X[["image", "image"]]


def test_contains_asks_for_names(X):
    assert "image" in X
    assert "modality0" not in X
    assert 0 not in X
    assert X["dense"] not in X


def test_iteration_is_refused(X):
    for loop in (iter, list, lambda X: [*X], lambda X: dict(X)):
        with pytest.raises(TypeError, match=re.escape("X.arrays, X.items()")):
            loop(X)
    with pytest.raises(TypeError):
        reversed(X)


# --- missing rows -------------------------------------------------------------------------


def naive_present(X):
    columns = []
    for item in X.arrays:
        rows = to_dense(item).reshape(len(X), -1)
        columns.append([not all(value != value for value in row) for row in rows])
    return np.array(columns).T


@fast
@given(
    data=st.data(),
    shape=hnp.array_shapes(min_dims=2, max_dims=4, max_side=5),
    chunk=st.sampled_from([1, 3, 2**18]),
)
def test_present_matches_a_loop(data, shape, chunk):
    values = st.sampled_from([0.0, 1.0, np.nan, np.nan])
    dense = data.draw(hnp.arrays(np.float32, shape, elements=values))
    flat = data.draw(hnp.arrays(float, (shape[0], 2), elements=values))
    X = Modalities([dense, pd.DataFrame(flat), np.zeros((shape[0], 1), dtype=int)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_items, "_CHUNK", chunk)
        present = X.present
    assert present.dtype == bool
    assert present.shape == (shape[0], 3)
    assert_array_equal(present, naive_present(X))


def test_present_of_sparse():
    nan = np.nan
    # stored: nothing | one value | all NaN | NaN and a value | NaN in one place only
    data = np.array([1.0, nan, nan, nan, 2.0, nan])
    csr = sparse.csr_array((data, [0, 0, 1, 0, 1, 1], [0, 0, 1, 3, 5, 6]), shape=(5, 2))
    for item in (csr, csr.astype(np.float32), sparse.csr_matrix(csr)):
        assert_array_equal(Modalities([item]).present[:, 0], [True, True, False, True, False])
    # entries behind the last row, as left by a resize, belong to no row
    longer = sparse.csr_array(csr)
    longer.data = np.append(longer.data, nan)
    longer.indices = np.append(longer.indices, 0)
    assert_array_equal(Modalities([longer]).present, Modalities([csr]).present)
    assert Modalities([sparse.csr_array(np.eye(3, dtype=int))]).present.all()


def test_present_of_frames():
    frame = pd.DataFrame(
        {
            "float": [np.nan, 1.0, np.nan],
            "masked": pd.array([None, None, 3], dtype="Int64"),
            "sparse": pd.arrays.SparseArray([np.nan, np.nan, np.nan]),
        }
    )
    assert_array_equal(Modalities([frame]).present[:, 0], [False, True, True])
    assert_array_equal(Modalities([frame.iloc[:, ::-1]]).present[:, 0], [False, True, True])


def test_present_follows_the_array_and_the_rows():
    array = np.ones((4, 2))
    X = Modalities({"a": array, "b": np.ones((4, 1), dtype=bool)})
    assert X.present.all()
    array[2] = np.nan
    assert_array_equal(X.present[:, 0], [True, True, False, True])
    assert_array_equal(X[[2, 0]].present, [[False, True], [True, True]])


def test_present_never_copies_a_memmap_whole(tmp_path):
    array = np.memmap(tmp_path / "big.dat", dtype="f4", mode="w+", shape=(8000, 512))
    array[:] = np.nan
    array[17, 300] = 0
    X = Modalities([array])
    tracemalloc.start()
    present = X.present
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_array_equal(np.flatnonzero(present), [17])
    assert peak < array.nbytes / 4, f"{peak} bytes for an array of {array.nbytes}"


# --- frames -------------------------------------------------------------------------------


def test_frame_keeps_names_that_numpy_would_cut():
    X = Modalities({"a": np.ones((2, 1)), "a\0": np.zeros((2, 2)), "\0": np.ones((2, 3))})
    assert_same(Modalities.from_frame(X.to_frame()), X)
    assert X[["a\0"]].n_features == [2]


@fast
@given(st.data())
def test_frame_round_trip_from_arrays(data):
    n = data.draw(st.integers(1, 5))
    names = data.draw(st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True))
    dtypes = st.sampled_from([np.float64, np.float32, np.int64, np.int8, bool])
    arrays = [
        data.draw(hnp.arrays(data.draw(dtypes), (n, data.draw(st.integers(1, 3))))) for _ in names
    ]
    X = Modalities(arrays, names=names)
    back = Modalities.from_frame(X.to_frame())
    assert_same(back, X)
    assert X.to_frame().shape == X.shape
    assert all(item.flags.writeable and item.flags.c_contiguous for item in back.arrays)


def test_frame_round_trip_from_frame():
    columns = pd.MultiIndex.from_tuples(
        [("text", "b"), ("image", 0), ("text", "a"), ("image", 1)], names=["modality", "feature"]
    )
    df = pd.DataFrame(np.arange(12.0).reshape(3, 4), columns=columns, index=[5, 3, 1])
    X = Modalities.from_frame(df)
    assert X.names == ("text", "image")
    assert_array_equal(X["text"], [[0, 2], [4, 6], [8, 10]])
    assert_array_equal(X["image"], [[1, 3], [5, 7], [9, 11]])
    assert all(type(item) is np.ndarray for item in X.arrays)
    frames = Modalities({name: df[name] for name in X.names})
    expected = df[[("text", "b"), ("text", "a"), ("image", 0), ("image", 1)]]
    pd.testing.assert_frame_equal(frames.to_frame(index=df.index), expected, check_index_type=False)
    assert list(frames.to_frame().index) == [0, 1, 2]
    assert list(frames.to_frame(index=["x", "y", "z"]).index) == ["x", "y", "z"]
    assert df.index.tolist() == [5, 3, 1]


def test_from_frame_finds_one_dtype_for_a_modality():
    df = pd.concat(
        {
            "mixed": pd.DataFrame({"flag": [True, False], "count": [1, 2], "x": [0.5, 1.5]}),
            "masked": pd.DataFrame({"m": pd.array([1, None], dtype="Int64"), "k": [1, 2]}),
            7: pd.DataFrame({"i": np.array([1, 2], dtype=np.int8)}),
        },
        axis=1,
    )
    X = Modalities.from_frame(df)
    assert X.names == ("mixed", "masked", "7")
    assert [item.dtype for item in X.arrays] == [np.float64, np.float64, np.int8]
    assert_array_equal(X["mixed"], [[1, 1, 0.5], [0, 2, 1.5]])
    assert_array_equal(X["masked"], [[1, 1], [np.nan, 2]])


@pytest.mark.parametrize("bad", [pd.DataFrame(ok), ok, None, pd.Series([1.0])])
def test_from_frame_needs_two_levels(bad):
    with pytest.raises(ValueError, match=r"two-level columns, got .* without\. Use pd\.concat"):
        Modalities.from_frame(bad)


def test_from_frame_names_the_modality_at_fault():
    df = pd.concat({"a": pd.DataFrame(ok), "b": pd.DataFrame({"u": [1j] * 10})}, axis=1)
    with pytest.raises(ValueError, match=r"Modality 'b': got dtype complex128 in column"):
        Modalities.from_frame(df)
    clash = pd.concat({1: pd.DataFrame(ok), "1": pd.DataFrame(ok)}, axis=1)
    with pytest.raises(ValueError, match=re.escape("more than once: ['1']")):
        Modalities.from_frame(clash)


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (sparse.csr_array(ok), "(3, float64, sparse)"),
        (np.ones((10, 2, 2)), "(2 x 2, float64, dense)"),
        (pd.concat({"u": pd.DataFrame(ok)}, axis=1), "(3, float64, DataFrame)"),
    ],
)
def test_to_frame_needs_flat_dense_items(item, kind):
    with pytest.raises(ValueError, match=re.escape(f"Modality 'odd' {kind} does not fit")) as info:
        Modalities({"fine": ok, "odd": item}).to_frame()
    assert all(fix in str(info.value) for fix in (".toarray()", ".reshape(len(X), -1)"))


# --- copies and text ----------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(X, protocol):
    assert_same(pickle.loads(pickle.dumps(X, protocol=protocol)), X)


@fast
@given(
    st.dictionaries(
        st.text(min_size=1),
        hnp.arrays(
            hnp.floating_dtypes(endianness="=") | hnp.integer_dtypes(endianness="="), (3, 2)
        ),
        min_size=1,
        max_size=3,
    )
)
def test_pickle_any_arrays(arrays):
    X = Modalities(arrays)
    for other in (pickle.loads(pickle.dumps(X)), copy.deepcopy(X)):
        assert_same(other, X)


def test_copies(X, tmp_path):
    shallow, deep = copy.copy(X), copy.deepcopy(X)
    assert shallow["dense"] is X["dense"]
    assert not np.shares_memory(deep["dense"], X["dense"])
    assert_same(deep, X)
    joblib.dump(X, tmp_path / "X.joblib")
    assert_same(joblib.load(tmp_path / "X.joblib"), X)


def test_joblib_hash_depends_on_data_and_names(X):
    assert joblib.hash(X) == joblib.hash(copy.deepcopy(X))
    renamed = Modalities(X.arrays, names=["a", "b", "c", "d", "e"])
    assert len({joblib.hash(X), joblib.hash(renamed), joblib.hash(X[:-1])}) == 3


def test_repr(X, memmap):
    assert repr(X) == (
        "Modalities(12 samples: dense (3), image (2 x 4), sparse (5, sparse), "
        "frame (2, DataFrame), flag (1))"
    )
    assert repr(Modalities({"a": memmap})[0]) == "Modalities(1 sample: a (4, memmap))"


def test_html_repr_escapes_names(X):
    page = X._repr_html_()
    rows = re.findall("<tr>(.*?)</tr>", page)
    cells = [re.findall("<td>(.*?)</td>", row) for row in rows]
    assert cells == [
        ["modality", "features", "dtype", "kind"],
        ["dense", "3", "float64", "dense"],
        ["image", "2 x 4", "uint8", "dense"],
        ["sparse", "5", "float64", "sparse"],
        ["frame", "2", "mixed", "DataFrame"],
        ["flag", "1", "bool", "dense"],
    ]
    assert "12 samples" in page
    page = Modalities({"<b>&": ok})._repr_html_()
    assert "&lt;b&gt;&amp;" in page
    assert "<b>" not in page


def test_loads_only_numpy_and_scipy():
    tree = ast.parse(
        "\n".join(Path(module.__file__).read_text() for module in (_items, _modalities))
    )
    top = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            top |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            top.add(node.module.split(".")[0])
    assert top - sys.stdlib_module_names == {"numpy", "scipy", "skcentrobind"}


# --- items that are not numbers yet -------------------------------------------------------

TEXTS = ["one", None, "three", "", float("nan"), "six"]


def raw_items():
    """Pairs (item, the rows it must hold, which of them are absent)."""
    words = ["one", "two", "three", "four", "five", "six"]
    gap = np.array([False, True, False, False, True, False])
    nothing = np.zeros(6, dtype=bool)
    objects = np.empty(6, dtype=object)
    objects[:] = [{"a": 1}, None, [1, 2], np.ones(3), np.nan, "x"]
    dates = np.array(["2020-01-01", "NaT", *["2020-01-02"] * 2, "NaT", "2021-01-01"], dtype="M8[D]")
    return {
        "list": (TEXTS, TEXTS, gap),
        "tuple": (tuple(words), words, nothing),
        "strings": (np.array(words), words, nothing),
        "numpy's long strings": (
            np.array(words, dtype=np.dtypes.StringDType()), words, nothing,
        ),
        "objects": (objects, list(objects), gap),
        "series": (pd.Series(TEXTS, index=list("abcdef")), TEXTS, gap),
        "dates": (dates, list(dates), gap),
        "categories": (pd.Series(words, dtype="category"), words, nothing),
    }  # fmt: skip


@pytest.mark.parametrize("kind", raw_items())
@pytest.mark.parametrize(
    "rows", [slice(1, 5, 2), [5, 0, 1], np.arange(6) % 2 == 1, -1, np.array([4])], ids=str
)
def test_rows_of_raw_items(kind, rows):
    item, expected, absent = raw_items()[kind]
    X = Modalities({"raw": item, "numbers": np.arange(12.0).reshape(6, 2)})
    assert len(X) == 6
    assert X.shape == (6, 3)
    assert_array_equal(X.present, np.column_stack([~absent, np.ones(6, dtype=bool)]))
    positions = np.atleast_1d(np.arange(6)[rows])
    assert type(X[rows]["raw"]) is np.ndarray
    for got, i in zip(X[rows]["raw"], positions, strict=True):
        if absent[i]:
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


# --- scikit-learn -------------------------------------------------------------------------


class Joined(ClassifierMixin, BaseEstimator):
    """Naive Bayes on all features side by side; X is a Modalities or the 2-D array of it."""

    def __init__(self, var_smoothing=1e-9, extra=None):
        self.var_smoothing = var_smoothing
        self.extra = extra

    def _join(self, X):
        if not isinstance(X, Modalities):
            assert isinstance(X, np.ndarray), type(X)
            return X
        return join(X)

    def fit(self, X, y):
        self.model_ = GaussianNB(var_smoothing=self.var_smoothing).fit(self._join(X), y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(self._join(X))

    def predict_proba(self, X):
        return self.model_.predict_proba(self._join(X))


def join(X):
    return np.hstack([to_dense(item).reshape(len(X), -1) for item in X.arrays]).astype(float)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = make_mixed(60, rng)
    y = (X["dense"][:, 0] + 0.5 * rng.normal(size=60) > 0).astype(int)
    return X, join(X), y


def test_indexable_and_splitters(data):
    X, flat, y = data
    assert indexable(X, y)[0] is X
    some = np.arange(60) % 7
    for cv, groups in (
        (model_selection.KFold(4), None),
        (model_selection.StratifiedKFold(4, shuffle=True, random_state=0), None),
        (model_selection.GroupKFold(3), some),
        (model_selection.ShuffleSplit(2, random_state=0), None),
        (model_selection.LeavePOut(59), None),
    ):
        pairs = zip(cv.split(X, y, groups), cv.split(flat, y, groups), strict=True)
        for (train, test), (flat_train, flat_test) in pairs:
            assert_array_equal(train, flat_train)
            assert_array_equal(test, flat_test)


def test_as_many_samples_as_modalities_are_split_by_rows():
    arrays = [np.full((3, 2), i) + np.arange(3)[:, None] * 10 for i in range(3)]
    train, test = model_selection.train_test_split(Modalities(arrays), test_size=1, shuffle=False)
    assert train.n_modalities == test.n_modalities == 3
    assert [item[0, 0] for item in test.arrays] == [20, 21, 22]


@pytest.mark.parametrize(
    "tool",
    [
        lambda X, y: model_selection.train_test_split(X, y, stratify=y, random_state=0),
        lambda X, y: model_selection.train_test_split(X, y, shuffle=False),
        lambda X, y: shuffle(X, y, random_state=0),
        lambda X, y: shuffle(X, y, random_state=0, n_samples=5),
        lambda X, y: resample(X, y, random_state=0),
        lambda X, y: resample(X, y, replace=False, n_samples=7, stratify=y, random_state=0),
    ],
)
def test_row_selectors_agree_with_2d(data, tool):
    X, flat, y = data
    for part, flat_part in zip(tool(X, y), tool(flat, y), strict=True):
        if isinstance(part, Modalities):
            assert part.names == X.names
            part = join(part)
        assert_array_equal(part, flat_part)


@pytest.mark.parametrize(
    "tool",
    [
        lambda X, y: model_selection.cross_val_score(Joined(), X, y, error_score="raise"),
        lambda X, y: model_selection.cross_val_predict(Joined(), X, y, method="predict_proba"),
        lambda X, y: model_selection.cross_val_predict(make_pipeline(Joined()), X, y),
        lambda X, y: model_selection.cross_validate(
            Joined(), X, y, return_train_score=True, error_score="raise"
        )["train_score"],
        lambda X, y: np.hstack(
            model_selection.learning_curve(
                Joined(), X, y, shuffle=True, random_state=0, error_score="raise"
            )[1:3]
        ),
        lambda X, y: np.hstack(
            model_selection.validation_curve(
                Joined(),
                X,
                y,
                param_name="var_smoothing",
                param_range=[1e-9, 1.0],
                error_score="raise",
            )
        ),
        lambda X, y: model_selection.permutation_test_score(
            Joined(), X, y, n_permutations=3, random_state=0
        )[1],
    ],
)
def test_evaluation_agrees_with_2d(data, tool):
    X, flat, y = data
    result = tool(X, y)
    assert np.isfinite(result).all()
    assert_array_equal(result, tool(flat, y))


@pytest.mark.parametrize(
    "search",
    [
        lambda grid: model_selection.GridSearchCV(Joined(), grid, error_score="raise"),
        lambda grid: model_selection.RandomizedSearchCV(
            Joined(), grid, n_iter=2, random_state=0, error_score="raise"
        ),
        lambda grid: model_selection.HalvingGridSearchCV(
            Joined(), grid, random_state=0, min_resources=20, error_score="raise"
        ),
    ],
)
def test_searches_agree_with_2d(data, search):
    X, flat, y = data
    grid = {"var_smoothing": [1e-9, 1e-1, 10.0]}
    ours, theirs = search(grid).fit(X, y), search(grid).fit(flat, y)
    for key in ("mean_test_score", "rank_test_score"):
        assert_array_equal(ours.cv_results_[key], theirs.cv_results_[key])
    assert ours.best_params_ == theirs.best_params_
    assert_array_equal(ours.predict(X[:9]), theirs.predict(flat[:9]))
    assert ours.score(X, y) == theirs.score(flat, y)


def test_search_in_other_processes_with_memmapped_arrays():
    rng = np.random.default_rng(0)
    # above 1 MB joblib hands read-only memory maps to its workers
    X = Modalities({"a": rng.normal(size=(1200, 120)), "b": rng.normal(size=(1200, 2))})
    assert X["a"].nbytes > 2**20
    y = (X["b"][:, 0] > 0).astype(int)
    grid = {"var_smoothing": [1e-9, 1.0]}
    scores = [
        model_selection.GridSearchCV(
            Joined(), grid, cv=2, n_jobs=n_jobs, error_score="raise"
        ).fit(X, y).cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    ]  # fmt: skip
    assert_array_equal(*scores)


def test_clone_of_an_estimator_that_holds_one(X):
    copied = clone(Joined(extra=X)).extra
    assert copied is not X
    assert_same(copied, X)


def test_pipeline_memory(data, tmp_path):
    X, flat, y = data
    pipe = make_pipeline("passthrough", Joined(), memory=str(tmp_path))
    assert_array_equal(pipe.fit(X, y).predict(X), Joined().fit(flat, y).predict(flat))


def test_one_array_is_refused_with_advice(X):
    advice = re.escape("Expected one array, got Modalities(12 samples: dense (3)")
    for use in (np.asarray, StandardScaler().fit, lambda X: np.float64(2) * X):
        with pytest.raises(TypeError, match=advice) as info:
            use(X)
        assert "np.hstack(X.arrays)" in str(info.value)
