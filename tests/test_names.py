"""Whole numbers, and suggestions for misspelt words."""

import numpy as np
import pytest

from skcentrobind._names import did_you_mean, is_integer


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
