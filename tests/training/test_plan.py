"""Plan: what the parameters mean for the data, as JSON and back."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import nn

from skcentrobind import CentroBindTransformer
from skcentrobind._data.forms import Reading, read
from skcentrobind._data.schema import Schema
from skcentrobind._persistence.plan_json import plan_from_json, plan_to_json
from skcentrobind._training.plan import Plan


def plan_of(X, **params):
    parts = read(X, Reading("Fit"))
    schema = Schema.learn(parts.modalities(), parts)
    parameters = CentroBindTransformer(
        **{"random_state": 0, "regularizers": None, **params}
    ).get_params()
    return Plan.make(parameters, schema, device="cpu")


SETTINGS = {
    "defaults": {},
    "one each": {
        "encoder": ["residual", "mlp", "linear"],
        "augmentation": {"audio": None, "image": "mask", "text": "marginal"},
        "learning_rate": [1e-3, 1e-4, 1],
        "temperature": {"image": 0.1, "text": 0.2, "audio": 0.3},
        "learn_temperature": True,
        "hidden_layer_sizes": [7, 5],
    },
    "all else": {
        "n_components": np.int64(9),
        "n_specific_components": 3,
        "regularizers": {"uniformity": 1},
        "standardize": "whiten",
        "augmentation_scale": 0,
        "precision": "bf16",
        "random_state": np.random.RandomState(3),
        "temperature": [1, 2, 3],
    },
}


@pytest.mark.parametrize("name", SETTINGS)
def test_json_and_back(name, X):
    plan = plan_of(X, **SETTINGS[name])
    stored = json.loads(json.dumps(plan_to_json(plan)))
    assert plan_from_json(stored) == plan == plan_from_json(plan_to_json(plan), {})
    assert plan.names == list(X.names)


def test_one_value_and_one_per_modality_are_resolved(X):
    plan = plan_of(X, **SETTINGS["one each"])
    assert [spec.encoder for spec in plan.modalities] == ["residual", "mlp", "linear"]
    assert [spec.augmentation for spec in plan.modalities] == ["mask", "marginal", None]
    assert [spec.learning_rate for spec in plan.modalities] == [1e-3, 1e-4, 1.0]
    assert plan.temperature == (0.1, 0.2, 0.3)
    assert [spec.n_features for spec in plan.modalities] == X.n_features
    assert {spec.encoder for spec in plan_of(X).modalities} == {"residual"}


def test_code_is_not_stored_but_taken_from_the_parameters(X):
    module = nn.Linear(6, 4)
    plan = plan_of(X, encoder={"image": module, "text": "mlp", "audio": "mlp"}, augmentation=max)
    stored = json.loads(json.dumps(plan_to_json(plan)))
    first = stored["modalities"][0]
    assert first["encoder"] == {"$code": "Linear"}
    assert first["augmentation"] == {"$code": "builtin_function_or_method"}
    encoder = {"image": module, "text": "linear", "audio": "mlp"}  # what counts is what fit saw
    again = plan_from_json(stored, {"encoder": encoder, "augmentation": max, "batch_size": 3})
    assert again == plan
    with pytest.raises(ValueError, match="the encoder of 'image' is code that is not given"):
        plan_from_json(stored, {"augmentation": max})


def test_other_fields_are_refused(X):
    stored = plan_to_json(plan_of(X))
    for wrong in (stored | {"speed": 1}, {k: v for k, v in stored.items() if k != "seed"}):
        with pytest.raises(ValueError, match="the plan has the fields"):
            plan_from_json(wrong, {})


def test_it_cannot_be_changed(X):
    plan = plan_of(X)
    for frozen in (plan, plan.modalities[0]):
        with pytest.raises(dataclasses.FrozenInstanceError):
            frozen.seed = 1


@pytest.mark.parametrize("scaling", [True, False, "whiten"])
def test_scaling_is_that_of_the_encoder(scaling, X):
    X = X[["image", "text"]]
    kinds = {"image": "mlp", "text": nn.Linear}
    plan = plan_of(X, encoder=kinds, standardize=scaling)
    expected = {True: "standard", False: None, "whiten": "whiten"}[scaling]
    assert [spec.scaling for spec in plan.modalities] == [expected, None]


def test_parameters_set_after_fit_do_not_change_what_is_saved(X, centro, tmp_path):
    bind = centro(encoder="mlp", standardize=False).fit(X)
    expected = bind.transform(X)
    bind.set_params(encoder="linear", hidden_layer_sizes=(3,), standardize=True, n_components=2)
    bind.save(tmp_path / "bind.safetensors")
    from skcentrobind import load

    loaded = load(tmp_path / "bind.safetensors")
    np.testing.assert_array_equal(loaded.transform(X), expected)
    assert loaded.encoder == "linear"
    assert torch.equal(
        loaded.encoders_["text"].group.first_weight, bind.encoders_["text"].group.first_weight
    )
