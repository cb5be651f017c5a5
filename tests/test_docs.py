"""Everything that is public is documented, and the documentation says what the code does."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from conftest import ESTIMATORS
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import validate

import skcentrobind

ROOT = Path(__file__).resolve().parent.parent

MODULES = ["skcentrobind"] + [
    f"skcentrobind.{name}" for name in dir(skcentrobind) if name not in skcentrobind.__all__
]

#: numpydoc's rules that do not apply here, and why.
IGNORED = {
    "GL01": "the summary follows the opening quotes, as ruff's rules require",
    "ES01": "a summary that says everything needs no second paragraph",
    "SA01": "See Also is for relatives that a reader may not know, not for every name",
    "EX01": "methods are shown in the example of their class; test_example covers the rest",
    "RT02": "what is returned has a name as well as a type",
    "PR01": "compared below; numpydoc requires the *args that torch's Module passes on",
}

#: What anchors inherit from `BaseAnchor`, and losses from `BaseLoss`, is documented there.
INHERITED = {
    "skcentrobind.anchors": {"aggregate", "frozen", "prepare", "sources", "targets", "extra_repr"},
    "skcentrobind.losses": {"clamp_", "extra_repr", "forward", "frozen", "prepare"}
    | {"shared", "sources", "step"},
}


def public_objects():
    """Pairs (full name, object) of every class and function in an `__all__`."""
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            thing = getattr(importlib.import_module(module), name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                yield f"{module}.{name}", thing


def own_methods(cls):
    """Public methods and properties that this package gives a class."""
    for name, member in inspect.getmembers(cls):
        home = getattr(getattr(member, "fget", member), "__module__", None) or ""
        if not name.startswith("_") and home.startswith("skcentrobind"):
            yield name, member


OBJECTS = dict(public_objects())
METHODS = {
    f"{name}.{method}": member
    for name, thing in OBJECTS.items()
    if inspect.isclass(thing)
    for method, member in own_methods(thing)
    if name == "skcentrobind.losses.BaseLoss"
    or method not in INHERITED.get(name.rpartition(".")[0], ())
}


def parameters_of(thing):
    """Names in the signature, without self."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    signature = inspect.signature(thing).parameters
    return [stars.get(p.kind, "") + name for name, p in signature.items() if name != "self"]


def test_discovery_found_something():
    assert {
        "skcentrobind.CentroBindTransformer",
        "skcentrobind.Modalities",
        "skcentrobind.anchors.MeanAnchor",
        "skcentrobind.losses.anchor_info_nce",
        "skcentrobind.metrics.mean_reciprocal_rank",
        "skcentrobind.datasets.make_multimodal_gmm",
    } <= set(OBJECTS)
    assert {
        "skcentrobind.CentroBindTransformer.fit",
        "skcentrobind.FixedAnchorBindTransformer.encoders_",
        "skcentrobind.Modalities.from_frame",
    } <= set(METHODS)


@pytest.mark.parametrize("name", [*OBJECTS, *METHODS])
def test_numpydoc(name):
    faults = [f"{code}: {text}" for code, text in validate(name)["errors"] if code not in IGNORED]
    assert not faults


@pytest.mark.parametrize("name", OBJECTS)
def test_parameters_are_those_of_the_signature(name):
    thing = OBJECTS[name]
    page = ClassDoc(thing) if inspect.isclass(thing) else FunctionDoc(thing)
    documented = [part for p in page["Parameters"] for part in p.name.split(", ")]
    expected = parameters_of(thing)
    # Anchors without settings have the constructor of torch's Module.
    assert documented == ([] if expected == ["*args", "**kwargs"] else expected)


@pytest.mark.parametrize("name", [n for n, member in METHODS.items() if inspect.isroutine(member)])
def test_parameters_of_methods_are_those_of_the_signature(name):
    documented = [
        part for p in FunctionDoc(METHODS[name])["Parameters"] for part in p.name.split(", ")
    ]
    assert documented == parameters_of(METHODS[name])


@pytest.mark.parametrize("name", OBJECTS)
def test_defaults_are_those_of_the_signature(name):
    thing = OBJECTS[name]
    page = ClassDoc(thing) if inspect.isclass(thing) else FunctionDoc(thing)
    for entry in page["Parameters"]:
        _, found, documented = entry.type.partition("default=")
        default = inspect.signature(thing).parameters[entry.name.split(", ")[0].lstrip("*")].default
        assert bool(found) == (default is not inspect.Parameter.empty), entry
        if found:
            assert eval(documented) == default, entry


