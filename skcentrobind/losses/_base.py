"""The base class of all losses, their temperature, and the loss to an anchor."""

import abc
import math
from numbers import Real

import torch
from torch import nn

from skcentrobind._names import per_modality
from skcentrobind.losses._info_nce import anchor_info_nce


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

    def __init__(self, temperature=0.2, learn=False):
        super().__init__()
        self.temperature = temperature.tolist() if hasattr(temperature, "tolist") else temperature
        self.learn = learn
        self._fixed = None  # float or list of float
        self.register_parameter("log_temperature", None)
        self.register_buffer("_per_modality", None, persistent=False)
        if not isinstance(self.temperature, list | tuple | dict):
            self._start(self._checked(self.temperature, ""))

    def prepare(self, names):
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

    def _checked(self, value, whose):
        """Return the value as a float, or say what is wrong with it."""
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
            raise ValueError(f"temperature{whose} must be a positive number, got {value!r}.")
        low, high = self.bounds
        if self.learn and not low <= value <= high:
            raise ValueError(
                f"temperature{whose} is {value!r}, but one that is learned must start between "
                f"{low} and {high}."
            )
        return float(value)

    def _start(self, values):
        tensor = torch.tensor(values, device="cpu")  # () or (n_modalities,)
        if self.learn:
            self.log_temperature = nn.Parameter(tensor.log())
        else:
            self._fixed = values
            self._per_modality = tensor if tensor.ndim else None

    def value(self):
        """Return what an objective divides by.

        Returns
        -------
        temperature : float or Tensor of shape () or (n_modalities,)
            A float if it is fixed and the same for all. What is learned carries its gradient.
        """
        self._check_prepared()
        if self.learn:
            return self.log_temperature.exp()
        return self._fixed if self._per_modality is None else self._per_modality

    @property
    def values(self):
        """The present temperature, or that of each modality in turn, as plain floats."""
        self._check_prepared()
        return self.log_temperature.detach().exp().tolist() if self.learn else self._fixed

    def _check_prepared(self):
        if self._fixed is None and self.log_temperature is None:
            raise RuntimeError(
                f"temperature={self.temperature!r} has not met the modalities yet: call "
                "prepare(names) first."
            )

    @torch.no_grad()
    def clamp_(self):
        """Return a learned temperature to `bounds`; to be called after every optimiser step."""
        if self.learn:
            self.log_temperature.clamp_(*map(math.log, self.bounds))

    def extra_repr(self):
        """Show the settings."""
        return f"{self.temperature!r}, learn={self.learn}"


def of_members(temperature, members):
    """Return the temperatures of some modalities, a position or a list of them; None for all."""
    if members is None or not isinstance(temperature, torch.Tensor) or temperature.ndim == 0:
        return temperature
    return temperature[members]


