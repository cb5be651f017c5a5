"""Values in a file: they come back with their types, and other values are refused."""

import enum
import json
from collections import OrderedDict, UserDict, namedtuple
from fractions import Fraction
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from skcentrobind import CentroBindTransformer, load
from skcentrobind._persistence.plain import from_plain, to_plain
from skcentrobind.anchors import WeightedAnchor

pytest.importorskip("safetensors", reason="the extra `save` is not installed")


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        0.1,
        "text",
        [1, [2.5, "a"]],
        (1, (2, [3])),
        {"a": 1, 2: (3,), None: slice(1, None, 2)},
        slice(None),
        {"$tuple": [1]},
        range(3, 9, 2),
        {1, 2},
        {"a": range(2), "b": {"c": range(0)}},
    ],
)
def test_values_come_back_with_their_types(value):
    back = from_plain(json.loads(json.dumps(to_plain(value))))
    assert back == value
    assert repr(back) == repr(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.array(["a", "bc"]),
        np.array(["a"], dtype=object),
        np.array(["a", 1, None], dtype=object),
        np.array([np.nan, np.inf]),
    ],
)
def test_arrays_come_back(array):
    back = from_plain(json.loads(json.dumps(to_plain(array))))
    assert back.dtype == array.dtype
    assert_array_equal(back, array)


@pytest.mark.parametrize("value", [print, 1j, iter([1]), [nn.ReLU()], {"a": object()}, int])
def test_what_is_not_data_is_refused(value):
    with pytest.raises(TypeError):
        to_plain(value)


class Kind(enum.StrEnum):
    MEAN = "mean"


class Size(enum.IntEnum):
    SMALL = 4


Pair = namedtuple("Pair", "first second")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Kind.MEAN, "mean"),
        (Size.SMALL, 4),
        (Pair(1, 2), (1, 2)),
        (OrderedDict(a=1), {"a": 1}),
        (UserDict(a=(1,)), {"a": (1,)}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        ({"a": 1}.keys(), {"a"}),
        ({"a": 1}.values(), [1]),
    ],
)
def test_relatives_of_plain_values_become_plain(value, expected):
    back = from_plain(json.loads(json.dumps(to_plain(value))))
    assert back == expected
    assert type(back) is type(expected)


@pytest.mark.parametrize(
    "value", [pd.Index(["a", "b"]), pd.Series([1, 2]), torch.tensor([1.0, 2.0], requires_grad=True)]
)
def test_other_arrays_become_arrays(value):
    back = from_plain(json.loads(json.dumps(to_plain(value))))
    assert isinstance(back, np.ndarray)
    assert back.tolist() == value.tolist()


def test_the_global_state_of_numpy_stays_itself():
    assert from_plain(to_plain(np.random)) is np.random


PICTURE = np.random.default_rng(0).normal(size=(30, 8))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("modalities", {"a": range(4), "b": range(4, 8)}),
        ("modalities", [pd.Index(range(4)), pd.Series([4, 5, 6, 7])]),
        ("modalities", [np.arange(4), torch.arange(4, 8)]),
        ("modalities", np.array([4, 4])),
        ("modalities", UserDict(a=4, b=4)),
        ("modalities", [{0: 1, 3: 1}.keys(), (1, 2)]),
        ("temperature", Fraction(1, 5)),
        ("temperature", np.float32(0.25)),
        ("learning_rate", OrderedDict(modality0=1e-3, modality1=1e-2)),
        ("aggregator", WeightedAnchor(torch.tensor([1.0, 2.0]))),
        ("aggregator", Kind.MEAN),
        ("n_components", Size.SMALL),
        ("hidden_layer_sizes", Pair(4, 3)),
        ("random_state", np.random),
        ("device", torch.device("cpu")),
        ("regularizers", MappingProxyType({"uniformity": 0.1})),
    ],
)
def test_what_fit_accepts_can_be_saved(name, value, path):
    """Either fit refuses a value, or the file keeps it and no code has to be passed again."""
    params = {"modalities": [4, 4], "max_epochs": 1, "n_components": 4} | {name: value}
    bind = CentroBindTransformer(**{"random_state": 0, **params})
    try:
        expected = bind.fit(PICTURE).transform(PICTURE)
    except (TypeError, ValueError) as exc:
        assert name in str(exc)
        return
    bind.save(path)
    loaded = load(path)
    assert loaded.transform(PICTURE).tobytes() == expected.tobytes()
    assert loaded.partial_fit(PICTURE).loss_curve_ == bind.partial_fit(PICTURE).loss_curve_
