"""From parameters and a schema to a plan, and from a plan to a module and a loss."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from skcentrobind._data.kernels import MAX_LANDMARKS, MAX_VALUES
from skcentrobind._data.modalities import Modalities
from skcentrobind._data.schema import Schema
from skcentrobind._data.statistics import fit_scalers
from skcentrobind._encoders.encoders import fit_maps, start_in_closed_form
from skcentrobind._encoders.module import BindModule, assemble, make_groups, prepared_batch
from skcentrobind._encoders.sparse import to_dense
from skcentrobind._encoders.table import ENCODERS
from skcentrobind._names import per_modality, refuse_equal_columns
from skcentrobind.anchors import IntraAnchor
from skcentrobind.losses import AnchorLoss, BaseLoss, RegularizedLoss, SeparatedLoss, Temperature

#: The value of a parameter that fit chooses.
AUTO = "auto"

# Width of a kernel that nothing chooses, as a multiple of 1 / total variance.
_GAMMA = 0.3

# Narrower spaces save no time; wider ones cost time and gain little.
_NARROWEST, _WIDEST = 64, 256


@dataclass(frozen=True)
class ModalitySpec:
    """The parameters, resolved for one modality.

    Parameters
    ----------
    name : str
        The modality.
    row_shape : tuple of int
        Shape of one row.
    is_sparse : bool
        Whether its rows are sparse.
    encoder : str, Module or callable
        Name in `ENCODERS`, or a user's own module or factory.
    augmentation : str, callable or None
        Name in `AUGMENTATIONS`, or a user's own function.
    learning_rate : float
        Step size of its encoder.
    scaling : {"standard", "whiten", "robust"} or None
        How its rows are scaled; None leaves them as they are.
    n_features : int
        Number of features.
    gamma : float
        Width of the kernel of a "kernel" encoder.
    n_landmarks : int
        Number of its landmarks, 0 for other encoders.
    """

    name: str
    row_shape: tuple[int, ...]
    is_sparse: bool
    encoder: Any
    augmentation: Any
    learning_rate: float
    scaling: str | None
    n_features: int
    gamma: float = 0.0
    n_landmarks: int = 0


@dataclass(frozen=True)
class Plan:
    """What fit trains: the parameters, resolved for the data.

    Parameters
    ----------
    modalities : tuple of ModalitySpec of length n_modalities
        The modalities.
    n_components : int
        Width of the shared space.
    n_specific_components : int
        Width of the second head, 0 if there is none.
    hidden_layer_sizes : tuple of int
        Widths of the hidden layers.
    augmentation_scale : float
        Strength of the augmentation.
    temperature : float or tuple of float of length n_modalities
        One for all modalities or one per modality.
    learn_temperature : bool
        Whether it is trained.
    regularizers : tuple of (str, float)
        Names and weights of the terms beside the loss.
    weight_decay : float
        Decoupled weight decay.
    batch_size : int
        Upper bound of the rows per step.
    precision : {"float32", "bf16"}
        Precision of the encoders' products.
    device : str
        Device to compute on.
    seed : int
        Seed of all random draws.
    shrinkage : float or None
        Shrinkage of the closed-form start; None for the formula.
    tried : tuple of dict
        What was compared to choose features, shrinkage and the number of epochs.
    is_open : bool
        Whether features or shrinkage are still to be chosen.
    """

    modalities: tuple[ModalitySpec, ...]
    n_components: int
    n_specific_components: int
    hidden_layer_sizes: tuple[int, ...]
    augmentation_scale: float
    temperature: float | tuple[float, ...]
    learn_temperature: bool
    regularizers: tuple[tuple[str, float], ...]
    weight_decay: float
    batch_size: int
    precision: str
    device: str
    seed: int
    shrinkage: float | None = None
    tried: tuple[dict[str, Any], ...] = ()
    is_open: bool = False

    @classmethod
    def make(
        cls,
        parameters: Mapping[str, Any],
        schema: Schema,
        *,
        device: str,
        seed: int | None = None,
        n_components: int | None = None,
        counts: Sequence[int] | None = None,
    ) -> Plan:
        """Resolve the parameters of an estimator.

        Parameters
        ----------
        parameters : dict
            Names and values, checked.
        schema : Schema
            The data.
        device : str
            Device to compute on.
        seed : int, default=None
            The seed; None draws it from `random_state`.
        n_components : int, default=None
            Width of the shared space; None resolves the parameter.
        counts : list of int, default=None
            Number of samples that have each modality, for the landmarks of "kernel" encoders.

        Returns
        -------
        plan : Plan

        Raises
        ------
        ValueError
            If a list or dict does not fit the modalities.
        """
        modalities = _specs(parameters, schema, counts)
        temperature = parameters["temperature"]
        if isinstance(temperature, list | tuple | dict):
            temperature = tuple(map(float, per_modality(temperature, schema.names, "temperature")))
        else:
            temperature = float(temperature)
        n_specific = int(parameters["n_specific_components"])
        _refuse_second_head(modalities, n_specific)
        if n_specific and parameters["output"] == "all":
            refuse_equal_columns(schema.names)
        if n_components is None:
            n_components = _width_of_space(parameters["n_components"], modalities)
        return cls(
            modalities=modalities,
            n_components=n_components,
            n_specific_components=n_specific,
            hidden_layer_sizes=tuple(map(int, parameters["hidden_layer_sizes"])),
            augmentation_scale=float(parameters["augmentation_scale"]),
            temperature=temperature,
            learn_temperature=bool(parameters["learn_temperature"]),
            regularizers=tuple(
                (name, float(weight)) for name, weight in (parameters["regularizers"] or {}).items()
            ),
            weight_decay=float(parameters["weight_decay"]),
            batch_size=int(parameters["batch_size"]),
            precision=parameters["precision"],
            device=device,
            seed=draw_seed(parameters["random_state"]) if seed is None else seed,
            shrinkage=None if isinstance(parameters["shrinkage"], str) else parameters["shrinkage"],
            is_open=parameters["init"] == "gcca" and _is_open(parameters, schema.names),
        )

    def as_parameters(self) -> dict[str, Any]:
        """Return what was chosen as parameters that leave nothing of it open."""
        return {
            "encoder": [spec.encoder for spec in self.modalities],
            "gamma": [spec.gamma or AUTO for spec in self.modalities],
            "shrinkage": "oas" if self.shrinkage is None else self.shrinkage,
            "n_components": self.n_components,
        }

    @property
    def is_width_fixed(self) -> bool:
        """Whether rows that are taken as they are fix the width of the shared space."""
        return any(
            isinstance(spec.encoder, str) and ENCODERS[spec.encoder].keeps_width
            for spec in self.modalities
        )

    @property
    def names(self) -> list[str]:
        """Names of the modalities."""
        return [spec.name for spec in self.modalities]

    def make_temperature(self) -> Temperature:
        """Return the temperature of the loss, not yet trained."""
        if isinstance(self.temperature, tuple):
            return Temperature(list(self.temperature), self.learn_temperature)
        return Temperature(self.temperature, self.learn_temperature)


def _specs(
    parameters: Mapping[str, Any], schema: Schema, counts: Sequence[int] | None
) -> tuple[ModalitySpec, ...]:
    """Return one ModalitySpec per modality."""
    encoders, augmentations, rates, gammas = (
        each_of(parameters[name], schema.names, name)
        for name in ("encoder", "augmentation", "learning_rate", "gamma")
    )
    specs = []
    for m, name in enumerate(schema.names):
        # What is chosen is no longer "auto" here; without a choice it is the simplest.
        is_auto = isinstance(encoders[m], str) and encoders[m] == AUTO
        encoder = "residual" if is_auto else encoders[m]
        spec = ModalitySpec(
            name,
            schema.row_shapes[m],
            schema.is_sparse[m],
            encoder,
            augmentations[m],
            float(rates[m]),
            _scaling(parameters, encoder),
            math.prod(schema.row_shapes[m]),
        )
        if isinstance(encoder, str) and encoder == "kernel" and counts is not None:
            gamma = _GAMMA if gammas[m] == AUTO else float(gammas[m])
            most = max(1, min(MAX_LANDMARKS, MAX_VALUES // spec.n_features))
            spec = replace(spec, gamma=gamma, n_landmarks=min(most, int(counts[m])))
        specs.append(spec)
    return tuple(specs)


def _is_open(parameters: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Return whether features or shrinkage of the closed-form start are to be chosen."""
    encoders, gammas = (each_of(parameters[name], names, name) for name in ("encoder", "gamma"))
    kinds = [e if isinstance(e, str) else None for e in encoders]
    widths = [g for e, g in zip(kinds, gammas, strict=True) if e == "kernel"]
    return AUTO in (parameters["shrinkage"], *kinds, *widths)


