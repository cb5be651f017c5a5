"""A new encoder, augmentation, anchor, or loss with its estimator takes a few rows and files.

In a copy of the package the rows and files are added, and no other line; then all of it is used and
passes the contract tests.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import skcentrobind

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(skcentrobind.__file__).parent

ENCODER = '''
class Wave(Bank):
    """z = unit(sin(W x))."""

    def __init__(self, members, n_features, n_components, hidden_layer_sizes, generator):
        super().__init__(members, n_features)
        weights = [uniform((d, n_components), d, generator) for d in n_features]
        self.weights = nn.ParameterList(map(nn.Parameter, weights))

    def encode(self, k, x):
        """Encode rows of member k alone: (batch, n_features[k]) to (batch, n_components)."""
        return unit_rows(torch.sin(product(to_dense(x).flatten(1), self.weights[k])))

    def member_parameters(self, k):
        """Return the tensor of member k."""
        return [self.weights[k]]

    def write(self, graph, x, k):
        """Add the encoder of member k to an ONNX graph, up to the scaling to unit length."""
        weight = self.weights[k].detach().cpu().numpy()
        return graph.add("Sin", graph.add("MatMul", x, weight))


'''

AUGMENTATION = '''
def flip(x, strength, spread, mask, generator):
    """Change the sign of each entry with probability `strength`."""
    turn = torch.rand(x.shape, generator=generator, device=x.device) < strength
    return torch.where(turn, -x, x)


'''

ANCHOR = '''
"""The middle between the extremes."""

import torch

from skcentrobind.anchors._base import BaseAnchor


class MidrangeAnchor(BaseAnchor):
    """Mean of the largest and the smallest value of each component.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import MidrangeAnchor
    >>> MidrangeAnchor().aggregate(torch.tensor([[[1.0]], [[0.5]], [[-1.0]]]), None)
    tensor([[0.]])
    """

    def aggregate(self, z, present):
        """Compute the midrange over the modalities of a sample."""
        if present is None:
            return (z.amax(dim=0) + z.amin(dim=0)) / 2
        high = z.masked_fill(~present[:, :, None], -torch.inf).amax(dim=0)
        return (high + z.masked_fill(~present[:, :, None], torch.inf).amin(dim=0)) / 2
'''

LOSS = '''
"""Contrast of every modality with the sum of all."""

from skcentrobind.losses._base import BaseLoss
from skcentrobind.losses._info_nce import anchor_info_nce


class RippleLoss(BaseLoss):
    """InfoNCE between each modality and the sum of all.

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import RippleLoss
    >>> z = torch.eye(4).expand(3, 4, 4)
    >>> bool(RippleLoss(temperature=0.1)(z, z, None, torch.Generator()) < 1e-2)
    True
    """

    def forward(self, z, z_augmented, present, generator):
        """Return the sum over the modalities."""
        if present is not None:
            z_augmented = z_augmented * present[:, :, None]
        temperature = self.temperature.value()
        return anchor_info_nce(z, z_augmented.sum(dim=0), temperature, present=present).sum()
'''

ESTIMATOR = '''
"""Binding to the sum of all modalities."""

from skcentrobind._estimators.base import BaseBindTransformer
from skcentrobind.losses import RippleLoss


class RippleBindTransformer(BaseBindTransformer):
    """Bind modalities to the sum of the embeddings of a sample.

    Parameters
    ----------

    Attributes
    ----------
    """

    def _make_loss(self, temperature):
        """Return the loss."""
        return RippleLoss(temperature)
'''

USE = """
import sys, numpy as np, skcentrobind
from conftest import draw
from skcentrobind import CentroBindTransformer, RippleBindTransformer, load
from skcentrobind.anchors import MidrangeAnchor

X, _ = draw()
quick = {"n_components": 4, "max_epochs": 2, "random_state": 0}
made = [
    CentroBindTransformer(encoder="wave", augmentation="flip", aggregator="midrange", **quick),
    CentroBindTransformer(aggregator=MidrangeAnchor(), **quick),
    RippleBindTransformer(encoder=["wave", "mlp", "wave"], **quick),
]
for bind in made:
    Z = bind.fit(X).transform(X)
    bind.save("bind.safetensors")
    loaded = load("bind.safetensors")
    assert type(loaded) is type(bind) and repr(loaded) == repr(bind)
    np.testing.assert_array_equal(loaded.transform(X), Z)
    bind.to_onnx("image.onnx", "image")
