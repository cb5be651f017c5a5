"""Draw the shared space as a scatter plot: colour is the class, marker is the modality."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from skcentrobind.metrics._embed import embed
from skcentrobind.metrics._inputs import EmbeddingsLike, as_array, as_classes
from skcentrobind.plotting._axes import (
    LINE_HEIGHT,
    foreground,
    legend_below,
    legend_lines,
    new_axes,
    palette,
)
from skcentrobind.plotting._inputs import check_embeddings, check_labels, check_names
from skcentrobind.plotting._projection import check_method, project

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.legend import Legend

_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*", "<", ">", "p", "h", "d", "8")

# Classes per column of the legend: as many as fit beside axes of matplotlib's default height.
_LEGEND_ROWS = 16

# Colour of samples without a class.
_NO_CLASS = (0.6, 0.6, 0.6, 1.0)


class EmbeddingDisplay:
    """Draw the embeddings of all modalities in one scatter plot.

    Use `from_estimator` or `from_embeddings`, which compute the parameters.

    Parameters
    ----------
    points : array-like of shape (n_modalities, n_samples, 2)
        Projected embeddings; NaN where the modality is missing.
    names : list of str, default=None
        Names of the modalities; "modality0", "modality1", ... if None.
    labels : array-like of shape (n_samples,), default=None
        Class of each sample; those of None or NaN are grey. None colours by modality.
    rows : array-like of int of shape (n_samples,), default=None
        Rows of the data that are drawn; all of them, in order, if None.
    axis_labels : tuple of str of length 2, default=("", "")
        Labels of the axes.

    Attributes
    ----------
    points, names, labels, rows, axis_labels
        Parameters, as arrays and lists.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure of these axes.
    scatters_ : dict of str to matplotlib PathCollection
        Points of each modality.
    links_ : matplotlib LineCollection or None
        Lines between the modalities of a sample.
    legends_ : list of matplotlib Legend
        Legends of the classes and of the modalities.

    See Also
    --------
    skcentrobind.metrics.retrieval_report : Measure how close the modalities of a sample are.

    Notes
    -----
    Two dimensions leave out most of the space. PCA keeps the directions of largest variance, t-SNE
    keeps neighbourhoods but not distances: use metrics to compare spaces.

    Examples
    --------
    >>> import numpy as np
    >>> from skcentrobind.plotting import EmbeddingDisplay
    >>> rng = np.random.default_rng(0)
    >>> Z = {"image": rng.normal(size=(30, 8)), "text": rng.normal(size=(30, 8))}
    >>> display = EmbeddingDisplay.from_embeddings(Z, y=np.arange(30) % 3)
    >>> display.points.shape
    (2, 30, 2)
    >>> display.axis_labels[0]
    'PCA 1 (21 % of the variance)'
    """

    def __init__(
        self,
        points: ArrayLike,
        *,
        names: Iterable[object] | None = None,
        labels: ArrayLike | None = None,
        rows: ArrayLike | None = None,
        axis_labels: tuple[str, ...] = ("", ""),
    ) -> None:
        self.points = as_array(points, np.float64)
        n_modalities, n_samples = self.points.shape[:2]
        self.names = check_names(names, n_modalities)
        self.labels = None if labels is None else as_classes(labels, n_samples, "labels")
        self.rows = np.arange(n_samples) if rows is None else as_array(rows)
        self.axis_labels = tuple(axis_labels)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike | None = None, **kwargs: Any
    ) -> Self:
        """Embed data with a fitted estimator and draw the embeddings.

        Parameters
        ----------
        estimator : fitted estimator
            A binding transformer, a pipeline or search with one, or a model whose `transform`
            takes and returns a list of arrays, as in `skcentrobind.metrics.cross_modal_accuracy`.
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Data, in any form that the estimator takes.
        y : array-like of shape (n_samples,), default=None
            Class of each sample; None colours by modality.
        **kwargs
            Passed to `from_embeddings`.

        Returns
        -------
        display : EmbeddingDisplay
            Display with the plot drawn.

        Examples
        --------
        >>> from skcentrobind import CentroBindTransformer
        >>> from skcentrobind.datasets import make_multimodal_gmm
        >>> from skcentrobind.plotting import EmbeddingDisplay
        >>> X, y = make_multimodal_gmm(100, n_classes=3, random_state=0)
        >>> bind = CentroBindTransformer(n_components=8, max_epochs=2, random_state=0)
        >>> display = EmbeddingDisplay.from_estimator(bind.fit(X), X, y, max_samples=40)
        >>> display.points.shape
        (4, 40, 2)
        """
        return cls.from_embeddings(embed(estimator, X), y, **kwargs)

    @classmethod
    def from_embeddings(
        cls,
        Z: EmbeddingsLike,
        y: ArrayLike | None = None,
        *,
        method: Any = "pca",
        max_samples: int | None = 200,
        random_state: int | np.random.RandomState | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Project embeddings to two dimensions, all modalities together, and draw them.

        Parameters
        ----------
        Z : Modalities, dict or list of array-like of shape (n_samples, n_components)
            Embeddings of each modality; NaN rows mark missing ones, which are left out.
        y : array-like of shape (n_samples,), default=None
            Class of each sample; those of None or NaN are grey. None colours by modality.
        method : {"pca", "tsne", "umap"}, transformer or callable, default="pca"
            Projection from `n_components` to two dimensions.

            "pca" is fast and linear: distances in the plot are at most those in the space.

            "tsne" shows neighbourhoods, and takes some seconds.

            "umap" shows neighbourhoods as well, keeps more of the global structure, and needs the
            package umap-learn.

            A transformer with `fit_transform`, which is cloned, or a function takes all
            embeddings as one array of shape (n_points, n_components) and returns an array of
            shape (n_points, 2).
        max_samples : int or None, default=200
            Largest number of samples to draw, chosen at random; None draws all.
        random_state : int, RandomState instance or None, default=None
            Determines the samples that are drawn, and t-SNE and UMAP.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : EmbeddingDisplay
            Display with the plot drawn.

        Raises
        ------
        ValueError
            If `method`, `y` or the shapes of the embeddings are invalid.
        ImportError
            If a library that the plot needs is not installed.
        """
        check_method(method)
        checked = check_embeddings(Z)
        n_samples = len(checked)
        classes = check_labels(y, n_samples)
        rng = check_random_state(random_state)
        rows = np.arange(n_samples)
        if max_samples is not None and n_samples > max_samples:
            rows = np.sort(rng.choice(n_samples, max_samples, replace=False))
        drawn = checked[rows]
        stacked, present = np.stack(drawn.arrays), drawn.present.T  # (n_modalities, n_samples)
        flat, axis_labels = project(stacked[present], method, rng)
        points = np.full((*present.shape, 2), np.nan)
        points[present] = flat
        labels = None if classes is None else classes[rows]
        display = cls(points, names=drawn.names, labels=labels, rows=rows, axis_labels=axis_labels)
        return display.plot(ax=ax, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, links: bool = False, legend: bool = True, **kwargs: Any
    ) -> Self:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        links : bool, default=False
            Whether to connect the modalities of each sample by thin lines through their mean.
            Short lines mean good alignment.
        legend : bool, default=True
            Whether to draw legends beside and below the axes.
        **kwargs
            Passed to `Axes.scatter`, for example `s=30` or `alpha=0.5`.

        Returns
        -------
        display : EmbeddingDisplay
            This object.
        """
        ax = new_axes(ax, (6.4, 4.6 + LINE_HEIGHT * legend_lines(self.names) * legend))
        self.ax_, self.figure_ = ax, ax.figure
        self.links_ = self._draw_links() if links else None
        classes, hues, colours = self._colours()
        options = {"s": 20, "alpha": 0.8, "linewidths": 0, **kwargs}
        self.scatters_ = {}
        for m, name in enumerate(self.names):
            here = np.isfinite(self.points[m]).all(axis=1)
            x1, x2 = self.points[m][here].T
            # A single colour as one row, since a tuple of 3 or 4 numbers would be ambiguous.
            self.scatters_[name] = ax.scatter(
                x1, x2, **{"c": colours[m][here], "marker": self._marker(m), **options}
            )
        ax.set(xlabel=self.axis_labels[0], ylabel=self.axis_labels[1], xticks=[], yticks=[])
        ax.set_aspect("equal", adjustable="datalim")
        self.legends_ = self._draw_legends(classes, hues) if legend else []
        return self

    def _marker(self, m: int) -> str:
        return _MARKERS[m % len(_MARKERS)]

    def _colours(self) -> tuple[NDArray[Any] | None, NDArray[Any], NDArray[Any]]:
        """Return classes, one colour per class, and the colours of all points by modality."""
        n_modalities, n_samples = self.points.shape[:2]
        if self.labels is None:
            hues = palette(n_modalities)
            return None, hues, np.repeat(hues[:, None], n_samples, axis=1)
        import pandas as pd

        codes, classes = pd.factorize(self.labels, sort=True)  # -1 where there is no class
        hues = palette(len(classes))
        if (codes < 0).any():
            classes = np.append(np.asarray(classes, dtype=object), "missing")
            hues = np.vstack([hues.reshape(-1, 4), _NO_CLASS])
        return classes, hues, np.broadcast_to(hues[codes], (n_modalities, n_samples, 4))

    def _draw_links(self) -> LineCollection:
        from matplotlib.collections import LineCollection

        present = np.all(np.isfinite(self.points), axis=2)
        total = np.where(present[..., None], self.points, 0).sum(axis=0)
        centres = total / np.maximum(present.sum(axis=0), 1)[:, None]
        segments = [
            (self.points[m, k], centres[k])
            for m, k in zip(*np.nonzero(present), strict=True)
            if present[:, k].sum() > 1
        ]
        lines = LineCollection(segments, colors="0.6", linewidths=0.4, zorder=0)
        self.ax_.add_collection(lines)
        return lines

    def _draw_legends(self, classes: NDArray[Any] | None, hues: NDArray[Any]) -> list[Legend]:
        """Draw the classes to the right of the axes and the modalities below them."""
        from matplotlib.lines import Line2D

        def handle(marker: str, colour: Any, label: object) -> Line2D:
            return Line2D([], [], linestyle="", marker=marker, color=colour, label=str(label))

        # With classes the colour of a marker means nothing.
        colours = hues if classes is None else [foreground()] * len(self.names)
        modalities = [
            handle(self._marker(m), colour, name)
            for m, (colour, name) in enumerate(zip(colours, self.names, strict=True))
        ]
        legends = [legend_below(self.ax_, modalities, lines=2.0, handletextpad=0.2)]
        if classes is not None:
            # A second call of `legend` replaces the first one, and `add_artist` clips to the axes.
            self.ax_.add_artist(legends[0]).set_clip_on(False)
            entries = [handle("o", colour, c) for c, colour in zip(classes, hues, strict=True)]
            beside = self.ax_.legend(
                handles=entries,
                title="class",
                loc="upper left",
                bbox_to_anchor=(1.01, 1.0),
                borderaxespad=0.0,
                ncols=-(-len(entries) // _LEGEND_ROWS),
                frameon=False,
                handletextpad=0.2,
                columnspacing=1.0,
            )
            legends.insert(0, beside)
        return legends
