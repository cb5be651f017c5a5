"""From an estimator's parameters and checked data to a network that is ready to train."""

import contextlib
import copy
import math
import secrets

import numpy as np
import torch
from sklearn.utils import check_random_state

from skcentrobind._data.scaling import fit_scalers
from skcentrobind._encoders.augmentations import augmentation
from skcentrobind._encoders.encoders import CustomEncoder, build_groups
from skcentrobind._encoders.module import BindModule, View
from skcentrobind._encoders.sparse import to_dense
from skcentrobind._encoders.start import start_from_gcca
from skcentrobind._names import per_modality
from skcentrobind._training.batches import BindData, prepared_batch
from skcentrobind._training.device import resolve_precision
from skcentrobind._training.net import BindNet, stop_early
from skcentrobind.anchors import IntraAnchor
from skcentrobind.losses import AnchorLoss, RegularizedLoss, SeparatedLoss


def draw_seed(random_state):
    """Seed of a fit; None draws from the system and leaves numpy's global state alone."""
    if random_state is None:
        return secrets.randbelow(2**31 - 1)
    return int(check_random_state(random_state).randint(2**31 - 1))


def enough_epochs(steps_an_epoch, is_warm):
    """Epochs that train long enough without asking anybody.

    On small data an epoch is a step or two, and many more than 100 of them, or 50 from a warm
    start, learn the rows by heart. On large data an epoch is hundreds of steps, and the score
    hardly rises after the first 10,000.
    """
    return max(10, min(50 if is_warm else 100, 10_000 // steps_an_epoch))


def build_data(estimator, X, present, layout, rows=None):
    """Lay out rows for the groups of encoders; `rows` are some of X, None for all."""
    scalers = [estimator.scalers_[name] for name in estimator.modality_names_]
    return BindData.from_modalities(X, present, scalers, layout, estimator.device_, rows)


def width_of_space(estimator):
    """Number of components, chosen by the widths of the modalities if nobody else does.

    A space of more dimensions than modalities have features has nothing to hold in them, and
    fewer than 64 save no time. Beyond 256 time is spent and little found.

    Parameters
    ----------
    estimator : estimator
        Its parameters are checked, and names and shapes of the modalities known.

    Returns
    -------
    n_components : int
        At least 1; at least 2 if nobody else chose it.
    """
    if not isinstance(estimator.n_components, str):
        return int(estimator.n_components)
    names, widths = estimator.modality_names_, estimator.n_features_per_modality_
    specs = per_modality(estimator.encoder, names, "encoder")
    fixed = {n: w for n, w, s in zip(names, widths, specs, strict=True) if s == "identity"}
    if fixed:
        width, *others = set(fixed.values())
        if others or width < 2:
            raise ValueError(
                f"encoder='identity' gives the shared space the width of the modality, at least 2 "
                f"and the same for all that have it, but got {fixed}; choose another encoder."
            )
        return width
    return min(max(64, 2 ** int(math.log2(np.median(widths)))), 256)


def build_module(estimator, X, present, rows=None):
    """Make encoders and augmentation.

    Parameters
    ----------
    estimator : estimator
        Its parameters are checked, and names and shapes of the modalities known.
    X : Modalities
        Checked data.
    present : ndarray of bool of shape (n_samples, n_modalities)
        Which samples have which modality.
    rows : ndarray of int, default=None
        Those of X that the encoders may learn from, None for all.

    Returns
    -------
    module : BindModule
        On the estimator's device.
    scalers : dict of str to StandardScaler, WhiteningScaler, MaxAbsScaler or None
        How each modality is standardised.
    is_warm : bool
        Whether nothing that has to be learned starts from a random draw.
    """
    names = estimator.modality_names_
    specs = per_modality(estimator.encoder, names, "encoder")
    modules = [name for name, spec in zip(names, specs, strict=True) if not isinstance(spec, str)]
    # A user's module gets its input as it is, and the identity must keep directions.
    scaled = [
        bool(estimator.standardize and isinstance(spec, str) and spec != "identity")
        for spec in specs
    ]
    whitens = isinstance(estimator.standardize, str)
    whitened = [name for name, use in zip(names, scaled, strict=True) if use and whitens]
    fitted = fit_scalers(X, unscaled=modules, whitened=whitened, rows=rows)
    scalers = {
        name: scaler if use else None
        for name, scaler, use in zip(names, fitted, scaled, strict=True)
    }

    def probe(m):
        some = np.flatnonzero(present[:, m])[:2]
        return to_dense(prepared_batch([names[m]], [X.arrays[m][some]], [None], "cpu"))

    groups = _groups(estimator, probe)
    is_warm = estimator.init == "gcca" and start_from_gcca(
        groups, X, present, rows, list(scalers.values()), estimator._n_components, estimator._seed
    )
    # Stored entries of sparse rows are multiplied by noise, which needs no spread.
    spreads = [
        None
        if all(scaled[m] or estimator._is_sparse[m] for m in group.members)
        else _spread([fitted[m] for m in group.members])
        for group in groups
    ]
    # A second head starts from a random draw.
    is_warm = is_warm and not estimator._n_specific
    return _assemble(estimator, groups, spreads), scalers, is_warm


def rebuild_module(estimator, spreads):
    """Make a module of the same form as in fit, for weights that come from elsewhere.

    Parameters
    ----------
    estimator : estimator
        Its parameters are checked, and names and shapes of the modalities known.
    spreads : list of Tensor or None
        Standard deviations of the features of each group, where they are not 1.

    Returns
    -------
    module : BindModule
        On the estimator's device.
    """

    def probe(m):
        return torch.zeros(2, *estimator._row_shapes[m], device="cpu")

    return _assemble(estimator, _groups(estimator, probe), spreads)


def _assemble(estimator, groups, spreads):
    """Put encoders and augmentation together, on the device."""
    product_dtype = resolve_precision(estimator.precision, estimator.device_)
    for group in groups:
        group.product_dtype = product_dtype
    augments = per_modality(estimator.augmentation, estimator.modality_names_, "augmentation")
    strength = float(estimator.augmentation_scale)
    views = []
    for group, spread in zip(groups, spreads, strict=True):
        first, *others = group.members
        if spread is not None:
            spread = spread if others else spread.view(estimator._row_shapes[first])
            spread = spread.to(estimator.device_)
        widths = [estimator.n_features_per_modality_[m] for m in group.members]
        name, is_sparse = estimator.modality_names_[first], estimator._is_sparse[first]
        augment = augmentation(augments[first], name, is_sparse)
        views.append(View(augment, strength, spread, widths))
    return BindModule(groups, views).to(estimator.device_)


def _groups(estimator, probe):
    """Make the encoders; torch's global random state stays as it was."""
    names = estimator.modality_names_
    specs = per_modality(estimator.encoder, names, "encoder")
    augments = per_modality(estimator.augmentation, names, "augmentation")
    # What is augmented differently or learns at another rate stays apart; a user's augmentation
    # sees one modality at a time, and sparse rows are a group of their own.
    is_sparse = estimator._is_sparse
    views_of = [m if is_sparse[m] or callable(a) else a for m, a in enumerate(augments)]
    rates = per_modality(estimator.learning_rate, names, "learning_rate")
    split = list(zip(views_of, rates, strict=True))
    if estimator._n_specific and "identity" in specs:
        name = names[specs.index("identity")]
        raise ValueError(
            f"encoder='identity' of modality '{name}' has no second head; set "
            "n_specific_components=0 or choose another encoder for it."
        )
    # A user's factory may draw weights from torch's global generator: lend it a seeded one.
    custom = any(not isinstance(spec, str) for spec in specs)
    with torch.random.fork_rng(devices=[]) if custom else contextlib.nullcontext():
        if custom:
            torch.random.default_generator.manual_seed(estimator._seed)
        return build_groups(
            specs,
            estimator._row_shapes,
            names,
            estimator._n_components + estimator._n_specific,
            estimator.hidden_layer_sizes,
            split,
            torch.Generator("cpu").manual_seed(estimator._seed),
            probe,
        )


def _spread(scalers):
    """Standard deviations of all features, zero for constant ones."""
    scales = np.concatenate([scaler.scale_ for scaler in scalers])
    return torch.tensor(np.where(np.isinf(scales), 0, scales), dtype=torch.float32, device="cpu")


def surround(estimator, loss, regularizers=None):
    """Add to an objective what the parameters ask for, and introduce it to the modalities.

    Parameters
    ----------
    estimator : estimator
        Its parameters are checked, and names of the modalities known.
    loss : BaseLoss
        The objective of the shared head.
    regularizers : dict of str to float, default=None
        Weights of the terms beside it.

    Returns
    -------
    objective : BaseLoss
        Ready for training.
    """
    weights = dict(regularizers or {})
    if "separation" in weights and not estimator._n_specific:
        raise ValueError(
            "regularizers={'separation': ...} keeps two heads apart, but there is one; set "
            "n_specific_components to the width of the second."
        )
    separation = weights.pop("separation", 1.0)
    if weights:
        loss = RegularizedLoss(loss, weights)
    if estimator._n_specific:
        loss = SeparatedLoss(loss, _intra_loss(estimator), estimator._n_components, separation)
    loss.prepare(estimator.modality_names_)
    return loss


def _intra_loss(estimator):
    """Objective that binds every modality to its own augmented rows."""
    return AnchorLoss(IntraAnchor(), estimator.temperature)


def build_net(estimator, module, objective, data_valid):
    """Wire module, objective and optimiser into a net for the binding phase."""
    module.freeze(objective.frozen())
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError(
            "There is nothing to train: every encoder is 'identity' or frozen. Let at least one "
            "modality learn, for example with encoder='residual'."
        )
    options = {"callbacks": [copy.deepcopy(callback) for callback in estimator.callbacks or []]}
    if data_valid is not None:
        options["train_split"], stop = stop_early(data_valid, estimator.n_iter_no_change)
        options["callbacks"].append(("early_stopping", stop))
    return _net(estimator, module, objective, "binding", **options)


def pretrain(estimator, module, data):
    """Contrastive pre-training of every encoder on its own augmented rows."""
    if not any(parameter.requires_grad for parameter in module.parameters()):
        return
    objective = surround(estimator, _intra_loss(estimator))
    net = _net(estimator, module, objective, "pre-training", seed_shift=3)
    net.train_on(data, estimator.pretrain_epochs)


def _optimizer_options(estimator, module):
    """Learning rates of the groups of encoders, and what weight decay must leave alone."""
    rates = per_modality(estimator.learning_rate, estimator.modality_names_, "learning_rate")
    apart = []
    if estimator.learn_temperature:
        # The decay of a logarithm would pull the temperature towards 1. Parameters of encoders,
        # whatever a user calls them, begin with "groups.".
        apart.append(("[!g]*log_temperature", {"weight_decay": 0.0}))
    if len(set(rates)) > 1:
        apart += [
            (f"groups.{i}.*", {"lr": rates[group.members[0]]})
            for i, group in enumerate(module.groups)
        ]
    # What belongs to no modality, such as a loss that learns, takes the largest rate.
    options = {"lr": max(rates)}
    return options | ({"optimizer__param_groups": apart} if apart else {})


def _net(estimator, module, objective, phase, seed_shift=0, train_split=None, callbacks=()):
    return BindNet(
        module,
        objective.to(estimator.device_),
        seed=estimator._seed + seed_shift,
        phase=phase,
        draws_globally=any(isinstance(group, CustomEncoder) for group in module.groups),
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=estimator.weight_decay,
        optimizer__fused=estimator.device_.split(":")[0] in ("cpu", "cuda"),
        **_optimizer_options(estimator, module),
        batch_size=estimator.batch_size,
        train_split=train_split,
        callbacks=list(callbacks),
        has_listeners=bool(estimator.callbacks),
        device=estimator.device_,
        verbose=int(estimator.verbose),
    ).initialize()
