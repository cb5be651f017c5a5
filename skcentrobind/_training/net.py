"""Training with skorch: the only file that imports it."""

import contextlib
import copy
import math

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, PassthroughScoring, PrintLog
from skorch.helper import predefined_split
from skorch.utils import TeeGenerator, noop
from tqdm import tqdm

from skcentrobind._training.batches import EpochBatches
from skcentrobind.metrics import mean_reciprocal_rank

# Held-out rows are searched in galleries of this size, or of the batch size if that is larger.
_GALLERY = 1024

# Rows that are embedded at a time together with an augmented copy.
_EMBED_ROWS = 8192


class BindNet(NeuralNet):
    """A skorch net whose module embeds all modalities and whose criterion binds them.

    Parameters
    ----------
    module : BindModule
        Freshly built, trained in place.
    criterion : BaseLoss
        Objective.
    seed : int
        Seed of the order of the rows, of the augmentation and of random anchors.
    phase : str
        What the progress bar says.
    draws_globally : bool
        Whether the module holds a user's own layers, which may draw from torch's global
        generator (dropout, say). It is then seeded for the time of the training.
    has_listeners : bool
        Whether callbacks want to hear of every batch.
    **kwargs
        As in `skorch.NeuralNet`.
    """

    def __init__(self, module, criterion, *, seed, phase, draws_globally, has_listeners, **kwargs):
        super().__init__(module, criterion, **kwargs)
        self.has_listeners = has_listeners
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
        """Return the data, which are a dataset already."""
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
        present = x.get("present")
        if present is not None:
            present = present.T  # (n_modalities, batch)
        return *self.module_(x["inputs"], present, generator or self.generator_), present

    def on_epoch_begin(self, net, **kwargs):
        """Open the epoch; the modes of layers are set here, once, not in every step."""
        super().on_epoch_begin(net, **kwargs)
        self._set_training(True)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run through all batches; what nobody listens to is not announced batch by batch."""
        if not training or self.has_listeners:
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        sizes, losses = [], []
        for batch in iterator:
            losses.append(step_fn(batch)["loss"].detach())
            sizes.append(len(batch[0]["inputs"][0]))
        # One transfer from the device an epoch instead of one a batch.
        losses, sizes = torch.stack(losses).double().cpu(), torch.tensor(sizes, device="cpu")
        self.history.new_batch()
        self.history.record_batch("train_loss", float(losses @ sizes.double() / sizes.sum()))
        self.history.record_batch("train_batch_size", int(sizes.sum()))

    def train_step(self, batch, **fit_params):
        """Take one optimisation step."""
        for group in self.optimizer_.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        y_pred = self.infer(batch[0])
        loss, held = self.criterion_.step(*y_pred, self.generator_)
        if not loss.requires_grad:
            # A batch of rows that have the frozen anchor alone: nobody can learn from it.
            return {"loss": loss, "y_pred": y_pred}
        loss.backward()
        if self.has_listeners:
            parameters = TeeGenerator(self.get_all_learnable_params())
            self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)
        # Weight decay and momentum move weights without a gradient, too: encoders that must not
        # move in this step are put back.
        tensors = [tensor for m in held for tensor in self._parameters_of(m)]
        before = [tensor.clone() for tensor in tensors]
        self.optimizer_.step()
        for tensor, value in zip(tensors, before, strict=True):
            tensor.copy_(value)
        self.criterion_.clamp_()
        return {"loss": loss, "y_pred": y_pred}

    def _parameters_of(self, modality):
        group, k = self.module_.group_of(modality)
        return [tensor.detach() for tensor in group.member_parameters(k)]

    @torch.no_grad()
    def validation_step(self, batch, **fit_params):
        """Loss and mean reciprocal rank of a batch of held-out rows."""
        self._set_training(False)
        # The same noise in every epoch keeps the epochs comparable.
        generator = torch.Generator(self.device).manual_seed(self.seed)
        y_pred = self.infer(batch[0], generator)
        loss = self.criterion_(*y_pred, generator)
        z, z_augmented = (self.criterion_.shared(t).cpu().numpy() for t in y_pred[:2])
        present = None if y_pred[2] is None else y_pred[2].cpu().numpy().T
        if len(z) == 1:
            z = [z_augmented[0], z[0]]
            present = None if present is None else present.repeat(2, axis=1)
        self.history.record_batch("valid_score", mean_reciprocal_rank(z, present=present))
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
        parts = [module(batch["inputs"], None, generator) for batch, _ in batches]
        both = [torch.cat(z, dim=1) for z in zip(*parts, strict=True)]
        return [self.criterion_.shared(z).cpu().numpy() for z in both]

    def train_on(self, data, epochs):
        """Train for some epochs on `BindData`; torch's global random state stays as it was."""
        if not epochs:
            return self
        self.epochs_ = epochs
        with self._lend_global_generator():
            self.notify("on_train_begin", X=data, y=None)
            n_before = len(self.history)
            # Early stopping speaks to skorch by an interrupt, as does an impatient user.
            try:
                self.fit_loop(data, epochs=epochs)
            except KeyboardInterrupt:
                if not any("train_loss" in epoch for epoch in self.history[n_before:]):
                    raise
            self.notify("on_train_end", X=data, y=None)
        for epoch in self.history:
            epoch["batches"] = []
        return self

    def forget_held_out(self):
        """Drop the rows of early stopping, which would be in every pickle, and what read them."""
        self.train_split = None
        self.callbacks = [c for c in self.callbacks if not _stops_early(c)]
        self.callbacks_ = [c for c in self.callbacks_ if not _stops_early(c)]

    @contextlib.contextmanager
    def _lend_global_generator(self):
        if not self.draws_globally:
            yield
            return
        devices = [] if self.device == "cpu" else None
        with torch.random.fork_rng(devices=devices):
            torch.set_rng_state(self.global_state_)
            yield
            self.global_state_ = torch.get_rng_state()


