"""Three modalities of 40 rows, faulty copies of them, and estimators that fit them quickly."""

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
from conftest import QUICK, draw

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer, Modalities

DATA = dict(draw()[0].items())
IMAGE, TEXT, AUDIO = DATA.values()
MATRIX = np.hstack([IMAGE, TEXT, AUDIO])
FLAT = pd.DataFrame(MATRIX, columns=[f"f{i}" for i in range(15)])
FRAME = Modalities(DATA).to_frame()
PUNCHED = np.where(MATRIX[2, 3] == MATRIX, np.nan, MATRIX)
TALL = np.random.default_rng(0).normal(size=(40, 8, 8))


def centro(**params):
    return CentroBindTransformer(**{**QUICK, **params})


def fixed(**params):
    return FixedAnchorBindTransformer(**{**QUICK, "pretrain_epochs": 1, **params})


@cache
def fitted():
    return centro().fit(DATA)


def text(array):
    """The data with another text."""
    return {**DATA, "text": array}


def put(value, rows=3, columns=1):
    """The data with a value at some positions of the text."""
    array = TEXT.copy()
    array[rows, columns] = value
    return text(array)


def alternating():
    """Rows that have the image or the text, never both."""
    even = (np.arange(40) % 2 == 0)[:, None]
    return {"image": np.where(even, IMAGE, np.nan), "text": np.where(even, np.nan, TEXT)}


V, T = ValueError, TypeError
NEEDS_FORMS = ["list or dict of arrays", "Modalities", "DataFrame", "(n_samples, n_features)"]


def assert_refused(act, exception, words):
    """The call fails with this exception, whose message holds all the words, in any order."""
    everywhere = "".join(f"(?=.*{re.escape(word)})" for word in words)
    with pytest.raises(exception, match=f"(?s)^{everywhere}"):
        act()
