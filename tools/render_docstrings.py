"""Write the parameters and attributes that all estimators share into their docstrings.

    python tools/render_docstrings.py            # rewrite the docstrings that are out of date
    python tools/render_docstrings.py --check    # only name them, and exit with 1 if there are any

The text stands here once, in PARAMETERS and ATTRIBUTES. In the docstring of an estimator, entries
with these names are written by this script, in the order of the constructor's arguments, with the
class's own defaults. ADDED holds paragraphs that a class adds to a shared entry. All other entries
are the class's own and are kept, apart from their defaults, which are those of the signature; what
the constructor does not take is removed.

A new estimator needs the headings Parameters and Attributes, with its own entries below them.
"""

import argparse
import ast
import re
import sys
import textwrap
from pathlib import Path

from skcentrobind._public import estimator_modules

ROOT = Path(__file__).resolve().parents[1]
BASE = ROOT / "skcentrobind" / "_estimators" / "base.py"
WIDTH = 100
INDENT = " " * 4

# Without defaults, which are read from the signature.
PARAMETERS = """\
n_components : int or "auto"
    Width of the shared space. 1 is allowed but useless: a row of one component has unit length
    only if it is 1 or -1.

    "auto" takes 64, 128 or 256: the narrowest that is about as good as the best, where `fit`
    compares features or shrinkages, see `encoder`; otherwise the median number of features of the
    modalities, or of landmarks, rounded down to a power of two. With an "identity" encoder it is
    the width of its rows.
encoder : str, Module, callable, list or dict
    Maps the features of a modality to the shared space; the result is scaled to unit length. A
    list or dict gives one encoder per modality. Rows with more than one axis are flattened for
    the built-in encoders.

    "auto" compares "residual" with "kernel" encoders of several widths, together with several
    values of `shrinkage`, by the mean reciprocal rank of held-out rows after the closed-form start
    alone: three-fold cross-validation on at most 700 rows, without labels. `selection_` shows what
    was tried. One modality, fewer than 12 samples, and ``init="random"`` have "residual".

    "residual" is `W x + MLP(x)`, with the last layer of the MLP initialised to zero: training
    starts from a linear map and adds what helps.

    "kernel" is `W x + V phi(x)`, with phi(x) the whitened similarities of a row to up to 1,000
    landmarks, rows that are drawn in `fit` and stay as they are; fewer where they would take more
    than 256 MB, and "auto" leaves such wide modalities "residual". It takes memory for
    landmarks x (features + landmarks) numbers per modality, and for rows x landmarks, in a batch if
    those of all rows take more than 2 GiB. `W x` starts at zero unless there are more than two rows
    per landmark, and sparse modalities have none. Augmentations named by strings act on
    (x, phi(x)), a callable on x.

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
hidden_layer_sizes : tuple of int
    Widths of the hidden layers of "residual" and "mlp" encoders.
gamma : float, "auto", list or dict
    Inverse of the squared width of the kernels ``exp(-gamma |x - y|^2 / v)`` of "kernel" encoders,
    with v the total variance of the rows: small values are smooth and nearly linear. A list or dict
    gives one per modality. "auto" is chosen among 0.1, 0.3 and 1 with the encoders, see `encoder`,
    and 0.3 with ``init="random"``.
init : {"random", "gcca"}
    Initial weights of the encoders.

    "random" draws them at random, as in the paper.

    "gcca" initialises the linear parts of "residual", "linear" and "kernel" encoders with the
    generalised canonical correlations of the modalities, which have a closed form: training begins
    where correlation analysis ends, and needs half the epochs. Components beyond those that the
    rows determine start near zero. At most 2,000 samples that have two or more modalities are
    used. Other encoders, and a single modality, start at random.
shrinkage : float, "oas" or "auto"
    How far the covariances of the closed-form start are shrunk towards a multiple of the identity:
    0 takes them as they are, 1 ignores them. Large values keep to directions of large variance,
    small ones find correlations of any. "oas" is the oracle approximating formula, at most one
    half. "auto" is chosen among "oas", 0.01, 0.1, 0.5 and 0.9 with the encoders, see `encoder`.
n_specific_components : int
    Width of a second head of every encoder, for information that is specific to its modality; 0
    omits it. It learns from the modality's own augmented rows and is kept uncorrelated with the
    first head, see "separation" in `regularizers`. `transform_specific` and `output="all"` return
    it.
temperature : float, list or dict
    Divides the similarities in the loss: smaller values give more weight to the closest
    negatives. Useful values lie between 0.05 and 0.5. A list or dict gives one temperature per
    modality.
learn_temperature : bool
    Whether the temperature is trained with the encoders, starting from the given value or values.
    It stays between 0.01 and 1, so the given values must lie in that range.
regularizers : dict of str to float, "auto" or None
    Terms that are added to the loss, by name, with their weights. None adds none.

    "auto" adds an alignment term to the losses that do not see signs, of weight 5 to that of
    `PrincipalBindTransformer` and 20 to that of `GramianBindTransformer`, and nothing to others.

    "uniformity" spreads the embeddings of each modality over the sphere.

    "alignment" pulls the embeddings of a sample together.

    "geometric_consistency" makes the similarity of two samples the same, whichever modalities
    they are observed in.

    "separation" keeps the two heads of an encoder uncorrelated, if there are two; its weight is 1
    unless given.
same_group : {"positive", "ignore"}
    What samples of one group are to each other, if the data have groups, see `Modalities`.

    "positive" makes them positives of each other: minus the logarithm of the softmax, summed over
    the group.

    "ignore" makes them neither positives nor negatives.
ignore_duplicates : bool
    Whether rows that are equal in a modality are left out of each other's negatives in the loss of
    that modality: a category that hundreds of rows share, or repeated sentences. They are found
    once per fit, by one pass over the rows. A loss of your own sees them if its `forward` takes
    `samples`.
augmentation : str, callable, list, dict or None
    Random perturbation of the rows from which the anchor is computed. A list or dict gives one
    augmentation per modality.

    "gaussian" adds normal noise of `augmentation_scale` standard deviations of each feature.

    "mask" sets entries to zero with probability `augmentation_scale`.

    "marginal" replaces entries by those of another sample with probability `augmentation_scale`.

    A callable `(x, generator) -> x'` receives the prepared rows of a modality, a tensor of shape
    (batch, ...), and a `torch.Generator`.

    None leaves the rows unchanged; a modality then learns nothing from itself.

    In sparse modalities only stored entries change: "gaussian" multiplies each by `1 + s e` with
    e ~ N(0, 1) and s the `augmentation_scale`, "mask" sets them to zero, "marginal" is an error,
    and a callable receives the rows of a batch as a dense tensor.
augmentation_scale : float
    Strength of the augmentation.
standardize : bool, "whiten" or "robust"
    How features are scaled for the built-in encoders other than "identity". Constant features are
    ignored in any case.

    True centres each feature and scales it to unit variance. Columns of sparse modalities are
    only divided by their largest absolute value, so that zeros stay zeros.

    "whiten" also decorrelates dense features, as far as the number of rows allows, so that
    low-variance directions count.

    "robust" centres each feature at its median, scales it by its quartiles and clips it, so that
    a few rows far off, such as codes for missing values, do not move the others. Columns of sparse
    modalities are divided by the 0.9 quantile of their entries and clipped.

    False leaves the rows unchanged.
pretrain_epochs : int
    Number of epochs of intra-modal contrastive learning, each modality on its own, before the
    binding.
output : {"concat", "mean", "all"}
    What `transform` returns.

    "concat" concatenates the embeddings of all modalities; where a modality is missing, the mean
    over those that the sample has takes its place.

    "mean" is the centroid of the embeddings, over the modalities that a sample has.

    "all" is "concat" with the specific head of each modality after its embedding, zeros where the
    modality is missing.
modalities : list or dict
    How a 2-D array or flat DataFrame is split into modalities: widths that sum to the number of
    columns, or slices, or lists of column positions or names; a dict names the modalities. None
    treats it as one modality.
batch_size : int
    Upper bound of the number of rows per step; an epoch is split into batches of equal size. The
    negatives of a sample are the other rows of its batch.
max_epochs : int, "auto" or "full"
    Number of passes over the data. 0 keeps the initial weights: random or pre-trained, which is
    the baseline without binding, or those of correlation analysis, see `init`.

    "full" is 100, or 50 if all encoders start from "gcca" and there is no second head, or 30 if
    some of these are "kernel", and fewer, but at least 10, where these would exceed 10,000 steps.

    "auto" holds out a quarter of the rows, trains on the others, and takes 0, 15 or all of these
    epochs, whichever is best for the held-out rows, for a `fit` on all rows: two such trials below
    500 rows, one up to 4,000. It is "full" beyond that, from a random start, with pre-training, and
    with early stopping.
learning_rate : float, list or dict
    Step size of AdamW. A list or dict gives one rate per modality, for example a small one for a
    pre-trained encoder.
weight_decay : float
    Decoupled weight decay of AdamW.
early_stopping : bool
    Whether to hold out rows and to stop once their mean reciprocal rank has not improved for
    `n_iter_no_change` epochs; the best weights are restored.
validation_fraction : float
    Fraction of the rows that early stopping holds out. The score of a few dozen rows is coarse
    and saturates early: with little data, hold out more or do not stop early.
n_iter_no_change : int
    Patience of early stopping, in epochs.
device : str
    Where torch computes: "auto" takes a GPU if there is one; otherwise "cpu", "cuda", "cuda:1",
    "mps", ...
precision : {"float32", "bf16"}
    Number format in which the encoders compute. Weights, optimiser, loss and embeddings are
    float32 in either case.

    "float32" has seven significant digits.

    "bf16" runs the layers in bfloat16, which has three, in `fit` and afterwards; a custom module
    runs under `torch.autocast`. It is meant for wide encoders on GPUs whose tensor cores support
    bfloat16, but has not run on a GPU yet. On a CPU it gains next to nothing, and takes several
    times as long if the CPU has no bfloat16 instructions. A device that cannot compute in
    bfloat16 is an error.
callbacks : list of skorch callbacks
    Callbacks that are copied in every fit and called per epoch and per batch, in the pre-training,
    too: `net.phase` is "pre-training" or "binding". A second phase begins with `on_train_begin`.
random_state : int, RandomState instance or None
    Seed of the initial weights, the order of the rows and the augmentation. The same int gives
    the same numbers, whatever the global seeds are; None draws a new seed from the system in
    every fit.
verbose : int
    0 is silent, 1 shows a progress bar, 2 prints one line per epoch.
"""

