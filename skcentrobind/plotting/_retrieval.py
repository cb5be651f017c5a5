"""Retrieval between all modalities: a matrix of one number a pair, or recall against k."""

import re

import numpy as np

from skcentrobind.metrics._embed import embed
from skcentrobind.metrics._inputs import embeddings
from skcentrobind.metrics._retrieval import all_pairs, ranks_of_pairs
from skcentrobind.plotting._axes import (
    LINE_HEIGHT,
    foreground,
    legend_below,
    legend_lines,
    new_axes,
    palette,
)
from skcentrobind.plotting._heat_map import HeatMapMixin
from skcentrobind.plotting._inputs import check_choice, check_embeddings

# Values of k along a curve, evenly spaced on the logarithmic axis.
_CURVE_POINTS = 200


class RetrievalDisplay(HeatMapMixin):
    """Retrieval from every modality to every other one, as a heat map or as curves.

    Make it with `from_estimator` or `from_embeddings`; the parameters here are what these compute.

    Parameters
    ----------
    ranks : dict of (str, str) to array-like of shape (n_samples,)
        For each pair (query, gallery) of modalities the ranks of the right answers, at least 1,
        as `skcentrobind.metrics.retrieval_ranks` gives them for every sample.

    Attributes
    ----------
    ranks : dict of (str, str) to ndarray
        The parameter.
    names : list of str
        The modalities, in order of appearance.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure of these axes.
    im_ : matplotlib AxesImage or None
        The heat map; None with ``kind="curve"``.
    text_ : ndarray of Text of shape (n_modalities, n_modalities) or None
        The values in the cells; None in empty cells.
    colorbar_ : matplotlib Colorbar or None
        The colour bar.
    lines_ : dict of str to matplotlib Line2D or None
        The curve of each query modality; None with ``kind="matrix"``.
    pair_lines_ : dict of (str, str) to matplotlib Line2D or None
        The curve of each pair (query, gallery).
    chance_line_ : matplotlib Line2D or None
        The curve of chance.

    See Also
    --------
    skcentrobind.metrics.retrieval_report : The same in numbers.

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

    def __init__(self, ranks):
        self.ranks = {tuple(pair): np.asarray(r, dtype=np.float64) for pair, r in ranks.items()}
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
        self.names = list(dict.fromkeys(name for pair in self.ranks for name in pair))

    @classmethod
    def from_estimator(cls, estimator, X, **kwargs):
        """Embed data with a fitted binding transformer and draw the retrieval between them.

        Parameters
        ----------
        estimator : fitted estimator
            A binding transformer, a pipeline or search with one, or a model whose `transform`
            takes and returns a list of arrays, as in `skcentrobind.metrics.cross_modal_accuracy`.
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Data that was not used in fit: retrieval of training samples overestimates.
        **kwargs
            Passed to `from_embeddings`.

        Returns
        -------
        display : RetrievalDisplay
            With the plot drawn.

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
    def from_embeddings(cls, Z, *, ax=None, **kwargs):
        """Rank every modality's answers to every other one, and draw them.

        Parameters
        ----------
        Z : Modalities, dict or list of array-like of shape (n_samples, n_components)
            Embeddings of two or more modalities. NaN rows mark samples that lack one, and a pair
            is judged on the samples that have both; a pair with fewer than two is left out.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : RetrievalDisplay
            With the plot drawn.

        Raises
        ------
        ValueError
            If the embeddings are unusable or no two modalities share two samples.
        """
        Z = embeddings(check_embeddings(Z, at_least=2))
        found = ranks_of_pairs(Z, all_pairs(len(Z.names)))
        return cls({(Z.names[q], Z.names[g]): r for (q,), g, r in found}).plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, kind="matrix", metric="recall@1", **kwargs):
        """Draw the matrix or the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        kind : {"matrix", "curve"}, default="matrix"
            What to draw.

            "matrix" is a heat map of `metric`: rows ask, columns answer.

            "curve" is recall@k against k on a logarithmic axis: a line for each query modality,
            the mean over its galleries, with a thin line for each gallery, and chance, k divided
            by the number of samples.
        metric : str, default="recall@1"
            What the matrix shows, "mrr" or "recall@1", "recall@5" or any other k. Chance stands
            beside it.
        **kwargs
            With ``kind="matrix"`` `cmap`, `values_format`, `colorbar`, and what `Axes.imshow`
            takes; with ``kind="curve"`` what `Axes.plot` takes for the lines of the queries.

        Returns
        -------
        display : RetrievalDisplay
            This object.

        Raises
        ------
        ValueError
            If `kind` or `metric` is unknown.
        """
        check_choice(kind, ("matrix", "curve"), "kind")
        self.im_ = self.text_ = self.colorbar_ = None
        self.lines_ = self.pair_lines_ = self.chance_line_ = None
        draw = {"matrix": self._draw_matrix, "curve": self._draw_curves}[kind]
        self.ax_ = draw(ax, metric, **kwargs)
        self.figure_ = self.ax_.figure
        return self

    def _draw_matrix(self, ax, metric, **kwargs):
        score = _metric(metric)
        values = np.full((len(self.names),) * 2, np.nan)
        for (query, gallery), ranks in self.ranks.items():
            values[self.names.index(query), self.names.index(gallery)] = score(ranks)
        # By chance every rank from 1 to n_samples is as likely as any other.
        chance = np.mean([score(np.arange(1, len(r) + 1)) for r in self.ranks.values()])
        return self._draw_heat_map(
            ax,
            values,
            label=f"{metric} (chance {chance:.2g})",
            limits=(0, 1),
            axis_labels=("gallery", "query"),
            **kwargs,
        )

    def _draw_curves(self, ax, metric, **kwargs):
        queries = [n for n in self.names if any(n == query for query, _ in self.ranks)]
        labels = [f"{query} asks" for query in queries] + ["chance"]
        ax = new_axes(ax, (6.4, 4.4 + LINE_HEIGHT * legend_lines(labels)))
        largest = max(map(len, self.ranks.values()))
        ks = np.unique(np.geomspace(1, largest, _CURVE_POINTS).round())
        recall = {
            pair: np.searchsorted(np.sort(r), ks, side="right") / len(r)
            for pair, r in self.ranks.items()
        }
        self.lines_, self.pair_lines_ = {}, {}
        for query, label, colour in zip(queries, labels, palette(len(queries)), strict=False):
            own = {pair: values for pair, values in recall.items() if pair[0] == query}
            if len(own) > 1:
                # The more there are, the fainter each, and all of them behind the means.
                faint = {"linewidth": 0.7, "alpha": min(0.4, 2 / len(own)), "zorder": 1.9}
                for pair, values in own.items():
                    (self.pair_lines_[pair],) = ax.plot(ks, values, color=colour, **faint)
            options = {"color": colour, "label": label, "linewidth": 2, **kwargs}
            (self.lines_[query],) = ax.plot(ks, np.mean(list(own.values()), axis=0), **options)
            if len(own) == 1:
                self.pair_lines_[next(iter(own))] = self.lines_[query]
        chance = np.mean([np.minimum(ks / len(r), 1) for r in self.ranks.values()], axis=0)
        (self.chance_line_,) = ax.plot(
            ks, chance, color=foreground(), linestyle="--", linewidth=1, label="chance"
        )
        ax.set(xscale="log", xlabel="k", ylabel="recall@k", ylim=(-0.02, 1.02))
        ax.set_xlim(1, largest)
        ax.xaxis.set_major_formatter("{x:g}")
        legend_below(ax, [*self.lines_.values(), self.chance_line_])
        return ax


def _metric(name):
    """Return the function of ranks that has this name."""
    if name == "mrr":
        return lambda ranks: np.mean(1 / ranks)
    found = re.fullmatch(r"recall@([1-9]\d*)", name) if isinstance(name, str) else None
    if not found:
        raise ValueError(f"metric must be 'mrr' or 'recall@k' with k = 1, 2, ..., got {name!r}.")
    k = int(found[1])
    return lambda ranks: np.mean(ranks <= k)
