"""Bound the mutual information between embeddings, and the loss of binding to their centroid."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from skcentrobind.metrics._inputs import (
    Embeddings,
    EmbeddingsLike,
    Floats,
    check_positive,
    check_whole,
    embeddings,
)

if TYPE_CHECKING:
    from pandas import DataFrame


def mutual_information_matrix(
    Z: EmbeddingsLike,
    Z_augmented: EmbeddingsLike | None = None,
    *,
    temperature: float = 0.2,
    batch_size: int = 256,
) -> DataFrame:
    r"""Compute lower bounds on the mutual information between all embeddings, in nats.

    For a batch of B samples InfoNCE bounds the information between embeddings U and V by
    :math:`I(U; V) \geq \log B - \tfrac12 (\mathrm{NCE}(U, V) + \mathrm{NCE}(V, U))`, where
    :math:`\mathrm{NCE}(u, v) = \mathrm{mean}_k [\log \sum_j e^{u_k^\top v_j / \tau} -
    u_k^\top v_k / \tau]`. The bound cannot exceed log B, so the information itself may be larger
    where the bound is close to that; unrelated embeddings have 0 or less. The bound holds for
    embeddings of samples that were not used in training, and only matrices with equal
    `batch_size` can be compared.

    The matrix shows the problems that the paper finds in binding to a fixed anchor (section 2.3):
    P1, the row of the anchor is large only if the anchor is a good choice; P2, the diagonal, the
    information that an embedding keeps about its own modality, is small; P3, the entries between
    two modalities other than the anchor are small.

    Parameters
    ----------
    Z : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings; NaN rows mark missing ones; each pair uses the samples that have both.
    Z_augmented : like Z, default=None
        Embeddings of augmented copies of the same samples, for the diagonal, which is NaN without
        them.
    temperature : float, default=0.2
        Divisor of the inner products. The bound holds for any; it is tightest near the one used
        in training.
    batch_size : int, default=256
        B; reduced to the smallest number of samples that two modalities share, so that all entries
        have the same limit. Every batch consists of rows at equal distances over all the data;
        samples that do not fill a batch are left out.

    Returns
    -------
    information : DataFrame of shape (n_modalities, n_modalities)
        Symmetric; higher is better. NaN for modalities that share fewer than two samples. Its
        ``attrs`` contain the "batch_size" that was used and the "limit", log B.

    References
    ----------
    A. van den Oord, Y. Li and O. Vinyals, "Representation learning with contrastive predictive
    coding", 2018; M. Jeong et al., arXiv:2410.02086, sections 2 and 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skcentrobind.metrics import mutual_information_matrix
    >>> information = mutual_information_matrix([np.eye(4), np.eye(4)], [np.eye(4), -np.eye(4)])
    >>> information.round(2)
               modality0  modality1
    modality0       1.37       1.37
    modality1       1.37      -4.71
    >>> round(information.attrs["limit"], 2)
    1.39
    """
    import pandas as pd

    check_positive(temperature, "temperature")
    check_whole(batch_size, "batch_size", least=2)
    clean = embeddings(Z)
    names = clean.names
    partners = dict.fromkeys(itertools.combinations(range(len(names)), 2), clean)
    if Z_augmented is not None:
        augmented = _augmented(clean, Z_augmented)
        partners |= dict.fromkeys([(m, m) for m in range(len(names))], augmented)
    shared = {}
    for (a, b), other in partners.items():
        rows = clean.present[:, a] & other.present[:, b]
        if rows.sum() > 1:
            shared[a, b] = rows
    batch = int(min([batch_size, *(rows.sum() for rows in shared.values())]))
    values = np.full((len(names), len(names)), np.nan)
    for (a, b), rows in shared.items():
        x, y = clean.arrays[a][rows], partners[a, b].arrays[b][rows]
        values[a, b] = values[b, a] = _information(x, y, temperature, batch)
    information = pd.DataFrame(values, index=names, columns=names)
    information.attrs |= {"batch_size": batch, "limit": float(np.log(batch))}
    return information


def anchor_bound(
    Z: EmbeddingsLike, Z_augmented: EmbeddingsLike, *, temperature: float = 0.2
) -> DataFrame:
    r"""Compute the loss of every modality, and its bounds from the pairwise losses.

    With :math:`a_k` the mean over l of the augmented embeddings :math:`z'_{l,k}`, the loss of
    CentroBind lies between

    .. math:: \overline{\mathrm{NCE}} - \tfrac18 \mathrm{mean}_{l,k} R_{l,k}^2
        \;\leq\; \mathrm{NCE}(a, z_m) \;\leq\;
        \overline{\mathrm{NCE}} = \mathrm{mean}_l \mathrm{NCE}(z'_l, z_m)

    where :math:`R_{l,k}` is the range over j of :math:`(z'_{l,k} - a_k)^\top z_{m,j} / \tau`, and
    likewise in the other direction: the upper bound by convexity (Jensen), the lower bound by
    Hoeffding's lemma. So a small loss comes with a small mean of all pairwise losses, those of the
    modality with itself (intra-modal information) and with the others. Theorem 3.1 of the paper
    states this in a form that can fail for batches smaller than the number of modalities.

    Parameters
    ----------
    Z : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings, all samples of which form one batch; NaN rows mark missing ones. Samples with a
        missing modality are left out.
    Z_augmented : Modalities or sequence of array-like of shape (n_samples, n_components)
        Embeddings of augmented copies of the same samples.
    temperature : float, default=0.2
        Divisor of the inner products.

    Returns
    -------
    bounds : DataFrame of shape (2 * n_modalities, 3)
        One row per (modality, direction), where the direction is "anchor -> modality" (equation 9a
        of the paper) or "modality -> anchor" (9b), with columns "lower", "loss" and "upper".

    Raises
    ------
    ValueError
        If fewer than two samples have all modalities.

    References
    ----------
    M. Jeong et al., "Anchors Aweigh! Sail for Optimal Unified Multi-Modal Representations",
    arXiv:2410.02086, equations 9 and 10.

    Examples
    --------
    >>> import numpy as np
    >>> from skcentrobind.metrics import anchor_bound
    >>> Z = [np.eye(3), np.eye(3)[[0, 2, 1]]]
    >>> anchor_bound(Z, Z, temperature=1.0).loc["modality0"].round(3)
                        lower   loss  upper
    direction
    anchor -> modality  0.801  0.822  0.885
    modality -> anchor  0.801  0.822  0.885
    """
    import pandas as pd

    check_positive(temperature, "temperature")
    clean = embeddings(Z)
    augmented = _augmented(clean, Z_augmented)
    rows = (clean.present & augmented.present).all(axis=1)
    if rows.sum() < 2:
        raise ValueError(
            f"anchor_bound needs at least two samples with all modalities, got {rows.sum()}."
        )
    copies = np.array([z[rows] for z in augmented.arrays])  # (n_modalities, batch, n_components)
    found = {}
    for name, z in zip(clean.names, clean.arrays, strict=True):
        logits = copies @ z[rows].T / temperature  # (n_modalities, batch of anchors, batch)
        found[name, "anchor -> modality"] = _sandwich(logits)
        found[name, "modality -> anchor"] = _sandwich(logits.swapaxes(1, 2))
    index = pd.MultiIndex.from_tuples(found, names=["modality", "direction"])
    return pd.DataFrame(list(found.values()), index=index, columns=["lower", "loss", "upper"])


def _sandwich(logits: Floats) -> tuple[float, float, float]:
    """Return lower bound, loss and upper bound for logits of shape (n_modalities, B, B)."""
    mean = logits.mean(axis=0)
    upper = float(np.mean([_nce(s) for s in logits]))
    ranges = np.ptp(logits - mean, axis=2)  # (n_modalities, B)
    return upper - float(np.mean(ranges**2)) / 8, _nce(mean), upper


def _nce(logits: Floats) -> float:
    """Return the mean over the rows of logsumexp - diagonal."""
    top = logits.max(axis=1)
    total = np.exp(logits - top[:, None]).sum(axis=1)
    return float(np.mean(top + np.log(total) - logits.diagonal()))


def _information(x: Floats, y: Floats, temperature: float, batch: int) -> float:
    """Return the mean over the batches of the lower bound on the mutual information."""
    n_batches = len(x) // batch
    bounds = []
    for b in range(n_batches):
        # Rows at equal distances, so that sorted data does not give batches of similar samples.
        rows = slice(b, b + n_batches * batch, n_batches)
        logits = x[rows] @ y[rows].T / temperature  # (batch, batch)
        bounds.append(np.log(batch) - (_nce(logits) + _nce(logits.T)) / 2)
    return float(np.mean(bounds))


def _augmented(Z: Embeddings, Z_augmented: EmbeddingsLike) -> Embeddings:
    """Check embeddings of augmented copies: same modalities, samples and components."""
    augmented = embeddings(Z_augmented)
    shapes = [[z.shape for z in side.arrays] for side in (Z, augmented)]
    if augmented.names != Z.names or shapes[0] != shapes[1]:
        raise ValueError(
            "Z_augmented must have the modalities, samples and components of Z, got "
            f"{dict(zip(augmented.names, shapes[1], strict=True))}, expected "
            f"{dict(zip(Z.names, shapes[0], strict=True))}."
        )
    return augmented
