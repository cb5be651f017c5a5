"""Mutual information between the modalities as a heat map."""

import numpy as np

from skcentrobind.metrics import mutual_information_matrix
from skcentrobind.metrics._embed import binding_step, embed
from skcentrobind.plotting._heat_map import HeatMapMixin
from skcentrobind.plotting._inputs import check_embeddings, check_matrix


class InformationDisplay(HeatMapMixin):
    """Heat map of the mutual information between the embeddings of all modalities, in nats.

    Off the diagonal stands what two modalities share, on it what a modality keeps of itself under
    augmentation. Make it with `from_estimator` or `from_embeddings`; the parameters here are what
    these compute.

    Parameters
    ----------
    information : DataFrame or array-like of shape (n_modalities, n_modalities)
        Lower bounds of the mutual information, as
        `skcentrobind.metrics.mutual_information_matrix` computes them; NaN leaves a cell empty.
    names : list of str, default=None
        Names of the modalities; those of the DataFrame, else "modality0", "modality1", ... if
        None.
    limit : float, default=None
        Where the bound saturates, the logarithm of the batch size, which is the last colour. None
        takes ``information.attrs["limit"]`` if there is one, else the largest value.

    Attributes
    ----------
    information : ndarray of shape (n_modalities, n_modalities)
        The bounds.
    names, limit
        The parameters.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure of these axes.
    im_ : matplotlib AxesImage
        The heat map.
    text_ : ndarray of Text of shape (n_modalities, n_modalities) or None
        The values in the cells; None in empty cells.
    colorbar_ : matplotlib Colorbar or None
        The colour bar.

    See Also
    --------
    skcentrobind.metrics.mutual_information_matrix : The same in numbers.

    Notes
    -----
    A bound cannot exceed its limit, however much is shared: a matrix whose cells all stand at the
    limit needs larger batches before it says anything.

    Examples
    --------
    >>> from skcentrobind.plotting import InformationDisplay
    >>> display = InformationDisplay([[2.0, 0.5], [0.5, 1.8]], names=["image", "text"])
    >>> display.plot().text_[0, 1].get_text()
    '0.50'
    """

    def __init__(self, information, *, names=None, limit=None):
        if limit is None:
            limit = getattr(information, "attrs", {}).get("limit")
        self.limit = limit
        self.information, self.names = check_matrix(information, names, "information")

    @classmethod
    def from_estimator(cls, estimator, X, X_augmented=None, **kwargs):
        """Embed data with a fitted binding transformer and draw what the embeddings share.

        Parameters
        ----------
        estimator : fitted estimator
            A binding transformer, a pipeline or search with one, or a model whose `transform`
            takes and returns a list of arrays, as in `skcentrobind.metrics.cross_modal_accuracy`.
        X : list, dict, Modalities, DataFrame or array of shape (n_samples, n_features)
            Data that was not used in fit.
        X_augmented : like X, default=None
            Other views of the same samples: X with noise, another crop, another recording. None
            leaves the diagonal empty.
        **kwargs
            Passed to `from_embeddings`. Unless given, the `temperature` is that of the binding
            transformer after training, the geometric mean if the modalities have their own.

        Returns
        -------
        display : InformationDisplay
            With the plot drawn.

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
        cls, Z, Z_augmented=None, *, temperature=0.2, batch_size=256, ax=None, **kwargs
    ):
        """Bound the mutual information of all pairs, and draw it.

        Parameters
        ----------
        Z : Modalities, dict or list of array-like of shape (n_samples, n_components)
            Embeddings of two or more modalities; NaN rows mark absent ones.
        Z_augmented : like Z, default=None
            Embeddings of other views of the same samples. None leaves the diagonal empty.
        temperature : float, default=0.2
            By which inner products are divided; the bound is tightest near that of the training.
        batch_size : int, default=256
            Candidates among which a sample is found; the bound saturates at its logarithm. It is
            lowered to the smallest number of samples that two modalities share.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : InformationDisplay
            With the plot drawn.
        """
        if Z_augmented is not None:
            Z_augmented = check_embeddings(Z_augmented)
        information = mutual_information_matrix(
            check_embeddings(Z), Z_augmented, temperature=temperature, batch_size=batch_size
        )
        return cls(information).plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            `cmap`, `values_format`, `colorbar`, and what `Axes.imshow` takes.

        Returns
        -------
        display : InformationDisplay
            This object.
        """
        finite = self.information[np.isfinite(self.information)]
        # A bound may be negative: it then says nothing, and is no darker than zero.
        top = finite.max(initial=0) if self.limit is None else self.limit
        label = "mutual information in nats"
        if self.limit is not None:
            label += f", limit {self.limit:.2f}"
        options = {"label": label, "limits": (0, top), "axis_labels": ("", ""), **kwargs}
        self.ax_ = self._draw_heat_map(ax, self.information, **options)
        self.figure_ = self.ax_.figure
        return self


def _trained_temperature(estimator):
    """Return the argument `temperature` as a dict, empty if the estimator has none."""
    found = getattr(binding_step(estimator), "temperature_", None)
    if found is None:
        return {}
    # A learned temperature is trained on a logarithmic scale, on which this is the mean.
    is_single = not isinstance(found, dict)
    value = found if is_single else np.exp(np.mean(np.log(list(found.values()))))
    return {"temperature": float(value)}
