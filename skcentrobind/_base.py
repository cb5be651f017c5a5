"""What all binding transformers share: fit, transform, score."""

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from skcentrobind._build import (
    build_data,
    build_module,
    build_net,
    draw_seed,
    enough_epochs,
    pretrain,
    split_rows,
)
from skcentrobind._data import encoding_batches
from skcentrobind._fitted import FittedAttributes
from skcentrobind._inputs import keep_index
from skcentrobind._modalities import Modalities
from skcentrobind._net import resolve_device
from skcentrobind._parameters import check_parameters, store
from skcentrobind._serving import ServingMixin
from skcentrobind._validation import (
    check_enough_samples,
    check_modalities,
    check_one_modality,
    check_out,
    warn_of_unbound,
)
from skcentrobind.losses import RegularizedLoss, Temperature
from skcentrobind.metrics import mean_reciprocal_rank

# Samples whose embeddings are in memory at a time, beside the output.
_TRANSFORM_ROWS = 8192


class BaseBindTransformer(FittedAttributes, ServingMixin, TransformerMixin, BaseEstimator):
    """Base class of the binding transformers; subclasses choose the objective.

    A subclass implements `_make_loss`. One that has parameters of its own lists them with all
    others in its `__init__`.
    """

    # Not metadata that a pipeline could be asked to pass on.
    __metadata_request__transform = {"out": UNUSED}

    def __init__(
        self,
        n_components=64,
        *,
        encoder="residual",
        hidden_layer_sizes=(256,),
        temperature=0.2,
        learn_temperature=False,
        regularizers=None,
        augmentation="gaussian",
        augmentation_scale=0.3,
        standardize=True,
        pretrain_epochs=0,
        output="concat",
        modalities=None,
        batch_size=256,
        max_epochs="auto",
        learning_rate=1e-3,
        weight_decay=1e-2,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        device="auto",
        precision="float32",
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        store(self, locals())

    def _make_loss(self, temperature):
        """Return the objective, a `BaseLoss`, with this `Temperature`."""
        raise TypeError(f"{type(self).__name__} must implement _make_loss(temperature).")

    def _make_objective(self):
        """Return the objective and its regularisers, introduced to the modalities."""
        objective = self._make_loss(Temperature(self.temperature, self.learn_temperature))
        if self.regularizers:
            objective = RegularizedLoss(objective, self.regularizers)
        objective.prepare(self.modality_names_)
        return objective

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
        data, data_valid, module, objective = self._start(X, self.early_stopping)
        if self.pretrain_epochs:
            pretrain(self, module, data)
        net = build_net(self, module, objective, data_valid)
        epochs = self.max_epochs
        if isinstance(epochs, str):
            epochs = enough_epochs(net.steps_in(data))
        return self._continue(net, data, epochs)

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
            data, _, module, objective = self._start(X, early_stopping=False)
            return self._continue(build_net(self, module, objective, None), data, 1)
        checked, present = check_modalities(self, X, reset=False)
        check_enough_samples(checked, "partial_fit")
        return self._continue(self.net_, self._to_data(checked, present), 1)

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
            Embeddings side by side; with `output="mean"` their mean over the modalities that
            each sample has, of shape (n_samples, n_components).
        """
        checked, present = self._checked(X)
        n_blocks = 1 if self.output == "mean" else self.n_modalities_
        Z = check_out(out, (len(present), n_blocks * self._n_components))
        for rows in gen_batches(len(Z), _TRANSFORM_ROWS):
            blocks = self._encode_all(checked, present, rows)
            Z[rows] = _side_by_side(blocks, present[rows], self.output)
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
        checked, present = self._checked(X)
        blocks = self._encode_all(checked, present)
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
        checked, present = self._checked(X)
        check_enough_samples(checked, "score")
        if self.n_modalities_ > 1:
            blocks = self._encode_all(checked, present)
            return mean_reciprocal_rank(blocks, present=present.T)
        z, z_augmented = self.net_.embed(self._to_data(checked, present))
        return mean_reciprocal_rank([z_augmented[0], z[0]])

    def __sklearn_tags__(self):
        """Tell scikit-learn that embeddings are float32."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    # ---------------------------------------------------------------- steps of fit

    def _start(self, X, early_stopping):
        """Check everything and build the encoders; return both sets of rows, module, objective."""
        check_parameters(self)
        vars(self).pop("net_", None)
        checked, present = check_modalities(self, X, reset=True)
        self.device_ = resolve_device(self.device)
        self._seed = draw_seed(self.random_state)
        self._n_components = int(self.n_components)
        objective = self._make_objective()
        module, self.scalers_ = build_module(self, checked, present)
        layout = [group.members for group in module.groups]
        train = valid = None
        if early_stopping:
            train, valid = split_rows(
                present, self.modality_names_, self.validation_fraction, self._seed
            )
        warn_of_unbound(present, self.modality_names_, objective)
        data = self._to_data(checked, present, layout, train)
        data_valid = self._to_data(checked, present, layout, valid) if early_stopping else None
        return data, data_valid, module, objective

    def _continue(self, net, data, epochs):
        """Train for some epochs and keep the net, unless it diverges."""
        vars(self).pop("net_", None)
        net.train_on(data, epochs)
        net.module_.eval()
        self.net_ = net
        return self

    def _checked(self, X):
        """Data for a fitted estimator, and which samples have which modality."""
        check_is_fitted(self)
        return check_modalities(self, X, reset=False)

    def _to_data(self, X, present, layout=None, rows=None):
        """Tensors of some rows on the device, laid out for the groups of encoders."""
        if layout is None:
            layout = [group.members for group in self.net_.module_.groups]
        if rows is not None:
            present = present[rows]
        return build_data(self, X, present, layout, rows)

    def _encode_all(self, X, present, rows=slice(None)):
        """Embeddings of some samples in all modalities, zero where absent, as one array."""
        here = present[rows]
        # (n_modalities, n_samples, n_components)
        blocks = np.zeros((len(X.arrays), len(here), self._n_components), dtype=np.float32)
        start = rows.start or 0
        for m, array in enumerate(X.arrays):
            self._encode(m, array, start + np.flatnonzero(here[:, m]), blocks[m], start)
        return blocks

    def _encode(self, m, array, rows, out, start=0):
        """Write embeddings of some rows of one modality to `out`, which begins at row `start`."""
        name = self.modality_names_[m]
        encoder, scaler = self._encoder(m), self.scalers_[name]
        with torch.no_grad():
            for some, x in encoding_batches(name, array, scaler, rows, self.device_):
                out[some - start] = encoder(x).cpu().numpy()


def _side_by_side(blocks, present, output):
    """Join blocks of all modalities, zero where absent, as `output` says."""
    weight = present.T[:, :, None].astype(np.float32)
    mean = blocks.sum(axis=0) / weight.sum(axis=0)
    if output == "mean":
        return mean
    if not present.all():
        blocks = np.where(weight > 0, blocks, mean)
    return blocks.swapaxes(0, 1).reshape(len(mean), -1)
