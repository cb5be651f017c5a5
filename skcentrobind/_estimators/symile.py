"""Binding by what only all modalities together tell."""

from skcentrobind._estimators.base import BaseBindTransformer
from skcentrobind._estimators.docstrings import shared
from skcentrobind.losses import SymileLoss


@shared()
class SymileBindTransformer(BaseBindTransformer):
    r"""Bind modalities by the multilinear inner product of their embeddings.

    The score of a tuple is :math:`\sum_i \prod_m z_{m,i}`, high for embeddings of one sample and
    low for a mixture of samples. It bounds the total correlation of the modalities, so it finds
    what no pair of them shows: with x and y two random bits and z = x xor y, any two are
    independent, so pairs, centroids and fixed anchors have nothing to learn, but all three together
    determine one another.

    Parameters
    ----------
    {n_components}
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    CentroBindTransformer : Binds to the centroid of each sample's own embeddings.
    skcentrobind.losses.SymileLoss : The loss, and what happens where modalities are absent.

    Notes
    -----
    Two modalities of a sample need not be close to each other in this space. A query by several of
    them is the product of their embeddings, component by component, not their mean; `score` and
    measures of pairwise retrieval may miss what was learned. With two modalities the score is
    the inner product, and the method is `PairwiseBindTransformer`.

    References
    ----------
    .. [1] Saporta et al., "Contrasting with Symile: Simple Model-Agnostic Representation Learning
       for Unlimited Modalities", `arXiv:2411.01053 <https://arxiv.org/abs/2411.01053>`_.

    Examples
    --------
    >>> from skcentrobind import SymileBindTransformer
    >>> from skcentrobind.datasets import make_multimodal_gmm
    >>> X, y = make_multimodal_gmm(200, n_classes=5, random_state=0)
    >>> bind = SymileBindTransformer(n_components=8, max_epochs=5, random_state=0).fit(X)
    >>> Z = bind.transform_modalities(X)
    >>> queries = Z["X1"] * Z["X2"] * Z["X3"]
    >>> (queries @ Z["X4"].T).shape  # a column for each candidate
    (200, 200)
    """

    def _make_loss(self, temperature):
        """Return the loss on multilinear inner products."""
        return SymileLoss(temperature)
