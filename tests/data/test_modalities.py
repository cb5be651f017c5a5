"""Contents, names, copies and text of a Modalities container."""

import ast
import copy
import pickle
import re
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mixed_items import assert_same, make_mixed
from numpy.testing import assert_array_equal
from scipy import sparse

from skcentrobind._data import modalities as _modalities
from skcentrobind._data.modalities import Modalities

fast = settings(deadline=None, max_examples=50)


@pytest.fixture
def X():
    return make_mixed(12, np.random.default_rng(0))


ok = np.ones((10, 3))


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
        with pytest.raises(ValueError, match="duplicate names"):
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
    tensor = torch.arange(6.0, requires_grad=True).reshape(3, 2)
    X = Modalities({"text": tensor})
    assert type(X["text"]) is np.ndarray
    assert_array_equal(X["text"], [[0, 1], [2, 3], [4, 5]])
    rounded = Modalities({"text": tensor.to(torch.bfloat16)})["text"]
    assert rounded.dtype == np.float32
    assert_array_equal(rounded, X["text"])
    with pytest.raises(ValueError, match=r"'text': got a Tensor that cannot.*\.float\(\)"):
        Modalities({"text": tensor.detach().to_sparse()})


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
    with pytest.raises(ValueError, match=re.escape("duplicate names: ['image']")):
        X[["image", "image"]]


def test_contains_takes_names(X):
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
    tree = ast.parse(Path(_modalities.__file__).read_text())
    top = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            top |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            top.add(node.module.split(".")[0])
    assert top - sys.stdlib_module_names == {"numpy", "scipy", "skcentrobind"}


# --- immutability -------------------------------------------------------------------------


def test_attributes_cannot_be_set_or_removed():
    X = Modalities({"a": np.ones((3, 2))})
    for name in ("arrays", "names", "labels"):
        with pytest.raises(AttributeError, match=f"immutable, so '{name}' cannot be set"):
            setattr(X, name, ())
    with pytest.raises(AttributeError):
        del X.arrays
    assert X.names == ("a",) and len(X.arrays) == 1


def test_copies_and_pickles_are_equal():
    X = Modalities({"a": np.arange(6.0).reshape(3, 2), "b": ["x", None, "z"]})
    for other in (copy.copy(X), copy.deepcopy(X), pickle.loads(pickle.dumps(X))):
        assert type(other) is Modalities and other.names == X.names
        assert all(map(np.array_equal, other.arrays, X.arrays))
        with pytest.raises(AttributeError, match="immutable"):
            other.names = ("c", "d")