for wrong, words in [
    ({"encoder": "waves"}, "'wave', 'identity'"),
    ({"augmentation_scale": 2, "augmentation": "flip"}, "a probability of at most 1"),
    ({"aggregator": "midrang"}, "Did you mean 'midrange'"),
]:
    try:
        CentroBindTransformer(**wrong).fit(X)
    except ValueError as exc:
        assert words in str(exc), exc
    else:
        raise AssertionError(wrong)
assert "RippleBindTransformer" in skcentrobind.__all__
print("used", skcentrobind.__file__)
"""


def insert(path, before, text):
    """Add lines before the first line that starts with some text."""
    lines = path.read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith(before))
    path.write_text("".join([*lines[:at], text, *lines[at:]]))


WAVE = "from skcentrobind._encoders.encoders import Wave\n"


def extend(package):
    """Add everything; return the files that a loss with its estimator touches."""
    names = ("encoders", "table", "module")
    encoders, table, module = (package / "_encoders" / f"{name}.py" for name in names)
    insert(encoders, "class ModalityEncoder", ENCODER.lstrip("\n"))
    insert(table, "from skcentrobind._encoders.kernel", WAVE)
    insert(table, '    "identity": Identity,', '    "wave": Wave,\n')
    insert(module, "class Augmentation(NamedTuple)", AUGMENTATION.lstrip("\n"))
    insert(module, '    "marginal": Augmentation', '    "flip": Augmentation(flip, None, True),\n')
    (package / "anchors" / "_midrange.py").write_text(ANCHOR.lstrip("\n"))
    anchors, losses = (package / name / "__init__.py" for name in ("anchors", "losses"))
    insert(anchors, "__all__", "from skcentrobind.anchors._midrange import MidrangeAnchor\n\n")
    insert(anchors, '    "RandomAnchor",', '    "MidrangeAnchor",\n')
    insert(anchors, '    "random": RandomAnchor', '    "midrange": MidrangeAnchor,\n')
    (package / "losses" / "_ripple.py").write_text(LOSS.lstrip("\n"))
    insert(losses, "__all__", "from skcentrobind.losses._ripple import RippleLoss\n\n")
    insert(losses, '    "SeparatedLoss",', '    "RippleLoss",\n')
    (package / "_estimators" / "ripple.py").write_text(ESTIMATOR.lstrip("\n"))
    stub = package / "__init__.pyi"
    name = "RippleBindTransformer"
    row = f"from skcentrobind._estimators.ripple import {name} as {name}\n"
    stub.write_text(stub.read_text() + row)
    return [package / "losses" / "_ripple.py", losses, package / "_estimators" / "ripple.py", stub]


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """Return a copy of package and tests with the additions, and a function that runs Python."""
    folder = tmp_path_factory.mktemp("extended")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / "skcentrobind", ignore=ignored)
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=ignored)
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=ignored)
    (folder / "docs" / "_templates").mkdir(parents=True)
    for name in ("docs/api_page.py", "docs/_templates/api.rst"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    touched = extend(folder / "skcentrobind")

    def run(*arguments):
        path = os.pathsep.join([str(folder), str(folder / "tests")])
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": path, "PYTEST_ADDOPTS": ""},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        return done.stdout

    return touched, run


def test_a_loss_with_its_estimator_touches_four_files(extended):
    assert len(extended[0]) <= 4


def test_its_docstring_and_the_reference_need_no_other_line(extended):
    (_, _, estimator, _), run = extended
    assert run("tools/render_docstrings.py").endswith("RippleBindTransformer is rewritten\n")
    assert run("tools/render_docstrings.py", "--check") == ""
    assert '    precision : {"float32", "bf16"}, default="float32"\n' in estimator.read_text()
    page = run(
        "-c", "import sys; sys.path[:0] = ['docs']; import api_page; print(api_page.render())"
    )
    for name in ("RippleBindTransformer", "losses.RippleLoss", "anchors.MidrangeAnchor"):
        assert f"   {name}\n" in page


@pytest.mark.slow
def test_all_of_it_is_used_saved_loaded_and_exported(extended):
    assert "extended" in extended[1]("-c", USE)


@pytest.mark.slow
def test_all_of_it_passes_the_contract_tests(extended):
    suites = [
        "losses/test_every_loss.py",
        "anchors/test_anchors.py",
        "encoders/test_every_encoder.py",
        "encoders/test_augmentations.py",
        "estimators/test_contract.py",
    ]
    out = extended[1](
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "Ripple or Midrange or wave or flip",
        *(f"tests/{suite}" for suite in suites),
    )
    assert int(out.split(" passed")[0].split()[-1]) > 60
