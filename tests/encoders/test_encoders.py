"""Encoders: banks against separate networks, unit rows, and modules of a user."""

import copy
import math
import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import fast
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import nn

from skcentrobind import CentroBindTransformer
from skcentrobind._encoders.custom import CustomEncoder
from skcentrobind._encoders.encoders import Identity, ModalityEncoder
from skcentrobind._encoders.module import make_groups
from skcentrobind._encoders.table import ENCODERS
from skcentrobind._ops import unit_rows
from skcentrobind._training.plan import ModalitySpec

LEARNED = ["residual", "mlp", "linear"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def make_bank(widths, kind="residual", hidden=(6,), n_components=4, seed=0):
    """A bank in float64, every parameter random, since a residual MLP starts as a linear map."""
    bank = ENCODERS[kind](range(len(widths)), widths, n_components, hidden, seeded(seed))
    bank.double()
    with torch.no_grad():
        for i, parameter in enumerate(bank.parameters()):
            parameter.copy_(randn(*parameter.shape, seed=i) / 4)
    return bank


class Unbatched(nn.Module):
    """One member of a bank, made of torch's own layers."""

    def __init__(self, bank, k):
        super().__init__()
        first, first_bias, *rest = (p.detach() for p in bank.member_parameters(k))
        weights, biases = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        n_hidden = len(weights[0]) if weights else 0
        layers = [self.layer(first[:, :n_hidden], first_bias[:, :n_hidden])] if weights else []
        for weight, bias in zip(weights, biases, strict=True):
            layers += [nn.ReLU(), self.layer(weight, bias)]
        self.mlp = nn.Sequential(*layers)
        self.linear = None
        if n_hidden < first.shape[1]:
            self.linear = self.layer(first[:, n_hidden:], first_bias[:, n_hidden:])

    @staticmethod
    def layer(weight, bias):
        layer = nn.Linear(*weight.shape, dtype=weight.dtype)
        layer.weight.data.copy_(weight.T)
        layer.bias.data.copy_(bias[0])
        return layer

    def forward(self, x):
        parts = ([self.linear(x)] if self.linear else []) + ([self.mlp(x)] if self.mlp else [])
        return sum(parts)

    def layers(self):
        """First layer (hidden units, then linear part) and further ones, as (weight, bias)."""
        linears = [layer for layer in self.mlp if isinstance(layer, nn.Linear)]
        first = linears[:1] + ([self.linear] if self.linear else [])
        return [first, *([layer] for layer in linears[1:])]


def embed(group, x):
    """Unit-length embeddings of all members, whether the group has normalised them or not."""
    return unit_rows(group(x))


# --- the bank -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LEARNED)
@pytest.mark.parametrize("hidden", [(), (6,), (6, 3), (5, 3, 7)])
@pytest.mark.parametrize("widths", [(3,), (3, 3, 3), (2, 5, 1), (600, 3)])
def test_bank_equals_separate_networks(kind, hidden, widths):
    bank = make_bank(widths, kind, hidden)
    x, probe = randn(7, sum(widths)), randn(len(widths), 7, 4, seed=1)
    out = embed(bank, x)
    assert out.shape == (len(widths), 7, 4)
    (out * probe).sum().backward()
    grads = copy.deepcopy(bank)
    for parameter, own in zip(grads.parameters(), bank.parameters(), strict=True):
        parameter.data.copy_(own.grad)

    for k, x_k in enumerate(x.split(widths, dim=1)):
        single = Unbatched(bank, k)
        expected = nn.functional.normalize(single(x_k), dim=-1)
        assert_allclose(out[k].detach(), expected.detach(), atol=1e-12)
        alone = ModalityEncoder(bank, k)(x_k).detach()
        assert_allclose(alone, expected.detach(), atol=1e-12)
        (expected * probe[k]).sum().backward()
        got_first, got_bias, *got_rest = (g.detach() for g in grads.member_parameters(k))
        first, *rest = single.layers()
        assert_allclose(got_first, torch.cat([f.weight.grad.T for f in first], 1), atol=1e-10)
        assert_allclose(got_bias[0], torch.cat([f.bias.grad for f in first]), atol=1e-10)
        for layer, weight, bias in zip(
            rest, got_rest[: len(rest)], got_rest[len(rest) :], strict=True
        ):
            assert_allclose(weight, layer[0].weight.grad.T, atol=1e-10)
            assert_allclose(bias[0], layer[0].bias.grad, atol=1e-10)


@pytest.mark.parametrize("kind", LEARNED)
@pytest.mark.parametrize("widths", [(3, 3), (2, 5)])
def test_encoders_have_the_gradient_of_their_input(kind, widths):
    encoder = ModalityEncoder(make_bank(widths, kind), 1)
    assert torch.autograd.gradcheck(encoder, randn(4, widths[1]).requires_grad_())


@pytest.mark.parametrize("kind", LEARNED)
@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)])
def test_residual_starts_linear_and_learns_more(kind, hidden):
    bank = ENCODERS[kind]([0, 1], [3, 2], 4, hidden, seeded()).double()
    on_a_line = randn(5) + torch.linspace(-3, 3, 9, dtype=torch.float64)[:, None]
    x = torch.cat([on_a_line * torch.arange(1, 6), randn(9, 5)])

    def is_linear():
        # An affine map sends a line to a line, whose points span a plane.
        with torch.no_grad():
            return (torch.linalg.svdvals(embed(bank, x)[:, :9])[:, 2] < 1e-10).all().item()

    assert is_linear() == (kind != "mlp" or not hidden)
    optimizer = torch.optim.SGD(bank.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        z = embed(bank, x)
        (z @ z.mT).exp().sum().log().backward()
        optimizer.step()
    assert is_linear() == (kind == "linear" or not hidden)


@pytest.mark.parametrize("kind", LEARNED)
def test_initial_weights_follow_each_members_width(kind):
    bank = ENCODERS[kind]([0, 1], [400, 25], 8, (16,), seeded())
    for k, width in enumerate([400, 25]):
        first, bias, *_ = bank.member_parameters(k)
        bound = 1 / math.sqrt(width)
        assert first.shape[0] == width
        assert first.abs().max() <= bound
        assert bias.abs().max() <= bound
        assert_allclose(first.std().item(), bound / math.sqrt(3), rtol=0.1)
    again, other = (ENCODERS[kind]([0, 1], [400, 25], 8, (16,), seeded(s)) for s in (0, 1))
    assert torch.equal(again.first_weight, bank.first_weight)
    assert not torch.equal(other.first_weight, bank.first_weight)


def test_global_generators_are_left_alone():
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    for kind in ENCODERS:
        build([kind, kind], [(4,), (4,)])
    build([nn.Flatten(), "mlp"], [(2, 3), (4,)])  # with a projection
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)


