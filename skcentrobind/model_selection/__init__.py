"""Choose how to bind: features and shrinkage by cross-validation, without labels.

Importing this package does not import torch.
"""

from ._choose import choose

__all__ = ["choose"]
