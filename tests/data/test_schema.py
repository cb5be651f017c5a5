"""Schema: what fit learns about the form of the data, compared later, as JSON and back."""

import dataclasses
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from conftest import fast
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from skcentrobind import Modalities, PerModality
from skcentrobind._data.forms import FORMS, Form, Parts, Reading, read
from skcentrobind._data.schema import Schema, checked

READING = Reading("Fit")


def learned(X, **reading):
    parts = read(X, Reading("Fit", **reading))
    return Schema.learn(parts.modalities(), parts)


@st.composite
def data(draw):
    """A dict of items of all kinds, for the same samples."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    items = {}
    for name in draw(st.lists(st.text("abXY 1", min_size=1), min_size=1, max_size=4, unique=True)):
        width = draw(st.integers(1, 4))
        dense = rng.normal(size=(5, width))
        items[name] = {
            "dense": dense,
            "deep": rng.normal(size=(5, width, 2)),
            "sparse": sparse.csr_array(np.maximum(dense, 0.1)),
            "frame": pd.DataFrame(dense, columns=[f"c{i}" for i in range(width)]),
        }[draw(st.sampled_from(["dense", "deep", "sparse", "frame"]))]
    return items


@fast
@given(data())
def test_json_and_back(items):
    schema = learned(items)
    stored = json.loads(json.dumps(schema.to_json()))
    assert Schema.from_json(stored) == schema == pickle.loads(pickle.dumps(schema))
    assert Schema.from_json(schema.to_json()) == schema == Schema.learn(Modalities(items))
    assert schema.names == tuple(items)
    for m, item in enumerate(items.values()):
        assert schema.row_shapes[m] == tuple(item.shape[1:])
        assert schema.is_sparse[m] == sparse.issparse(item)
        assert schema.columns[m] == (tuple(item.columns) if hasattr(item, "columns") else None)
    assert schema.n_features == [int(np.prod(item.shape[1:])) for item in items.values()]
    assert schema.flat.n_features == sum(schema.n_features)


@fast
@given(data(), st.randoms(use_true_random=False))
def test_what_was_learned_matches_in_any_order(items, random):
    schema, order = learned(items), list(items)
    random.shuffle(order)
    parts = read({name: items[name] for name in order}, Reading("Fit", flat=schema.flat))
    modalities, present = checked(schema.match(parts, "Fit"), schema)
    assert modalities.names == schema.names and present.all()
    for name, item in items.items():
        got = modalities[name]
        expected = item.toarray() if sparse.issparse(item) else np.asarray(item)
        np.testing.assert_array_equal(got.toarray() if sparse.issparse(got) else got, expected)


def test_it_cannot_be_changed(X):
    schema = learned(X)
    with pytest.raises(dataclasses.FrozenInstanceError):
        schema.names = ("a",)
    assert hash(schema) == hash(learned(X))


@pytest.mark.parametrize(("modality", "position"), [("text", 1), (1, 1), (-1, 2), (np.int8(0), 0)])
def test_positions(X, modality, position):
    assert learned(X).position(modality) == position


@pytest.mark.parametrize("modality", ["txt", 3, -4, None, True, 1.0])
def test_unknown_positions(X, modality):
    hint = r" Did you mean 'text'\?" if modality == "txt" else "$"
    with pytest.raises(ValueError, match=f"name or position of .*, got {modality!r}.{hint}"):
        learned(X).position(modality)


def test_a_matrix_keeps_the_names_of_all_its_columns():
    frame = pd.DataFrame(np.ones((3, 4)) * np.arange(3)[:, None], columns=list("pqrs"))
    schema = learned(frame, cut={"a": ["p"], "b": ["r", "s"]})
    assert schema.names == ("a", "b") and schema.row_shapes == ((1,), (2,))
    assert schema.flat == (4, ("p", "q", "r", "s")) and schema.columns == (None, None)
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_a_form_of_input_is_one_row(monkeypatch, centro, X):
    class Recording:
        """Data of another library."""

        def __init__(self, tracks):
            self.tracks = tracks

    def read_recording(recording, reading):
        return Parts(list(recording.tracks.values()), tuple(recording.tracks))

    row = Form(lambda X: isinstance(X, Recording), read_recording)
    monkeypatch.setattr("skcentrobind._data.forms.FORMS", [row, *FORMS])
    recording = Recording(dict(X.items()))
    bind = centro().fit(recording)
    np.testing.assert_array_equal(bind.transform(recording), centro().fit(X).transform(X))
    assert PerModality({}, remainder="passthrough").fit_transform(recording).names == X.names


@pytest.mark.parametrize("form", [list, dict, Modalities])
def test_a_container_checks_itself_once_per_call(form, monkeypatch, centro, X):
    made = []
    init = Modalities.__init__
    data = {list: list(X.arrays), dict: dict(X.items()), Modalities: X}[form]

    def counted(self, *args, **kwargs):
        made.append(1)
        init(self, *args, **kwargs)

    monkeypatch.setattr(Modalities, "__init__", counted)
    expected = 0 if form is Modalities else 1
    calls = ("fit", "partial_fit", "transform", "transform_modalities", "score")
    bind = centro()
    for call in calls:
        made.clear()
        getattr(bind, call)(data)
        assert len(made) == expected, call
    made.clear()
    bind.transform_modality(X["text"], 1)
    assert len(made) == 1
