"""Measure the shared space: alignment, uniformity, effective rank, modality gap, similarity."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from skcentrobind.metrics._inputs import (
    Embeddings,
    EmbeddingsLike,
    Floats,
    check_positive,
    embeddings,
    pair_frame,
)

if TYPE_CHECKING:
    from pandas import DataFrame, Series

# Rows whose distances are in memory at the same time.
_BLOCK = 1024


def alignment(Z: EmbeddingsLike, *, alpha: float = 2) -> DataFrame:
    r"""Measure the distance between the embeddings of a sample, for every pair of modalities.

    The mean over the samples of :math:`\|z_{l,k} - z_{m,k}\|^\alpha`. Unrelated unit-length
    embeddings with zero mean have 2 for ``alpha=2``. A collapsed space has 0: read it together
    with `uniformity`.

    Parameters
    ----------
    Z : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings; NaN rows mark missing ones; each pair uses the samples that have both.
    alpha : float, default=2
        Power of the distance.

    Returns
    -------
    distances : DataFrame of shape (n_modalities, n_modalities)
        Symmetric with a diagonal of 0, lower is better; NaN for modalities that share no sample.

    References
    ----------
    T. Wang and P. Isola, "Understanding contrastive representation learning through alignment and
    uniformity on the hypersphere", ICML 2020.

    Examples
    --------
    >>> from skcentrobind.metrics import alignment
    >>> alignment({"image": [[1, 0], [0, 1]], "text": [[0, 1], [0, 1]]})
           image  text
    image    0.0   1.0
    text     1.0   0.0
    """
    check_positive(alpha, "alpha")
    return pair_frame(embeddings(Z), lambda x, y: mean_distance(x - y, alpha), diagonal=0.0)


def centroid_alignment(Z: EmbeddingsLike, *, alpha: float = 2) -> Series:
    r"""Measure the distance of every modality's embedding of a sample from the sample's centroid.

    The mean over the samples of :math:`\|z_{m,k} - a_k\|^\alpha`, where :math:`a_k` is the
    centroid of the embeddings that sample k has. Unrelated unit-length embeddings of M modalities
    with zero mean have 1 - 1/M for ``alpha=2``.

    Parameters
    ----------
    Z : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings; NaN rows mark missing ones. Samples with a single modality, which would be
        their own centroid, are left out.
    alpha : float, default=2
        Power of the distance.

    Returns
    -------
    distances : Series of shape (n_modalities,)
        At least 0, lower is better; NaN for a modality that no sample has together with another.

    Examples
    --------
    >>> from skcentrobind.metrics import centroid_alignment
    >>> float(centroid_alignment([[[1, 0], [0, 1]], [[0, 1], [0, 1]]])["modality0"])
    0.25
    """
    import pandas as pd

    check_positive(alpha, "alpha")
    checked = embeddings(Z)
    count = checked.present.sum(axis=1)
    values = []
    for z, present in zip(checked.arrays, checked.present.T, strict=True):
        rows = present & (count > 1)
        total = np.zeros((rows.sum(), z.shape[1]))
        for other, has in zip(checked.arrays, checked.present.T, strict=True):
            total += np.where(has[rows, None], other[rows], 0)
        centre = total / count[rows, None]
        values.append(mean_distance(z[rows] - centre, alpha) if rows.any() else np.nan)
    return pd.Series(values, index=checked.names)


def uniformity(Z: EmbeddingsLike, *, t: float = 2) -> Series:
    r"""Measure how evenly the embeddings are spread over the sphere.

    :math:`\log \mathrm{mean}_{j<k} \exp(-t \|z_j - z_k\|^2)`, within every modality and over the
    embeddings of all modalities together. Unit-length embeddings spread evenly over the sphere in
    d dimensions have :math:`\log {}_0F_1(d/2;\, t^2) - 2t`, about -3.88 for d = 64 and ``t=2``; a
    collapsed space has 0. Computing time grows with the square of the number of samples.

    Parameters
    ----------
    Z : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings; NaN rows mark missing ones, which are left out.
    t : float, default=2
        Sharpness of the Gaussian kernel.

    Returns
    -------
    values : Series of shape (n_modalities + 1,)
        One per modality and, last, one under "pooled"; at most 0, lower is more uniform. NaN
        where there are fewer than two embeddings.

    References
    ----------
    T. Wang and P. Isola, "Understanding contrastive representation learning through alignment and
    uniformity on the hypersphere", ICML 2020.

    Examples
    --------
    >>> from skcentrobind.metrics import uniformity
    >>> float(uniformity([[[1, 0], [-1, 0]], [[1, 0], [1, 0]]])["modality0"])
    -8.0
    """
    check_positive(t, "t")
    return _with_pooled(embeddings(Z), lambda z: _uniformity(z, t), min_samples=2)


def effective_rank(Z: EmbeddingsLike) -> Series:
    r"""Estimate the number of directions that the embeddings use.

    :math:`\exp H(\sigma / \sum \sigma)`, where :math:`\sigma` are the singular values of the
    embeddings, which are not centred, and H is the entropy. 1 if all embeddings lie on one line
    through the origin, as in a collapsed space; at most the number of components, which evenly
    spread embeddings approach.

    Parameters
    ----------
    Z : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings; NaN rows mark missing ones, which are left out.

    Returns
    -------
    ranks : Series of shape (n_modalities + 1,)
        One per modality and, last, one for all embeddings together under "pooled". NaN where all
        embeddings are zero or missing.

    References
    ----------
    O. Roy and M. Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO
    2007.

    Examples
    --------
    >>> from skcentrobind.metrics import effective_rank
    >>> effective_rank([[[1, 0], [0, 1]], [[1, 0], [1, 0]]]).round(3).tolist()
    [2.0, 1.0, 1.929]
    """
    return _with_pooled(embeddings(Z), _effective_rank, min_samples=1)


def modality_gap(Z: EmbeddingsLike) -> DataFrame:
    r"""Measure the distance between the mean embeddings of two modalities.

    :math:`\|\mathrm{mean}_k z_{l,k} - \mathrm{mean}_k z_{m,k}\|`, between 0 and 2 for unit-length
    embeddings. Unrelated, evenly spread embeddings of n samples have about
    :math:`\sqrt{2 / n}`. A small gap alone does not make a good space: it says nothing about
    individual samples.

    Parameters
    ----------
    Z : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings; NaN rows mark missing ones; each pair uses the samples that have both.

    Returns
    -------
    gaps : DataFrame of shape (n_modalities, n_modalities)
        Symmetric with a diagonal of 0; NaN for modalities that share no sample.

    References
    ----------
    V. W. Liang et al., "Mind the gap: understanding the modality gap in multi-modal contrastive
    representation learning", NeurIPS 2022.

    Examples
    --------
    >>> from skcentrobind.metrics import modality_gap
    >>> modality_gap({"image": [[1, 0], [0, 1]], "text": [[-1, 0], [0, -1]]}).round(3)
           image   text
    image  0.000  1.414
    text   1.414  0.000
    """
    return pair_frame(
        embeddings(Z),
        lambda x, y: float(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0))),
        diagonal=0.0,
    )


def linear_cka(Z: EmbeddingsLike, *, debiased: bool = False) -> DataFrame:
    r"""Compare the similarities within two modalities by linear centred kernel alignment.

    :math:`\|Y^\top X\|_F^2 / (\|X^\top X\|_F \|Y^\top Y\|_F)` for centred X and Y. It does not
    change when a modality is rotated or scaled, so it does not show whether the embeddings of a
    sample coincide (`alignment` does), and it also compares embeddings of unequal widths.

    Parameters
    ----------
    Z : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings, whose widths may differ; NaN rows mark missing ones; each pair uses the
        samples that have both.
    debiased : bool, default=False
        Whether to estimate the three terms without bias. Unrelated modalities then have about 0
        for any number of samples, and may have less. Without it unrelated modalities of width d
        have about d / n_samples, which is small for ten times as many samples as components. At
        least four samples are needed.

    Returns
    -------
    similarities : DataFrame of shape (n_modalities, n_modalities)
        Symmetric with a diagonal of 1, higher is more alike; NaN for modalities that share too few
        samples or do not vary.

    References
    ----------
    S. Kornblith et al., "Similarity of neural network representations revisited", ICML 2019;
    L. Song et al., "Feature selection via dependence maximization", JMLR 13, 2012 (unbiased).

    Examples
    --------
    >>> from skcentrobind.metrics import linear_cka
    >>> linear_cka([[[1, 0], [0, 1], [0, 0]], [[0, 2], [2, 0], [0, 0]]]).round(3)
               modality0  modality1
    modality0        1.0        1.0
    modality1        1.0        1.0
    """
    measure = _unbiased_hsic if debiased else _squared_covariance
    return pair_frame(
        embeddings(Z, same_width=False), lambda x, y: _cka(x, y, measure), diagonal=1.0
    )


def mean_distance(difference: Floats, alpha: float, weight: Floats | None = None) -> float:
    """Return the mean of |difference|^alpha over the rows, by weight if there are weights."""
    # A power of the squared distance needs no root where alpha is 2.
    powers = np.einsum("kd,kd->k", difference, difference) ** (alpha / 2)
    return float(np.average(powers, weights=weight))


def _with_pooled(Z: Embeddings, measure: Callable[[Floats], float], min_samples: int) -> Series:
    """Measure every modality, and all together; NaN for too few rows."""
    import pandas as pd

    parts = [z[rows] for z, rows in zip(Z.arrays, Z.present.T, strict=True)]
    parts.append(np.concatenate(parts) if parts else np.empty((0, 1)))
    values = [measure(z) if len(z) >= min_samples else np.nan for z in parts]
    return pd.Series(values, index=[*Z.names, "pooled"], dtype=np.float64)


def _uniformity(z: Floats, t: float) -> float:
    """Return the log of the mean kernel over pairs, in blocks on and above the diagonal."""
    z = z - z.mean(axis=0)  # differences of smaller squares lose fewer digits
    squares = np.einsum("kd,kd->k", z, z)
    top, total = -np.inf, 0.0
    for start in range(0, len(z), _BLOCK):
        rows = slice(start, start + _BLOCK)
        for first in range(start, len(z), _BLOCK):
            columns = slice(first, first + _BLOCK)
            distance = squares[rows, None] + squares[columns] - 2 * z[rows] @ z[columns].T
            exponent = -t * np.maximum(distance, 0)
            if first == start:  # each pair once
                exponent = exponent[np.triu_indices_from(exponent, k=1)]
            if exponent.size:
                highest = max(top, exponent.max())
                total = total * np.exp(top - highest) + np.exp(exponent - highest).sum()
                top = highest
    return float(top + np.log(total) - np.log(len(z) * (len(z) - 1) / 2))


def _effective_rank(z: Floats) -> float:
    values = np.linalg.svd(z, compute_uv=False)
    if not values.any():
        return np.nan
    share = values[values > 0] / values.sum()
    return float(np.exp(-np.sum(share * np.log(share))))


def _cka(x: Floats, y: Floats, measure: Callable[[Floats, Floats], float]) -> float:
    if len(x) < 4 and measure is _unbiased_hsic:
        return np.nan
    x, y = _centred(x), _centred(y)
    own = measure(x, x), measure(y, y)
    return float(measure(x, y) / np.sqrt(own[0] * own[1])) if min(own) > 0 else np.nan


def _centred(x: Floats) -> Floats:
    rest = x - x.mean(axis=0)
    # Rounding leaves a small remainder where nothing varies.
    trace = len(x) * np.finfo(np.float64).eps * np.linalg.norm(x)
    return rest if np.linalg.norm(rest) > trace else np.zeros_like(x)


def _squared_covariance(x: Floats, y: Floats) -> float:
    return float(np.sum((y.T @ x) ** 2))


def _unbiased_hsic(x: Floats, y: Floats) -> float:
    """Return n (n - 3) times the estimate of Song et al., without n x n kernels.

    With the diagonals of K = x x' and L = y y' set to zero it is
    tr(KL) + 1'K1 1'L1 / ((n - 1)(n - 2)) - 2 / (n - 2) 1'KL1, and centred features have
    K1 = -diag(x x').
    """
    n = len(x)
    own_x, own_y = np.einsum("kd,kd->k", x, x), np.einsum("kd,kd->k", y, y)
    trace = np.sum((y.T @ x) ** 2) - own_x @ own_y
    total = own_x.sum() * own_y.sum() / ((n - 1) * (n - 2))
    return float(trace + total - 2 / (n - 2) * (own_x @ own_y))
