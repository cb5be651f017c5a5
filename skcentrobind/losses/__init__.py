"""Contrastive objectives: pure functions, and the module that binds modalities to an anchor."""

from skcentrobind.losses._functional import anchor_info_nce, info_nce
from skcentrobind.losses._modules import AnchorLoss

__all__ = ["AnchorLoss", "anchor_info_nce", "info_nce"]
