"""What the embeddings of a sample have in common: the spectrum of their Gram matrix."""

import torch
from torch.autograd.function import once_differentiable

from skcentrobind._ops import unit_rows

# Inner products with the sum of the embeddings below this are taken for zero.
_ASTRAY = 1e-5


def principal_direction(z):
    """Leading left singular vector of the embeddings of each sample, and their spectrum.

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
    # Two opposed embeddings have their difference in common: no direction to meet in.
    return torch.where(along.abs() < _ASTRAY, unit_rows(centre), direction), eigenvalues


class Spectrum(torch.autograd.Function):
    """Leading eigenvector and all eigenvalues of symmetric matrices (batch, n, n)."""

    @staticmethod
    def forward(ctx, matrix):
        """Return unit-length eigenvectors (batch, n), of either sign, and ascending eigenvalues."""
        # It fails on NaN, which the direction, made of the embeddings, keeps for the loss to show.
        values, vectors = torch.linalg.eigh(matrix.nan_to_num())
        ctx.save_for_backward(values, vectors)
        ctx.set_materialize_grads(False)
        return vectors[:, :, -1].clone(), values.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, grad_values):
        """First-order perturbation theory, damped where the eigenvalue is not simple.

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
