"""Anchors: the contract that all of them keep, and each against loops."""

import copy
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean, median
from unittest import mock

import numpy as np
import pytest
import torch
from conftest import fast
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skcentrobind import anchors
from skcentrobind.anchors import (
    ANCHORS,
    BaseAnchor,
    CallableAnchor,
    FixedAnchor,
    IntraAnchor,
    LearnedAnchor,
    MeanAnchor,
    MedianAnchor,
    RandomAnchor,
    Target,
    WeightedAnchor,
)
from skcentrobind.losses import AnchorLoss, _info_nce

apply = _info_nce._AnchorInfoNCE.apply
NAMES = ["image", "text", "audio", "tag"]


def midpoint(z, present):
    """Mean of the largest and the smallest value among what is present, for each coordinate."""
    if present is None:
        return (z.amax(dim=0) + z.amin(dim=0)) / 2
    high = z.masked_fill(~present[:, :, None], -torch.inf).amax(dim=0)
    return (high + z.masked_fill(~present[:, :, None], torch.inf).amin(dim=0)) / 2


def public_anchors():
    """Every public class of anchors by name, found where users find it."""
    classes = {name: getattr(anchors, name) for name in anchors.__all__}
    classes = {name: cls for name, cls in classes.items() if isinstance(cls, type)}
    derived = {name: cls for name, cls in classes.items() if issubclass(cls, BaseAnchor)}
    return {name: cls for name, cls in derived.items() if cls is not BaseAnchor}


#: How anchors are made whose constructors need arguments, for the modalities of NAMES.
CONSTRUCTORS = {
    "CallableAnchor": lambda: CallableAnchor(midpoint),
    "WeightedAnchor": lambda: WeightedAnchor([0.5, 0.0, 2.0, 1.0]),
}

#: Settings beside the defaults that the contract is worth testing for.
VARIANTS = {
    "random, intra": lambda: RandomAnchor(intra=True),
    "weights by name": lambda: WeightedAnchor({"tag": 1, "text": 0, "image": 3, "audio": 1.5}),
    "fixed by position": lambda: FixedAnchor(2),
    "fixed from behind": lambda: FixedAnchor(-1),
    "fixed by name": lambda: FixedAnchor("text"),
    "fixed and learning": lambda: FixedAnchor("text", freeze=False),
    "two fixed": lambda: FixedAnchor(["audio", 0]),
    "two fixed and learning": lambda: FixedAnchor(["audio", 0], freeze=False),
    "all fixed and learning": lambda: FixedAnchor([0, 1, 2, 3], freeze=False),
}
#: Every anchor there is: a new one joins by being public.
MAKERS = public_anchors() | CONSTRUCTORS | VARIANTS


def make(kind):
    anchor = MAKERS[kind]()
    anchor.prepare(NAMES)
    return anchor


def embed(rng, n_modalities=4, batch=8, width=3):
    z = rng.normal(size=(n_modalities, batch, width))
    return torch.tensor(z / np.linalg.norm(z, axis=-1, keepdims=True))


def mask(rng, n_modalities=4, batch=8, share=0.6):
    """Presence with missing rows, at least one modality per sample."""
    present = rng.random((n_modalities, batch)) < share
    present[rng.integers(n_modalities, size=batch), np.arange(batch)] = True
    return torch.tensor(present)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def targets_of(kind, z, present, seed=0):
    return make(kind).targets(z, present, seeded(seed))


def test_every_name_makes_an_anchor_of_the_contract():
    assert len(public_anchors()) > 10
    assert set(CONSTRUCTORS) <= set(public_anchors())
    assert {type(make_one()) for make_one in ANCHORS.values()} <= set(public_anchors().values())


each_anchor = pytest.mark.parametrize("kind", MAKERS)
with_and_without_missing = pytest.mark.parametrize("has_missing", [False, True])


# --- what every anchor keeps to -----------------------------------------------------------


