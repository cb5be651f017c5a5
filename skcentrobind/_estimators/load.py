"""Estimators from files, made of the classes in the table of public names."""

from skcentrobind._data.warn import warn
from skcentrobind._ops import isolated, resolve_device
from skcentrobind._persistence.net_state import items_of
from skcentrobind._persistence.safetensors import Stored, read
from skcentrobind._public import __version__, estimator_classes

# Errors that a header and tensors that do not match can raise, here or in torch.
_FAULTS = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    OverflowError,
    RuntimeError,
    MemoryError,
)


@isolated
def load(path, *, device=None, **code):
    """Load an estimator that `save` has written.

    Nothing in the file is run, so a file from an untrusted source can do no harm beyond giving
    wrong embeddings. The estimator transforms, scores, continues with `partial_fit` and can be
    cloned, pickled and saved like the one that was saved.

    Parameters
    ----------
    path : str or path-like
        The file.
    device : str, default=None
        Device to compute on; it becomes the parameter `device`. None keeps the saved
        parameter and computes on the CPU, with a warning, if that device is not available.
    **code : object
        Parameters whose values are code of your own, which a file of data cannot hold: modules or
        factories in `encoder`, callables in `augmentation`, anchor classes of your own in
        `aggregator`, `callbacks`. Pass what was passed to the constructor; the trained weights
        come from the file. Callbacks get the state they were saved with.

    Returns
    -------
    estimator : estimator
        Of the class that was saved; fitted.

    Raises
    ------
    ValueError
        If `save` did not write the file, it is damaged, a newer version of the package has
        written it, or a parameter that is code is missing.
    ImportError
        If safetensors is not installed.

    See Also
    --------
    CentroBindTransformer.save : Writes such files.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from skcentrobind import CentroBindTransformer, load
    >>> from skcentrobind.datasets import make_multimodal_gmm
    >>> X, y = make_multimodal_gmm(100, n_classes=5, random_state=0)
    >>> bind = CentroBindTransformer(n_components=8, max_epochs=2, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "bind.safetensors")
    ...     bind.save(path)
    ...     loaded = load(path)
    >>> bool(np.array_equal(loaded.transform(X), bind.transform(X)))
    True
    """
    header, tensors = read(path)
    # The file can name these classes and no others.
    classes = estimator_classes()
    if header["class"] not in classes:
        raise ValueError(
            f"{str(path)!r} holds a {header['class']!r}, which skcentrobind {__version__} does not "
            f"support; it loads {', '.join(classes)}."
        )
    cls = classes[header["class"]]
    _check_code(path, header["params"], code)
    if device is not None:
        resolve_device(device)
    try:
        params = items_of({k: v for k, v in header["params"].items() if k not in code})
        estimator = cls(**params, **code)
        if device is not None:
            estimator.device = device
        estimator._restore(Stored(header, tensors), _device_here(estimator.device))
    except _FAULTS as exc:
        also = f", or {' or '.join(code)} is not what it was saved with" if code else ""
        raise ValueError(
            f"{str(path)!r} cannot be loaded: it is damaged{also}. {type(exc).__name__}: {exc}"
        ) from exc
    return estimator


def _check_code(path, params, code):
    """Compare the parameters that were passed with those that the file could not hold."""
    needed = {
        name: value["$code"]
        for name, value in params.items()
        if isinstance(value, dict) and "$code" in value
    }
    missing = [name for name in needed if name not in code]
    if missing:
        holds = ", ".join(f"{name} (holding a {needed[name]})" for name in missing)
        arguments = ", ".join(f"{name}=..." for name in missing)
        raise ValueError(
            f"{str(path)!r} was saved with code in {holds}, which a file of data cannot keep: pass "
            f"it again, load(path, {arguments}), or use joblib, which keeps it."
        )
    unexpected = [name for name in code if name not in needed]
    if unexpected:
        raise TypeError(
            f"load() takes only parameters that the file could not hold, {list(needed)}, got "
            f"{unexpected}; change others with set_params once it is loaded."
        )


def _device_here(device):
    """Resolve the saved device, or fall back on the CPU."""
    try:
        return resolve_device(device)
    except ValueError:
        warn(
            f"It was saved with device={str(device)!r}, which is not available: it computes on "
            "the CPU. load(path, device='auto') chooses an available device.",
        )
        return "cpu"
