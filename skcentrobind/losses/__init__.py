"""Contrastive losses: pure functions, and modules that hold a temperature.

A loss gets the embeddings of a batch, clean and augmented, and returns one number. To write your
own, derive from `BaseLoss`.
"""

from skcentrobind.losses._base import AnchorLoss, BaseLoss, Temperature
from skcentrobind.losses._gramian import GramianLoss, gramian_volumes
from skcentrobind.losses._info_nce import anchor_info_nce, info_nce
from skcentrobind.losses._pairwise import PairwiseLoss, pairwise_info_nce
from skcentrobind.losses._principal import PrincipalLoss
from skcentrobind.losses._regularizers import (
    REGULARIZERS,
    RegularizedLoss,
    alignment,
    geometric_consistency,
    uniformity,
)
from skcentrobind.losses._samples import Samples
from skcentrobind.losses._specific import SeparatedLoss, separation
from skcentrobind.losses._symile import SymileLoss

__all__ = [
    "REGULARIZERS",
    "AnchorLoss",
    "BaseLoss",
    "GramianLoss",
    "PairwiseLoss",
    "PrincipalLoss",
    "RegularizedLoss",
    "Samples",
    "SeparatedLoss",
    "SymileLoss",
    "Temperature",
    "alignment",
    "anchor_info_nce",
    "geometric_consistency",
    "gramian_volumes",
    "info_nce",
    "pairwise_info_nce",
    "separation",
    "uniformity",
]
