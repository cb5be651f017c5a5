"""What holds for every loss, whatever its formula; a new one joins by being public."""

import copy
import functools
import pickle

import conftest
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skcentrobind import losses
from skcentrobind.anchors import IntraAnchor, MeanAnchor
from skcentrobind.losses import (
    AnchorLoss,
    BaseLoss,
    GramianLoss,
    PairwiseLoss,
    PrincipalLoss,
    RegularizedLoss,
    SeparatedLoss,
    Temperature,
)

BOTH = {"uniformity": 0.5, "geometric_consistency": 0.25}


def public_losses():
    """Every public class of losses by name, found where users find it."""
    classes = {name: getattr(losses, name) for name in losses.__all__}
    classes = {name: cls for name, cls in classes.items() if isinstance(cls, type)}
    derived = {name: cls for name, cls in classes.items() if issubclass(cls, BaseLoss)}
    return {name: cls for name, cls in derived.items() if cls is not BaseLoss}


def separated(temperature):
    return SeparatedLoss(PairwiseLoss(temperature), AnchorLoss(IntraAnchor(), 0.2), 1, 0.5)


#: How losses are made whose constructors need more than a temperature.
CONSTRUCTORS = {
    "AnchorLoss": functools.partial(AnchorLoss, MeanAnchor()),
    # The default, 0.05, is too steep for numeric gradients and a descent of few steps.
    "PrincipalLoss": functools.partial(PrincipalLoss, alignment_temperature=0.5),
    "RegularizedLoss": lambda temperature: RegularizedLoss(PairwiseLoss(temperature), BOTH),
    "SeparatedLoss": separated,
}
#: Settings beside the defaults that the contract is worth testing for.
VARIANTS = {
    "anchor, one way": functools.partial(AnchorLoss, MeanAnchor(), direction="to_anchor"),
    "gramian, smooth": functools.partial(GramianLoss, label_smoothing=0.1),
}
LOSSES = public_losses() | CONSTRUCTORS | VARIANTS
#: Losses whose value depends on the order of the samples, as Symile's draws do, or on a rotation,
#: as components have their own meaning.
VARYING = {"SymileLoss", "SeparatedLoss"}
every_loss = pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
invariant = pytest.mark.parametrize(
    "make",
    [make for name, make in LOSSES.items() if name not in VARYING],
    ids=[name for name in LOSSES if name not in VARYING],
)
fast = settings(deadline=None, max_examples=12)


def unit(rng, *shape):
    return torch.tensor(conftest.unit(rng, *shape))


def draw(seed, shape=(3, 7, 4), masked=True):
    """Clean and augmented rows, and which are present: one per sample at least."""
    rng = np.random.default_rng(seed)
    z, z_aug = unit(rng, *shape), unit(rng, *shape)
    if not masked:
        return z, z_aug, None
    present = rng.random(shape[:2]) < 0.6
    present[np.arange(shape[1]) % shape[0], np.arange(shape[1])] = True
    present = torch.tensor(present)
    return z * present[:, :, None], z_aug * present[:, :, None], present


def call(loss, z, z_aug, present):
    return loss(z, z_aug, present, torch.Generator().manual_seed(0))


def test_the_contract_holds_every_loss():
    assert len(public_losses()) > 6
    assert set(CONSTRUCTORS) | VARYING <= set(public_losses())


@every_loss
@pytest.mark.parametrize("masked", [False, True])
def test_gradcheck(make, masked):
    z, z_aug, present = draw(0, (3, 4, 3), masked)
    loss = make(0.5)
    inputs = [z.requires_grad_(), z_aug.requires_grad_()]
    assert torch.autograd.gradcheck(
        lambda *zs: call(loss, *zs, present), inputs, fast_mode=True, atol=1e-6
    )


