"""Layers of the encoders, with a backward pass of few operations.

On small batches the time of a training step goes into calling operations, not into arithmetic.
"""

import torch
from torch.autograd.function import once_differentiable

from skcentrobind._encoders.sparse import SparseRows
from skcentrobind._ops import _normalise, _normalise_backward, _terms, matmul


class Perceptrons(torch.autograd.Function):
    """Several perceptrons side by side, each with its own input, output of unit length.

    The first layer of member m maps its columns of x to its hidden units and, where the encoder
    has one, to a linear part that skips all further layers:
    z_m = unit(W_m x_m + MLP_m(x_m)).

    With a dtype of lower precision than that of the weights, layers take and give numbers of that
    dtype, as under `torch.autocast`; what they return is added and scaled, and their gradients are
    returned, in the dtype of the weights. What the backward pass needs of the layers is kept in the
    lower precision.
    """

    @staticmethod
    def forward(ctx, x, widths, n_hidden, dtype, first_weight, first_bias, *rest):
        """Encode all members.

        Parameters
        ----------
        ctx : context
            Keeps what the backward pass needs.
        x : Tensor or SparseRows of shape (batch, sum of widths)
            Inputs of the members side by side; sparse rows are those of a single member.
        widths : list of int
            Width of each member's input.
        n_hidden : int
            Units of the first hidden layer; 0 if there is only the linear part.
        dtype : torch.dtype or None
            In which the layers compute; None takes that of the weights.
        first_weight : Tensor of shape (sum of widths, n_first)
            Rows belong to columns of x; columns are hidden units, then the linear part.
        first_bias : Tensor of shape (n_members, 1, n_first)
            Its bias.
        *rest : Tensor of shape (n_members, n_in, n_out) and (n_members, 1, n_out)
            Weight and bias of every further layer in turn.

        Returns
        -------
        z : Tensor of shape (n_members, batch, n_components)
            Unit-length rows.
        """
        ctx.dtype = first_weight.dtype
        ctx.low = dtype = dtype or ctx.dtype
        # Sums over sparse rows have few terms and wait for memory: they stay as they are.
        if not isinstance(x, SparseRows):
            x, first_weight, first_bias = (t.to(dtype) for t in (x, first_weight, first_bias))
        rest = [tensor.to(dtype) for tensor in rest]
        out = first = _first_layer(x, widths, first_weight, first_bias).to(dtype)
        weights, biases = rest[::2], rest[1::2]
        activations = []  # each (n_members, batch, units)
        if weights:
            out = first[..., :n_hidden]
        for weight, bias in zip(weights, biases, strict=True):
            activations.append(out.relu_())
            out = _affine(out, weight, bias)
        out = out.to(ctx.dtype)
        if weights and first.shape[-1] > n_hidden:
            out += first[..., n_hidden:]
        z, norm = _normalise(out)
        ctx.widths, ctx.skips = widths, first.shape[-1] > n_hidden
        ctx.sparse_rows, dense = (x, None) if isinstance(x, SparseRows) else (None, x)
        ctx.save_for_backward(dense, first_weight, z, norm, *weights, *activations)
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        """Gradients of all tensors, that of x only where it is wanted."""
        x, first_weight, z, norm, *saved = ctx.saved_tensors
        weights, activations = saved[: len(saved) // 2], saved[len(saved) // 2 :]
        grad = grad_out = _normalise_backward(grad, z, norm).to(ctx.low)
        grads = []
        for weight, units in zip(reversed(weights), reversed(activations), strict=True):
            grads += [_bias_grad(grad, ctx), matmul(units.transpose(1, 2), grad)]
            grad = matmul(grad, weight.transpose(1, 2))
            grad = torch.ops.aten.threshold_backward(grad, units, 0)  # zero where units are
        if weights and ctx.skips:
            grad = torch.cat([grad, grad_out], dim=-1)
        if ctx.sparse_rows is not None:
            grad_first = ctx.sparse_rows.transposed_product(grad[0].to(ctx.dtype))
        elif len(set(ctx.widths)) == 1:
            members = x.unflatten(1, (len(ctx.widths), -1))  # (batch, n_members, width)
            grad_first = matmul(members.permute(1, 2, 0), grad).flatten(0, 1)
        else:
            parts = zip(x.split(ctx.widths, dim=1), grad, strict=True)
            grad_first = torch.cat([matmul(x_m.T, g_m) for x_m, g_m in parts])
        grad_x = None
        if ctx.needs_input_grad[0]:
            pairs = zip(grad, first_weight.split(ctx.widths), strict=True)
            grad_x = torch.cat([matmul(g_m, w_m.T) for g_m, w_m in pairs], dim=1)
        grads += [_bias_grad(grad, ctx), grad_first]
        grad_x, *grads = (None if g is None else g.to(ctx.dtype) for g in (grad_x, *grads))
        return grad_x, None, None, None, *reversed(grads)


def _bias_grad(grad, ctx):
    return grad.sum(dim=1, keepdim=True, dtype=ctx.dtype)


def _first_layer(x, widths, weight, bias):
    if isinstance(x, SparseRows):
        return x.product(weight) + bias
    if len(set(widths)) == 1:
        shape = (len(widths), widths[0])
        return _affine(x.unflatten(1, shape).transpose(0, 1), weight.unflatten(0, shape), bias)
    parts = zip(x.split(widths, dim=1), weight.split(widths), strict=True)
    return torch.stack([matmul(x_m, w_m) for x_m, w_m in parts]).add_(bias)


def _affine(x, weight, bias):
    if x.shape[-1] <= _terms(x):
        return torch.baddbmm(bias, x, weight)
    return matmul(x, weight).add_(bias)
