"""Draw the mutual information between the modalities as a heat map."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skcentrobind.metrics import mutual_information_matrix
from skcentrobind.metrics._embed import binding_step, embed
from skcentrobind.metrics._inputs import EmbeddingsLike
from skcentrobind.plotting._heat_map import HeatMapMixin
from skcentrobind.plotting._inputs import check_embeddings, check_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class InformationDisplay(HeatMapMixin):
    """Draw a heat map of the mutual information between all embeddings, in nats.

    The diagonal shows the information that a modality keeps under augmentation, all other cells
    what two modalities share. Use `from_estimator` or `from_embeddings`, which compute the
    parameters.

    Parameters
    ----------
    information : DataFrame or array-like of shape (n_modalities, n_modalities)
        Lower bounds on the mutual information, from
        `skcentrobind.metrics.mutual_information_matrix`; NaN leaves a cell empty.
    names : list of str, default=None
        Names of the modalities; None uses those of the DataFrame, else "modality0", "modality1",
        ...
    limit : float, default=None
        Value at which the bound saturates, the logarithm of the batch size, which is the last
        colour. None uses ``information.attrs["limit"]`` if there is one, else the largest value.

    Attributes
    ----------
    information : ndarray of shape (n_modalities, n_modalities)
        Lower bounds.
    names, limit
        Parameters.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure of these axes.
    im_ : matplotlib AxesImage
        Heat map.
    text_ : ndarray of Text of shape (n_modalities, n_modalities) or None
        Values in the cells; None in empty cells.
    colorbar_ : matplotlib Colorbar or None
        Colour bar.

    See Also
    --------
    skcentrobind.metrics.mutual_information_matrix : Compute the numbers.

    Notes
    -----
    A bound cannot exceed its limit, however much information is shared: if all cells are close to
    the limit, use larger batches.

    Examples
    --------
    >>> from skcentrobind.plotting import InformationDisplay
    >>> display = InformationDisplay([[2.0, 0.5], [0.5, 1.8]], names=["image", "text"])
    >>> display.plot().text_[0, 1].get_text()
    '0.50'
    """

    def __init__(
        self,
        information: Any,
        *,
        names: Iterable[object] | None = None,
        limit: float | None = None,
    ) -> None:
        if limit is None:
            limit = getattr(information, "attrs", {}).get("limit")
        self.limit = limit
        self.information, self.names = check_matrix(information, names, "information")

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, X_augmented: Any = None, **kwargs: Any) -> Self:
        """Embed data with a fitted estimator and draw the information that embeddings share.

        Parameters
        ----------
        estimator : fitted estimator
            A binding transformer, a pipeline or search with one, or a model whose `transform`
            takes and returns a list of arrays, as in `skcentrobind.metrics.cross_modal_accuracy`.
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Data that was not used in fit.
        X_augmented : like X, default=None
            Augmented copies of the same samples: with noise, another crop, another recording.
            None leaves the diagonal empty.
        **kwargs
            Passed to `from_embeddings`. The default of `temperature` is that of the binding
            transformer after training, the geometric mean if it has one per modality.

        Returns
        -------
        display : InformationDisplay
            Display with the plot drawn.

        Examples
        --------
        >>> import numpy as np
        >>> from skcentrobind import CentroBindTransformer
        >>> from skcentrobind.datasets import make_multimodal_gmm
        >>> from skcentrobind.plotting import InformationDisplay
        >>> X, y = make_multimodal_gmm(100, n_classes=3, random_state=0)
        >>> bind = CentroBindTransformer(n_components=8, max_epochs=2, random_state=0)
        >>> rng = np.random.default_rng(0)
        >>> noisy = {name: x + 0.3 * rng.normal(size=x.shape) for name, x in X.items()}
        >>> display = InformationDisplay.from_estimator(bind.fit(X), X, noisy)
        >>> display.information.shape
        (4, 4)
        """
        Z_augmented = None if X_augmented is None else embed(estimator, X_augmented)
        Z = embed(estimator, X)
        return cls.from_embeddings(Z, Z_augmented, **_trained_temperature(estimator) | kwargs)

    @classmethod
    def from_embeddings(
        cls,
        Z: EmbeddingsLike,
        Z_augmented: EmbeddingsLike | None = None,
        *,
        temperature: float = 0.2,
        batch_size: int = 256,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Compute bounds on the mutual information of all pairs, and draw them.

        Parameters
        ----------
        Z : Modalities, dict or list of array-like of shape (n_samples, n_components)
            Embeddings of two or more modalities; NaN rows mark missing ones.
        Z_augmented : like Z, default=None
            Embeddings of augmented copies of the same samples. None leaves the diagonal empty.
        temperature : float, default=0.2
            Divisor of the inner products; the bound is tightest near the one used in training.
        batch_size : int, default=256
            Number of candidates per sample; the bound saturates at its logarithm. It is reduced
            to the smallest number of samples that two modalities share.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : InformationDisplay
            Display with the plot drawn.
        """
        if Z_augmented is not None:
            Z_augmented = check_embeddings(Z_augmented)
        information = mutual_information_matrix(
            check_embeddings(Z), Z_augmented, temperature=temperature, batch_size=batch_size
        )
        return cls(information).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs
            `cmap`, `values_format`, `colorbar`, and arguments of `Axes.imshow`.

        Returns
        -------
        display : InformationDisplay
            This object.
        """
        finite = self.information[np.isfinite(self.information)]
        # A negative bound gives no information, and has the colour of zero.
        top = finite.max(initial=0) if self.limit is None else self.limit
        label = "mutual information in nats"
        if self.limit is not None:
            label += f", limit {self.limit:.2f}"
        options = {"label": label, "limits": (0, top), "axis_labels": ("", ""), **kwargs}
        self.ax_ = self._draw_heat_map(ax, self.information, **options)
        self.figure_ = self.ax_.figure
        return self


def _trained_temperature(estimator: Any) -> dict[str, float]:
    """Return the argument `temperature` as a dict, empty if the estimator has none."""
    found = getattr(binding_step(estimator), "temperature_", None)
    if found is None:
        return {}
    # A learned temperature is trained on a logarithmic scale, on which this is the mean.
    is_single = not isinstance(found, dict)
    value = found if is_single else np.exp(np.mean(np.log(list(found.values()))))
    return {"temperature": float(value)}