@each_anchor
@with_and_without_missing
def test_targets_have_the_promised_form(kind, has_missing):
    rng = np.random.default_rng(0)
    z = embed(rng)
    present = mask(rng) if has_missing else None
    targets = targets_of(kind, z, present)
    assert targets
    for target in targets:
        members = range(4) if target.members is None else target.members
        assert len(members) > 0
        assert set(members) <= set(range(4))
        assert target.embeddings.shape in [(8, 3), (len(members), 8, 3)]
        assert target.embeddings.dtype == z.dtype
        assert target.embeddings.isfinite().all()
        assert target.weight > 0
        assert target.bounded == make(kind).bounded
        assert set(target.frozen) <= set(range(4)) - set(members)
        if target.present is not None:
            assert has_missing
            assert target.present.dtype == torch.bool
            assert target.present.shape in [(8,), (len(members), 8)]


@each_anchor
@with_and_without_missing
@pytest.mark.parametrize("seed", range(4))
def test_missing_values_change_nothing(kind, has_missing, seed):
    rng = np.random.default_rng(0)
    present = mask(rng) if has_missing else None
    keep = torch.ones(4, 8, 1) if present is None else present[:, :, None]
    results = []
    rows, others = (embed(rng), embed(rng)), (embed(rng), embed(rng))
    for filler in (0 * others[0], others[0], others[1]):
        pair = [torch.where(keep > 0, z, filler).requires_grad_() for z in rows]
        loss = AnchorLoss(make(kind), 0.2)(*pair, present, seeded(seed))
        loss.backward()
        grads = [torch.zeros_like(z) if z.grad is None else z.grad for z in pair]
        assert loss.isfinite()
        assert all(grad.isfinite().all() for grad in grads)
        assert grads[0].abs().max() > 1e-3
        if has_missing:
            assert not any(grad[~present].any() for grad in grads)
        results.append([loss.detach(), *grads])
    for result in results[1:]:
        for ours, theirs in zip(result, results[0], strict=True):
            assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@each_anchor
@with_and_without_missing
def test_order_of_the_samples_does_not_matter(kind, has_missing):
    rng = np.random.default_rng(0)
    z, order = embed(rng), rng.permutation(8)
    present = mask(rng) if has_missing else None
    plain = targets_of(kind, z, present)
    moved = targets_of(kind, z[:, order], present[:, order] if has_missing else None)
    for target, other in zip(plain, moved, strict=True):
        assert (target.members, target.weight) == (other.members, other.weight)
        assert target.frozen == other.frozen
        moved_back = target.embeddings.detach()[..., order, :]
        assert_array_equal(moved_back, other.embeddings.detach())
        if target.present is not None:
            assert_array_equal(target.present[..., order], other.present)


@each_anchor
def test_copies_and_pickles_are_equal(kind):
    rng = np.random.default_rng(0)
    z, present = embed(rng), mask(rng)
    anchor = make(kind)
    expected = anchor.targets(z, present, seeded())
    for other in (copy.deepcopy(anchor), pickle.loads(pickle.dumps(anchor))):
        assert (other.bounded, other.frozen()) == (anchor.bounded, anchor.frozen())
        assert other.sources() == anchor.sources()
        assert repr(other) == repr(anchor)
        for a, b in zip(other.targets(z, present, seeded()), expected, strict=True):
            assert (a.members, a.weight) == (b.members, b.weight)
            assert_array_equal(a.embeddings.detach(), b.embeddings.detach())


