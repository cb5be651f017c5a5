"""Callbacks of the training: divergence, progress, early stopping."""

import copy
import math

from skorch.callbacks import Callback, EarlyStopping
from skorch.utils import noop
from tqdm import tqdm


class StopIfDiverged(Callback):
    """End the training with an error once the loss is not a finite number."""

    def on_epoch_end(self, net, **kwargs):
        """Check the loss of the epoch."""
        loss = net.history[-1, "train_loss"]
        if not math.isfinite(loss):
            raise ValueError(
                f"The loss became {loss} in epoch {len(net.history)}: training diverged. Lower "
                f"learning_rate (now {net.lr:g}), or check the scale of the data if "
                "standardize=False."
            )


class ProgressBar(Callback):
    """One bar over all epochs, which shows the latest loss."""

    def on_train_begin(self, net, **kwargs):
        """Open the bar."""
        self.bar_ = tqdm(total=net.epochs_, desc=net.phase, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        """Advance the bar."""
        self.bar_.set_postfix(loss=f"{net.history[-1, 'train_loss']:.4f}", refresh=False)
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        """Close the bar."""
        self.bar_.close()
        del self.bar_


class StopEarly(EarlyStopping):
    """Early stopping that also restores the loss: temperatures, weights of an anchor."""

    def on_epoch_end(self, net, **kwargs):
        """Keep the state of the loss of the best epoch."""
        super().on_epoch_end(net, **kwargs)
        if not self.misses_:
            self.best_loss_ = copy.deepcopy(net.criterion_.state_dict())

    def on_train_end(self, net, **kwargs):
        """Restore the best epoch, if there was one."""
        super().on_train_end(net, **kwargs)
        if self.best_epoch_:
            net.criterion_.load_state_dict(vars(self).pop("best_loss_"))


class EveryEpochs(Callback):
    """Calls a function of the net after every so many epochs, as the last callback."""

    def __init__(self, every, function):
        self.every = every
        self.function = function

    def on_epoch_end(self, net, **kwargs):
        """Call the function if it is time."""
        if len(net.history) % self.every == 0:
            net.keep_global_state()
            self.function(net)


def own_callbacks(net):
    """Return the user's callbacks of a net, without those of this package and of skorch."""
    ours = {name for name, _ in net._default_callbacks} | {"early_stopping", "checkpoint"}
    return [callback for name, callback in net.callbacks_ if name not in ours]


def is_of_fit(callback):
    """Return whether this is a named callback that `fit` adds for itself."""
    return isinstance(callback, tuple) and isinstance(callback[1], StopEarly | EveryEpochs)


def stop_early(patience):
    """Return the callback that ends training when the retrieval of held-out rows stops improving.

    Parameters
    ----------
    patience : int
        Epochs without improvement until the end.

    Returns
    -------
    callback : StopEarly
    """
    return StopEarly(
        monitor="valid_score",
        lower_is_better=False,
        patience=patience,
        threshold=1e-4,
        threshold_mode="abs",
        load_best=True,
        sink=noop,
    )
