"""What every objective can do."""

from torch import nn

from skcentrobind.losses._temperature import Temperature


class BaseLoss(nn.Module):
    """Base class of all objectives.

    Parameters
    ----------
    temperature : float, list of float, dict of float or Temperature, default=0.2
        Divides the similarities, see `Temperature`.

    Attributes
    ----------
    frozen_step : int or None
        The modality whose encoder must not move in the present step.

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

    frozen_step = None

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

    def forward(self, z, z_augmented, present, generator):
        """Loss of one batch.

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
        raise TypeError(
            f"{type(self).__name__} must implement forward(z, z_augmented, present, generator)."
        )
