"""Generalised canonical correlations in closed form, to start the encoders from."""

import numpy as np
from scipy import linalg, sparse
from threadpoolctl import threadpool_limits

from skcentrobind._data.whitening import shrinkage_of


# Sums are added in an order that depends on the number of threads.
@threadpool_limits.wrap(limits=1, user_api="blas")
def generalized_cca(views, present, n_components):
    r"""Linear maps to the variables that the modalities have most in common.

    With the centred rows X_m of each modality, their covariances :math:`C_m`, shrunk towards a
    multiple of the identity, the projectors :math:`P_m = X_m C_m^{-1} X_m' / n_m`, filled up with
    zeros where the modality is absent, and the numbers of modalities
    :math:`D = \operatorname{diag}(c_1, \dots, c_n)` of the samples, these are

    .. math:: \max_G \operatorname{tr} G' \Bigl(\sum_m P_m - I\Bigr) G
        \quad \text{subject to} \quad G' (D - I) G = I, \qquad W_m = C_m^{-1} X_m' G / n_m.

    The value that a variable attains is the mean correlation of pairs of modalities in it, but for
    the shrinkage: 1 if all of them know it, 0 if only one does. Where all modalities are present,
    the variables are those of Kettenring's MAXVAR. Columns of W_m are multiplied by the value, so
    that what no two modalities can see has no weight in a cosine.

    Parameters
    ----------
    views : list of ndarray or csr_array of shape (n_present_m, n_features_m)
        Rows of every modality, of the samples that have it.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality, each at least two.
    n_components : int
        Number of variables. Those that the rows cannot determine have maps of zeros.

    Returns
    -------
    weights : list of ndarray of shape (n_features_m, n_components)
        W_m, weighted.
    means : list of ndarray of shape (n_features_m,)
        Mean of the rows of each modality, to be subtracted first.
    agreement : ndarray of shape (n_components,)
        What each variable attains, largest first.

    References
    ----------
    Kettenring, "Canonical analysis of several sets of variables", Biometrika 58 (1971).
    """
    scale = (present.sum(axis=1) - 1.0) ** -0.5
    total = -np.diag(scale**2)
    solvers = []
    for view, has in zip(views, present.T, strict=True):
        solver = _Projector(view)
        total[np.ix_(has, has)] += scale[has, None] * solver.projector() * scale[has]
        solvers.append(solver)
    # All of them: LAPACK's search for the largest ones loses some of those that are equal.
    values, axes = linalg.eigh(total)
    agreement = values[::-1][:n_components].clip(0)
    agreement[agreement < 1e-8] = 0
    axes = axes[:, ::-1][:, :n_components]  # (n_samples, up to n_components)
    # Both signs are right: the largest entry is positive, whatever the units of the features are.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    variables = scale[:, None] * axes * agreement
    padding = (0, n_components - len(agreement))
    weights = [
        np.pad(solver.map_to(variables[has]), ((0, 0), padding))
        for solver, has in zip(solvers, present.T, strict=True)
    ]
    return weights, [solver.mean for solver in solvers], np.pad(agreement, padding)


class _Projector:
    """Regression on centred rows with a shrunk covariance, on the shorter side of their matrix.

    Parameters
    ----------
    rows : ndarray or csr_array of shape (n_rows, n_features)
        Sparse rows that are wide are never made dense.
    """

    def __init__(self, rows):
        n_rows, width = rows.shape
        self.is_wide = width > n_rows
        self.mean = np.asarray(rows.mean(axis=0, dtype=np.float64)).ravel()
        if sparse.issparse(rows) and self.is_wide:
            self.rows = rows.astype(np.float64)
            gram = (self.rows @ self.rows.T).toarray()
            # (x - mean) . (y - mean), summed over the axis of the features.
            shift = self.rows @ self.mean
            self.gram = gram - shift[:, None] - shift + self.mean @ self.mean
        else:
            self.rows = (rows.toarray() if sparse.issparse(rows) else rows) - self.mean
            self.gram = self.rows @ self.rows.T if self.is_wide else self.rows.T @ self.rows
        # The Gram matrices of both sides have the same trace and the same sum of squares.
        squares, trace = np.sum(self.gram**2) / n_rows**2, np.trace(self.gram) / n_rows
        # Of white features the rule keeps nothing, so at most half is shrunk away; and rows of a
        # low rank need a little.
        rho = min(max(shrinkage_of(squares, trace, width, n_rows), 1e-6), 0.5)
        ridge = rho * n_rows * trace / width or 1.0
        # n C, on either side.
        shrunk = (1 - rho) * self.gram + ridge * np.eye(len(self.gram))
        self.factor = linalg.cho_factor(shrunk)

    def projector(self):
        """Return X C^-1 X' / n."""
        if self.is_wide:
            return linalg.cho_solve(self.factor, self.gram)
        return self.rows @ linalg.cho_solve(self.factor, self.rows.T)

    def map_to(self, variables):
        """Return C^-1 X' G / n."""
        if not self.is_wide:
            return linalg.cho_solve(self.factor, self.rows.T @ variables)
        dual = linalg.cho_solve(self.factor, variables)
        weights = self.rows.T @ dual
        if sparse.issparse(self.rows):  # not centred yet
            weights -= np.outer(self.mean, dual.sum(axis=0))
        return weights
