"""Fitted attributes that are derived from a schema."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted


class derived(property):
    """A property that an instance may replace by a value of its own.

    scikit-learn's `validate_data` sets some of these attributes, as a subclass may.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn the name of the attribute."""
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Return the instance's own value, if there is one."""
        if instance is not None and self.name in vars(instance):
            return vars(instance)[self.name]
        return super().__get__(instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        """Keep a value of the instance's own."""
        vars(instance)[self.name] = value


class SchemaAttributes:
    """Attributes that are read from `_schema`, which fit sets."""

    @derived
    def modality_names_(self):
        """Names of the modalities."""
        return list(self._learned("_schema").names)

    @derived
    def n_features_per_modality_(self):
        """Number of features of each modality."""
        return self._learned("_schema").n_features

    @derived
    def n_features_in_(self):
        """Number of features of all modalities together."""
        return self._learned("_schema").flat.n_features

    @derived
    def feature_names_in_(self):
        """Names of the columns, if there are any."""
        names = self._learned("_schema").flat.names
        if names is None:
            raise AttributeError("The data of fit had no feature names.")
        return np.asarray(names, dtype=object)

    def _learned(self, attribute):
        """Return an attribute that fit sets, or raise the error of an estimator without fit."""
        if attribute not in vars(self):
            check_is_fitted(self)
        return vars(self)[attribute]
