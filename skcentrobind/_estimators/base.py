"""The common part of all binding transformers: parameters, fit, partial_fit and score."""

from __future__ import annotations

import contextlib
import copy
import sys
from functools import partial
from typing import ClassVar

import numpy as np
from sklearn.utils.metadata_routing import UNUSED

from skcentrobind._data.forms import Reading, read
from skcentrobind._data.holdout import split_rows, warn_of_unbound
from skcentrobind._data.per_sample import repeated_codes, without_weightless
from skcentrobind._data.schema import Schema, check_enough_samples, check_numbers, checked
from skcentrobind._encoders.module import AUGMENTATIONS
from skcentrobind._estimators.choosing import ChoosesDefaults, Data, Start
from skcentrobind._estimators.parameters import RULES
from skcentrobind._ops import check_precision, isolated, resolve_device
from skcentrobind._persistence.checkpoint import Checkpoint
from skcentrobind._training.net import BindData, build_net
from skcentrobind._training.plan import (
    AUTO,
    Plan,
    build_module,
    complete_loss,
    enough_epochs,
    rebuild_module,
    scalers_of,
)
from skcentrobind._training.pretraining import pretrain
from skcentrobind._training.related import seen_by
from skcentrobind._training.state import copy_of, forget_fit, is_inference
from skcentrobind.losses import BaseLoss, Temperature
from skcentrobind.metrics import mean_reciprocal_rank


