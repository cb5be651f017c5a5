"""Docstring blocks that all binding transformers share, written once."""

import inspect

N_COMPONENTS = """\
n_components : int or "auto", default="auto"
    Width of the shared space. 1 is allowed, but of use to nobody: a row of one number has unit
    length if it is 1 or -1.

    "auto" follows the median number of features of the modalities, rounded down to a power of
    two: at least 64 and at most 256. With an "identity" encoder it is the width of its rows."""

PARAMETERS = """\
encoder : str, Module, callable, list or dict, default="residual"
    Maps the features of a modality to the shared space; the result is scaled to unit length.
    A list or dict gives each modality its own. Rows with more than one axis are flattened for
    the built-in encoders.

    "residual" is `W x + MLP(x)`, with the last layer of the MLP starting at zero: it begins as
    a linear map and adds what helps. Best on real data, and safe with few samples.

    "mlp" is a multilayer perceptron with ReLU, the encoder of the paper.

    "linear" is `W x + b`.

    "identity" takes rows that are in the shared space already, and learns nothing.

    A `torch.nn.Module` is copied and trained from its present weights. Parameters that do not
    require gradients stay as they are, and layers that have no others stay in evaluation mode.
    The module gets rows as they are, as float32 tensors of shape (batch, ...), and returns
    (batch, width); a linear layer is put behind it if width is not `n_components`, or with a
    second head `n_components + n_specific_components`.

    A callable `(n_features, n_components) -> Module` makes such a module in every fit; with a
    second head it is told the width of both.
hidden_layer_sizes : tuple of int, default=(256,)
    Widths of the hidden layers of "residual" and "mlp" encoders.
init : {{"random", "gcca"}}, default="{init}"
    What the encoders start from.

    "random" is a random draw, as in the paper.

    "gcca" starts the linear parts of "residual" and "linear" encoders at the generalised canonical
    correlations of the modalities, which have a closed form: training begins where linear
    correlation analysis ends, and needs half the epochs. Components beyond those that the rows
    determine start near zero. Up to 2,000 samples that have two
    modalities or more are looked at. Other encoders, and a modality alone, start at random.
n_specific_components : int, default=0
    Width of a second head of every encoder, for what a modality shares with no other; 0 leaves
    it out. It learns from the modality's own augmented rows and is kept uncorrelated with the
    first head, see "separation" below. `transform_specific` and `output="all"` return it.
temperature : float, list or dict, default=0.2
    Divides the similarities in the loss: smaller values weigh the closest negatives more.
    Useful values lie between 0.05 and 0.5. A list or dict gives each modality its own.
learn_temperature : bool, default=False
    Whether the temperature is trained with the encoders, from the given value or values on. It
    stays between 0.01 and 1, so the given values must lie there.
regularizers : dict of str to float, default=None
    Terms that are added to the loss, by name, with their weights.

    "uniformity" spreads the embeddings of each modality over the sphere.

    "alignment" pulls the embeddings of a sample together, which objectives that do not see signs
    need to find the way from random weights.

    "geometric_consistency" makes similarities between two samples the same, whichever modality
    either is seen in.

    "separation" keeps both heads of an encoder uncorrelated, if there are two; its weight is 1
    unless given.
{objective}augmentation : {{"gaussian", "mask", "marginal"}}, callable, None, list or dict, \
default="gaussian"
    Random view of the rows that the anchor is computed from. A list or dict gives each modality
    its own.

    "gaussian" adds noise of `augmentation_scale` standard deviations of each feature.

    "mask" sets entries to zero with probability `augmentation_scale`.

    "marginal" replaces entries by another sample's with probability `augmentation_scale`.

    A callable `(x, generator) -> x'` gets the prepared rows of a modality, a tensor of shape
    (batch, ...), and a `torch.Generator`.

    None leaves the rows as they are; a modality then learns nothing from itself.

    In a sparse modality only stored entries change: "gaussian" multiplies each by `1 + s e` with
    e ~ N(0, 1) and s the `augmentation_scale`, "mask" sets them to zero, "marginal" is refused,
    and a callable gets the rows of a batch as a dense tensor.
augmentation_scale : float, default=0.3
    Strength of the augmentation.
standardize : bool or "whiten", default=True
    Whether features are prepared for the built-in encoders other than "identity". Constant
    features are ignored either way.

    True centres each feature and scales it to unit variance. Columns of sparse modalities are only
    divided by their largest absolute value, so that zeros stay zeros.

    "whiten" makes dense features uncorrelated as well, as far as there are rows to tell, which
    lets directions of small variance speak.

    False leaves rows as they are.
pretrain_epochs : int, default={pretrain_epochs}
    Epochs of intra-modal contrastive learning, each modality on its own, before the binding.
output : {{"concat", "mean", "all"}}, default="concat"
    What `transform` returns.

    "concat" puts the embeddings of all modalities side by side.

    "mean" is their centroid over the modalities that a sample has.

    "all" is "concat" with the specific head of each modality behind its embedding, zeros where
    a sample lacks the modality.
modalities : list or dict, default=None
    How a 2-D array or flat DataFrame is cut into modalities: widths that add up to the number
    of columns, or slices, or lists of column positions or names; a dict names the modalities.
    None takes it as one modality.
batch_size : int, default=256
    Upper bound of the rows in a step; an epoch is cut into batches of equal size. A sample's
    negatives are the other rows of its batch.
max_epochs : int or "auto", default="auto"
    Number of passes over the data. 0 leaves the encoders as they start: drawn or pre-trained, the
    baseline without binding, or those of linear correlation analysis, see `init`.

    "auto" is 100, or 50 if all encoders started from "gcca" and there is no second head, and less,
    down to 10, where these would be more than 10,000 steps.
learning_rate : float, list or dict, default=1e-3
    Step size of AdamW. A list or dict gives each modality its own, for example a small one to a
    pre-trained encoder.
weight_decay : float, default=1e-2
    Decoupled weight decay of AdamW.
early_stopping : bool, default=False
    Whether to hold out rows and to stop once their mean reciprocal rank has not improved for
    `n_iter_no_change` epochs; the best weights are restored.
validation_fraction : float, default=0.1
    Share of the rows that early stopping holds out. The score of a few dozen rows is coarse, and
    soon as high as it gets: with little data hold out more, or do not stop early.
n_iter_no_change : int, default=10
    Patience of early stopping, in epochs.
device : str, default="auto"
    Where torch computes: "auto" takes a GPU where there is one; otherwise "cpu", "cuda",
    "cuda:1", "mps", ...
precision : {{"float32", "bf16"}}, default="float32"
    Numbers in which the encoders compute. Weights, optimiser, loss and embeddings are float32 in
    either case.

    "float32" has seven digits.

    "bf16" lets the layers take and give bfloat16, which has three, in `fit` and afterwards; a
    module of your own runs under `torch.autocast`. It is made for wide encoders on GPUs whose
    tensor cores know bfloat16, but has not run on a GPU yet. On a CPU it gains next to nothing,
    and takes several times as long where the CPU has no instructions for bfloat16. A device that
    cannot compute in it is an error.
callbacks : list of skorch callbacks, default=None
    Copied in every fit and told about epochs and batches.
random_state : int, RandomState instance or None, default=None
    Seed of initial weights, order of the rows and augmentation. The same int gives the same
    numbers, whatever the global seeds are; None takes a new seed from the system in every fit.
verbose : int, default=0
    0 is silent, 1 shows a progress bar, 2 prints a line for every epoch."""

