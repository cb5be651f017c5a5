"""Random data of the fuzz campaign, in every form that the package accepts.

Values are multiples of 1/64 below 8, so that float64, float32 and float16 hold them exactly: the
same numbers in any form must give the same embeddings.
"""

import io
from collections import OrderedDict, UserDict
from types import MappingProxyType

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from skcentrobind import Modalities

# No digits, which are positions of others, too: that is the case `keys`.
NAMES = ["image", "text", "audio", "gene", "a", "b", "naïve name", "modality1", "a b", "x/y"]

#: What the package warns of in data that are small and drawn at random.
EXPECTED_WARNINGS = [
    "are constant and are ignored",
    "shares fewer than 2 samples",
    "hold",
    "of the queries other",
]


def draw_arrays(rng, n_modalities=None, n_samples=None, missing=None):
    """Return a dict of arrays that share a latent, some rows of NaN; every sample has one."""
    n_modalities = n_modalities or int(rng.choice([1, 2, 2, 3, 4]))
    n_samples = n_samples or int(rng.integers(8, 33))
    names = [str(name) for name in rng.choice(NAMES, n_modalities, replace=False)]
    latent = rng.normal(size=(n_samples, 3))
    arrays = {}
    for name in names:
        width = int(rng.integers(2, 7))
        values = latent @ rng.normal(size=(3, width)) + 0.3 * rng.normal(size=(n_samples, width))
        arrays[name] = np.clip(np.round(values * 32) / 64, -7, 7)
    if missing is None:
        missing = n_modalities > 1 and rng.random() < 0.4
    if missing:
        present = rng.random((n_samples, n_modalities)) < 0.7
        present[np.arange(n_samples), np.arange(n_samples) % n_modalities] = True
        present[: 2 + n_modalities] = True
        for here, array in zip(present.T, arrays.values(), strict=True):
            array[~here] = np.nan
    return arrays


def is_complete(arrays):
    return not any(np.isnan(array).any() for array in arrays.values())


