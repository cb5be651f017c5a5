"""Bind modalities: one shared space for arrays that describe the same samples.

The public names, listed in `__init__.pyi`, are loaded on first use, so that
`skcentrobind.metrics`, `skcentrobind.datasets`, `Modalities` and `PerModality` work without torch.
"""

from skcentrobind._public import __version__ as __version__
from skcentrobind._public import attach, explain_old_pickles

__getattr__, __dir__, __all__ = attach(__name__)

explain_old_pickles()