def each_of(value: Any, names: Sequence[str], parameter: str) -> list:
    """Return one value per modality."""
    if isinstance(value, list | tuple | dict):
        return per_modality(value, names, parameter)
    return [value] * len(names)


def _scaling(parameters: Mapping[str, Any], encoder: Any) -> str | None:
    """Return how rows are scaled; a user's module gets them as they are."""
    standardize = parameters["standardize"]
    if not standardize or not isinstance(encoder, str) or not ENCODERS[encoder].standardizes:
        return None
    return standardize if isinstance(standardize, str) else "standard"


def _refuse_second_head(modalities: Sequence[ModalitySpec], n_specific: int) -> None:
    for spec in modalities if n_specific else ():
        if isinstance(spec.encoder, str) and ENCODERS[spec.encoder].keeps_width:
            raise ValueError(
                f"encoder={spec.encoder!r} of modality '{spec.name}' has no second head; set "
                "n_specific_components=0 or choose another encoder for it."
            )


def _width_of_space(n_components: int | str, modalities: Sequence[ModalitySpec]) -> int:
    """Return the number of components, by default chosen by the widths of the modalities.

    More dimensions than the modalities have features would stay empty.
    """
    if not isinstance(n_components, str):
        return int(n_components)
    fixed = {
        spec.name: spec.n_features
        for spec in modalities
        if isinstance(spec.encoder, str) and ENCODERS[spec.encoder].keeps_width
    }
    if fixed:
        width, *others = set(fixed.values())
        if others or width < 2:
            raise ValueError(
                f"encoder='identity' gives the shared space the width of the modality, at least 2 "
                f"and the same for all that have it, but got {fixed}; choose another encoder."
            )
        return width
    median = np.median([spec.n_landmarks or spec.n_features for spec in modalities])
    return min(max(_NARROWEST, 2 ** int(math.log2(median))), _WIDEST)


