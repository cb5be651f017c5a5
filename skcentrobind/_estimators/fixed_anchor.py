"""Binding to modalities that the user has chosen, as ImageBind does."""

from skcentrobind._estimators.base import BaseBindTransformer
from skcentrobind._estimators.docstrings import shared
from skcentrobind._estimators.parameters import FLAG, choice
from skcentrobind.anchors import FixedAnchor
from skcentrobind.losses import AnchorLoss


@shared(
    objective="""
    freeze_anchor : bool, default=True
        Whether the encoders of the anchors stay as pre-training left them, or as they were drawn
        if there is none. False trains them together with the others.
    direction : {"both", "from_anchor", "to_anchor"}, default="both"
        Who looks for whom in the loss.

        "both" is the sum of the two others, as in ImageBind and LanguageBind.

        "from_anchor" lets each anchor look for its own row of the other modality among those of
        the batch, as in equation (3) of the paper.

        "to_anchor" lets each row of the other modality look for its own anchor, as in UniBind.
    """,
    pretrain_epochs=20,
    init="random",
)
class FixedAnchorBindTransformer(BaseBindTransformer):
    r"""Bind all modalities to one or several fixed anchor modalities.

    The baseline of ImageBind and LanguageBind, called FABind in the paper. Every encoder but the
    anchor's minimises the InfoNCE between the anchor's embeddings of the augmented rows and its
    own of the clean rows, in both directions unless `direction` says otherwise. What the anchor
    modality does not show, the others cannot learn, so the choice of the anchor decides how good
    the space is; see `CentroBindTransformer`, which needs none.

    Parameters
    ----------
    {n_components}
    anchor : int, str or list of int or str, default=0
        Position or name of the anchor modality. With a list of several, the loss of each other
        modality is the mean over the anchors, and frozen anchors do not learn from one another.
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    CentroBindTransformer : Binds to the centroid of each sample's own embeddings.

    Notes
    -----
    Samples that lack the anchor modality teach nothing. With a single modality there is nothing
    to bind; its encoder learns from its own augmented rows. Pre-training is symmetric, whatever
    `direction` is.

    References
    ----------
    .. [1] Girdhar et al., "ImageBind: One Embedding Space To Bind Them All", CVPR 2023,
       `arXiv:2305.05665 <https://arxiv.org/abs/2305.05665>`_.
    .. [2] Jeong et al., "Anchors Aweigh! Sail for Optimal Unified Multi-Modal Representations",
       `arXiv:2410.02086 <https://arxiv.org/abs/2410.02086>`_, equation (3).

    Examples
    --------
    >>> from skcentrobind import FixedAnchorBindTransformer
    >>> from skcentrobind.datasets import make_multimodal_gmm
    >>> X, y = make_multimodal_gmm(200, n_classes=5, random_state=0)
    >>> bind = FixedAnchorBindTransformer(anchor="X4", pretrain_epochs=2, max_epochs=2)
    >>> bind.fit(X).transform_modalities(X).names
    ('X1', 'X2', 'X3', 'X4')
    """

    _rules = BaseBindTransformer._rules | {
        "freeze_anchor": FLAG,
        "direction": choice("both", "from_anchor", "to_anchor"),
    }

    def __init__(
        self,
        n_components="auto",
        *,
        anchor=0,
        encoder="residual",
        hidden_layer_sizes=(256,),
        init="random",
        n_specific_components=0,
        temperature=0.2,
        learn_temperature=False,
        regularizers=None,
        freeze_anchor=True,
        direction="both",
        augmentation="gaussian",
        augmentation_scale=0.3,
        standardize=True,
        pretrain_epochs=20,
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
        self.anchor = anchor
        self.freeze_anchor = freeze_anchor
        self.direction = direction

    def _make_loss(self, temperature):
        """Return the loss towards the chosen modalities."""
        anchor = FixedAnchor(self.anchor, freeze=bool(self.freeze_anchor))
        return AnchorLoss(anchor, temperature, direction=self.direction)
