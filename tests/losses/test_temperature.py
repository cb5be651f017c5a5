"""Temperatures: one or one per modality, fixed or learned."""

import math
import pickle
import re

import conftest
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skcentrobind.anchors import (
    BaseAnchor,
    FixedAnchor,
    LearnedAnchor,
    MeanAnchor,
    RandomAnchor,
    Target,
)
from skcentrobind.losses import (
    AnchorLoss,
    BaseLoss,
    PairwiseLoss,
    RegularizedLoss,
    SeparatedLoss,
    Temperature,
    anchor_info_nce,
)

NAMES = ["image", "text", "audio"]


def unit(rng, *shape):
    return torch.tensor(conftest.unit(rng, *shape), requires_grad=True)


# --- Temperature --------------------------------------------------------------------------


@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize(
    "given", [[0.1, 0.2, 0.5], {"audio": 0.5, "image": 0.1, "text": 0.2}, np.array([0.1, 0.2, 0.5])]
)
def test_one_temperature_per_modality(given, learn):
    temperature = Temperature(given, learn)
    with pytest.raises(RuntimeError, match=re.escape("is not resolved yet: call prepare(names)")):
        temperature.value()
    with pytest.raises(RuntimeError, match=re.escape("is not resolved yet: call prepare(names)")):
        _ = temperature.values
    temperature.prepare(NAMES)
    assert_allclose(temperature.values, [0.1, 0.2, 0.5], rtol=1e-6)
    assert all(type(value) is float for value in temperature.values)
    assert_allclose(temperature.value().detach(), [0.1, 0.2, 0.5], rtol=1e-6)
    assert [name for name, _ in temperature.named_parameters()] == ["log_temperature"] * learn
    assert temperature.value().requires_grad == learn


@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("given", [0.2, np.float64(0.2)])
def test_one_temperature_for_all_needs_no_names(given, learn):
    temperature = pickle.loads(pickle.dumps(Temperature(given, learn)))
    before = temperature.value()
    temperature.prepare(NAMES)
    if learn:
        assert before.shape == ()
        assert temperature.values == pytest.approx(0.2)
    else:
        assert temperature.value() == before == temperature.values == 0.2
        assert type(before) is float
    assert type(temperature.values) is float


def test_learned_temperatures_stay_in_bounds():
    temperature = Temperature([0.5, 0.02, 0.2], learn=True)
    temperature.prepare(NAMES)
    with torch.no_grad():
        temperature.log_temperature += torch.tensor([3.0, -3.0, math.log(2)])
    temperature.clamp_()
    assert_allclose(temperature.values, [1.0, 0.01, 0.4], rtol=1e-6)
    fixed = Temperature(5.0)
    fixed.clamp_()
    assert fixed.value() == 5.0


