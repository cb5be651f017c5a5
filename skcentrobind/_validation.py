"""From every form of input to checked `Modalities` and a mask of what is present."""

import difflib
import math
import warnings

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array, validate_data

from skcentrobind._inputs import (
    from_collection,
    from_matrix,
    is_collection,
    is_frame,
    is_index,
    plain_tensor,
)
from skcentrobind._modalities import Modalities

# Values looked at at a time when data are searched for NaN and infinity.
_CHUNK_VALUES = 2**20

# Encoders compute in float32.
_LARGEST = np.finfo(np.float32).max


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
        checked, flat = from_matrix(estimator, X, reset)
    elif estimator.modalities is not None:
        raise ValueError(
            f"modalities={estimator.modalities!r} says how to cut a 2-D array, but X comes as "
            f"{type(X).__name__} of separate arrays already; leave modalities=None."
        )
    elif is_deep_frame:
        checked = Modalities.from_frame(X)
        flat = X.set_axis([f"{name}/{feature}" for name, feature in X.columns], axis=1)
    else:
        checked = flat = from_collection(estimator, X, reset)
    if reset:
        check_enough_samples(checked, type(estimator).__name__)
        estimator.modality_names_ = list(checked.names)
        estimator._row_shapes = [array.shape[1:] for array in checked.arrays]
        estimator._is_sparse = [sparse.issparse(array) for array in checked.arrays]
        estimator.n_features_per_modality_ = checked.n_features
    else:
        named = is_deep_frame or isinstance(X, Modalities | dict)
        checked = _match_fitted(estimator, checked, named)
    if flat is not None:
        validate_data(estimator, flat, reset=reset, skip_check_array=True)
    checked = Modalities(dict(_plain_items(checked, estimator._is_sparse)))
    present = checked.present
    _check_values(checked, present, reset)
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
    if isinstance(modality, str) and modality in names:
        position = names.index(modality)
    elif is_index(modality) and -len(names) <= modality < len(names):
        position = range(len(names))[modality]
    else:
        raise ValueError(f"modality must be a name or position of {names}, got {modality!r}.")
    single = Modalities({names[position]: plain_tensor(X_m)})
    _check_shapes(single, names[position : position + 1], estimator._row_shapes[position:])
    single = Modalities(dict(_plain_items(single, estimator._is_sparse[position:])))
    present = single.present[:, 0]
    _check_finite(names[position], single.arrays[0], present)
    return position, single.arrays[0], present


def check_out(out, shape):
    """Return an array to write embeddings to, zeros if None is given."""
    if out is None:
        return np.zeros(shape, dtype=np.float32)
    if getattr(out, "shape", None) != shape:
        raise ValueError(f"out must be an array of shape {shape}, got {np.shape(out)}.")
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


def per_modality(value, names, parameter):
    """Spread a parameter that may be one value, a list or a dict over the modalities.

    Parameters
    ----------
    value : object, list, tuple or dict
        One value for all, one a modality in their order, or one by name.
    names : list of str
        The modalities.
    parameter : str
        Name of the parameter, for messages.

    Returns
    -------
    values : list
        One a modality.
    """
    if isinstance(value, dict):
        if set(value) != set(names):
            raise ValueError(
                f"{parameter} has entries for {sorted(map(str, value))}, but the modalities are "
                f"{names}; give one entry for each."
            )
        return [value[name] for name in names]
    if isinstance(value, list | tuple):
        if len(value) != len(names):
            raise ValueError(
                f"{parameter} has {len(value)} entries for {len(names)} modalities {names}; give "
                "one for each, or a single value for all."
            )
        return list(value)
    return [value] * len(names)


def _match_fitted(estimator, X, named):
    """Bring `Modalities` into the fitted order and compare names and shapes."""
    names = estimator.modality_names_
    if X.n_modalities != len(names):
        raise ValueError(
            f"X has {X.n_modalities} modalities {list(X.names)}, but "
            f"{type(estimator).__name__} was fitted with {len(names)}: {names}. Pass None for an "
            "absent modality at transform. Note that scikit-learn's splitters (GridSearchCV, "
            "cross_val_score, ...) cut a bare list over its modalities: wrap it in Modalities(X)."
        )
    if named:
        unknown = [name for name in X.names if name not in names]
        if unknown:
            close = difflib.get_close_matches(unknown[0], names, n=1)
            hint = f" Did you mean '{close[0]}' for '{unknown[0]}'?" if close else ""
            raise ValueError(
                f"X has modalities {list(X.names)}, but {type(estimator).__name__} was fitted "
                f"with {names}.{hint} Rename them, or pass a plain list in the fitted order."
            )
        X = X[names]
    else:
        X = Modalities(X.arrays, names)
    _check_shapes(X, names, estimator._row_shapes)
    return X


