"""Draw the modality gap: distances between the means of the modalities, or two of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcentrobind.metrics import modality_gap
from skcentrobind.metrics._embed import embed
from skcentrobind.metrics._inputs import Embeddings, EmbeddingsLike, as_array, embeddings
from skcentrobind.plotting._axes import LINE_HEIGHT, legend_below, legend_lines, new_axes, palette
from skcentrobind.plotting._heat_map import HeatMapMixin
from skcentrobind.plotting._inputs import check_embeddings, check_matrix, choose

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ModalityGapDisplay(HeatMapMixin):
    """Draw the distances between modalities in the shared space, or the overlap of two of them.

    Use `from_estimator` or `from_embeddings`, which compute the parameters.

    Parameters
    ----------
    gaps : DataFrame or array-like of shape (n_modalities, n_modalities)
        Distances between the means of the modalities, from `skcentrobind.metrics.modality_gap`.
    names : list of str, default=None
        Names of the modalities; None uses those of the DataFrame, else "modality0", "modality1",
        ...
    projections : dict of str to array-like of shape (n_samples,), default=None
        Coordinates of the embeddings of two modalities on the line through their means.

    Attributes
    ----------
    gaps : ndarray of shape (n_modalities, n_modalities)
        Distances.
    names, projections
        Parameters.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure of these axes.
    im_ : matplotlib AxesImage or None
        Heat map; None with ``kind="projection"``.
    text_ : ndarray of Text of shape (n_modalities, n_modalities) or None
        Values in the cells; None in empty cells.
    colorbar_ : matplotlib Colorbar or None
        Colour bar.
    histograms_ : dict of str to matplotlib StepPatch or None
        Densities of both modalities; None with ``kind="matrix"``.
    mean_lines_ : dict of str to matplotlib Line2D or None
        Means of both modalities.

    See Also
    --------
    skcentrobind.metrics.modality_gap : Compute the numbers.
    skcentrobind.metrics.alignment : Measure the distance between the modalities of a sample.

    Notes
    -----
    For unit-length embeddings the gap is between 0 and 2 [1]_. A small gap alone does not make a
    good space: a collapsed space has no gap.

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

    def __init__(
        self,
        gaps: Any,
        *,
        names: Iterable[object] | None = None,
        projections: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        self.gaps, self.names = check_matrix(gaps, names, "gaps")
        self.projections: dict[str, NDArray[np.float64]] | None = None
        if projections is not None:
            if len(projections) != 2:
                raise ValueError(
                    f"projections must be those of two modalities, got {list(projections)}."
                )
            self.projections = {name: as_array(p, np.float64) for name, p in projections.items()}

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, **kwargs: Any) -> Self:
        """Embed data with a fitted estimator and draw the gaps.

        Parameters
        ----------
        estimator : fitted estimator
            A binding transformer, a pipeline or search with one, or a model whose `transform`
            takes and returns a list of arrays, as in `skcentrobind.metrics.cross_modal_accuracy`.
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Data, in any form that the estimator takes.
        **kwargs
            Passed to `from_embeddings`.

        Returns
        -------
        display : ModalityGapDisplay
            Display with the plot drawn.

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
    def from_embeddings(
        cls,
        Z: EmbeddingsLike,
        *,
        pair: Sequence[str | int] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Measure the gaps between all modalities, and draw them.

        Parameters
        ----------
        Z : Modalities, dict or list of array-like of shape (n_samples, n_components)
            Embeddings of two or more modalities. NaN rows mark missing ones; each pair uses the
            samples that have both.
        pair : tuple of str or int of length 2, default=None
            Names or positions of the modalities of ``kind="projection"``; those with the largest
            gap if None.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : ModalityGapDisplay
            Display with the plot drawn.

        Raises
        ------
        ValueError
            If the embeddings or `pair` are invalid.
        """
        checked = check_embeddings(Z, at_least=2)
        gaps = modality_gap(checked)
        if pair is None:
            pair = _widest(gaps)
        return cls(gaps, projections=_project(embeddings(checked), pair)).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, kind: str = "matrix", **kwargs: Any) -> Self:
        """Draw the matrix, or the densities of two modalities.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        kind : {"matrix", "projection"}, default="matrix"
            Kind of plot.

            "matrix" is a heat map of the gaps between all pairs. Its colours go from 0 to 1, or to
            the largest gap.

            "projection" shows the densities of two modalities along the line through their means,
            which are dashed: are they separate, or do they overlap?
        **kwargs
            With ``kind="matrix"`` `cmap`, `values_format`, `colorbar`, and arguments of
            `Axes.imshow`; with ``kind="projection"`` arguments of `Axes.stairs`.

        Returns
        -------
        display : ModalityGapDisplay
            This object.

        Raises
        ------
        ValueError
            If `kind` is unknown, or "projection" without projections.
        """
        kinds = {"matrix": self._draw_matrix, "projection": self._draw_projections}
        draw = choose(kind, kinds, "kind")
        self.im_ = self.text_ = self.colorbar_ = None
        self.histograms_: dict[str, Any] | None = None
        self.mean_lines_: dict[str, Any] | None = None
        self.ax_ = draw(ax, **kwargs)
        self.figure_ = self.ax_.figure
        return self

    def _draw_matrix(self, ax: Axes | None, **kwargs: Any) -> Axes:
        # The distance of a modality to itself is not worth a colour.
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

    def _draw_projections(self, ax: Axes | None, **kwargs: Any) -> Axes:
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
        histograms: dict[str, Any] = {}
        mean_lines: dict[str, Any] = {}
        for (name, values), colour in zip(self.projections.items(), palette(2), strict=True):
            density, _ = np.histogram(values, bins=edges, density=True)
            options = {"color": colour, "alpha": 0.5, "fill": True, "label": name, **kwargs}
            histograms[name] = ax.stairs(density, edges, **options)
            mean_lines[name] = ax.axvline(means[name], color=colour, linestyle="--")
        ax.set(
            xlabel="position on the line through the means",
            ylabel="density",
            title=f"gap {abs(second - first):.2f}",
        )
        self.histograms_, self.mean_lines_ = histograms, mean_lines
        legend_below(ax, list(histograms.values()))
        return ax


