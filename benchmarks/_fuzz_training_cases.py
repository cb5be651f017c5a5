"""Cases of the fuzz campaign about training: torch, threads, losses, failures, callbacks."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from _fuzz_data import (
    draw_arrays,
)
from _fuzz_oracle import Foreign, Silent, check, make, same, state
from _fuzz_reference import (
    Known,
    centroid_loss,
    fixed_loss,
    pairwise_loss,
    reciprocal_rank_of_groups,
)
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from skcentrobind import (
    CentroBindTransformer,
    FixedAnchorBindTransformer,
    Modalities,
    PairwiseBindTransformer,
)


class NoFloat64(TorchDispatchMode):
    """A device that has no float64."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float64:
                raise Foreign(f"{function} makes float64 on the device")
        return out


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


AROUND = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "default device": lambda: torch.device("meta"),
}


def ambient(rng):
    """Check that what the caller has set in torch changes nothing, and is given back."""
    arrays = draw_arrays(rng)
    bind = make(rng, len(arrays), init="random", learning_rate=1e-2)
    start = clone(bind).set_params(max_epochs=0, pretrain_epochs=0).fit(arrays).transform(arrays)
    expected = clone(bind).fit(arrays)
    one = expected.transform(arrays)
    check(not np.array_equal(start, one), "nothing was learned")
    two, score = expected.partial_fit(arrays).transform(arrays), expected.score(arrays)
    name = str(rng.choice(list(AROUND)))
    with AROUND[name]():
        before = torch_state()
        found = clone(bind).fit(arrays)
        same(found.transform(arrays), one, f"fit under {name}")
        same(found.partial_fit(arrays).transform(arrays), two, f"partial_fit under {name}")
        check(found.score(arrays) == score, f"score under {name}")
        check(torch_state() == before, f"{name} was not given back")
    return "confirmed"


def float64(rng):
    """Check that a device without float64 can train."""
    arrays = draw_arrays(rng)
    bind = make(rng, len(arrays))
    with NoFloat64():
        bind.fit(arrays).partial_fit(arrays).transform(arrays)
    return "confirmed"


def torch_state():
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.get_rng_state().sum().item() if torch.get_default_device().type == "cpu" else 0,
    )


def dropout(n_features, n_components):
    return nn.Sequential(nn.Linear(n_features, 6), nn.Dropout(0.5), nn.Linear(6, n_components))


def threads(rng):
    """Check that fits in threads equal fits alone, and leave torch's generator as it was."""
    arrays = draw_arrays(rng, n_modalities=2, missing=False)
    bind = make(rng, encoder=dropout, max_epochs=3, init="random", batch_size=4)
    seeds = [int(s) for s in rng.integers(1000, size=3)]

    def run(seed):
        return clone(bind).set_params(random_state=seed).fit(arrays).transform(arrays)

    torch.manual_seed(int(rng.integers(1000)))
    before = torch.get_rng_state()
    alone = [run(seed) for seed in seeds]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(run, seeds))
    for a, b in zip(together, alone, strict=True):
        same(a, b, "threads")
    check(torch.equal(torch.get_rng_state(), before), "torch's generator was moved")
    return "confirmed"


def losses(rng):
    """Check that the loss of the first epoch is the reference's, of the initial embeddings.

    Samples may have groups and weights, and a modality few distinct rows.
    """
    cls, reference, least = [
        (CentroBindTransformer, centroid_loss, 2),
        (PairwiseBindTransformer, pairwise_loss, 1),
        (FixedAnchorBindTransformer, fixed_loss, 2),
    ][rng.integers(3)]
    arrays = draw_arrays(rng, n_modalities=int(rng.integers(least, 4)), missing=False)
    params = {"augmentation": None, "pretrain_epochs": 0, "batch_size": 256, "max_epochs": 0}
    params |= {"regularizers": None, "n_specific_components": 0, "random_state": 3}
    params["same_group"] = str(rng.choice(["positive", "ignore"]))
    n_samples = len(next(iter(arrays.values())))
    groups = rng.integers(n_samples // 2 + 2, size=n_samples) if rng.random() < 0.5 else None
    weights = rng.integers(4, size=n_samples) / 2 if rng.random() < 0.4 else None
    if weights is not None:
        weights[:4] = 1
    if rng.random() < 0.3:
        name = next(iter(arrays))
        arrays[name] = arrays[name][np.arange(n_samples) % 3]
    X = Modalities(arrays, groups=groups, sample_weight=weights)
    bind = make(rng, cls=cls, **params).fit(X)
    kept = slice(None) if weights is None else weights > 0
    known = Known(
        [array[kept] for array in arrays.values()],
        None if groups is None else groups[kept],
        params["same_group"] == "positive",
        None if weights is None else weights[kept],
    )
    blocks = [z[kept].astype(np.float64) for z in bind.transform_modalities(X).arrays]
    loss = clone(bind).set_params(max_epochs=1).fit(X).loss_curve_[0]
    expected = reference(blocks, bind.temperature, known)
    check(abs(loss - expected) < 1e-3 * max(1, abs(expected)), f"loss {loss} for {expected}")
    if len(blocks) > 1:
        score, expected = bind.score(X), reciprocal_rank_of_groups(blocks, known)
        check(abs(score - expected) < 1e-6, f"score {score} for {expected}")
    return "confirmed"


class Raises(Callback):
    def __init__(self, hook, epoch, error):
        self.hook, self.epoch, self.error = hook, epoch, error

    def on_epoch_begin(self, net, **kwargs):
        if self.hook == "begin" and len(net.history) >= self.epoch:
            raise self.error("fault")

    def on_batch_end(self, net, **kwargs):
        if self.hook == "batch" and len(net.history) >= self.epoch:
            raise self.error("fault")


def failures(rng):
    """Check that a call that raises or is interrupted leaves the estimator as it was."""
    arrays = draw_arrays(rng)
    n_epochs = int(rng.integers(1, 3))
    error = [RuntimeError, KeyboardInterrupt, SystemExit][rng.integers(3)]
    hook = str(rng.choice(["begin", "batch"]))
    raises = Raises(hook, n_epochs + 1, error)
    bind = make(rng, len(arrays), max_epochs=n_epochs, pretrain_epochs=0, callbacks=[raises])
    bind.fit(arrays)
    before, expected = state(bind), bind.transform(arrays)
    call = bind.partial_fit
    if rng.random() < 0.5:
        bind.set_params(callbacks=[Raises(hook, 1, error)])
        call = bind.fit
    try:
        call(arrays)
    except error:
        pass
    else:
        raise Silent("the error of a callback was lost")
    check(state(bind) == before, "the estimator has changed")
    same(bind.transform(arrays), expected, "embeddings after a failure")
    return "confirmed"


class Phases(Callback):
    def __init__(self):
        self.seen = []

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(net.phase)


def told(rng):
    """Check that callbacks hear of every epoch of both phases."""
    arrays = draw_arrays(rng)
    first, second = int(rng.integers(0, 3)), int(rng.integers(1, 3))
    phases = {"pretrain_epochs": first, "max_epochs": second}
    bind = make(rng, len(arrays), **phases, callbacks=[Phases()]).fit(arrays)
    seen = next(cb for _, cb in bind.net_.callbacks_ if isinstance(cb, Phases)).seen
    check(seen == ["pre-training"] * first + ["binding"] * second, f"told of {seen}")
    return "confirmed"
