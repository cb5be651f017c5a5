"""Contrastive objectives: pure functions, and the module that binds modalities to an anchor."""

from skcentrobind.losses._anchor import AnchorLoss
from skcentrobind.losses._base import BaseLoss
from skcentrobind.losses._functional import anchor_info_nce, info_nce
from skcentrobind.losses._temperature import Temperature

__all__ = ["AnchorLoss", "BaseLoss", "Temperature", "anchor_info_nce", "info_nce"]
