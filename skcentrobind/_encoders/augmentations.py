"""Augmentations: random views x' of a batch of rows x, from which the anchor is computed.

Each takes `x` of shape (batch, ...), absent rows zero, `strength`, `spread` (standard deviation
of every feature, a tensor that broadcasts against x), `present` of shape (batch,) or None, and a
generator, and returns a new tensor.
"""

import torch

from skcentrobind._encoders.sparse import to_dense


def gaussian(x, strength, spread, present, generator):
    """Add normal noise of `strength` standard deviations of each feature."""
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    if spread is not None:
        noise *= spread
    return torch.add(x, noise, alpha=strength)


def mask(x, strength, spread, present, generator):
    """Set each entry to zero, the mean of a standardised feature, with probability `strength`."""
    drop = torch.rand(x.shape, generator=generator, device=x.device) < strength
    return x.masked_fill(drop, 0.0)


def marginal(x, strength, spread, present, generator):
    """Replace each entry, with probability `strength`, by another sample's (as SCARF does).

    Absent samples lend no values.
    """
    flat = x.reshape(len(x), -1)
    if present is None:
        source = torch.randint(len(x), flat.shape, generator=generator, device=x.device)
    else:
        donors = torch.nonzero(present)[:, 0]
        if len(donors) == 0:
            return x
        draw = torch.randint(len(donors), flat.shape, generator=generator, device=x.device)
        source = donors[draw]
    swap = torch.rand(flat.shape, generator=generator, device=x.device) < strength
    return torch.where(swap, flat.gather(0, source), flat).view(x.shape)


AUGMENTATIONS = {"gaussian": gaussian, "mask": mask, "marginal": marginal}


def multiplicative(x, strength, spread, present, generator):
    """Multiply each stored entry by 1 + `strength` e with e ~ N(0, 1): zeros stay zeros.

    Noise on the zeros, too, would outweigh a row of few entries, and fill the memory.
    """
    noise = torch.randn(x.values.shape, generator=generator, device=x.values.device)
    return x.with_values(x.values * (1 + strength * noise))


def sparse_mask(x, strength, spread, present, generator):
    """Set each stored entry to zero with probability `strength`."""
    return x.with_values(mask(x.values, strength, spread, present, generator))


#: What the names mean for `SparseRows`. There is no "marginal": nearly all values of a feature are
#: zero, so that it would be "mask" with stray entries.
SPARSE_AUGMENTATIONS = {"gaussian": multiplicative, "mask": sparse_mask}


def augmentation(spec, name=None, is_sparse=False):
    """Return the augmentation that a name or a user's callable stands for, None for none.

    `name` is that of the modality, for the error.
    """
    if is_sparse and spec == "marginal":
        raise ValueError(
            f"augmentation='marginal' does not fit modality '{name}', which is sparse: nearly all "
            "values that samples could lend are zero. Use 'mask' or 'gaussian', if need be for "
            f"this modality alone by a dict: augmentation={{{name!r}: 'mask', ...}}."
        )
    if spec is None or isinstance(spec, str):
        return (SPARSE_AUGMENTATIONS if is_sparse else AUGMENTATIONS).get(spec)
    return UserAugmentation(spec)


class UserAugmentation:
    """A user's `f(x, generator)` in the form of the built-in augmentations."""

    def __init__(self, function):
        self.function = function

    def __call__(self, x, strength, spread, present, generator):
        """Call the user's function and check what it returns."""
        x = to_dense(x)
        out = self.function(x, generator)
        if not isinstance(out, torch.Tensor) or out.shape != x.shape:
            got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
            raise ValueError(
                f"augmentation must return a tensor of the shape of its input, {tuple(x.shape)}, "
                f"got {got}."
            )
        return out
