"""Measure a shared space; importing this package does not import torch."""

from skcentrobind.metrics._geometry import (
    alignment,
    centroid_alignment,
    effective_rank,
    linear_cka,
    modality_gap,
    uniformity,
)
from skcentrobind.metrics._information import anchor_bound, mutual_information_matrix
from skcentrobind.metrics._probes import cross_modal_accuracy, probe_accuracy
from skcentrobind.metrics._retrieval import (
    mean_reciprocal_rank,
    median_rank,
    recall_at_k,
    retrieval_ranks,
    retrieval_report,
)
from skcentrobind.metrics._scorers import make_alignment_scorer, make_retrieval_scorer

__all__ = [
    "alignment",
    "anchor_bound",
    "centroid_alignment",
    "cross_modal_accuracy",
    "effective_rank",
    "linear_cka",
    "make_alignment_scorer",
    "make_retrieval_scorer",
    "mean_reciprocal_rank",
    "median_rank",
    "modality_gap",
    "mutual_information_matrix",
    "probe_accuracy",
    "recall_at_k",
    "retrieval_ranks",
    "retrieval_report",
    "uniformity",
]