class BaseLoss(nn.Module, abc.ABC):
    """Base class of all objectives.

    Parameters
    ----------
    temperature : float, list of float, dict of float or Temperature, default=0.2
        Divides the similarities, see `Temperature`.

    Examples
    --------
    An objective of your own needs one method:

    >>> import torch
    >>> from skcentrobind.losses import BaseLoss
    >>> class SquaredDistance(BaseLoss):
    ...     def forward(self, z, z_augmented, present, generator):
    ...         return (z - z_augmented.mean(dim=0)).square().sum(dim=-1).mean()
    >>> z = torch.eye(4).expand(3, 4, 4)
    >>> SquaredDistance()(z, z, None, torch.Generator())
    tensor(0.)
    """

    def __init__(self, temperature=0.2):
        super().__init__()
        given = isinstance(temperature, Temperature)
        self.temperature = temperature if given else Temperature(temperature)

    def prepare(self, names):
        """Meet the modalities, once, before training; by default resolve the temperatures.

        Parameters
        ----------
        names : list of str
            Names of the modalities.
        """
        self.temperature.prepare(names)

    def frozen(self):
        """Return the positions of the modalities whose encoders never learn.

        Returns
        -------
        positions : tuple of int
            Empty by default.
        """
        return ()

    def sources(self):
        """Return the positions of the modalities that the others are bound to.

        Returns
        -------
        positions : tuple of int
            Empty if it is all of them, as by default.
        """
        return ()

    def shared(self, z):
        """Return the part of the embeddings in which modalities meet.

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

    def clamp_(self):
        """Return what is learned here to its bounds; to be called after every optimiser step."""
        self.temperature.clamp_()

    @abc.abstractmethod
    def forward(self, z, z_augmented, present, generator):
        """Compute the loss of one batch.

        Parameters
        ----------
        z, z_augmented : Tensor of shape (n_modalities, batch, n_components)
            Embeddings of the clean and of the augmented rows: unit-length rows, zeros where a
            modality is absent.
        present : Tensor of bool of shape (n_modalities, batch) or None
            Which samples have which modality; None means that all are present.
        generator : torch.Generator
            The only source of randomness.

        Returns
        -------
        loss : Tensor of shape ()
            What is minimised.
        """

    def step(self, z, z_augmented, present, generator):
        """Compute the loss of one training step, and what stays as it is in this step.

        Parameters
        ----------
        z, z_augmented : Tensor of shape (n_modalities, batch, n_components)
            As in `forward`.
        present : Tensor of bool of shape (n_modalities, batch) or None
            As in `forward`.
        generator : torch.Generator
            As in `forward`.

        Returns
        -------
        loss : Tensor of shape ()
            What `forward` returns.
        frozen : tuple of int
            Positions of the modalities whose encoders must not move: by default those that never
            learn.
        """
        return self(z, z_augmented, present, generator), self.frozen()


class SteppedLoss(BaseLoss):
    """Base class of losses that may freeze other modalities in every step.

    Subclasses implement `_step`. One that overrides `forward` instead is trained on what that
    returns, and freezes what `frozen()` says.
    """

    def forward(self, z, z_augmented, present, generator):
        """Compute the loss of one batch."""
        return self._step(z, z_augmented, present, generator)[0]

    def step(self, z, z_augmented, present, generator):
        """Compute the loss of one training step, and what stays as it is in this step."""
        if type(self).forward is not SteppedLoss.forward:
            return super().step(z, z_augmented, present, generator)
        return self._step(z, z_augmented, present, generator)

    @abc.abstractmethod
    def _step(self, z, z_augmented, present, generator):
        """Return loss and frozen positions, as `step`."""


class AnchorLoss(SteppedLoss):
    """Sum over the modalities of the InfoNCE to their anchor, by default in both directions.

    Parameters
    ----------
    anchor : BaseAnchor
        Its `targets(z, present, generator)` say in every step who learns towards what, and which
        encoders must not move.
    temperature : float, list of float, dict of float or Temperature
        Divides the inner products. Of several, each modality takes its own.
    detach_anchor : bool, default=False
        Whether the anchor is a constant for the gradient.
    direction : {"both", "from_anchor", "to_anchor"}, default="both"
        Whether anchors look for rows, rows for anchors, or both, see `anchor_info_nce`.

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

    def __init__(self, anchor, temperature, detach_anchor=False, direction="both"):
        super().__init__(temperature)
        self.anchor = anchor
        self.detach_anchor = detach_anchor
        self.direction = direction

    def prepare(self, names):
        """Introduce the modalities to the temperature and to the anchor."""
        super().prepare(names)
        self.anchor.prepare(names)

    def frozen(self):
        """Return the positions that the anchor freezes."""
        return self.anchor.frozen()

    def sources(self):
        """Return the positions of the modalities that make up the anchor."""
        return self.anchor.sources()

    def _step(self, z, z_augmented, present, generator):
        """Compute equation (8) of the paper or one half of it, summed over the modalities."""
        temperature, terms, frozen = self.temperature.value(), [], {*self.frozen()}
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
            )
            frozen.update(target.frozen)
            term = losses.sum()
            terms.append(term if target.weight == 1 else target.weight * term)
        return sum(terms[1:], terms[0]), tuple(sorted(frozen))


def _rows(present, target):
    """Rows that have both the modality and the target, (n_members, batch) or None."""
    if present is None:
        return None
    if target.members is not None:
        present = present[target.members]
    return present if target.present is None else present & target.present
