"""Binding every modality to every other, as CLIP and AudioCLIP do."""

from skcentrobind._estimators.base import BaseBindTransformer
from skcentrobind._estimators.docstrings import shared
from skcentrobind.losses import PairwiseLoss


@shared()
class PairwiseBindTransformer(BaseBindTransformer):
    r"""Bind every modality to every other one, without an anchor.

    Each modality minimises the symmetric InfoNCE to each of the others: CLIP for two modalities,
    AudioCLIP for three. With M modalities there are M (M - 1) comparisons in a step, where
    `CentroBindTransformer` has M.

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
    skcentrobind.losses.pairwise_info_nce : The loss.

    Notes
    -----
    A modality is not compared with itself, except where it is the only one. With temperatures by
    modality, a pair takes the geometric mean of its two.

    References
    ----------
    .. [1] Radford et al., "Learning Transferable Visual Models From Natural Language
       Supervision", `arXiv:2103.00020 <https://arxiv.org/abs/2103.00020>`_.
    .. [2] Guzhov et al., "AudioCLIP: Extending CLIP to Image, Text and Audio",
       `arXiv:2106.13043 <https://arxiv.org/abs/2106.13043>`_, section 3.1.

    Examples
    --------
    >>> from skcentrobind import PairwiseBindTransformer
    >>> from skcentrobind.datasets import make_multimodal_gmm
    >>> X, y = make_multimodal_gmm(200, n_classes=5, random_state=0)
    >>> bind = PairwiseBindTransformer(n_components=8, max_epochs=5, random_state=0)
    >>> bind.fit_transform(X).shape
    (200, 32)
    """

    def _make_loss(self, temperature):
        """Return the loss over all pairs."""
        return PairwiseLoss(temperature)
