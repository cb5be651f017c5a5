"""BindModule: all encoders of a batch, with frozen groups and missing rows."""

import copy

import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skcentrobind._encoders.custom import CustomEncoder
from skcentrobind._encoders.encoders import ModalityEncoder
from skcentrobind._encoders.module import Augmenter, BindModule
from skcentrobind._encoders.table import ENCODERS


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def negate(x, strength, spread, present, generator):
    return -x


def bank(members, widths, seed=0):
    return ENCODERS["mlp"](members, widths, 4, (5,), seeded(seed)).double()


def custom(member, *layers):
    return CustomEncoder(member, nn.Sequential(*layers).double())


def make_module(*groups, augment=negate, widths=None):
    widths = widths or [[3] * len(group.members) for group in groups]
    augmenters = [Augmenter(augment, 0.3, None, width) for width in widths]
    return BindModule(nn.ModuleList(groups), augmenters).train()


def randn(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


@pytest.mark.parametrize("has_missing", [False, True])
def test_embeddings_are_in_the_order_of_the_modalities(has_missing):
    # modality 0, 1, ..., 4 has 3, 2, 3, 6, 4 features
    images = custom(3, nn.Flatten(), nn.Linear(6, 4))
    groups = images, bank([4, 1], [4, 2]), bank([2, 0], [3, 3], seed=1)
    module = make_module(*groups, widths=[[6], [4, 2], [3, 3]])
    parts = [randn(7, width, seed=width + m) for m, width in enumerate([3, 2, 3, 6, 4])]
    present = torch.rand((5, 7), generator=seeded()) < 0.6 if has_missing else None
    if has_missing:
        parts = [x * rows[:, None] for x, rows in zip(parts, present, strict=True)]
    inputs = [
        parts[3].view(7, 2, 3),
        torch.cat([parts[4], parts[1]], dim=1),
        torch.cat([parts[2], parts[0]], dim=1),
    ]
    z, z_augmented = module(inputs, present, seeded())
    encoders = {m: ModalityEncoder(g, k) for g in groups for k, m in enumerate(g.members)}
    assert z.shape == z_augmented.shape == (5, 7, 4)
    for m, x in enumerate(parts):
        for out, rows in ((z[m], x), (z_augmented[m], -x)):
            expected = encoders[m](rows.view(7, 2, 3) if m == 3 else rows)
            if has_missing:
                expected = expected * present[m][:, None]
            assert_allclose(out.detach(), expected.detach(), atol=1e-12)
            length = out.norm(dim=-1).detach()
            assert_allclose(length, 1.0 if not has_missing else present[m].double(), atol=1e-12)


def test_frozen_groups_stay_as_they_are():
    groups = [custom(m, nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)) for m in range(3)]
    module = make_module(*groups, bank([3], [3]))
    module.freeze([1, 3])
    inputs = [randn(8, 3, seed=m) for m in range(4)]
    before = copy.deepcopy(module.state_dict())
    with torch.random.fork_rng(devices=[]):
        for mode in (True, False, True):
            module.train(mode)
            assert [group.training for group in module.groups] == [mode, False, mode, False]
            z, _ = module(inputs, None, seeded())
    z.sum().backward()
    for m, group in enumerate(groups):
        assert all(p.requires_grad == (p.grad is not None) == (m != 1) for p in group.parameters())
    moved = {k for k, value in module.state_dict().items() if not torch.equal(value, before[k])}
    names = ("running_mean", "running_var", "num_batches_tracked")
    assert moved == {f"groups.{m}.module.1.{name}" for m in (0, 2) for name in names}
    assert not any(p.requires_grad for p in module.groups[3].parameters())


class Witness(nn.Linear):
    """Records the rows of its input."""

    def forward(self, x):
        self.seen = x.detach().clone()
        return super().forward(x)


def test_missing_rows_never_reach_a_users_module():
    witness = Witness(3, 4)
    module = make_module(bank([0], [3]), custom(1, witness))
    present = torch.tensor([[True] * 6, [True, False, True, False, False, True]])
    x = randn(6, 3)
    x[~present[1]] = torch.nan
    z, _ = module([randn(6, 3), x], present, seeded())
    expected = torch.cat([-x[present[1]], x[present[1]]])
    assert_array_equal(witness.seen, expected)
    z.sum().backward()
    assert z.isfinite().all()
    assert all(p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("n_present", [1, 2, 3])
def test_batch_normalisation_with_few_rows(n_present):
    group = custom(1, nn.Linear(3, 4), nn.BatchNorm1d(4))
    module = make_module(bank([0], [3]), group)
    present = torch.ones(2, 5, dtype=torch.bool)
    present[1, n_present:] = False
    before = copy.deepcopy(group)
    z, _ = module([randn(5, 3), randn(5, 3)], present, seeded())
    assert_allclose(z[1].norm(dim=-1).detach(), present[1].double(), atol=1e-12)
    norm, old = group.module[1], before.module[1]
    # One sample and its augmented copy are no batch: the running statistics are used.
    assert torch.equal(norm.running_mean, old.running_mean) == (n_present == 1)
    assert all(layer.training for layer in group.modules())
    if n_present == 1:
        expected = ModalityEncoder(before.eval(), 0)(randn(5, 3)[:1])
        assert_allclose(z[1, :1].detach(), expected.detach(), atol=1e-12)


class Shares(nn.Linear):
    """A module that fails on a row of zeros."""

    def forward(self, x):
        return super().forward(x / x.sum(dim=1, keepdim=True))


def test_batch_in_which_a_modality_is_missing():
    module = make_module(bank([0], [3]), custom(1, Shares(3, 4)))
    present = torch.tensor([[True] * 4, [False] * 4])
    z, z_augmented = module([randn(4, 3), torch.zeros(4, 3).double()], present, seeded())
    assert not z[1].any()
    assert not z_augmented[1].any()
    (z.sum() + z_augmented.sum()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())
    assert all(layer.training for layer in module.modules())
