"""Augmentations: noise, masks and swaps of present rows, and users' own functions."""

import numpy as np
import pytest
import torch
from conftest import WIDTHS, fast
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skcentrobind._encoders.encoders import Identity
from skcentrobind._encoders.module import (
    AUGMENTATIONS,
    Augmenter,
    BindModule,
    UserAugmentation,
    gaussian,
    marginal,
    zero,
)

NAMES = list(WIDTHS)
STILL = {"learning_rate": 1e-30, "weight_decay": 0.0, "max_epochs": 1}


each_augmentation = pytest.mark.parametrize(
    "augment", [row.dense for row in AUGMENTATIONS.values()], ids=AUGMENTATIONS
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def labelled(batch, *shape):
    """Rows whose values encode their position: column plus row / 1000, never zero."""
    columns = torch.arange(1.0, 1 + int(np.prod(shape)), dtype=torch.float64)
    return (columns + torch.arange(batch)[:, None] / 1000).view(batch, *shape)


# --- what all augmentations keep to -------------------------------------------------------


@each_augmentation
@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 3, 2)])
@pytest.mark.parametrize("has_missing", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_form_and_determinism(augment, shape, has_missing, dtype):
    x = labelled(20, *shape).to(dtype)
    present = torch.arange(20) % 3 > 0 if has_missing else None
    before, kept = torch.get_rng_state(), x.clone()
    spread = torch.full(shape, 2.0, dtype=dtype)
    outs = [augment(x, 0.4, spread, present, seeded(seed)) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(x, kept)
    assert torch.equal(outs[0], outs[1])
    for out in outs:
        assert (out.shape, out.dtype) == (x.shape, dtype)
        assert out.isfinite().all()
    assert not torch.equal(outs[0], outs[2])
    assert torch.equal(augment(x, 0.0, spread, present, seeded()), x)


@each_augmentation
def test_generator_moves_on(augment):
    x, generator = labelled(20, 6), seeded()
    first, second = (augment(x, 0.4, None, None, generator) for _ in range(2))
    assert not torch.equal(first, second)


# --- each on its own ----------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.3, 2.0])
@pytest.mark.parametrize("spread", [None, torch.tensor([0.0, 1.0, 10.0])])
def test_gaussian_noise_has_the_spread_of_its_column(strength, spread):
    x = torch.tensor([5.0, -1.0, 0.0]).repeat(20_000, 1)
    noise = (gaussian(x, strength, spread, None, seeded()) - x).double().numpy()
    expected = strength * (np.ones(3) if spread is None else spread.numpy())
    # the standard error of a standard deviation of n values is its 1/sqrt(2n) = 0.5 %
    assert_allclose(noise.std(axis=0), expected, rtol=0.03)
    assert np.all(abs(noise.mean(axis=0)) <= 5 * expected / np.sqrt(20_000) + 1e-6)
    correlation = np.corrcoef(noise[:, 1], noise[:, 2])[0, 1]
    assert abs(correlation) < 0.03
    share_within = (abs(noise[:, 2]) < expected[2]).mean()
    assert_allclose(share_within, 0.6827, atol=0.02)  # it is normal


@pytest.mark.parametrize("strength", [0.2, 0.7])
def test_mask_drops_its_share(strength):
    x = labelled(5000, 4)
    out = zero(x, strength, None, None, seeded())
    dropped = out == 0
    assert torch.equal(out[~dropped], x[~dropped])
    # 5 standard errors
    error = 5 * np.sqrt(strength * (1 - strength) / 5000)
    assert_allclose(dropped.double().mean(dim=0), strength, atol=error)
    assert (zero(x, 1.0, None, None, seeded()) == 0).all()


@fast
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.sampled_from([(5,), (2, 3)]),
    st.booleans(),
)
def test_marginal_swaps_within_columns_of_present_rows(seed, strength, shape, has_missing):
    x = labelled(12, *shape)
    present = torch.rand(12, generator=seeded(seed)) < 0.5 if has_missing else None
    out = marginal(x, strength, None, present, seeded(seed))
    donors = torch.ones(12, dtype=torch.bool) if present is None else present
    lent = x.flatten(1)[donors]
    for row, (own, got) in enumerate(zip(x.flatten(1), out.flatten(1), strict=True)):
        for column, value in enumerate(got.tolist()):
            stayed = value == own[column].item()
            assert stayed or value in lent[:, column].tolist(), (row, column)


def test_marginal_swaps_its_share_with_every_row():
    x = labelled(3000, 4)
    present = torch.arange(3000) < 10  # so many donors
    out = marginal(x, 0.3, None, present, seeded())
    late = slice(10, None)
    swapped = out[late] != x[late]
    assert_allclose(swapped.double().mean(dim=0), 0.3, atol=5 * np.sqrt(0.21 / 3000))
    for column in range(4):
        values, counts = np.unique(out[late, column][swapped[:, column]], return_counts=True)
        assert_array_equal(values, x[:10, column])
        assert counts.min() > 50  # of 90 expected each
    # columns are swapped one by one
    both = (swapped[:, 0] & swapped[:, 1]).double().mean()
    assert_allclose(both, 0.09, atol=0.03)


def test_marginal_without_present_rows_changes_nothing():
    x = labelled(5, 3)
    none = torch.zeros(5, dtype=torch.bool)
    assert torch.equal(marginal(x, 1.0, None, none, seeded()), x)


# --- augmenters ---------------------------------------------------------------------------


class Recorder:
    """An augmentation that records its arguments and negates."""

    def __init__(self):
        self.calls = []

    def __call__(self, *args):
        self.calls.append(args)
        return -args[0]


@pytest.mark.parametrize("has_missing", [False, True])
@pytest.mark.parametrize("spread", [None, torch.arange(7.0)])
def test_augmenter_gives_each_member_its_own_rows(has_missing, spread):
    x, generator = labelled(6, 7), seeded()
    present = torch.rand((3, 6), generator=generator) < 0.5 if has_missing else None
    augment = Recorder()
    out = Augmenter(augment, 0.3, spread, [2, 4, 1])(x, present, generator)
    assert torch.equal(out, -x)
    if not has_missing:
        ((got_x, strength, got_spread, rows, got_generator),) = augment.calls
        assert torch.equal(got_x, x)
        assert (strength, got_spread, rows, got_generator) == (0.3, spread, None, generator)
        return
    columns = [slice(0, 2), slice(2, 6), slice(6, 7)]
    for m, (call, part) in enumerate(zip(augment.calls, columns, strict=True)):
        assert torch.equal(call[0], x[:, part])
        assert call[1] == 0.3
        assert call[2] is None if spread is None else torch.equal(call[2], spread[part])
        assert torch.equal(call[3], present[m])
        assert call[4] is generator


def test_augmenter_of_one_member_keeps_its_shape():
    x, present = labelled(6, 2, 3), torch.tensor([[True, False] * 3])
    augment = Recorder()
    assert torch.equal(Augmenter(augment, 0.3, None, [6])(x, present, seeded()), -x)
    assert augment.calls[0][0].shape == (6, 2, 3)
    assert torch.equal(augment.calls[0][3], present[0])


def test_missing_rows_of_one_member_are_no_source():
    x = labelled(40, 4)
    present = torch.stack([torch.arange(40) < 20, torch.arange(40) >= 20])
    out = Augmenter(marginal, 1.0, None, [2, 2])(x, present, seeded())
    sources = torch.round((out - out.floor()) * 1000).long()
    assert set(sources[:, :2].flatten().tolist()) <= set(range(20))
    assert set(sources[:, 2:].flatten().tolist()) <= set(range(20, 40))


def test_no_augmentation():
    groups = nn.ModuleList([Identity([0, 1], [3, 3], 3, (), seeded())])
    x = labelled(4, 6)
    clean, augmented = BindModule(groups, [Augmenter(None, 0.3, None, [3, 3])])([x], None, seeded())
    assert torch.equal(clean, augmented)


def test_users_augmentation_gets_rows_and_generator():
    generator, x = seeded(), labelled(4, 3)
    calls = []

    def shift(*args):
        calls.append(args)
        return args[0] + 1

    augmenter = Augmenter(UserAugmentation(shift), 0.3, torch.ones(3), [3])
    assert torch.equal(augmenter(x, None, generator), x + 1)
    ((got_x, got_generator),) = calls
    assert got_x is x
    assert got_generator is generator


@pytest.mark.parametrize(
    ("out", "got"), [(torch.ones(4, 2), r"\(4, 2\)"), (np.ones((4, 3)), "ndarray"), (None, "None")]
)
def test_users_augmentation_must_keep_the_shape(out, got):
    augmenter = Augmenter(UserAugmentation(lambda x, generator: out), 0.3, None, [3])
    with pytest.raises(ValueError, match=rf"shape of its input, \(4, 3\), got {got}"):
        augmenter(labelled(4, 3), None, seeded())


# --- in the estimators --------------------------------------------------------------------


@pytest.mark.parametrize("augmentation", ["gaussian", "mask", "marginal"])
@pytest.mark.parametrize("standardize", [True, False])
def test_augmentations_change_what_is_learned(X, binder, augmentation, standardize):
    none = binder(augmentation=None, standardize=standardize).fit_transform(X)
    some = binder(augmentation=augmentation, standardize=standardize).fit_transform(X)
    assert np.abs(some - none).max() > 1e-5
    zero = binder(augmentation=augmentation, augmentation_scale=0, standardize=standardize)
    # Random numbers are drawn as before, but nothing is changed by them.
    assert_allclose(zero.fit_transform(X), none, atol=1e-4)


def test_noise_follows_the_spread_of_each_feature(X, centro):
    # Without standardisation, noise of 0.3 standard deviations still is relative to each feature.
    def score(scale):
        data = [X["image"] * scale]
        return centro(standardize=False, **STILL).fit(data).score(data)

    assert score(1e3) == pytest.approx(score(1.0), abs=0.05)


def test_a_callable_augmentation(X, centro):
    seen = []

    def shift(x, generator):
        seen.append((tuple(x.shape), x.dtype, type(generator)))
        return x + torch.rand(x.shape, generator=generator)

    Z = centro(augmentation=shift, batch_size=20, max_epochs=1).fit_transform(X)
    assert sorted(shape for shape, _, _ in seen) == [(20, 4)] * 2 + [(20, 5)] * 2 + [(20, 6)] * 2
    assert {(dtype, kind) for _, dtype, kind in seen} == {(torch.float32, torch.Generator)}
    assert_array_equal(centro(augmentation=shift, batch_size=20, max_epochs=1).fit_transform(X), Z)
    assert not np.array_equal(
        centro(augmentation=None, batch_size=20, max_epochs=1).fit_transform(X), Z
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", [list, dict])
def test_each_modality_gets_its_own_augmentation(X, centro, name, form):
    widths = set()

    def spy(x, generator):
        widths.add(x.shape[1])
        return x

    augmentation = {other: spy if other == name else None for other in NAMES}
    if form is list:
        augmentation = list(augmentation.values())
    centro(augmentation=augmentation).fit(X)
    assert widths == {WIDTHS[name]}


def test_mixed_augmentations_reach_their_modalities(X, centro):
    # Only the image is disturbed, and so heavily that its samples cannot be distinguished.
    loud = lambda x, generator: torch.randn(x.shape, generator=generator)  # noqa: E731
    one = centro(augmentation={"image": loud, "text": None, "audio": None}, max_epochs=1).fit(X)
    none = centro(augmentation=None, max_epochs=1).fit(X)
    assert one.loss_curve_ != none.loss_curve_
    single = centro(augmentation=[loud], **STILL).fit([X["image"]])
    assert single.score([X["image"]]) < 0.3
