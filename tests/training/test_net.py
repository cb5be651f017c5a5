import copy
from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from torch import nn

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer, Modalities, _data
from skcentrobind._batches import BindData, EpochBatches
from skcentrobind._data import fit_scalers, prepare_rows
from skcentrobind._encoders import CustomEncoder, EncoderBank, ModalityEncoder
from skcentrobind._module import BindModule, View

fast = settings(deadline=None, max_examples=40)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def negate(x, strength, spread, present, generator):
    return -x


def bank(members, widths, seed=0):
    return EncoderBank(members, widths, 4, "mlp", (5,), seeded(seed)).double()


def custom(member, *layers):
    return CustomEncoder(member, nn.Sequential(*layers).double())


def make_module(*groups, augment=negate, widths=None):
    widths = widths or [[3] * len(group.members) for group in groups]
    views = [View(augment, 0.3, None, width) for width in widths]
    return BindModule(nn.ModuleList(groups), views).train()


def randn(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


# --- BindModule ---------------------------------------------------------------------------


@pytest.mark.parametrize("gaps", [False, True])
def test_embeddings_stand_in_the_order_of_the_modalities(gaps):
    # modality 0, 1, ..., 4 has 3, 2, 3, 6, 4 features
    images = custom(3, nn.Flatten(), nn.Linear(6, 4))
    groups = images, bank([4, 1], [4, 2]), bank([2, 0], [3, 3], seed=1)
    module = make_module(*groups, widths=[[6], [4, 2], [3, 3]])
    parts = [randn(7, width, seed=width + m) for m, width in enumerate([3, 2, 3, 6, 4])]
    present = torch.rand((5, 7), generator=seeded()) < 0.6 if gaps else None
    if gaps:
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
            if gaps:
                expected = expected * present[m][:, None]
            assert_allclose(out.detach(), expected.detach(), atol=1e-12)
            length = out.norm(dim=-1).detach()
            assert_allclose(length, 1.0 if not gaps else present[m].double(), atol=1e-12)


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
    """Remembers the rows that it saw."""

    def forward(self, x):
        self.seen = x.detach().clone()
        return super().forward(x)


def test_absent_rows_never_reach_a_users_module():
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
    # One sample and its augmented copy say nothing about a batch: the running statistics serve.
    assert torch.equal(norm.running_mean, old.running_mean) == (n_present == 1)
    assert all(layer.training for layer in group.modules())
    if n_present == 1:
        expected = ModalityEncoder(before.eval(), 0)(randn(5, 3)[:1])
        assert_allclose(z[1, :1].detach(), expected.detach(), atol=1e-12)


class Shares(nn.Linear):
    """A module that has no answer for a row of zeros."""

    def forward(self, x):
        return super().forward(x / x.sum(dim=1, keepdim=True))


def test_batch_in_which_a_modality_is_absent():
    module = make_module(bank([0], [3]), custom(1, Shares(3, 4)))
    present = torch.tensor([[True] * 4, [False] * 4])
    z, z_augmented = module([randn(4, 3), torch.zeros(4, 3).double()], present, seeded())
    assert not z[1].any()
    assert not z_augmented[1].any()
    (z.sum() + z_augmented.sum()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())
    assert all(layer.training for layer in module.modules())


# --- data ---------------------------------------------------------------------------------


@fast
@given(st.integers(1, 70), st.integers(2, 20), st.integers(0, 99))
def test_every_row_once_an_epoch_in_equal_batches(n_samples, batch_size, seed):
    x = torch.arange(n_samples)[:, None]
    present = torch.arange(n_samples)[:, None] % 2 == 0
    batches = EpochBatches(BindData([x, 10 * x], present), batch_size, seeded(seed))
    again = EpochBatches(BindData([x, 10 * x], present), batch_size, seeded(seed))
    before = torch.get_rng_state()
    for _ in range(2):
        seen, sizes = [], []
        epoch = list(batches)
        for (batch, target), (same, _) in zip(epoch, again, strict=True):
            assert target is None
            first, second = batch["inputs"]
            assert torch.equal(first, same["inputs"][0])
            assert torch.equal(second, 10 * first)
            assert torch.equal(batch["present"], first % 2 == 0)
            seen += first[:, 0].tolist()
            sizes.append(len(first))
        assert sorted(seen) == list(range(n_samples))
        assert len(batches) == len(sizes)
        assert max(sizes) - min(sizes) <= 1
        # A batch of one teaches nothing: three rows make one batch, even with batch_size=2.
        assert min(sizes) > 1 or n_samples == 1
        assert max(sizes) <= batch_size or (batch_size, max(sizes), n_samples % 2) == (2, 3, 1)
        assert len(sizes) == 1 or max(sizes) > batch_size / 2
    assert torch.equal(torch.get_rng_state(), before)


def test_order_of_the_rows():
    data = BindData([torch.arange(50)[:, None]], None)

    def order(batches):
        return torch.cat([batch["inputs"][0][:, 0] for batch, _ in batches]).tolist()

    shuffled = EpochBatches(data, 8, seeded(1))
    first, second = order(shuffled), order(shuffled)
    assert first != second
    assert first != order(EpochBatches(data, 8, seeded(2)))
    assert order(EpochBatches(data, 8)) == list(range(50))
    assert all("present" not in batch for batch, _ in shuffled)


def standardised(column):
    """Exact mean and variance of the numbers that are there, as fractions."""
    known = [Fraction(float(value)) for value in column if not np.isnan(value)]
    mean = sum(known) / len(known)
    scale = float(sum((value - mean) ** 2 for value in known) / len(known)) ** 0.5
    return [0.0 if np.isnan(v) else float(Fraction(float(v)) - mean) / scale for v in column]


@pytest.mark.parametrize("chunk", [12, 30, 2**22])  # values: 2, 5 or all rows of the image
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8])
def test_standardisation_is_exact_in_any_chunks(chunk, dtype):
    rng = np.random.default_rng(0)
    image = (rng.normal(size=(20, 2, 3)) * [1, 9, 1] + 100).astype(dtype)
    time = rng.normal(loc=[1e9, -1e-3], size=(20, 2))
    if dtype != np.uint8:
        image[::3] = np.nan
    with mock.patch.object(_data, "_CHUNK_VALUES", chunk):
        scalers = fit_scalers(Modalities({"image": image, "time": time}))
        outs = [prepare_rows("x", x, s) for x, s in zip((image, time), scalers, strict=True)]
    for out, array in zip(outs, (image, time), strict=True):
        expected = np.transpose([standardised(c) for c in array.reshape(20, -1).T])
        assert out.dtype == np.float32
        assert_allclose(out, expected, atol=2e-6)


