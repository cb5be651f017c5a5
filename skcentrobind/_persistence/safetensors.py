"""Fitted estimators in one safetensors file: tensors, and a header of JSON, but no code.

The file holds what `fit` learned (schema, plan, weights, scalers) and the state from which
`partial_fit` continues (moments of the optimiser, states of the generators, history). A net is
built anew from the plan in the header, as `fit` builds it, and is then filled with the tensors.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from skcentrobind._data.robust import RobustScaler, SparseRobustScaler
from skcentrobind._data.schema import Schema
from skcentrobind._data.statistics import WhiteningScaler
from skcentrobind._data.warn import warn
from skcentrobind._encoders.module import BindModule
from skcentrobind._names import optional
from skcentrobind._persistence.net_state import (
    callbacks_of,
    fill,
    fill_callbacks,
    header_of,
    items_of,
    take,
    tensors_of,
)
from skcentrobind._persistence.plain import NotPlain, from_plain, to_plain
from skcentrobind._persistence.plan_json import plan_from_json, plan_to_json
from skcentrobind._public import __version__
from skcentrobind._training.callbacks import own_callbacks
from skcentrobind._training.net import BindNet
from skcentrobind._training.plan import Plan

#: Increased whenever older versions of the package would misread new files.
FORMAT = 4

#: Key of the header in the metadata of the file.
KEY = "skcentrobind"

_HEADER = {
    "class": str,
    "params": dict,
    "schema": dict,
    "plan": dict,
    "scalers": list,
    "groups": list,
    "optimizer": list,
    "device": str,
    "history": list,
}
# Kind of scaler -> its arrays and their numbers of axes, each of length n_features.
_STANDARD = {"mean_": 1, "var_": 1, "scale_": 1}
_SCALERS = {
    StandardScaler: _STANDARD,
    WhiteningScaler: _STANDARD | {"whitening_": 2, "shrinkage_": 0},
    MaxAbsScaler: {"max_abs_": 1, "scale_": 1},
    RobustScaler: {"center_": 1, "scale_": 1},
    SparseRobustScaler: {"scale_": 1},
}


class Saved(NamedTuple):
    """Contents of the file of a fitted estimator.

    Attributes
    ----------
    class_name : str
        Public name of its class.
    params : dict
        Its parameters.
    schema : Schema
        The form of its data.
    plan : Plan
        Its resolved parameters.
    scalers : list of scaler or None
        How each modality is scaled.
    net : BindNet
        The trained net.
    output_config : dict or None
        What `set_output` has set.
    """

    class_name: str
    params: dict
    schema: Schema
    plan: Plan
    scalers: list
    net: BindNet
    output_config: dict | None


# -------------------------------------------------------------------- writing


def write(saved: Saved, path: str | os.PathLike) -> None:
    """Write a fitted estimator to a file, completely or not at all.

    Parameters
    ----------
    saved : Saved
        What to write.
    path : str or path-like
        The file; an existing one is replaced once the new one is complete.
    """
    states, tensors, lost = callbacks_of(own_callbacks(saved.net))
    if lost:
        warn(
            f"A file of data cannot keep {', '.join(lost)}: these start afresh once the estimator "
            "is loaded. Give the callback the methods state_dict() and load_state_dict(state), or "
            "use joblib.dump, which keeps all.",
        )
    header = _header(saved) | {"callbacks": states}
    write_file(path, KEY, header, _tensors(saved) | tensors)


def write_file(
    path: str | os.PathLike, key: str, header: Mapping[str, Any], tensors: Mapping[str, Any]
) -> None:
    """Write a header and tensors to a file, completely or not at all.

    Parameters
    ----------
    path : str or path-like
        The file.
    key : str
        Key of the header in the metadata of the file.
    header : dict
        For `json.dumps`.
    tensors : dict of str to Tensor
        On any device.
    """
    library = optional("safetensors.torch", "Saving", "save")
    # Copies, since safetensors refuses tensors that share memory, such as tied weights.
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        library.save_file(tensors, partial, metadata={key: json.dumps(header)})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _header(saved: Saved) -> dict[str, Any]:
    net = saved.net
    return {
        "format": FORMAT,
        "version": __version__,
        "class": saved.class_name,
        "params": {name: _plain_or_code(value) for name, value in saved.params.items()},
        "schema": saved.schema.to_json(),
        "plan": plan_to_json(saved.plan),
        "output_config": _plain_or_code(saved.output_config),
        "scalers": [
            None if scaler is None else int(scaler.n_samples_seen_) for scaler in saved.scalers
        ],
        **header_of(net),
    }


def _plain_or_code(value: Any) -> Any:
    """Return a parameter as JSON or, where it holds code, what `load` needs."""
    try:
        return to_plain(value)
    except NotPlain as exc:
        return {"$code": str(exc)}


def _tensors(saved: Saved) -> dict[str, torch.Tensor]:
    net = saved.net
    tensors = tensors_of(net)
    for i, augmenter in enumerate(net.module_.augmenters):
        if augmenter.spread is not None:
            tensors[f"spread.{i}"] = augmenter.spread.flatten()
    for m, scaler in enumerate(saved.scalers):
        if scaler is not None:
            for key in _SCALERS[type(scaler)]:
                value = torch.as_tensor(getattr(scaler, key), dtype=torch.float64, device="cpu")
                tensors[f"scaler.{m}.{key}"] = value
    return tensors


# -------------------------------------------------------------------- reading


def read(path: str | os.PathLike) -> tuple[dict, dict]:
    """Read a file and check that this version of the package can use it.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    header : dict
        Contents of the JSON header.
    tensors : dict of str to Tensor
        On the CPU.

    Raises
    ------
    ValueError
        If `save` did not write it, it is damaged, or a newer version has written it.
    """
    header, tensors = read_file(path, KEY, "estimator.save(path)")
    version = header.get("format") if isinstance(header, dict) else None
    if type(version) is not int or version < 1:
        raise ValueError(f"{str(path)!r} is damaged: its header has no format version.")
    if version > FORMAT:
        raise ValueError(
            f"{str(path)!r} was written by skcentrobind {header.get('version')} in format "
            f"{version}, but this is version {__version__}, which reads formats up to {FORMAT}: "
            "upgrade the package."
        )
    if version == 1:
        header = _from_format_1(header)
    if version < FORMAT and isinstance(header.get("rates"), list):
        header |= {"optimizer": [{"lr": rate} for rate in header["rates"]], "callbacks": None}
    wrong = [key for key, kind in _HEADER.items() if not isinstance(header.get(key), kind)]
    if wrong:
        raise ValueError(f"{str(path)!r} is damaged: its header has no usable {wrong[0]!r}.")
    return header, tensors


def read_file(path: str | os.PathLike, key: str, writer: str) -> tuple[Any, dict]:
    """Read a header and tensors that `write_file` has written.

    Parameters
    ----------
    path : str or path-like
        The file.
    key : str
        Key of the header in the metadata of the file.
    writer : str
        What writes such files, for the error.

    Returns
    -------
    header : object
        JSON.
    tensors : dict of str to Tensor
        On the CPU.

    Raises
    ------
    ValueError
        If it is another file, or damaged.
    """
    library = optional("safetensors", "Loading", "save")
    with open(path, "rb") as stream:
        start = stream.read(4)
    try:
        with library.safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[key])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except KeyError as exc:
        raise ValueError(
            f"{str(path)!r} is a safetensors file, but {writer} has not written it: the metadata "
            f"{key!r} is missing."
        ) from exc
    except (library.SafetensorError, ValueError, RecursionError) as exc:
        raise ValueError(
            f"{str(path)!r} is not a file of {writer}, or it is damaged{_likely(start)}: {exc}"
        ) from exc
    return header, tensors


def _likely(start: bytes) -> str:
    """Return a hint at the kind of a foreign file, from its first bytes."""
    if start[:1] == b"\x80":
        return "; it looks like a pickle, which only joblib.load or pickle.load reads"
    if start[:2] == b"PK":
        return "; it looks like a zip archive, such as torch.save writes"
    return ""


def _from_format_1(header: dict[str, Any]) -> dict[str, Any]:
    """Return the header of an older file in the current form; its plan has only what was stored."""
    fitted = header.get("fitted")
    if not isinstance(fitted, dict):
        return header
    fitted = items_of(fitted)
    names, shapes = fitted["modality_names_"], fitted["_row_shapes"]
    labels = fitted.get("feature_names_in_")
    schema = {
        "names": names,
        "row_shapes": shapes,
        "is_sparse": fitted["_is_sparse"],
        "columns": [fitted["_columns"][name] for name in names],
        "flat": [fitted["n_features_in_"], None if labels is None else list(labels)],
    }
    plan = {
        "n_components": fitted["_n_components"],
        "n_specific_components": fitted["_n_specific"],
        "seed": fitted["_seed"],
    }
    config = to_plain(fitted.get("_sklearn_output_config"))
    return header | {"schema": schema, "plan": plan, "output_config": config}


class Stored:
    """The contents of a file, read piece by piece.

    Parameters
    ----------
    header, tensors : dict
        From `read`.
    """

    def __init__(self, header: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
        self.header = header
        self.tensors = dict(tensors)

    def schema(self) -> Schema:
        """Return the form of the data."""
        return Schema.from_json(self.header["schema"])

    def plan(self, parameters: dict, schema: Schema, device: str) -> Plan:
        """Return the plan, for another device if need be."""
        stored = self.header["plan"]
        if self.header["format"] > 1:
            return plan_from_json(stored | {"device": device}, parameters)
        parameters = parameters | {"n_specific_components": stored["n_specific_components"]}
        known = {"seed": stored["seed"], "n_components": stored["n_components"]}
        return Plan.make(parameters, schema, device=device, **known)

    def output_config(self) -> dict | None:
        """Return what `set_output` had set."""
        return from_plain(self.header.get("output_config"))

    def scalers(self, schema: Schema) -> dict:
        """Return the scalers by name of the modality."""
        counts = self.header["scalers"]
        triples = zip(schema.names, schema.n_features, counts, strict=True)
        return {
            name: None if count is None else self._scaler(m, name, width, count, schema)
            for m, (name, width, count) in enumerate(triples)
        }

    def _scaler(self, m: int, name: str, width: int, count: int, schema: Schema) -> Any:
        arrays = take(self.tensors, f"scaler.{m}.")
        if schema.is_sparse[m]:
            kind = MaxAbsScaler if "max_abs_" in arrays else SparseRobustScaler
        elif "center_" in arrays:
            kind = RobustScaler
        else:
            kind = WhiteningScaler if "whitening_" in arrays else StandardScaler
        scaler = kind()
        for attribute, n_axes in _SCALERS[kind].items():
            if arrays[attribute].shape != n_axes * (width,):
                raise ValueError(f"the scaler of modality '{name}' has another width than {width}")
            setattr(scaler, attribute, arrays[attribute].numpy().copy())
        scaler.n_features_in_, scaler.n_samples_seen_ = width, count
        return scaler

    def spreads(self) -> list:
        """Return for each group of encoders the standard deviations of its features, or None."""
        return [self.tensors.pop(f"spread.{i}", None) for i in range(len(self.header["groups"]))]

    def check_groups(self, module: BindModule) -> None:
        """Refuse a module whose groups are not those of the file."""
        if [list(group.members) for group in module.groups] != self.header["groups"]:
            raise ValueError(
                "the encoders or augmentations group the modalities differently from those it was "
                "saved with"
            )

    def fill(self, net: BindNet) -> None:
        """Load weights and training state into a net; every tensor must be used."""
        fill(net, self.header, self.tensors)
        if self.header["callbacks"] is not None:
            fill_callbacks(own_callbacks(net), self.header["callbacks"], self.tensors)
        if self.tensors:
            raise ValueError(f"it has unused tensors, such as {min(self.tensors)!r}")
        net.module_.eval()
