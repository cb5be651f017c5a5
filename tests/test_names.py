"""Whole numbers, and suggestions for misspelt words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skcentrobind._names import did_you_mean, is_integer, per_modality, position_of


@pytest.mark.parametrize("value", [0, -3, 2**70, np.int8(1), np.uint64(5)])
def test_integers(value):
    assert is_integer(value)


@pytest.mark.parametrize("value", [True, np.True_, 1.0, np.float64(2), "1", None, [1], np.ones(1)])
def test_other_values_are_no_integers(value):
    assert not is_integer(value)


@pytest.mark.parametrize(
    ("word", "candidates", "hint"),
    [
        ("imgae", ["image", "text"], " Did you mean 'image'?"),
        ("X10", ("X1", "X2"), " Did you mean 'X1'?"),
        ("1_", [10, 1], " Did you mean '1'?"),
        ("sound", ["image", "text"], ""),
        (7, ["X7"], ""),
        (None, ["None"], ""),
        ("image", [], ""),
    ],
)
def test_did_you_mean(word, candidates, hint):
    assert did_you_mean(word, candidates) == hint


names = st.lists(
    st.integers(-3, 3).map(str) | st.sampled_from(["image", "text"]),
    min_size=1,
    max_size=5,
    unique=True,
)


@given(names, st.integers(-6, 6) | st.sampled_from(["image", "-1", "1", "audio"]))
def test_a_name_comes_before_a_position(names, key):
    if str(key) in names:
        expected = names.index(str(key))
    elif isinstance(key, int) and -len(names) <= key < len(names):
        expected = list(range(len(names)))[key]
    else:
        expected = None
    assert position_of(key, names) == expected
    if isinstance(key, int):
        assert position_of(np.int8(key), names) == expected
    else:
        assert position_of(np.str_(key), names) == expected


@pytest.mark.parametrize("key", [True, np.True_, 1.0, None, [1], (0,)])
def test_other_keys_are_no_modalities(key):
    assert position_of(key, ["1", "0", "True", "None"]) is None


def test_values_by_name_may_have_numbers_as_keys():
    assert per_modality({1: "one", 0: "zero"}, ["0", "1"], "p") == ["zero", "one"]
    assert per_modality({np.int64(1): "one", "0": "zero"}, ["1", "0"], "p") == ["one", "zero"]
    with pytest.raises(ValueError, match=r"duplicate names: \['1'\]"):
        per_modality({1: "one", "1": "two", 0: "zero"}, ["0", "1"], "p")
