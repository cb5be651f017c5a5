"""From every form of input to checked `Modalities` and a mask of what is present."""

import warnings

import numpy as np

from skcentrobind._data.forms import (
    from_collection,
    from_matrix,
    is_collection,
    is_frame,
    plain_tensor,
)
from skcentrobind._data.items import check_numeric
from skcentrobind._data.modalities import Modalities
from skcentrobind._data.schema import (
    check_columns,
    check_shapes,
    column_names,
    learn_layout,
    match_layout,
)
from skcentrobind._data.values import check_finite, check_values, plain_items
from skcentrobind._names import position_of


def check_modalities(estimator, X, *, reset):
    """Turn any supported input into `Modalities`, checked against what was fitted.

    Parameters
    ----------
    estimator : estimator
        Its parameter `modalities` says how a 2-D array is cut; with `reset` it learns
        `modality_names_`, `n_features_per_modality_`, `n_features_in_` and, from a DataFrame,
        `feature_names_in_`.
    X : list, dict, Modalities, DataFrame or array
        Input of fit (`reset=True`) or of transform, where an item may be None.
    reset : bool
        Whether this is fit.

    Returns
    -------
    X : Modalities of shape (n_samples, n_features)
        Dense arrays and CSR matrices; absent rows are NaN.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    """
    X = plain_tensor(X)
    is_deep_frame = is_frame(X) and X.columns.nlevels > 1
    if not (is_deep_frame or isinstance(X, Modalities) or is_collection(X)):
        # scikit-learn itself learns and compares the names of its columns.
        checked, columns = from_matrix(estimator, X, reset), None
    elif estimator.modalities is not None:
        raise ValueError(
            f"modalities={estimator.modalities!r} says how to cut a 2-D array, but X comes as "
            f"{type(X).__name__} of separate arrays already; leave modalities=None."
        )
    else:
        checked = (
            Modalities.from_frame(X) if is_deep_frame else from_collection(estimator, X, reset)
        )
        for name, array in checked.items():
            check_numeric(array, name)
        columns = dict(zip(checked.names, column_names(X), strict=True))
    if reset:
        check_enough_samples(checked, type(estimator).__name__)
        learn_layout(estimator, checked, columns)
    else:
        named = is_deep_frame or isinstance(X, Modalities | dict)
        checked = match_layout(estimator, checked, columns, named)
    checked = Modalities(dict(plain_items(checked, estimator._is_sparse)))
    present = checked.present
    check_values(checked, present, reset)
    return checked, present


def check_one_modality(estimator, X_m, modality):
    """Check rows of a single modality against what was fitted.

    Parameters
    ----------
    estimator : fitted estimator
        Knows names and shapes.
    X_m : array-like of shape (n_samples, ...)
        Rows of the modality.
    modality : str or int
        Its name or position.

    Returns
    -------
    position : int
        Which modality it is.
    array : ndarray of shape (n_samples, ...)
        The rows.
    present : ndarray of bool of shape (n_samples,)
        Which rows are not all NaN.
    """
    names = estimator.modality_names_
    position = find_modality(names, modality)
    single = Modalities({names[position]: plain_tensor(X_m)})
    check_numeric(single.arrays[0], names[position])
    check_columns(estimator, names[position], *column_names([X_m]))
    check_shapes(single, names[position : position + 1], estimator._row_shapes[position:])
    single = Modalities(dict(plain_items(single, estimator._is_sparse[position:])))
    present = single.present[:, 0]
    check_finite(names[position], single.arrays[0], present)
    return position, single.arrays[0], present


def find_modality(names, modality):
    """Position of a modality that is given by name or position, the latter also from the end."""
    position = position_of(modality, names)
    if position is None:
        raise ValueError(f"modality must be a name or position of {names}, got {modality!r}.")
    return position


def check_out(out, shape):
    """Return an array to write embeddings to, zeros for None; refuse what cannot hold any."""
    if out is None:
        return np.zeros(shape, dtype=np.float32)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array of shape {shape}, got {type(out).__name__}.")
    if out.shape != shape:
        raise ValueError(f"out must be an array of shape {shape}, got {out.shape}.")
    if out.dtype.kind != "f":
        raise ValueError(
            f"out must hold floating-point numbers, got dtype {out.dtype}, which would cut off the "
            f"embeddings: use np.empty({shape}, dtype=np.float32)."
        )
    if not out.flags.writeable:
        raise ValueError("out is read-only; open a memory map with mode 'r+' or 'w+'.")
    return out


def check_enough_samples(X, caller):
    """Refuse a single sample; `caller` is who says so."""
    if len(X) < 2:
        raise ValueError(
            f"Found Modalities with {len(X)} sample(s) while a minimum of 2 is required by "
            f"{caller}, which compares samples with one another."
        )


def check_input_features(estimator, names):
    """Compare the names that are passed to `get_feature_names_out` with those seen in fit."""
    if names is None:
        return
    expected = getattr(estimator, "feature_names_in_", None)
    if expected is not None and not np.array_equal(names, expected):
        raise ValueError(f"input_features is not equal to feature_names_in_, got {list(names)}.")
    if len(names) != estimator.n_features_in_:
        raise ValueError(
            "input_features should have length equal to number of features "
            f"({estimator.n_features_in_}), got {len(names)}."
        )


def count_shared(present):
    """Samples that have both of two modalities, (n_modalities, n_modalities)."""
    return present.T.astype(np.int64) @ present


def warn_of_unbound(present, names, objective):
    """Warn of modalities that nothing ties to the shared space, since no two samples have both.

    Parameters
    ----------
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    names : list of str
        The modalities.
    objective : BaseLoss
        Knows what the modalities are bound to, and which encoders are frozen.
    """
    shared = count_shared(present)
    everyone = range(len(names))
    sources = objective.sources() or everyone
    for m in sorted(set(everyone) - set(objective.frozen())):
        others = [s for s in sources if s != m]
        if others and shared[m, others].max() < 2:
            warnings.warn(
                f"Modality '{names[m]}' shares fewer than 2 samples with "
                f"{', '.join(repr(names[s]) for s in others)}, so it is not bound to the shared "
                "space: its embeddings can be compared with no other modality's. Give samples "
                "that have both, or leave it out.",
                UserWarning,
                stacklevel=4,
            )
