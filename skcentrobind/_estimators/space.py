"""The fitted half of the estimators: embeddings, fitted attributes and files."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from skcentrobind._data.attributes import SchemaAttributes, derived
from skcentrobind._data.forms import Reading, read
from skcentrobind._data.modalities import from_checked
from skcentrobind._data.schema import checked
from skcentrobind._encoders.encoders import ModalityEncoder
from skcentrobind._encoders.module import Source
from skcentrobind._estimators.output import check_out, column_names, join, n_columns
from skcentrobind._ops import isolated
from skcentrobind._persistence.onnx import encoder_model
from skcentrobind._persistence.safetensors import Saved, write
from skcentrobind._public import __version__, estimator_classes
from skcentrobind.model_selection._features import as_table

# Private part of scikit-learn: `_get_output_config`. There is no public way to read what
# `set_output` has set, and the index of the modalities' DataFrames is to be kept.

# Samples whose embeddings are in memory at a time, beside the output.
_TRANSFORM_ROWS = 8192


class FittedSpace(SchemaAttributes, TransformerMixin, BaseEstimator):
    """Base class of estimators that have learned encoders into one shared space.

    `fit` of a subclass sets `_schema`, the form of the data, `_plan`, the resolved parameters,
    `scalers_` and, last, `net_`, the trained net.
    """

    # `out` is not metadata that a pipeline passes on.
    __metadata_request__transform: ClassVar = {"out": UNUSED}

    @isolated
    def transform(self, X, out=None):
        """Embed samples as one array.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Modalities as in `fit`. An item of a list or dict may be None, and a row NaN, where
            the modality is missing; its block is then the mean of the modalities present.
        out : ndarray of shape of `Z`, default=None
            Array to write to, for example a memory map; a new float32 array if None. Any
            floating-point type is accepted.

        Returns
        -------
        Z : ndarray of float32 of shape (n_samples, n_modalities * n_components)
            Concatenated embeddings, unless `output` says otherwise; the columns are those of
            `get_feature_names_out`.
        """
        checked_X, present = self._read(X)
        widths = self._plan.n_components, self._plan.n_specific_components
        shape = len(present), n_columns(present.shape[1], *widths, self.output)
        Z = check_out(out, shape)
        heads = ("shared", "specific") if self.output == "all" else ("shared",)
        for rows in gen_batches(len(Z), _TRANSFORM_ROWS):
            blocks = self._encode(checked_X, present, rows, heads)
            Z[rows] = join(blocks, widths[0], present[rows], self.output)
        wants_frame = _get_output_config("transform", self)["dense"] == "pandas"
        return self._keep_index(Z, checked_X.index) if wants_frame else Z

    @isolated
    def transform_modalities(self, X):
        """Embed samples as one array per modality.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Modalities as in `transform`.

        Returns
        -------
        Z : Modalities
            Arrays of shape (n_samples, n_components) with unit-length rows, under the names of
            the modalities; rows of NaN where the modality is missing.
        """
        return self._embed_modalities(X, ("shared",))

    @isolated
    def transform_specific(self, X):
        """Embed the modality-specific part, by the second head of every encoder.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Modalities as in `transform`.

        Returns
        -------
        Z : Modalities
            Arrays of shape (n_samples, n_specific_components) with unit-length rows; rows of NaN
            where the modality is missing.

        Raises
        ------
        ValueError
            If the estimator was fitted with `n_specific_components=0`.
        """
        check_is_fitted(self)
        if not self._plan.n_specific_components:
            raise ValueError(
                f"This {type(self).__name__} was fitted with n_specific_components=0, so its "
                "encoders have one head; fit it with some."
            )
        return self._embed_modalities(X, ("specific",))

    @isolated
    def transform_modality(self, X_m, modality, out=None):
        """Embed rows of a single modality, for example the text of a query.

        Parameters
        ----------
        X_m : array-like of shape (n_samples, ...)
            Rows of the modality.
        modality : str or int
            Its name or position.
        out : ndarray of shape (n_samples, n_components), default=None
            Array to write to, for example a memory map; a new float32 array if None. Any
            floating-point type is accepted.

        Returns
        -------
        Z : ndarray of float32 of shape (n_samples, n_components)
            Unit-length rows, `out` if given; NaN where the row is NaN.
        """
        check_is_fitted(self)
        m = self._schema.position(modality)
        array, present = self._schema.match_one(X_m, m, type(self).__name__)
        Z = check_out(out, (len(present), self._plan.n_components))
        heads = self._columns_of(("shared",))
        self.net_.module_.encode_rows(
            m, self._source(m, array), np.flatnonzero(present), Z, heads=heads
        )
        Z[~present] = np.nan
        return Z

    def _read(self, X):
        """Return data for a fitted estimator, and which samples have which modality."""
        check_is_fitted(self)
        name, schema = type(self).__name__, self._schema
        parts = read(X, Reading(name, cut=self.modalities, flat=schema.flat))
        return checked(schema.match(parts, name), schema)

    def _embed_modalities(self, X, heads):
        """Return embeddings of all modalities by some heads, NaN where missing."""
        checked_X, present = self._read(X)
        blocks = self._encode(checked_X, present, heads=heads)
        blocks[~present.T] = np.nan
        return from_checked(blocks, self._schema.names, checked_X.per_sample)

    def _encode(self, X, present, rows=slice(None), heads=("shared",)):
        """Return embeddings of some samples in all modalities, zero where missing."""
        here, start = present[rows], rows.start or 0
        widths = {
            "shared": self._plan.n_components,
            "specific": self._plan.n_specific_components,
        }
        # (n_modalities, n_samples, width)
        shape = len(X.arrays), len(here), sum(widths[head] for head in heads)
        blocks = np.zeros(shape, dtype=np.float32)
        columns, module = self._columns_of(heads), self.net_.module_
        sources = [self._source(m, array) for m, array in enumerate(X.arrays)]
        for m, source in enumerate(sources):
            some = start + np.flatnonzero(here[:, m])
            module.encode_rows(m, source, some, blocks[m], start, columns)
        return blocks

    def _source(self, m, array):
        name = self._schema.names[m]
        return Source(name, array, self.scalers_[name], self._plan.device)

    def _columns_of(self, heads):
        """Return the columns of some heads among the outputs of an encoder; none if it has one."""
        n = self._plan.n_components
        both = {"shared": slice(n), "specific": slice(n, None)}
        return tuple(both[h] for h in heads) if self._plan.n_specific_components else ()

    def _keep_index(self, Z, index):
        """Give the output the row labels of the samples, where they have any."""
        if index is None:
            return Z
        import pandas as pd

        return pd.DataFrame(Z, index=index)

    # ---------------------------------------------------------------- attributes

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features_in_,), default=None
            Only compared with the names of the columns seen in fit.

        Returns
        -------
        names : ndarray of str of shape (n_features_out,)
            "text_0", "text_1", ..., or "mean_0", ... with `output="mean"`; with `output="all"`
            "text_0", ..., "text_specific_0", ...
        """
        check_is_fitted(self)
        width, expected = self._schema.flat
        if input_features is not None:
            if expected is not None and not np.array_equal(input_features, expected):
                raise ValueError(
                    f"input_features is not equal to feature_names_in_, got {list(input_features)}."
                )
            if len(input_features) != width:
                raise ValueError(
                    "input_features should have length equal to number of features "
                    f"({width}), got {len(input_features)}."
                )
        widths = self._plan.n_components, self._plan.n_specific_components
        names = column_names(self._schema.names, *widths, self.output)
        return np.asarray(names, dtype=object)

    @property
    def encoders_(self):
        """Trained encoders by name: prepared float32 rows to unit-length embeddings."""
        check_is_fitted(self)
        heads = self._columns_of(("shared",))
        groups = map(self.net_.module_.group_of, range(self.n_modalities_))
        return {
            spec.name: ModalityEncoder(*group, heads, spec.row_shape)
            for spec, group in zip(self._plan.modalities, groups, strict=True)
        }

    @derived
    def n_modalities_(self):
        """Number of modalities seen in fit."""
        return len(self._learned("_schema").names)

    @derived
    def n_components_(self):
        """Width of the shared space."""
        return self._learned("_plan").n_components

    @derived
    def device_(self):
        """Device of the training."""
        return self._learned("_plan").device

    @property
    def loss_curve_(self):
        """Training loss of every epoch."""
        # An epoch that was interrupted has none.
        return [epoch["train_loss"] for epoch in self._history() if "train_loss" in epoch]

    @property
    def validation_scores_(self):
        """Mean reciprocal rank of the hold-out after every epoch; None without early stopping."""
        scores = [epoch["valid_score"] for epoch in self._history() if "valid_score" in epoch]
        return scores or None

    @property
    def selection_(self):
        """What `fit` has chosen among, a DataFrame with one row per candidate."""
        check_is_fitted(self)
        return as_table(list(self._plan.tried))

    @property
    def chosen_params_(self):
        """What `fit` has chosen or was given, as parameters that leave nothing of it open."""
        check_is_fitted(self)
        return {**self._plan.as_parameters(), "max_epochs": self.n_iter_}

    @property
    def temperature_(self):
        """Temperature at the end of the training, by name if each modality has its own."""
        check_is_fitted(self)
        values = self.net_.criterion_.temperature.values
        if isinstance(values, list):
            return dict(zip(self._schema.names, values, strict=True))
        return values

    @property
    def n_iter_(self):
        """Number of epochs so far."""
        return len(self.loss_curve_)

    def _history(self):
        check_is_fitted(self)
        return self.net_.history

    def __sklearn_is_fitted__(self):
        """Return whether the training has finished."""
        return hasattr(self, "net_")

    def __sklearn_tags__(self):
        """Return the tags: embeddings are float32."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    # --------------------------------------------------------------------- files

    def save(self, path):
        """Write the fitted estimator to one safetensors file, which `skcentrobind.load` reads.

        Unlike a pickle the file holds data only: weights, scalers, the state from which
        `partial_fit` continues, and parameters and names as JSON. If a parameter is code of your
        own (modules, factories, callables, callbacks, anchor classes), the file keeps only its
        trained weights: pass the code to `load` again.

        Parameters
        ----------
        path : str or path-like
            The file, usually with the ending ".safetensors". An existing file is replaced once
            the new one is complete.

        Raises
        ------
        TypeError
            If `load` does not support the class of the estimator; joblib saves any.
        ImportError
            If safetensors is not installed.
        """
        check_is_fitted(self)
        cls = type(self)
        if cls not in estimator_classes().values():
            raise TypeError(
                f"save() writes {', '.join(estimator_classes())}, and load() could not make a "
                f"{cls.__name__} from a file of data; use joblib.dump."
            )
        config = vars(self).get("_sklearn_output_config")
        write(
            Saved(
                cls.__name__,
                self.get_params(deep=False),
                self._schema,
                self._plan,
                list(self.scalers_.values()),
                self.net_,
                config,
            ),
            path,
        )

    def to_onnx(self, path, modality, *, dtype="float32"):
        """Export the encoder of one modality, with its standardisation, as an ONNX model.

        The model embeds raw rows, as `transform_modality` does: its input "features" has the shape
        (batch, ...) of the rows seen in fit, its output "embedding" the shape
        (batch, n_components), float32 and of unit length. Rows must be complete, without NaN. It
        computes in float32, also for an estimator with `precision="bf16"`.

        Parameters
        ----------
        path : str, path-like or None
            The file to write; None only returns the model.
        modality : str or int
            Name or position of the modality.
        dtype : {"float32", "float64"}, default="float32"
            Type of the input. The standardisation computes in float64 in both cases; float64
            matters for features with large offsets, such as time stamps.

        Returns
        -------
        model : onnx.ModelProto
            Checked by `onnx.checker`.

        Raises
        ------
        ValueError
            If the modality or the dtype is unknown, or the encoder is a module of your own: this
            needs no standardisation and is exported by `torch.onnx.export(encoders_[name], ...)`.
        ImportError
            If onnx is not installed.
        """
        check_is_fitted(self)
        m = self._schema.position(modality)
        group, k = self.net_.module_.group_of(m)
        spec = self._plan.modalities[m]
        scaler = self.scalers_[spec.name]
        model = encoder_model(spec, group, k, scaler, self._plan.n_components, dtype)
        if path is not None:
            with open(path, "wb") as stream:
                stream.write(model.SerializeToString())
        return model

    def __getstate__(self):
        """Return the state with the version that can read it."""
        return super().__getstate__() | {"_skcentrobind_version": __version__}

    def __setstate__(self, state):
        """Restore a state of this version; those of other versions have another form."""
        state = dict(state)
        # Only 0.1 kept these; a state without a mark may come from a __getstate__ of its own.
        is_older = {"_row_shapes", "_seed"} & state.keys()
        version = state.pop("_skcentrobind_version", "0.1" if is_older else __version__)
        if version != __version__:
            raise ValueError(
                f"This {type(self).__name__} was pickled by skcentrobind {version}, but this is "
                f"{__version__}: pickles are read by the version that wrote them. Load it there, "
                "save it with estimator.save(path), and read that file with skcentrobind.load."
            )
        super().__setstate__(state)
