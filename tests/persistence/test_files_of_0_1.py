"""Files and pickles of version 0.1: files give the same embeddings, pickles say why not."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import skcentrobind
from skcentrobind import CentroBindTransformer, load

#: Files that version 0.1.0 saved, the input, and the embeddings that it computed from it.
FOLDER = Path(__file__).parent / "saved_0_1"
FILES = sorted(path.stem for path in FOLDER.glob("*.safetensors"))


@pytest.fixture(scope="module")
def stored():
    return {part: dict(np.load(FOLDER / f"{part}.npz")) for part in ("input", "expected")}


def test_the_files_are_there():
    assert FILES == ["centrobind", "centrobind_options", "fixed_anchor", "symile"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_gives_the_embeddings_of_the_version_that_saved_it(name, stored, tmp_path):
    bind = load(FOLDER / f"{name}.safetensors")
    assert_allclose(bind.transform(stored["input"]), stored["expected"][name], atol=1e-6)
    bind.save(tmp_path / "again.safetensors")
    again = load(tmp_path / "again.safetensors")
    assert_array_equal(again.transform(stored["input"]), bind.transform(stored["input"]))
    bind.partial_fit(stored["input"])
    again.partial_fit(stored["input"])
    assert again.loss_curve_ == bind.loss_curve_
    assert again.get_params() == bind.get_params()


@pytest.mark.parametrize(
    "name",
    [
        "_centrobind",
        "_modalities",
        "_per_modality",
        "_net",
        "anchors._aggregators",
        "losses._anchor",
    ],
)
def test_a_pickle_of_0_1_names_the_way_out(name):
    # Protocol 0: the global "module attribute".
    content = f"cskcentrobind.{name}\nThing\n.".encode()
    with pytest.raises(ModuleNotFoundError, match=r"skcentrobind 0\.1 wrote.*save\(path\)"):
        pickle.loads(content)


def test_other_modules_are_missing_as_ever():
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'skcentrobind\._nothing'"):
        pickle.loads(b"cskcentrobind._nothing\nThing\n.")


def test_a_pickle_of_another_version_names_the_way_out(each, X):
    bind = each().fit(X)
    assert_array_equal(pickle.loads(pickle.dumps(bind)).transform(X), bind.transform(X))
    state = bind.__getstate__()
    assert state["_skcentrobind_version"] == skcentrobind.__version__
    without = {key: value for key, value in state.items() if key != "_skcentrobind_version"}
    for other in (state | {"_skcentrobind_version": "0.1.9"}, without | {"_row_shapes": []}):
        kept = dict(other)
        with pytest.raises(ValueError, match=r"pickled by skcentrobind 0\.1.*save\(path\).*load"):
            type(bind).__new__(type(bind)).__setstate__(other)
        assert other == kept


class Plain(CentroBindTransformer):
    def __getstate__(self):
        return self.__dict__.copy()


def test_a_state_of_a_users_own_making(X):
    bind = Plain(n_components=4, max_epochs=1, random_state=0).fit(X)
    for other in (pickle.loads(pickle.dumps(bind)), copy.deepcopy(bind)):
        assert_array_equal(other.transform(X), bind.transform(X))