class StopIfDiverged(Callback):
    """End the training with an error once the loss is not a finite number."""

    def on_epoch_end(self, net, **kwargs):
        """Look at the loss of the epoch."""
        loss = net.history[-1, "train_loss"]
        if not math.isfinite(loss):
            raise ValueError(
                f"The loss became {loss} in epoch {len(net.history)}: training diverged. Lower "
                f"learning_rate (now {net.lr:g}), or check the scale of the data if "
                "standardize=False."
            )


class ProgressBar(Callback):
    """One bar over all epochs, with the latest loss behind it."""

    def on_train_begin(self, net, **kwargs):
        """Open the bar."""
        self.bar_ = tqdm(total=net.epochs_, desc=net.phase, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        """Move it on."""
        self.bar_.set_postfix(loss=f"{net.history[-1, 'train_loss']:.4f}", refresh=False)
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        """Close it."""
        self.bar_.close()
        del self.bar_


class StopEarly(EarlyStopping):
    """Restores, with the weights, what the loss had learned: temperatures, weights of an anchor."""

    def on_epoch_end(self, net, **kwargs):
        """Keep the state of the loss of the best epoch."""
        super().on_epoch_end(net, **kwargs)
        if not self.misses_:
            self.best_loss_ = copy.deepcopy(net.criterion_.state_dict())

    def on_train_end(self, net, **kwargs):
        """Go back to the best epoch, if there was one."""
        super().on_train_end(net, **kwargs)
        if self.best_epoch_:
            net.criterion_.load_state_dict(vars(self).pop("best_loss_"))


def _stops_early(callback):
    return isinstance(callback, tuple) and isinstance(callback[1], StopEarly)


def stop_early(data_valid, patience):
    """Return the split and the callback that end training when retrieval no longer improves.

    Parameters
    ----------
    data_valid : BindData
        Held-out rows.
    patience : int
        Epochs without improvement until the end.

    Returns
    -------
    train_split : callable
        For `BindNet(train_split=...)`.
    callback : StopEarly
    """
    stop = StopEarly(
        monitor="valid_score",
        lower_is_better=False,
        patience=patience,
        threshold=1e-4,
        threshold_mode="abs",
        load_best=True,
        sink=noop,
    )
    return predefined_split(data_valid), stop
