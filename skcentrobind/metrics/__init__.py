"""Measures of a shared space, on plain arrays: no torch is imported."""

from skcentrobind.metrics._retrieval import (
    mean_reciprocal_rank,
    median_rank,
    recall_at_k,
    retrieval_ranks,
    retrieval_report,
)

__all__ = [
    "mean_reciprocal_rank",
    "median_rank",
    "recall_at_k",
    "retrieval_ranks",
    "retrieval_report",
]
