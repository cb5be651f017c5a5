"""The choice alone, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skcentrobind._data.forms import Reading, read
from skcentrobind._data.per_sample import without_weightless
from skcentrobind._data.schema import Schema, check_enough_samples, check_numbers, checked
from skcentrobind._data.statistics import fit_scalers
from skcentrobind._names import per_modality
from skcentrobind.model_selection._features import Open, as_table, choose_features

if TYPE_CHECKING:
    from pandas import DataFrame


def choose(
    X: Any,
    *,
    encoder: Any = "auto",
    gamma: Any = "auto",
    shrinkage: Any = "auto",
    modalities: Any = None,
    random_state: int = 0,
) -> DataFrame:
    """Compare features and shrinkages of the closed-form start, which is what `fit` chooses by.

    It takes seconds and shows what can be bound at all: scores at the level of chance, which is
    about log(n) / n for n held-out rows, mean that linear and kernel correlations find nothing
    that the modalities share.

    Parameters
    ----------
    X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
        The data, in any form that `fit` accepts.
    encoder : {"auto", "residual", "linear", "kernel"}, list or dict, default="auto"
        As in the estimators: "auto" compares all.
    gamma : float, "auto", list or dict, default="auto"
        As in the estimators: "auto" compares several widths of the kernel.
    shrinkage : float, "oas" or "auto", default="auto"
        As in the estimators: "auto" compares several.
    modalities : list or dict, default=None
        How a matrix is cut into modalities, as the parameter of the estimators.
    random_state : int, default=0
        Seed of the rows that are looked at, and of the folds.

    Returns
    -------
    table : DataFrame
        One row per candidate, best first: "encoder", "gamma", "shrinkage", "epochs" (0, since
        nothing is trained), "score", the mean reciprocal rank of held-out rows, NaN where a
        candidate fell behind in the first of three folds, "seconds", and "taken", whether `fit`
        would take it. Empty if nothing can be compared.

    Raises
    ------
    ValueError
        If the data are invalid.

    Examples
    --------
    >>> from skcentrobind.datasets import make_multimodal_gmm
    >>> from skcentrobind.model_selection import choose
    >>> X, y = make_multimodal_gmm(100, n_classes=5, random_state=0)
    >>> table = choose(X)
    >>> table.columns.tolist()
    ['encoder', 'gamma', 'shrinkage', 'epochs', 'score', 'seconds', 'taken']
    >>> int(table["taken"].sum())
    1
    """
    parts = read(X, Reading("choose", cut=modalities))
    data = parts.modalities()
    check_numbers(data)
    if data.per_sample.sample_weight is not None:
        data, _ = without_weightless(data)
    check_enough_samples(data, "choose")
    schema = Schema.learn(data, parts)
    data, present = checked(data, schema, is_fit=True)
    encoders, gammas = (
        per_modality(value, schema.names, name)
        if isinstance(value, list | tuple | dict)
        else [value] * len(schema.names)
        for name, value in (("encoder", encoder), ("gamma", gamma))
    )
    choice = choose_features(
        data, present, fit_scalers(data), Open(encoders, gammas, shrinkage), seed=random_state
    )
    table = as_table(choice.table)
    return table.sort_values("score", ascending=False, ignore_index=True, na_position="last")
