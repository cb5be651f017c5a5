"""Code, which a file of data cannot hold: load takes it as parameters."""

import re

import pytest
from conftest import QUICK, same
from sklearn.exceptions import NotFittedError
from torch import nn

import skcentrobind
from skcentrobind import CentroBindTransformer, load
from skcentrobind._persistence.plain import ANCHOR_CLASSES
from skcentrobind.anchors import BaseAnchor

pytest.importorskip("safetensors", reason="the extra `save` is not installed")
from skcentrobind._public import estimator_classes


def noisy_factory(n_features, n_components):
    return nn.Sequential(nn.Linear(n_features, 7), nn.BatchNorm1d(7), nn.Dropout(0.2))


def shift(x, generator):
    return x + 0.1


class FirstAnchor(BaseAnchor):
    def aggregate(self, z, present):
        return z[0]


CODE = {
    "factory": ({"encoder": noisy_factory}, "function"),
    "mixed": ({"encoder": {"image": nn.Linear(6, 9), "text": "mlp", "audio": "mlp"}}, "Linear"),
    "augmentation": ({"augmentation": [shift, None, "mask"]}, "function"),
    "anchor": ({"aggregator": FirstAnchor()}, "FirstAnchor"),
}


@pytest.mark.parametrize("name", CODE)
def test_code_is_required_again(X, centro, path, name):
    code, kind = CODE[name]
    (parameter,) = code
    bind = centro(**code).fit(X)
    bind.save(path)
    with pytest.raises(
        ValueError, match=rf"{parameter} \(holding a {kind}\).*load\(path, {parameter}"
    ):
        load(path)
    loaded = load(path, **code)
    assert loaded.get_params()[parameter] is code[parameter]
    assert same(loaded.transform(X), bind.transform(X))
    assert same(loaded.partial_fit(X).transform(X), bind.partial_fit(X).transform(X))


@pytest.mark.parametrize(
    "encoder", [nn.Linear(4, 9), nn.Linear(6, 8), "mlp", {"text": "mlp"}, lambda n, d: 1 / 0]
)
def test_other_code_than_before_is_refused(X, centro, path, encoder):
    centro(encoder={"image": nn.Linear(6, 9), "text": "mlp", "audio": "mlp"}).fit(X).save(path)
    with pytest.raises(ValueError, match=r"cannot be loaded.*or encoder is not what it was"):
        load(path, encoder=encoder)


def test_parameters_of_the_file_cannot_be_overruled(X, centro, path):
    centro().fit(X).save(path)
    with pytest.raises(
        TypeError, match=re.escape("['temperature']; change others with set_params")
    ):
        load(path, temperature=0.5)


class Derived(CentroBindTransformer):
    pass


def test_derived_classes_are_refused(X, path):
    with pytest.raises(TypeError, match=r"could not make a Derived.*use joblib\.dump"):
        Derived(**QUICK).fit(X).save(path)
    assert not path.exists()


def test_an_estimator_without_fit_is_refused(binder, path):
    with pytest.raises(NotFittedError):
        binder().save(path)


def test_the_tables_are_those_of_the_public_classes():
    public = [getattr(skcentrobind, name) for name in skcentrobind.__all__]
    transformers = {c.__name__ for c in public if hasattr(c, "transform_modalities")}
    assert set(estimator_classes()) == transformers
    assert {"WeightedAnchor", "FixedAnchor", "RandomAnchor"} <= set(ANCHOR_CLASSES)
