"""Draw retrieval between all modalities: a matrix of one number per pair, or recall against k."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skcentrobind.metrics._embed import embed
from skcentrobind.metrics._group_ranks import chance_recall
from skcentrobind.metrics._inputs import EmbeddingsLike, as_array, embeddings
from skcentrobind.metrics._pairs import all_pairs, ranks_of_pairs, recall, reciprocal
from skcentrobind.plotting._axes import (
    LINE_HEIGHT,
    foreground,
    legend_below,
    legend_lines,
    new_axes,
    palette,
)
from skcentrobind.plotting._heat_map import HeatMapMixin
from skcentrobind.plotting._inputs import check_embeddings, choose

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Number of values of k in a curve, evenly spaced on the logarithmic axis.
_CURVE_POINTS = 200


class RetrievalDisplay(HeatMapMixin):
    """Draw retrieval from every modality to every other one, as a heat map or as curves.

    Use `from_estimator` or `from_embeddings`, which compute the parameters.

    Parameters
    ----------
    ranks : dict of (str, str) to array-like of shape (n_samples,)
        Ranks of the correct gallery rows, at least 1, for each pair (query, gallery) of
        modalities, as `skcentrobind.metrics.retrieval_ranks` returns them.
    weights : dict of (str, str) to array-like of shape (n_samples,), default=None
        Weights of the queries of each pair; None if all are equal.
    group_sizes : dict of (str, str) to array-like of shape (n_samples,), default=None
        Numbers of gallery rows that count as found, for the chance level; None if it is one each.

    Attributes
    ----------
    ranks : dict of (str, str) to ndarray
        Parameter.
    weights : dict of (str, str) to ndarray
        Parameter, empty for None.
    group_sizes : dict of (str, str) to ndarray
        Parameter, empty for None.
    names : list of str
        Names of the modalities, in order of appearance.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure of these axes.
    im_ : matplotlib AxesImage or None
        Heat map; None with ``kind="curve"``.
    text_ : ndarray of Text of shape (n_modalities, n_modalities) or None
        Values in the cells; None in empty cells.
    colorbar_ : matplotlib Colorbar or None
        Colour bar.
    lines_ : dict of str to matplotlib Line2D or None
        Curve of each query modality; None with ``kind="matrix"``.
    pair_lines_ : dict of (str, str) to matplotlib Line2D or None
        Curve of each pair (query, gallery).
    chance_line_ : matplotlib Line2D or None
        Curve of the chance level.

    See Also
    --------
    skcentrobind.metrics.retrieval_report : Compute the numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from skcentrobind.plotting import RetrievalDisplay
    >>> rng = np.random.default_rng(0)
    >>> image = rng.normal(size=(50, 8))
    >>> Z = {"image": image, "text": image + rng.normal(size=(50, 8))}
    >>> display = RetrievalDisplay.from_embeddings(Z, metric="recall@5")
    >>> display.text_[0, 1].get_text()
    '0.84'
    >>> display = display.plot(kind="curve")
    >>> sorted(display.lines_)
    ['image', 'text']
    """

    def __init__(
        self,
        ranks: Mapping[tuple[str, str], ArrayLike],
        *,
        weights: Mapping[tuple[str, str], ArrayLike] | None = None,
        group_sizes: Mapping[tuple[str, str], ArrayLike] | None = None,
    ) -> None:
        self.ranks = {tuple(pair): as_array(r, np.float64) for pair, r in ranks.items()}
        if not self.ranks or any(len(pair) != 2 for pair in self.ranks):
            raise ValueError(
                "ranks must be a dict with one key (query, gallery) or more, got keys "
                f"{list(self.ranks)}."
            )
        for pair, r in self.ranks.items():
            if r.ndim != 1 or len(r) == 0 or not (r >= 1).all():
                raise ValueError(
                    f"ranks of {pair} must be of shape (n_samples,) and at least 1, got shape "
                    f"{r.shape} with minimum {r.min(initial=np.inf):g}. Pass what "
                    "metrics.retrieval_ranks returns."
                )
        self.weights = self._per_query(weights, "weights", 0)
        self.group_sizes = self._per_query(group_sizes, "group_sizes", 1)
        self.names = list(dict.fromkeys(name for pair in self.ranks for name in pair))

    def _per_query(
        self, given: Mapping[tuple[str, str], ArrayLike] | None, what: str, least: int
    ) -> dict[tuple[str, ...], Any]:
        """Return one number per query of some pairs, at least `least`."""
        found = {tuple(p): as_array(values, np.float64) for p, values in (given or {}).items()}
        for pair, values in found.items():
            if pair not in self.ranks:
                raise ValueError(f"{what} of {pair} have no ranks, which are of {[*self.ranks]}.")
            shape = self.ranks[pair].shape
            if values.shape != shape or not (values >= least).all() or not values.any():
                raise ValueError(
                    f"{what} of {pair} must be of shape {shape}, as the ranks, and at least "
                    f"{least}, got shape {values.shape} with minimum "
                    f"{values.min(initial=np.inf):g}."
                )
        return found

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, **kwargs: Any) -> Self:
        """Embed data with a fitted estimator and draw the retrieval between modalities.

        Parameters
        ----------
        estimator : fitted estimator
            A binding transformer, a pipeline or search with one, or a model whose `transform`
            takes and returns a list of arrays, as in `skcentrobind.metrics.cross_modal_accuracy`.
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Data that was not used in fit: training samples give overestimates.
        **kwargs
            Passed to `from_embeddings`.

        Returns
        -------
        display : RetrievalDisplay
            Display with the plot drawn.

        Examples
        --------
        >>> from skcentrobind import CentroBindTransformer
        >>> from skcentrobind.datasets import make_multimodal_gmm
        >>> from skcentrobind.plotting import RetrievalDisplay
        >>> X, y = make_multimodal_gmm(100, n_classes=3, random_state=0)
        >>> bind = CentroBindTransformer(n_components=8, max_epochs=2, random_state=0)
        >>> bind = bind.fit(X[:60])
        >>> display = RetrievalDisplay.from_estimator(bind, X[60:], metric="mrr")
        >>> display.text_.shape
        (4, 4)
        """
        return cls.from_embeddings(embed(estimator, X), **kwargs)

    @classmethod
    def from_embeddings(
        cls,
        Z: EmbeddingsLike,
        *,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Rank the rows of every modality for queries of every other one, and draw the ranks.

        Parameters
        ----------
        Z : Modalities, dict or list of array-like of shape (n_samples, n_components)
            Embeddings of two or more modalities. NaN rows mark missing ones; each pair uses the
            samples that have both, and a pair with fewer than two is left out.
        groups : array-like of shape (n_samples,), default=None
            Labels of the samples: any gallery row of the query's group counts as found. None reads
            those of Modalities.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the queries. None reads those of Modalities; samples of weight 0 are left
            out.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : RetrievalDisplay
            Display with the plot drawn.

        Raises
        ------
        ValueError
            If the embeddings are invalid or no two modalities share two samples.
        """
        Z = check_embeddings(Z, at_least=2)
        checked = embeddings(Z, groups=groups, sample_weight=sample_weight)
        names = checked.names
        found = {
            (names[ranked.query[0]], names[ranked.gallery]): ranked
            for ranked in ranks_of_pairs(checked, all_pairs(len(names)))
        }
        display = cls(
            {pair: ranked.ranks for pair, ranked in found.items()},
            weights={p: r.weight for p, r in found.items() if r.weight is not None},
            group_sizes={p: r.sizes for p, r in found.items() if checked.groups is not None},
        )
        return display.plot(ax=ax, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        kind: str = "matrix",
        metric: str = "recall@1",
        **kwargs: Any,
    ) -> Self:
        """Draw the matrix or the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        kind : {"matrix", "curve"}, default="matrix"
            Kind of plot.

            "matrix" is a heat map of `metric`: rows are queries, columns are galleries.

            "curve" is recall@k against k on a logarithmic axis: one line per query modality, the
            mean over its galleries, a thin line per gallery, and the chance level, k divided by
            the number of samples.
        metric : str, default="recall@1"
            Metric of the matrix: "mrr", or "recall@1", "recall@5" or any other k. Its label
            includes the chance level.
        **kwargs
            With ``kind="matrix"`` `cmap`, `values_format`, `colorbar`, and arguments of
            `Axes.imshow`; with ``kind="curve"`` arguments of `Axes.plot` for the lines of the
            queries.

        Returns
        -------
        display : RetrievalDisplay
            This object.

        Raises
        ------
        ValueError
            If `kind` or `metric` is unknown.
        """
        kinds = {"matrix": self._draw_matrix, "curve": self._draw_curves}
        draw = choose(kind, kinds, "kind")
        self.im_ = self.text_ = self.colorbar_ = None
        self.lines_: dict[str, Any] | None = None
        self.pair_lines_: dict[tuple[str, ...], Any] | None = None
        self.chance_line_: Any = None
        self.ax_ = draw(ax, metric, **kwargs)
        self.figure_ = self.ax_.figure
        return self

    def _draw_matrix(self, ax: Axes | None, metric: str, **kwargs: Any) -> Axes:
        score = _metric(metric)
        values = np.full((len(self.names),) * 2, np.nan)
        for (query, gallery), ranks in self.ranks.items():
            weight = self.weights.get((query, gallery))
            values[self.names.index(query), self.names.index(gallery)] = score(ranks, weight)
        chance = np.mean([self._chance(pair, score) for pair in self.ranks])
        return self._draw_heat_map(
            ax,
            values,
            label=f"{metric} (chance {chance:.2g})",
            limits=(0, 1),
            axis_labels=("gallery", "query"),
            **kwargs,
        )

    def _chance(self, pair: tuple[str, ...], score: Callable[..., float]) -> float:
        """Return the score of random ranks: those of the first of a group in random order."""
        places = np.arange(1, len(self.ranks[pair]) + 1)
        found = self._chance_recall(pair, places)
        return score(places, np.diff(found, prepend=0.0))

    def _chance_recall(self, pair: tuple[str, ...], ks: Any) -> Any:
        n_candidates = len(self.ranks[pair])
        if pair not in self.group_sizes:
            return chance_recall(n_candidates, 1, ks)
        return chance_recall(n_candidates, self.group_sizes[pair], ks, self.weights.get(pair))

    def _draw_curves(self, ax: Axes | None, metric: str, **kwargs: Any) -> Axes:
        queries = [n for n in self.names if any(n == query for query, _ in self.ranks)]
        labels = [f"query: {query}" for query in queries] + ["chance"]
        ax = new_axes(ax, (6.4, 4.4 + LINE_HEIGHT * legend_lines(labels)))
        largest = max(map(len, self.ranks.values()))
        ks = np.unique(np.geomspace(1, largest, _CURVE_POINTS).round())
        found = {
            pair: np.array([recall(r, k, self.weights.get(pair)) for k in ks])
            for pair, r in self.ranks.items()
        }
        lines: dict[str, Any] = {}
        pair_lines: dict[tuple[str, ...], Any] = {}
        for query, label, colour in zip(queries, labels, palette(len(queries)), strict=False):
            own = {pair: values for pair, values in found.items() if pair[0] == query}
            if len(own) > 1:
                # The more lines there are, the fainter they are, all behind the means.
                faint: dict[str, Any] = {
                    "linewidth": 0.7,
                    "alpha": min(0.4, 2 / len(own)),
                    "zorder": 1.9,
                }
                for pair, values in own.items():
                    (pair_lines[pair],) = ax.plot(ks, values, color=colour, **faint)
            options = {"color": colour, "label": label, "linewidth": 2, **kwargs}
            (lines[query],) = ax.plot(ks, np.mean(list(own.values()), axis=0), **options)
            if len(own) == 1:
                pair_lines[next(iter(own))] = lines[query]
        self.lines_, self.pair_lines_ = lines, pair_lines
        chance = np.mean([self._chance_recall(pair, ks) for pair in self.ranks], axis=0)
        (self.chance_line_,) = ax.plot(
            ks, chance, color=foreground(), linestyle="--", linewidth=1, label="chance"
        )
        ax.set(xscale="log", xlabel="k", ylabel="recall@k", ylim=(-0.02, 1.02))
        ax.set_xlim(1, largest)
        ax.xaxis.set_major_formatter("{x:g}")
        legend_below(ax, [*lines.values(), self.chance_line_])
        return ax


def _metric(name: object) -> Callable[..., float]:
    """Return the function of ranks with this name."""
    if name == "mrr":
        return reciprocal
    found = re.fullmatch(r"recall@([1-9]\d*)", name) if isinstance(name, str) else None
    if not found:
        raise ValueError(f"metric must be 'mrr' or 'recall@k' with k = 1, 2, ..., got {name!r}.")
    k = int(found[1])
    return lambda ranks, weight=None: recall(ranks, k, weight)