def _check_shapes(X, names, expected):
    for name, array, shape in zip(names, X.arrays, expected, strict=False):
        if array.shape[1:] == shape:
            continue
        fits = [other for other, s in zip(names, expected, strict=False) if s == array.shape[1:]]
        hint = f" It has the shape of '{fits[0]}': are modalities swapped?" if fits else ""
        raise ValueError(
            f"Modality '{name}' has {_features(array.shape[1:])}, but was fitted with "
            f"{_features(shape)}.{hint}"
        )


def _features(shape):
    if len(shape) == 1:
        return f"{shape[0]} features"
    return f"{math.prod(shape)} features in rows of shape {shape}"


def _plain_items(X, is_sparse):
    """Yield names and numeric arrays, CSR where the modality was sparse in fit."""
    for (name, array), wants_sparse in zip(X.items(), is_sparse, strict=False):
        if is_frame(array):
            array = check_array(array, ensure_all_finite="allow-nan", input_name=name)
        if sparse.issparse(array) and not wants_sparse:
            raise TypeError(
                f"Modality '{name}' is a sparse matrix, but was dense in fit. Use .toarray(), or "
                "fit on a sparse matrix."
            )
        if wants_sparse:
            array = sparse.csr_array(array)
            if not array.has_canonical_format:
                # In a copy, since the matrix is the user's.
                array = array.copy()
                array.sum_duplicates()
        yield name, array


def _check_values(X, present, reset):
    """Refuse infinities, rows that are partly NaN, and samples or modalities without data."""
    for m, (name, array) in enumerate(X.items()):
        _check_finite(name, array, present[:, m])
        n_present = int(present[:, m].sum())
        if reset and n_present < 2:
            raise ValueError(
                f"Modality '{name}' is present in {n_present} of {len(X)} samples, but at least 2 "
                "are needed to learn its encoder; leave the modality out."
            )
    empty = np.flatnonzero(~present.any(axis=1))
    if len(empty):
        raise ValueError(
            f"{len(empty)} of {len(X)} samples have no modality at all (only NaN), for example "
            f"row {empty[0]}; drop these rows: X[X.present.any(axis=1)]."
        )


def _check_finite(name, array, present):
    if array.dtype.kind != "f":
        return
    if sparse.issparse(array):
        # Stored entries one below the other, each present if its row is.
        row_of = np.arange(len(present)).repeat(np.diff(array.indptr))
        bad = np.flatnonzero(~(np.abs(array.data) <= _LARGEST) & present[row_of])
        if len(bad):
            row = row_of[bad[0]]
            _refuse_row(name, array.data[row_of == row], row)
        return
    step = max(1, _CHUNK_VALUES // math.prod(array.shape[1:]))
    for start in range(0, len(array), step):
        block = array[start : start + step]
        # False where a value is NaN, too.
        if block.min() >= -_LARGEST and block.max() <= _LARGEST:
            continue
        block = block.reshape(len(block), -1)[present[start : start + step]]
        bad = ~(np.abs(block) <= _LARGEST)
        if not bad.any():
            continue
        within = int(np.flatnonzero(bad.any(axis=1))[0])
        row = start + int(np.flatnonzero(present[start : start + step])[within])
        _refuse_row(name, block[within], row)


def _refuse_row(name, values, row):
    """Say what is wrong with the values of a row, of which some are NaN or too large."""
    bad = ~(np.abs(values) <= _LARGEST)
    if not np.isnan(values).any():
        raise ValueError(
            f"Modality '{name}' contains infinity or a value too large for float32, first in "
            f"row {row}. Clip or rescale it, or mark the sample as lacking the modality by a "
            "row of NaN."
        )
    raise ValueError(
        f"Modality '{name}' contains NaN in {int(bad.sum())} of {len(values)} "
        f"values of row {row}. A whole row of NaN means that the sample lacks the modality; a "
        "partly missing row must be imputed first, for example with SimpleImputer."
    )


def warn_of_unbound(present, names, anchor):
    """Warn of modalities that nothing ties to the shared space, since no two samples have both.

    Parameters
    ----------
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    names : list of str
        The modalities.
    anchor : BaseAnchor
        Knows its sources and which encoders are frozen.
    """
    meetings = present.T.astype(np.int64) @ present  # (n_modalities, n_modalities)
    everyone = range(len(names))
    sources = anchor.sources() or everyone
    for m in sorted(set(everyone) - set(anchor.frozen())):
        others = [s for s in sources if s != m]
        if others and meetings[m, others].max() < 2:
            warnings.warn(
                f"Modality '{names[m]}' shares fewer than 2 samples with "
                f"{', '.join(repr(names[s]) for s in others)}, so it is not bound to the shared "
                "space: its embeddings can be compared with no other modality's. Give samples "
                "that have both, or leave it out.",
                UserWarning,
                stacklevel=4,
            )
