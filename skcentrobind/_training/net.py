"""Batches, and the skorch net that trains on them.

Inputs are tensors on the training device. Sparse matrices, memory maps and data too large to copy
are prepared batch by batch instead, with the same numbers.

Private part of skorch: `_default_callbacks` is replaced, since there is no public way to choose the
default callbacks.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import sparse
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PassthroughScoring, PrintLog
from skorch.helper import predefined_split
from skorch.utils import TeeGenerator
from torch.utils.data import Dataset

from skcentrobind._encoders.custom import CustomEncoder
from skcentrobind._encoders.module import BindModule, prepared_batch
from skcentrobind._ops import equal_rows, global_torch
from skcentrobind._training.callbacks import (
    ProgressBar,
    StopIfDiverged,
    stop_early,
)
from skcentrobind._training.plan import Plan
from skcentrobind._training.related import codes_of_streamed, known_to_metrics, samples_of
from skcentrobind._training.streaming import StreamedRows, features_in_blocks
from skcentrobind.losses import BaseLoss
from skcentrobind.losses._base import compute
from skcentrobind.losses._samples import relevant
from skcentrobind.metrics._inputs import embeddings
from skcentrobind.metrics._pairs import mean_over_pairs, reciprocal

# Prepared data beyond these bytes (2 GiB) are not copied.
_COPY_BYTES = 2**31

# Held-out rows are searched in galleries of this size, or of the batch size if that is larger.
_GALLERY = 1024

# Rows that are embedded at a time together with an augmented copy.
_EMBED_ROWS = 8192


class BindData(Dataset):
    """Training data, one input per group of encoders.

    Parameters
    ----------
    inputs : list of Tensor or StreamedRows of shape (n_samples, ...)
        Prepared rows on the device, or rows that are prepared batch by batch; the modalities of a
        bank are concatenated.
    mask : Tensor of bool of shape (n_samples, n_modalities) or None
        Which samples have which modality; None means that none is missing.
    samples : Samples, default=None
        Groups, duplicates and weights of all samples; None if there are none.
    """

    def __init__(self, inputs, mask, samples=None):
        self.inputs = inputs
        self.mask = mask
        self.samples = samples

    @classmethod
    def from_modalities(
        cls, X, present, scalers, groups, device, rows=None, same_group=None, finds=False, maps=None
    ):
        """Lay out rows of all modalities for the groups.

        Parameters
        ----------
        X : Modalities
            Checked data.
        present : ndarray of bool of shape (n_rows, n_modalities)
            Which of the rows have which modality.
        scalers : list of scaler or None
            How each modality is standardised.
        groups : list of tuple of int
            Members of each group.
        device : str
            Device of the inputs.
        rows : ndarray of int of shape (n_rows,), default=None
            Rows of X to use; None for all.
        same_group : {"positive", "ignore"} or None, default=None
            What samples of one group are to each other; None lays out the inputs alone.
        finds : bool, default=False
            Whether equal rows of a modality are found.
        maps : list of (callable or None, int), default=None
            For each group what maps its prepared rows to features, and how many.

        Returns
        -------
        data : BindData
        """
        inputs, codes = [], {}
        maps = maps or [(None, 0)] * len(groups)
        n_features = sum(math.prod(array.shape[1:]) for array in X.arrays)
        n_features += sum(n for _, n in maps)
        is_large = 4 * len(present) * n_features > _COPY_BYTES
        for members, (features, _) in zip(groups, maps, strict=True):
            names, group_scalers = [X.names[m] for m in members], [scalers[m] for m in members]
            arrays = [X.arrays[m] for m in members]
            if is_large or any(sparse.issparse(a) or isinstance(a, np.memmap) for a in arrays):
                x = StreamedRows(names, arrays, group_scalers, rows, device, features)
            else:
                if rows is not None:
                    arrays = [array[rows] for array in arrays]
                x = prepared_batch(names, arrays, group_scalers, device)
            if finds:
                codes |= _codes_of(x, members, arrays)
            if features is not None and not isinstance(x, StreamedRows):
                x = features_in_blocks(features, x)
            inputs.append(x)
        samples = None
        if same_group and (codes or any(part is not None for part in X.per_sample[1:])):
            samples = samples_of(X.per_sample, codes, present, rows, same_group, device)
        mask = None if present.all() else torch.from_numpy(present).to(device)
        return cls(inputs, mask, samples)

    def __len__(self):
        return len(self.inputs[0])

    def __getitem__(self, rows):
        """Return a batch: rows of every group's input and, where some are missing, the mask."""
        batch = {"inputs": [x.index_select(0, rows) for x in self.inputs]}
        if self.mask is not None:
            batch["mask"] = self.mask.index_select(0, rows)
        if self.samples is not None:
            samples = relevant(self.samples.of_rows(rows))
            if samples is not None:
                batch["samples"] = samples
        return batch


