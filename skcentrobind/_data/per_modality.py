"""Preprocess each modality with its own transformer.

Private parts of scikit-learn: `_BaseComposition`, which sets the parameters of transformers by
name, and `_raise_for_params`, so that metadata without routing give the usual error.
"""

from collections.abc import Mapping

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metadata_routing import (
    _raise_for_params as raise_for_params,
)
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skcentrobind._data.apply import (
    check_transformer,
    fit_transform_present,
    is_word,
    read_pairs,
    transform_present,
)
from skcentrobind._data.attributes import SchemaAttributes
from skcentrobind._data.forms import Reading, read
from skcentrobind._data.modalities import Modalities, from_checked
from skcentrobind._data.schema import Schema
from skcentrobind._names import did_you_mean

__all__ = ["PerModality"]


# scikit-learn has no types, so mypy does not know the keyword.
class PerModality(SchemaAttributes, TransformerMixin, _BaseComposition, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Apply a transformer of its own to each modality.

    What `ColumnTransformer` is for columns, this is for modalities: it takes them in any form and
    returns `Modalities`, in the order in which they came. Text and categories become numbers here.

    A transformer is fitted on, and applied to, the samples that have its modality: those whose row
    is not all NaN or None. The other rows of what it returns are NaN.

    Parameters
    ----------
    transformers : dict or list of (str, transformer) tuples
        For names of modalities a transformer, "drop" or "passthrough": a dict, or pairs of name
        and transformer, as in `ColumnTransformer` but without columns.

        A transformer is cloned before it is fitted. Its parameters can be set as
        ``<modality>__<parameter>``, so names must hold no double underscore.

        "drop" leaves the modality out. "passthrough" returns it as it is, CSR matrices included.
    remainder : {"drop", "passthrough"} or transformer, default="drop"
        What happens to modalities that `transformers` does not name. Each gets its own clone of a
        transformer.
    n_jobs : int, default=None
        Number of modalities that are worked on at the same time, as in joblib; 1 if None.

    Attributes
    ----------
    transformers_ : list of (str, transformer) pairs
        For each modality the fitted transformer, "drop" or "passthrough".
    named_transformers_ : Bunch
        The same by name.
    modality_names_ : list of str
        Modalities seen in fit.
    n_features_in_ : int
        Number of features of all modalities together; 1-D text counts as one.
    n_features_per_modality_ : list of int
        Number of features of each modality.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        "modality/column", only where all modalities come from DataFrames.

    See Also
    --------
    sklearn.compose.ColumnTransformer : Applies transformers to columns of one table.

    Notes
    -----
    `set_output` changes nothing, since what is returned are always `Modalities`. They hold
    DataFrames where the transformers of the modalities are set to return them.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skcentrobind import PerModality
    >>> X = {"text": ["a red cup", "a blue cup", None], "size": [[1.0], [2.0], [3.0]]}
    >>> text = make_pipeline(TfidfVectorizer(), TruncatedSVD(2))
    >>> per = PerModality({"text": text, "size": StandardScaler()})
    >>> Z = per.fit_transform(X)
    >>> Z
    Modalities(3 samples: text (2), size (1))
    >>> Z.present[:, 0]
    array([ True,  True, False])
    """

    def __init__(self, transformers, *, remainder="drop", n_jobs=None):
        self.transformers = transformers
        self.remainder = remainder
        self.n_jobs = n_jobs

    def fit(self, X, y=None, **params):
        """Fit the transformers, each on its modality.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            The modalities: a list or dict of items of equal length, or a DataFrame with two-level
            columns. An item may be an array, a CSR matrix, a DataFrame, a list of strings or an
            array of objects. One flat array or DataFrame is one modality.
        y : array-like of shape (n_samples,), default=None
            Passed on to the transformers, without the samples where the modality is missing.
        **params : dict
            Metadata for the transformers that request it, such as `sample_weight`, if
            ``sklearn.set_config(enable_metadata_routing=True)``. Of metadata with one entry per
            sample, a transformer gets those of the samples that have its modality.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If names do not fit the modalities, or a transformer cannot be applied.
        TypeError
            If `transformers` has another form, or an entry is not a transformer.
        """
        raise_for_params(params, self, "fit")
        self._fit(X, y, "fit", params)
        return self

    def fit_transform(self, X, y=None, **params):
        """Fit the transformers and return the transformed modalities.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Modalities as in `fit`.
        y : array-like of shape (n_samples,), default=None
            Passed on to the transformers.
        **params : dict
            Metadata as in `fit`.

        Returns
        -------
        Z : Modalities
            The modalities that are not dropped.
        """
        raise_for_params(params, self, "fit_transform")
        return self._fit(X, y, "fit_transform", params)

    def _fit(self, X, y, method, params):
        """Fit and transform; the estimator changes only once nothing can fail any more."""
        parts = read(X, Reading(type(self).__name__, is_raw=True))
        X = parts.modalities()
        chosen = self._choose(X.names)
        schema = Schema.learn(X, parts)
        kept = [(name, item) for name, item in X.items() if not is_word(chosen[name], "drop")]
        routed = self._routed(method, params)
        tasks = [(chosen[name], name, item, y, routed(name)) for name, item in kept]
        done = Parallel(n_jobs=self.n_jobs)(delayed(fit_transform_present)(*task) for task in tasks)
        fitted = {name: done[m][0] for m, (name, _) in enumerate(kept)}
        Z = _gather({name: done[m][1] for m, (name, _) in enumerate(kept)}, X.per_sample)
        # The form of the output if a modality is missing in all samples of a transform.
        self._outputs = {name: item[:1] for name, item in Z.items()}
        self._schema = schema
        self.transformers_ = [(name, fitted.get(name, "drop")) for name in X.names]
        return Z

    def transform(self, X, **params):
        """Apply the fitted transformers.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Modalities as in `fit`, dropped ones included. An item of a list or dict may be None.
        **params : dict
            Metadata as in `fit`.

        Returns
        -------
        Z : Modalities
            The modalities that are not dropped; rows of NaN where one is missing.
        """
        raise_for_params(params, self, "transform")
        check_is_fitted(self)
        name, schema = type(self).__name__, self._schema
        routed = self._routed("transform", params)
        parts = read(X, Reading(name, flat=schema.flat, is_raw=True))
        X = schema.match(parts, name, is_raw=True)
        kept = [(t, name) for name, t in self.transformers_ if not is_word(t, "drop")]
        done = Parallel(n_jobs=self.n_jobs)(
            delayed(transform_present)(
                transformer, name, X[name], self._outputs[name], routed(name)
            )
            for transformer, name in kept
        )
        return _gather({name: z for (_, name), z in zip(kept, done, strict=True)}, X.per_sample)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the output features.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored; the names of the input are known from fit.

        Returns
        -------
        names : ndarray of str of shape (n_features_out,)
            "modality/feature", with the names that the transformers give.
        """
        check_is_fitted(self)
        schema, names = self._schema, []
        columns = dict(zip(schema.names, schema.columns, strict=True))
        widths = dict(zip(schema.names, schema.n_features, strict=True))
        for name, transformer in self.transformers_:
            if is_word(transformer, "drop"):
                continue
            if is_word(transformer, "passthrough"):
                features = columns[name] or [f"x{i}" for i in range(widths[name])]
            elif hasattr(transformer, "get_feature_names_out"):
                features = transformer.get_feature_names_out()
            else:
                raise AttributeError(
                    f"The transformer of modality '{name}' (type {type(transformer).__name__}) "
                    "does not provide get_feature_names_out."
                )
            names += [f"{name}/{feature}" for feature in features]
        return np.asarray(names, dtype=object)

    def set_output(self, *, transform=None):
        """Do nothing: the output is always `Modalities`.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Ignored, so that a pipeline can set the output of its other steps.

        Returns
        -------
        self : object
            The same estimator.
        """
        return self

    def get_metadata_routing(self):
        """Return which metadata the transformers request.

        Returns
        -------
        routing : MetadataRouter
            As of `ColumnTransformer`: one entry per transformer, and one for `remainder`.
        """
        router = MetadataRouter(owner=self)
        for name, transformer in [*self._pairs, ("remainder", self.remainder)]:
            mapping = MethodMapping().add(caller="transform", callee="transform")
            has_both = hasattr(transformer, "fit_transform")
            for caller in ("fit", "fit_transform"):
                for callee in ("fit_transform",) if has_both else ("fit", "transform"):
                    mapping.add(caller=caller, callee=callee)
            router.add(method_mapping=mapping, **{name: transformer})
        return router

    def _routed(self, method, params):
        """Return a function from a modality to the metadata of its transformer, by method."""
        if not params:
            return lambda name: None
        routed = process_routing(self, method, **params)
        named = {name for name, _ in self._pairs}
        return lambda name: routed[name if name in named else "remainder"]

    def get_params(self, deep=True):
        """Get parameters, with `deep` also those of the transformers.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include ``<modality>`` and ``<modality>__<parameter>``.

        Returns
        -------
        params : dict
            Names and values.
        """
        return self._get_params("_pairs", deep=deep)

    def set_params(self, **params):
        """Set parameters, also of the transformers.

        Parameters
        ----------
        **params : dict
            Names as in `get_params`; ``<modality>`` replaces a transformer.

        Returns
        -------
        self : object
            The same estimator.
        """
        if "transformers" in params:
            self.transformers = params.pop("transformers")
        return self._set_params("_pairs", **params)

    @property
    def named_transformers_(self):
        """Fitted transformers by name of the modality."""
        check_is_fitted(self)
        return Bunch(**dict(self.transformers_))

    @property
    def _pairs(self):
        # Parameters are read before `fit` has checked them.
        try:
            return read_pairs(self.transformers)
        except TypeError:
            return []

    @_pairs.setter
    def _pairs(self, pairs):
        self.transformers = dict(pairs) if isinstance(self.transformers, Mapping) else pairs

    def __sklearn_is_fitted__(self):
        """Return whether fit has finished."""
        return hasattr(self, "transformers_")

    def __sklearn_tags__(self):
        """Return the tags: NaN, sparse matrices, text and categories are accepted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def _sk_visual_block_(self):
        # scikit-learn draws one box per modality, with its name above.
        pairs = getattr(self, "transformers_", None)
        if pairs is None:
            pairs = [*self._pairs, ("remainder", self.remainder)]
        return ColumnTransformer([(n, t, n) for n, t in pairs])._sk_visual_block_()

    def _choose(self, names):
        """Return a dict from modalities to their transformers, checked."""
        pairs = read_pairs(self.transformers)
        self._validate_names([name for name, _ in pairs])
        unknown = [name for name, _ in pairs if name not in names]
        if unknown:
            hint = did_you_mean(unknown[0], names)
            raise ValueError(
                f"transformers names the modality '{unknown[0]}', but those of X are "
                f"{list(names)}.{hint}"
            )
        for name, transformer in [*pairs, ("remainder", self.remainder)]:
            check_transformer(name, transformer)
        chosen = {name: dict(pairs).get(name, self.remainder) for name in names}
        if all(is_word(transformer, "drop") for transformer in chosen.values()):
            raise ValueError(
                f"All modalities {list(names)} are dropped. Name one in transformers, or use "
                'remainder="passthrough".'
            )
        return chosen


def _gather(arrays, per_sample):
    """Return what the transformers returned, with the labels of the samples they were given."""
    Z = Modalities(arrays, ignore_index=True)
    return from_checked(Z.arrays, Z.names, per_sample)
