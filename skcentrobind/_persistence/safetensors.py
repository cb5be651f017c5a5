"""Fitted estimators in one safetensors file: tensors, and a header of JSON. Nothing in it can run.

The file holds what `fit` learned (weights, scalers) and what `partial_fit` goes on from (moments
of the optimiser, states of the generators, history). A net is built anew from the parameters in
the header, as `fit` builds it, and is then filled with the tensors.
"""

import json
import os
from pathlib import Path

import torch
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from skcentrobind._data.whitening import WhiteningScaler
from skcentrobind._persistence.plain import NotPlain, from_plain, to_plain
from skcentrobind._training.plan import build_net, rebuild_module
from skcentrobind._version import __version__

#: Raised whenever older versions of the package would misread new files.
FORMAT = 1

#: Key of the header in the metadata of the file.
KEY = "skcentrobind"

#: Classes that `_loading.load` knows.
CLASSES = (
    "CentroBindTransformer",
    "FixedAnchorBindTransformer",
    "GramianBindTransformer",
    "PairwiseBindTransformer",
    "PrincipalBindTransformer",
    "SymileBindTransformer",
)

#: What fit learned beside tensors.
FITTED = (
    "modality_names_",
    "n_features_per_modality_",
    "n_features_in_",
    "feature_names_in_",
    "_row_shapes",
    "_is_sparse",
    "_columns",
    "_n_components",
    "_n_specific",
    "_seed",
    "_sklearn_output_config",
)

_HEADER = {
    "class": str,
    "params": dict,
    "fitted": dict,
    "scalers": list,
    "groups": list,
    "rates": list,
    "device": str,
    "history": list,
}
# Kind of scaler -> its arrays and their numbers of axes, each as long as there are features.
_STANDARD = {"mean_": 1, "var_": 1, "scale_": 1}
_SCALERS = {
    StandardScaler: _STANDARD,
    WhiteningScaler: _STANDARD | {"whitening_": 2, "shrinkage_": 0},
    MaxAbsScaler: {"max_abs_": 1, "scale_": 1},
}
_GENERATORS = ("order_generator_", "generator_")


def _safetensors():
    """Return the library, which is optional."""
    try:
        import safetensors.torch
    except ImportError as exc:
        raise ImportError(
            "Saving needs safetensors, which comes with the extra `save`: "
            "pip install 'skcentrobind[save]'"
        ) from exc
    return safetensors


# -------------------------------------------------------------------- writing


def write(estimator, path):
    """Write a fitted estimator to a file, all of it or nothing.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    path : str or path-like
        Where to; a file that is there is replaced once the new one is complete.
    """
    cls = type(estimator)
    if cls.__name__ not in CLASSES or not cls.__module__.startswith("skcentrobind."):
        raise TypeError(
            f"save() writes {', '.join(CLASSES)}, and load() could not make a {cls.__name__} "
            "from a file of data; use joblib.dump."
        )
    library = _safetensors()
    header, tensors = _header(estimator), _tensors(estimator)
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        library.torch.save_file(tensors, partial, metadata={KEY: json.dumps(header)})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _header(estimator):
    params = estimator.get_params(deep=False)
    net = estimator.net_
    return {
        "format": FORMAT,
        "version": __version__,
        "class": type(estimator).__name__,
        "params": {name: _plain_or_code(value) for name, value in params.items()},
        "fitted": {
            name: to_plain(vars(estimator)[name]) for name in FITTED if name in vars(estimator)
        },
        "scalers": [
            None if scaler is None else int(scaler.n_samples_seen_)
            for scaler in estimator.scalers_.values()
        ],
        "groups": [list(group.members) for group in net.module_.groups],
        "rates": [float(group["lr"]) for group in net.optimizer_.param_groups],
        "device": _kind(estimator.device_),
        "history": [_plain_items(epoch) for epoch in net.history],
    }


def _plain_or_code(value):
    """A parameter as JSON; where it holds code, what to ask for at load."""
    try:
        return to_plain(value)
    except NotPlain as exc:
        return {"$code": str(exc)}


def _plain_items(epoch):
    """What was recorded of an epoch; what callbacks recorded and JSON cannot hold stays behind."""
    items = {key: _plain_or_code(value) for key, value in epoch.items() if key != "batches"}
    return {k: v for k, v in items.items() if not (isinstance(v, dict) and "$code" in v)}


def _tensors(estimator):
    net = estimator.net_
    tensors = {f"module.{key}": value for key, value in net.module_.state_dict().items()}
    tensors |= {f"loss.{key}": value for key, value in net.criterion_.state_dict().items()}
    for i, view in enumerate(net.module_.views):
        if view.spread is not None:
            tensors[f"spread.{i}"] = view.spread.flatten()
    for m, scaler in enumerate(estimator.scalers_.values()):
        if scaler is not None:
            for key in _SCALERS[type(scaler)]:
                value = torch.as_tensor(getattr(scaler, key), dtype=torch.float64, device="cpu")
                tensors[f"scaler.{m}.{key}"] = value
    for i, moments in net.optimizer_.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{key}": value for key, value in moments.items()}
    tensors |= {f"random.{name}": getattr(net, name).get_state() for name in _GENERATORS}
    tensors["random.global_state_"] = net.global_state_
    # Copies, since safetensors refuses tensors that share memory, such as tied weights.
    return {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}


def _kind(device):
    return str(device).partition(":")[0]