def npz(arrays):
    """Return an open file of arrays, as np.load does."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    stream.seek(0)
    return np.load(stream)


def shuffled_coo(array, rng):
    """Return a sparse matrix with duplicates and entries in any order."""
    coo = sparse.coo_matrix(array)
    order = rng.permutation(coo.nnz)
    data, row, col = coo.data[order], coo.row[order], coo.col[order]
    halves = np.concatenate([data / 2, data / 2])
    return sparse.coo_matrix((halves, (np.tile(row, 2), np.tile(col, 2))), shape=coo.shape)


def explicit_zeros(array, rng):
    """Return a CSR matrix that stores some of its zeros."""
    csr = sparse.csr_matrix(array)
    mask = (array == 0) & (rng.random(array.shape) < 0.5)
    rows, columns = np.nonzero(mask)
    zeros = sparse.coo_matrix((np.zeros(len(rows)), (rows, columns)), shape=array.shape)
    both = sparse.coo_matrix(
        (
            np.concatenate([csr.tocoo().data, zeros.data]),
            (
                np.concatenate([csr.tocoo().row, zeros.row]),
                np.concatenate([csr.tocoo().col, zeros.col]),
            ),
        ),
        shape=array.shape,
    )
    return both.tocsr()


#: Forms of one array with the same numbers.
ITEMS = {
    "float64": lambda a, rng: a,
    "float32": lambda a, rng: a.astype(np.float32),
    "float16": lambda a, rng: a.astype(np.float16),
    "big-endian": lambda a, rng: a.astype(">f8"),
    "fortran": lambda a, rng: np.asfortranarray(a),
    "strided": lambda a, rng: np.repeat(a, 2, axis=0)[::2],
    "reversed": lambda a, rng: a[::-1].copy()[::-1],
    "read-only": lambda a, rng: read_only(a),
    "nested lists": lambda a, rng: a.tolist(),
    "tensor": lambda a, rng: torch.tensor(a),
    "tensor with gradient": lambda a, rng: torch.tensor(a, requires_grad=True),
    "frame": lambda a, rng: pd.DataFrame(a, columns=[f"c{i}" for i in range(a.shape[1])]),
    "frame of numbers": lambda a, rng: pd.DataFrame(a),
    "nullable frame": lambda a, rng: pd.DataFrame(a).astype("Float64"),
    "float32 frame": lambda a, rng: pd.DataFrame(a.astype(np.float32)),
    "pictures": lambda a, rng: a.reshape(len(a), 1, -1),
    "vectors": lambda a, rng: vectors(a),
    "column of vectors": lambda a, rng: pd.DataFrame({"embedding": vectors(a)}),
}


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def vectors(array):
    """Return a Series whose cells are vectors, None where a row is missing."""
    cells = [None if np.isnan(row).all() else row.copy() for row in array]
    series = pd.Series([None] * len(cells), dtype=object)
    for i, cell in enumerate(cells):
        series.iat[i] = cell
    return series


#: Forms of all arrays together; each gets names back, or "modality0", ...
COLLECTIONS = {
    "dict": lambda items: dict(items),
    "OrderedDict": lambda items: OrderedDict(items),
    "UserDict": lambda items: UserDict(items),
    "MappingProxyType": lambda items: MappingProxyType(dict(items)),
    "list": lambda items: list(items.values()),
    "tuple": lambda items: tuple(items.values()),
    "Modalities": lambda items: Modalities(dict(items)),
    "Modalities of a list": lambda items: Modalities(list(items.values())),
}


def draw_form(rng, arrays):
    """Return a name, the same data in a random form, and parameters that go with it."""
    kind = rng.choice(["items", "items", "items", "npz", "deep frame", "matrix", "memmap"])
    if kind == "npz":
        return "npz", npz(arrays), {}
    if kind == "deep frame":
        frames = {name: pd.DataFrame(array) for name, array in arrays.items()}
        return "deep frame", pd.concat(frames, axis=1), {}
    widths = {name: array.shape[1] for name, array in arrays.items()}
    if kind == "matrix":
        whole, ends = np.hstack(list(arrays.values())), np.cumsum(list(widths.values()))
        cuts = {
            "widths": widths,
            "ranges": {k: range(e - w, e) for (k, w), e in zip(widths.items(), ends, strict=True)},
            "slices": {k: slice(e - w, e) for (k, w), e in zip(widths.items(), ends, strict=True)},
            "lists": {
                k: list(range(e - w, e)) for (k, w), e in zip(widths.items(), ends, strict=True)
            },
        }
        name = str(rng.choice(list(cuts)))
        return f"matrix cut by {name}", whole, {"modalities": cuts[name]}
    names = [str(rng.choice(list(ITEMS))) for _ in arrays]
    items = {
        k: ITEMS[form](array, rng) for form, (k, array) in zip(names, arrays.items(), strict=True)
    }
    collection = str(rng.choice(list(COLLECTIONS)))
    return f"{collection} of {', '.join(names)}", COLLECTIONS[collection](items), {}


def draw_params(rng, n_modalities=2):
    """Return valid parameters of every estimator."""
    params = {
        "n_components": int(rng.integers(2, 6)),
        "hidden_layer_sizes": tuple(rng.integers(2, 6, size=rng.integers(0, 3)).tolist()),
        "encoder": str(rng.choice(["residual", "mlp", "linear", "kernel", "auto"])),
        "shrinkage": rng.choice(np.array(["oas", "auto", 0.3], object)),
        "init": str(rng.choice(["gcca", "random"])),
        "temperature": float(rng.choice([0.05, 0.2, 1.0])),
        "augmentation": rng.choice(np.array(["gaussian", "mask", "marginal", None], object)),
        "standardize": bool(rng.random() < 0.8),
        "batch_size": int(rng.choice([4, 8, 256])),
        "max_epochs": int(rng.integers(1, 3)),
        "learning_rate": float(rng.choice([1e-3, 1e-2])),
        "pretrain_epochs": int(rng.choice([0, 0, 1])),
        "random_state": int(rng.integers(1000)),
    }
    if rng.random() < 0.15:
        params["n_specific_components"] = 2
    if rng.random() < 0.15:
        params["learn_temperature"] = True
    if rng.random() < 0.15:
        params["standardize"] = str(rng.choice(["whiten", "robust"]))
    if rng.random() < 0.15:
        params["regularizers"] = {"uniformity": 0.1}
    return params