def draw_seed(random_state: Any) -> int:
    """Return the seed of a fit; None draws it from the system, not from numpy's global state."""
    if random_state is None:
        return secrets.randbelow(2**31 - 1)
    return int(check_random_state(random_state).randint(2**31 - 1))


def enough_epochs(steps_per_epoch: int, is_warm: bool, has_kernels: bool = False) -> int:
    """Return a number of epochs that trains long enough.

    On small data an epoch is a step or two, and many more than 100 of them, 50 from a warm start
    or 30 from one with kernels, overfit. On large data an epoch is hundreds of steps, and the score
    hardly rises after the first 10,000.
    """
    most = 100 if not is_warm else 30 if has_kernels else 50
    return max(10, min(most, 10_000 // steps_per_epoch))


# ------------------------------------------------------------------- module


def scalers_of(plan: Plan, X: Modalities, rows: np.ndarray | None = None) -> list:
    """Fit a scaler to every modality.

    Parameters
    ----------
    plan : Plan
        How each modality is scaled.
    X : Modalities
        Checked data.
    rows : ndarray of int, default=None
        Rows of X to use, None for all.

    Returns
    -------
    scalers : list of scaler
        Of all modalities, also of those whose rows are left as they are.
    """
    specs = plan.modalities
    return fit_scalers(
        X,
        unscaled=[spec.name for spec in specs if not isinstance(spec.encoder, str)],
        whitened=[spec.name for spec in specs if spec.scaling == "whiten"],
        rows=rows,
        robust=[spec.name for spec in specs if spec.scaling == "robust"],
    )


def build_module(
    plan: Plan,
    X: Modalities,
    present: np.ndarray,
    init: str,
    rows: np.ndarray | None = None,
    fitted: Sequence | None = None,
) -> tuple[BindModule, Sequence, bool]:
    """Build encoders and augmentation.

    Parameters
    ----------
    plan : Plan
        What to build.
    X : Modalities
        Checked data.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    init : {"gcca", "random"}
        Start of the encoders.
    rows : ndarray of int, default=None
        Rows of X that the encoders learn from, None for all.
    fitted : list of scaler, default=None
        From `scalers_of`; None fits them.

    Returns
    -------
    module : BindModule
        On the device of the plan.
    fitted : list of scaler
        Of all modalities, also of those whose rows are left as they are.
    is_warm : bool
        Whether nothing that learns starts from a random draw.
    """
    specs = plan.modalities
    fitted = fitted or scalers_of(plan, X, rows)

    def probe(m: int) -> torch.Tensor:
        some = np.flatnonzero(present[:, m])[:2]
        return to_dense(prepared_batch([specs[m].name], [X.arrays[m][some]], [None], "cpu"))

    groups = make_groups(plan, probe)
    scalers = [s if spec.scaling else None for spec, s in zip(specs, fitted, strict=True)]
    known = (groups, X, present, rows, scalers)
    if any(spec.n_landmarks for spec in specs):
        fit_maps(*known, [spec.gamma for spec in specs], plan.seed)
    is_warm = init == "gcca" and start_in_closed_form(
        *known, plan.n_components, plan.seed, plan.shrinkage
    )
    # Stored entries of sparse rows are multiplied by noise, which needs no spread.
    spreads = [
        None
        if all(specs[m].scaling or specs[m].is_sparse for m in group.members)
        else _spread(group, [fitted[m] for m in group.members])
        for group in groups
    ]
    # A second head starts from a random draw.
    is_warm = is_warm and not plan.n_specific_components
    return assemble(plan, groups, spreads), fitted, is_warm


def rebuild_module(plan: Plan, spreads: Sequence[torch.Tensor | None]) -> BindModule:
    """Build a module of the same form as in fit, to load weights into.

    Parameters
    ----------
    plan : Plan
        The plan of fit.
    spreads : list of Tensor or None
        For each group of encoders the standard deviations of its features, flat.

    Returns
    -------
    module : BindModule
        On the device of the plan.
    """

    def probe(m: int) -> torch.Tensor:
        return torch.zeros(2, *plan.modalities[m].row_shape, device="cpu")

    return assemble(plan, make_groups(plan, probe), spreads)


def _spread(group: Any, scalers: Sequence) -> torch.Tensor:
    """Return the standard deviations of all features, zero for constant ones."""
    scales = np.concatenate([scaler.scale_ for scaler in scalers])
    spread = torch.from_numpy(np.where(np.isinf(scales), 0, scales).astype(np.float32))
    return group.spread_of_features(spread) if group.has_features else spread


# --------------------------------------------------------------------- loss


def complete_loss(plan: Plan, loss: BaseLoss) -> BaseLoss:
    """Add regularizers and the second head to a loss, and resolve it for the modalities.

    Parameters
    ----------
    plan : Plan
        The resolved parameters.
    loss : BaseLoss
        The loss of the shared head.

    Returns
    -------
    loss : BaseLoss
        Ready for training.
    """
    weights = dict(plan.regularizers)
    n_specific = plan.n_specific_components
    if "separation" in weights and not n_specific:
        raise ValueError(
            "regularizers={'separation': ...} keeps two heads apart, but there is one; set "
            "n_specific_components to the width of the second."
        )
    separation = weights.pop("separation", 1.0)
    if weights:
        loss = RegularizedLoss(loss, weights)
    return with_second_head(plan, loss, separation)


def with_second_head(plan: Plan, loss: BaseLoss, separation: float = 1.0) -> BaseLoss:
    """Add a second head to a loss if the plan has one, and resolve the loss for the modalities."""
    if plan.n_specific_components:
        loss = SeparatedLoss(loss, intra_loss(plan), plan.n_components, separation)
    loss.prepare(plan.names)
    return loss


def intra_loss(plan: Plan) -> AnchorLoss:
    """Return the loss that binds every modality to its own augmented rows."""
    temperature = replace(plan, learn_temperature=False).make_temperature()
    return AnchorLoss(IntraAnchor(), temperature)
