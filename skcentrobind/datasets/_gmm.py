"""Generate modalities of a shared Gaussian mixture, the synthetic data of the CentroBind paper."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from .._data.modalities import Modalities
from .._names import is_integer


def make_multimodal_gmm(
    n_samples: int = 10000,
    n_modalities: int = 4,
    n_classes: int = 50,
    n_features: int = 16,
    n_latent: int = 8,
    qualities: ArrayLike | None = None,
    class_std: float = 1.6,
    noise: float = 1.0,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[Modalities, NDArray[np.int64]]:
    r"""Generate modalities that are noisy non-linear functions of one latent Gaussian mixture.

    Each sample has one latent point, which each modality observes through its own random network.
    Some latent coordinates are hidden from a modality; with the default `qualities` the first
    modality observes the fewest and the last one the most.

    Parameters
    ----------
    n_samples : int, default=10000
        Number of samples.

    n_modalities : int, default=4
        Number of modalities, named "X1", "X2", ...

    n_classes : int, default=50
        Number of mixture components. Each is one class.

    n_features : int, default=16
        Number of features of each modality.

    n_latent : int, default=8
        Number of latent coordinates.

    qualities : array-like of shape (n_modalities,), default=None
        Share of the latent point that each modality observes, from 0 (nothing: pure noise) to 1
        (everything). From a modality of quality q, ``floor((1 - q) * n_latent)`` of the latent
        coordinates, chosen at random, are hidden. None spaces the hidden share evenly from 0.6 for
        the first modality to 0.1 for the last.

    class_std : float, default=1.6
        Standard deviation of the class centres in each latent coordinate. Each class has standard
        deviation 1 around its centre, so larger values make the classes easier to separate.

    noise : float, default=1.0
        Standard deviation of the noise added to each feature.

    random_state : int, RandomState instance or None, default=None
        Determines the mixture, the networks and the samples. The mixture and the networks are
        drawn first: with the same integer they do not depend on `n_samples`, `qualities` and
        `noise`.

    Returns
    -------
    X : Modalities
        Container of `n_modalities` arrays of shape (n_samples, n_features), named "X1", "X2", ...

    y : ndarray of shape (n_samples,)
        Class of each sample, from 0 to ``n_classes - 1``.

    See Also
    --------
    load_multiple_features : Load real data, six feature sets of handwritten digits.

    Notes
    -----
    With :math:`M` modalities, :math:`K` classes, :math:`d_z` latent coordinates, :math:`d_x`
    features and :math:`s` the `class_std`,

    .. math::

        \mu_k \sim N(0, s^2 I_{d_z}), \quad
        y \sim U\{0, \dots, K - 1\}, \quad
        z \mid y \sim N(\mu_y, I_{d_z}),

        x_m = T^{(2)}_m \, \mathrm{sigmoid}(T^{(1)}_m z) + \mathrm{noise} \cdot N(0, I_{d_x}),
        \quad m = 1, \dots, M.

    The entries of :math:`T^{(1)}_m \in \mathbb{R}^{d_x \times d_z}` and :math:`T^{(2)}_m \in
    \mathbb{R}^{d_x \times d_x}` are standard normal, and the columns of :math:`T^{(1)}_m` that
    belong to hidden coordinates are zero. The model is that of [1]_, Appendix C.1, equation (27);
    the paper does not specify the means, the covariance and the rounding of the number of zero
    columns.

    References
    ----------
    .. [1] M. Jeong, M. Namgung, Z. M. Kim, D. Kang, Y.-Y. Chiang, A. Hero, "Anchors Aweigh! Sail
       for Optimal Unified Multi-Modal Representations",
       `arXiv:2410.02086 <https://arxiv.org/abs/2410.02086>`_.

    Examples
    --------
    >>> from skcentrobind.datasets import make_multimodal_gmm
    >>> X, y = make_multimodal_gmm(n_samples=200, n_classes=5, random_state=0)
    >>> list(X.names)
    ['X1', 'X2', 'X3', 'X4']
    >>> len(X), X["X1"].shape, y.shape
    (200, (200, 16), (200,))
    """
    counts = {
        "n_samples": n_samples,
        "n_modalities": n_modalities,
        "n_classes": n_classes,
        "n_features": n_features,
        "n_latent": n_latent,
    }
    _check_parameters(counts, {"class_std": class_std, "noise": noise})
    n_hidden = _n_hidden(qualities, n_modalities, n_latent)
    rng = check_random_state(random_state)

    centres, networks = _draw_model(rng, n_classes, n_features, class_std, n_latent, n_hidden)
    y = rng.randint(n_classes, size=n_samples)
    z = centres[y] + rng.standard_normal((n_samples, n_latent))
    arrays = {}
    for m, (inner, outer) in enumerate(networks, start=1):
        x = _sigmoid(z @ inner.T) @ outer.T
        arrays[f"X{m}"] = x + noise * rng.standard_normal((n_samples, n_features))
    return Modalities(arrays), y


def _draw_model(
    rng: np.random.RandomState,
    n_classes: int,
    n_features: int,
    class_std: float,
    n_latent: int,
    n_hidden: NDArray[np.int64],
) -> tuple[NDArray[np.float64], list[tuple[NDArray[np.float64], NDArray[np.float64]]]]:
    """Draw the class centres and, for each modality, the pair (T1, T2)."""
    centres = class_std * rng.standard_normal((n_classes, n_latent))
    networks = []
    for hidden in n_hidden:
        inner = rng.standard_normal((n_features, n_latent))
        # A full permutation, whatever `hidden` is, takes the same draws for all qualities.
        inner[:, rng.permutation(n_latent)[:hidden]] = 0.0
        outer = rng.standard_normal((n_features, n_features))
        networks.append((inner, outer))
    return centres, networks


def _n_hidden(qualities: ArrayLike | None, n_modalities: int, n_latent: int) -> NDArray[np.int64]:
    """Return the number of latent coordinates that are hidden from each modality."""
    if qualities is None:
        share = np.linspace(0.6, 0.1, n_modalities)
    else:
        share = 1.0 - _check_qualities(qualities, n_modalities)
    # The margin makes up for rounding below a whole number, as in (1 - 0.9) * 10.
    hidden: NDArray[np.int64] = np.floor(share * n_latent + 1e-9).astype(np.int64)
    return hidden


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-x)) as a tanh, which does not overflow for large negative x."""
    values: NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * x))
    return values


def _check_parameters(counts: dict[str, Any], scales: dict[str, Any]) -> None:
    """Raise one error that names every count or scale out of range."""
    faults = [
        f"{name} must be an integer of at least 1, got {value!r}"
        for name, value in counts.items()
        if not is_integer(value) or value < 1
    ]
    faults += [
        f"{name} must be a finite number of at least 0, got {value!r}"
        for name, value in scales.items()
        if not isinstance(value, Real) or not (0 <= float(value) < np.inf)
    ]
    if faults:
        raise ValueError("; ".join(faults) + ".")


def _check_qualities(qualities: ArrayLike, n_modalities: int) -> NDArray[np.float64]:
    """Return the qualities as an array, or raise an error that says what is wrong with them."""
    expected = f"qualities must be {n_modalities} numbers between 0 and 1, one per modality"
    try:
        values = np.asarray(qualities, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"{expected}; got {qualities!r}.") from exc
    # Negated so that NaN fails too.
    if values.shape != (n_modalities,) or not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"{expected}; got {qualities!r} of shape {values.shape}.")
    return values