@pytest.mark.parametrize("kind", LEARNED)
@pytest.mark.parametrize("widths", [(3, 3), (2, 5)])
def test_member_parameters_are_views(kind, widths):
    bank = make_bank(widths, kind, (6, 3))
    members = [bank.member_parameters(k) for k in range(2)]
    numel = sum(tensor.numel() for tensors in members for tensor in tensors)
    assert numel == sum(parameter.numel() for parameter in bank.parameters())
    x = randn(5, sum(widths))
    before = embed(bank, x)
    for i, tensor in enumerate(members[1]):
        tensor.detach().copy_(randn(*tensor.shape, seed=i + 20))
    after = embed(bank, x)
    assert torch.equal(after[0], before[0])
    assert not torch.isclose(after[1], before[1]).any()


def test_identity():
    encoder = Identity([3, 1], [4, 4], 4, (), seeded())
    x = randn(5, 8)
    out = embed(encoder, x)
    for k, x_k in enumerate((x[:, :4], x[:, 4:])):
        expected = x_k / x_k.norm(dim=-1, keepdim=True)
        assert_allclose(out[k], expected, atol=1e-14)
        assert_allclose(ModalityEncoder(encoder, k)(x_k), expected, atol=1e-14)
        assert encoder.member_parameters(k) == []
    assert list(encoder.parameters()) == []


