"""Shared torch functions: devices, blocked products, unit rows, principal directions."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.autograd.function import once_differentiable

# From about 1,000 terms on, a BLAS may share the sum of one inner product among threads and so
# add in another order. Sums of at most this many terms are never shared; those of bfloat16 are
# shared from some 200 terms on, so they are cut finer on the CPU.
_TERMS, _TERMS_BF16 = 512, 128

# Inner products with the sum of the embeddings below this count as zero.
_ORTHOGONAL = 1e-5


# Kinds of device that may run under autocast; a decorator for one that is not there costs 2 us.
_AUTOCAST = ("cpu", "cuda", "mps", "xpu")

# torch has one global generator and one default dtype per process.
_GLOBAL_STATE = threading.RLock()


def _after_fork() -> None:
    """Forget a lock that a thread of the parent process holds."""
    global _GLOBAL_STATE
    _GLOBAL_STATE = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def isolated(function: Callable) -> Callable:
    """Decorate a function so that the caller's grad mode, inference mode and autocast do not count.

    The decorators are torch's own, so that a call enters no file of this package. The default
    dtype and device do not count either, since every tensor is made with its own.
    """
    for kind in _AUTOCAST:
        function = torch.autocast(kind, enabled=False)(function)
    return torch.inference_mode(mode=False)(torch.enable_grad()(function))


@contextmanager
def global_torch(state: torch.Tensor | int, device: str = "cpu") -> Iterator[None]:
    """Lend torch's global state to a user's own code: one thread at a time, put back at the end.

    Parameters
    ----------
    state : Tensor or int
        State of the global generator of the CPU, or a seed.
    device : str, default="cpu"
        Device whose global generators are put back, too.
    """
    devices: list | None = None if torch.device(device).type == "cuda" else []
    with _GLOBAL_STATE, torch.random.fork_rng(devices=devices):
        dtype, home = torch.get_default_dtype(), torch.get_default_device()
        elsewhere = torch.device("cpu") if home.type != "cpu" else nullcontext()
        if isinstance(state, int):
            torch.default_generator.manual_seed(state)
        else:
            torch.set_rng_state(state)
        if devices is None:
            # In every state of the CPU's generator another seed, so that no epoch repeats one.
            torch.cuda.manual_seed_all(int(torch.randint(2**31, (), device="cpu")))
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
        try:
            with elsewhere:
                yield
        finally:
            if dtype != torch.float32:
                torch.set_default_dtype(dtype)


def _terms(tensor: torch.Tensor) -> int:
    if tensor.dtype == torch.bfloat16 and tensor.device.type == "cpu":
        return _TERMS_BF16
    return _TERMS


def matmul(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return left @ right, summed in blocks of some hundred terms.

    Parameters
    ----------
    left : Tensor of shape (..., n, k)
        Batched or plain matrices.
    right : Tensor of shape (..., k, m)
        Batched or plain matrices.

    Returns
    -------
    product : Tensor of shape (..., n, m)
        Equal, bit for bit, whatever `torch.get_num_threads()` is, unless the BLAS adds up even
        short sums in an order that depends on it, as MKL does without AVX-512. The blocks are
        added in float32 at least, so that a product of bfloat16 is rounded no more often than its
        blocks are. The gradient's own sums are not cut: differentiate `product` instead.
    """
    terms = _terms(left)
    if left.shape[-1] <= terms:
        return left @ right
    blocks = zip(left.split(terms, dim=-1), right.split(terms, dim=-2), strict=True)
    parts = (l_block @ r_block for l_block, r_block in blocks)
    first = next(parts)
    total = first.to(torch.promote_types(first.dtype, torch.float32))
    for part in parts:
        total = total.add_(part)
    return total.to(left.dtype)


