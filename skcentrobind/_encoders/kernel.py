"""Kernel encoders: similarities to landmarks and a linear map of them, in torch on any device."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import nn
from torch.nn.functional import pad

from skcentrobind._data.kernels import fit_landmarks
from skcentrobind._encoders.encoders import Linear
from skcentrobind._encoders.sparse import SparseRows
from skcentrobind._ops import product

# A BLAS may add in another order in the rows and columns that are left over from its tiles. The
# whitening amplifies such differences, and equal rows would not be exactly equal any more.
_TILE = 16

# Landmarks stand for all rows unless there are more than this many rows for each.
_ROWS_PER_LANDMARK = 2


class KernelMap(nn.Module):
    """phi(x), the whitened similarities to landmarks, see `_data.kernels`.

    Parameters
    ----------
    n_features : int
        Width of the rows.
    n_landmarks : int
        Number of landmarks, and of features.
    """

    def __init__(self, n_features, n_landmarks):
        super().__init__()
        self.n_landmarks = n_landmarks
        padded = n_landmarks + -n_landmarks % _TILE
        for name, shape in (
            ("rate", ()),
            ("landmarks", (padded, n_features)),
            ("whitening", (padded, padded)),
            ("centre", (padded,)),
        ):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float32, device="cpu"))
        # One column after the other: products of sparse rows take the transpose, in every batch.
        self.landmarks = self.landmarks.T.contiguous().T

    def fill(self, found):
        """Take over the landmarks that were fitted, a `Landmarks`."""
        n = self.n_landmarks
        self.rate.fill_(found.rate)
        self.landmarks[:n] = torch.from_numpy(found.rows)
        self.whitening[:n, :n] = torch.from_numpy(found.whitening)
        self.centre[:n] = torch.from_numpy(found.centre)

    def forward(self, x):
        """Return phi of rows (batch, n_features), of shape (batch, n_landmarks)."""
        n_rows = len(x)
        if isinstance(x, SparseRows):
            products = pad(x.product(self.landmarks.T.contiguous()), (0, 0, 0, -n_rows % _TILE))
            squares = pad(x.squares(), (0, -n_rows % _TILE))
        else:
            x = pad(x, (0, 0, 0, -n_rows % _TILE))
            products = product(x, self.landmarks.T)
            squares = (x * x).sum(dim=1)
        lengths = (self.landmarks * self.landmarks).sum(dim=1)
        distances = (squares[:, None] + lengths - 2 * products).clamp(min=0)
        similarity = torch.exp(-self.rate * distances) - self.centre
        return product(similarity, self.whitening)[:n_rows, : self.n_landmarks]

    def write(self, graph, x):
        """Add the map to an ONNX graph; return the name of its output."""
        buffers = self.landmarks, self.whitening, self.centre
        n = self.n_landmarks
        landmarks, whitening, centre = (buffer.detach().cpu().numpy()[:n] for buffer in buffers)
        whitening = np.ascontiguousarray(whitening[:, :n])
        squares = graph.add("ReduceSumSquare", x, np.array([1]), keepdims=1)
        lengths = (landmarks * landmarks).sum(axis=1)
        near = graph.add("MatMul", x, np.ascontiguousarray(-2 * landmarks.T))
        distances = graph.add("Add", graph.add("Add", near, lengths), squares)
        distances = graph.add("Max", distances, np.float32(0))
        similarity = graph.add("Exp", graph.add("Mul", distances, np.float32(-self.rate.item())))
        return graph.add("MatMul", graph.add("Sub", similarity, centre), whitening)


class Kernel(Linear):
    """z = unit(W x + V phi(x) + b), phi the whitened similarities to landmarks.

    Phi is fixed once fit has chosen the landmarks, up to 1,000 of the rows. It takes memory for
    landmarks x (features + landmarks) numbers per modality, and rows x landmarks in a batch.
    Sparse rows have no part W x. Names of augmentations mean those of the features (x, phi(x)),
    which are computed once if they fit in memory; a function of a user's own gets the rows.

    Parameters
    ----------
    members, n_features, n_components, hidden_layer_sizes, generator
        As in `Residual`.
    n_landmarks : list of int
        Number of landmarks of each member.
    is_sparse : bool, default=False
        Whether rows are sparse.
    has_features : bool, default=True
        Whether features are augmented, in place of the rows.
    """

    is_mapped = True

    def __init__(
        self,
        members,
        n_features,
        n_components,
        hidden_layer_sizes,
        generator,
        n_landmarks,
        is_sparse=False,
        has_features=True,
    ):
        own = [0] * len(n_features) if is_sparse else n_features
        widths = [d + n for d, n in zip(own, n_landmarks, strict=True)]
        super().__init__(members, widths, n_components, (), generator)
        self.n_rows_features = list(n_features)
        self.n_linear = list(own)
        self.has_features = has_features
        self.maps = nn.ModuleList(map(KernelMap, n_features, n_landmarks))

    @staticmethod
    def options(specs):
        """Return further arguments for members with these ModalitySpecs."""
        return {
            "n_landmarks": [spec.n_landmarks for spec in specs],
            "is_sparse": specs[0].is_sparse,
            "has_features": not callable(specs[0].augmentation),
        }

    def spread_of_features(self, spread):
        """Return the standard deviations of the features for those of the rows; phi has 1."""
        parts = spread.split(self.n_rows_features)
        pairs = zip(parts, self.n_linear, self.maps, strict=True)
        return torch.cat(
            [t for part, n, phi in pairs for t in (part[:n], part.new_ones(phi.n_landmarks))]
        )

    def fit_map(self, k, rows, gamma, seed):
        """Choose the landmarks of member k among prepared rows."""
        n_landmarks = self.maps[k].n_landmarks
        self.maps[k].fill(fit_landmarks(rows, gamma, n_landmarks, seed))

    def features(self, x):
        """Return rows and phi side by side, (batch, sum of widths)."""
        if isinstance(x, SparseRows):
            return self._one(0, x)
        parts = x.flatten(1).split(self.n_rows_features, dim=1)
        return torch.cat([self._one(k, part) for k, part in enumerate(parts)], dim=1)

    def _one(self, k, x):
        """Return the features of member k, (batch, n_features[k])."""
        phi = self.maps[k](x)
        return torch.cat([x, phi], dim=1) if self.n_linear[k] else phi

    def forward(self, x):
        """Encode features, or rows if they are augmented, to (n_members, batch, n_components)."""
        return super().forward(x if self.has_features else self.features(x))

    def encode(self, k, x):
        """Encode rows of member k alone: (batch, n_features[k]) to (batch, n_components)."""
        return super().encode(k, self._one(k, x.flatten(1)))

    def start_rows(self, k, rows, n_samples):
        """Return phi, and the rows beside it where many more are known than there are landmarks."""
        with torch.no_grad():
            if sparse.issparse(rows):
                dense = SparseRows.from_csr(rows, "cpu")
                return self.maps[k](dense).numpy()
            phi = self.maps[k](torch.from_numpy(rows).flatten(1)).numpy()
        if n_samples <= _ROWS_PER_LANDMARK * phi.shape[1]:
            return phi
        return np.hstack([rows.reshape(len(rows), -1), phi])

    def start_linear_part(self, k, weight, bias, share):
        """Set the columns of (W, V) of member k; W starts at zero if only V is given."""
        missing = self.n_features[k] - len(weight)
        super().start_linear_part(k, np.pad(weight, ((missing, 0), (0, 0))), bias, share)

    def write(self, graph, x, k):
        """Add the encoder of member k to an ONNX graph, up to the scaling to unit length."""
        phi = self.maps[k].write(graph, x)
        if self.n_linear[k]:
            phi = graph.add("Concat", x, phi, axis=1)
        return super().write(graph, phi, k)
