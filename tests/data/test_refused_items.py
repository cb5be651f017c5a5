"""What Modalities refuses, and its messages."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy
from scipy import sparse
from sklearn.utils.fixes import parse_version

from skcentrobind._data.modalities import Modalities

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
    assert "fill those of samples without the modality with NaN" in message
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
        (["a", "a"], ValueError, ["duplicate names: ['a']", "('a', 'a')", "a name of its own"]),
        ([1, "1"], ValueError, ["duplicate names: ['1']"]),
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
