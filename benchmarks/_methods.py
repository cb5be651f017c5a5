"""The methods that bench_methods compares, one row each, and how each is tuned.

Every method is an object with `fit(X)` and `transform_modalities(X)`. Its setting is chosen in
stages: each stage is a grid, whose best setting is kept in later stages.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from _common import NAMED
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from skcentrobind import (
    CentroBindTransformer,
    FixedAnchorBindTransformer,
    GramianBindTransformer,
    Modalities,
    PairwiseBindTransformer,
    PerModality,
    PrincipalBindTransformer,
    SymileBindTransformer,
)

#: In a stage: one setting for each modality, by name.
EACH_MODALITY = "each modality"
#: In a stage: the width `wide` of the task.
WIDE = "wide"
#: Largest number of entries of TCCA's tensor, whose order is the number of modalities.
TENSOR_ENTRIES = 200_000
#: Rows of the training data that a kernel compares others with.
MAX_LANDMARKS = 1000
#: Widths that are tried of the methods whose components are nested, so that one fit has them all.
WIDTHS = (4, 8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Method:
    """How a method is made and tuned.

    Attributes
    ----------
    make : callable
        `make(settings, seed, **setting)` returns an unfitted object; `settings` are those of the
        benchmark.
    stages : tuple of dict of str to list
        Grids over the arguments of `make`.
    widths : tuple of int
        Numbers of leading components to choose from in every fit, none to keep them all.
    retrieval : bool
        Whether there is a shared space for retrieval.
    product : bool
        Whether several modalities form a query by the product of their embeddings, the multilinear
        score, and not by their mean.
    """

    make: Callable
    stages: tuple = ()
    widths: tuple = ()
    retrieval: bool = True
    product: bool = False


class CCAZoo:
    """A model of cca-zoo with the interface of the binding methods.

    Parameters
    ----------
    model : cca_zoo model
        Its `n_components` is an upper bound, its `gamma` a multiple of 1 / n_features.
    standardize : bool, default=True
        Whether features are scaled to unit variance, as in the binding methods.
    max_entries : int, default=None
        Bound of the product of the widths of the modalities, which principal components reduce
        them to. None keeps all features.
    """

    def __init__(self, model, standardize=True, max_entries=None):
        self.model, self.standardize, self.max_entries = model, standardize, max_entries

    def fit(self, X):
        self.inputs = [self._input(x, len(X.names)).fit(x) for x in X.arrays]
        arrays = self._prepared(X)
        options = {"n_components": self.model.n_components}
        if self.model._components_bounded_by_features:
            options["n_components"] = min(self.model.n_components, *(x.shape[1] for x in arrays))
        if getattr(self.model, "gamma", None) is not None:
            options["gamma"] = [self.model.gamma / x.shape[1] for x in arrays]
        # A broad kernel has a low rank, which bounds its components and only shows in the fit.
        most = options["n_components"]
        widths = [most, *(w for w in sorted(WIDTHS, reverse=True) if w < most)]
        for width in widths:
            self.fitted = clone(self.model).set_params(**options | {"n_components": width})
            # Maps back and permutation importances, which are unused here, take nine tenths of
            # the fit of a kernel model.
            self.fitted._fit_maps_and_importances = lambda arrays: None
            try:
                self.fitted.fit(arrays)
            except ValueError as exc:
                if "n_components" not in str(exc) or width == widths[-1]:
                    raise
            else:
                break
        return self

    def _input(self, x, n_modalities):
        steps = [StandardScaler(with_std=self.standardize)]
        if self.max_entries is not None:
            steps.append(PCA(min(int(self.max_entries ** (1 / n_modalities)), *x.shape)))
        return make_pipeline(*steps)

    def _prepared(self, X):
        return [prepare.transform(x) for prepare, x in zip(self.inputs, X.arrays, strict=True)]

    def transform_modalities(self, X):
        return Modalities(self.fitted.transform(self._prepared(X)), X.names)


class SideBySide:
    """All modalities in one standardised, transformed matrix: there is no shared space."""

    def __init__(self, *steps):
        self.pipeline = make_pipeline(StandardScaler(), *steps)

    def fit(self, X):
        self.pipeline.fit(np.hstack(X.arrays))
        return self

    def transform_modalities(self, X):
        return Modalities({"all": self.pipeline.transform(np.hstack(X.arrays))})


class OnKernels:
    """A binding transformer on Gaussian kernels of every modality, by the Nystroem method.

    Parameters
    ----------
    binder : binding transformer
    gamma : float
        A multiple of 1 / n_features.
    seed : int
        Seed of the choice of landmarks.
    """

    def __init__(self, binder, gamma, seed):
        self.binder, self.gamma, self.seed = binder, gamma, seed

    def fit(self, X):
        self.kernels = PerModality({name: self._kernel(*x.shape) for name, x in X.items()})
        self.binder.fit(self.kernels.fit_transform(X))
        return self

    def _kernel(self, n_rows, width):
        n_components = min(MAX_LANDMARKS, n_rows)
        gamma = self.gamma / width
        kernel = Nystroem(gamma=gamma, n_components=n_components, random_state=self.seed)
        return make_pipeline(StandardScaler(), kernel)

    def transform_modalities(self, X):
        return self.binder.transform_modalities(self.kernels.transform(X))


def _binder(cls, init="random", **fixed):
    """Return `make` of a binding transformer; with a `gamma` in the setting, on kernels."""

    def make(settings, seed, gamma=None, **setting):
        options = {**settings["fit"], "init": init, "random_state": seed, "device": "cpu"}
        options |= {**NAMED, "regularizers": None}
        binder = cls(**options | fixed | setting)
        return binder if gamma is None else OnKernels(binder, gamma, seed)

    return make


def _cca_zoo(module, name, max_entries=None, **fixed):
    """Return `make` of a model of cca-zoo, which is imported when it is needed."""

    def make(settings, seed, standardize=True, **setting):
        cls = getattr(importlib.import_module(f"cca_zoo.{module}"), name)
        model = cls(**{"n_components": max(WIDTHS), **fixed, **setting})
        return CCAZoo(model, standardize, max_entries)

    return make


def embed(model, X, width=None):
    """Return unit rows of every modality, of its first `width` components or of all."""
    Z = model.transform_modalities(X)
    return Modalities([normalize(z[:, :width]) for z in Z.arrays], Z.names)


#: Four fits per method; of the canonical correlations each is tried at all widths. What a later
#: stage does not name keeps its value in the best setting so far, which remains a candidate. The
#: last fit is the other end of the range: linear, wide, sharp, short, on features as they are.
OTHER_END = {
    "temperature": [0.05],
    "standardize": [False],
    "encoder": ["linear"],
    "n_components": WIDE,
    "max_epochs": [15],
}
BIND = ({"temperature": [0.07, 0.2]}, {"standardize": [False]}, OTHER_END)
#: Losses that ignore signs start better with an alignment term, which replaces a setting; their
#: other end is not linear.
ALIGNED = (
    {"temperature": [0.07, 0.2]},
    {"regularizers": [{"alignment": 5.0}]},
    {"augmentation_scale": [1.0], "hidden_layer_sizes": [(1024,)]},
)
#: Points, not a full grid: good for names, digits and pixels, found on held-out training rows.
KERNEL = tuple(
    {"gamma": [gamma], "shrinkage": [shrinkage]}
    for gamma, shrinkage in ((0.03, 1e-3), (0.1, 1e-4), (0.3, 1e-5), (1.0, 1e-5))
)
#: A start in closed form leaves less to learn, in smaller steps, and the other end need not be as
#: wide: its components are in order, those of a random draw are not.
WARM = {"init": "gcca", "learning_rate": 1e-3}
WARM_END = {**OTHER_END, "n_components": [512], "max_epochs": [30]}
WARM_BIND = (*BIND[:2], WARM_END)
#: Four fits again.
ON_KERNELS = ({"gamma": [0.1, 0.4, 1.6], "temperature": [0.3]}, {"temperature": [0.1]})
SHRINK = ({"shrinkage": [0.01, 0.1, 0.5]}, {"standardize": [False]})

METHODS = {
    "CentroBind, default": Method(
        lambda settings, seed: CentroBindTransformer(
            max_epochs=settings.get("default_epochs", "auto"), random_state=seed, device="cpu"
        )
    ),
    "CentroBind": Method(_binder(CentroBindTransformer, **WARM), WARM_BIND),
    "CentroBind on kernels": Method(
        _binder(CentroBindTransformer, **WARM, encoder="linear"), ON_KERNELS
    ),
    "CentroBind, random start": Method(_binder(CentroBindTransformer), BIND),
    **{
        f"CentroBind, {aggregator}": Method(
            _binder(CentroBindTransformer, aggregator=aggregator), BIND
        )
        for aggregator in ("learned", "spectral", "leave_one_out")
    },
    "fixed anchor": Method(_binder(FixedAnchorBindTransformer), ({"anchor": EACH_MODALITY}, *BIND)),
    "pairwise": Method(_binder(PairwiseBindTransformer), BIND),
    "principal": Method(_binder(PrincipalBindTransformer), ALIGNED),
    "gramian": Method(_binder(GramianBindTransformer), ALIGNED),
    "symile": Method(_binder(SymileBindTransformer), BIND, product=True),
    "MCCA": Method(_cca_zoo("linear", "MCCA"), SHRINK, WIDTHS),
    "GCCA": Method(_cca_zoo("linear", "GCCA"), SHRINK, WIDTHS),
    "KGCCA": Method(
        _cca_zoo("nonparametric", "KGCCA", kernel="rbf"),
        KERNEL,
        WIDTHS,
    ),
    "TCCA": Method(
        _cca_zoo("linear", "TCCA", max_entries=TENSOR_ENTRIES),
        ({"n_components": [4, 12], "shrinkage": [0.01, 0.3]},),
        product=True,
    ),
    "PCA": Method(lambda settings, seed: SideBySide(PCA(0.95)), retrieval=False),
    "raw features": Method(lambda settings, seed: SideBySide(), retrieval=False),
}