@each_anchor
@fast
@given(
    seed=st.integers(0, 2**32 - 1), has_missing=st.booleans(), spread=st.sampled_from([0, 0.1, 10])
)
def test_bounded_anchors_are_at_most_two_long(kind, seed, has_missing, spread):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(8, 5)) * rng.choice([0, 1], size=(8, 5))
    signs = rng.choice([-1, 1], size=(4, 8, 5))
    z = torch.tensor(common * signs + spread * rng.normal(size=(4, 8, 5)) + 1e-9)
    z = torch.nn.functional.normalize(z, dim=-1)
    present = mask(rng) if has_missing else None
    anchor = make(kind)
    for target in anchor.targets(z, present, seeded(seed)):
        length = target.embeddings.norm(dim=-1)
        if target.present is not None:
            length = length * target.present
        assert length.max() <= 2 or not target.bounded


def test_all_but_a_users_own_function_are_bounded():
    # Unbounded is always safe, and slower.
    z = torch.nn.functional.normalize(torch.ones(4, 8, 5), dim=-1)
    for name in ANCHORS.keys() & {"mean", "median", "trimmed", "spectral", "learned", "random"}:
        anchor = ANCHORS[name]()
        anchor.prepare(NAMES)
        assert all(target.bounded for target in anchor.targets(z, None, seeded(0))), name
    for kind in [*VARIANTS, "WeightedAnchor", "FixedAnchor", "IntraAnchor", "LeaveOneOutAnchor"]:
        assert all(target.bounded for target in make(kind).targets(z, None, seeded(0))), kind
    assert not make("CallableAnchor").targets(z, None, seeded(0))[0].bounded


@pytest.mark.parametrize(
    "make_one",
    [
        *ANCHORS.values(),
        lambda: WeightedAnchor([0.5]),
        FixedAnchor,
        lambda: FixedAnchor(["image"], freeze=False),
    ],
)
def test_one_modality_learns_from_its_own_rows(make_one):
    rng = np.random.default_rng(0)
    pair = embed(rng, n_modalities=1), embed(rng, n_modalities=1)
    anchor = make_one()
    anchor.prepare(["image"])
    loss, frozen = AnchorLoss(anchor, 0.2).step(*pair, None, seeded())
    assert anchor.frozen() == frozen == ()
    assert loss > 0.1
    alone = AnchorLoss(IntraAnchor(), 0.2)(*pair, None, seeded())
    assert_allclose(loss.detach(), alone, rtol=1e-12)


class Nothing(BaseAnchor):
    pass


class First(BaseAnchor):
    def aggregate(self, z, present):
        return z[0]


class Own(BaseAnchor):
    def targets(self, z, present, generator):
        return [Target(z)]


def test_an_anchor_implements_aggregate_or_targets():
    for cls in (BaseAnchor, Nothing):
        with pytest.raises(TypeError, match=rf"{cls.__name__} must implement aggregate\(z"):
            cls()
    with pytest.raises(TypeError, match=r"Own implements only targets\(\)"):
        Own().aggregate(torch.zeros(2, 2, 2), None)
    for anchor in (First(), Own()):
        anchor.prepare(NAMES)
        assert (anchor.bounded, anchor.frozen(), anchor.sources()) == (False, (), ())
        (target,) = anchor.targets(torch.zeros(2, 2, 2), None, seeded())
        assert (target.bounded, target.frozen) == (False, ())


@each_anchor
def test_sources_are_a_tuple_of_positions(kind):
    anchor = make(kind)
    chosen = {2, 3, 1, 0} if isinstance(anchor, FixedAnchor) else set()
    for sources in (anchor.sources(), AnchorLoss(anchor, 0.2).sources()):
        assert type(sources) is tuple
        assert set(sources) <= chosen
        assert bool(sources) == isinstance(anchor, FixedAnchor)


def test_the_bound_of_an_aggregate_goes_into_its_target():
    class Bounded(First):
        bounded = True

    z = torch.nn.functional.normalize(embed(np.random.default_rng(0)).float(), dim=-1)
    values = {}
    for anchor in (First(), Bounded()):
        (target,) = anchor.targets(z, None, None)
        assert target.bounded == anchor.bounded
        with mock.patch.object(_info_nce._AnchorInfoNCE, "apply", wraps=apply) as called:
            values[anchor.bounded] = AnchorLoss(anchor, 0.2)(z, z, None, None)
        assert called.call_args.args[-1] == anchor.bounded  # plain exponentials
    assert_allclose(values[True], values[False], rtol=1e-6)


