"""Binding to the direction that the embeddings of a sample have most in common."""

from skcentrobind._estimators.base import BaseBindTransformer
from skcentrobind._estimators.docstrings import shared
from skcentrobind._estimators.parameters import store
from skcentrobind.losses import PrincipalLoss


@shared(
    objective="""
    alignment_temperature : float, default=0.05
        Divides the singular values: smaller values press harder on what is left of them besides
        the largest.
    """
)
class PrincipalBindTransformer(BaseBindTransformer):
    r"""Bind modalities by making the embeddings of each sample a matrix of rank one.

    The embeddings of a sample are the columns of a matrix. They lie on one line if and only if its
    largest singular value holds everything, so the loss is the negative logarithm of the softmax
    of the largest among the singular values; a second term tells the leading directions of
    different samples apart. No modality is an anchor, and no pair is compared.

    Parameters
    ----------
    {n_components}
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    CentroBindTransformer : With `aggregator="spectral"` it binds to the same leading direction.
    skcentrobind.losses.PrincipalLoss : The loss, and what happens where modalities are absent.

    Notes
    -----
    Singular values do not know signs: a modality that points the opposite way counts as aligned,
    which `regularizers={"alignment": 1}` prevents where encoders start from random weights. There
    is one temperature for all modalities, as samples are compared, not modalities.

    References
    ----------
    .. [1] Liu et al., "Principled Multimodal Representation Learning",
       `arXiv:2507.17343 <https://arxiv.org/abs/2507.17343>`_.

    Examples
    --------
    >>> from skcentrobind import PrincipalBindTransformer
    >>> from skcentrobind.datasets import make_multimodal_gmm
    >>> X, y = make_multimodal_gmm(200, n_classes=5, random_state=0)
    >>> bind = PrincipalBindTransformer(n_components=8, max_epochs=5, random_state=0)
    >>> bind.fit_transform(X).shape
    (200, 32)
    """

    def __init__(
        self,
        n_components="auto",
        *,
        encoder="residual",
        hidden_layer_sizes=(256,),
        init="gcca",
        n_specific_components=0,
        temperature=0.2,
        learn_temperature=False,
        regularizers=None,
        alignment_temperature=0.05,
        augmentation="gaussian",
        augmentation_scale=0.3,
        standardize=True,
        pretrain_epochs=0,
        output="concat",
        modalities=None,
        batch_size=256,
        max_epochs="auto",
        learning_rate=1e-3,
        weight_decay=1e-2,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        device="auto",
        precision="float32",
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        store(self, locals())

    def _make_loss(self, temperature):
        """Return the loss on singular values."""
        return PrincipalLoss(temperature, float(self.alignment_temperature))
