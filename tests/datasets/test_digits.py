"""The shipped digits: the source bit by bit, loaded without torch."""

import hashlib
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcentrobind._data.modalities import Modalities
from skcentrobind.datasets import load_multiple_features

FEATURES = {"fou": 76, "fac": 216, "kar": 64, "pix": 240, "zer": 47, "mor": 6}


def test_digits_bunch():
    digits = load_multiple_features()
    assert set(digits) == {"data", "target", "target_names", "feature_names", "DESCR"}
    assert isinstance(digits.data, Modalities)
    assert list(digits.data.names) == list(FEATURES)
    assert list(digits.data.n_features) == list(FEATURES.values())
    assert list(digits.target_names) == [str(k) for k in range(10)]
    assert {name: len(columns) for name, columns in digits.feature_names.items()} == FEATURES
    assert digits.feature_names["mor"][-1] == "mor_5"


def test_digits_description_carries_source_and_licence():
    text = load_multiple_features().DESCR
    for needed in ("R. Duin", "10.24432/C5HC70", "CC BY 4.0", *FEATURES):
        assert needed in text


def test_digits_classes():
    y = load_multiple_features().target
    assert np.issubdtype(y.dtype, np.integer)
    np.testing.assert_array_equal(np.bincount(y), [200] * 10)
    assert np.all(np.diff(y) >= 0)  # as the docstring says: sorted


def test_digits_values():
    X = load_multiple_features().data
    for array in X.arrays:
        assert array.dtype == np.float64
        assert len(array) == 2000
        assert np.isfinite(array).all()
        assert array.flags.c_contiguous
    np.testing.assert_array_equal(np.unique(X["pix"]), np.arange(7))
    np.testing.assert_array_equal(X["fac"], np.rint(X["fac"]))
    assert X["fou"].min() >= 0
    assert X["fou"].max() <= 1
    assert X["kar"].min() < 0 < X["kar"].max()


def test_digits_equal_the_source_bit_by_bit():
    # The hash of the numbers that the packing script read from the CSV files.
    with (files("skcentrobind.datasets") / "data" / "multiple_features.npz").open("rb") as file:
        expected = str(np.load(file)["sha256"])
    total = hashlib.sha256()
    for array in load_multiple_features().data.arrays:
        total.update(array.astype("<f8").tobytes())
    assert total.hexdigest() == expected


def test_digits_both_forms_agree():
    digits = load_multiple_features()
    X, y = load_multiple_features(return_X_y=True)
    np.testing.assert_array_equal(y, digits.target)
    assert list(X.names) == list(digits.data.names)
    for name in X.names:
        np.testing.assert_array_equal(X[name], digits.data[name])


def test_digits_calls_share_no_memory():
    first, _ = load_multiple_features(return_X_y=True)
    second, _ = load_multiple_features(return_X_y=True)
    assert not np.shares_memory(first["fou"], second["fou"])


@pytest.mark.parametrize(("name", "floor"), [("fac", 0.9), ("pix", 0.9), ("mor", 0.6)])
def test_digits_feature_sets_distinguish_the_digits(name, floor):
    X, y = load_multiple_features(return_X_y=True)
    train, test = train_test_split(np.arange(len(y)), random_state=0, stratify=y)
    lda = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1))
    assert lda.fit(X[name][train], y[train]).score(X[name][test], y[test]) > floor


def test_datasets_load_without_torch():
    code = (
        "import sys, skcentrobind.datasets as datasets\n"
        "datasets.load_multiple_features()\n"
        "datasets.make_multimodal_gmm(10, random_state=0)\n"
        "print(*sorted({'torch', 'skorch', 'matplotlib'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert result.stdout.strip() == ""
