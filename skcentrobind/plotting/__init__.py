"""Pictures of a shared space; matplotlib is imported when one is drawn, torch never."""

from skcentrobind.plotting._embedding import EmbeddingDisplay

__all__ = ["EmbeddingDisplay"]
