"""What an objective around another one hands on."""

from torch import nn

from skcentrobind.losses._base import SteppedLoss


class WrappedLoss(SteppedLoss):
    """Base class of objectives that add something to another one.

    Parameters
    ----------
    loss : BaseLoss
        The objective. Its temperature, its anchor and what it freezes are those of the whole.
    """

    def __init__(self, loss):
        nn.Module.__init__(self)  # without a second temperature
        self.loss = loss

    def prepare(self, names):
        """Introduce the modalities to the objective."""
        self.loss.prepare(names)

    def shared(self, z):
        """Return the part of the embeddings that the objective compares."""
        return self.loss.shared(z)

    def frozen(self):
        """Return the positions that the objective freezes."""
        return self.loss.frozen()

    def sources(self):
        """Return the positions of the modalities that the objective binds the others to."""
        return self.loss.sources()

    @property
    def temperature(self):
        """The temperature of the objective."""
        return self.loss.temperature

    @property
    def anchor(self):
        """The anchor of the objective, if it has one."""
        return self.loss.anchor

    def clamp_(self):
        """Return what the objective has learned to its bounds."""
        self.loss.clamp_()