def _widest(gaps: Any) -> list[str]:
    """Return the names of the two modalities with the largest gap."""
    above = np.where(np.tri(len(gaps), dtype=bool), np.nan, gaps)
    if np.isnan(above).all():
        raise ValueError(
            f"A gap needs two modalities that share samples; of {list(gaps.index)} none do."
        )
    return [gaps.index[m] for m in np.unravel_index(np.nanargmax(above), above.shape)]


def _project(Z: Embeddings, pair: Sequence[str | int]) -> dict[str, NDArray[np.float64]]:
    """Return the coordinates of two modalities' embeddings on the line through their means."""
    if isinstance(pair, str) or len(pair) != 2:
        raise ValueError(f"pair must be two modalities of {Z.names}, got {pair!r}.")
    positions = [Z.position(modality, "pair") for modality in pair]
    if positions[0] == positions[1]:
        raise ValueError(f"pair must be two different modalities of {Z.names}, got {pair!r}.")
    # Like the gap, on the samples that have both.
    first, second = Z.shared(*positions)
    if not len(first):
        raise ValueError(f"No sample has both modalities of pair={pair!r}.")
    centre = (first.mean(axis=0) + second.mean(axis=0)) / 2
    axis = second.mean(axis=0) - first.mean(axis=0)
    # Without a gap there is no line, and all coordinates are 0.
    axis /= np.linalg.norm(axis) or 1.0
    names = [Z.names[position] for position in positions]
    return {name: (z - centre) @ axis for name, z in zip(names, (first, second), strict=True)}
