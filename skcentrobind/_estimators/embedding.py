"""From samples to embeddings, with the encoders of a fitted estimator."""

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from skcentrobind._data.checks import check_modalities, check_one_modality, check_out
from skcentrobind._data.forms import keep_index
from skcentrobind._data.modalities import Modalities
from skcentrobind._estimators.output import join, n_columns
from skcentrobind._training.batches import encoding_batches

# Samples whose embeddings are in memory at a time, beside the output.
_TRANSFORM_ROWS = 8192


class EmbeddingMixin(TransformerMixin):
    """Adds `transform` and its kin to the binding transformers."""

    # Not metadata that a pipeline could be asked to pass on.
    __metadata_request__transform = {"out": UNUSED}

    def transform(self, X, out=None):
        """Embed samples as one array.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Modalities as in `fit`. An item of a list or dict may be None, and a row NaN, where
            samples lack the modality; their block is then the mean of the modalities that they
            have.
        out : ndarray of shape of `Z`, default=None
            Where to write, for example a memory map; a new array of float32 if None. Its numbers
            may be of any floating-point type.

        Returns
        -------
        Z : ndarray of float32 of shape (n_samples, n_modalities * n_components)
            Embeddings side by side, or what else `output` names; the columns are those of
            `get_feature_names_out`.
        """
        checked, present = self._checked(X)
        widths = self._n_components, self._n_specific
        Z = check_out(out, (len(present), n_columns(present.shape[1], *widths, self.output)))
        heads = ("shared", "specific") if self.output == "all" else ("shared",)
        for rows in gen_batches(len(Z), _TRANSFORM_ROWS):
            blocks = self._encode_all(checked, present, rows, heads)
            Z[rows] = join(blocks, self._n_components, present[rows], self.output)
        return keep_index(self, Z, X)

    def transform_modalities(self, X):
        """Embed samples as one array a modality.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Modalities as in `transform`.

        Returns
        -------
        Z : Modalities
            Arrays of shape (n_samples, n_components) with unit-length rows, under the names of
            the modalities; rows of NaN where a sample lacks the modality.
        """
        return self._embed_modalities(X, ("shared",))

    def transform_specific(self, X):
        """Embed what each modality shares with no other, by the second head of its encoder.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Modalities as in `transform`.

        Returns
        -------
        Z : Modalities
            Arrays of shape (n_samples, n_specific_components) with unit-length rows; rows of NaN
            where a sample lacks the modality.

        Raises
        ------
        ValueError
            If the estimator was fitted with `n_specific_components=0`.
        """
        check_is_fitted(self)
        if not self._n_specific:
            raise ValueError(
                f"This {type(self).__name__} was fitted with n_specific_components=0, so its "
                "encoders have one head; fit it with some."
            )
        return self._embed_modalities(X, ("specific",))

    def transform_modality(self, X_m, modality, out=None):
        """Embed rows of a single modality, for example the text of a query.

        Parameters
        ----------
        X_m : array-like of shape (n_samples, ...)
            Rows of the modality.
        modality : str or int
            Its name or position.
        out : ndarray of shape (n_samples, n_components), default=None
            Where to write, for example a memory map; a new array of float32 if None. Its numbers
            may be of any floating-point type.

        Returns
        -------
        Z : ndarray of float32 of shape (n_samples, n_components)
            Unit-length rows, `out` if given; NaN where the row is NaN.
        """
        check_is_fitted(self)
        position, array, present = check_one_modality(self, X_m, modality)
        block = check_out(out, (len(present), self._n_components))
        self._encode(position, array, np.flatnonzero(present), block)
        block[~present] = np.nan
        return block

    def _checked(self, X):
        """Data for a fitted estimator, and which samples have which modality."""
        check_is_fitted(self)
        return check_modalities(self, X, reset=False)

    def _embed_modalities(self, X, heads):
        """Embeddings of all modalities by some heads of the encoders, NaN where absent."""
        checked, present = self._checked(X)
        blocks = self._encode_all(checked, present, heads=heads)
        blocks[~present.T] = np.nan
        return Modalities(dict(zip(self.modality_names_, blocks, strict=True)))

    def _encode_all(self, X, present, rows=slice(None), heads=("shared",)):
        """Embeddings of some samples in all modalities, zero where absent, as one array."""
        here, start = present[rows], rows.start or 0
        widths = {"shared": self._n_components, "specific": self._n_specific}
        width = sum(widths[head] for head in heads)
        # (n_modalities, n_samples, width)
        blocks = np.zeros((len(X.arrays), len(here), width), dtype=np.float32)
        for m, array in enumerate(X.arrays):
            self._encode(m, array, start + np.flatnonzero(here[:, m]), blocks[m], start, heads)
        return blocks

    def _encode(self, m, array, rows, out, start=0, heads=("shared",)):
        """Write embeddings of some rows of one modality to `out`, which begins at row `start`."""
        name = self.modality_names_[m]
        encoder, scaler = self._encoder(m, heads), self.scalers_[name]
        with torch.no_grad():
            for some, x in encoding_batches(name, array, scaler, rows, self.device_):
                out[some - start] = encoder(x).cpu().numpy()
