"""What all binding transformers share: fit and score."""

from sklearn.base import BaseEstimator

from skcentrobind._data.checks import check_enough_samples, check_modalities, warn_of_unbound
from skcentrobind._data.split import split_rows
from skcentrobind._estimators.embedding import EmbeddingMixin
from skcentrobind._estimators.fitted import FittedAttributes
from skcentrobind._estimators.parameters import check_parameters, store
from skcentrobind._estimators.serving import ServingMixin
from skcentrobind._training.device import resolve_device
from skcentrobind._training.plan import (
    build_data,
    build_module,
    build_net,
    draw_seed,
    enough_epochs,
    pretrain,
    surround,
    width_of_space,
)
from skcentrobind.losses import Temperature
from skcentrobind.metrics import mean_reciprocal_rank


class BaseBindTransformer(EmbeddingMixin, ServingMixin, FittedAttributes, BaseEstimator):
    """Base class of the binding transformers; subclasses choose the objective.

    A subclass implements `_make_loss`. One that has parameters of its own lists them with all
    others in its `__init__`.
    """

    def __init__(
        self,
        n_components="auto",
        *,
        encoder="residual",
        hidden_layer_sizes=(256,),
        init="gcca",
        n_specific_components=0,
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
        """Return the objective and what is added to it, introduced to the modalities."""
        loss = self._make_loss(Temperature(self.temperature, self.learn_temperature))
        return surround(self, loss, self.regularizers)

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
        data, data_valid, module, objective, is_warm = self._start(X, self.early_stopping)
        if self.pretrain_epochs:
            pretrain(self, module, data)
        net = build_net(self, module, objective, data_valid)
        epochs = self.max_epochs
        if isinstance(epochs, str):
            epochs = enough_epochs(net.steps_in(data), is_warm)
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
            data, _, module, objective, _ = self._start(X, early_stopping=False)
            return self._continue(build_net(self, module, objective, None), data, 1)
        checked, present = check_modalities(self, X, reset=False)
        check_enough_samples(checked, "partial_fit")
        return self._continue(self.net_, self._to_data(checked, present), 1)

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
            return mean_reciprocal_rank(blocks, present=present)
        z, z_augmented = self.net_.embed(self._to_data(checked, present))
        return mean_reciprocal_rank([z_augmented[0], z[0]])

    def __sklearn_tags__(self):
        """Tell scikit-learn that embeddings are float32."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    # ---------------------------------------------------------------- steps of fit

    def _start(self, X, early_stopping):
        """Check everything, build the encoders; return both sets of rows and what is trained."""
        check_parameters(self)
        vars(self).pop("net_", None)
        checked, present = check_modalities(self, X, reset=True)
        self.device_ = resolve_device(self.device)
        self._seed = draw_seed(self.random_state)
        self._n_components = width_of_space(self)
        self._n_specific = int(self.n_specific_components)
        objective = self._make_objective()
        train = valid = None
        if early_stopping:
            train, valid = split_rows(
                present, self.modality_names_, self.validation_fraction, self._seed
            )
        module, self.scalers_, is_warm = build_module(self, checked, present, train)
        layout = [group.members for group in module.groups]
        warn_of_unbound(present, self.modality_names_, objective)
        data = self._to_data(checked, present, layout, train)
        data_valid = self._to_data(checked, present, layout, valid) if early_stopping else None
        return data, data_valid, module, objective, is_warm

    def _continue(self, net, data, epochs):
        """Train for some epochs and keep the net, unless it diverges."""
        vars(self).pop("net_", None)
        net.train_on(data, epochs)
        net.forget_held_out()
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