# --- unit_rows ----------------------------------------------------------------------------


@fast
# Rows shorter than 1e-12 are not scaled up to unit length.
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.floats(-4, 8))
def test_unit_rows(seed, width, exponent):
    h = randn(3, 4, width, seed=seed) * 10**exponent
    h[1, 2] = 0
    for dtype, error in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
        z = unit_rows(h.to(dtype))
        assert z.dtype == dtype
        for row, out in zip(h.flatten(0, 1).tolist(), z.flatten(0, 1).tolist(), strict=True):
            norm = math.sqrt(sum(value**2 for value in row))
            assert_allclose(out, [value / norm if norm else 0 for value in row], atol=error)


def test_gradient_of_unit_rows():
    h = randn(2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(unit_rows, h)
    assert torch.autograd.gradcheck(unit_rows, randn(3, 4)[:, ::2].requires_grad_())
    zero = torch.zeros(2, 3, requires_grad=True)
    unit_rows(zero).sum().backward()
    assert zero.grad.isfinite().all()


# --- groups -------------------------------------------------------------------------------


def build(specs, shapes, *, names=None, n_components=4, split=None, seed=0):
    names = names or [f"the {m}th" for m in range(len(specs))]
    split = split or [False] * len(specs)
    rows = [torch.randn((2, *shape), generator=seeded(9)) for shape in shapes]
    modalities = tuple(
        ModalitySpec(
            names[m], shape, False, specs[m], f"group {split[m]}", 1e-3, None, math.prod(shape)
        )
        for m, shape in enumerate(shapes)
    )
    plan = SimpleNamespace(
        modalities=modalities,
        n_components=n_components,
        n_specific_components=0,
        hidden_layer_sizes=(5,),
        seed=seed,
    )
    return make_groups(plan, rows.__getitem__)


@fast
@given(
    st.lists(
        st.tuples(st.sampled_from([*ENCODERS, "module", "factory"]), st.booleans()),
        min_size=1,
        max_size=7,
    )
)
def test_every_modality_belongs_to_one_group(choices):
    kinds, split = zip(*choices, strict=True)
    made = {"module": nn.Linear(4, 4), "factory": nn.Linear}
    groups = build([made.get(kind, kind) for kind in kinds], [(4,)] * len(kinds), split=split)
    home = {m: g for g, group in enumerate(groups) for m in group.members}
    assert sorted(m for group in groups for m in group.members) == list(range(len(kinds)))
    for m, (kind, own) in enumerate(choices):
        group = groups[home[m]]
        assert type(group) is (CustomEncoder if kind in made else ENCODERS[kind])
        # Equal built-in kinds share tensors, unless they are to be split; users' modules never.
        mates = [j for j, other in enumerate(choices) if other == (kind, own)]
        assert list(group.members) == ([m] if kind in made else mates)
        assert ModalityEncoder(group, group.members.index(m))(torch.ones(3, 4)).shape == (
            3,
            4,
        )


def test_modules_are_copied_and_keep_their_modes():
    spec = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    spec[0].weight.requires_grad_(False)
    spec[1].eval()
    before = copy.deepcopy(spec.state_dict())
    first, second = build([spec, spec], [(3,), (3,)])
    for group in (first, second):
        assert group.projection is None
        assert [p.requires_grad for p in group.module.parameters()] == [False] + [True] * 7
        assert [layer.training for layer in group.module] == [True, False, True, True]
        assert group.module[2].num_batches_tracked == 0  # not moved by the dry run
        with torch.no_grad():
            for tensor in group.member_parameters(0):
                tensor.add_(1)
    assert all(torch.equal(spec.state_dict()[key], before[key]) for key in before)
    assert not torch.equal(first.module[0].weight, spec[0].weight)
    second.module[0].weight.data.add_(1)
    assert not torch.equal(first.module[0].weight, second.module[0].weight)


def test_projection_where_the_width_differs():
    spec = nn.Linear(3, 6)
    for parameter in spec.parameters():
        parameter.requires_grad_(False)
    (group,), (again,), (other,) = (build([spec], [(3,)], seed=seed) for seed in (0, 0, 1))
    x = torch.randn((5, 3), generator=seeded(1))
    expected = spec(x) @ group.projection.weight.T + group.projection.bias
    expected = nn.functional.normalize(expected, dim=-1).detach()
    assert_allclose(embed(group, x)[0].detach(), expected, atol=1e-6)
    assert_allclose(ModalityEncoder(group, 0)(x).detach(), expected, atol=1e-6)
    assert [p.requires_grad for p in group.parameters()] == [False, False, True, True]
    assert len(group.member_parameters(0)) == 4
    assert group.projection.weight.abs().max() <= 1 / math.sqrt(6)
    assert torch.equal(group.projection.weight, again.projection.weight)
    assert not torch.equal(group.projection.weight, other.projection.weight)


def test_factories_get_the_widths():
    calls = []

    def factory(n_features, n_components):
        calls.append((n_features, n_components))
        return nn.Sequential(nn.Flatten(), nn.Linear(n_features, n_components))

    first, second = build([factory, factory], [(2, 3), (5,)])
    assert calls == [(6, 4), (5, 4)]
    assert first.projection is second.projection is None
    assert first(torch.ones(7, 2, 3)).shape == (1, 7, 4)


def test_rows_of_any_shape_reach_a_module_as_they_are():
    spec = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    (group,) = build([spec], [(1, 5, 4)])
    assert group.projection.in_features == 2 * 3 * 2
    assert group(torch.ones(3, 1, 5, 4)).shape == (1, 3, 4)


def test_lazy_modules_learn_their_widths():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that lazy modules are new
        spec = nn.Sequential(nn.LazyLinear(5), nn.ReLU(), nn.LazyLinear(4))
    (group,) = build([spec], [(3,)])
    assert [p.shape for p in group.parameters()] == [(5, 3), (5,), (4, 5), (4,)]
    assert isinstance(spec[0].weight, nn.UninitializedParameter)
    group(torch.ones(2, 3)).sum().backward()


class Fails(nn.Module):
    def forward(self, x):
        raise RuntimeError("a shape is wrong")


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        (Fails(), ValueError, ["failed on an input of shape (2, 3)", "a shape is wrong"]),
        (nn.Linear(5, 4), ValueError, ["failed on an input of shape (2, 3)", "float32"]),
        (nn.LSTM(3, 4), ValueError, ["must return a tensor of shape (batch, width)", "tuple"]),
        (nn.Unflatten(1, (3, 1)), ValueError, ["got (2, 3, 1)", "flatten or pool"]),
        (nn.Flatten(0), ValueError, ["got (6,)"]),
        (lambda n, d: "text", TypeError, ["factory", "must return a torch.nn.Module, got str"]),
        ("identity", ValueError, ["n_components=4, but it has 3", "set n_components=3"]),
    ],
)
def test_faulty_encoders_name_their_modality(spec, error, words):
    with pytest.raises(error, match=re.escape("modality 'a sound'")) as info:
        build(["mlp", spec], [(7,), (3,)], names=["an image", "a sound"])
    assert all(word in str(info.value) for word in words), str(info.value)


@pytest.mark.parametrize("encoder", ["residual", ["mlp", "residual"], "linear"])
def test_images_through_built_in_encoders(encoder):
    rng = np.random.default_rng(0)
    image, text = rng.normal(size=(12, 2, 3)), rng.normal(size=(12, 4))
    settings = {"encoder": encoder, "max_epochs": 2, "random_state": 0, "device": "cpu"}
    flat = [image.reshape(12, 6), text]
    expected = CentroBindTransformer(**settings).fit(flat).transform(flat)
    got = CentroBindTransformer(**settings).fit([image, text]).transform([image, text])
    assert_allclose(got, expected, atol=1e-6)
