"""Data to bind: a generator with known structure, and real handwritten digits.

Loads without torch.
"""

from ._gmm import make_multimodal_gmm
from ._multiple_features import load_multiple_features

__all__ = ["load_multiple_features", "make_multimodal_gmm"]
