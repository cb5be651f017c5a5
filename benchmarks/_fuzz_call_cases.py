"""Cases of the fuzz campaign about files, sequences of calls, parameters and measures."""

import copy
import pickle
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
import torch
from _fuzz_data import (
    draw_arrays,
)
from _fuzz_oracle import check, make, present_of, refused, same
from sklearn.base import clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, LRScheduler

from skcentrobind import (
    PerModality,
    load,
    metrics,
)


def saved(rng):
    """Check that a saved estimator goes on as the one that was saved, schedules included."""
    arrays = draw_arrays(rng)
    policies = {"StepLR": {"step_size": 1}, "ExponentialLR": {"gamma": 0.5}}
    policy = str(rng.choice(list(policies)))
    schedule = LRScheduler(getattr(torch.optim.lr_scheduler, policy), **policies[policy])
    own = [schedule] if rng.random() < 0.5 else None
    bind = make(rng, len(arrays), callbacks=own).fit(arrays)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bind"
        bind.save(path)
        loaded = load(path, **({"callbacks": own} if own else {}))
    other = pickle.loads(pickle.dumps(bind))
    expected = bind.partial_fit(arrays).transform(arrays)
    same(loaded.partial_fit(arrays).transform(arrays), expected, "load and partial_fit")
    same(other.partial_fit(arrays).transform(arrays), expected, "pickle and partial_fit")
    return "confirmed"


def kept(rng):
    """Check that what fit accepts as a parameter, a file keeps as it is."""
    arrays = draw_arrays(rng, n_modalities=2, missing=False)
    widths = [a.shape[1] for a in arrays.values()]
    whole = np.hstack(list(arrays.values()))
    cuts = [
        {"p": range(widths[0]), "q": range(widths[0], sum(widths))},
        [slice(0, widths[0]), slice(widths[0], None)],
        np.array(widths),
        [pd.Index(range(widths[0])), np.arange(widths[0], sum(widths))],
        {"p": tuple(range(widths[0])), "q": list(range(widths[0], sum(widths)))},
    ]
    bind = make(rng, modalities=cuts[rng.integers(len(cuts))]).fit(whole)
    with tempfile.TemporaryDirectory() as folder:
        bind.save(Path(folder) / "bind")
        loaded = load(Path(folder) / "bind")
    same(loaded.transform(whole), bind.transform(whole), "load")
    return "confirmed"


class Stops(Callback):
    at = None

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.at:
            raise SystemExit


