"""Modalities of a shared Gaussian mixture, the synthetic data of the CentroBind paper."""

from numbers import Real

import numpy as np
from sklearn.utils import check_random_state

from .._modalities import Modalities
from .._names import is_integer


def make_multimodal_gmm(
    n_samples=10000,
    n_modalities=4,
    n_classes=50,
    n_features=16,
    n_latent=8,
    qualities=None,
    class_std=1.6,
    noise=1.0,
    random_state=None,
):
    r"""Generate noisy non-linear views of one latent Gaussian mixture.

    Each sample has one latent point, and each modality sees that point through a random network of
    its own. Part of the latent coordinates is hidden from a modality; with the default `qualities`
    the first modality sees the fewest and the last one the most.

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
        How much of the latent point each modality sees, from 0 (nothing: pure noise) to 1
        (everything). A modality of quality q does not see ``floor((1 - q) * n_latent)`` of the
        latent coordinates, chosen at random. None spreads the hidden share evenly from 0.6 for the
        first modality to 0.1 for the last.

    class_std : float, default=1.6
        Standard deviation of the class centres in each latent coordinate. Around its centre a class
        has standard deviation 1, so larger values make the classes easier to tell apart.

    noise : float, default=1.0
        Standard deviation of the noise added to each feature.

    random_state : int, RandomState instance or None, default=None
        Determines the mixture, the networks and the samples. The mixture and the networks are
        drawn first: with the same integer, another `n_samples`, `qualities` or `noise` keeps the
        mixture and the networks.

    Returns
    -------
    X : Modalities
        Container of `n_modalities` arrays of shape (n_samples, n_features), named "X1", "X2", ...

    y : ndarray of shape (n_samples,)
        Class of each sample, from 0 to ``n_classes - 1``.

    See Also
    --------
    load_multiple_features : Real data, six descriptions of handwritten digits.

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
    the paper leaves the means, the covariance and the rounding of the number of zero columns open.

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


def _draw_model(rng, n_classes, n_features, class_std, n_latent, n_hidden):
    """Draw the class centres and, for each modality, the pair (T1, T2)."""
    centres = class_std * rng.standard_normal((n_classes, n_latent))
    networks = []
    for hidden in n_hidden:
        inner = rng.standard_normal((n_features, n_latent))
        # A whole permutation whatever `hidden` is: it takes the same draws for all qualities.
        inner[:, rng.permutation(n_latent)[:hidden]] = 0.0
        outer = rng.standard_normal((n_features, n_features))
        networks.append((inner, outer))
    return centres, networks


def _n_hidden(qualities, n_modalities, n_latent):
    """Return how many latent coordinates each modality does not see."""
    if qualities is None:
        share = np.linspace(0.6, 0.1, n_modalities)
    else:
        share = 1.0 - _check_qualities(qualities, n_modalities)
    # The margin keeps products that are whole but for rounding, as (1 - 0.9) * 10, from losing one.
    return np.floor(share * n_latent + 1e-9).astype(int)


def _sigmoid(x):
    """Return 1 / (1 + exp(-x)), which overflows for large negative x, as a tanh."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def _check_parameters(counts, scales):
    """Raise one error that names every count or scale out of range."""
    faults = [
        f"{name} must be an integer of at least 1, got {value!r}"
        for name, value in counts.items()
        if not is_integer(value) or value < 1
    ]
    faults += [
        f"{name} must be a finite number of at least 0, got {value!r}"
        for name, value in scales.items()
        if not isinstance(value, Real) or not (0 <= value < np.inf)
    ]
    if faults:
        raise ValueError("; ".join(faults) + ".")


def _check_qualities(qualities, n_modalities):
    """Return the qualities as an array, or say what is wrong with them."""
    expected = f"qualities must be {n_modalities} numbers between 0 and 1, one a modality"
    try:
        values = np.asarray(qualities, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"{expected}; got {qualities!r}.") from exc
    # Written so that NaN fails too.
    if values.shape != (n_modalities,) or not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"{expected}; got {qualities!r} of shape {values.shape}.")
    return values
