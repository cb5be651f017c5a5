"""Where torch computes, and in which precision: names from the user to what torch takes."""

import torch


def resolve_precision(precision, device):
    """Return the dtype of matrix products, None for that of the rows; refuse what cannot be.

    Parameters
    ----------
    precision : {"float32", "bf16"}
        The parameter.
    device : str
        Where torch computes.

    Returns
    -------
    dtype : torch.dtype or None
        `torch.bfloat16` for "bf16".
    """
    if precision == "float32":
        return None
    try:
        one = torch.ones(1, 1, dtype=torch.bfloat16, device=device)
        (one @ one).cpu()
    except (RuntimeError, TypeError) as exc:
        raise ValueError(
            f"precision={precision!r} cannot be used on device={device!r} "
            f"({str(exc).splitlines()[0]}); use precision='float32'."
        ) from exc
    return torch.bfloat16


def resolve_device(device):
    """Turn "auto" into a device name and refuse devices that are not there."""
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as exc:
        raise ValueError(
            f"device={device!r} cannot be used here ({str(exc).splitlines()[0]}); use "
            "device='auto' or device='cpu'."
        ) from exc
    return str(device)
