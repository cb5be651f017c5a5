"""Subclasses that users write: what they may read, set and override."""

import numpy as np
import pytest
import torch
from conftest import quick_centro
from sklearn.utils.validation import validate_data

from skcentrobind import CentroBindTransformer
from skcentrobind._estimators.base import BaseBindTransformer
from skcentrobind.anchors import BaseAnchor, RandomAnchor, Target
from skcentrobind.losses import AnchorLoss, BaseLoss, PairwiseLoss, RegularizedLoss


class Reading(BaseBindTransformer):
    """Makes its loss by what fit has learned about the data."""

    def _make_loss(self, temperature):
        self.seen_ = (self.modality_names_, self.n_features_in_, self.n_components_, self.device_)
        return PairwiseLoss(temperature)


def test_the_loss_can_depend_on_the_data(X):
    bind = Reading(4, max_epochs=1, device="cpu").fit(X)
    assert bind.seen_ == (["image", "text", "audio"], 15, 4, "cpu")
    bind.fit(X[["text", "audio"]])
    assert bind.seen_ == (["text", "audio"], 9, 4, "cpu")


def test_parameters_may_be_class_attributes_and_properties(X):
    class Fixed(CentroBindTransformer):
        max_epochs = 2

        def __init__(self, random_state=0):
            super().__init__(4, random_state=random_state)
            del self.max_epochs

        @property
        def batch_size(self):
            return 16

        @batch_size.setter
        def batch_size(self, value):
            pass

    bind = Fixed().fit(X)
    assert bind.n_iter_ == 2 and bind._plan.batch_size == 16


def test_fitted_attributes_can_be_replaced(X):
    bind = quick_centro().fit(X["image"])
    validate_data(bind, X["image"][:, :3], reset=True)
    bind.device_ = "elsewhere"
    assert (bind.n_features_in_, bind.device_) == (3, "elsewhere")


def test_a_fit_that_fails_leaves_no_attribute(X):
    bind = quick_centro()
    with pytest.raises(ValueError, match="constant"):
        bind.fit(np.ones((20, 3)))
    for attribute in ("net_", "scalers_", "loss_curve_", "encoders_"):
        assert not hasattr(bind, attribute), attribute


def test_flags_are_checked_before_they_are_read(X):
    for value in (np.array([1, 2]), "yes", 1):
        with pytest.raises(ValueError, match=r"early_stopping=.*expected True or False"):
            quick_centro(early_stopping=value).fit(X)


# --- what a step freezes ------------------------------------------------------------------


class Doubled(AnchorLoss):
    def forward(self, *batch):
        return 2 * super().forward(*batch)


class Around(BaseLoss):
    """Holds another loss without being told how."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def prepare(self, names):
        self.inner.prepare(names)

    def forward(self, *batch):
        return self.inner(*batch)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda: AnchorLoss(RandomAnchor(), 0.2),
        lambda: Doubled(RandomAnchor(), 0.2),
        lambda: Around(AnchorLoss(RandomAnchor(), 0.2)),
        lambda: RegularizedLoss(Around(Doubled(RandomAnchor(), 0.2)), {"uniformity": 1.0}),
    ],
)
def test_what_the_targets_freeze_is_held_whatever_stands_around_the_loss(wrap):
    loss = wrap()
    loss.prepare(["a", "b", "c"])
    z = torch.nn.functional.normalize(torch.randn(3, 6, 4), dim=-1)
    held = {loss.step(z, z, None, torch.Generator().manual_seed(k))[1] for k in range(40)}
    assert held == {(0,), (1,), (2,)}
    assert loss(z, z, None, torch.Generator()).isfinite()


def test_an_anchor_of_the_old_contract_is_refused(X):
    class Old(BaseAnchor):
        frozen_step = None

        def targets(self, z, present, generator):
            self.frozen_step = 0
            return [Target(z[0].detach(), members=[1, 2])]

    with pytest.raises(TypeError, match=r"Old sets frozen_step.*Target\(..., frozen="):
        quick_centro(aggregator=Old()).fit(X)


def test_the_place_of_bounded_is_no_direction():
    with pytest.raises(ValueError, match=r"direction must be .* no parameter `bounded` any more"):
        AnchorLoss(RandomAnchor(), 0.2, False, True)
