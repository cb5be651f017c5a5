"""Binding to the direction that the embeddings of a sample have most in common."""

from skcentrobind._estimators.base import BaseBindTransformer
from skcentrobind._estimators.docstrings import shared
from skcentrobind._estimators.parameters import number
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

    _rules = BaseBindTransformer._rules | {
        "alignment_temperature": number(0, "a positive number, such as 0.05")
    }

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
        super().__init__(
            n_components,
            encoder=encoder,
            hidden_layer_sizes=hidden_layer_sizes,
            init=init,
            n_specific_components=n_specific_components,
            temperature=temperature,
            learn_temperature=learn_temperature,
            regularizers=regularizers,
            augmentation=augmentation,
            augmentation_scale=augmentation_scale,
            standardize=standardize,
            pretrain_epochs=pretrain_epochs,
            output=output,
            modalities=modalities,
            batch_size=batch_size,
            max_epochs=max_epochs,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            device=device,
            precision=precision,
            callbacks=callbacks,
            random_state=random_state,
            verbose=verbose,
        )
        self.alignment_temperature = alignment_temperature

    def _make_loss(self, temperature):
        """Return the loss on singular values."""
        return PrincipalLoss(temperature, float(self.alignment_temperature))
