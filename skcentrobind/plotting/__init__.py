"""Draw a shared space. matplotlib is imported on the first drawing, torch is not imported."""

from skcentrobind.plotting._embedding import EmbeddingDisplay
from skcentrobind.plotting._information import InformationDisplay
from skcentrobind.plotting._loss_curve import LossCurveDisplay
from skcentrobind.plotting._modality_gap import ModalityGapDisplay
from skcentrobind.plotting._retrieval import RetrievalDisplay

__all__ = [
    "EmbeddingDisplay",
    "InformationDisplay",
    "LossCurveDisplay",
    "ModalityGapDisplay",
    "RetrievalDisplay",
]
