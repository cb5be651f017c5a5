"""Losses around another loss."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from skcentrobind.losses._base import BaseLoss, Temperature


class WrappedLoss(BaseLoss):
    """Base class of losses that add terms to another one.

    Parameters
    ----------
    loss : BaseLoss
        The inner loss. Its temperature, its anchor and what it freezes are those of the whole.
    """

    def __init__(self, loss: BaseLoss) -> None:
        nn.Module.__init__(self)  # without a second temperature
        self.loss = loss

    def prepare(self, names: Sequence[str]) -> None:
        """Resolve the settings of the inner loss."""
        self.loss.prepare(names)

    def shared(self, z: Tensor) -> Tensor:
        """Return the part of the embeddings that the inner loss compares."""
        return self.loss.shared(z)

    def frozen(self) -> tuple[int, ...]:
        """Return the positions of the modalities that the inner loss always freezes."""
        return self.loss.frozen()

    def sources(self) -> tuple[int, ...]:
        """Return the positions of the modalities that the inner loss binds the others to."""
        return self.loss.sources()

    @property
    def temperature(self) -> Temperature:  # type: ignore[override]  # set once, in the inner loss
        """Return the temperature of the inner loss."""
        return self.loss.temperature

    @property
    def anchor(self) -> Any:
        """Return the anchor of the inner loss, if it has one."""
        return self.loss.anchor

    def clamp_(self) -> None:
        """Return what the inner loss has learned to its bounds."""
        self.loss.clamp_()
