"""A scatter plot of the shared space: colour is the class, marker is the modality."""

import numpy as np
from sklearn.utils import check_random_state

from skcentrobind.metrics._embed import embed
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

_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*", "<", ">", "p", "h", "d", "8")

# Classes in one column of the legend: as many as fit beside axes of matplotlib's default height.
_LEGEND_ROWS = 16


class EmbeddingDisplay:
    """Scatter plot of embeddings, all modalities in one picture.

    Make it with `from_estimator` or `from_embeddings`; the parameters here are what these compute.

    Parameters
    ----------
    points : array-like of shape (n_modalities, n_samples, 2)
        Where each embedding stands in the picture; NaN where a sample lacks the modality.
    names : list of str, default=None
        Names of the modalities; "modality0", "modality1", ... if None.
    labels : array-like of shape (n_samples,), default=None
        Class of each sample. None colours by modality.
    rows : array-like of int of shape (n_samples,), default=None
        Which rows of the data were drawn; all of them, in order, if None.
    axis_labels : tuple of str of length 2, default=("", "")
        What the axes show.

    Attributes
    ----------
    points, names, labels, rows, axis_labels
        The parameters, as arrays and lists.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure of these axes.
    scatters_ : dict of str to matplotlib PathCollection
        The points of each modality.
    links_ : matplotlib LineCollection or None
        The lines between the modalities of a sample.
    legends_ : list of matplotlib Legend
        Of the classes and of the modalities.

    See Also
    --------
    skcentrobind.metrics.retrieval_report : The same question in numbers.

    Notes
    -----
    A picture in two dimensions leaves most of the space out. PCA keeps the directions of largest
    variance, t-SNE neighbourhoods but no distances: judge a space by its metrics.

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

    def __init__(self, points, *, names=None, labels=None, rows=None, axis_labels=("", "")):
        self.points = np.asarray(points, dtype=np.float64)
        n_modalities, n_samples = self.points.shape[:2]
        self.names = check_names(names, n_modalities)
        self.labels = None if labels is None else np.asarray(labels)
        self.rows = np.arange(n_samples) if rows is None else np.asarray(rows)
        self.axis_labels = tuple(axis_labels)

    @classmethod
    def from_estimator(cls, estimator, X, y=None, **kwargs):
        """Embed data with a fitted binding transformer and draw the embeddings.

        Parameters
        ----------
        estimator : fitted estimator
            A binding transformer, a pipeline or search with one, or a model whose `transform`
            takes and returns a list of arrays, as in `skcentrobind.metrics.cross_modal_accuracy`.
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Data, as the estimator takes them.
        y : array-like of shape (n_samples,), default=None
            Class of each sample; None colours by modality.
        **kwargs
            Passed to `from_embeddings`.

        Returns
        -------
        display : EmbeddingDisplay
            With the plot drawn.

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
        cls, Z, y=None, *, method="pca", max_samples=200, random_state=None, ax=None, **kwargs
    ):
        """Project embeddings to two dimensions, all modalities together, and draw them.

        Parameters
        ----------
        Z : Modalities, dict or list of array-like of shape (n_samples, n_components)
            Embeddings of each modality; NaN rows mark samples that lack it and are left out.
        y : array-like of shape (n_samples,), default=None
            Class of each sample; None colours by modality.
        method : {"pca", "tsne", "umap"}, transformer or callable, default="pca"
            How to get from `n_components` to two dimensions.

            "pca" is fast and linear: distances in the picture are at most those in the space.

            "tsne" shows which points are neighbours, and takes some seconds.

            "umap" does so as well, keeps more of the large structure, and needs the package
            umap-learn.

            A transformer with `fit_transform`, of which a copy is fitted, or a function, gets
            all embeddings as one array of shape (n_points, n_components) and returns an array
            of shape (n_points, 2).
        max_samples : int or None, default=200
            More samples than that are thinned at random; None draws all.
        random_state : int, RandomState instance or None, default=None
            Chooses the samples that are drawn, and seeds t-SNE and UMAP.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : EmbeddingDisplay
            With the plot drawn.

        Raises
        ------
        ValueError
            If `method`, `y` or the shapes of the embeddings are unusable.
        ImportError
            If a library that the picture needs is not installed.
        """
        check_method(method)
        Z = check_embeddings(Z)
        y = check_labels(y, len(Z))
        rng = check_random_state(random_state)
        rows = np.arange(len(Z))
        if max_samples is not None and len(Z) > max_samples:
            rows = np.sort(rng.choice(len(Z), max_samples, replace=False))
        drawn = Z[rows]
        stacked, present = np.stack(drawn.arrays), drawn.present.T  # (n_modalities, n_samples)
        flat, axis_labels = project(stacked[present], method, rng)
        points = np.full((*present.shape, 2), np.nan)
        points[present] = flat
        labels = None if y is None else y[rows]
        display = cls(points, names=Z.names, labels=labels, rows=rows, axis_labels=axis_labels)
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, links=False, legend=True, **kwargs):
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        links : bool, default=False
            Whether thin lines join the modalities of each sample, through their mean. Short
            lines are good alignment.
        legend : bool, default=True
            Whether legends stand beside and below the axes.
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

    def _marker(self, m):
        return _MARKERS[m % len(_MARKERS)]

    def _colours(self):
        """Classes, a colour for each, and the colours of all points, one array a modality."""
        n_modalities, n_samples = self.points.shape[:2]
        if self.labels is None:
            hues = palette(n_modalities)
            return None, hues, np.repeat(hues[:, None], n_samples, axis=1)
        classes, codes = np.unique(self.labels, return_inverse=True)
        hues = palette(len(classes))
        return classes, hues, np.broadcast_to(hues[codes], (n_modalities, n_samples, 4))

    def _draw_links(self):
        from matplotlib.collections import LineCollection

        present = np.isfinite(self.points).all(axis=2)
        total = np.where(present[..., None], self.points, 0).sum(axis=0)
        centres = total / np.maximum(present.sum(axis=0), 1)[:, None]
        segments = [
            (self.points[m, k], centres[k])
            for m, k in zip(*np.nonzero(present), strict=True)
            if present[:, k].sum() > 1
        ]
        lines = LineCollection(segments, colors="0.6", linewidths=0.4, zorder=0)
        return self.ax_.add_collection(lines)

    def _draw_legends(self, classes, hues):
        """Put the classes to the right of the axes and the modalities below them."""
        from matplotlib.lines import Line2D

        def handle(marker, colour, label):
            return Line2D([], [], linestyle="", marker=marker, color=colour, label=str(label))

        plain = [foreground()] * len(self.names) if classes is not None else hues
        modalities = [handle(self._marker(m), plain[m], name) for m, name in enumerate(self.names)]
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
