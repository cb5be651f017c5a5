"""The table of describe equals one that is counted by loops, and finds what fit warns of."""

import numpy as np
import pandas as pd
import pytest
from conftest import QUICK, fast
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from skcentrobind import CentroBindTransformer, Modalities, describe

COUNTS = ["samples", "features", "missing", "incomplete", "constant", "duplicates"]


def counted(array):
    """The same numbers, by loops over the values."""
    array = np.asarray(array, dtype=float).reshape(len(array), -1)
    missing = [i for i, row in enumerate(array) if all(np.isnan(v) for v in row)]
    rest = [i for i in range(len(array)) if i not in missing]
    used = [i for i in rest if all(np.isfinite(v) for v in array[i])]
    found = {
        "samples": len(array),
        "features": array.shape[1],
        "missing": len(missing),
        "incomplete": len(rest) - len(used),
    }
    if not used:
        return found
    found["constant"] = sum(len({array[i, j] for i in used}) == 1 for j in range(array.shape[1]))
    found["duplicates"] = sum(
        any(tuple(array[i]) == tuple(array[k]) for k in used[:n]) for n, i in enumerate(used)
    )
    z, shares = np.zeros((len(used), array.shape[1])), np.zeros(len(used))
    for j in range(array.shape[1]):
        values = [array[i, j] for i in used]
        distances = [abs(v - np.median(values)) for v in values]
        scale = np.median(distances) / 0.6744897501960817
        if scale == 0:
            scale = np.median([d for d in distances if d > 0] or [1.0])
        z[:, j] = [d / scale for d in distances]
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        if variance > 0:
            shares += [(v - mean) ** 2 / variance for v in values]
    total = shares.sum()
    found["max_z"] = z.max()
    found["max_share"] = (shares / total).max() if total else 0.0
    return found


VALUES = st.one_of(st.integers(-3, 3).map(float), st.sampled_from([np.nan, 1e6, -9999.0, -0.0]))
MATRICES = st.tuples(st.integers(1, 12), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=VALUES)
)


@fast
@given(MATRICES)
def test_every_number_equals_loops(array):
    row = describe({"a": array}).loc["a"]
    for name, value in counted(array).items():
        assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-12), name


@fast
@given(MATRICES)
def test_sparse_rows_have_the_counts_of_dense_ones(array):
    array = np.where(np.isnan(array), 0, array)
    dense, csr = describe([array]).iloc[0], describe([sparse.csr_array(array)]).iloc[0]
    assert list(dense[COUNTS]) == list(csr[COUNTS])
    assert csr["max_z"] == pytest.approx(dense["max_z"])


def test_blocks_of_features_change_nothing(monkeypatch):
    array = np.random.default_rng(0).integers(0, 3, size=(50, 6)).astype(float)
    array[[3, 9]] = np.nan
    whole = describe([array])
    monkeypatch.setattr("skcentrobind._data.robust._CHUNK_VALUES", 60)
    pd.testing.assert_frame_equal(describe([array]), whole)


def test_every_form(tmp_path):
    rng = np.random.default_rng(0)
    image, table = rng.normal(size=(20, 4, 4)), pd.DataFrame(rng.normal(size=(20, 3)))
    words = pd.DataFrame({"a": ["x", None] * 10, "b": [1, 2] * 10})
    stored = np.memmap(tmp_path / "rows", dtype="f4", mode="w+", shape=(20, 2))
    stored[:] = rng.normal(size=(20, 2))
    X = {
        "image": image,
        "table": table,
        "words": words,
        "stored": stored,
        "counts": sparse.csr_array(np.eye(20)),
        "text": ["a"] * 18 + [None, "b"],
        "flags": np.ones((20, 2), dtype=bool),
    }
    found = describe(X)
    assert list(found.index) == list(X)
    assert found.index.name == "modality"
    assert list(found["features"]) == [16, 3, 2, 2, 20, 1, 2]
    assert list(found["missing"]) == [0, 0, 0, 0, 0, 1, 0]
    assert list(found["incomplete"]) == [0, 0, 10, 0, 0, 0, 0]
    assert list(found["duplicates"]) == [0, 0, 18, 0, 0, 17, 19]
    assert list(found["constant"]) == [0, 0, 0, 0, 0, 0, 2]
    assert list(found["dtype"])[:2] == ["float64", "float64"]
    assert found.loc["image", "bytes"] == image.nbytes
    assert (found["bytes"] > 0).all()
    assert "<table" in found._repr_html_()


def test_a_matrix_is_cut_as_by_an_estimator():
    X = np.random.default_rng(0).normal(size=(20, 7))
    found = describe(X, modalities={"a": 3, "b": 4})
    pd.testing.assert_frame_equal(found, describe({"a": X[:, :3], "b": X[:, 3:]}))
    assert describe(X).loc["modality0", "features"] == 7


def test_data_that_fit_refuses_can_be_described():
    X = np.random.default_rng(0).normal(size=(20, 3))
    X[2, 1], X[5, 0], X[7] = np.nan, np.inf, np.nan
    row = describe([X]).iloc[0]
    assert (row["missing"], row["incomplete"]) == (1, 2)
    with pytest.raises(ValueError, match="row 2"):
        CentroBindTransformer(**QUICK).fit([X])


def test_nothing_but_missing_rows():
    row = describe({"a": np.full((3, 2), np.nan), "b": np.ones((3, 1))}).loc["a"]
    assert row["missing"] == 3
    assert np.isnan(row["max_z"])


@pytest.mark.parametrize("bad", [None, 3, [], {}, {"a": np.ones((3, 2)), "b": np.ones((4, 2))}])
def test_no_modalities_are_an_error(bad):
    with pytest.raises((TypeError, ValueError)):
        describe(bad)


def test_it_takes_modalities():
    X = Modalities({"a": np.arange(6.0).reshape(3, 2)})
    assert describe(X).loc["a", "samples"] == 3
