"""What a fitted binding transformer tells of itself."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcentrobind._data.checks import check_input_features
from skcentrobind._encoders.encoders import ModalityEncoder
from skcentrobind._estimators.output import column_names


class FittedAttributes:
    """Names and numbers that are read from the trained net."""

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
        check_input_features(self, input_features)
        widths = self._n_components, self._n_specific
        names = column_names(self.modality_names_, *widths, self.output)
        return np.asarray(names, dtype=object)

    @property
    def encoders_(self):
        """Trained encoders by name: prepared float32 rows to unit-length embeddings."""
        check_is_fitted(self)
        return {name: self._encoder(m) for m, name in enumerate(self.modality_names_)}

    @property
    def loss_curve_(self):
        """Training loss of every epoch."""
        check_is_fitted(self)
        # An epoch that was interrupted has none.
        return [epoch["train_loss"] for epoch in self.net_.history if "train_loss" in epoch]

    @property
    def validation_scores_(self):
        """Mean reciprocal rank of held-out batches after every epoch; None unless early stopped."""
        check_is_fitted(self)
        scores = [epoch["valid_score"] for epoch in self.net_.history if "valid_score" in epoch]
        return scores or None

    @property
    def temperature_(self):
        """Temperature at the end of the training, by name if each modality has its own."""
        check_is_fitted(self)
        values = self.net_.criterion_.temperature.values
        if isinstance(values, list):
            return dict(zip(self.modality_names_, values, strict=True))
        return values

    @property
    def n_iter_(self):
        """Number of epochs so far."""
        return len(self.loss_curve_)

    @property
    def n_components_(self):
        """Width of the shared space."""
        check_is_fitted(self)
        return self._n_components

    @property
    def n_modalities_(self):
        """Number of modalities seen in fit."""
        check_is_fitted(self)
        return len(self.modality_names_)

    def __sklearn_is_fitted__(self):
        """Whether training has taken place."""
        return hasattr(self, "net_")

    def _encoder(self, m, heads=("shared",)):
        """Some heads of the encoder of a modality."""
        columns = ()
        if self._n_specific:
            n = self._n_components
            both = {"shared": slice(n), "specific": slice(n, None)}
            columns = tuple(both[head] for head in heads)
        return ModalityEncoder(*self.net_.module_.group_of(m), columns)
