"""The modality gap: distances between the means of the modalities, and two of them face to face."""

import numpy as np

from skcentrobind.metrics import modality_gap
from skcentrobind.metrics._embed import embed
from skcentrobind.metrics._inputs import embeddings
from skcentrobind.plotting._axes import LINE_HEIGHT, legend_below, legend_lines, new_axes, palette
from skcentrobind.plotting._heat_map import HeatMapMixin
from skcentrobind.plotting._inputs import check_choice, check_embeddings, check_matrix


class ModalityGapDisplay(HeatMapMixin):
    """How far the modalities lie apart in the shared space, and whether two of them overlap.

    Make it with `from_estimator` or `from_embeddings`; the parameters here are what these compute.

    Parameters
    ----------
    gaps : DataFrame or array-like of shape (n_modalities, n_modalities)
        Distances between the means of the modalities, as `skcentrobind.metrics.modality_gap`
        computes them.
    names : list of str, default=None
        Names of the modalities; those of the DataFrame, else "modality0", "modality1", ... if
        None.
    projections : dict of str to array-like of shape (n_samples,), default=None
        For two modalities the positions of their embeddings along the line through their means.

    Attributes
    ----------
    gaps : ndarray of shape (n_modalities, n_modalities)
        The distances.
    names, projections
        The parameters.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure of these axes.
    im_ : matplotlib AxesImage or None
        The heat map; None with ``kind="projection"``.
    text_ : ndarray of Text of shape (n_modalities, n_modalities) or None
        The values in the cells; None in empty cells.
    colorbar_ : matplotlib Colorbar or None
        The colour bar.
    histograms_ : dict of str to matplotlib StepPatch or None
        The densities of both modalities; None with ``kind="matrix"``.
    mean_lines_ : dict of str to matplotlib Line2D or None
        Their means.

    See Also
    --------
    skcentrobind.metrics.modality_gap : The same in numbers.
    skcentrobind.metrics.alignment : How far apart the modalities of a sample are.

    Notes
    -----
    Between embeddings of unit length the gap lies between 0 and 2 [1]_. A small gap alone does not
    make a good space: a collapsed one has none.

    References
    ----------
    .. [1] Liang, Zhang, Kwon, Yeung, Zou, "Mind the gap: understanding the modality gap in
       multi-modal contrastive representation learning", NeurIPS 2022, arXiv:2203.02053, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skcentrobind.plotting import ModalityGapDisplay
    >>> rng = np.random.default_rng(0)
    >>> Z = {"image": rng.normal(size=(50, 8)), "text": rng.normal(size=(50, 8)) + 1}
    >>> display = ModalityGapDisplay.from_embeddings(Z)
    >>> display.text_[0, 1].get_text()
    '2.90'
    >>> display = display.plot(kind="projection")
    >>> means = [values.mean() for values in display.projections.values()]
    >>> print(f"{means[1] - means[0]:.2f}")
    2.90
    """

    def __init__(self, gaps, *, names=None, projections=None):
        self.gaps, self.names = check_matrix(gaps, names, "gaps")
        if projections is not None:
            if len(projections) != 2:
                raise ValueError(
                    f"projections must be those of two modalities, got {list(projections)}."
                )
            projections = {name: np.asarray(p, dtype=np.float64) for name, p in projections.items()}
        self.projections = projections

    @classmethod
    def from_estimator(cls, estimator, X, **kwargs):
        """Embed data with a fitted binding transformer and draw the gaps.

        Parameters
        ----------
        estimator : fitted estimator
            A binding transformer, a pipeline or search with one, or a model whose `transform`
            takes and returns a list of arrays, as in `skcentrobind.metrics.cross_modal_accuracy`.
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Data, as the estimator takes them.
        **kwargs
            Passed to `from_embeddings`.

        Returns
        -------
        display : ModalityGapDisplay
            With the plot drawn.

        Examples
        --------
        >>> from skcentrobind import CentroBindTransformer
        >>> from skcentrobind.datasets import make_multimodal_gmm
        >>> from skcentrobind.plotting import ModalityGapDisplay
        >>> X, y = make_multimodal_gmm(100, n_classes=3, random_state=0)
        >>> bind = CentroBindTransformer(n_components=8, max_epochs=2, random_state=0)
        >>> display = ModalityGapDisplay.from_estimator(bind.fit(X), X)
        >>> display.gaps.shape
        (4, 4)
        """
        return cls.from_embeddings(embed(estimator, X), **kwargs)

    @classmethod
    def from_embeddings(cls, Z, *, pair=None, ax=None, **kwargs):
        """Measure the gaps between all modalities, and draw them.

        Parameters
        ----------
        Z : Modalities, dict or list of array-like of shape (n_samples, n_components)
            Embeddings of two or more modalities. NaN rows mark samples that lack one, and a pair
            is judged on the samples that have both.
        pair : tuple of str or int of length 2, default=None
            Names or positions of the modalities of ``kind="projection"``; those with the largest
            gap if None.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : ModalityGapDisplay
            With the plot drawn.

        Raises
        ------
        ValueError
            If the embeddings or `pair` are unusable.
        """
        Z = check_embeddings(Z, at_least=2)
        gaps = modality_gap(Z)
        if pair is None:
            pair = _widest(gaps)
        return cls(gaps, projections=_project(embeddings(Z), pair)).plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, kind="matrix", **kwargs):
        """Draw the matrix or two modalities face to face.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        kind : {"matrix", "projection"}, default="matrix"
            What to draw.

            "matrix" is a heat map of the gaps: between whom is there one? Its colours go from 0
            to 1, or to the largest gap.

            "projection" has the densities of two modalities along the line through their means,
            which are dashed: does the gap keep them apart, or do they overlap?
        **kwargs
            With ``kind="matrix"`` `cmap`, `values_format`, `colorbar`, and what `Axes.imshow`
            takes; with ``kind="projection"`` what `Axes.stairs` takes.

        Returns
        -------
        display : ModalityGapDisplay
            This object.

        Raises
        ------
        ValueError
            If `kind` is unknown, or "projection" without projections.
        """
        check_choice(kind, ("matrix", "projection"), "kind")
        self.im_ = self.text_ = self.colorbar_ = None
        self.histograms_ = self.mean_lines_ = None
        draw = {"matrix": self._draw_matrix, "projection": self._draw_projections}[kind]
        self.ax_ = draw(ax, **kwargs)
        self.figure_ = self.ax_.figure
        return self

    def _draw_matrix(self, ax, **kwargs):
        # The distance of a modality to itself would only pull the colours apart.
        values = self.gaps.copy()
        np.fill_diagonal(values, np.nan)
        return self._draw_heat_map(
            ax,
            values,
            label="distance between the means",
            limits=(0, max(1.0, np.nanmax(values, initial=0.0))),
            axis_labels=("", ""),
            **kwargs,
        )

    def _draw_projections(self, ax, **kwargs):
        if self.projections is None:
            raise ValueError(
                'kind="projection" needs projections, got None. Make the display with '
                "from_estimator or from_embeddings."
            )
        means = {name: values.mean() for name, values in self.projections.items()}
        first, second = means.values()
        ax = new_axes(ax, (6.4, 3.4 + LINE_HEIGHT * legend_lines(list(means))))
        pooled = np.concatenate(list(self.projections.values()))
        edges = np.histogram_bin_edges(pooled, int(np.clip(np.sqrt(len(pooled)), 10, 60)))
        self.histograms_, self.mean_lines_ = {}, {}
        for (name, values), colour in zip(self.projections.items(), palette(2), strict=True):
            density, _ = np.histogram(values, bins=edges, density=True)
            options = {"color": colour, "alpha": 0.5, "fill": True, "label": name, **kwargs}
            self.histograms_[name] = ax.stairs(density, edges, **options)
            self.mean_lines_[name] = ax.axvline(means[name], color=colour, linestyle="--")
        ax.set(
            xlabel="position on the line through the means",
            ylabel="density",
            title=f"gap {abs(second - first):.2f}",
        )
        legend_below(ax, list(self.histograms_.values()))
        return ax


