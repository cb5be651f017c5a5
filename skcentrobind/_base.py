"""What all binding transformers share: fit, transform, score."""

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skcentrobind._build import (
    build_data,
    build_module,
    build_net,
    draw_seed,
    pretrain,
    split_rows,
)
from skcentrobind._data import encoding_batches
from skcentrobind._encoders import ModalityEncoder
from skcentrobind._modalities import Modalities
from skcentrobind._net import resolve_device
from skcentrobind._parameters import check_parameters
from skcentrobind._validation import (
    check_enough_samples,
    check_input_features,
    check_modalities,
    check_one_modality,
    check_out,
    warn_of_unbound,
)
from skcentrobind.losses import AnchorLoss
from skcentrobind.metrics import mean_reciprocal_rank


class BaseBindTransformer(TransformerMixin, BaseEstimator):
    """Base class of the binding transformers; subclasses choose the anchor.

    A subclass has the parameters of `CentroBindTransformer`, but for its own choice of the
    anchor, and implements `_make_anchor`.
    """

    def _make_anchor(self):
        """Return a fresh anchor, made from the parameters."""
        raise TypeError(f"{type(self).__name__} must implement _make_anchor().")

    def _make_loss(self, anchor):
        """Return the objective, a module called with (z, z_augmented, present, generator)."""
        detach = bool(getattr(self, "detach_anchor", False))
        return AnchorLoss(anchor, self.temperature, detach, anchor.bounded)

    def fit(self, X, y=None):
        """Learn one encoder a modality, so that all of them meet in one space.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            The modalities: arrays of equal length, a two-level DataFrame, or a 2-D array which
            is one modality or is cut by the parameter `modalities`. A row of NaN in one modality
            says that the sample lacks it.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data are unusable, or the loss diverges.
        TypeError
            If a modality has a type that cannot be used.
        """
        data, data_valid, module, anchor = self._start(X, early_stopping=self.early_stopping)
        if self.pretrain_epochs:
            pretrain(self, module, data)
        net = build_net(self, module, anchor, data_valid)
        return self._continue(net, data, self.max_epochs)

    def partial_fit(self, X, y=None):
        """Go on training for one epoch over X, at a constant learning rate.

        The first call fixes the modalities, their standardisation and the initial weights, as
        `fit` does; later calls and calls after `fit` continue with what is there. `max_epochs`
        calls with the same X give the same numbers as one `fit` without pre-training and early
        stopping, neither of which takes place here.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Some samples, in any form that `fit` accepts.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Estimator that has seen one more epoch.
        """
        if not hasattr(self, "net_"):
            data, _, module, anchor = self._start(X, early_stopping=False)
            return self._continue(build_net(self, module, anchor, None), data, 1)
        checked, present = check_modalities(self, X, reset=False)
        check_enough_samples(checked, "partial_fit")
        return self._continue(self.net_, self._to_data(checked, present), 1)

    def transform(self, X):
        """Embed samples as one array.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Modalities as in `fit`. An item of a list or dict may be None, and a row NaN, where
            samples lack the modality; their block is then the mean of the modalities that they
            have.

        Returns
        -------
        Z : ndarray of float32 of shape (n_samples, n_modalities * n_components)
            Embeddings side by side; with `output="mean"` their mean over the modalities that
            each sample has, of shape (n_samples, n_components).
        """
        blocks, present = self._embed(X)  # (n_modalities, n_samples, n_components)
        weight = present.T[:, :, None].astype(np.float32)
        # Blocks of absent modalities are zero, so the sum runs over the present ones.
        mean = blocks.sum(axis=0) / weight.sum(axis=0)
        if self.output == "mean":
            return mean
        if not present.all():
            blocks = np.where(weight > 0, blocks, mean)
        return np.ascontiguousarray(blocks.swapaxes(0, 1)).reshape(len(mean), -1)

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
        blocks, present = self._embed(X)
        blocks[~present.T] = np.nan
        return Modalities(dict(zip(self.modality_names_, blocks, strict=True)))

    def transform_modality(self, X_m, modality, out=None):
        """Embed rows of a single modality, for example the text of a query.

        Parameters
        ----------
        X_m : array-like of shape (n_samples, ...)
            Rows of the modality.
        modality : str or int
            Its name or position.
        out : array of shape (n_samples, n_components), default=None
            Where to write, for example a memory map; a new array of float32 if None.

        Returns
        -------
        Z : ndarray of float32 of shape (n_samples, n_components)
            Unit-length rows, `out` if given; NaN where the row is NaN.
        """
        check_is_fitted(self)
        position, array, present = check_one_modality(self, X_m, modality)
        block = self._encode(position, array, present, out)
        block[~present] = np.nan
        return block

    def score(self, X, y=None):
        """Mean reciprocal rank over all ordered pairs of modalities.

        Each modality's embedding of a sample looks for the same sample among all embeddings in
        another modality. For a single modality, augmented rows look for the clean ones.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Two samples or more.
        y : None
            Ignored.

        Returns
        -------
        score : float
            Between 0 and 1, higher is better.
        """
        check_is_fitted(self)
        checked, present = check_modalities(self, X, reset=False)
        check_enough_samples(checked, "score")
        if self.n_modalities_ > 1:
            blocks = self._encode_all(checked, present)
            return mean_reciprocal_rank(blocks, present=present.T)
        z, z_augmented = self.net_.embed(self._to_data(checked, present))
        return mean_reciprocal_rank([z_augmented[0], z[0]])

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features_in_,), default=None
            Only compared with the names of the columns seen in fit.

        Returns
        -------
        names : ndarray of str of shape (n_features_out,)
            "text_0", "text_1", ..., or "mean_0", ... with `output="mean"`.
        """
        check_is_fitted(self)
        check_input_features(self, input_features)
        blocks = ["mean"] if self.output == "mean" else self.modality_names_
        width = self._n_components
        return np.asarray([f"{b}_{i}" for b in blocks for i in range(width)], dtype=object)

    @property
    def encoders_(self):
        """Trained encoders by name: prepared float32 rows to unit-length embeddings."""
        check_is_fitted(self)
        return {name: self._encoder(m) for m, name in enumerate(self.modality_names_)}

    @property
    def loss_curve_(self):
        """Training loss of every epoch, the sum over the modalities."""
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
    def n_iter_(self):
        """Number of epochs so far."""
        return len(self.loss_curve_)

    @property
    def n_modalities_(self):
        """Number of modalities seen in fit."""
        check_is_fitted(self)
        return len(self.modality_names_)

    def __sklearn_is_fitted__(self):
        """Whether training has taken place."""
        return hasattr(self, "net_")

    def __sklearn_tags__(self):
        """Tell scikit-learn that embeddings are float32."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    # ---------------------------------------------------------------- steps of fit

    def _start(self, X, early_stopping):
        """Check everything and build the encoders; return data, held-out data, module, anchor."""
        check_parameters(self)
        vars(self).pop("net_", None)
        checked, present = check_modalities(self, X, reset=True)
        self.device_ = resolve_device(self.device)
        self._seed = draw_seed(self.random_state)
        self._n_components = int(self.n_components)
        anchor = self._make_anchor()
        anchor.prepare(self.modality_names_)
        module, self.scalers_ = build_module(self, checked, present)
        layout = [group.members for group in module.groups]
        train = valid = None
        if early_stopping:
            train, valid = split_rows(
                present, self.modality_names_, self.validation_fraction, self._seed
            )
        warn_of_unbound(present, self.modality_names_, anchor)
        data = self._to_data(checked, present, layout, train)
        data_valid = self._to_data(checked, present, layout, valid) if early_stopping else None
        return data, data_valid, module, anchor

    def _continue(self, net, data, epochs):
        """Train for some epochs and keep the net, unless it diverges."""
        vars(self).pop("net_", None)
        net.train_on(data, epochs)
        net.module_.eval()
        self.net_ = net
        return self

    def _to_data(self, X, present, layout=None, rows=None):
        """Tensors of some rows on the device, laid out for the groups of encoders."""
        if layout is None:
            layout = [group.members for group in self.net_.module_.groups]
        if rows is not None:
            present = present[rows]
        return build_data(self, X, present, layout, rows)

    def _embed(self, X):
        check_is_fitted(self)
        checked, present = check_modalities(self, X, reset=False)
        return self._encode_all(checked, present), present

    def _encode_all(self, X, present):
        """Embeddings of all modalities, zero where absent, as one array."""
        blocks = np.empty((len(X.arrays), len(X), self._n_components), dtype=np.float32)
        for m, array in enumerate(X.arrays):
            blocks[m] = self._encode(m, array, present[:, m])
        return blocks  # (n_modalities, n_samples, n_components)

    def _encode(self, m, array, present, out=None):
        """Embeddings of one modality, some rows at a time; rows of absent samples are not set."""
        name = self.modality_names_[m]
        encoder, scaler, rows = self._encoder(m), self.scalers_[name], np.flatnonzero(present)
        out = check_out(out, (len(present), self._n_components))
        with torch.no_grad():
            for some, x in encoding_batches(name, array, scaler, rows, self.device_):
                out[some] = encoder(x).cpu().numpy()
        return out

    def _encoder(self, m):
        return ModalityEncoder(*self.net_.module_.group_of(m))
