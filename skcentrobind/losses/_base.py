"""The base class of all losses, their temperature, and the loss to an anchor."""

import abc
import math
from collections.abc import Sequence
from contextvars import ContextVar
from numbers import Real
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from skcentrobind._names import per_modality
from skcentrobind.losses._info_nce import anchor_info_nce
from skcentrobind.losses._samples import Samples

# Positions that must not move, collected during a `step`: one set per step, thread and task.
_HELD: ContextVar[set[int] | None] = ContextVar("held", default=None)


class Temperature(nn.Module):
    r"""One temperature for all modalities or one for each, fixed or learned.

    A learned temperature is the exponential of the parameter `log_temperature`, so that it stays
    positive and a step changes it by a factor. Weight decay would pull it towards 1: leave the
    parameters of this name out of it.

    Parameters
    ----------
    temperature : float, list of float or dict of float, default=0.2
        One number for all modalities, a list in the order of the modalities, or a dict with their
        names as keys. Lists and dicts are resolved by `prepare`.
    learn : bool, default=False
        Whether it is trained together with the encoders, from these values on.

    Attributes
    ----------
    bounds : tuple of float
        A learned temperature starts in this range, and `clamp_` returns it there. A fixed one may
        be any positive number.

    References
    ----------
    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
    `arXiv:2103.00020 <https://arxiv.org/abs/2103.00020>`_, section 2.5: a learned logarithm,
    clipped so that logits are scaled by no more than 100.

    Examples
    --------
    >>> from skcentrobind.losses import Temperature
    >>> temperature = Temperature({"text": 0.1, "image": 0.5})
    >>> temperature.prepare(["image", "text"])
    >>> temperature.values
    [0.5, 0.1]
    >>> temperature.value()
    tensor([0.5000, 0.1000])
    >>> Temperature(0.07).value()
    0.07
    """

    bounds = (0.01, 1.0)
    log_temperature: nn.Parameter | None
    _per_modality: Tensor

    def __init__(
        self, temperature: float | Sequence[float] | dict[str, float] = 0.2, learn: bool = False
    ) -> None:
        super().__init__()
        self.temperature: Any = (
            temperature.tolist() if hasattr(temperature, "tolist") else temperature
        )
        self.learn = learn
        self._fixed: float | list[float] | None = None
        self.register_parameter("log_temperature", None)
        self.register_buffer("_per_modality", None, persistent=False)
        if not isinstance(self.temperature, list | tuple | dict):
            self._start(self._checked(self.temperature, ""))

    def prepare(self, names: Sequence[str]) -> None:
        """Give every modality its temperature.

        Parameters
        ----------
        names : list of str
            Names of the modalities.

        Raises
        ------
        ValueError
            If a list or dict does not have one positive number for each modality, or if a learned
            temperature starts outside `bounds`.
        """
        if not isinstance(self.temperature, list | tuple | dict):
            return
        names = list(names)
        pairs = zip(per_modality(self.temperature, names, "temperature"), names, strict=True)
        self._start([self._checked(value, f" of modality {name!r}") for value, name in pairs])

    def _checked(self, value: Any, whose: str) -> float:
        """Return the value as a float, or say what is wrong with it."""
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        number = float(value) if is_number else math.nan
        if not 0 < number < math.inf:
            raise ValueError(f"temperature{whose} must be a positive number, got {value!r}.")
        low, high = self.bounds
        if self.learn and not low <= number <= high:
            raise ValueError(
                f"temperature{whose} is {value!r}, but one that is learned must start between "
                f"{low} and {high}."
            )
        return number

    def _start(self, values: float | list[float]) -> None:
        tensor = torch.tensor(values, dtype=torch.float32, device="cpu")  # () or (n_modalities,)
        if self.learn:
            self.log_temperature = nn.Parameter(tensor.log())
        else:
            self._fixed = values
            if tensor.ndim:
                self._per_modality = tensor

    def value(self) -> float | Tensor:
        """Return what a loss divides by.

        Returns
        -------
        temperature : float or Tensor of shape () or (n_modalities,)
            A float if it is fixed and the same for all. What is learned carries its gradient.
        """
        if self.log_temperature is not None:
            return self.log_temperature.exp()
        fixed = self._resolved()
        return self._per_modality if isinstance(fixed, list) else fixed

    @property
    def values(self) -> float | list[float]:
        """Return the current temperature, or one per modality, as plain floats."""
        if self.log_temperature is not None:
            return self.log_temperature.detach().exp().tolist()
        return self._resolved()

    def _resolved(self) -> float | list[float]:
        if self._fixed is None:
            raise RuntimeError(
                f"temperature={self.temperature!r} is not resolved yet: call prepare(names)."
            )
        return self._fixed

    @torch.no_grad()
    def clamp_(self) -> None:
        """Return a learned temperature to `bounds`; to be called after every optimiser step."""
        if self.log_temperature is not None:
            self.log_temperature.clamp_(*map(math.log, self.bounds))

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"{self.temperature!r}, learn={self.learn}"


