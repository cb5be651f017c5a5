"""Outputs of transform: blocks, centroids, containers and single modalities."""

import numpy as np
import pytest
import torch
from conftest import WIDTHS
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skcentrobind import Modalities

NAMES = list(WIDTHS)


def test_concat_concatenates_the_blocks(X, binder):
    bind = binder().fit(X)
    Z = bind.transform(X)
    assert Z.shape == (40, 12)
    assert_array_equal(Z, np.hstack(bind.transform_modalities(X).arrays))
    names = [f"{name}_{i}" for name in NAMES for i in range(4)]
    assert list(bind.get_feature_names_out()) == names


def test_mean_is_the_centroid(X, binder):
    bind = binder(output="mean").fit(X)
    Z = bind.transform(X)
    assert Z.shape == (40, 4)
    assert_allclose(Z, np.mean(bind.transform_modalities(X).arrays, axis=0), atol=1e-6)
    assert list(bind.get_feature_names_out()) == ["mean_0", "mean_1", "mean_2", "mean_3"]


def test_transform_modalities_is_a_container_of_unit_rows(X, binder):
    embedded = binder().fit(X).transform_modalities(X)
    assert isinstance(embedded, Modalities)
    assert list(embedded.names) == NAMES
    for Z in embedded.arrays:
        assert Z.dtype == np.float32
        assert_allclose(np.linalg.norm(Z, axis=1), 1, atol=1e-6)


def test_transform_modality_by_name_and_by_position(X, binder):
    bind = binder().fit(X)
    embedded = bind.transform_modalities(X)
    for m, name in enumerate(NAMES):
        for key in (name, m, m - 3, np.int64(m)):
            assert_array_equal(bind.transform_modality(X[name], key), embedded[name])
    assert_array_equal(
        bind.transform_modality(torch.from_numpy(X["text"]), "text"), embedded["text"]
    )
    assert_allclose(
        bind.transform_modality(X["text"][3:5], "text"), embedded["text"][3:5], atol=1e-6
    )


def test_outputs_are_float32_whatever_comes_in(X, binder):
    for dtype in (np.float16, np.float32, np.float64, np.longdouble):
        data = [array.astype(dtype) for array in X.arrays]
        assert binder().fit(data).transform(data).dtype == np.float32
    for dtype in (np.uint8, np.int64, bool):
        data = [(array > 0).astype(dtype) for array in X.arrays]
        assert_array_equal(
            binder().fit_transform(data),
            binder().fit_transform([array.astype(np.float64) for array in data]),
        )


def test_encoders_and_scalers_do_what_transform_does(X, binder):
    bind = binder().fit(X)
    rows = bind.scalers_["text"].transform(X["text"]).astype(np.float32)
    with torch.no_grad():
        Z = bind.encoders_["text"](torch.from_numpy(rows)).numpy()
    assert_allclose(Z, bind.transform_modality(X["text"], "text"), atol=1e-6)


def test_one_modality(X, binder):
    bind = binder(max_epochs=20).fit(X["text"])
    assert bind.transform(X["text"]).shape == (40, 4)
    assert bind.modality_names_ == ["modality0"]
    assert bind.loss_curve_[-1] < bind.loss_curve_[0]
    assert_array_equal(bind.transform([X["text"]]), bind.transform(X["text"]))


def test_rows_are_embedded_independently(X, binder):
    bind = binder().fit(X)
    arrays = {name: array.copy() for name, array in X.items()}
    for array in arrays.values():
        array[7] = 100.0
    others = np.arange(40) != 7
    changed, before = bind.transform(arrays), bind.transform(X)
    assert_allclose(changed[others], before[others], atol=1e-6)
    assert np.abs(changed[7] - before[7]).max() > 0.01
    assert_allclose(bind.transform(X[5:9]), before[5:9], atol=1e-6)


def test_many_rows_are_embedded_in_pieces(X, centro, monkeypatch):
    bind = centro().fit(X)
    expected = bind.transform(X)
    monkeypatch.setattr("skcentrobind._encoders.module._ENCODE_ROWS", 7)
    assert_allclose(bind.transform(X), expected, atol=1e-6)


@pytest.mark.parametrize("params", [{}, {"standardize": False}, {"encoder": nn.Linear}], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_data_are_not_changed(incomplete, binder, params, dtype):
    arrays = [array.astype(dtype) for array in incomplete.arrays]
    kept = [array.copy() for array in arrays]
    bind = binder(**params).fit(arrays)
    bind.transform(arrays)
    bind.score(arrays)
    bind.partial_fit(arrays)
    for array, original in zip(arrays, kept, strict=True):
        assert_array_equal(array, original)
