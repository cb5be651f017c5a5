"""Fit probes, classifiers on frozen embeddings: within a modality, across, on all together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.metrics import accuracy_score, top_k_accuracy_score
from sklearn.utils.validation import has_fit_parameter

from skcentrobind.metrics._embed import embed
from skcentrobind.metrics._inputs import (
    Bools,
    Embeddings,
    Floats,
    as_classes,
    check_whole,
    embeddings,
)

if TYPE_CHECKING:
    from pandas import DataFrame


def cross_modal_accuracy(
    estimator: Any,
    probe: Any,
    X_train: Any,
    y_train: ArrayLike,
    X_test: Any,
    y_test: ArrayLike,
    *,
    top_k: Sequence[int] = (1, 3, 5),
) -> DataFrame:
    """Fit a classifier on each modality and evaluate it on every other one: zero-shot transfer.

    This is Table 2 of the paper; the diagonal, where both modalities are the same, is Table 5.
    Chance level is k / n_classes for equally frequent classes.

    Parameters
    ----------
    estimator : estimator or None
        Fitted estimator that embeds the samples: a binding transformer, a pipeline or search with
        one, or a model whose `transform` takes and returns a list of arrays, such as those of
        cca-zoo. None if `X_train` and `X_test` are embeddings.
    probe : classifier
        Cloned for every fit, for example ``LogisticRegression()``.
    X_train : Modalities, list or dict of arrays of shape (n_train, ...)
        Samples to fit the probes on; those with a missing modality are left out of its probe.
        Weights of `Modalities` are passed to the probe, and to the accuracy.
    y_train : array-like of shape (n_train,)
        Classes of the training samples.
    X_test : Modalities, list or dict of arrays of shape (n_test, ...)
        Held-out samples; those with a missing modality are left out of its evaluation.
    y_test : array-like of shape (n_test,)
        Classes of the held-out samples; a class without training samples counts as an error.
    top_k : sequence of int, default=(1, 3, 5)
        A prediction is correct if the class is among the k most likely ones, by `predict_proba`
        or else `decision_function`; k = 1 uses `predict`. If there are no more than k classes,
        all predictions are correct.

    Returns
    -------
    accuracy : DataFrame of shape (n_modalities, len(top_k) * n_modalities)
        Rows are the modality trained on, columns (top-k, modality evaluated on), so
        ``accuracy["top-1"]`` is a square table. NaN where no sample is left.

    References
    ----------
    M. Jeong et al., "Anchors Aweigh! Sail for Optimal Unified Multi-Modal Representations",
    arXiv:2410.02086, Tables 2 and 5.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcentrobind.metrics import cross_modal_accuracy
    >>> Z, y = {"image": [[1, 0], [0, 1]], "text": [[1, 0], [1, 0]]}, [0, 1]
    >>> cross_modal_accuracy(None, LogisticRegression(), Z, y, Z, y, top_k=[1])["top-1"]
    evaluated on  image  text
    trained on
    image           1.0   0.5
    text            0.5   0.5
    """
    import pandas as pd

    train, classes, test, test_classes = _embed_both(
        estimator, X_train, y_train, X_test, y_test, top_k
    )
    _check_widths(train, test)
    values = np.full((len(train.names), len(top_k), len(test.names)), np.nan)
    for m, fitted_on in enumerate(train.counted.T):
        if not fitted_on.any():
            continue
        fitted = _fit(probe, train.arrays[m], classes, fitted_on, train.sample_weight)
        for n, rows in enumerate(test.counted.T):
            weight = _some(test.sample_weight, rows)
            values[m, :, n] = _top_k(
                fitted, test.arrays[n][rows], test_classes[rows], top_k, weight
            )
    columns = pd.MultiIndex.from_product([_labels(top_k), test.names], names=[None, "evaluated on"])
    index = pd.Index(train.names, name="trained on")
    return pd.DataFrame(values.reshape(len(index), -1), index=index, columns=columns)


def probe_accuracy(
    estimator: Any,
    probe: Any,
    X_train: Any,
    y_train: ArrayLike,
    X_test: Any,
    y_test: ArrayLike,
    *,
    top_k: Sequence[int] = (1, 3, 5),
) -> DataFrame:
    """Fit a classifier on each modality's embeddings, on their concatenation and on their mean.

    Chance level is k / n_classes for equally frequent classes.

    Parameters
    ----------
    estimator : estimator or None
        Fitted estimator that embeds the samples, as in `cross_modal_accuracy`; None if `X_train`
        and `X_test` are embeddings, or features to compare with, whose widths may differ.
    probe : classifier
        Cloned for every fit.
    X_train : Modalities, list or dict of arrays of shape (n_train, ...)
        Samples to fit the probes on. Those with a missing modality are left out of its probe and
        of the probe on the concatenation, but not of the probe on the centroid, the mean over the
        modalities that a sample has.
    y_train : array-like of shape (n_train,)
        Classes of the training samples.
    X_test : Modalities, list or dict of arrays of shape (n_test, ...)
        Held-out samples, left out in the same way.
    y_test : array-like of shape (n_test,)
        Classes of the held-out samples; a class without training samples counts as an error.
    top_k : sequence of int, default=(1, 3, 5)
        Number of most likely classes that count as correct, as in `cross_modal_accuracy`.

    Returns
    -------
    accuracy : DataFrame of shape (n_modalities + 2, len(top_k))
        Rows are the modalities, "concatenated" and, if all widths are equal, "centroid"; columns
        are "top-1", "top-3", ... NaN where no sample is left.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcentrobind.metrics import probe_accuracy
    >>> Z, y = {"image": [[1, 0], [0, 1]], "text": [[1, 0], [1, 0]]}, [0, 1]
    >>> probe_accuracy(None, LogisticRegression(), Z, y, Z, y, top_k=[1])
                  top-1
    image           1.0
    text            0.5
    concatenated    1.0
    centroid        1.0
    """
    import pandas as pd

    train, classes, test, test_classes = _embed_both(
        estimator, X_train, y_train, X_test, y_test, top_k
    )
    parts = zip(_inputs_of_probes(train), _inputs_of_probes(test), strict=True)
    rows = {}
    for (name, x_train, fitted_on), (_, x_test, evaluated_on) in parts:
        rows[name] = np.full(len(top_k), np.nan)
        if fitted_on.any():
            fitted = _fit(probe, x_train, classes, fitted_on, train.sample_weight)
            x, y, weight = (
                _some(part, evaluated_on) for part in (x_test, test_classes, test.sample_weight)
            )
            rows[name] = _top_k(fitted, x, y, top_k, weight)
    return pd.DataFrame.from_dict(rows, orient="index", columns=_labels(top_k))


def _embed_both(
    estimator: Any, X_train: Any, y_train: ArrayLike, X_test: Any, y_test: ArrayLike, top_k: Any
) -> tuple[Embeddings, NDArray[Any], Embeddings, NDArray[Any]]:
    """Check the arguments of both tables, and embed training and held-out samples."""
    for k in top_k:
        check_whole(k, "top_k")
    train, classes = _embed_part(estimator, X_train, y_train, "train")
    test, test_classes = _embed_part(estimator, X_test, y_test, "test")
    if train.names != test.names:
        raise ValueError(
            f"X_train and X_test must have the same modalities, got {train.names} and {test.names}."
        )
    return train, classes, test, test_classes


def _embed_part(estimator: Any, X: Any, y: ArrayLike, part: str) -> tuple[Embeddings, NDArray[Any]]:
    import pandas as pd

    Z = embeddings(embed(estimator, X), same_width=False)
    classes = as_classes(y, len(Z.present), f"y_{part}")
    missing = np.flatnonzero(pd.isna(classes))
    if len(missing):
        raise ValueError(
            f"y_{part} has no class in {len(missing)} of {len(classes)} samples, first in row "
            f"{missing[0]}; leave these samples out."
        )
    return Z, classes


def _check_widths(*parts: Embeddings) -> None:
    for Z in parts:
        widths = {name: z.shape[1] for name, z in zip(Z.names, Z.arrays, strict=True)}
        if len(set(widths.values())) > 1:
            raise ValueError(
                "A probe transfers only between modalities with the same number of components, got "
                f"{widths}. Bind the modalities first; probe_accuracy takes unequal widths."
            )


def _inputs_of_probes(Z: Embeddings) -> Iterator[tuple[str, Floats, Bools]]:
    """Yield name, array and usable rows of each modality, of the concatenation, of the centroid."""
    yield from zip(Z.names, Z.arrays, Z.counted.T, strict=True)
    yield "concatenated", np.hstack(Z.arrays), np.logical_and.reduce(Z.counted, axis=1)
    if len({z.shape[1] for z in Z.arrays}) == 1:
        weights = Z.present.T[:, :, None]
        total = np.where(weights, Z.arrays, 0).sum(axis=0)
        count = weights.sum(axis=0)
        yield "centroid", total / np.maximum(count, 1), np.logical_or.reduce(Z.counted, axis=1)


def _some(values: Any, rows: Bools) -> Any:
    return None if values is None else values[rows]


def _fit(probe: Any, x: Floats, y: NDArray[Any], rows: Bools, weight: Floats | None) -> Any:
    """Fit a clone of the probe to some rows, with their weights if there are any."""
    probe = clone(probe)
    if weight is None:
        return probe.fit(x[rows], y[rows])
    if not has_fit_parameter(probe, "sample_weight"):
        raise TypeError(
            f"The samples have weights, but {type(probe).__name__}.fit takes no sample_weight. "
            "Use another probe, such as LogisticRegression(), or Modalities without weights."
        )
    return probe.fit(x[rows], y[rows], sample_weight=weight[rows])


def _top_k(
    probe: Any, x: Floats, y: NDArray[Any], top_k: Sequence[int], weight: Floats | None
) -> Floats:
    """Return the accuracy for every k."""
    if not len(y):
        return np.full(len(top_k), np.nan)
    if not hasattr(probe, "classes_"):
        raise TypeError(f"probe must be a classifier, got {type(probe).__name__}.")
    classes = probe.classes_
    known = np.isin(y, classes)
    scores = None
    if any(1 < k < len(classes) for k in top_k) and known.any():
        scores = _class_scores(probe, x[known])
    values = []
    for k in top_k:
        if k == 1:
            values.append(accuracy_score(y, probe.predict(x), sample_weight=weight))
        elif k >= len(classes) or scores is None:
            values.append(np.average(known, weights=weight))
        else:
            own = {"labels": classes, "sample_weight": _some(weight, known)}
            correct = top_k_accuracy_score(y[known], scores, k=k, **own)
            values.append(correct * np.average(known, weights=weight))
    return np.array(values)


def _class_scores(probe: Any, x: Floats) -> Floats:
    for method in ("predict_proba", "decision_function"):
        if hasattr(probe, method):
            scores: Floats = getattr(probe, method)(x)
            return scores
    raise TypeError(
        "top_k above 1 needs a probe with predict_proba or decision_function, got "
        f"{type(probe).__name__} with neither; use top_k=(1,)."
    )


def _labels(top_k: Sequence[int]) -> list[str]:
    return [f"top-{k}" for k in top_k]
