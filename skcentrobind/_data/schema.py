"""Names, columns and shapes of the modalities: what fit learns of them, transform compares."""

import difflib
import math
import warnings

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skcentrobind._data.forms import is_frame, items_of
from skcentrobind._data.modalities import Modalities


def learn_layout(estimator, X, columns):
    """Remember names, shapes and columns of the modalities.

    Parameters
    ----------
    estimator : estimator
        Learns `modality_names_`, `n_features_per_modality_` and, unless `columns` is None,
        `n_features_in_` and, if all columns have names, `feature_names_in_`.
    X : Modalities
        Input of fit.
    columns : dict or None
        For each modality a list of str or None; None if scikit-learn has learned them.
    """
    estimator.modality_names_ = list(X.names)
    estimator._row_shapes = [array.shape[1:] for array in X.arrays]
    estimator._is_sparse = [sparse.issparse(array) for array in X.arrays]
    estimator.n_features_per_modality_ = X.n_features
    estimator._columns = columns or dict.fromkeys(X.names)
    if columns is None:
        return
    validate_data(estimator, X, reset=True, skip_check_array=True)
    if None not in columns.values():
        labels = [label for name in X.names for label in _label(name, columns[name])]
        estimator.feature_names_in_ = np.asarray(labels, dtype=object)


def match_layout(estimator, X, columns, named):
    """Bring `Modalities` into the fitted order and compare names, columns and shapes.

    Parameters
    ----------
    estimator : fitted estimator
        Knows what `learn_layout` stored.
    X : Modalities
        Input of transform.
    columns : dict or None
        For each modality a list of str or None; None if scikit-learn has compared them.
    named : bool
        Whether the names of `X` come from the user, or only its order counts.

    Returns
    -------
    X : Modalities
        In the fitted order.
    """
    X = _match_names(estimator, X, named)
    for name, got in (columns or {}).items():
        check_columns(estimator, name, got)
    check_shapes(X, estimator.modality_names_, estimator._row_shapes)
    return X


def check_columns(estimator, name, got):
    """Compare the columns of one modality with those seen in fit, if both have names.

    Parameters
    ----------
    estimator : fitted estimator
        Knows what `learn_layout` stored.
    name : str
        The modality.
    got : list of str or None
        Names of its columns; an empty list if it is absent.
    """
    expected = estimator._columns[name]
    if got == [] or got == expected:
        return
    if expected is None or got is None:
        state = (
            "has feature names, but {} was fitted without feature names"
            if expected is None
            else "does not have valid feature names, but {} was fitted with feature names"
        )
        warnings.warn(
            f"Modality '{name}' {state.format(type(estimator).__name__)}", UserWarning, stacklevel=2
        )
        return
    try:
        compare_columns(_label(name, expected), _label(name, got))
    except ValueError as exc:
        raise ValueError(f"Modality '{name}': {exc}") from None


def _label(name, columns):
    return [f"{name}/{column}" for column in columns]


def _match_names(estimator, X, named):
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
        return X[names]
    return Modalities(X.arrays, names)


def check_shapes(X, names, expected):
    """Compare the shapes of rows with those seen in fit, `expected`, one a modality."""
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
    if not shape:
        return "one object a row"
    if len(shape) == 1:
        return f"{shape[0]} features"
    return f"{math.prod(shape)} features in rows of shape {shape}"


class _Columns(BaseEstimator):
    """Learns and compares names of columns, as every estimator does."""


def column_names(X):
    """Names of the columns of each modality, as far as there are any.

    Parameters
    ----------
    X : Modalities, dict, list or DataFrame with two-level columns
        The modalities as they came, where an item may be None.

    Returns
    -------
    names : list
        One entry a modality, in the order of `X`: a list of str, None if it has no names, or an
        empty list if the modality is absent.
    """
    if is_frame(X):
        blocks = {}
        for name, column in X.columns:
            blocks.setdefault(name, []).append(str(column))
        return list(blocks.values())
    names = []
    for item in items_of(X):
        holder = _Columns()
        if hasattr(item, "columns"):
            validate_data(holder, item, reset=True, skip_check_array=True)
        known = getattr(holder, "feature_names_in_", [] if item is None else None)
        names.append(known if known is None else [str(column) for column in known])
    return names


def compare_columns(expected, got):
    """Raise scikit-learn's own error if names of columns differ from those seen in fit."""
    import pandas as pd

    holder = _Columns()
    validate_data(holder, pd.DataFrame(columns=expected), reset=True, skip_check_array=True)
    validate_data(holder, pd.DataFrame(columns=got), reset=False, skip_check_array=True)
