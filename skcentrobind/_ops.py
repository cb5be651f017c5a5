"""Matrix products in blocks, rows of unit length."""

import torch
from torch.autograd.function import once_differentiable

# From about 1,000 terms on, a BLAS may share the sum of one inner product among threads and so
# add in another order. Sums of at most this many terms are never shared; those of bfloat16 are
# shared from some 200 terms on, so they are cut finer on the CPU.
_TERMS, _TERMS_BF16 = 512, 128


def _terms(tensor):
    if tensor.dtype == torch.bfloat16 and tensor.device.type == "cpu":
        return _TERMS_BF16
    return _TERMS


def matmul(left, right):
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
        blocks are.
    """
    terms = _terms(left)
    if left.shape[-1] <= terms:
        return left @ right
    total = None
    for l_block, r_block in zip(left.split(terms, dim=-1), right.split(terms, dim=-2), strict=True):
        part = l_block @ r_block
        if total is None:
            total = part.to(torch.promote_types(part.dtype, torch.float32))
        else:
            total.add_(part)
    return total.to(left.dtype)


def unit_rows(h):
    """Scale the last axis to unit length; rows of zeros stay."""
    return _UnitRows.apply(h)


class _UnitRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        z, norm = _normalise(h)
        ctx.save_for_backward(z, norm)
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return _normalise_backward(grad, *ctx.saved_tensors)


def _normalise(h):
    norm = torch.linalg.vector_norm(h, dim=-1, keepdim=True).clamp_min_(1e-12)
    return h / norm, norm


def _normalise_backward(grad, z, norm):
    """Gradient of z = h / |h|: (g - z (z . g)) / |h|."""
    return torch.addcmul(grad, z, (z * grad).sum(dim=-1, keepdim=True), value=-1).div_(norm)