@pytest.mark.parametrize("absent", [slice(0, 10), slice(5, 15), slice(10, 20)])
def test_long_stretches_without_a_modality(absent):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2)) * [1, 5] + 3
    X[absent] = np.nan
    with mock.patch.object(_data, "_CHUNK_VALUES", 8):  # four rows
        (scaler,) = fit_scalers(Modalities([X]))
    expected = np.transpose([standardised(c) for c in X.T])
    assert_allclose(prepare_rows("x", X, scaler), expected, atol=1e-6)


def test_prepared_rows_without_a_scaler():
    X = np.arange(12.0).reshape(4, 3)
    X[1] = np.nan
    out = np.full((4, 3), 7, dtype=np.float32)
    with mock.patch.object(_data, "_CHUNK_VALUES", 4):
        assert prepare_rows("x", X, None, out=out) is out
    assert_array_equal(out, [[0, 1, 2], [0, 0, 0], [6, 7, 8], [9, 10, 11]])


def test_constant_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    X[:, 1] = 0.1
    with pytest.warns(UserWarning, match="Modality 'a': 1 of 3 columns are constant"):
        scalers = fit_scalers(Modalities({"a": X}))
    new = np.array([[1.0, 5e9, 1.0], [np.nan] * 3])
    out = prepare_rows("a", new, scalers[0])
    assert out[0, 1] == 0
    assert out[0, [0, 2]].all()
    assert not out[1].any()
    with pytest.raises(ValueError, match="Modality 'b' is constant"):
        fit_scalers(Modalities({"a": X[:, :1], "b": np.full((30, 2), 3.0)}))


