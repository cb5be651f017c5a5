"""Draw the training loss of every epoch and, if there are any, the validation scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcentrobind.metrics._embed import binding_step
from skcentrobind.metrics._inputs import as_array
from skcentrobind.plotting._axes import (
    LINE_HEIGHT,
    foreground,
    legend_below,
    legend_lines,
    new_axes,
    palette,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LossCurveDisplay:
    """Draw the training loss against epochs, for one or several runs.

    Use `from_estimator` or `from_estimators`, which read the parameters from the estimators.

    Parameters
    ----------
    losses : dict of str to list of array-like of shape (n_epochs,)
        Training losses of the runs of each label, one array per run.
    scores : dict of str to list of array-like of shape (n_epochs,), default=None
        Validation scores of the runs of each label that has them.

    Attributes
    ----------
    losses, scores
        Parameters, as dicts of lists of arrays.
    ax_ : matplotlib Axes
        Axes with the losses.
    score_ax_ : matplotlib Axes or None
        Axes with the scores and a scale on the right; None if there are no scores.
    figure_ : matplotlib Figure
        Figure of these axes.
    lines_ : dict of str to matplotlib Line2D
        Loss of each label, the mean over its runs.
    score_lines_ : dict of str to matplotlib Line2D
        Score of each label that has one, dashed.
    bands_ : dict of str to matplotlib PolyCollection
        From one standard deviation below the mean loss to one above, if there are several runs.
    score_bands_ : dict of str to matplotlib PolyCollection
        Bands of the scores.
    legend_ : matplotlib Legend
        Legend below the axes.

    Notes
    -----
    Losses are sums over the modalities, so their scale depends on the number of modalities, the
    batch size and the temperature: compare only runs with equal values of these. A run that
    stopped early counts in the mean up to its last epoch.

    Examples
    --------
    >>> from skcentrobind.plotting import LossCurveDisplay
    >>> display = LossCurveDisplay({"batches of 64": [[9.0, 7.0, 6.0], [8.0, 7.0, 5.0]]})
    >>> display.plot().lines_["batches of 64"].get_ydata().tolist()
    [8.5, 7.0, 5.5]
    """

    def __init__(
        self,
        losses: Mapping[str, Sequence[ArrayLike]],
        *,
        scores: Mapping[str, Sequence[ArrayLike]] | None = None,
    ) -> None:
        self.losses = _check_runs(losses, "losses")
        self.scores = _check_runs(scores or {}, "scores")
        if not self.losses:
            raise ValueError("losses must have one label or more, got none.")
        if not set(self.scores) <= set(self.losses):
            raise ValueError(
                f"scores must have labels of losses, {list(self.losses)}, got {list(self.scores)}."
            )

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, label: str | None = None, ax: Axes | None = None, **kwargs: Any
    ) -> Self:
        """Draw the loss curve of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            A binding transformer, a pipeline or search with one, or another estimator with
            `loss_curve_`.
        label : str, default=None
            Name in the legend; the class of the binding transformer if None.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : LossCurveDisplay
            Display with the plot drawn.

        Examples
        --------
        >>> from skcentrobind import CentroBindTransformer
        >>> from skcentrobind.datasets import make_multimodal_gmm
        >>> from skcentrobind.plotting import LossCurveDisplay
        >>> X, y = make_multimodal_gmm(100, n_classes=3, random_state=0)
        >>> bind = CentroBindTransformer(n_components=8, max_epochs=3, random_state=0)
        >>> display = LossCurveDisplay.from_estimator(bind.fit(X))
        >>> display.lines_["CentroBindTransformer"].get_xdata().tolist()
        [1.0, 2.0, 3.0]
        """
        estimators = [estimator] if label is None else {label: estimator}
        return cls.from_estimators(estimators, ax=ax, **kwargs)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any] | Iterable[Any],
        *,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the loss curves of several fitted estimators.

        Parameters
        ----------
        estimators : dict or list of fitted estimators
            Estimators to draw, as `from_estimator` takes them.

            The keys of a dict are the labels. Each value is an estimator, or a list of estimators
            that differ only in their seeds: the runs whose mean and standard deviation are drawn.

            In a list, binding transformers of the same class are the runs of one label, the name
            of the class.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : LossCurveDisplay
            Display with the plot drawn.

        Raises
        ------
        TypeError
            If an estimator has no loss curve.
        NotFittedError
            If an estimator is not fitted.
        """
        runs: dict[str, list[Any]] = {}
        if isinstance(estimators, Mapping):
            for label, value in estimators.items():
                some = value if isinstance(value, list | tuple) else [value]
                runs[str(label)] = [_with_loss_curve(estimator) for estimator in some]
        else:
            for estimator in map(_with_loss_curve, estimators):
                runs.setdefault(type(estimator).__name__, []).append(estimator)
        losses = {label: [e.loss_curve_ for e in some] for label, some in runs.items()}
        scores = {
            label: [s for s in (getattr(e, "validation_scores_", None) for e in some) if s]
            for label, some in runs.items()
        }
        scores = {label: some for label, some in scores.items() if some}
        return cls(losses, scores=scores).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs
            Passed to `Axes.plot` for the losses and the scores, for example `linewidth=1`.

        Returns
        -------
        display : LossCurveDisplay
            This object.
        """
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        labels = list(self.losses)
        entries = labels + ["training loss", "validation score"] * bool(self.scores)
        ax = new_axes(ax, (6.4, 3.9 + LINE_HEIGHT * legend_lines(entries)))
        self.ax_, self.figure_ = ax, ax.figure
        hues = dict(zip(labels, palette(len(labels)), strict=True))
        self.lines_, self.bands_ = _draw(ax, self.losses, hues, "-", kwargs)
        ax.set(xlabel="epoch", ylabel="training loss")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        self.score_ax_: Any = None
        self.score_lines_: dict[str, Any] = {}
        self.score_bands_: dict[str, Any] = {}
        handles = [*self.lines_.values()]
        if self.scores:
            self.score_ax_ = ax.twinx()
            self.score_lines_, self.score_bands_ = _draw(
                self.score_ax_, self.scores, hues, "--", kwargs
            )
            self.score_ax_.set(ylabel="validation score")
            # Two overlapping grids are unreadable.
            self.score_ax_.grid(False)
            styles: dict[Any, str] = {"-": "training loss", "--": "validation score"}
            handles += [
                Line2D([], [], color=foreground(), linestyle=style, label=label)
                for style, label in styles.items()
            ]
        self.legend_ = legend_below(ax, handles)
        return self


def _with_loss_curve(estimator: Any) -> Any:
    """Return the estimator that holds the loss curve: the binding step of a pipeline or search."""
    step = binding_step(estimator)
    found = estimator if step is None else step
    # Before fit, only the class has the property, which raises NotFittedError when it is read.
    if not hasattr(type(found), "loss_curve_") and not hasattr(found, "loss_curve_"):
        raise TypeError(
            "A loss curve needs estimators with loss_curve_, or pipelines or searches with a "
            f"binding transformer, got {type(found).__name__}."
        )
    return found


def _check_runs(
    curves: Mapping[str, Sequence[Any]], what: str
) -> dict[str, list[NDArray[np.float64]]]:
    """Return the runs of every label as arrays."""
    checked = {}
    for label, runs in curves.items():
        if len(runs) == 0 or any(np.ndim(run) != 1 or len(run) == 0 for run in runs):
            shapes = [np.shape(run) for run in runs]
            raise ValueError(
                f"{what} of '{label}' must be a list of runs of shape (n_epochs,), got runs of "
                f"shape {shapes}. Put a single run in a list, [[3.0, 2.5, 2.2]]; an estimator with "
                "max_epochs=0 has no run."
            )
        checked[str(label)] = [as_array(run, np.float64) for run in runs]
    return checked


def _draw(
    ax: Axes,
    curves: dict[str, list[NDArray[np.float64]]],
    hues: dict[str, Any],
    linestyle: str,
    options: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw mean and standard deviation over the runs of every label."""
    lines, bands = {}, {}
    for label, runs in curves.items():
        # Short runs are padded with NaN, which mean and standard deviation ignore.
        table = np.full((len(runs), max(map(len, runs))), np.nan)
        for row, run in zip(table, runs, strict=True):
            row[: len(run)] = run
        epochs, mean = np.arange(1.0, table.shape[1] + 1), np.nanmean(table, axis=0)
        # A single epoch is a marker, since one point has no line.
        look = {"marker": "o" if len(epochs) == 1 else "", "linestyle": linestyle, **options}
        (lines[label],) = ax.plot(epochs, mean, **{"color": hues[label], "label": label, **look})
        if len(runs) > 1:
            spread = np.nanstd(table, axis=0)
            bands[label] = ax.fill_between(
                epochs, mean - spread, mean + spread, color=hues[label], alpha=0.2, linewidth=0
            )
    return lines, bands
