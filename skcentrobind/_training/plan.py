"""From parameters and a schema to a plan, and from a plan to a module and a loss."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from skcentrobind._data.modalities import Modalities
from skcentrobind._data.schema import Schema
from skcentrobind._data.statistics import fit_scalers
from skcentrobind._encoders.encoders import ENCODERS, start_in_closed_form
from skcentrobind._encoders.module import BindModule, assemble, make_groups, prepared_batch
from skcentrobind._encoders.sparse import to_dense
from skcentrobind._names import per_modality, refuse_equal_columns
from skcentrobind.anchors import IntraAnchor
from skcentrobind.losses import AnchorLoss, BaseLoss, RegularizedLoss, SeparatedLoss, Temperature

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
    """

    name: str
    row_shape: tuple[int, ...]
    is_sparse: bool
    encoder: Any
    augmentation: Any
    learning_rate: float
    scaling: str | None
    n_features: int


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

    @classmethod
    def make(
        cls,
        parameters: Mapping[str, Any],
        schema: Schema,
        *,
        device: str,
        seed: int | None = None,
        n_components: int | None = None,
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

        Returns
        -------
        plan : Plan

        Raises
        ------
        ValueError
            If a list or dict does not fit the modalities.
        """
        modalities = _specs(parameters, schema)
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

    def to_json(self) -> dict:
        """Return what `json.dumps` takes; a user's own code becomes ``{"$code": type}``."""
        stored = {f.name: getattr(self, f.name) for f in fields(self)}
        return stored | {
            "modalities": [
                {f.name: _stored(getattr(spec, f.name)) for f in fields(spec)}
                for spec in self.modalities
            ]
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], code: Mapping[str, Any] | None = None) -> Plan:
        """Make a plan from the result of `to_json`, also after it has been JSON.

        Parameters
        ----------
        stored : dict
            The fields; tuples may be lists.
        code : dict of str to object, default=None
            Parameters `encoder` and `augmentation`, if they held code.

        Returns
        -------
        plan : Plan
        """
        known = {f.name for f in fields(cls)}
        if set(stored) != known:
            raise ValueError(f"the plan has the fields {sorted(stored)}, expected {sorted(known)}")
        names = [spec["name"] for spec in stored["modalities"]]
        given = {
            key: _each(value, names, key)
            for key, value in (code or {}).items()
            if key in ("encoder", "augmentation")
        }
        modalities = []
        for m, entry in enumerate(stored["modalities"]):
            own = {key: given[key][m] for key in given if isinstance(entry[key], dict)}
            spec = ModalitySpec(**entry | own)
            if not isinstance(spec.encoder, str) and isinstance(spec.encoder, dict):
                raise ValueError(f"the encoder of '{spec.name}' is code that is not given")
            modalities.append(replace(spec, row_shape=tuple(map(int, spec.row_shape))))
        temperature = stored["temperature"]
        return cls(
            **{
                **stored,
                "modalities": tuple(modalities),
                "hidden_layer_sizes": tuple(stored["hidden_layer_sizes"]),
                "regularizers": tuple((str(k), float(v)) for k, v in stored["regularizers"]),
                "temperature": tuple(temperature) if isinstance(temperature, list) else temperature,
            }
        )


def _specs(parameters: Mapping[str, Any], schema: Schema) -> tuple[ModalitySpec, ...]:
    """Return one ModalitySpec per modality."""
    encoders, augmentations, rates = (
        _each(parameters[name], schema.names, name)
        for name in ("encoder", "augmentation", "learning_rate")
    )
    return tuple(
        ModalitySpec(
            name,
            schema.row_shapes[m],
            schema.is_sparse[m],
            encoders[m],
            augmentations[m],
            float(rates[m]),
            _scaling(parameters, encoders[m]),
            math.prod(schema.row_shapes[m]),
        )
        for m, name in enumerate(schema.names)
    )


def _each(value: Any, names: Sequence[str], parameter: str) -> list:
    if isinstance(value, list | tuple | dict):
        return per_modality(value, names, parameter)
    return [value] * len(names)


def _stored(value: Any) -> Any:
    is_plain = value is None or isinstance(value, str | bool | int | float | tuple)
    return value if is_plain else {"$code": type(value).__name__}


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
    median = np.median([spec.n_features for spec in modalities])
    return min(max(_NARROWEST, 2 ** int(math.log2(median))), _WIDEST)


def draw_seed(random_state: Any) -> int:
    """Return the seed of a fit; None draws it from the system, not from numpy's global state."""
    if random_state is None:
        return secrets.randbelow(2**31 - 1)
    return int(check_random_state(random_state).randint(2**31 - 1))


def enough_epochs(steps_per_epoch: int, is_warm: bool) -> int:
    """Return a number of epochs that trains long enough.

    On small data an epoch is a step or two, and many more than 100 of them, or 50 from a warm
    start, overfit. On large data an epoch is hundreds of steps, and the score hardly rises after
    the first 10,000.
    """
    return max(10, min(50 if is_warm else 100, 10_000 // steps_per_epoch))


# ------------------------------------------------------------------- module


def build_module(
    plan: Plan, X: Modalities, present: np.ndarray, init: str, rows: np.ndarray | None = None
) -> tuple[BindModule, dict, bool]:
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

    Returns
    -------
    module : BindModule
        On the device of the plan.
    scalers : dict of str to scaler or None
        How each modality is scaled.
    is_warm : bool
        Whether nothing that learns starts from a random draw.
    """
    specs = plan.modalities
    fitted = fit_scalers(
        X,
        unscaled=[spec.name for spec in specs if not isinstance(spec.encoder, str)],
        whitened=[spec.name for spec in specs if spec.scaling == "whiten"],
        rows=rows,
        robust=[spec.name for spec in specs if spec.scaling == "robust"],
    )
    scalers = {
        spec.name: scaler if spec.scaling else None
        for spec, scaler in zip(specs, fitted, strict=True)
    }

    def probe(m: int) -> torch.Tensor:
        some = np.flatnonzero(present[:, m])[:2]
        return to_dense(prepared_batch([specs[m].name], [X.arrays[m][some]], [None], "cpu"))

    groups = make_groups(plan, probe)
    is_warm = init == "gcca" and start_in_closed_form(
        groups, X, present, rows, list(scalers.values()), plan.n_components, plan.seed
    )
    # Stored entries of sparse rows are multiplied by noise, which needs no spread.
    spreads = [
        None
        if all(specs[m].scaling or specs[m].is_sparse for m in group.members)
        else _spread([fitted[m] for m in group.members])
        for group in groups
    ]
    # A second head starts from a random draw.
    is_warm = is_warm and not plan.n_specific_components
    return assemble(plan, groups, spreads), scalers, is_warm


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


def _spread(scalers: Sequence) -> torch.Tensor:
    """Return the standard deviations of all features, zero for constant ones."""
    scales = np.concatenate([scaler.scale_ for scaler in scalers])
    return torch.from_numpy(np.where(np.isinf(scales), 0, scales).astype(np.float32))


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