ATTRIBUTES = """\
n_components_ : int
    Width of the shared space.
n_modalities_ : int
    Number of modalities.
modality_names_ : list of str
    Their names, "modality0", "modality1", ... where the data had none.
n_features_in_ : int
    Number of features of all modalities together.
n_features_per_modality_ : list of int
    Number of features of each modality.
feature_names_in_ : ndarray of str of shape (n_features_in_,)
    Names of the columns, if X was a DataFrame; "modality/feature" with two-level columns.
encoders_ : dict of str to Module
    Trained encoders, from prepared float32 rows to unit-length embeddings.
scalers_ : dict of str to StandardScaler, WhiteningScaler, MaxAbsScaler or None
    How the rows of each modality are prepared: `standardize=True`, "whiten", sparse, not at all.
net_ : skorch.NeuralNet
    The net that was trained.
loss_curve_ : list of float
    Training loss of every epoch.
temperature_ : float or dict of str to float
    Temperature at the end, by modality if `temperature` is.
validation_scores_ : list of float or None
    Mean reciprocal rank among the held-out rows of a batch after every epoch; None without
    early stopping.
n_iter_ : int
    Number of epochs.
device_ : str
    Where torch computed."""


def shared(objective="", pretrain_epochs=0, init="gcca"):
    """Return a class decorator that fills in the shared blocks of a docstring.

    Parameters
    ----------
    objective : str, default=""
        The parameters of the subclass that stand behind those that concern the loss.
    pretrain_epochs : int, default=0
        The subclass's default.
    init : str, default="gcca"
        The subclass's default.
    """
    own = inspect.cleandoc(objective)
    defaults = {"pretrain_epochs": pretrain_epochs, "init": init}
    parameters = PARAMETERS.format(objective=own and f"{own}\n", **defaults)

    def fill(cls):
        cls.__doc__ = (
            inspect.cleandoc(cls.__doc__)
            .replace("{n_components}", N_COMPONENTS)
            .replace("{parameters}", parameters)
            .replace("{attributes}", ATTRIBUTES)
            + "\n"
        )
        return cls

    return fill
