"""What scikit-learn's users expect to find on whatever has learned a schema."""

import numpy as np
from sklearn.utils.validation import check_is_fitted


class SchemaAttributes:
    """Attributes that are read from `_schema`, which fit sets."""

    @property
    def modality_names_(self):
        """Names of the modalities."""
        return list(self._learned("_schema").names)

    @property
    def n_features_per_modality_(self):
        """Number of features of each modality."""
        return self._learned("_schema").n_features

    @property
    def n_features_in_(self):
        """Number of features of all modalities together."""
        return self._learned("_schema").flat.n_features

    @property
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
