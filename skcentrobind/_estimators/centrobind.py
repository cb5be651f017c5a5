"""Bind to the centroid, or to another aggregate, of a sample's own embeddings."""

import copy

from sklearn.utils.validation import check_is_fitted

from skcentrobind._estimators.base import BaseBindTransformer
from skcentrobind._estimators.parameters import FLAG
from skcentrobind._names import did_you_mean
from skcentrobind.anchors import ANCHORS, BaseAnchor, CallableAnchor
from skcentrobind.losses import AnchorLoss


class CentroBindTransformer(BaseBindTransformer):
    r"""Bind modalities to the centroid of each sample's own embeddings.

    One encoder per modality is trained so that all modalities share one space, in which embeddings
    of the same sample are close. In every batch the anchor of sample k is the mean of the
    embeddings of its augmented rows, :math:`a_k = \frac1M \sum_m f_m(x'_{m,k})`, over the
    modalities that it has. Encoder m minimises the symmetric InfoNCE loss between the anchors and
    the embeddings of the clean rows, and the losses of all modalities are summed. No modality has
    to be chosen as the anchor, and every modality learns from all others and from itself.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Width of the shared space. 1 is allowed but useless: a row of one component has unit length
        only if it is 1 or -1.

        "auto" takes 64, 128 or 256: the narrowest that is about as good as the best, where `fit`
        compares features or shrinkages, see `encoder`; otherwise the median number of features of
        the modalities, or of landmarks, rounded down to a power of two. With an "identity" encoder
        it is the width of its rows.
    aggregator : str, BaseAnchor instance or callable, default="mean"
        How the embeddings of a sample are aggregated into its anchor.

        "mean" is the centroid.

        "median" is the coordinate-wise median, robust to one bad modality.

        "random" draws one modality per step and freezes its encoder for that step.

        "random_intra" draws one modality per step, which learns as well.

        "trimmed" is the centroid without the embedding farthest from it.

        "leave_one_out" gives each modality the centroid of the others.

        "spectral" is the principal direction of the embeddings.

        "learned" is a weighted mean whose weights are trained with the encoders; they are in
        `aggregator_weights_`.

        An instance of an anchor class has its own options, for example
        `WeightedAnchor([0.2, 0.2, 1])`; it is copied.

        A callable `(z, present) -> anchors` computes anchors of shape (batch, n_components) from
        embeddings of shape (n_modalities, batch, n_components) and a boolean mask of shape
        (n_modalities, batch), which is None if nothing is missing.
    encoder : str, Module, callable, list or dict, default="auto"
        Maps the features of a modality to the shared space; the result is scaled to unit length. A
        list or dict gives one encoder per modality. Rows with more than one axis are flattened for
        the built-in encoders.

        "auto" compares "residual" with "kernel" encoders of several widths, together with several
        values of `shrinkage`, by the mean reciprocal rank of held-out rows after the closed-form
        start alone: three-fold cross-validation on at most 700 rows, without labels. `selection_`
        shows what was tried. One modality, fewer than 12 samples, and ``init="random"`` have
        "residual".

        "residual" is `W x + MLP(x)`, with the last layer of the MLP initialised to zero: training
        starts from a linear map and adds what helps.

        "kernel" is `W x + V phi(x)`, with phi(x) the whitened similarities of a row to up to 1,000
        landmarks, rows that are drawn in `fit` and stay as they are; fewer where they would take
        more than 256 MB, and "auto" leaves such wide modalities "residual". It takes memory for
        landmarks x (features + landmarks) numbers per modality, and for rows x landmarks, in a
        batch if those of all rows take more than 2 GiB. `W x` starts at zero unless there are more
        than two rows per landmark, and sparse modalities have none. Augmentations named by strings
        act on (x, phi(x)), a callable on x.

        "mlp" is a multilayer perceptron with ReLU, the encoder of the paper.

        "linear" is `W x + b`.

        "identity" takes rows that are already in the shared space, and learns nothing.

        A `torch.nn.Module` is copied and trained from its current weights. Parameters that do not
        require gradients stay fixed, and layers that have no others stay in evaluation mode. The
        module receives the rows unscaled, as float32 tensors of shape (batch, ...), and returns
        (batch, width); a linear layer is appended if width is not `n_components`, or, with a second
        head, `n_components + n_specific_components`.

        A callable `(n_features, n_components) -> Module` builds such a module in every fit; with a
        second head it receives the sum of both widths.
    hidden_layer_sizes : tuple of int, default=(256,)
        Widths of the hidden layers of "residual" and "mlp" encoders.
    gamma : float, "auto", list or dict, default="auto"
        Inverse of the squared width of the kernels ``exp(-gamma |x - y|^2 / v)`` of "kernel"
        encoders, with v the total variance of the rows: small values are smooth and nearly linear.
        A list or dict gives one per modality. "auto" is chosen among 0.1, 0.3 and 1 with the
        encoders, see `encoder`, and 0.3 with ``init="random"``.
    init : {"random", "gcca"}, default="gcca"
        Initial weights of the encoders.

        "random" draws them at random, as in the paper.

        "gcca" initialises the linear parts of "residual", "linear" and "kernel" encoders with the
        generalised canonical correlations of the modalities, which have a closed form: training
        begins where correlation analysis ends, and needs half the epochs. Components beyond those
        that the rows determine start near zero. At most 2,000 samples that have two or more
        modalities are used. Other encoders, and a single modality, start at random.
    shrinkage : float, "oas" or "auto", default="auto"
        How far the covariances of the closed-form start are shrunk towards a multiple of the
        identity: 0 takes them as they are, 1 ignores them. Large values keep to directions of large
        variance, small ones find correlations of any. "oas" is the oracle approximating formula, at
        most one half. "auto" is chosen among "oas", 0.01, 0.1, 0.5 and 0.9 with the encoders, see
        `encoder`.
    n_specific_components : int, default=0
        Width of a second head of every encoder, for information that is specific to its modality; 0
        omits it. It learns from the modality's own augmented rows and is kept uncorrelated with the
        first head, see "separation" in `regularizers`. `transform_specific` and `output="all"`
        return it.
    temperature : float, list or dict, default=0.2
        Divides the similarities in the loss: smaller values give more weight to the closest
        negatives. Useful values lie between 0.05 and 0.5. A list or dict gives one temperature per
        modality.
    learn_temperature : bool, default=False
        Whether the temperature is trained with the encoders, starting from the given value or
        values. It stays between 0.01 and 1, so the given values must lie in that range.
    regularizers : dict of str to float, "auto" or None, default="auto"
        Terms that are added to the loss, by name, with their weights. None adds none.

        "auto" adds an alignment term to the losses that do not see signs, of weight 5 to that of
        `PrincipalBindTransformer` and 20 to that of `GramianBindTransformer`, and nothing to
        others.

        "uniformity" spreads the embeddings of each modality over the sphere.

        "alignment" pulls the embeddings of a sample together.

        "geometric_consistency" makes the similarity of two samples the same, whichever modalities
        they are observed in.

        "separation" keeps the two heads of an encoder uncorrelated, if there are two; its weight is
        1 unless given.
    same_group : {"positive", "ignore"}, default="positive"
        What samples of one group are to each other, if the data have groups, see `Modalities`.

        "positive" makes them positives of each other: minus the logarithm of the softmax, summed
        over the group.

        "ignore" makes them neither positives nor negatives.
    ignore_duplicates : bool, default=True
        Whether rows that are equal in a modality are left out of each other's negatives in the loss
        of that modality: a category that hundreds of rows share, or repeated sentences. They are
        found once per fit, by one pass over the rows. A loss of your own sees them if its `forward`
        takes `samples`.
    detach_anchor : bool, default=False
        Whether the gradient treats the anchor as a constant instead of a function of all encoders.
    augmentation : str, callable, list, dict or None, default="gaussian"
        Random perturbation of the rows from which the anchor is computed. A list or dict gives one
        augmentation per modality.

        "gaussian" adds normal noise of `augmentation_scale` standard deviations of each feature.

        "mask" sets entries to zero with probability `augmentation_scale`.

        "marginal" replaces entries by those of another sample with probability
        `augmentation_scale`.

        A callable `(x, generator) -> x'` receives the prepared rows of a modality, a tensor of
        shape (batch, ...), and a `torch.Generator`.

        None leaves the rows unchanged; a modality then learns nothing from itself.

        In sparse modalities only stored entries change: "gaussian" multiplies each by `1 + s e`
        with e ~ N(0, 1) and s the `augmentation_scale`, "mask" sets them to zero, "marginal" is an
        error, and a callable receives the rows of a batch as a dense tensor.
    augmentation_scale : float, default=0.3
        Strength of the augmentation.
    standardize : bool, "whiten" or "robust", default=True
        How features are scaled for the built-in encoders other than "identity". Constant features
        are ignored in any case.

        True centres each feature and scales it to unit variance. Columns of sparse modalities are
        only divided by their largest absolute value, so that zeros stay zeros.

        "whiten" also decorrelates dense features, as far as the number of rows allows, so that
        low-variance directions count.

        "robust" centres each feature at its median, scales it by its quartiles and clips it, so
        that a few rows far off, such as codes for missing values, do not move the others. Columns
        of sparse modalities are divided by the 0.9 quantile of their entries and clipped.

        False leaves the rows unchanged.
    pretrain_epochs : int, default=0
        Number of epochs of intra-modal contrastive learning, each modality on its own, before the
        binding.
    output : {"concat", "mean", "all"}, default="concat"
        What `transform` returns.

        "concat" concatenates the embeddings of all modalities; where a modality is missing, the
        mean over those that the sample has takes its place.

        "mean" is the centroid of the embeddings, over the modalities that a sample has.

        "all" is "concat" with the specific head of each modality after its embedding, zeros where
        the modality is missing.
    modalities : list or dict, default=None
        How a 2-D array or flat DataFrame is split into modalities: widths that sum to the number of
        columns, or slices, or lists of column positions or names; a dict names the modalities. None
        treats it as one modality.
    batch_size : int, default=256
        Upper bound of the number of rows per step; an epoch is split into batches of equal size.
        The negatives of a sample are the other rows of its batch.
    max_epochs : int, "auto" or "full", default="auto"
        Number of passes over the data. 0 keeps the initial weights: random or pre-trained, which is
        the baseline without binding, or those of correlation analysis, see `init`.

        "full" is 100, or 50 if all encoders start from "gcca" and there is no second head, or 30 if
        some of these are "kernel", and fewer, but at least 10, where these would exceed 10,000
        steps.

        "auto" holds out a quarter of the rows, trains on the others, and takes 0, 15 or all of
        these epochs, whichever is best for the held-out rows, for a `fit` on all rows: two such
        trials below 500 rows, one up to 4,000. It is "full" beyond that, from a random start, with
        pre-training, and with early stopping.
    learning_rate : float, list or dict, default=1e-3
        Step size of AdamW. A list or dict gives one rate per modality, for example a small one for
        a pre-trained encoder.
    weight_decay : float, default=1e-2
        Decoupled weight decay of AdamW.
    early_stopping : bool, default=False
        Whether to hold out rows and to stop once their mean reciprocal rank has not improved for
        `n_iter_no_change` epochs; the best weights are restored.
    validation_fraction : float, default=0.1
        Fraction of the rows that early stopping holds out. The score of a few dozen rows is coarse
        and saturates early: with little data, hold out more or do not stop early.
    n_iter_no_change : int, default=10
        Patience of early stopping, in epochs.
    device : str, default="auto"
        Where torch computes: "auto" takes a GPU if there is one; otherwise "cpu", "cuda", "cuda:1",
        "mps", ...
    precision : {"float32", "bf16"}, default="float32"
        Number format in which the encoders compute. Weights, optimiser, loss and embeddings are
        float32 in either case.

        "float32" has seven significant digits.

        "bf16" runs the layers in bfloat16, which has three, in `fit` and afterwards; a custom
        module runs under `torch.autocast`. It is meant for wide encoders on GPUs whose tensor cores
        support bfloat16, but has not run on a GPU yet. On a CPU it gains next to nothing, and takes
        several times as long if the CPU has no bfloat16 instructions. A device that cannot compute
        in bfloat16 is an error.
    callbacks : list of skorch callbacks, default=None
        Callbacks that are copied in every fit and called per epoch and per batch, in the
        pre-training, too: `net.phase` is "pre-training" or "binding". A second phase begins with
        `on_train_begin`.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the rows and the augmentation. The same int gives
        the same numbers, whatever the global seeds are; None draws a new seed from the system in
        every fit.
    verbose : int, default=0
        0 is silent, 1 shows a progress bar, 2 prints one line per epoch.

    Attributes
    ----------
    n_components_ : int
        Width of the shared space.
    n_modalities_ : int
        Number of modalities.
    modality_names_ : list of str
        Names of the modalities, "modality0", "modality1", ... if the data had none.
    n_features_in_ : int
        Number of features of all modalities together.
    n_features_per_modality_ : list of int
        Number of features of each modality.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns if X was a DataFrame; "modality/feature" with two-level columns.
    encoders_ : dict of str to Module
        Trained encoders, from prepared float32 rows to unit-length embeddings.
    scalers_ : dict of str to StandardScaler, WhiteningScaler, MaxAbsScaler, RobustScaler or None
        Scaler of each modality: for `standardize=True`, "whiten", sparse rows, "robust" and
        unscaled rows, in this order.
    net_ : skorch.NeuralNet
        Trained net.
    chosen_params_ : dict
        Encoders, widths of kernels, shrinkage, `n_components` and `max_epochs` as they were chosen
        or given. Passed to the constructor, they leave nothing of it open, so that a search does
        not choose anew in every fit.
    selection_ : DataFrame
        What `fit` has compared, one row per candidate: "encoder", "gamma", "shrinkage", "epochs",
        "score", the mean reciprocal rank of held-out rows, NaN where a candidate fell behind early,
        "seconds", and "taken". Empty if all is named.
    loss_curve_ : list of float
        Training loss of every epoch.
    temperature_ : float or dict of str to float
        Temperature after training, a dict if `temperature` is given per modality.
    validation_scores_ : list of float or None
        Mean reciprocal rank among the held-out rows of a batch after every epoch; None without
        early stopping.
    n_iter_ : int
        Number of epochs.
    device_ : str
        Where torch computed.

    See Also
    --------
    FixedAnchorBindTransformer : Binds to chosen modalities.
    Modalities : Container that scikit-learn's splitters split by sample.

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
        encoder="auto",
        hidden_layer_sizes=(256,),
        gamma="auto",
        init="gcca",
        shrinkage="auto",
        n_specific_components=0,
        temperature=0.2,
        learn_temperature=False,
        regularizers="auto",
        same_group="positive",
        ignore_duplicates=True,
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
            gamma=gamma,
            init=init,
            shrinkage=shrinkage,
            n_specific_components=n_specific_components,
            temperature=temperature,
            learn_temperature=learn_temperature,
            regularizers=regularizers,
            same_group=same_group,
            ignore_duplicates=ignore_duplicates,
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
