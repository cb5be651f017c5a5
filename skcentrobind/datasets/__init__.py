"""Generate data with known structure, or load real emojis and handwritten digits.

Importing this package does not import torch.
"""

from ._emoji import load_emoji
from ._gmm import make_multimodal_gmm
from ._multiple_features import load_multiple_features

__all__ = ["load_emoji", "load_multiple_features", "make_multimodal_gmm"]