# -------------------------------------------------------------------- reading


def read(path):
    """Read a file and check that this version of the package can use it.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    header : dict
        What JSON held.
    tensors : dict of str to Tensor
        On the CPU.

    Raises
    ------
    ValueError
        If `save` did not write it, it is damaged, or a newer version has written it.
    """
    library = _safetensors()
    with open(path, "rb") as stream:
        start = stream.read(4)
    try:
        with library.safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[KEY])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except KeyError as exc:
        raise ValueError(
            f"{str(path)!r} is a safetensors file, but not of an estimator: it lacks the metadata "
            f"{KEY!r}. Only files of estimator.save(path) can be loaded."
        ) from exc
    except (library.SafetensorError, ValueError, RecursionError) as exc:
        raise ValueError(
            f"{str(path)!r} is not a file of estimator.save(path), or it is damaged"
            f"{_likely(start)}: {exc}"
        ) from exc
    version = header.get("format") if isinstance(header, dict) else None
    if type(version) is not int or version < 1:
        raise ValueError(f"{str(path)!r} is damaged: its header has no format version.")
    if version > FORMAT:
        raise ValueError(
            f"{str(path)!r} was written by skcentrobind {header.get('version')} in format "
            f"{version}, but this is version {__version__}, which reads formats up to {FORMAT}: "
            "upgrade the package."
        )
    wrong = [key for key, kind in _HEADER.items() if not isinstance(header.get(key), kind)]
    if wrong:
        raise ValueError(f"{str(path)!r} is damaged: its header lacks a usable {wrong[0]!r}.")
    return header, tensors


def _likely(start):
    """Guess a foreign file from its first bytes."""
    if start[:1] == b"\x80":
        return "; it looks like a pickle, which only joblib.load or pickle.load reads"
    if start[:2] == b"PK":
        return "; it looks like a zip archive, such as torch.save writes"
    return ""


def restore(estimator, header, tensors, device):
    """Give an estimator with its parameters what it had learned.

    Parameters
    ----------
    estimator : estimator
        Not fitted.
    header, tensors : dict
        From `read`.
    device : str
        Where torch shall compute.
    """
    tensors = dict(tensors)
    fitted = header["fitted"]
    for name in FITTED:
        if name in fitted:
            setattr(estimator, name, from_plain(fitted[name]))
    estimator.device_ = device
    estimator.scalers_ = _scalers(estimator, header["scalers"], tensors)
    groups = header["groups"]
    module = rebuild_module(
        estimator, [tensors.pop(f"spread.{i}", None) for i in range(len(groups))]
    )
    if [list(group.members) for group in module.groups] != groups:
        raise ValueError(
            "the encoders or augmentations group the modalities otherwise than those it was "
            "saved with"
        )
    net = build_net(estimator, module, estimator._make_objective(), None)
    net.module_.load_state_dict(_below("module.", tensors))
    net.criterion_.load_state_dict(_below("loss.", tensors))
    _restore_optimizer(net.optimizer_, header["rates"], _below("optimizer.", tensors))
    _restore_generators(net, header["device"] == _kind(device), _below("random.", tensors))
    if tensors:
        raise ValueError(f"it has tensors that nothing needs, such as {min(tensors)!r}")
    net.history.extend({**from_plain_items(epoch), "batches": []} for epoch in header["history"])
    net.module_.eval()
    estimator.net_ = net


def from_plain_items(items):
    """Turn the values of a dict of JSON back."""
    return {key: from_plain(value) for key, value in items.items()}


def _below(prefix, tensors):
    """Take out the tensors whose names start with the prefix, and cut it off."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}


def _scalers(estimator, counts, tensors):
    scalers = {}
    names, widths = estimator.modality_names_, estimator.n_features_per_modality_
    for m, (name, width, count) in enumerate(zip(names, widths, counts, strict=True)):
        if count is None:
            scalers[name] = None
            continue
        arrays = _below(f"scaler.{m}.", tensors)
        # Not by `standardize`, which may have been set to something else since fit.
        dense = WhiteningScaler if "whitening_" in arrays else StandardScaler
        kind = MaxAbsScaler if estimator._is_sparse[m] else dense
        scaler = kind()
        for attribute, n_axes in _SCALERS[kind].items():
            if arrays[attribute].shape != n_axes * (width,):
                raise ValueError(f"the scaler of modality '{name}' has another width than {width}")
            setattr(scaler, attribute, arrays[attribute].numpy().copy())
        scaler.n_features_in_, scaler.n_samples_seen_ = width, count
        scalers[name] = scaler
    return scalers


def _restore_optimizer(optimizer, rates, tensors):
    state = optimizer.state_dict()
    for group, rate in zip(state["param_groups"], rates, strict=True):
        group["lr"] = float(rate)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in tensors.items():
        i, _, key = name.partition(".")
        if value.ndim and value.shape != parameters[int(i)].shape:
            raise ValueError(f"the optimiser's {name!r} has the shape {tuple(value.shape)}")
        state["state"].setdefault(int(i), {})[key] = value
    optimizer.load_state_dict(state)


def _restore_generators(net, same_device, states):
    net.global_state_ = states["global_state_"]
    net.order_generator_.set_state(states["order_generator_"])
    # Generators of different kinds of device draw different numbers, from states of other sizes.
    if same_device:
        net.generator_.set_state(states["generator_"])