@every_loss
@pytest.mark.parametrize("temperature", [0.5, [0.5, 0.25, 0.75]])
def test_temperatures_learn(make, temperature):
    loss = make(Temperature(temperature, learn=True)).double()
    if isinstance(loss, PrincipalLoss) and isinstance(temperature, list):
        with pytest.raises(ValueError, match="temperature must be a single number"):
            loss.prepare(["a", "b", "c"])
        return
    loss.prepare(["a", "b", "c"])
    loss.double()
    z, z_aug, present = draw(0)
    call(loss, z, z_aug, present).backward()
    (parameter,) = loss.parameters()
    for k in range(parameter.numel()):
        values = []
        for step in (-1e-5, 1e-5):
            moved = copy.deepcopy(loss)
            with torch.no_grad():
                next(moved.parameters()).view(-1)[k] += step
                values.append(call(moved, z, z_aug, present).item())
        slope = (values[1] - values[0]) / 2e-5
        assert parameter.grad.view(-1)[k].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


@every_loss
def test_fixed_temperatures_are_those_of_learned_ones(make):
    z, z_aug, present = draw(0)
    fixed, learned = make(0.25), make(Temperature(0.25, learn=True))
    values = [call(loss, z, z_aug, present).item() for loss in (fixed, learned)]
    assert values[0] == pytest.approx(values[1], rel=1e-6)
    if not isinstance(fixed, PrincipalLoss):
        several = make({"a": 0.25, "b": 0.25, "c": 0.25})
        several.prepare(["a", "b", "c"])
        assert call(several, z, z_aug, present).item() == pytest.approx(values[0], rel=1e-6)


def degenerate():
    """Batches on which a careless formula divides by zero."""
    rng = np.random.default_rng(0)
    z, z_aug = unit(rng, 3, 6, 4), unit(rng, 3, 6, 4)
    equal, opposed = z.clone(), z.clone()
    equal[1], opposed[1] = z[0], -z[0]
    missing = torch.ones(3, 6, dtype=torch.bool)
    missing[2] = False
    one_each = torch.zeros(3, 6, dtype=torch.bool)
    one_each[torch.arange(6) % 3, torch.arange(6)] = True
    lonely = missing.clone()
    lonely[1, 1:] = False
    same = unit(rng, 4).expand(3, 6, 4)
    yield "equal modalities", equal, equal, None
    yield "opposed modalities", opposed, opposed, None
    yield "all rows equal", same, same, None
    turn = torch.linalg.qr(unit(np.random.default_rng(1), 4, 4)).Q
    yield "orthogonal", turn.expand(3, 4, 4), turn[None], None
    yield "axes", torch.eye(4).double().expand(3, 4, 4), torch.eye(4).double()[None], None
    yield "more modalities than components", unit(rng, 5, 6, 2), unit(rng, 5, 6, 2), None
    yield "one component", torch.ones(3, 6, 1), -torch.ones(3, 6, 1), None
    yield "one modality", z[:1], z_aug[:1], None
    yield "one modality with missing rows", z[:1], z_aug[:1], missing[:1] & one_each[:1]
    yield "two rows", z[:, :2], z_aug[:, :2], None
    yield "one row", z[:, :1], z_aug[:, :1], None
    yield "a modality that no sample has", z, z_aug, missing
    yield "a modality that one sample has", z, z_aug, lonely
    yield "one modality per sample", z, z_aug, one_each
    yield "nothing at all", z, z_aug, torch.zeros_like(missing)


@every_loss
@pytest.mark.parametrize("temperature", [0.01, 0.2])
def test_degenerate_batches(make, temperature):
    for name, z, z_aug, present in degenerate():
        if present is not None and "anchor" in dict(make(0.2).named_modules()):
            # An aggregate needs samples that have something.
            keep = present.any(dim=0)
            z, z_aug, present = z[:, keep], z_aug[:, keep], present[:, keep]
            if not keep.any():
                continue
        if name == "axes" and isinstance(make(0.2), SeparatedLoss):
            continue  # a head of length 0 has no direction to learn
        z_aug = z_aug.expand_as(z)
        if present is not None:
            z, z_aug = z * present[:, :, None], z_aug * present[:, :, None]
        inputs = [t.float().contiguous().requires_grad_() for t in (z, z_aug)]
        loss = call(make(temperature), *inputs, present)
        assert loss.shape == (), name
        assert loss.isfinite(), name
        for grad in torch.autograd.grad(loss, inputs, materialize_grads=True, allow_unused=True):
            assert grad.isfinite().all(), name
            # No step may be so long that it throws training off.
            assert grad.norm() < 100 / temperature, name