def test_data_are_laid_out_as_the_groups_want_them():
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=(5, 2)), "b": rng.normal(size=(5, 2, 3)), "c": np.eye(5)}
    X = Modalities(arrays)
    scalers = [*fit_scalers(X)[:1], None, None]
    everywhere, gaps = np.ones((5, 3), dtype=bool), np.arange(15).reshape(5, 3) % 2 == 0
    for present in (everywhere, gaps):
        data = BindData.from_modalities(X, present, scalers, [(2, 0), (1,)], "cpu")
        a = (arrays["a"] - arrays["a"].mean(axis=0)) / arrays["a"].std(axis=0)
        assert_allclose(data.inputs[0], np.hstack([np.eye(5), a]), atol=1e-6)
        assert_allclose(data.inputs[1], arrays["b"], atol=1e-6)
        assert len(data) == 5
        assert (data.present is None) == present.all()
        batch = data[torch.tensor([3, 1])]
        assert_allclose(batch["inputs"][1], arrays["b"][[3, 1]], atol=1e-6)
        if not present.all():
            assert_array_equal(batch["present"], present[[3, 1]])


# --- BindNet ------------------------------------------------------------------------------


def make_X(n_samples=40, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n_samples, 2))
    return [common @ rng.normal(size=(2, w)) + rng.normal(size=(n_samples, w)) for w in (4, 3, 3)]


SMALL = {"n_components": 4, "hidden_layer_sizes": (6,), "batch_size": 16, "max_epochs": 3}
SMALL |= {"random_state": 0, "device": "cpu"}


def binder(**settings):
    return CentroBindTransformer(**SMALL | settings)


def fixed_binder(**settings):
    return FixedAnchorBindTransformer(**SMALL | {"pretrain_epochs": 1} | settings)


class Listener(Callback):
    pass


@pytest.mark.parametrize("aggregator", ["mean", "random", "random_intra"])
def test_listeners_change_nothing(aggregator):
    X = make_X()
    plain, heard = (
        binder(aggregator=aggregator, callbacks=callbacks).fit(X)
        for callbacks in (None, [Listener()])
    )
    assert_allclose(plain.loss_curve_, heard.loss_curve_, rtol=1e-12)
    assert_array_equal(plain.transform(X), heard.transform(X))


class FreezeWatch(Callback):
    """Compares every encoder before and after each step."""

    def __init__(self):
        self.steps = []

    def __deepcopy__(self, memo):
        return self  # to be read after the fit

    def weights(self, net):
        groups = [(g, k, m) for g in net.module_.groups for k, m in enumerate(g.members)]
        return {
            m: torch.cat([p.detach().flatten() for p in g.member_parameters(k)])
            for g, k, m in groups
        }

    def on_batch_begin(self, net, **kwargs):
        self.before = self.weights(net)

    def on_batch_end(self, net, **kwargs):
        after = self.weights(net)
        still = {m for m in after if torch.equal(after[m], self.before[m])}
        held = {net.criterion_.anchor.frozen_step} - {None} | set(net.criterion_.anchor.frozen())
        self.steps.append((held, still))


@pytest.mark.parametrize("encoder", ["residual", ["mlp", nn.Linear(3, 4), nn.Linear(3, 5)]])
@pytest.mark.parametrize(
    ("make", "frozen"),
    [
        (lambda **settings: binder(aggregator="random", **settings), [{0}, {1}, {2}]),
        (lambda **settings: binder(aggregator="random_intra", **settings), [set()]),
        (lambda **settings: fixed_binder(anchor=1, **settings), [{1}]),
        (lambda **settings: fixed_binder(anchor=[2, 0], **settings), [{0, 2}]),
    ],
)
def test_frozen_encoders_stay_bit_for_bit(make, frozen, encoder):
    watch = FreezeWatch()
    make(encoder=encoder, max_epochs=6, callbacks=[watch]).fit(make_X())
    assert len(watch.steps) == 18
    assert all(still == held for held, still in watch.steps)
    assert all(held in frozen for held, _ in watch.steps)
    assert all(any(held == each for held, _ in watch.steps) for each in frozen)


