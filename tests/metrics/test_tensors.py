"""Metrics and displays take tensors as they come out of a training, and classes with gaps."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import unit
from sklearn.naive_bayes import GaussianNB

from skcentrobind import metrics
from skcentrobind.metrics import (
    cross_modal_accuracy,
    make_alignment_scorer,
    make_retrieval_scorer,
    probe_accuracy,
)
from skcentrobind.plotting import (
    EmbeddingDisplay,
    InformationDisplay,
    LossCurveDisplay,
    ModalityGapDisplay,
    RetrievalDisplay,
)

pytestmark = pytest.mark.usefixtures("close_figures")

rng = np.random.default_rng(0)
Z = {name: unit(rng, 40, 4).astype(np.float32) for name in ("image", "text")}
Y = np.arange(40) % 2
PROBE = GaussianNB()

FORMS = {
    "gradient": lambda z: torch.tensor(z, requires_grad=True),
    "half": lambda z: torch.tensor(z, requires_grad=True).double(),
    "rows": lambda z: list(torch.tensor(z, requires_grad=True)),
    "inference": lambda z: made_in_inference(z),
}


def made_in_inference(z):
    with torch.inference_mode():
        return torch.tensor(z)


def names_of_metrics():
    return [n for n in metrics.__all__ if not n.startswith("make_")]


def measure(name, form):
    given = {key: form(z) for key, z in Z.items()}
    image, text = given.values()
    present = torch.ones(40, 2, dtype=torch.bool)
    y = torch.tensor(Y)
    calls = {
        "recall_at_k": lambda: metrics.recall_at_k(image, text, k=3),
        "retrieval_ranks": lambda: metrics.retrieval_ranks(image, text),
        "median_rank": lambda: metrics.median_rank([image, text], text),
        "mean_reciprocal_rank": lambda: metrics.mean_reciprocal_rank(given, present=present),
        "anchor_bound": lambda: metrics.anchor_bound(given, given),
        "mutual_information_matrix": lambda: metrics.mutual_information_matrix(given),
        "cross_modal_accuracy": lambda: cross_modal_accuracy(None, PROBE, given, y, given, y),
        "probe_accuracy": lambda: probe_accuracy(None, PROBE, given, y, given, y),
    }
    return calls[name]() if name in calls else getattr(metrics, name)(given)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", names_of_metrics())
def test_every_metric_takes_tensors(name, form):
    if form == "rows" and name == "median_rank":
        pytest.skip("a list of lists of rows is no list of two arrays")
    expected, found = measure(name, lambda z: z), measure(name, FORMS[form])
    if isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-6)
    else:
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=1e-6)


def test_bfloat16_is_rounded_and_no_more():
    given = {name: torch.tensor(z, requires_grad=True).bfloat16() for name, z in Z.items()}
    rounded = {name: z.detach().float().numpy() for name, z in given.items()}
    assert metrics.recall_at_k(*given.values()) == metrics.recall_at_k(*rounded.values())
    assert EmbeddingDisplay.from_embeddings(given).points.shape == (2, 40, 2)


@pytest.mark.parametrize("form", FORMS)
def test_every_display_takes_tensors(form):
    given = {key: FORMS[form](z) for key, z in Z.items()}
    if form == "rows":
        given = {key: torch.stack(z) for key, z in given.items()}
    expected = EmbeddingDisplay.from_embeddings(Z, Y).points
    points = EmbeddingDisplay.from_embeddings(given, torch.tensor(Y)).points
    np.testing.assert_allclose(points, expected, atol=1e-5)
    EmbeddingDisplay(torch.tensor(expected, requires_grad=True), labels=torch.tensor(Y)).plot()
    gap = ModalityGapDisplay.from_embeddings(given)
    np.testing.assert_allclose(gap.gaps, ModalityGapDisplay.from_embeddings(Z).gaps, atol=1e-6)
    ModalityGapDisplay(torch.tensor(gap.gaps, requires_grad=True)).plot()
    InformationDisplay.from_embeddings(given)
    ranks = RetrievalDisplay.from_embeddings(given).ranks
    RetrievalDisplay({k: torch.tensor(r, requires_grad=True) for k, r in ranks.items()}).plot()
    LossCurveDisplay({"a": [torch.tensor([2.0, 1.0], requires_grad=True)]}).plot()


LABELS = {
    "strings with None": (["a", "b", None, "a"] * 10, ["a", "b", "missing"]),
    "strings with NaN": (np.array(["b", "a", np.nan, "a"] * 10, object), ["a", "b", "missing"]),
    "NA": (pd.array(["a", pd.NA] * 20, dtype="string"), ["a", "missing"]),
    "floats with NaN": ([1.0, np.nan] * 20, ["1.0", "missing"]),
    "nullable": (pd.Series([2, None] * 20, dtype="Int64"), ["2.0", "missing"]),
    "booleans": ([True, False] * 20, ["False", "True"]),
    "categories": (pd.Categorical(["z", "a"] * 20), ["a", "z"]),
    "mixed": (["a", 1] * 20, ["1", "a"]),
    "tensor": (torch.arange(40) % 3, ["0", "1", "2"]),
    "nothing known": ([None] * 40, ["missing"]),
}


@pytest.mark.parametrize("name", LABELS)
def test_classes_may_be_missing(name):
    labels, expected = LABELS[name]
    display = EmbeddingDisplay.from_embeddings(Z, labels)
    shown = [text.get_text() for text in display.legends_[0].get_texts()]
    assert shown == expected
    if "missing" in expected:
        row = int(np.flatnonzero(pd.isna(np.asarray(labels, dtype=object)))[0])
        for points in display.scatters_.values():
            np.testing.assert_allclose(points.get_facecolors()[row], [0.6, 0.6, 0.6, 0.8])


@pytest.mark.parametrize("labels", [[0] * 39, [[0, 1]] * 40, "abc", 3])
def test_labels_of_another_shape_are_named(labels):
    for call in (
        lambda: EmbeddingDisplay.from_embeddings(Z, labels),
        lambda: EmbeddingDisplay(np.zeros((2, 40, 2)), labels=labels),
        lambda: probe_accuracy(None, PROBE, Z, labels, Z, Y),
    ):
        with pytest.raises(ValueError, match="one class for each of the 40 samples"):
            call()


@pytest.mark.parametrize("y", [["a", None] * 20, [0.0, np.nan] * 20])
def test_probes_name_missing_classes(y):
    with pytest.raises(ValueError, match=r"y_test has no class in 20 of 40.*row 1; leave"):
        cross_modal_accuracy(None, PROBE, Z, Y, Z, y)


def test_scorers_take_tensors():
    given = {key: torch.tensor(z, requires_grad=True) for key, z in Z.items()}
    assert np.isfinite(make_retrieval_scorer()(None, given))
    assert np.isfinite(make_alignment_scorer()(None, given))