@pytest.mark.parametrize("name", OBJECTS)
def test_example(name):
    page = OBJECTS[name].__doc__
    assert "Examples\n" in page
    assert ">>> " in page.partition("Examples\n")[2]


def test_every_fitted_attribute_is_documented(each, make_data):
    bind = each(n_components=2, max_epochs=1)
    bind.fit(make_data(10)[0].to_frame())
    # scikit-learn 1.6 also lists attributes that this estimator has not, such as anchor weights.
    present = [key for key in dir(bind) if hasattr(bind, key)]
    fitted = {key for key in present if key.endswith("_") and not key.startswith("_")}
    assert fitted == {p.name for p in ClassDoc(type(bind))["Attributes"]}


def test_every_fitted_attribute_of_per_modality_is_documented(make_data):
    per = skcentrobind.PerModality({}, remainder="passthrough").fit(make_data(10)[0].to_frame())
    present = [key for key in dir(per) if hasattr(per, key)]
    fitted = {key for key in present if key.endswith("_") and not key.startswith("_")}
    # The columns of this frame are numbers, which are no names.
    documented = {p.name for p in ClassDoc(type(per))["Attributes"]}
    assert fitted == documented - {"feature_names_in_"}


@pytest.fixture
def page(monkeypatch):
    """The names on the page of the reference, by list: headings and captions joined by a slash."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    render = importlib.import_module("api_page").render

    def read():
        lists, title = {}, ""
        for line in re.sub(r"^(\S.*)\n-+$", r".. heading:: \1", render(), flags=re.M).splitlines():
            if found := re.fullmatch(r"\.\. (heading|rubric|autodata):: (.*)", line):
                kind, text = found.groups()
                if kind == "autodata":
                    lists.setdefault("data", []).append(text)
                else:
                    title = text if kind == "heading" else f"{title.partition('/')[0]}/{text}"
            elif re.fullmatch(r" {3}[\w.]+", line):
                lists.setdefault(title, []).append(f"skcentrobind.{line.strip()}")
        return lists

    return read


def test_every_public_name_is_on_the_page_once(page):
    listed = [name for names in page().values() for name in names]
    public = {
        f"{module}.{name}"
        for module in MODULES
        for name in importlib.import_module(module).__all__
        if name != "__version__"
    }
    assert sorted(listed) == sorted(public)
    assert set(OBJECTS) < public


def test_the_lists_of_the_page(page):
    lists = page()
    assert [name.rpartition(".")[2] for name in lists["Estimators"]] == [*ESTIMATORS, "load"]
    assert "skcentrobind.Modalities" in lists["Container and preprocessing"]
    assert "skcentrobind.losses.info_nce" in lists["Losses/Functions"]
    assert "skcentrobind.losses.PairwiseLoss" in lists["Losses/Classes"]
    assert "skcentrobind.losses.BaseLoss" in lists["Losses/To write your own"]
    assert "skcentrobind.anchors.Target" in lists["Anchors/To write your own"]
    assert "skcentrobind.metrics.recall_at_k" in lists["Metrics/Retrieval"]
    assert "skcentrobind.metrics.probe_accuracy" in lists["Metrics/Probes"]
    assert len(lists["Plotting"]) == len(skcentrobind.plotting.__all__)
    assert "skcentrobind.anchors.ANCHORS" in lists["data"]


def test_a_new_public_name_is_on_the_page(page, monkeypatch):
    class NewLoss(skcentrobind.losses.BaseLoss):
        pass

    def new_loss(z):
        pass

    for new in (NewLoss, new_loss):
        monkeypatch.setattr(skcentrobind.losses, new.__name__, new, raising=False)
    monkeypatch.setattr(
        skcentrobind.losses, "__all__", [*skcentrobind.losses.__all__, "NewLoss", "new_loss"]
    )
    lists = page()
    assert "skcentrobind.losses.NewLoss" in lists["Losses/Classes"]
    assert "skcentrobind.losses.new_loss" in lists["Losses/Functions"]


@pytest.mark.parametrize("module", MODULES)
def test_modules_have_docstrings_and_sorted_names(module):
    module = importlib.import_module(module)
    assert module.__doc__
    public = [name for name in module.__all__ if not name.startswith("__")]
    assert public == sorted(public, key=lambda name: (name.upper() != name, name))
    assert all(hasattr(module, name) for name in module.__all__)
