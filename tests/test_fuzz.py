"""The fuzz campaign runs, and what it draws is what it says."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def fuzz(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fuzz

    return fuzz


@pytest.mark.slow
def test_smoke(fuzz, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzz.py", "--smoke"])
    fuzz.main()
    assert "'cases': 40" in capsys.readouterr().out


def test_a_campaign_goes_on(fuzz, tmp_path):
    path = tmp_path / "cases.jsonl"
    first = fuzz.campaign(7, 4, path, jobs=1)
    text = path.read_text()
    lines = fuzz.campaign(7, 6, path, jobs=1)
    assert lines[:4] == first
    assert path.read_text().startswith(text)
    assert [line["case"] for line in lines] == list(range(6))


def test_the_references_can_be_wrong(fuzz):
    from _fuzz_reference import Known, centroid_loss, pairwise_loss

    rng = np.random.default_rng(0)
    z = [rng.normal(size=(5, 3)) for _ in range(2)]
    z = [block / np.linalg.norm(block, axis=1, keepdims=True) for block in z]
    known = Known(z)
    assert centroid_loss(z, 0.2, known) != pytest.approx(pairwise_loss(z, 0.2, known))
    equal = [z[0], z[0]]
    expected = pairwise_loss(equal, 0.2, known)
    assert centroid_loss(equal, 0.2, known) == pytest.approx(expected)
    for other in (
        Known(z, groups=[0, 0, 1, 2, 3]),
        Known(z, groups=[0, 0, 1, 2, 3], are_positive=False),
        Known(z, weights=[1, 2, 1, 1, 1]),
        Known([block[[0, 0, 2, 3, 4]] for block in z]),
    ):
        assert centroid_loss(equal, 0.2, other) != pytest.approx(expected)


def test_a_wrong_number_is_found(fuzz, monkeypatch):
    import _fuzz_call_cases as calls
    import _fuzz_cases as cases
    import _fuzz_training_cases as training

    monkeypatch.setattr(cases, "CASES", {cases.losses: 1})
    assert cases.run(0, 0)[1] == "confirmed"
    for name in ("centroid_loss", "pairwise_loss", "fixed_loss"):
        monkeypatch.setattr(training, name, lambda blocks, temperature, known: 0.0)
    assert cases.run(0, 0)[1] == "silent"
    monkeypatch.setattr(cases, "CASES", {cases.bad_parameters: 1})
    monkeypatch.setattr(calls, "BAD_PARAMETERS", {"temperature": [0.3]})
    assert cases.run(0, 0)[1] == "silent"
