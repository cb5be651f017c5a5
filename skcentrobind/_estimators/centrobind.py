"""Binding to the centroid, or to another aggregate of a sample's own embeddings."""

import copy

from sklearn.utils.validation import check_is_fitted

from skcentrobind._estimators.base import BaseBindTransformer
from skcentrobind._estimators.docstrings import shared
from skcentrobind._estimators.parameters import FLAG
from skcentrobind._names import did_you_mean
from skcentrobind.anchors import ANCHORS, BaseAnchor, CallableAnchor
from skcentrobind.losses import AnchorLoss


@shared(
    objective="""
    detach_anchor : bool, default=False
        Whether the anchor is a constant for the gradient, instead of a function of all encoders.
    """,
)
class CentroBindTransformer(BaseBindTransformer):
    r"""Bind modalities to the centroid of each sample's own embeddings.

    One encoder a modality is trained so that all modalities land in one space, where embeddings
    of the same sample are close. In every batch the anchor of sample k is the mean of the
    embeddings of its augmented rows, :math:`a_k = \frac1M \sum_m f_m(x'_{m,k})`, over the
    modalities that it has. Encoder m minimises the symmetric InfoNCE between the anchors and the
    embeddings of the clean rows, and the losses of all modalities are summed. No modality has to
    be chosen as the anchor, and every modality learns from all others and from itself.

    Parameters
    ----------
    {n_components}
    aggregator : str, BaseAnchor instance or callable, default="mean"
        How the embeddings of a sample become its anchor.

        "mean" is the centroid.

        "median" is the coordinate-wise median, robust to one bad modality.

        "random" draws one modality in every step and freezes its encoder for that step.

        "random_intra" draws one modality in every step, which learns as well.

        "trimmed" is the centroid without the embedding that lies farthest from it.

        "leave_one_out" gives each modality the centroid of the others.

        "spectral" is the direction that the embeddings have most in common.

        "learned" is a weighted mean, whose weights are trained with the encoders and can be read
        from `aggregator_weights_`.

        An instance of an anchor class sets its own options, for example
        `WeightedAnchor([.2, .2, 1])`; it is copied.

        A callable `(z, present) -> anchors` computes anchors of shape (batch, n_components) from
        embeddings of shape (n_modalities, batch, n_components) and their presence of shape
        (n_modalities, batch), None if all are there.
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    FixedAnchorBindTransformer : Binds to modalities that the user chooses.
    Modalities : Container that scikit-learn's splitters cut over samples.

    Notes
    -----
    The loss of modality m at temperature :math:`\tau` is

    .. math::

        -\frac1B \sum_k \log \frac{e^{a_k \cdot z_{m,k} / \tau}}{\sum_j e^{a_k \cdot
        z_{m,j} / \tau}} -\frac1B \sum_k \log \frac{e^{a_k \cdot z_{m,k} / \tau}}{\sum_j
        e^{a_j \cdot z_{m,k} / \tau}},

    the sum of both directions, with anchors that are not re-normalised, as in the paper. With a
    single modality the centroid is the augmented embedding itself, and the method is intra-modal
    contrastive learning.

    References
    ----------
    .. [1] Jeong et al., "Anchors Aweigh! Sail for Optimal Unified Multi-Modal Representations",
       `arXiv:2410.02086 <https://arxiv.org/abs/2410.02086>`_, equations (7) to (9), Algorithm 1.

    Examples
    --------
    >>> from skcentrobind import CentroBindTransformer
    >>> from skcentrobind.datasets import make_multimodal_gmm
    >>> X, y = make_multimodal_gmm(200, n_classes=5, random_state=0)
    >>> bind = CentroBindTransformer(n_components=8, max_epochs=5, random_state=0)
    >>> bind.fit_transform(X).shape
    (200, 32)
    >>> bind.transform_modality(X["X4"][:3], "X4").shape
    (3, 8)
    """

    _rules = BaseBindTransformer._rules | {"detach_anchor": FLAG}

    def __init__(
        self,
        n_components="auto",
        *,
        aggregator="mean",
        encoder="residual",
        hidden_layer_sizes=(256,),
        init="gcca",
        n_specific_components=0,
        temperature=0.2,
        learn_temperature=False,
        regularizers=None,
        detach_anchor=False,
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
        self.aggregator = aggregator
        self.detach_anchor = detach_anchor

    def _make_loss(self, temperature):
        """Return the loss towards the aggregate of all modalities."""
        return AnchorLoss(self._make_anchor(), temperature, bool(self.detach_anchor))

    def _make_anchor(self):
        """Return the anchor that `aggregator` names, or a copy of it."""
        if isinstance(self.aggregator, BaseAnchor):
            return copy.deepcopy(self.aggregator)
        if isinstance(self.aggregator, str) and self.aggregator in ANCHORS:
            return ANCHORS[self.aggregator]()
        if callable(self.aggregator) and not isinstance(self.aggregator, type):
            return CallableAnchor(self.aggregator)
        hint = did_you_mean(self.aggregator, ANCHORS)
        if self.aggregator == "weighted":
            hint = " Weights are given by an instance: WeightedAnchor([0.2, 0.2, 1])."
        raise ValueError(
            f"aggregator must be one of {sorted(ANCHORS)}, an instance of an anchor class or a "
            f"function, got {self.aggregator!r}.{hint}"
        )

    @property
    def aggregator_weights_(self):
        """Weights of the modalities in the anchor by name, if the aggregator has such weights."""
        check_is_fitted(self)
        weights = getattr(self.net_.criterion_.anchor, "modality_weights", None)
        if weights is None:
            raise AttributeError(
                f"aggregator={self.aggregator!r} has no weights; 'learned' and WeightedAnchor have."
            )
        return dict(zip(self._schema.names, weights.tolist(), strict=True))
