"""Anchors: what the embeddings of a sample are pulled towards.

An anchor turns the embeddings of a batch into one or several targets. Most anchors are
*aggregators*: one vector per sample, computed from the embeddings of all its modalities, towards
which all modalities learn. To add one, derive from `BaseAnchor`, implement `aggregate`, and add
a row to `ANCHORS`.
"""

from skcentrobind.anchors._adaptive import (
    CallableAnchor,
    LearnedAnchor,
    LeaveOneOutAnchor,
    SpectralAnchor,
    TrimmedAnchor,
)
from skcentrobind.anchors._base import BaseAnchor, MeanAnchor, MedianAnchor, Target, WeightedAnchor
from skcentrobind.anchors._members import FixedAnchor, IntraAnchor, RandomAnchor

__all__ = [
    "ANCHORS",
    "BaseAnchor",
    "CallableAnchor",
    "FixedAnchor",
    "IntraAnchor",
    "LearnedAnchor",
    "LeaveOneOutAnchor",
    "MeanAnchor",
    "MedianAnchor",
    "RandomAnchor",
    "SpectralAnchor",
    "Target",
    "TrimmedAnchor",
    "WeightedAnchor",
]

#: Names that `CentroBindTransformer(aggregator=...)` understands.
ANCHORS = {
    "mean": MeanAnchor,
    "median": MedianAnchor,
    "random": RandomAnchor,
    "random_intra": lambda: RandomAnchor(intra=True),
    "trimmed": TrimmedAnchor,
    "leave_one_out": LeaveOneOutAnchor,
    "spectral": SpectralAnchor,
    "learned": LearnedAnchor,
}