ATTRIBUTES = """\
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
    Scaler of each modality: for `standardize=True`, "whiten", sparse rows, "robust" and unscaled
    rows, in this order.
net_ : skorch.NeuralNet
    Trained net.
chosen_params_ : dict
    Encoders, widths of kernels, shrinkage, `n_components` and `max_epochs` as they were chosen or
    given. Passed to the constructor, they leave nothing of it open, so that a search does not
    choose anew in every fit.
selection_ : DataFrame
    What `fit` has compared, one row per candidate: "encoder", "gamma", "shrinkage", "epochs",
    "score", the mean reciprocal rank of held-out rows, NaN where a candidate fell behind early,
    "seconds", and "taken". Empty if all is named.
loss_curve_ : list of float
    Training loss of every epoch.
temperature_ : float or dict of str to float
    Temperature after training, a dict if `temperature` is given per modality.
validation_scores_ : list of float or None
    Mean reciprocal rank among the held-out rows of a batch after every epoch; None without early
    stopping.
n_iter_ : int
    Number of epochs.
device_ : str
    Where torch computed.
"""

#: Class -> name of a shared entry -> paragraphs that follow in this class.
ADDED = {
    "GramianBindTransformer": {
        "n_components": "Choose it well above the number of modalities: more vectors than "
        "components always have volume 0.",
    },
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1")
    options = parser.parse_args(arguments)
    changed = outdated()
    for path, (names, new) in changed.items():
        what = "is out of date" if options.check else "is rewritten"
        print(f"{path.relative_to(ROOT).as_posix()}: the docstring of {' or '.join(names)} {what}")
        if not options.check:
            path.write_text(new, encoding="utf-8")
    return int(options.check and bool(changed))


def outdated():
    """Map each file that has to change to its estimators and to its new text."""
    paths = {}
    for name, module in estimator_modules().items():
        paths.setdefault(ROOT / f"{module.replace('.', '/')}.py", []).append(name)
    base = signature(BASE.read_text(encoding="utf-8"), "BaseBindTransformer")
    shared = entries(PARAMETERS.splitlines())
    if unused := sorted(set(shared) - set(base)):
        raise SystemExit(f"PARAMETERS holds {unused}, which no estimator takes")
    if unknown := sorted(set(ADDED) - set(estimator_modules())):
        raise SystemExit(f"ADDED holds {unknown}, which are no estimators")
    changed = {}
    for path, names in paths.items():
        old = new = path.read_text(encoding="utf-8")
        for name in names:
            new = render(new, name, base)
        if new != old:
            changed[path] = names, new
    return changed


def render(source, name, base):
    """Return a file's text with a new docstring of one class.

    Parameters
    ----------
    source : str
        Text of the file.
    name : str
        The class.
    base : dict of str to str
        Signature of the base class, for classes without a constructor of their own.
    """
    defaults = signature(source, name) or base
    source = replace_section(
        source, name, "Parameters", lambda old: parameters(old, name, defaults)
    )
    return replace_section(source, name, "Attributes", attributes)


def parameters(own, name, defaults):
    """Return all entries of the parameters of a class, given those that it has now."""
    shared = entries(PARAMETERS.splitlines())
    for key, text in ADDED.get(name, {}).items():
        shared[key] += ["", *text.splitlines()]
    own = {key: lines for key, lines in own.items() if key not in shared}
    if missing := sorted(set(defaults) - set(own) - set(shared)):
        raise SystemExit(f"the docstring of {name} must describe {', '.join(missing)}")
    rendered = []
    for key, default in defaults.items():
        head, *body = own[key] if key in own else wrap(shared[key])
        rendered += [f"{head.partition(', default=')[0]}, default={default}", *body]
    return rendered


def attributes(own):
    """Return all entries of the attributes of a class, its own behind the shared ones."""
    shared = entries(ATTRIBUTES.splitlines())
    rendered = [wrap(lines) for lines in shared.values()]
    rendered += [lines for key, lines in own.items() if key not in shared]
    return [line for lines in rendered for line in lines]


def entries(lines):
    """Map the names of numpydoc entries, whose first lines are not indented, to their lines."""
    found, current = {}, []
    for line in lines:
        if line and not line.startswith(" "):
            head = re.match(r"(\w+) : ", line)
            if head is None:
                raise SystemExit(f"expected an entry 'name : type', got {line!r}")
            current = found[head[1]] = []
        current.append(line)
    for body in found.values():
        while not body[-1]:
            body.pop()
    return found


def wrap(lines):
    """Fill the paragraphs of an entry to the width that a class leaves; code stays in one piece."""
    head, *body = lines
    filler = textwrap.TextWrapper(
        width=WIDTH - len(INDENT),
        initial_indent=INDENT,
        subsequent_indent=INDENT,
        break_on_hyphens=False,
        break_long_words=False,
    )
    filled = []
    for paragraph in "\n".join(body).split("\n\n"):
        words = " ".join(paragraph.split())
        words = re.sub("`[^`]*`", lambda code: code[0].replace(" ", "\0"), words)
        filled += ["", *(line.replace("\0", " ") for line in filler.wrap(words))]
    return [head, *filled[1:]]


def find_class(source, name):
    """Return the syntax tree of a class."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise SystemExit(f"there is no class {name} where the table of public names has it")


def signature(source, name):
    """Map the arguments of a class's own constructor to the source of their defaults."""
    for node in find_class(source, name).body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            positional = node.args.args[1:]
            pairs = zip(
                [*positional, *node.args.kwonlyargs],
                [*node.args.defaults, *node.args.kw_defaults],
                strict=True,
            )
            return {a.arg: ast.get_source_segment(source, default) for a, default in pairs}
    return {}


def replace_section(source, name, title, make):
    """Return a file's text in which a section of a class's docstring is made anew.

    Parameters
    ----------
    source : str
        Text of the file.
    name : str
        The class.
    title : str
        The section's heading.
    make : callable
        Takes the entries that the section has, and returns the lines that it gets.
    """
    docstring = find_class(source, name).body[0]
    lines = source.split("\n")
    is_rule = [re.fullmatch(" {4}-{3,}", line) is not None for line in lines]
    inside = range(docstring.lineno, docstring.end_lineno)
    heads = [i for i in inside if is_rule[i + 1]]
    start = next((i for i in heads if lines[i].strip() == title), None)
    if start is None:
        raise SystemExit(f"the docstring of {name} needs a section {title}")
    end = next((i for i in heads if i > start), docstring.end_lineno - 1)
    old = [line.removeprefix(INDENT) for line in lines[start + 2 : end]]
    new = [f"{INDENT}{line}" if line else "" for line in make(entries(old))]
    gap = [""] if end != docstring.end_lineno - 1 else []
    return "\n".join([*lines[: start + 2], *new, *gap, *lines[end:]])


if __name__ == "__main__":
    sys.exit(main())