class BaseBindTransformer(ChoosesDefaults):
    """Base class of the binding transformers; subclasses choose the loss.

    A subclass implements `_make_loss`. One with parameters of its own lists them with all others in
    its `__init__`, and their rules in `_rules`.
    """

    # Neither is metadata that a pipeline passes on.
    __metadata_request__fit: ClassVar = {"checkpoint": UNUSED, "checkpoint_every": UNUSED}

    _rules = RULES
    #: What `regularizers="auto"` stands for.
    _own_regularizers: ClassVar[dict[str, float] | None] = None

    def __init__(
        self,
        n_components="auto",
        *,
        encoder="auto",
        hidden_layer_sizes=(256,),
        gamma="auto",
        init="gcca",
        shrinkage="auto",
        n_specific_components=0,
        temperature=0.2,
        learn_temperature=False,
        regularizers="auto",
        same_group="positive",
        ignore_duplicates=True,
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
        self.n_components = n_components
        self.encoder = encoder
        self.hidden_layer_sizes = hidden_layer_sizes
        self.gamma = gamma
        self.init = init
        self.shrinkage = shrinkage
        self.n_specific_components = n_specific_components
        self.temperature = temperature
        self.learn_temperature = learn_temperature
        self.regularizers = regularizers
        self.same_group = same_group
        self.ignore_duplicates = ignore_duplicates
        self.augmentation = augmentation
        self.augmentation_scale = augmentation_scale
        self.standardize = standardize
        self.pretrain_epochs = pretrain_epochs
        self.output = output
        self.modalities = modalities
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.device = device
        self.precision = precision
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def _make_loss(self, temperature: Temperature) -> BaseLoss:
        """Return the loss with this temperature."""
        raise TypeError(f"{type(self).__name__} must implement _make_loss(temperature).")

    # ------------------------------------------------------------------ learning

    @isolated
    def fit(self, X, y=None, *, checkpoint=None, checkpoint_every=1):
        """Learn one encoder per modality, so that all modalities share one space.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            The modalities: arrays of equal length, a two-level DataFrame, or a 2-D array which
            is one modality or is cut by the parameter `modalities`. A row of NaN in one modality
            marks it as missing for the sample.
        y : None
            Ignored.
        checkpoint : str or path-like, default=None
            File to which the state of the training is written. If it is there already, a fit with
            the same parameters and data continues from it, and gives the same numbers as if it
            had never been interrupted. It is a safetensors file that holds no code.
        checkpoint_every : int, default=1
            Number of epochs between two writes.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, the loss diverges, no batch of an epoch has a
            gradient, or the checkpoint is of other parameters or data.
        TypeError
            If a modality has an unsupported type, or a callback has a state that a checkpoint
            cannot keep.
        ImportError
            If there is a checkpoint and safetensors is not installed.
        """
        with self._put_back_on_failure(getattr(self, "net_", None)):
            file = None if checkpoint is None else (checkpoint, checkpoint_every)
            start = self._start(X, self.early_stopping, self.pretrain_epochs, file)
            epochs = self.max_epochs
            if isinstance(epochs, str):
                kernels = [spec.n_landmarks > 0 for spec in self._plan.modalities]
                steps = start.net.steps_in(start.data)
                most = enough_epochs(steps, start.is_warm, any(kernels))
                epochs = self._best_epochs(start, most) if epochs == AUTO else most
            self._train(*start[:2], epochs, start.checkpoint)
            if self.verbose and (chosen := self._chosen()):
                print(f"chose {chosen}", file=sys.stderr)
        return self

    @isolated
    def partial_fit(self, X, y=None):
        """Continue the training for one epoch over X, at a constant learning rate.

        The first call fixes the modalities, their standardisation and the initial weights, as
        `fit` does; later calls and calls after `fit` continue from that state. `max_epochs`
        calls with the same X give the same numbers as one `fit` without pre-training and early
        stopping, which `partial_fit` does not use.

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
            with self._put_back_on_failure(None):
                start = self._start(X, early_stopping=False, pretrain_epochs=0)
                self._train(*start[:2], 1)
            return self
        checked_X, present = self._weighted(X)
        check_enough_samples(checked_X, "partial_fit")
        net, spare = self.net_, copy_of(self.net_)
        if is_inference(net):
            net, spare = spare, net  # the copy holds ordinary tensors
        data = self._lay_out(checked_X, present, net.module_, loss=net.criterion_)
        with self._put_back_on_failure(spare):
            self._train(net, data, 1)
        return self

    @isolated
    def score(self, X, y=None):
        """Return the mean reciprocal rank over all ordered pairs of modalities.

        Each modality's embedding of a sample is a query for the same sample among all embeddings
        in another modality. For a single modality, augmented rows are queries for the clean ones.

        Parameters
        ----------
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            At least two samples. If they have groups, any sample of the query's group counts as
            found; if they have weights, the mean over the queries is weighted.
        y : None
            Ignored.

        Returns
        -------
        score : float
            Between 0 and 1, higher is better.
        """
        checked_X, present = self._weighted(X)
        check_enough_samples(checked_X, "score")
        known = {"groups": checked_X.groups, "sample_weight": checked_X.sample_weight}
        if self.n_modalities_ > 1:
            blocks = self._encode(checked_X, present)
            return mean_reciprocal_rank(blocks, present=present, **known)
        z, z_augmented = self.net_.embed(self._lay_out(checked_X, present, self.net_.module_))
        return mean_reciprocal_rank([z_augmented[0], z[0]], **known)

    @contextlib.contextmanager
    def _put_back_on_failure(self, net):
        """Put the estimator back as it was, with this net, if the call raises or is interrupted."""
        before, drawn = dict(vars(self)), None
        if isinstance(self.random_state, np.random.RandomState):
            drawn = self.random_state.get_state()
        if net is not None:
            before["net_"] = net
        try:
            yield
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            if drawn is not None:
                self.random_state.set_state(drawn)
            raise

    def _start(self, X, early_stopping, pretrain_epochs, file=None, fitted=None):
        """Check everything, choose what is open, build the net and pre-train it.

        `file` is that of a checkpoint. `fitted` are scalers of X, which is then not checked: that
        is a trial. `net_`, which marks the estimator as fitted, is set only after the training.
        """
        is_trial, name = fitted is not None, type(self).__name__
        self._check_parameters()
        parameters = self._shared_parameters()
        for attribute in ("net_", "_schema", "_plan", "scalers_"):
            vars(self).pop(attribute, None)
        parts = read(X, Reading(name, cut=self.modalities))
        modalities = parts.modalities()
        check_numbers(modalities)
        if modalities.per_sample.sample_weight is not None:
            modalities, _ = without_weightless(modalities)
        check_enough_samples(modalities, name)
        schema = self._schema = Schema.learn(modalities, parts)
        modalities, present = checked(modalities, schema, is_fit=True)
        device = resolve_device(self.device)
        check_precision(self.precision, device)
        point, seed = None, None
        if file is not None:
            point = Checkpoint(*file, self.get_params(deep=False), name, modalities)
            seed = point.seed
        known = {"device": device, "seed": seed, "counts": present.sum(axis=0)}
        plan = self._plan = Plan.make(parameters, schema, **known)
        last = [] if point is None else [point.callback(plan.seed)]
        train, valid = self._split(modalities, present) if early_stopping else (None, None)
        if plan.is_open:
            fitted = fitted or scalers_of(plan, modalities, train)
            plan = self._plan = self._resolved(Data(modalities, present, fitted), plan, train)
        # From here on `_make_loss` can read the fitted attributes of the data.
        loss = complete_loss(plan, self._make_loss(plan.make_temperature()))
        module, fitted, is_warm = build_module(plan, modalities, present, self.init, train, fitted)
        if not present.all() and not is_trial:
            warn_of_unbound(present, schema.names, loss.sources(), loss.frozen())
        self.scalers_ = {
            spec.name: scaler if spec.scaling else None
            for spec, scaler in zip(plan.modalities, fitted, strict=True)
        }
        lay_out = partial(self._lay_out, modalities, present, module, loss=loss)
        data, held_out = lay_out(train), lay_out(valid) if early_stopping else None
        own = {"callbacks": copy.deepcopy(self.callbacks), "verbose": int(self.verbose)}
        own |= {"data_valid": held_out, "last": last}
        phase = None if point is None else point.phase
        if pretrain_epochs and phase != "binding":
            resume = point.fill if phase else None
            pretrain(plan, module, data, pretrain_epochs, resume=resume, **own)
        net = build_net(plan, module, loss, patience=self.n_iter_no_change, **own)
        return Start(net, data, is_warm, point, Data(modalities, present, fitted))

    def _train(self, net, data, epochs, checkpoint=None):
        """Train for some epochs and keep the net, unless it diverges."""
        if checkpoint is None:
            net.train_on(data, epochs)
        else:
            checkpoint.train(net, data, epochs)
        forget_fit(net)
        net.module_.eval()
        self.net_ = net

    def _restore(self, stored, device):
        """Restore the fitted state from a file that was saved with these parameters."""
        self._check_parameters()
        schema = stored.schema()
        plan = stored.plan(self._shared_parameters(), schema, device)
        check_precision(plan.precision, device)
        self._schema, self._plan = schema, plan
        scalers = stored.scalers(schema)
        module = rebuild_module(plan, stored.spreads())
        stored.check_groups(module)
        loss = complete_loss(plan, self._make_loss(plan.make_temperature()))
        own = {"callbacks": copy.deepcopy(self.callbacks), "verbose": int(self.verbose)}
        net = build_net(plan, module, loss, **own)
        stored.fill(net)
        config = stored.output_config()
        if config is not None:
            self._sklearn_output_config = config
        self.scalers_, self.net_ = scalers, net

    def _shared_parameters(self):
        """Return the parameters of this base class, which a subclass may set in its own way."""
        parameters = {name: getattr(self, name) for name in RULES}
        if isinstance(self.regularizers, str):
            parameters["regularizers"] = self._own_regularizers
        return parameters

    def _check_parameters(self):
        """Raise one ValueError that lists every parameter with an invalid value."""
        faults = [
            f"{name}={value!r}, expected {self._rules[name].expected}"
            for name, value in self.get_params(deep=False).items()
            if name in self._rules and not self._rules[name].test(value)
        ]
        if not faults and self.augmentation_scale > 1:
            spec = self.augmentation
            each = list(spec.values()) if isinstance(spec, dict) else spec
            each = each if isinstance(each, list | tuple) else [each]
            if any(isinstance(a, str) and AUGMENTATIONS[a].is_probability for a in each):
                faults.append(
                    f"augmentation_scale={self.augmentation_scale!r}, expected a probability of "
                    f"at most 1 for augmentation={spec!r}"
                )
        if faults:
            raise ValueError(f"{type(self).__name__} got " + "; ".join(faults) + ".")

    def _weighted(self, X):
        """Return data and presence of the samples whose weight is not 0."""
        checked_X, present = self._read(X)
        if checked_X.per_sample.sample_weight is None:
            return checked_X, present
        checked_X, rows = without_weightless(checked_X)
        return checked_X, present[rows]

    def _split(self, X, present):
        """Return the rows to train on and those held out, which share no group."""
        fraction, groups = self.validation_fraction, repeated_codes(X.groups)
        return split_rows(present, self._schema.names, fraction, self._plan.seed, groups)

    def _lay_out(self, X, present, module, rows=None, loss=None):
        """Return tensors of some rows on the device, laid out for the groups of encoders.

        With a loss to train they bring groups, weights and, if it takes them, duplicates.
        """
        if rows is not None:
            present = present[rows]
        members = [group.members for group in module.groups]
        scalers = list(self.scalers_.values())
        known = {}
        if loss is not None:
            known = {"same_group": self.same_group, "finds": self.ignore_duplicates}
        known["maps"] = [
            (group.features, sum(group.n_features)) if group.has_features else (None, 0)
            for group in module.groups
        ]
        device = self._plan.device
        data = BindData.from_modalities(X, present, scalers, members, device, rows, **known)
        if data.samples is not None:
            data.samples = seen_by(loss, data.samples)
        return data
