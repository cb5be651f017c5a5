"""What `fit` chooses by itself: features, width and shrinkage of the start, and training length."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from skcentrobind._data.holdout import quarter
from skcentrobind._data.per_sample import repeated_codes
from skcentrobind._estimators.space import FittedSpace
from skcentrobind._persistence.checkpoint import Checkpoint
from skcentrobind._training.net import BindData, BindNet
from skcentrobind._training.plan import AUTO, Plan, each_of
from skcentrobind.model_selection._candidates import MIN_ROWS, reciprocal_rank
from skcentrobind.model_selection._features import Open, choose_features

# Numbers of epochs that are compared with none and all, on no more rows than this.
_SOME_EPOCHS, _TRIAL_ROWS = 15, 4_000

# So many rows in a quarter that one trial is enough.
_ONE_TRIAL = 500

# Once training has lowered the score of held-out rows by this much, it is not continued.
_LOST = 0.01


class Data(NamedTuple):
    """Checked data of a fit.

    Attributes
    ----------
    X : Modalities
        The modalities.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    scalers : list of scaler
        Of all modalities, fitted.
    """

    X: Any
    present: np.ndarray
    scalers: list

    def of(self, rows):
        """Return the same of some rows."""
        return Data(self.X[rows], self.present[rows], self.scalers)


class Start(NamedTuple):
    """A training that is about to begin.

    Attributes
    ----------
    net : BindNet
        Not yet trained to bind.
    data : BindData
        The samples.
    is_warm : bool
        Whether nothing that learns starts from a random draw.
    checkpoint : Checkpoint or None
        Where its state is kept.
    taken : Data
        The data that it was made of.
    """

    net: BindNet
    data: BindData
    is_warm: bool
    checkpoint: Checkpoint | None
    taken: Data


class ChoosesDefaults(FittedSpace):
    """Base class of estimators that choose what their parameters leave open.

    A subclass implements `_start` and `_train`.
    """

    def _resolved(self, data, plan, rows):
        """Return the plan with features, width and shrinkage chosen."""
        names = self._schema.names
        encoders, gammas = (each_of(getattr(self, n), names, n) for n in ("encoder", "gamma"))
        scalers = [
            scaler if spec.scaling else None
            for spec, scaler in zip(plan.modalities, data.scalers, strict=True)
        ]
        choice = choose_features(
            data.X, data.present, scalers, Open(encoders, gammas, self.shrinkage), rows, plan.seed
        )
        parameters = self._shared_parameters()
        parameters |= {"encoder": choice.encoders, "gamma": choice.gammas}
        if self.n_components == AUTO and choice.n_components and not plan.is_width_fixed:
            parameters["n_components"] = choice.n_components
        present = data.present if rows is None else data.present[rows]
        known = {"device": plan.device, "seed": plan.seed, "counts": present.sum(axis=0)}
        plan = Plan.make(parameters, self._schema, **known)
        known = {"shrinkage": choice.shrinkage, "tried": tuple(choice.table)}
        return replace(plan, is_open=False, **known)

    def _best_epochs(self, start, most):
        """Return after how many epochs held-out rows are found best: none, some, or most.

        A quarter of the rows is held out, two in turn if there are few, by trials that start in
        closed form.
        """
        taken = start.taken
        n_samples = len(taken.present)
        codes = repeated_codes(taken.X.groups)
        n_groups = n_samples if codes is None else len(np.unique(codes))
        is_large = n_samples > _TRIAL_ROWS
        has_own_way = self.pretrain_epochs or self.early_stopping
        if not start.is_warm or has_own_way or n_groups < MIN_ROWS or is_large:
            return most
        steps = sorted({0, min(_SOME_EPOCHS, most), most})
        n_trials = 2 if n_samples < _ONE_TRIAL else 1
        scores, seconds = np.full((n_trials, len(steps)), -np.inf), np.zeros(len(steps))
        splits = [quarter(n_samples, self._plan.seed + k, codes) for k in range(n_trials)]
        if min(taken.present[rows].sum(axis=0).min() for pair in splits for rows in pair) < 2:
            return most
        for k, rows in enumerate(splits):
            for i, (score, spent) in enumerate(self._trial(*map(taken.of, rows), steps)):
                scores[k, i], seconds[i] = score, seconds[i] + spent
        means = scores.mean(axis=0)
        best = len(steps) - 1 - int(means[::-1].argmax())
        own = next((row for row in self._plan.tried if row["taken"]), {"encoder": "given"})
        tried = [
            {**own, "epochs": n, "score": score, "seconds": spent, "taken": i == best}
            for i, (n, score, spent) in enumerate(
                zip(steps, np.where(np.isfinite(means), means, np.nan), seconds, strict=True)
            )
        ]
        self._plan = replace(self._plan, tried=(*self._plan.tried, *tried))
        return steps[best]

    def _trial(self, taken, held_out, steps):
        """Train on some rows, and yield the score of others after each number of epochs."""
        plan = self._plan
        trial = clone(self).set_params(
            **plan.as_parameters(),
            random_state=plan.seed,
            device=plan.device,
            modalities=None,
            callbacks=None,
            verbose=0,
        )
        before = time.perf_counter()
        net, data, *_ = trial._start(taken.X, False, 0, fitted=taken.scalers)
        known = repeated_codes(held_out.X.groups), held_out.X.sample_weight
        # A few rows overfit soon; on many a first loss may be made up for.
        lost = _LOST if len(taken.present) + len(held_out.present) >= _ONE_TRIAL else 0.0
        best, done = 0.0, 0
        for n_epochs in steps:
            trial._train(net, data, n_epochs - done)
            done = n_epochs
            blocks = trial._encode(held_out.X, held_out.present)
            score = reciprocal_rank(blocks, held_out.present, *known)
            yield score, time.perf_counter() - before
            if score < best - lost:
                return  # training destroys what the start had
            best, before = max(best, score), time.perf_counter()

    def _chosen(self):
        """Return what was chosen as arguments of the constructor, "" if all was named."""
        plan = self._plan
        if not plan.tried:
            return ""
        found = {
            "encoder": {spec.encoder for spec in plan.modalities if isinstance(spec.encoder, str)},
            "gamma": {spec.gamma for spec in plan.modalities if spec.n_landmarks},
            "shrinkage": {"oas" if plan.shrinkage is None else plan.shrinkage},
            "n_components": {plan.n_components},
            "max_epochs": {self.n_iter_},
        }
        parts = [
            f"{name}={' or '.join(map(repr, sorted(values)))}"
            for name, values in found.items()
            if values and getattr(self, name) == AUTO
        ]
        return ", ".join(parts)

    def __repr__(self, N_CHAR_MAX=700):
        """Return the constructor's call and, once fitted, a comment with what was chosen."""
        text = super().__repr__(N_CHAR_MAX)
        chosen = self._chosen() if hasattr(self, "net_") else ""
        return f"{text}  # chose {chosen}" if chosen else text
