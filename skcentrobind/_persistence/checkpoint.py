"""Checkpoints: the state of a training in a file, from which a fit that was killed goes on.

Like the files of `save` they hold tensors and JSON, and no code. A fit resumes by building
everything anew, as it did before it was killed, and then filling in the state.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

from skcentrobind._data.modalities import Modalities
from skcentrobind._data.per_sample import repeated_codes, uneven_weights
from skcentrobind._names import is_integer
from skcentrobind._persistence.net_state import (
    callbacks_of,
    fill,
    fill_callbacks,
    header_of,
    tensors_of,
)
from skcentrobind._persistence.plain import NotPlain, to_plain
from skcentrobind._persistence.safetensors import read_file, write_file
from skcentrobind._public import __version__
from skcentrobind._training.callbacks import EveryEpochs, own_callbacks
from skcentrobind._training.net import BindData, BindNet

#: Key of the header in the metadata of the file.
KEY = "skcentrobind checkpoint"

#: Increased whenever a file of an older version could not be resumed from.
FORMAT = 1

# Parameters that change no number.
_IGNORED = {"verbose"}

_CHUNK_BYTES = 2**24


class Checkpoint:
    """The file of one fit.

    Parameters
    ----------
    path : str or path-like
        The file; it need not exist yet.
    every : int
        Number of epochs between two writes.
    parameters : dict
        Parameters of the estimator.
    class_name : str
        Its class.
    X : Modalities
        Checked data of the fit.

    Raises
    ------
    ValueError
        If the file is not a checkpoint of the same parameters and data, or cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        every: int,
        parameters: Mapping[str, Any],
        class_name: str,
        X: Modalities,
    ) -> None:
        self.path = checked_path(path, every)
        self.every = int(every)
        self.print = _print_of(parameters, class_name, X)
        self.seed: int | None = None
        self.header: dict[str, Any] | None = None
        self.tensors: dict[str, torch.Tensor] = {}
        if self.path.exists():
            self.header, self.tensors = read_file(self.path, KEY, "fit(checkpoint=...)")
            self._compare()
            self.seed = self.header["seed"]

    def _compare(self) -> None:
        assert self.header is not None
        found = self.header.get("print", {})
        if self.header.get("format") != FORMAT or self.header.get("version") != __version__:
            fault = f"skcentrobind {self.header.get('version')} wrote it, this is {__version__}"
        elif found.get("parameters") != self.print["parameters"]:
            theirs, ours = found.get("parameters", {}), self.print["parameters"]
            names = sorted(k for k in theirs | ours if theirs.get(k) != ours.get(k))
            fault = f"it was written with other parameters, see {', '.join(names)}"
        elif found.get("data") != self.print["data"]:
            fault = "it was written for other data" + self._other_data(dict(found["data"]))
        elif found.get("samples") != self.print.get("samples"):
            fault = "it was written for other groups or weights of the samples"
        else:
            return
        raise ValueError(
            f"checkpoint={str(self.path)!r} cannot be resumed from: {fault}. Pass what the first "
            "call got, or start anew with another path or without the file."
        )

    def _other_data(self, found: Mapping[str, Any]) -> str:
        ours = dict(self.print["data"])
        names = [name for name in found if name in ours and found[name] != ours[name]]
        return f", see modality {', '.join(map(repr, names))}" if names else ""

    @property
    def phase(self) -> str | None:
        """Phase that the file was written in; None if there is no file."""
        return None if self.header is None else self.header["phase"]

    @property
    def is_done(self) -> bool:
        """Whether the fit had ended."""
        return self.header is not None and self.header["is_done"]

    def callback(self, seed: int) -> tuple[str, EveryEpochs]:
        """Return the callback that writes the file.

        Parameters
        ----------
        seed : int
            Seed of the fit.
        """
        self.seed = seed
        return "checkpoint", EveryEpochs(self.every, self.write)

    def train(self, net: BindNet, data: BindData, epochs: int) -> None:
        """Train a net to bind, from where the file leaves off.

        Parameters
        ----------
        net : BindNet
            Built anew.
        data : BindData
            The samples.
        epochs : int
            Number of epochs in all.
        """
        if self.is_done:
            self.fill(net)
            return
        net.train_on(data, epochs, self.fill if self.phase == net.phase else None)
        # One that was interrupted or stopped early goes on, or stops again, from the last write.
        if sum("train_loss" in epoch for epoch in net.history) == epochs:
            self.write(net, is_done=True)

    def write(self, net: BindNet, is_done: bool = False) -> None:
        """Write the state of a net, in the middle of its training or at the end of the last phase.

        Parameters
        ----------
        net : BindNet
            The net.
        is_done : bool, default=False
            Whether nothing is left to train.

        Raises
        ------
        TypeError
            If a callback has a state that a file of data cannot keep.
        """
        states, tensors, lost = callbacks_of(own_callbacks(net))
        if lost:
            raise TypeError(
                f"checkpoint: a file of data cannot keep {', '.join(lost)}, so a resumed fit would "
                "differ. Give the callback the methods state_dict() and load_state_dict(state)."
            )
        stop, more, _ = callbacks_of(_stoppers(net))
        header = {
            "format": FORMAT,
            "version": __version__,
            "print": self.print,
            "seed": self.seed,
            "phase": net.phase,
            "is_done": is_done,
            "callbacks": states,
            "stop": stop,
            **header_of(net),
        }
        more = {f"stop.{key}": value for key, value in more.items()}
        write_file(self.path, KEY, header, tensors_of(net) | tensors | more)

    def fill(self, net: BindNet) -> None:
        """Fill a net, built anew and told that its training begins, with the state of the file.

        Parameters
        ----------
        net : BindNet
            Of the phase that the file was written in.
        """
        assert self.header is not None
        tensors = dict(self.tensors)
        fill(net, self.header, tensors)
        fill_callbacks(own_callbacks(net), self.header["callbacks"], tensors)
        own = {k.removeprefix("stop."): v for k, v in tensors.items() if k.startswith("stop.")}
        fill_callbacks(_stoppers(net), self.header["stop"], own)