# --- aggregates against loops -------------------------------------------------------------


def by_hand(z, present, rule):
    """One sample and one coordinate at a time; `rule` maps (value, modality) pairs to a number."""
    n_modalities, batch, width = z.shape
    out = np.empty((batch, width))
    for k in range(batch):
        here = [m for m in range(n_modalities) if present is None or present[m, k]]
        for c in range(width):
            out[k, c] = rule([(float(z[m, k, c]), m) for m in here])
    return out


def weighted(weights):
    def rule(pairs):
        total = sum(weights[m] for _, m in pairs)
        if total == 0:
            return fmean(value for value, _ in pairs)
        return sum(weights[m] * value for value, m in pairs) / total

    return rule


@fast
@given(
    seed=st.integers(0, 2**32 - 1),
    n_modalities=st.integers(1, 6),
    has_missing=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_aggregates_equal_loops(seed, n_modalities, has_missing, dtype):
    rng = np.random.default_rng(seed)
    z = embed(rng, n_modalities, batch=5).to(dtype)
    present = mask(rng, n_modalities, batch=5) if has_missing else None
    if has_missing:
        z = z * present[:, :, None]
    weights = [*rng.integers(0, 3, size=n_modalities - 1).tolist(), 1.5]
    for anchor, rule in (
        (MeanAnchor(), lambda pairs: fmean(value for value, _ in pairs)),
        (MedianAnchor(), lambda pairs: median(value for value, _ in pairs)),
        (WeightedAnchor(weights), weighted(weights)),
    ):
        anchor.prepare([f"m{i}" for i in range(n_modalities)])
        (target,) = anchor.targets(z, present, None)
        assert (target.members, target.present, target.weight) == (None, None, 1.0)
        assert target.embeddings.dtype == dtype
        error = 1e-12 if dtype == torch.float64 else 1e-6
        assert_allclose(target.embeddings, by_hand(z, present, rule), atol=error)


@pytest.mark.parametrize("n_modalities", [3, 4])
@pytest.mark.parametrize("anchor", [MeanAnchor(), MedianAnchor(), WeightedAnchor([2, 1, 1, 1])])
def test_gradients_of_aggregates(n_modalities, anchor):
    rng = np.random.default_rng(0)
    if isinstance(anchor, WeightedAnchor):
        anchor = WeightedAnchor(anchor.weights[:n_modalities])
    for present in (None, mask(rng, n_modalities)):
        z = embed(rng, n_modalities).requires_grad_()
        assert torch.autograd.gradcheck(lambda z, p=present: anchor.aggregate(z, p), z)


# --- weights ------------------------------------------------------------------------------


def test_weights_go_by_name():
    rng = np.random.default_rng(0)
    z = embed(rng)
    by_order, by_name = make("WeightedAnchor"), make("weights by name")
    assert_allclose(by_order.aggregate(z, None), (0.5 * z[0] + 2 * z[2] + z[3]) / 3.5, atol=1e-12)
    assert_allclose(by_name.aggregate(z, None), (3 * z[0] + 1.5 * z[2] + z[3]) / 5.5, atol=1e-12)
    by_name.prepare(["tag", "audio", "text", "image"])
    assert_allclose(by_name.aggregate(z, None), (z[0] + 1.5 * z[1] + 3 * z[3]) / 5.5, atol=1e-12)


@pytest.mark.parametrize("given", [(1, 2, 3, 4), np.array([1.0, 2, 3, 4]), torch.arange(1.0, 5)])
def test_weights_in_any_sequence(given):
    anchor = WeightedAnchor(given)
    anchor.prepare(NAMES)
    z = embed(np.random.default_rng(0))
    expected = sum((m + 1) * z[m] for m in range(4)) / 10
    assert_allclose(anchor.aggregate(z, None), expected, atol=1e-7)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1, 2, 3], ["3 weights for 4 modalities", str(NAMES)]),
        ([1] * 5, ["5 weights for 4 modalities"]),
        ([[1, 2], [3, 4]], ["one number for each modality", "got [[1, 2], [3, 4]]"]),
        ([1, 2, 3, -1], ["finite weights >= 0", "got [1, 2, 3, -1]"]),
        ([0, 0, 0, 0], ["not all 0", "got [0, 0, 0, 0]"]),
        ([1, 2, 3, np.nan], ["finite weights"]),
        ([1, 2, 3, np.inf], ["finite weights"]),
        ({"image": 1}, ["weights for ['image']", f"modalities {NAMES}"]),
        (dict.fromkeys([*NAMES, "smell"], 1), ["'smell'", "one weight for each"]),
        ({"image": 1, 3: 1}, ["weights for ['3', 'image']"]),
        (dict.fromkeys(NAMES, -1), ["finite weights >= 0"]),
        ("heavy", ["one number for each modality", "got 'heavy'"]),
        ([1, 2, None, 4], ["one number for each modality", "sequence or a dict by name"]),
    ],
)
def test_bad_weights(weights, words):
    with pytest.raises(ValueError) as info:
        WeightedAnchor(weights).prepare(NAMES)
    assert all(word in str(info.value) for word in words), str(info.value)