class Explodes(nn.Linear):
    def forward(self, x):
        return super().forward(x) * torch.inf


@pytest.mark.parametrize("callbacks", [None, [Listener()]])
def test_diverged_training_is_an_error(callbacks):
    estimator = binder(encoder=["mlp", "mlp", Explodes(3, 4)], callbacks=callbacks)
    with pytest.raises(ValueError, match=r"loss became nan in epoch 1.*Lower learning_rate") as e:
        estimator.fit(make_X())
    assert "0.001" in str(e.value)


def test_what_is_shown(capsys):
    binder().fit(make_X())
    assert capsys.readouterr() == ("", "")
    estimator = binder(verbose=1, pretrain_epochs=2).fit(make_X())
    out, err = capsys.readouterr()
    assert out == ""
    assert "pre-training" in err
    assert "2/2" in err
    assert "binding" in err
    assert "3/3" in err
    assert f"loss={estimator.loss_curve_[-1]:.4f}" in err
    estimator = binder(verbose=2).fit(make_X())
    out, err = capsys.readouterr()
    assert err == ""
    header, _, *lines = out.splitlines()
    assert "train_loss" in header
    for line, loss in zip(lines, estimator.loss_curve_, strict=True):
        assert f"{loss:.4f}" in line


class Interrupt(Callback):
    def __init__(self, event, epoch):
        self.event, self.epoch = event, epoch

    def interrupt(self, net):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt

    def on_epoch_end(self, net, **kwargs):
        if self.event == "epoch_end":
            self.interrupt(net)

    def on_batch_end(self, net, **kwargs):
        if self.event == "batch_end":
            self.interrupt(net)


@pytest.mark.parametrize(
    ("event", "epoch", "finished"),
    [("epoch_end", 1, 1), ("epoch_end", 2, 2), ("batch_end", 2, 1)],
)
def test_an_interrupt_ends_the_fit_quietly(event, epoch, finished, capsys):
    X = make_X()
    estimator = binder(callbacks=[Interrupt(event, epoch)])
    try:
        estimator.fit(X)
    except KeyboardInterrupt:  # which would end pytest, too
        pytest.fail("The interrupt was not caught.")
    assert capsys.readouterr() == ("", "")
    assert estimator.n_iter_ == finished
    assert list(estimator.loss_curve_) == list(binder().fit(X).loss_curve_)[:finished]
    assert estimator.transform(X).shape == (40, 12)


def test_an_interrupt_before_anything_is_learned_is_passed_on():
    estimator = binder(callbacks=[Interrupt("batch_end", 1)])
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(make_X())
    with pytest.raises(NotFittedError):
        estimator.transform(make_X())


def test_dropout_neither_reads_nor_moves_the_global_generator():
    X, spec = make_X(), nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 4))
    results = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            results.append(binder(encoder=["mlp", spec, "mlp"]).fit(X).transform(X))
            assert torch.equal(torch.get_rng_state(), before)
    assert_array_equal(*results)


@pytest.mark.parametrize("aggregator", ["mean", "random"])
def test_validation_is_comparable_between_epochs(aggregator):
    settings = {"learning_rate": 1e-30, "weight_decay": 0.0, "max_epochs": 5}  # nothing moves
    estimator = binder(aggregator=aggregator, early_stopping=True, **settings).fit(make_X(60))
    assert len(set(estimator.validation_scores_)) == 1
    assert 0 < estimator.validation_scores_[0] <= 1
    losses = estimator.net_.history[:, "valid_loss"]
    assert len(losses) == 5
    assert_allclose(losses, losses[0], rtol=1e-12)


@pytest.mark.parametrize(("n_samples", "gaps"), [(30, False), (60, True)])
def test_early_stopping_with_tiny_batches(n_samples, gaps):
    X = make_X(n_samples)  # 3 or 6 rows are held out
    if gaps:
        X[0][::2] = np.nan
        X[1][1::2] = np.nan
    estimator = binder(batch_size=2, early_stopping=True, max_epochs=2).fit(X)
    assert len(estimator.validation_scores_) == 2
    assert np.isfinite(estimator.validation_scores_).all()