def product(
    left: torch.Tensor, right: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Return left @ right + bias, equal for any number of threads, as are all its derivatives.

    This is plain torch where no sum is long, neither here nor in the gradient. Otherwise the sums
    are cut into blocks, see `matmul`.

    Parameters
    ----------
    left : Tensor of shape (n, k) or (b, n, k)
        Matrices.
    right : Tensor of shape (k, m) or (b, k, m)
        As many matrices.
    bias : Tensor of shape (b, 1, m) or (b, n, m), default=None
        Added to every row.

    Returns
    -------
    out : Tensor of shape (n, m) or (b, n, m)
        Differentiable any number of times.
    """
    if max(*left.shape[-2:], right.shape[-1]) > _terms(left):
        return _Product.apply(left, right, bias)
    return left @ right if bias is None else torch.baddbmm(bias, left, right)


class _Product(torch.autograd.Function):
    """Product whose gradients are such products."""

    generate_vmap_rule = True

    @staticmethod
    def forward(left: torch.Tensor, right: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        if bias is None:
            return matmul(left, right)
        if left.shape[-1] <= _terms(left):
            return torch.baddbmm(bias, left, right)
        return matmul(left, right) + bias

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        left, right, bias = inputs
        ctx.save_for_backward(left, right)
        ctx.repeats_bias = bias is not None and bias.shape[-2] == 1

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        left, right = ctx.saved_tensors
        needs_left, needs_right, needs_bias = ctx.needs_input_grad
        # Without a graph to build, the sums alone are to be cut.
        multiply = product if torch.is_grad_enabled() else matmul
        grad_right = multiply(left.mT, grad) if needs_right else None
        grad_left = multiply(grad, right.mT) if needs_left else None
        grad_bias = None
        if needs_bias:
            grad_bias = grad.sum(dim=-2, keepdim=True) if ctx.repeats_bias else grad
        return grad_left, grad_right, grad_bias


def unit_rows(h: torch.Tensor) -> torch.Tensor:
    """Scale the last axis to unit length; rows of zeros stay.

    Parameters
    ----------
    h : Tensor of shape (..., width)
        Rows.

    Returns
    -------
    z : Tensor of shape (..., width)
        h / |h|, differentiable any number of times.
    """
    return _UnitRows.apply(h)[0]


class _UnitRows(torch.autograd.Function):
    """h / |h| in a third of the operations of torch's own normalisation."""

    generate_vmap_rule = True

    @staticmethod
    def forward(h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        norm = torch.linalg.vector_norm(h, dim=-1, keepdim=True).clamp_min(1e-12)
        return h / norm, norm

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]
    ) -> None:
        # Both are outputs, so that a second derivative reaches h through them.
        ctx.save_for_backward(*output)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(
        ctx: Any, grad: torch.Tensor | None, grad_norm: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Add the gradients of z = h / |h|, (g - z (z . g)) / |h|, and of the norm, which is z."""
        z, norm = ctx.saved_tensors
        total = None
        if grad is not None:
            along = (z * grad).sum(dim=-1, keepdim=True)
            total = torch.addcmul(grad, z, along, value=-1).div_(norm)
        if grad_norm is not None:
            total = grad_norm * z if total is None else total + grad_norm * z
        return total


def principal_direction(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the leading left singular vector of the embeddings of each sample, and their spectrum.

    Parameters
    ----------
    z : Tensor of shape (n_modalities, batch, n_components)
        Embeddings; zeros do not count.

    Returns
    -------
    direction : Tensor of shape (batch, n_components)
        Of unit length. Of the two signs the one nearer to the centroid is taken; where the
        direction is at right angles to the centroid, the centroid itself, scaled to unit length.
    eigenvalues : Tensor of shape (batch, n_modalities)
        Of the Gram matrix, ascending: the squares of the singular values.
    """
    z = z.transpose(0, 1)  # (batch, n_modalities, n_components)
    weights, eigenvalues = Spectrum.apply(z @ z.transpose(1, 2))
    direction, centre = unit_rows((weights[:, None] @ z)[:, 0]), z.sum(dim=1)
    along = (direction * centre).sum(dim=1, keepdim=True).detach()
    direction = torch.where(along < 0, -direction, direction)
    # Two opposed embeddings have only their difference in common: no shared direction.
    return torch.where(along.abs() < _ORTHOGONAL, unit_rows(centre), direction), eigenvalues


class Spectrum(torch.autograd.Function):
    """Leading eigenvector and all eigenvalues of symmetric matrices (batch, n, n)."""

    @staticmethod
    def forward(ctx: Any, matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return unit-length eigenvectors (batch, n), of either sign, and ascending eigenvalues."""
        # eigh fails on NaN. The direction, computed from the embeddings, keeps it for the loss.
        values, vectors = torch.linalg.eigh(matrix.nan_to_num())
        ctx.save_for_backward(values, vectors)
        ctx.set_materialize_grads(False)
        return vectors[:, :, -1].clone(), values.clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad: torch.Tensor | None, grad_values: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Apply first-order perturbation theory, damped where the eigenvalue is not simple.

        dw = sum_k v_k (v_k . dG w) / (l_1 - l_k) over the other eigenpairs. The gap g = l_1 - l_k
        enters as g / (g^2 + eps) in place of 1 / g, which would be infinite for a double one. An
        eigenvalue moves by dl_k = v_k . dG v_k, whatever the gaps.
        """
        values, vectors = ctx.saved_tensors
        total = None
        if grad is not None:
            gap = values[:, -1:] - values[:, :-1]
            others, leading = vectors[:, :, :-1], vectors[:, :, -1]
            inner = (others * grad[:, :, None]).sum(dim=1)  # (batch, n - 1)
            scale = torch.finfo(values.dtype).eps ** 0.5
            along = (others * (inner * gap / (gap**2 + scale))[:, None]).sum(dim=2)
            outer = along[:, :, None] * leading[:, None]  # (batch, n, n)
            total = (outer + outer.transpose(1, 2)) / 2
        if grad_values is not None:
            part = (vectors * grad_values[:, None]) @ vectors.transpose(1, 2)
            total = part if total is None else total + part
        return total


def check_precision(precision: str, device: str) -> None:
    """Refuse a precision that the device does not support.

    Parameters
    ----------
    precision : {"float32", "bf16"}
        The parameter.
    device : str
        Device to compute on.
    """
    if precision == "float32":
        return
    try:
        one = torch.ones(1, 1, dtype=torch.bfloat16, device=device)
        (one @ one).cpu()
    except (RuntimeError, TypeError) as exc:
        raise ValueError(
            f"precision={precision!r} cannot be used on device={device!r} "
            f"({str(exc).splitlines()[0]}); use precision='float32'."
        ) from exc


def resolve_device(device: str | torch.device) -> str:
    """Resolve "auto" to a device name and refuse unavailable devices."""
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device, dtype=torch.uint8)
    except (RuntimeError, AssertionError, TypeError) as exc:
        raise ValueError(
            f"device={device!r} cannot be used here ({str(exc).splitlines()[0]}); use "
            "device='auto' or device='cpu'."
        ) from exc
    return str(device)


# ------------------------------------------------------------------ equal rows

# Rows are hashed in blocks of about this many values (16 MiB as 64-bit numbers).
_HASHED = 2**21


def equal_rows(
    n_rows: int, width: int, read: Callable[[slice], torch.Tensor]
) -> torch.Tensor | None:
    """Find equal rows, by hashing them and then comparing those with the same hash.

    Parameters
    ----------
    n_rows, width : int
        Number of rows and of values per row.
    read : callable
        Returns some rows, a Tensor of float32 of shape (k, width), for a slice.

    Returns
    -------
    codes : Tensor of int64 of shape (n_rows,) on the CPU, or None
        Equal for equal rows, -1 for rows that are equal to no other; None if there are none.
    """
    factors = hash_factors(width)
    step = max(1, _HASHED // max(1, width))
    blocks = [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
    hashes = [(bits_of(read(rows)).long() * factors).sum(dim=1) for rows in blocks]
    candidates = same_hash(torch.cat(hashes))
    if not len(candidates):
        return None
    keys = []
    for rows in blocks:
        some = candidates[(candidates >= rows.start) & (candidates < rows.stop)] - rows.start
        keys += [row.tobytes() for row in bits_of(read(rows))[some].numpy()] if len(some) else []
    return confirmed(n_rows, candidates, keys)


def bits_of(values: torch.Tensor) -> torch.Tensor:
    """Return the bits of float32 values as int32, on the CPU; -0.0 is 0.0."""
    return (values.detach().cpu() + 0.0).contiguous().view(torch.int32)


def hash_factors(width: int) -> torch.Tensor:
    """Return fixed odd factors, one per column; int64 products and sums are modulo 2^64."""
    generator = torch.Generator("cpu").manual_seed(0)
    factors = torch.empty(width, dtype=torch.int64, device="cpu")
    return factors.random_(-(2**62), 2**62, generator=generator) * 2 + 1


def same_hash(hashes: torch.Tensor) -> torch.Tensor:
    """Return the positions of the rows whose hash is not unique; equal rows have equal hashes."""
    _, inverse, counts = hashes.unique(return_inverse=True, return_counts=True)
    return (counts[inverse] > 1).nonzero()[:, 0]


def confirmed(n_rows: int, candidates: torch.Tensor, keys: Sequence[bytes]) -> torch.Tensor | None:
    """Return the codes of rows whose content, as bytes, is that of another one, None for none."""
    known: dict[bytes, int] = {}
    found = torch.tensor([known.setdefault(key, len(known)) for key in keys], device="cpu")
    repeats = found.bincount()[found] > 1
    if not repeats.any():
        return None
    codes = torch.full((n_rows,), -1, dtype=torch.int64, device="cpu")
    codes[candidates[repeats]] = found[repeats]
    return codes