def _stoppers(net: BindNet) -> list:
    return [callback for name, callback in net.callbacks_ if name == "early_stopping"]


def checked_path(path: Any, every: Any) -> Path:
    """Return the path of a checkpoint, or refuse it before anything is trained."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"checkpoint must be a path or None, got {path!r}.")
    if not is_integer(every) or every < 1:
        raise ValueError(f"checkpoint_every must be a positive integer, got {every!r}.")
    path = Path(path)
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        raise ValueError(f"checkpoint={str(path)!r} {what}; give the path of a file.")
    return path


# --------------------------------------------------------- parameters and data


def _print_of(parameters: Mapping[str, Any], class_name: str, X: Modalities) -> dict[str, Any]:
    own = {name: _parameter(value) for name, value in parameters.items() if name not in _IGNORED}
    data = [[name, _digest(_parts(array))] for name, array in X.items()]
    found = {"parameters": own | {"class": class_name}, "data": data}
    codes, weight = repeated_codes(X.groups), uneven_weights(X.sample_weight)
    known = {"groups": codes, "weights": weight}
    own = {name: _digest(_parts(values)) for name, values in known.items() if values is not None}
    return found | ({"samples": own} if own else {})


def _parameter(value: Any) -> str:
    """Return a digest of a parameter; of code its name and weights."""
    try:
        return _digest([json.dumps(to_plain(value), sort_keys=True).encode()])
    except NotPlain:
        return _digest(_described(value))


def _described(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.items())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _described(item)
        return
    name = getattr(value, "__qualname__", type(value).__qualname__)
    yield f"{type(value).__module__}.{name}".encode()
    with contextlib.suppress(NotPlain):
        yield json.dumps(to_plain(value), sort_keys=True).encode()
    if isinstance(value, torch.nn.Module):
        yield repr(value).encode()
        for key, tensor in value.state_dict().items():
            yield key.encode()
            if isinstance(tensor, torch.Tensor):
                yield tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()


def _parts(array: Any) -> Iterator[Any]:
    yield f"{array.shape} {array.dtype.str} {sparse.issparse(array)}".encode()
    blocks = (array.indptr, array.indices, array.data) if sparse.issparse(array) else (array,)
    for block in blocks:
        step = max(1, _CHUNK_BYTES // max(1, block[:1].nbytes))
        for start in range(0, len(block), step):
            yield np.ascontiguousarray(block[start : start + step])


def _digest(parts: Any) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
