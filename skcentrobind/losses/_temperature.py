"""The temperature of an objective: one or one a modality, fixed or learned."""

import math
from numbers import Real

import torch
from torch import nn

from skcentrobind._names import per_modality


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
