"""Binding by the volume that the embeddings of a sample span."""

from skcentrobind._estimators.base import BaseBindTransformer
from skcentrobind._estimators.docstrings import shared
from skcentrobind.losses import GramianLoss


@shared()
class GramianBindTransformer(BaseBindTransformer):
    r"""Bind all modalities of a sample at once, by making the volume they span small.

    The embeddings of a sample are the edges of a parallelotope. Its volume, the square root of the
    determinant of their Gram matrix, becomes small for embeddings of the same sample and stays
    large for a mixture of samples. Each modality in turn looks for its sample among all of the
    batch, by the volume with the other modalities of the candidate.

    Parameters
    ----------
    {n_components}

        More vectors than components always have the volume 0, so let
        it be well above the number of modalities.
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    CentroBindTransformer : Binds to the centroid of each sample's own embeddings.
    skcentrobind.losses.GramianLoss : The loss, and what happens where modalities are absent.

    Notes
    -----
    A volume does not see signs: opposite embeddings span nothing, as equal ones do. It is also 0
    as soon as two embeddings are parallel, wherever the others point. The authors start from
    encoders that are aligned already; from random weights modalities may end up opposed, which
    `regularizers={"alignment": 5}` prevents.

    References
    ----------
    .. [1] Cicchetti et al., "Gramian Multimodal Representation Learning and Alignment",
       `arXiv:2412.11959 <https://arxiv.org/abs/2412.11959>`_.

    Examples
    --------
    >>> from skcentrobind import GramianBindTransformer
    >>> from skcentrobind.datasets import make_multimodal_gmm
    >>> X, y = make_multimodal_gmm(200, n_classes=5, random_state=0)
    >>> bind = GramianBindTransformer(n_components=8, max_epochs=5, random_state=0)
    >>> bind.fit_transform(X).shape
    (200, 32)
    """

    def _make_loss(self, temperature):
        """Return the loss on volumes."""
        return GramianLoss(temperature)