@every_loss
@pytest.mark.parametrize(
    ("rows", "present"),
    [(1, None), (2, torch.eye(3, dtype=torch.bool)[:, :2])],
)
def test_without_two_samples_there_is_nothing_to_contrast(make, rows, present):
    z, z_aug, _ = draw(0, (3, rows, 4), False)
    if present is not None:
        z, z_aug = z * present[:, :, None], z_aug * present[:, :, None]
    loss = make(0.2)
    z.requires_grad_()
    value = call(loss, z, z_aug, present)
    value.backward()
    if isinstance(loss, PrincipalLoss):
        # A sample can be aligned on its own, and directions of any modalities can be compared.
        assert value > 0
    else:
        assert value.item() == pytest.approx(0, abs=1e-12)
        assert_allclose(z.grad, 0, atol=1e-12)


@every_loss
@fast
@given(st.integers(0, 2**32 - 1))
def test_missing_rows_do_not_count(make, seed):
    z, z_aug, present = draw(seed)
    rng = np.random.default_rng(seed)
    dirty = [
        torch.where(present[:, :, None], t, unit(rng, *t.shape)).requires_grad_()
        for t in (z, z_aug)
    ]
    loss = make(0.3)
    value = call(loss, *dirty, present)
    assert value.item() == pytest.approx(call(loss, z, z_aug, present).item(), rel=1e-10)
    for grad in torch.autograd.grad(value, dirty):
        assert_allclose(grad[~present], 0, atol=1e-14)


@every_loss
def test_a_modality_that_no_sample_has_changes_nothing(make):
    batch = draw(0, (2, 9, 4))
    with_it = call(make(0.3), *(torch.cat([t, torch.zeros_like(t[:1])]) for t in batch))
    assert with_it.item() == pytest.approx(call(make(0.3), *batch).item())


@every_loss
def test_presence_of_all_is_no_mask(make):
    z, z_aug, _ = draw(0, masked=False)
    values = [
        call(make(0.3), z, z_aug, present).item()
        for present in (None, torch.ones(z.shape[:2], dtype=torch.bool))
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-12)


@invariant
@fast
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_order_and_rotation_do_not_matter(make, seed, masked):
    z, z_aug, present = draw(seed, masked=masked)
    rng = np.random.default_rng(seed)
    modalities, samples = (torch.tensor(rng.permutation(n)) for n in z.shape[:2])
    rotation = torch.linalg.qr(torch.tensor(rng.normal(size=(4, 4)))).Q

    def moved(t):
        return None if t is None else t[modalities][:, samples]

    loss = make(0.3)
    value = call(loss, moved(z) @ rotation, moved(z_aug) @ rotation, moved(present))
    assert value.item() == pytest.approx(call(loss, z, z_aug, present).item(), rel=1e-8)


@every_loss
@pytest.mark.parametrize("masked", [False, True])
def test_descent(make, masked):
    h, _, present = draw(0, (3, 8, 6), masked)
    loss = make(0.3)
    curve = []
    for _ in range(40):
        h = h.detach().requires_grad_()
        z = torch.nn.functional.normalize(h, dim=-1)
        value = call(loss, z, z, present)
        h = h - 0.1 * torch.autograd.grad(value, h)[0]
        curve.append(value.item())
    assert curve[-1] < curve[0] - 0.1


@every_loss
def test_pickle(make):
    z, z_aug, present = draw(0)
    loss = make(Temperature(0.3, learn=True))
    again = pickle.loads(pickle.dumps(loss))
    values = [call(each, z, z_aug, present).item() for each in (loss, again)]
    assert values[0] == values[1]


def test_the_fields_that_a_loss_reads_are_those_of_a_target():
    from skcentrobind import anchors
    from skcentrobind.losses import _base

    assert set(_base.Target.__annotations__) == set(anchors.Target.__dataclass_fields__)
