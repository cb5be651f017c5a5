"""Warnings name the line of the user's call, not one inside the package, torch or scikit-learn."""

import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import quick_centro
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback

from skcentrobind import Modalities, metrics

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 4))
CONSTANT = np.column_stack([B, np.ones(40)])
APART = [np.where(np.arange(40)[:, None] % 2 == k, a, np.nan) for k, a in enumerate((A, B))]
CODE = np.where(np.arange(40)[:, None] == 7, -9999, B)


class Keeps(Callback):
    """Keeps what no file of data can hold."""

    def on_epoch_end(self, net, **kwargs):
        self.kept_ = object()


def columns(array, letter):
    return pd.DataFrame(array, columns=[f"{letter}{i}" for i in range(array.shape[1])])


def save(tmp_path):
    quick_centro(callbacks=[Keeps()]).fit([A, B]).save(tmp_path / "bind")


def names(tmp_path):
    quick_centro().fit([columns(A, "a"), columns(B, "b")]).transform([A, B])


CALLS = {
    "of 5 columns are constant": lambda path: quick_centro().fit([A, CONSTANT]),
    "1 of 5 columns": lambda path: quick_centro().partial_fit([A, CONSTANT]),
    "columns are constant": lambda path: Pipeline([("b", quick_centro())]).fit([A, CONSTANT]),
    "are constant": lambda path: GridSearchCV(quick_centro(), {"temperature": [0.2]}, cv=2).fit(
        Modalities([A, CONSTANT])
    ),
    "shares fewer than 2 samples": lambda path: quick_centro(init="random").fit(APART),
    "row 7 alone holds": lambda path: quick_centro().fit([A, CODE]),
    "does not have valid feature names": names,
    "A file of data cannot keep": save,
    "other candidates are exactly as similar": lambda path: metrics.mean_reciprocal_rank(
        [np.ones((30, 2)), np.ones((30, 2))]
    ),
}


@pytest.mark.parametrize("message", CALLS)
def test_the_line_is_the_users(message, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CALLS[message](tmp_path)
    own = [w for w in caught if message in str(w.message)]
    assert own
    assert {w.filename for w in own} == {__file__}