@pytest.mark.parametrize(
    "anchor", [WeightedAnchor({"a": 1, "b": 1}), LearnedAnchor(), FixedAnchor("b", freeze=False)]
)
def test_anchors_that_need_names_raise_without_them(anchor):
    z = torch.zeros(2, 2, 2)
    message = re.escape(f"{anchor!r} is not resolved yet: call prepare(names).")
    with pytest.raises(RuntimeError, match=message):
        anchor.targets(z, None, seeded())
    if not isinstance(anchor, FixedAnchor):
        with pytest.raises(RuntimeError, match=message):
            _ = anchor.modality_weights
    anchor.prepare(["a", "b"])
    assert anchor.targets(z, None, seeded())


# --- modalities as anchors ----------------------------------------------------------------


@pytest.mark.parametrize("intra", [False, True])
def test_random_anchor_draws_every_modality_from_its_generator(intra):
    rng = np.random.default_rng(0)
    z = embed(rng).requires_grad_()
    before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    draws = []
    for seed in (3, 3, 4):
        anchor, generator, drawn = RandomAnchor(intra), seeded(seed), []
        for _ in range(200):
            (target,) = anchor.targets(z, None, generator)
            (chosen,) = [m for m in range(4) if torch.equal(target.embeddings, z[m])]
            drawn.append(chosen)
            assert target.frozen == (() if intra else (chosen,))
            assert target.members == (None if intra else [m for m in range(4) if m != chosen])
            assert target.embeddings.requires_grad == intra
        draws.append(drawn)
    assert draws[0] == draws[1] != draws[2]
    # 4 standard deviations of a fair draw
    assert all(abs(draws[0].count(m) - 50) < 25 for m in range(4))
    assert torch.equal(torch.get_rng_state(), before)
    assert_array_equal(np.random.get_state()[1], numpys)


def test_random_anchor_draws_what_has_rows_to_compare():
    z = embed(np.random.default_rng(0))
    present = torch.zeros(4, 8, dtype=torch.bool)
    present[0, :5] = present[2, 5:] = present[1, 0] = True
    anchor, generator = RandomAnchor(), seeded()
    drawn = set()
    for _ in range(40):
        (target,) = anchor.targets(z, present, generator)
        (chosen,) = target.frozen
        drawn.add(chosen)
        assert_array_equal(target.present, present[chosen])
    assert drawn == {0, 2}
    (target,) = anchor.targets(z[:, :1], present[:, :1], generator)  # no modality has two rows
    assert target.embeddings.isfinite().all()


