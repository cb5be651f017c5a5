"""Pre-training: every encoder alone, on its own augmented rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from skorch.helper import predefined_split

from skcentrobind._encoders.module import BindModule
from skcentrobind._training.net import BindData, BindNet, make_net
from skcentrobind._training.plan import Plan, intra_loss, with_second_head


def pretrain(
    plan: Plan,
    module: BindModule,
    data: BindData,
    epochs: int,
    *,
    callbacks: Sequence | None = None,
    verbose: int = 0,
    data_valid: BindData | None = None,
    last: Sequence = (),
    resume: Callable[[BindNet], None] | None = None,
) -> None:
    """Train every encoder on its own augmented rows, in place.

    Parameters
    ----------
    plan : Plan
        What to train.
    module : BindModule
        The encoders.
    data : BindData
        The samples.
    epochs : int
        Number of epochs.
    callbacks : list of skorch callbacks, default=None
        Copies of the user's callbacks, which are told of these epochs, too.
    verbose : int, default=0
        Verbosity.
    data_valid : BindData, default=None
        Rows whose loss and score callbacks may read; they stop nothing here.
    last : list of (str, callback), default=()
        Called after all others, and not one of the user's.
    resume : callable, default=None
        As in `BindNet.train_on`.
    """
    if not any(parameter.requires_grad for parameter in module.parameters()):
        return
    loss = with_second_head(plan, intra_loss(plan))
    options: dict[str, Any] = {"has_batch_callbacks": bool(callbacks), "verbose": verbose}
    if callbacks and data_valid is not None:
        options["train_split"] = predefined_split(data_valid)
    options["callbacks"] = [*(callbacks or []), *last]
    net = make_net(plan, module, loss, "pre-training", plan.seed + 3, **options)
    net.train_on(data, epochs, resume)