def of_members(temperature: float | Tensor, members: int | list[int] | None) -> float | Tensor:
    """Return the temperatures of some modalities, a position or a list of them; None for all."""
    if members is None or not isinstance(temperature, Tensor) or temperature.ndim == 0:
        return temperature
    return temperature[members]


class BaseLoss(nn.Module, abc.ABC):
    """Base class of all losses.

    Parameters
    ----------
    temperature : float, list of float, dict of float or Temperature, default=0.2
        Divides the similarities, see `Temperature`.

    Examples
    --------
    A loss of your own needs one method. Groups and weights of samples reach it as a fifth argument
    ``samples``, see `Samples`; without that argument, data that have them are refused:

    >>> import torch
    >>> from skcentrobind.losses import BaseLoss
    >>> class SquaredDistance(BaseLoss):
    ...     def forward(self, z, z_augmented, present, generator):
    ...         return (z - z_augmented.mean(dim=0)).square().sum(dim=-1).mean()
    >>> z = torch.eye(4).expand(3, 4, 4)
    >>> SquaredDistance()(z, z, None, torch.Generator())
    tensor(0.)
    """

    def __init__(
        self, temperature: float | Sequence[float] | dict[str, float] | Temperature = 0.2
    ) -> None:
        super().__init__()
        if not isinstance(temperature, Temperature):
            temperature = Temperature(temperature)
        self.temperature = temperature

    def prepare(self, names: Sequence[str]) -> None:
        """Resolve the settings for modalities of these names, once, before training.

        By default these are the temperatures.

        Parameters
        ----------
        names : list of str
            Names of the modalities.
        """
        self.temperature.prepare(names)

    def frozen(self) -> tuple[int, ...]:
        """Return the positions of the modalities whose encoders never learn.

        Returns
        -------
        positions : tuple of int
            Empty by default.
        """
        return ()

    def sources(self) -> tuple[int, ...]:
        """Return the positions of the modalities that the others are bound to.

        Returns
        -------
        positions : tuple of int
            Empty if it is all of them, as by default.
        """
        return ()

    def shared(self, z: Tensor) -> Tensor:
        """Return the part of the embeddings that lies in the shared space.

        Parameters
        ----------
        z : Tensor of shape (n_modalities, batch, width)
            Outputs of the encoders.

        Returns
        -------
        z : Tensor of shape (n_modalities, batch, n_components)
            All of it by default.
        """
        return z

    def clamp_(self) -> None:
        """Return what is learned here to its bounds; to be called after every optimiser step."""
        self.temperature.clamp_()

    @abc.abstractmethod
    def forward(
        self, z: Tensor, z_augmented: Tensor, present: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """Compute the loss of one batch.

        Parameters
        ----------
        z, z_augmented : Tensor of shape (n_modalities, batch, n_components)
            Embeddings of the clean and of the augmented rows: unit-length rows, zeros where a
            modality is missing.
        present : Tensor of bool of shape (n_modalities, batch) or None
            Which samples have which modality; None means that no modality is missing.
        generator : torch.Generator
            The only source of randomness.

        Returns
        -------
        loss : Tensor of shape ()
            What is minimised.
        """

    def step(
        self,
        z: Tensor,
        z_augmented: Tensor,
        present: Tensor | None,
        generator: torch.Generator,
        samples: Samples | None = None,
    ) -> tuple[Tensor, tuple[int, ...]]:
        """Compute the loss of one training step, and what stays as it is in this step.

        Parameters
        ----------
        z, z_augmented : Tensor of shape (n_modalities, batch, n_components)
            As in `forward`.
        present : Tensor of bool of shape (n_modalities, batch) or None
            As in `forward`.
        generator : torch.Generator
            As in `forward`.
        samples : Samples, default=None
            Groups, duplicates and weights of the samples; None if there are none.

        Returns
        -------
        loss : Tensor of shape ()
            What `forward` returns.
        frozen : tuple of int
            Positions of the modalities whose encoders must not move: those that never learn, and
            those that the targets of an anchor freeze for this step.
        """
        held = set(self.frozen())
        token = _HELD.set(held)
        try:
            loss = compute(self, z, z_augmented, present, generator, samples)
        finally:
            _HELD.reset(token)
        return loss, tuple(sorted(held))


def compute(
    loss: BaseLoss,
    z: Tensor,
    z_augmented: Tensor,
    present: Tensor | None,
    generator: torch.Generator,
    samples: Samples | None,
) -> Tensor:
    """Call a loss, with `samples` only if there are any: a loss of a user's own may lack it."""
    if samples is None:
        return loss(z, z_augmented, present, generator)
    return loss(z, z_augmented, present, generator, samples)


class Target(Protocol):
    """Fields of a target that `AnchorLoss` reads, see `skcentrobind.anchors.Target`."""

    embeddings: Tensor
    members: list[int] | None
    present: Tensor | None
    weight: float
    bounded: bool
    frozen: tuple[int, ...]
    sources: list[int] | None


class Anchor(Protocol):
    """Methods of an anchor that `AnchorLoss` calls, see `skcentrobind.anchors.BaseAnchor`."""

    def prepare(self, names: Sequence[str]) -> None:
        """Resolve the settings for modalities of these names."""

    def frozen(self) -> tuple[int, ...]:
        """Return the positions of the modalities whose encoders never learn."""

    def sources(self) -> tuple[int, ...]:
        """Return the positions of the modalities that anchors are made of, () for all."""

    def targets(
        self, z: Tensor, present: Tensor | None, generator: torch.Generator
    ) -> Sequence[Target]:
        """Return the targets of this step."""


class AnchorLoss(BaseLoss):
    """Sum over the modalities of the InfoNCE to their anchor, by default in both directions.

    Parameters
    ----------
    anchor : BaseAnchor
        Its `targets(z, present, generator)` say in every step which modalities learn towards what,
        and which encoders must not move.
    temperature : float, list of float, dict of float or Temperature
        Divides the inner products. Of several, each modality takes its own.
    detach_anchor : bool, default=False
        Whether the anchor is a constant for the gradient.
    direction : {"both", "from_anchor", "to_anchor"}, default="both"
        Whether anchors are the queries, rows are, or both in turn, see `anchor_info_nce`.

    References
    ----------
    Jeong et al., "Anchors Aweigh! Sail for Optimal Unified Multi-Modal Representations",
    `arXiv:2410.02086 <https://arxiv.org/abs/2410.02086>`_, equation (8).

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import MeanAnchor
    >>> from skcentrobind.losses import AnchorLoss
    >>> z = torch.eye(4).expand(3, 4, 4)
    >>> bool(AnchorLoss(MeanAnchor(), temperature=0.1)(z, z, None, torch.Generator()) < 1e-2)
    True
    """

    def __init__(
        self,
        anchor: Anchor,
        temperature: float | Sequence[float] | dict[str, float] | Temperature,
        detach_anchor: bool = False,
        direction: str = "both",
    ) -> None:
        super().__init__(temperature)
        if direction not in ("both", "from_anchor", "to_anchor"):
            raise ValueError(
                "direction must be 'both', 'from_anchor' or 'to_anchor', got "
                f"{direction!r}. AnchorLoss has no parameter `bounded` any more."
            )
        self.anchor = anchor
        self.detach_anchor = detach_anchor
        self.direction = direction

    def prepare(self, names: Sequence[str]) -> None:
        """Resolve the settings of the temperature and of the anchor."""
        super().prepare(names)
        if hasattr(self.anchor, "frozen_step"):
            raise TypeError(
                f"{type(self.anchor).__name__} sets frozen_step, which nothing reads any more: let "
                "its targets() return Target(..., frozen=(position,))."
            )
        self.anchor.prepare(names)

    def frozen(self) -> tuple[int, ...]:
        """Return the positions of the modalities that the anchor always freezes."""
        return self.anchor.frozen()

    def sources(self) -> tuple[int, ...]:
        """Return the positions of the modalities that make up the anchor."""
        return self.anchor.sources()

    def forward(
        self,
        z: Tensor,
        z_augmented: Tensor,
        present: Tensor | None,
        generator: torch.Generator,
        samples: Samples | None = None,
    ) -> Tensor:
        """Compute equation (8) of the paper or one half of it, summed over the modalities."""
        temperature, held = self.temperature.value(), _HELD.get()
        terms: list[Tensor] = []
        for target in self.anchor.targets(z_augmented, present, generator):
            anchor = target.embeddings.detach() if self.detach_anchor else target.embeddings
            members = z if target.members is None else z[target.members]
            losses = anchor_info_nce(
                members,
                anchor,
                of_members(temperature, target.members),
                direction=self.direction,
                present=_rows(present, target),
                bounded=target.bounded,
                **_related(samples, target),
            )
            if held is not None:
                held.update(target.frozen)
            term = losses.sum()
            terms.append(term if target.weight == 1 else target.weight * term)
        return sum(terms[1:], terms[0])


def _related(samples: Samples | None, target: Target) -> dict[str, Any]:
    """Return what is known of the samples, for the members of a target."""
    if samples is None:
        return {}
    sources = getattr(target, "sources", None)
    if sources is None or samples.duplicates is None:
        return {"samples": samples.of(target.members)}
    return {"samples": samples.of(target.members), "duplicates": samples.duplicates[sources]}


def _rows(mask: Tensor | None, target: Target) -> Tensor | None:
    """Return which rows have both the modality and the target, (n_members, batch) or None."""
    if mask is None:
        return None
    if target.members is not None:
        mask = mask[target.members]
    return mask if target.present is None else mask & target.present