def draws_of(loss, z, seed, steps=50):
    generator = seeded(seed)
    for _ in range(steps):
        yield loss.step(z, z, None, generator)


def test_batches_that_share_a_random_anchor_keep_their_own_draws():
    z = embed(np.random.default_rng(0))
    loss = AnchorLoss(RandomAnchor(), 0.2)
    before = set(vars(loss)) | set(vars(loss.anchor))
    alone = [[frozen for _, frozen in draws_of(loss, z, seed)] for seed in (0, 1)]
    assert all(len(frozen) == 1 for draws in alone for frozen in draws)
    assert alone[0] != alone[1]
    interleaved = zip(draws_of(loss, z, 0), draws_of(loss, z, 1), strict=True)
    assert [(a[1], b[1]) for a, b in interleaved] == list(zip(*alone, strict=True))
    with ThreadPoolExecutor(2) as pool:
        threads = pool.map(lambda seed: [f for _, f in draws_of(loss, z, seed)], (0, 1))
        assert list(threads) == alone
    assert set(vars(loss)) | set(vars(loss.anchor)) == before  # nothing is kept between calls


@pytest.mark.parametrize(
    ("given", "positions"),
    [
        (0, [0]),
        (-1, [3]),
        ("audio", [2]),
        (np.int64(1), [1]),
        (["audio", 0], [2, 0]),
        (("tag", -3), [3, 1]),
        (np.array([1, 2]), [1, 2]),
    ],
)
@pytest.mark.parametrize("freeze", [False, True])
@with_and_without_missing
def test_fixed_anchors(given, positions, freeze, has_missing):
    rng = np.random.default_rng(0)
    z, present = embed(rng), mask(rng) if has_missing else None
    anchor = FixedAnchor(given, freeze=freeze)
    anchor.prepare(NAMES)
    assert anchor.frozen() == (tuple(positions) if freeze else ())
    assert anchor.sources() == tuple(positions)
    targets = anchor.targets(z, present, None)
    for target, q in zip(targets, positions, strict=True):
        assert_array_equal(target.embeddings, z[q])
        silent = positions if freeze else [q]
        assert target.members == [m for m in range(4) if m not in silent]
        assert target.weight == pytest.approx(1 / len(positions))
        if has_missing:
            assert_array_equal(target.present, present[q])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("smell", ["name or the position", str(NAMES), "got 'smell'"]),
        (4, ["got 4"]),
        (-5, ["got -5"]),
        (1.0, ["got 1.0"]),
        (True, ["got True"]),
        (None, ["got None"]),
        (["text", "smell"], ["got 'smell'"]),
        ([], ["one modality or several different ones", "got []"]),
        (["text", 1], ["several different ones", "got ['text', 1]"]),
        ([0, -4], ["several different ones"]),
        ([0, 1, 2, 3], ["freezes all modalities", "freeze_anchor=False"]),
    ],
)
def test_bad_fixed_anchors(given, words):
    with pytest.raises(ValueError) as info:
        FixedAnchor(given).prepare(NAMES)
    assert all(word in str(info.value) for word in words), str(info.value)


def test_intra_anchor_is_each_modality_alone():
    rng = np.random.default_rng(0)
    z, present = embed(rng), mask(rng)
    (target,) = IntraAnchor().targets(z, present, None)
    assert (target.members, target.weight) == (None, 1.0)
    assert_array_equal(target.embeddings, z)
    assert_array_equal(target.present, present)


def test_settings_can_be_read():
    assert re.search(r"\[1, 3\]", repr(WeightedAnchor([1, 3])))
    assert "intra=True" in repr(RandomAnchor(intra=True))
    assert "'text', freeze=False" in repr(FixedAnchor("text", freeze=False))
