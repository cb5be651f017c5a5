"""Bind modalities: one shared space for arrays that describe the same samples.

The public names are loaded when they are first used, so that `skcentrobind.metrics`,
`skcentrobind.datasets`, `Modalities` and `PerModality` work without importing torch.
"""

from importlib import import_module

from skcentrobind._version import __version__

_HOMES = {
    "CentroBindTransformer": "skcentrobind._estimators.centrobind",
    "FixedAnchorBindTransformer": "skcentrobind._estimators.fixed_anchor",
    "GramianBindTransformer": "skcentrobind._estimators.gramian",
    "Modalities": "skcentrobind._data.modalities",
    "PairwiseBindTransformer": "skcentrobind._estimators.pairwise",
    "PerModality": "skcentrobind._data.per_modality",
    "PrincipalBindTransformer": "skcentrobind._estimators.principal",
    "SymileBindTransformer": "skcentrobind._estimators.symile",
    "load": "skcentrobind._loading",
}
_PACKAGES = ("anchors", "datasets", "losses", "metrics", "plotting")

__all__ = [
    "CentroBindTransformer",
    "FixedAnchorBindTransformer",
    "GramianBindTransformer",
    "Modalities",
    "PairwiseBindTransformer",
    "PerModality",
    "PrincipalBindTransformer",
    "SymileBindTransformer",
    "__version__",
    "load",
]


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _PACKAGES:
        return import_module(f"skcentrobind.{name}")
    raise AttributeError(f"module 'skcentrobind' has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, *_PACKAGES])
