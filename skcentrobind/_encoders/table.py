"""The kinds of encoders by name."""

from __future__ import annotations

from typing import Any

from skcentrobind._encoders.encoders import Identity, Linear, Perceptron, Residual
from skcentrobind._encoders.kernel import Kernel

#: Names that the parameter `encoder` accepts, one row per kind of encoder.
ENCODERS: dict[str, Any] = {
    "residual": Residual,
    "mlp": Perceptron,
    "linear": Linear,
    "kernel": Kernel,
    "identity": Identity,
}
