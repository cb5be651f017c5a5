"""Whitening with shrinkage, in one pass over blocks of rows."""

import numpy as np
from sklearn.preprocessing import StandardScaler

# The covariance of this many features takes 800 MB.
_MAX_WIDTH = 10_000


# scikit-learn has no types, so mypy does not know the keyword.
class WhiteningScaler(StandardScaler, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    r"""Standardise features, then make them uncorrelated, as far as the rows can tell.

    With the correlation matrix S of n rows of p features, shrunk by the oracle approximating rule
    towards a multiple of the identity,

    .. math:: C = (1 - \rho) S + \rho \frac{\operatorname{tr} S}{p} I,

    standardised rows are multiplied by :math:`C^{-1/2}`. With few rows, or features that are
    hardly correlated, :math:`\rho` is near 1 and little changes; with many rows the features
    become uncorrelated with unit variance. Of all whitening matrices, the symmetric one keeps
    each feature closest to what it was.

    Attributes
    ----------
    whitening_ : ndarray of shape (n_features, n_features)
        The matrix.
    shrinkage_ : float
        :math:`\rho`, between 0 and 1.

    References
    ----------
    Chen et al., "Shrinkage Algorithms for MMSE Covariance Estimation", IEEE Transactions on Signal
    Processing 58 (2010), equation (23); as in `sklearn.covariance.oas`, which takes all rows at
    once.
    """

    def fit_whitening(self, name, blocks):
        """Learn the matrix, once mean and scale are known.

        Parameters
        ----------
        name : str
            The modality, for the error.
        blocks : iterable of ndarray of shape (n_rows, n_features)
            All rows, in blocks.

        Returns
        -------
        self : WhiteningScaler
        """
        width, n_rows = self.n_features_in_, 0
        if width > _MAX_WIDTH:
            raise ValueError(
                f"standardize='whiten' needs the covariance of all features, but modality '{name}' "
                f"has {width} of them, more than {_MAX_WIDTH}: reduce it first, for example with "
                "PCA in PerModality, or use standardize=True."
            )
        moments = np.zeros((width, width))
        for block in blocks:
            rows = super().transform(block)
            moments += rows.T @ rows
            n_rows += len(rows)
        covariance = moments / n_rows
        trace = np.trace(covariance)
        self.shrinkage_ = shrinkage_of(np.sum(covariance**2), trace, width, n_rows)
        size = trace / width
        shrunk = (1 - self.shrinkage_) * covariance + self.shrinkage_ * size * np.eye(width)
        variances, axes = np.linalg.eigh(shrunk)
        # Rounding may leave directions without variance a tiny or negative one: they stay flat.
        floor = variances[-1] * width * np.finfo(float).eps
        weights = np.where(variances > floor, np.maximum(variances, floor) ** -0.5, 0.0)
        self.whitening_ = axes * weights @ axes.T
        return self

    def transform(self, X, copy=None):
        """Standardise and whiten rows.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.
        copy : bool, default=None
            As in `StandardScaler`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features)
            Whitened rows.
        """
        return super().transform(X, copy=copy) @ self.whitening_


def shrinkage_of(squares, trace, width, n_rows):
    r"""The oracle approximating rule, from the traces of S and of S squared.

    .. math:: \rho = \frac{\alpha + \mu^2}{(n + 1)(\alpha - \mu^2 / p)},
       \quad \alpha = \frac{\operatorname{tr} S^2}{p^2}, \mu = \frac{\operatorname{tr} S}{p}

    Parameters
    ----------
    squares : float
        tr S^2, the sum of all squared covariances.
    trace : float
        tr S.
    width : int
        p, number of features.
    n_rows : int
        n, number of rows.

    Returns
    -------
    rho : float
        Between 0 and 1.
    """
    alpha, mu = squares / width**2, trace / width
    spread = (n_rows + 1) * (alpha - mu**2 / width)
    # At least 0, but rounding may leave a tiny negative number where features are uncorrelated.
    return 1.0 if spread <= 0 else float(min((alpha + mu**2) / spread, 1.0))
