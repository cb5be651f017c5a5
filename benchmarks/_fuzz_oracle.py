"""What a case of the fuzz campaign may come to, and the checks that decide it."""

import warnings
from contextlib import contextmanager

import numpy as np
from _fuzz_data import (
    EXPECTED_WARNINGS,
    draw_params,
)
from sklearn.exceptions import NotFittedError

from skcentrobind import (
    CentroBindTransformer,
    FixedAnchorBindTransformer,
    GramianBindTransformer,
    PairwiseBindTransformer,
    PrincipalBindTransformer,
    SymileBindTransformer,
)

ESTIMATORS = [
    CentroBindTransformer,
    FixedAnchorBindTransformer,
    PairwiseBindTransformer,
    GramianBindTransformer,
    PrincipalBindTransformer,
    SymileBindTransformer,
]

#: Words of messages that name something the user has passed.
WORDS = [
    "modalit",
    "names:",
    "no array",
    "sample",
    "checkpoint",
    "gallery",
    "columns of the same name",
    "X is",
    "X has",
]


class Silent(AssertionError):
    """Wrong numbers, or bad input that is taken without a word."""


class Foreign(AssertionError):
    """An error that does not say what is wrong with what was passed."""


def check(condition, what):
    if not condition:
        raise Silent(what)


def same(one, two, what, tolerance=0.0):
    """Compare arrays, bit for bit unless there is a tolerance."""
    one, two = np.asarray(one), np.asarray(two)
    equal = one.shape == two.shape and (
        np.array_equal(one, two, equal_nan=True)
        if not tolerance
        else np.allclose(one, two, atol=tolerance, rtol=0, equal_nan=True)
    )
    if not equal:
        gap = np.nanmax(np.abs(one - two)) if one.shape == two.shape else (one.shape, two.shape)
        raise Silent(f"{what}: not equal, {gap}")


def refused(call, names, *words):
    """Expect an error of the package that names a modality, parameter or argument."""
    try:
        call()
    except (ValueError, TypeError, NotFittedError) as exc:
        text = str(exc)
        known = [*map(str, names), *WORDS, *CentroBindTransformer().get_params()]
        if not any(word in text for word in known):
            raise Foreign(f"names nothing: {type(exc).__name__}: {text}") from exc
        for word in words:
            if word not in text:
                raise Foreign(f"does not say {word!r}: {type(exc).__name__}: {text}") from exc
        return "refused"
    except Exception as exc:
        raise Foreign(f"{type(exc).__name__}: {exc}") from exc
    raise Silent("bad input was taken")


@contextmanager
def quiet():
    """Let expected warnings pass, and make others findings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for w in caught:
        if not any(words in str(w.message) for words in EXPECTED_WARNINGS):
            raise Foreign(f"unexpected warning: {w.category.__name__}: {w.message}")


def make(rng, n_modalities=2, cls=None, **params):
    """Return a random estimator."""
    cls = cls or ESTIMATORS[rng.choice(len(ESTIMATORS), p=[0.5, 0.1, 0.1, 0.1, 0.1, 0.1])]
    own = draw_params(rng, n_modalities) | params
    if cls is PrincipalBindTransformer and own.get("augmentation") is None:
        own["augmentation"] = "gaussian"
    return cls(**own)


def unit_rows(bind, X, present):
    """Check the embeddings of all modalities: unit rows, NaN exactly where missing."""
    blocks = bind.transform_modalities(X)
    for m, (name, z) in enumerate(blocks.items()):
        lengths = np.linalg.norm(z.astype(np.float64), axis=1)
        check(np.isnan(z[~present[:, m]]).all(), f"{name}: missing rows are not NaN")
        near = np.abs(lengths[present[:, m]] - 1) < 1e-5
        check((near | (lengths[present[:, m]] == 0)).all(), f"{name}: rows are not of unit length")
    return blocks


def present_of(arrays):
    return np.column_stack([~np.isnan(array).all(axis=1) for array in arrays.values()])


def state(bind):
    """Return what the next epoch starts from."""
    net = bind.net_
    tensors = [t for m in net.optimizer_.state_dict()["state"].values() for t in m.values()]
    tensors += list(net.module_.state_dict().values()) + list(net.criterion_.state_dict().values())
    tensors += [net.order_generator_.get_state(), net.generator_.get_state(), net.global_state_]
    return [t.numpy().tobytes() for t in tensors], list(bind.loss_curve_), sorted(vars(bind))
