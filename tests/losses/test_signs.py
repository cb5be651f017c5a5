"""The losses that do not see signs keep the sides of the closed-form start by default."""

import numpy as np
import pytest
from conftest import draw

from skcentrobind import GramianBindTransformer, PrincipalBindTransformer

SIGN_BLIND = {"principal": PrincipalBindTransformer, "gramian": GramianBindTransformer}
NAMED = {"encoder": "residual", "shrinkage": "oas", "n_components": 8, "random_state": 0}


def share_opposed(bind, X):
    """Share of the pairs of modalities of a sample that point in opposite directions."""
    Z = bind.transform_modalities(X).arrays
    pairs = [(a * b).sum(axis=1) for m, a in enumerate(Z) for b in Z[:m]]
    return float(np.mean(np.concatenate(pairs) < 0))


@pytest.mark.parametrize("cls", SIGN_BLIND.values(), ids=SIGN_BLIND)
def test_the_default_keeps_modalities_on_one_side(cls):
    X, _ = draw(200)
    start = cls(**NAMED, max_epochs=0).fit(X)
    own = cls(**NAMED, max_epochs="full").fit(X)
    paper = cls(**NAMED, max_epochs="full", regularizers=None).fit(X)
    assert share_opposed(start, X) < 0.05
    assert share_opposed(own, X) < 0.05
    assert share_opposed(paper, X) > 2 * share_opposed(own, X)
    assert own.score(X) > paper.score(X)


@pytest.mark.parametrize("cls", SIGN_BLIND.values(), ids=SIGN_BLIND)
def test_a_default_is_never_below_its_start_where_it_matters(cls):
    X, _ = draw(260)
    train, test = X[:160], X[160:]
    named = {"random_state": 0, "encoder": "kernel", "gamma": 0.3, "shrinkage": 0.1}
    start = cls(**named, max_epochs=0).fit(train).score(test)
    assert cls(**named).fit(train).score(test) > start - 0.02


def test_auto_means_nothing_for_the_others(each):
    X, _ = draw()
    one, two = (each(regularizers=value, max_epochs=1).fit(X) for value in ("auto", None))
    is_blind = type(one) in SIGN_BLIND.values()
    assert (one.loss_curve_ != two.loss_curve_) == is_blind
    weight = {PrincipalBindTransformer: 5.0, GramianBindTransformer: 20.0}.get(type(one))
    assert dict(one._plan.regularizers) == ({"alignment": weight} if is_blind else {})
