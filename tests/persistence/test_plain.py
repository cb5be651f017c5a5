"""Values in a file: they come back with their types, and other values are refused."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from torch import nn

from skcentrobind._persistence.plain import from_plain, to_plain

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
    ],
)
def test_values_come_back_with_their_types(value):
    back = from_plain(json.loads(json.dumps(to_plain(value))))
    assert back == value
    assert repr(back) == repr(value)


@pytest.mark.parametrize(
    "array", [np.arange(6.0).reshape(2, 3), np.array(["a", "bc"]), np.array(["a"], dtype=object)]
)
def test_arrays_come_back(array):
    back = from_plain(json.loads(json.dumps(to_plain(array))))
    assert back.dtype == array.dtype
    assert_array_equal(back, array)


@pytest.mark.parametrize("value", [print, 1j, {1, 2}, [nn.ReLU()], {"a": object()}, int])
def test_what_is_not_data_is_refused(value):
    with pytest.raises(TypeError):
        to_plain(value)
