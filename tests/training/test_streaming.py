"""Memory maps and large arrays: read batch by batch, to the numbers of arrays in memory."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from torch import nn

from skcentrobind import CentroBindTransformer, Modalities
from skcentrobind._estimators import space as _space
from skcentrobind._training import net as _net
from skcentrobind._training.net import BindData
from skcentrobind._training.streaming import StreamedRows

SMALL = {"n_components": 4, "hidden_layer_sizes": (6,), "batch_size": 16, "max_epochs": 3}
SMALL |= {"random_state": 0, "device": "cpu"}


def binder(**params):
    return CentroBindTransformer(**SMALL | params)


def flat_linear(n_features, n_components):
    return nn.Sequential(nn.Flatten(), nn.Linear(n_features, 3))


@pytest.fixture
def arrays(incomplete):
    rng = np.random.default_rng(0)
    image = rng.normal(size=(len(incomplete), 2, 3)).astype(np.float32)
    return {**dict(incomplete.items()), "video": image}


@pytest.fixture
def mapped(arrays, tmp_path):
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    return {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in arrays}


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"pretrain_epochs": 2}])
@pytest.mark.parametrize("encoder", ["residual", "own"])
def test_same_numbers_bit_for_bit(arrays, mapped, params, encoder):
    if encoder == "own":
        encoder = dict.fromkeys(arrays, "mlp") | {"video": flat_linear}
    fits = [binder(encoder=encoder, **params).fit(X) for X in (arrays, mapped)]
    assert fits[0].loss_curve_ == fits[1].loss_curve_
    assert_array_equal(fits[0].transform(arrays), fits[1].transform(mapped))
    assert fits[0].score(arrays) == fits[1].score(mapped)


def test_large_arrays_are_streamed(arrays, monkeypatch):
    expected = binder().fit(arrays).transform(arrays)
    data = []
    from_modalities = BindData.from_modalities.__func__

    def spy(cls, *args, **kwargs):
        data.append(from_modalities(cls, *args, **kwargs))
        return data[-1]

    monkeypatch.setattr(BindData, "from_modalities", classmethod(spy))
    monkeypatch.setattr(_net, "_COPY_BYTES", 100)
    assert_array_equal(binder().fit(arrays).transform(arrays), expected)
    assert all(isinstance(x, StreamedRows) for x in data[0].inputs)


@pytest.mark.parametrize("rows", [None, np.array([1, 4, 5, 8, 9])])
def test_rows_come_in_the_requested_order(rows, tmp_path):
    x = np.arange(30.0).reshape(10, 3)
    stream = StreamedRows(["x"], [x], [None], rows, "cpu")
    some = torch.tensor([3, 0, 4, 0])
    expected = x[some] if rows is None else x[rows[some]]
    for each in (stream, pickle.loads(pickle.dumps(stream))):
        assert len(each) == (10 if rows is None else 5)
        assert_array_equal(each.index_select(0, some), expected)


def test_pickled_estimator_leaves_the_file_where_it_is(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 50))
    np.save(tmp_path / "x.npy", x)
    X = {"x": np.load(tmp_path / "x.npy", mmap_mode="r"), "y": x[:, :3]}
    bind = binder(early_stopping=True, validation_fraction=0.01, max_epochs=1, batch_size=512).fit(
        X
    )
    assert len(pickle.dumps(bind)) < x.nbytes / 4


def test_transform_modality_writes_into_an_array(arrays, mapped, tmp_path):
    bind = binder().fit(mapped)
    file = np.lib.format.open_memmap(tmp_path / "z.npy", "w+", np.float32, (40, 4))
    file[:] = 7
    for name, x in mapped.items():
        assert bind.transform_modality(x, name, out=file) is file
        assert_array_equal(file, bind.transform_modality(arrays[name], name))
        missing = ~Modalities([arrays[name]]).present[:, 0]
        assert np.isnan(file[missing]).all()
    with pytest.raises(ValueError, match=r"out must be an array of shape \(40, 4\), got \(40, 3\)"):
        bind.transform_modality(mapped["text"], "text", out=np.empty((40, 3)))


@pytest.mark.parametrize("output", ["concat", "mean"])
def test_transform_writes_into_an_array(arrays, mapped, tmp_path, output, monkeypatch):
    bind = binder(output=output).fit(mapped)
    expected = bind.transform(arrays)
    monkeypatch.setattr(_space, "_TRANSFORM_ROWS", 7)
    assert_allclose(bind.transform(arrays), expected, atol=1e-6)
    file = np.lib.format.open_memmap(tmp_path / "z.npy", "w+", np.float32, expected.shape)
    assert bind.transform(mapped, out=file) is file
    assert_allclose(file, expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"out must be an array of shape \(40, \d+\), got \(40,\)"):
        bind.transform(mapped, out=file[:, 0])


@pytest.mark.parametrize("method", ["transform", "transform_modality"])
def test_arrays_that_cannot_be_written_to(arrays, tmp_path, method):
    bind = binder(output="mean").fit(arrays)
    X = [arrays] if method == "transform" else [arrays["text"], "text"]
    write = getattr(bind, method)
    expected = write(*X)
    half = np.zeros((40, 8), np.float16)[:, ::2]  # neither contiguous nor float32
    assert write(*X, out=half) is half
    assert_allclose(half, expected, atol=1e-3)
    for dtype in (int, bool, complex, object, "U9"):
        with pytest.raises(ValueError, match="out must hold floating-point numbers, got dtype"):
            write(*X, out=np.zeros((40, 4), dtype))
    for other in (torch.zeros(40, 4), expected.tolist()):
        with pytest.raises(TypeError, match=r"out must be a numpy array of shape \(40, 4\), got"):
            write(*X, out=other)
    np.save(tmp_path / "z.npy", expected)
    with pytest.raises(ValueError, match=r"out is read-only.*'r\+'"):
        write(*X, out=np.load(tmp_path / "z.npy", mmap_mode="r"))


def test_an_array_to_write_to_keeps_the_index_of_frames(arrays):
    index = pd.RangeIndex(100, 140)
    X = {name: pd.DataFrame(x.reshape(40, -1), index=index) for name, x in arrays.items()}
    bind = binder().set_output(transform="pandas").fit(X)
    out = np.zeros((40, 16))
    Z = bind.transform(X, out=out)
    assert_array_equal(Z.index, index)
    assert_array_equal(Z, out)


def test_out_is_no_metadata():
    with config_context(enable_metadata_routing=True):
        assert "out" not in str(binder().get_metadata_routing())


def test_chunks_from_an_iterator(mapped):
    steps, again = binder(), binder()
    for start in range(0, 40, 20):
        steps.partial_fit({name: x[start : start + 20] for name, x in mapped.items()})
        again.partial_fit({name: np.array(x[start : start + 20]) for name, x in mapped.items()})
    assert steps.loss_curve_ == again.loss_curve_
    assert len(steps.loss_curve_) == 2