def _widest(gaps):
    """Names of the two modalities with the largest gap."""
    above = np.where(np.tri(len(gaps), dtype=bool), np.nan, gaps)
    if np.isnan(above).all():
        raise ValueError(
            f"A gap needs two modalities that share samples; of {list(gaps.index)} none do."
        )
    return [gaps.index[m] for m in np.unravel_index(np.nanargmax(above), above.shape)]


def _project(Z, pair):
    """Positions of two modalities' embeddings along the line through their means."""
    if isinstance(pair, str) or len(pair) != 2:
        raise ValueError(f"pair must be two modalities of {Z.names}, got {pair!r}.")
    positions = [Z.position(modality, "pair") for modality in pair]
    if positions[0] == positions[1]:
        raise ValueError(f"pair must be two different modalities of {Z.names}, got {pair!r}.")
    # As the gap, on the samples that have both.
    first, second = Z.shared(*positions)
    if not len(first):
        raise ValueError(f"No sample has both modalities of pair={pair!r}.")
    centre = (first.mean(axis=0) + second.mean(axis=0)) / 2
    axis = second.mean(axis=0) - first.mean(axis=0)
    # Without a gap there is no line, and everything stands where the means are.
    axis /= np.linalg.norm(axis) or 1.0
    names = [Z.names[position] for position in positions]
    return {name: (z - centre) @ axis for name, z in zip(names, (first, second), strict=True)}
