"""Probes: classifiers on frozen embeddings, within a modality, across, and on all together."""

import numpy as np
from sklearn.base import clone
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from skcentrobind.metrics._embed import embed
from skcentrobind.metrics._inputs import check_whole, embeddings


def cross_modal_accuracy(estimator, probe, X_train, y_train, X_test, y_test, *, top_k=(1, 3, 5)):
    """Zero-shot transfer: fit a classifier on one modality, evaluate it on every other one.

    This is Table 2 of the paper; its diagonal, where both are the same modality, is Table 5.
    Chance level is k / n_classes for equally frequent classes.

    Parameters
    ----------
    estimator : estimator or None
        What embeds the samples, fitted: a binding transformer, a pipeline or search with one, or a
        model whose `transform` takes and returns a list of arrays, such as those of cca-zoo. None
        if `X_train` and `X_test` are embeddings.
    probe : classifier
        Cloned for every fit, for example ``LogisticRegression()``.
    X_train : Modalities, list or dict of arrays
        Samples to fit the probes on; a sample that lacks a modality is left out of its probe.
    y_train : array-like of shape (n_train,)
        Their classes.
    X_test : Modalities, list or dict of arrays
        Held-out samples; one that lacks a modality is left out where that is evaluated.
    y_test : array-like of shape (n_test,)
        Their classes; a class that the training samples do not have counts as missed.
    top_k : sequence of int, default=(1, 3, 5)
        A prediction is right if the class is among the k that the probe finds likeliest, by
        `predict_proba` or else `decision_function`; for k = 1 `predict` is asked, and if there
        are no more than k classes, all predictions are right.

    Returns
    -------
    accuracy : DataFrame of shape (n_modalities, len(top_k) * n_modalities)
        Rows are the modality trained on, columns (top-k, modality evaluated on), so that
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

    train, y_train, test, y_test = _embed_both(estimator, X_train, y_train, X_test, y_test, top_k)
    _check_widths(train, test)
    values = np.full((len(train.names), len(top_k), len(test.names)), np.nan)
    for m, fitted_on in enumerate(train.present.T):
        if not fitted_on.any():
            continue
        fitted = clone(probe).fit(train.arrays[m][fitted_on], y_train[fitted_on])
        for n, rows in enumerate(test.present.T):
            values[m, :, n] = _top_k(fitted, test.arrays[n][rows], y_test[rows], top_k)
    columns = pd.MultiIndex.from_product([_labels(top_k), test.names], names=[None, "evaluated on"])
    index = pd.Index(train.names, name="trained on")
    return pd.DataFrame(values.reshape(len(index), -1), index=index, columns=columns)


def probe_accuracy(estimator, probe, X_train, y_train, X_test, y_test, *, top_k=(1, 3, 5)):
    """Accuracy of a classifier on each modality's embeddings, on all side by side, on their mean.

    Chance level is k / n_classes for equally frequent classes.

    Parameters
    ----------
    estimator : estimator or None
        What embeds the samples, as in `cross_modal_accuracy`; None if `X_train` and `X_test` are
        embeddings, or features to compare with, whose widths may differ.
    probe : classifier
        Cloned for every fit.
    X_train : Modalities, list or dict of arrays
        Samples to fit the probes on. A sample is left out where it lacks the modality; of the
        concatenated embeddings if it lacks any; of the centroid, the mean over the modalities that
        it has, never.
    y_train : array-like of shape (n_train,)
        Their classes.
    X_test : Modalities, list or dict of arrays
        Held-out samples, left out in the same way.
    y_test : array-like of shape (n_test,)
        Their classes; a class that the training samples do not have counts as missed.
    top_k : sequence of int, default=(1, 3, 5)
        How many of the likeliest classes count, as in `cross_modal_accuracy`.

    Returns
    -------
    accuracy : DataFrame of shape (n_modalities + 2, len(top_k))
        Rows are the modalities, "concatenated" and "centroid", which is missing if the widths
        differ; columns are "top-1", "top-3", ... NaN where no sample is left.

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

    train, y_train, test, y_test = _embed_both(estimator, X_train, y_train, X_test, y_test, top_k)
    parts = zip(_inputs_of_probes(train), _inputs_of_probes(test), strict=True)
    rows = {}
    for (name, x_train, fitted_on), (_, x_test, evaluated_on) in parts:
        rows[name] = np.full(len(top_k), np.nan)
        if fitted_on.any():
            fitted = clone(probe).fit(x_train[fitted_on], y_train[fitted_on])
            rows[name] = _top_k(fitted, x_test[evaluated_on], y_test[evaluated_on], top_k)
    return pd.DataFrame.from_dict(rows, orient="index", columns=_labels(top_k))


def _embed_both(estimator, X_train, y_train, X_test, y_test, top_k):
    """Check everything that both tables start from."""
    for k in top_k:
        check_whole(k, "top_k")
    parts = []
    for X, y, part in ((X_train, y_train, "train"), (X_test, y_test, "test")):
        Z, y = embeddings(embed(estimator, X), same_width=False), np.asarray(y)
        if y.shape != Z.present.shape[:1]:
            raise ValueError(
                f"y_{part} must hold one class for each of the {len(Z.present)} samples of "
                f"X_{part}, got shape {y.shape}."
            )
        parts += [Z, y]
    if parts[0].names != parts[2].names:
        raise ValueError(
            f"X_train and X_test must have the same modalities, got {parts[0].names} and "
            f"{parts[2].names}."
        )
    return parts


def _check_widths(*parts):
    for Z in parts:
        widths = {name: z.shape[1] for name, z in zip(Z.names, Z.arrays, strict=True)}
        if len(set(widths.values())) > 1:
            raise ValueError(
                "A probe can only move between modalities with the same number of components, got "
                f"{widths}. Bind the modalities first; probe_accuracy takes unequal widths."
            )


def _inputs_of_probes(Z):
    """Yield name, array and usable rows of each modality, of all side by side, of the centroid."""
    yield from zip(Z.names, Z.arrays, Z.present.T, strict=True)
    yield "concatenated", np.hstack(Z.arrays), Z.present.all(axis=1)
    if len({z.shape[1] for z in Z.arrays}) == 1:
        weights = Z.present.T[:, :, None]
        total = np.where(weights, Z.arrays, 0).sum(axis=0)
        count = weights.sum(axis=0)
        yield "centroid", total / np.maximum(count, 1), Z.present.any(axis=1)


def _top_k(probe, x, y, top_k):
    """Accuracy for every k."""
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
            values.append(accuracy_score(y, probe.predict(x)))
        elif k >= len(classes) or scores is None:
            values.append(known.mean())
        else:
            right = top_k_accuracy_score(y[known], scores, k=k, labels=classes)
            values.append(right * known.mean())
    return np.array(values)


def _class_scores(probe, x):
    for method in ("predict_proba", "decision_function"):
        if hasattr(probe, method):
            return getattr(probe, method)(x)
    raise TypeError(
        f"top_k above 1 needs a probe with predict_proba or decision_function, which "
        f"{type(probe).__name__} lacks; use top_k=(1,)."
    )


def _labels(top_k):
    return [f"top-{k}" for k in top_k]