class EpochBatches:
    """Batches of one epoch, of equal size up to one row.

    A short last batch would have fewer negatives and a batch of one row none at all.

    Parameters
    ----------
    data : BindData
        The samples.
    batch_size : int
        Upper bound of the size.
    generator : torch.Generator or None
        Source of a new order in every epoch; None keeps the order of the rows.
    """

    def __init__(self, data, batch_size, generator=None):
        self.data = data
        self.batch_size = batch_size
        self.generator = generator

    def __len__(self):
        n_samples = len(self.data)
        # At least two rows, even if one batch of three exceeds `batch_size` by one.
        return max(1, min(-(-n_samples // self.batch_size), n_samples // 2))

    def __iter__(self):
        n_samples = len(self.data)
        if self.generator is None:
            order = torch.arange(n_samples, device="cpu")
        else:
            order = torch.randperm(n_samples, generator=self.generator, device="cpu")
        order = order.to(self.data.inputs[0].device)
        for rows in order.tensor_split(len(self)):
            yield self.data[rows], None


def _codes_of(x, members, arrays):
    """Find the equal rows of the members of a group; a dict from modality to codes."""
    if isinstance(x, StreamedRows):
        return codes_of_streamed(x, members)
    rows, end, codes = x.flatten(1), 0, {}
    for m, array in zip(members, arrays, strict=True):
        start, end = end, end + math.prod(array.shape[1:])
        own = rows[:, start:end]
        found = equal_rows(*own.shape, own.__getitem__)
        if found is not None:
            codes[m] = found
    return codes


class BindNet(NeuralNet):
    """A skorch net whose module embeds all modalities and whose criterion binds them.

    Parameters
    ----------
    module : BindModule
        Freshly built, trained in place.
    criterion : BaseLoss
        The loss.
    seed : int
        Seed of the order of the rows, of the augmentation and of random anchors.
    phase : str
        Label of the progress bar.
    draws_globally : bool
        Whether the module holds a user's own layers, which may draw from torch's global
        generator (dropout, say). It is then seeded during the training.
    has_batch_callbacks : bool
        Whether there are callbacks that are called for every batch.
    **kwargs
        As in `skorch.NeuralNet`.
    """

    def __init__(
        self, module, criterion, *, seed, phase, draws_globally, has_batch_callbacks, **kwargs
    ):
        super().__init__(module, criterion, **kwargs)
        self.has_batch_callbacks = has_batch_callbacks
        self.seed = seed
        self.phase = phase
        self.draws_globally = draws_globally

    @property
    def _default_callbacks(self):
        callbacks = [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
            ("valid_score", PassthroughScoring(name="valid_score", lower_is_better=False)),
            ("finite", StopIfDiverged()),
        ]
        if self.verbose == 1:
            callbacks.append(("progress", ProgressBar()))
        if self.verbose > 1:
            callbacks.append(("print_log", PrintLog()))
        return callbacks

    def initialize(self):
        """Prepare the net and its own sources of randomness."""
        super().initialize()
        self.order_generator_ = torch.Generator("cpu").manual_seed(self.seed)
        self.generator_ = torch.Generator(self.device).manual_seed(self.seed + 1)
        self.global_state_ = torch.Generator("cpu").manual_seed(self.seed + 2).get_state()
        return self

    def get_dataset(self, X, y=None):
        """Return the data, which are already a dataset."""
        return X

    def get_iterator(self, dataset, training=False):
        """Iterate over equal batches, shuffled in training; held-out rows form larger galleries."""
        if training:
            return EpochBatches(dataset, self.batch_size, self.order_generator_)
        return EpochBatches(dataset, max(self.batch_size, _GALLERY))

    def steps_in(self, data):
        """Return the number of steps of an epoch over `BindData`."""
        return len(EpochBatches(data, self.batch_size))

    def infer(self, x, generator=None):
        """Embed a batch and its augmented copy."""
        mask = x.get("mask")
        if mask is not None:
            mask = mask.T  # (n_modalities, batch)
        return *self.module_(x["inputs"], mask, generator or self.generator_), mask

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Return the loss of a batch."""
        return compute(self.criterion_, *y_pred, self.generator_, X and X.get("samples"))

    def on_epoch_begin(self, net, **kwargs):
        """Start the epoch; the modes of layers are set here, once, not in every step."""
        super().on_epoch_begin(net, **kwargs)
        self._set_training(True)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run through all batches; per-batch callbacks are skipped if there are none."""
        self.has_learned_ = False
        if training and not self.has_batch_callbacks:
            self._run_without_callbacks(iterator, step_fn)
        else:
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if training and not self.has_learned_:
            raise ValueError(
                f"No batch of epoch {len(self.history)} ({self.phase}) had a gradient, so nothing "
                "was learned. Either no sample has a modality that learns together with one that "
                "it is bound to, or an encoder, augmentation or loss of your own detaches what it "
                "returns: leave out detach() and torch.no_grad() there."
            )

    def _run_without_callbacks(self, iterator, step_fn):
        sizes, losses = [], []
        for batch in iterator:
            losses.append(step_fn(batch)["loss"].detach())
            sizes.append(len(batch[0]["inputs"][0]))
        # One transfer from the device per epoch instead of one per batch. Some devices have no
        # float64, so the sum is taken on the CPU.
        losses = torch.stack(losses).cpu().numpy().astype(np.float64)
        self.history.new_batch()
        self.history.record_batch("train_loss", float(losses @ sizes / sum(sizes)))
        self.history.record_batch("train_batch_size", sum(sizes))

    def train_step(self, batch, **fit_params):
        """Take one optimisation step."""
        for group in self.optimizer_.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        y_pred = self.infer(batch[0])
        samples = batch[0].get("samples")
        loss, frozen = self.criterion_.step(*y_pred, self.generator_, samples)
        if not loss.requires_grad:
            # All rows of the batch have only the frozen anchor: there is nothing to learn.
            return {"loss": loss, "y_pred": y_pred}
        loss.backward()
        self.has_learned_ = True
        if self.has_batch_callbacks:
            parameters = TeeGenerator(self.get_all_learnable_params())
            self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)
        held = self.module_.held_parameters(frozen)
        before = [tensor.clone() for tensor in held]
        self.optimizer_.step()
        for tensor, value in zip(held, before, strict=True):
            tensor.copy_(value)
        self.criterion_.clamp_()
        return {"loss": loss, "y_pred": y_pred}

    @torch.no_grad()
    def validation_step(self, batch, **fit_params):
        """Compute loss and mean reciprocal rank of a batch of held-out rows."""
        self._set_training(False)
        # The same noise in every epoch keeps the epochs comparable.
        generator = torch.Generator(self.device).manual_seed(self.seed)
        y_pred = self.infer(batch[0], generator)
        samples = batch[0].get("samples")
        loss = compute(self.criterion_, *y_pred, generator, samples)
        z, z_augmented = (self.criterion_.shared(t).cpu().numpy() for t in y_pred[:2])
        present = None if y_pred[2] is None else y_pred[2].T.cpu().numpy()
        if len(z) == 1:
            z = [z_augmented[0], z[0]]
            present = None if present is None else present.repeat(2, axis=1)
        Z = embeddings(z, present, **known_to_metrics(samples))
        # Held-out rows without groups may be equal, of which fit would warn in every epoch.
        self.history.record_batch("valid_score", mean_over_pairs(Z, reciprocal, warns=False))
        return {"loss": loss, "y_pred": y_pred}

    @torch.no_grad()
    def embed(self, data):
        """Embed all rows and augmented copies of them.

        Parameters
        ----------
        data : BindData
            Samples that have all modalities.

        Returns
        -------
        z, z_augmented : ndarray of float32 of shape (n_modalities, n_samples, n_components)
            Unit-length embeddings; the same noise in every call.
        """
        generator = torch.Generator(self.device).manual_seed(self.seed)
        module = self.module_.eval()
        batches = EpochBatches(data, _EMBED_ROWS)
        with global_torch(0, self.device) if self.draws_globally else contextlib.nullcontext():
            parts = [module(batch["inputs"], None, generator) for batch, _ in batches]
        both = [torch.cat(z, dim=1) for z in zip(*parts, strict=True)]
        return [self.criterion_.shared(z).cpu().numpy() for z in both]

    def train_on(self, data, epochs, resume=None):
        """Train for some epochs on `BindData`; torch's global random state stays as it was.

        `resume`, a function of the net, fills in the state after some of these epochs.
        """
        if not epochs:
            return self
        self.epochs_ = epochs
        with self._seeded_global_generator():
            self.notify("on_train_begin", X=data, y=None)
            n_before = len(self.history)
            if resume is not None:
                resume(self)
                self._set_global_state()
            # Early stopping ends skorch's loop by an interrupt, as Ctrl-C does.
            try:
                self.fit_loop(data, epochs=epochs - (len(self.history) - n_before))
            except KeyboardInterrupt:
                if not any("train_loss" in epoch for epoch in self.history[n_before:]):
                    raise
            self.notify("on_train_end", X=data, y=None)
        for epoch in self.history:
            epoch["batches"] = []
        return self

    @contextlib.contextmanager
    def _seeded_global_generator(self):
        if not self.draws_globally:
            yield
            return
        with global_torch(self.global_state_, self.device):
            yield
            self.keep_global_state()

    def keep_global_state(self):
        """Keep the state of torch's global generator, if it is lent to a user's layers."""
        if self.draws_globally:
            self.global_state_ = torch.get_rng_state()

    def _set_global_state(self):
        if self.draws_globally:
            torch.set_rng_state(self.global_state_)


def build_net(
    plan: Plan,
    module: BindModule,
    loss: BaseLoss,
    *,
    callbacks: Sequence | None = None,
    verbose: int = 0,
    data_valid: BindData | None = None,
    patience: int = 0,
    last: Sequence = (),
) -> BindNet:
    """Build the net of the binding phase from module, loss and optimiser.

    Parameters
    ----------
    plan : Plan
        What to train.
    module : BindModule
        The encoders.
    loss : BaseLoss
        Complete.
    callbacks : list of skorch callbacks, default=None
        Copies of the user's callbacks.
    verbose : int, default=0
        Verbosity.
    data_valid : BindData, default=None
        Rows held out for early stopping.
    patience : int, default=0
        Epochs without improvement until it stops.
    last : list of (str, callback), default=()
        Called after all others, and not one of the user's.

    Returns
    -------
    net : BindNet
        Initialised.
    """
    module.freeze(loss.frozen())
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError(
            "There is nothing to train: every encoder is 'identity' or frozen. Let at least one "
            "modality learn, for example with encoder='residual'."
        )
    options: dict[str, Any] = {"has_batch_callbacks": bool(callbacks), "verbose": verbose}
    callbacks = list(callbacks or [])
    if data_valid is not None:
        options["train_split"] = predefined_split(data_valid)
        callbacks.append(("early_stopping", stop_early(patience)))
    options["callbacks"] = [*callbacks, *last]
    return make_net(plan, module, loss, "binding", plan.seed, **options)


def make_net(plan, module, loss, phase, seed, train_split=None, callbacks=(), **options):
    """Return an initialised net for one phase of the training."""
    return BindNet(
        module,
        loss.to(plan.device),
        seed=seed,
        phase=phase,
        draws_globally=any(isinstance(group, CustomEncoder) for group in module.groups),
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=plan.weight_decay,
        optimizer__fused=torch.device(plan.device).type in ("cpu", "cuda"),
        **_optimizer_options(plan, module),
        batch_size=plan.batch_size,
        train_split=train_split,
        callbacks=list(callbacks),
        device=plan.device,
        **options,
    ).initialize()


def _optimizer_options(plan, module):
    """Return the learning rates of groups of encoders, and what has no weight decay."""
    rates = [spec.learning_rate for spec in plan.modalities]
    apart = []
    if plan.learn_temperature:
        # The decay of a logarithm would pull the temperature towards 1. Names of parameters of
        # encoders, users' included, begin with "groups.".
        apart.append(("[!g]*log_temperature", {"weight_decay": 0.0}))
    if len(set(rates)) > 1:
        apart += [
            (f"groups.{i}.*", {"lr": rates[group.members[0]]})
            for i, group in enumerate(module.groups)
        ]
    # Parameters of no modality, such as those of a loss, take the largest rate.
    options = {"lr": max(rates)}
    return options | ({"optimizer__param_groups": apart} if apart else {})
