"""Choose features and shrinkage of the closed-form start among what parameters leave open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from skcentrobind._data.kernels import MAX_VALUES, is_wide
from skcentrobind._data.per_sample import repeated_codes, uneven_weights
from skcentrobind._data.statistics import ALONE, prepare
from skcentrobind.model_selection._candidates import (
    GAMMAS,
    MAX_ROWS,
    MIN_ROWS,
    SHRINKAGES,
    Rows,
    best_of,
    narrowest,
    score_candidates,
)

if TYPE_CHECKING:
    from pandas import DataFrame

#: Encoders with a linear part, which start in closed form.
_LINEAR = ("auto", "residual", "linear", "kernel")

#: Components that candidates are compared in, and those that the best one is then tried with.
_WIDTH, _WIDTHS = 64, (64, 128, 256)


# Among fewer rows, a search in a third of them favours kernels that are too narrow for more.
_FEW_ROWS = 48


class Open(NamedTuple):
    """What parameters say of the start, one value per modality, "auto" for what is open.

    Attributes
    ----------
    encoders : list
        Names of encoders; a user's own stand for themselves.
    gammas : list of float or "auto"
        Widths of kernels.
    shrinkage : float, "oas" or "auto"
        Shrinkage of the covariances; "oas" is the formula of `shrinkage_of`.
    """

    encoders: list
    gammas: list
    shrinkage: Any

    @property
    def number(self) -> float | None:
        """The shrinkage as `generalized_cca` takes it."""
        return None if isinstance(self.shrinkage, str) else float(self.shrinkage)


class Choice(NamedTuple):
    """What was chosen.

    Attributes
    ----------
    encoders : list
        As in `Open`, without "auto".
    gammas : list of float or "auto"
        As in `Open`; "auto" is left where no kernel is taken.
    shrinkage : float or None
        None for the formula.
    table : list of dict
        What was tried, one row per candidate.
    n_components : int or None
        Width of the shared space; None where nothing was compared.
    """

    encoders: list
    gammas: list
    shrinkage: float | None
    table: list[dict[str, Any]]
    n_components: int | None = None


def choose_features(
    X: Any,
    present: np.ndarray,
    scalers: Sequence[Any],
    given: Open,
    rows: np.ndarray | None = None,
    seed: int = 0,
) -> Choice:
    """Choose features and shrinkage by three-fold cross-validation on some of the rows.

    Parameters
    ----------
    X : Modalities
        Checked data.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    scalers : list of scaler or None
        How each modality is scaled.
    given : Open
        What is open.
    rows : ndarray of int, default=None
        Rows of X to use, None for all.
    seed : int, default=0
        Seed of the rows that are looked at, and of the folds.

    Returns
    -------
    choice : Choice
        Residual encoders and the formula, with an empty table, if nothing can be compared: one
        modality, or too few samples with two of them.
    """
    widths = [math.prod(array.shape[1:]) for array in X.arrays]
    encoders = [
        "residual" if isinstance(e, str) and e == "auto" and is_wide(width) else e
        for e, width in zip(given.encoders, widths, strict=True)
    ]
    given = given._replace(encoders=encoders)
    members = [m for m, e in enumerate(encoders) if isinstance(e, str) and e in _LINEAR]
    kinds = {kind: _kind(given, members, kind) for kind in _kinds(given, members)}
    shrinkages = SHRINKAGES if given.shrinkage == "auto" else (given.number,)
    rows = np.arange(len(present)) if rows is None else rows
    has = present[rows][:, list(members)]
    rows = rows[has.sum(axis=1) > 1]
    if len(rows) < _FEW_ROWS and len(kinds) > 1:
        kinds = {kind: own for kind, own in kinds.items() if kind in (None, GAMMAS[0])}
    n_ways = len(kinds) * len(shrinkages)
    if (
        len(members) < 2
        or len(rows) < MIN_ROWS
        or n_ways == 1
        or _few_of_any(X, present, rows, members)
    ):
        kind = None if None in kinds else next(iter(kinds))
        return _choice(given, members, kinds[kind], shrinkages[0], [])
    dense = sum(widths[m] for m in members if not sparse.issparse(X.arrays[m]))
    most = min(MAX_ROWS, max(MIN_ROWS, MAX_VALUES // max(1, dense)))
    looked_at = _rows_of(X, present, scalers, members, _some(rows, most, seed))
    with ALONE:
        tried = score_candidates(looked_at, list(kinds.values()), shrinkages, _WIDTH, seed)
    has_more_rows = len(rows) > len(looked_at.present)
    best, n_folds = best_of(tried, has_more_rows), max(len(one.scores) for one in tried)
    names = [kind for kind in kinds for _ in shrinkages]
    table = [
        {
            "encoder": "residual" if kind is None else "kernel",
            "gamma": np.nan if kind is None else kind,
            "shrinkage": "oas" if one.shrinkage is None else one.shrinkage,
            "epochs": 0,
            "score": float(np.mean(one.scores)) if len(one.scores) == n_folds else np.nan,
            "seconds": one.seconds,
            "taken": i == best,
        }
        for i, (kind, one) in enumerate(zip(names, tried, strict=True))
    ]
    with ALONE:
        width = narrowest(looked_at, tried[best], _WIDTHS, seed)
    return _choice(given, members, tried[best].gammas, tried[best].shrinkage, table, width)


def _kinds(given: Open, members: Sequence[int]) -> list[float | None]:
    """Return the common widths of kernels to try; None stands for the features themselves."""
    encoders = [given.encoders[m] for m in members]
    open_kernels = [
        given.gammas[m] == "auto" for m in members if given.encoders[m] in ("auto", "kernel")
    ]
    kinds: list[float | None] = [None] if "auto" in encoders or "kernel" not in encoders else []
    if any(open_kernels):
        return [*kinds, *GAMMAS]
    return [*kinds, GAMMAS[1]] if open_kernels else kinds


def _kind(given: Open, members: Sequence[int], kind: float | None) -> tuple[float | None, ...]:
    """Return the width of the kernel of each member, None for its features themselves."""
    found: list[float | None] = []
    for m in members:
        own = given.gammas[m]
        width = (GAMMAS[1] if kind is None else kind) if own == "auto" else float(own)
        is_kernel = given.encoders[m] == "kernel" or (given.encoders[m] == "auto" and kind)
        found.append(width if is_kernel else None)
    return tuple(found)


def _choice(
    given: Open,
    members: Sequence[int],
    kind: Sequence[float | None],
    shrinkage: float | None,
    table: list,
    n_components: int | None = None,
) -> Choice:
    encoders, gammas = list(given.encoders), list(given.gammas)
    for m, gamma in zip(members, kind, strict=True):
        if gamma is not None:
            encoders[m], gammas[m] = "kernel", gamma
        elif encoders[m] == "auto":
            encoders[m] = "residual"
    return Choice(encoders, gammas, shrinkage, table, n_components)


def _few_of_any(X: Any, present: np.ndarray, rows: np.ndarray, members: Sequence[int]) -> bool:
    """Return whether a modality has too few of the rows for all folds, or there are few groups."""
    codes = repeated_codes(X.per_sample.take(rows).groups)
    if codes is not None and len(np.unique(codes)) < MIN_ROWS:
        return True
    return bool(present[rows][:, list(members)].sum(axis=0).min() < MIN_ROWS // 2)


def _some(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.RandomState(seed).choice(rows, most, replace=False))


def _rows_of(
    X: Any, present: np.ndarray, scalers: Sequence[Any], members: Sequence[int], rows: np.ndarray
) -> Rows:
    """Prepare some rows of the members."""
    blocks = []
    for m in members:
        blocks.append(prepare(X.names[m], X.arrays[m][rows], scalers[m]))
    known = X.per_sample.take(rows)
    return Rows(
        blocks,
        present[rows][:, list(members)],
        repeated_codes(known.groups),
        uneven_weights(known.sample_weight),
    )


def as_table(rows: list[dict[str, Any]]) -> DataFrame:
    """Return candidates as a DataFrame, one row each."""
    import pandas as pd

    columns = ["encoder", "gamma", "shrinkage", "epochs", "score", "seconds", "taken"]
    return pd.DataFrame(rows, columns=columns).astype({"taken": bool})