@pytest.mark.parametrize(
    ("given", "learn", "message"),
    [
        ([0.1, 0.2], False, "has 2 entries for the 3 modalities ['image', 'text', 'audio']"),
        ({"image": 1, "text": 1}, False, "['audio'] have none, and [] are no modalities"),
        (dict.fromkeys([*NAMES, "smell"], 1), False, "and ['smell'] are no modalities"),
        ([0.1, 0, 1], False, "of modality 'text' must be a positive number, got 0"),
        ([0.1, True, 1], False, "of modality 'text' must be a positive number, got True"),
        ([0.1, 0.1, "x"], False, "of modality 'audio' must be a positive number, got 'x'"),
        (-1, False, "temperature must be a positive number, got -1"),
        (math.nan, False, "temperature must be a positive number, got nan"),
        (math.inf, False, "temperature must be a positive number, got inf"),
        (2, True, "temperature is 2, but one that is learned must start between 0.01 and 1.0"),
        ([0.1, 0.1, 0.001], True, "of modality 'audio' is 0.001, but one that is learned must"),
    ],
)
def test_bad_temperatures(given, learn, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Temperature(given, learn).prepare(NAMES)


# --- anchor_info_nce ----------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("direction", ["both", "from_anchor", "to_anchor"])
def test_gradient_of_the_temperature(shared, masked, bounded, shape, direction):
    rng = np.random.default_rng(0)
    z, a = unit(rng, 3, 5, 3), unit(rng, 5, 3) if shared else unit(rng, 3, 5, 3)
    present = torch.tensor(rng.random((3, 5)) < 0.7) if masked else None
    t = torch.tensor(rng.uniform(0.2, 0.8, size=shape), requires_grad=True)

    def loss(z, a, t):
        return anchor_info_nce(
            z, a, t, direction=direction, present=present, chunk_size=2, bounded=bounded
        )

    assert torch.autograd.gradcheck(loss, (z, a, t))


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("low", [0.005, 0.2])  # beyond what plain exponentials hold, and within
def test_each_modality_takes_its_own_temperature(masked, low):
    rng = np.random.default_rng(0)
    z, a = unit(rng, 3, 6, 4), unit(rng, 6, 4)
    present = torch.tensor(rng.random((3, 6)) < 0.7) if masked else None
    ts = [low, 0.3, 0.9]
    for bounded in (True, False):
        options = {"bounded": bounded, "present": present}
        together = anchor_info_nce(z, a, torch.tensor(ts, dtype=torch.float64), **options)
        single = [anchor_info_nce(z, a, t, **options)[m] for m, t in enumerate(ts)]
        assert_allclose(together.detach(), [loss.item() for loss in single], rtol=1e-10)
        one = anchor_info_nce(z, a, torch.tensor(0.3), **options)
        assert_allclose(
            one.detach(), anchor_info_nce(z, a, 0.3, **options).detach(), rtol=1e-6, atol=1e-12
        )


def test_gradient_of_the_temperature_alone():
    rng = np.random.default_rng(0)
    z, a = unit(rng, 3, 6, 4).detach(), unit(rng, 6, 4).detach()
    t = torch.tensor(0.3, requires_grad=True)
    anchor_info_nce(z, a, t).sum().backward()
    at = [anchor_info_nce(z, a, 0.3 + step).sum().item() for step in (-1e-5, 1e-5)]
    assert t.grad.item() == pytest.approx((at[1] - at[0]) / 2e-5, rel=1e-5)


def test_tensors_that_are_no_temperatures():
    z = torch.eye(3).expand(2, 3, 3)
    with pytest.raises(ValueError, match=re.escape("each of 2 modalities, got a tensor of shape")):
        anchor_info_nce(z, z[0], torch.ones(3))
    with pytest.raises(ValueError, match="must be a positive number, got 0"):
        anchor_info_nce(z, z[0], torch.tensor([1.0, 0.0]))


# --- AnchorLoss and BaseLoss --------------------------------------------------------------


class Others(BaseAnchor):
    """The second modality for the two others, and one target for each of all three."""

    def targets(self, z, present, generator):
        return [Target(z[1], [0, 2], weight=0.25), Target(z.flip(0))]


def test_anchor_loss_gives_members_their_temperature():
    rng = np.random.default_rng(0)
    z, z_aug = unit(rng, 3, 6, 4), unit(rng, 3, 6, 4)
    loss = AnchorLoss(Others(), {"image": 0.5, "text": 0.25, "audio": 0.125})
    loss.prepare(NAMES)
    by_one = [anchor_info_nce(z, z_aug.flip(0), t)[m] for m, t in enumerate([0.5, 0.25, 0.125])]
    by_one += [0.25 * anchor_info_nce(z[[m]], z_aug[1], t)[0] for m, t in [(0, 0.5), (2, 0.125)]]
    value = loss(z, z_aug, None, torch.Generator())
    assert value.item() == pytest.approx(sum(by_one).item(), rel=1e-12)


@pytest.mark.parametrize("temperature", [0.2, [0.2, 0.1, 0.3]])
def test_temperatures_learn_with_the_anchor(temperature):
    rng = np.random.default_rng(0)
    loss = AnchorLoss(LearnedAnchor(), Temperature(temperature, learn=True))
    loss.prepare(NAMES)
    parameters = dict(loss.named_parameters())
    assert set(parameters) == {"temperature.log_temperature", "anchor.logits"}
    loss(unit(rng, 3, 6, 4), unit(rng, 3, 6, 4), None, torch.Generator()).backward()
    for parameter in parameters.values():
        assert parameter.grad.abs().min() > 0
    with torch.no_grad():
        loss.temperature.log_temperature -= 10.0
    loss.clamp_()
    assert_allclose(loss.temperature.values, 0.01, rtol=1e-6)


def test_losses_return_what_is_frozen():
    z = torch.eye(4).expand(3, 4, 4)
    fixed = AnchorLoss(FixedAnchor("text"), 0.2)
    fixed.prepare(NAMES)
    assert fixed.frozen() == fixed.step(z, z, None, None)[1] == (1,)
    mean = AnchorLoss(MeanAnchor(), 0.2)
    assert mean.frozen() == mean.step(z, z, None, None)[1] == ()


class FixedAndDrawn(FixedAnchor):
    """The last modality never moves, and the first two do not move in this step."""

    def targets(self, z, present, generator):
        return [Target(z[1], frozen=(1, 0)), Target(z[0], [2], frozen=(0,))]


@pytest.mark.parametrize("wrap", ["no", "regularized", "separated"])
def test_a_step_freezes_what_any_target_does(wrap):
    loss = AnchorLoss(FixedAndDrawn(-1), 0.2)
    if wrap == "regularized":
        loss = RegularizedLoss(loss, {"uniformity": 0.1})
    if wrap == "separated":
        loss = SeparatedLoss(loss, AnchorLoss(FixedAnchor("image"), 0.1), 3, 1.0)
    loss.prepare(NAMES)
    rng = np.random.default_rng(0)
    z, z_aug = unit(rng, 3, 6, 5), unit(rng, 3, 6, 5)
    value, frozen = loss.step(z, z_aug, None, torch.Generator())
    assert (loss.frozen(), frozen) == ((2,), (0, 1, 2))
    assert value.item() == loss(z, z_aug, None, torch.Generator()).item()


@pytest.mark.parametrize("base", [AnchorLoss, RegularizedLoss])
def test_a_step_computes_a_users_own_forward(base):
    class Shifted(base):
        def forward(self, z, z_augmented, present, generator):
            return super().forward(z, z_augmented, present, generator) + 1.0

    inner = (
        (AnchorLoss(RandomAnchor(), 0.2), {}) if base is RegularizedLoss else (MeanAnchor(), 0.2)
    )
    rng = np.random.default_rng(0)
    batch = unit(rng, 3, 6, 4), unit(rng, 3, 6, 4), None
    value, frozen = Shifted(*inner).step(*batch, torch.Generator().manual_seed(0))
    expected = base(*inner)(*batch, torch.Generator().manual_seed(0))
    drawn = () if base is AnchorLoss else (2,)  # as the seed draws it
    assert (value.item(), frozen) == (expected.item() + 1, drawn)


def test_a_loss_must_implement_forward():
    class Distance(BaseLoss):
        def forward(self, z, z_augmented, present, generator):
            return (z - z_augmented).square().sum()

        def frozen(self):
            return (1,)

    loss = pickle.loads(pickle.dumps(PairwiseLoss(Temperature(0.3))))
    assert (loss.temperature.value(), loss.frozen(), loss.sources()) == (0.3, (), ())
    z = torch.eye(3)[None]
    value, frozen = Distance().step(z, 2 * z, None, None)
    assert (value.item(), frozen) == (3.0, (1,))

    class Nothing(BaseLoss):
        pass

    for cls in (BaseLoss, Nothing):
        with pytest.raises(TypeError, match=rf"abstract class {cls.__name__}.* method '?forward"):
            cls()