def resumed(rng):
    """Check that a fit that is interrupted goes on from its checkpoint as if it had not been."""
    arrays = draw_arrays(rng)
    n_epochs = int(rng.integers(2, 5))
    own = [LRScheduler("StepLR", step_size=1), Stops()]
    bind = make(rng, len(arrays), max_epochs=n_epochs, callbacks=own)
    expected = clone(bind).fit(arrays)
    every = int(rng.integers(1, 3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "point"
        Stops.at = int(rng.integers(1, n_epochs + 1))
        try:
            clone(bind).fit(arrays, checkpoint=path, checkpoint_every=every)
        except SystemExit:
            pass
        finally:
            Stops.at = None
        found = clone(bind).fit(arrays, checkpoint=path, checkpoint_every=every)
    same(found.transform(arrays), expected.transform(arrays), "resumed")
    check(found.loss_curve_ == expected.loss_curve_, "the loss curve of a resumed fit")
    return "confirmed"


def sequences(rng):
    """Check that any sequence of calls keeps what each of them promises."""
    arrays = draw_arrays(rng)
    bind = make(rng, len(arrays)).fit(arrays)
    rng_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    epochs = bind.n_iter_
    for _ in range(int(rng.integers(2, 6))):
        step = str(
            rng.choice(["partial_fit", "pickle", "copy", "transform", "refit", "names", "bad"])
        )
        before = bind.transform(arrays)
        if step == "partial_fit":
            bind.partial_fit(arrays)
            epochs += 1
            check(bind.n_iter_ == epochs, f"{bind.n_iter_} epochs after {epochs}")
            check(np.isfinite(bind.loss_curve_).all(), "the loss is not finite")
        elif step in ("pickle", "copy"):
            bind = pickle.loads(pickle.dumps(bind)) if step == "pickle" else copy.deepcopy(bind)
            same(bind.transform(arrays), before, step)
        elif step == "transform":
            same(bind.transform(arrays), before, step)
            blocks = bind.transform_modalities(arrays)
            name = list(arrays)[rng.integers(len(arrays))]
            same(bind.transform_modality(arrays[name], name), blocks[name], name, 1e-5)
        elif step == "refit":
            bind.fit(arrays)
            epochs = bind.n_iter_
            same(clone(bind).fit(arrays).transform(arrays), bind.transform(arrays), step)
        elif step == "names":
            names = bind.get_feature_names_out()
            check(len(set(names)) == before.shape[1], "names of columns")
        else:
            narrow = [array[:, :1] for array in arrays.values()]
            refused(partial(bind.partial_fit, narrow), arrays)
            same(bind.transform(arrays), before, step)
    check(torch.equal(torch.get_rng_state(), rng_before), "torch's generator was moved")
    check(np.random.get_state()[1].tolist() == numpy_before, "numpy's generator was moved")
    return "confirmed"


BAD_PARAMETERS = {
    "n_components": [0, -1, 1.5, "many", None],
    "temperature": [0, -1, "cold", np.nan, [0.1], {"nobody": 0.2}],
    "encoder": ["resnet", 3, ["mlp"], {"nobody": "mlp"}],
    "init": ["zeros", None],
    "augmentation": ["flip", 3],
    "batch_size": [0, 1, 2.5],
    "max_epochs": [-1, "some", 1.5],
    "learning_rate": [0, -1e-3, "fast"],
    "standardize": ["yes", 2, None],
    "output": ["sum", None],
    "callbacks": [3, [3]],
    "device": ["abacus", 7],
    "regularizers": [{"beauty": 1.0}, 3],
    "validation_fraction": [0.0, 1.0, 2],
    "random_state": [-1, "seed", 1.5],
    "hidden_layer_sizes": [(0,), 3, "big"],
    "precision": ["float8", None],
    "n_specific_components": [-1, 0.5],
}


def bad_parameters(rng):
    """Check that invalid parameters are named."""
    arrays = draw_arrays(rng, n_modalities=2, missing=False)
    name = str(rng.choice(list(BAD_PARAMETERS)))
    values = BAD_PARAMETERS[name]
    bind = make(rng).set_params(**{name: values[rng.integers(len(values))]})
    return refused(lambda: bind.fit(arrays), [], name)


# ------------------------------------------------------------- routing, names, measures


def routing(rng):
    """Check that weights reach the scalers that request them."""
    arrays = draw_arrays(rng, n_modalities=2)
    present = present_of(arrays)
    weights = rng.uniform(0.1, 3, size=len(present))
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        per = PerModality(dict.fromkeys(arrays, scaler)).fit(arrays, sample_weight=weights)
    for m, (name, array) in enumerate(arrays.items()):
        here = present[:, m]
        expected = StandardScaler().fit(array[here], sample_weight=weights[here]).mean_
        same(per.named_transformers_[name].mean_, expected, f"weighted mean of {name}", 1e-12)
    return "confirmed"


def names(rng):
    """Check that faults are called by their names, or there is none."""
    arrays = draw_arrays(rng, n_modalities=2, missing=False)
    first, second = arrays
    a, b = arrays.values()
    which = int(rng.integers(5))
    if which == 0:
        target = b[:, :1] + rng.normal(size=(len(b), 1))
        per = PerModality({first: PLSRegression(1)}).fit(arrays, target)
        expected = PLSRegression(1).fit(a, target).transform(a)
        same(per.transform(arrays)[first], expected, "PLSRegression", 1e-9)
        same(per.fit_transform(arrays, target)[first], expected, "PLSRegression", 1e-9)
        return "confirmed"
    if which == 1:
        X = {"p": a, "p_specific": b}
        bind = make(rng, n_specific_components=2, output="all")
        return refused(lambda: bind.fit(X), X, "p_specific")
    if which == 2:
        z = {k: torch.tensor(v, requires_grad=True) for k, v in arrays.items()}
        measured = metrics.linear_cka(z)
        expected = metrics.linear_cka(arrays)
        same(measured.to_numpy(), expected.to_numpy(), "tensors with gradients", 1e-9)
        return "confirmed"
    if which == 3:
        frame = pd.DataFrame(a, columns=["c"] * a.shape[1])
        return refused(lambda: make(rng).fit({first: frame, second: b}), arrays, "c")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from skcentrobind.plotting import EmbeddingDisplay

    z = [rng.normal(size=(len(a), 3)) for _ in range(2)]
    y = np.array([None, "x"] * len(a), dtype=object)[: len(a)]
    display = EmbeddingDisplay.from_embeddings(z, y)
    plt.close(display.figure_)
    check(display.points.shape == (2, len(a), 2), "points")
    return "confirmed"
