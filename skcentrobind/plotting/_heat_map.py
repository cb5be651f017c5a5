"""Draw a matrix over the modalities as a heat map with its values written into the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcentrobind.plotting._axes import new_axes, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches per cell in a new figure, and per character of a name.
_CELL, _CHARACTER = 0.62, 0.085

# Smallest side of the matrix in inches, so that the label of the colour bar fits.
_SMALLEST = 3.2

# Share of given axes that remains for the matrix when the layout has made room for its labels.
_KEPT = 0.85

# Width of a character relative to the size of its font: digits are about 0.6 wide.
_CHARACTER_WIDTH = 0.65


class HeatMap(NamedTuple):
    """Hold the artists that were drawn: axes, image, texts of the cells and colour bar."""

    ax: Any
    im: Any
    text: Any
    colorbar: Any


class HeatMapMixin:
    """Keep the artists of a heat map over the modalities of a display."""

    names: list[str]

    def _draw_heat_map(self, ax: Axes | None, values: NDArray[np.float64], **options: Any) -> Axes:
        """Draw a matrix with `draw_heat_map`, keep its artists and return the axes."""
        drawn = draw_heat_map(ax, values, self.names, **options)
        self.im_, self.text_, self.colorbar_ = drawn.im, drawn.text, drawn.colorbar
        return drawn.ax


def draw_heat_map(
    ax: Axes | None,
    values: NDArray[np.float64],
    names: list[str],
    *,
    label: str,
    limits: tuple[float, float],
    axis_labels: tuple[str, str],
    cmap: Any = "viridis",
    values_format: str | None = ".2f",
    colorbar: bool = True,
    **kwargs: Any,
) -> HeatMap:
    """Draw a matrix over the modalities; cells with NaN stay empty.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Axes to draw on; None makes a new figure of a size that suits the matrix.
    values : ndarray of shape (n_modalities, n_modalities)
        The matrix.
    names : list of str of length n_modalities
        Names of the modalities.
    label : str
        Description of the values, beside the colour bar.
    limits : tuple of float of length 2
        Values of the first and the last colour.
    axis_labels : tuple of str of length 2
        Labels of the columns and of the rows.
    cmap : str or matplotlib Colormap, default="viridis"
        Colours of the values.
    values_format : str or None, default=".2f"
        Format of the values in the cells; None writes none.
    colorbar : bool, default=True
        Whether to draw a colour bar beside the matrix.
    **kwargs
        Passed to `Axes.imshow`.

    Returns
    -------
    heat_map : HeatMap
        The artists.
    """
    cell = (_new_side(names) if ax is None else _side(ax)) / len(names)
    # Names wider than a cell are rotated.
    horizontal = max(map(len, names)) * _CHARACTER < cell
    # The layout "compressed" keeps the colour bar as high as the image, whose cells are square.
    ax = new_axes(ax, _figsize(names, horizontal, colorbar), layout="compressed")
    options = {"cmap": cmap, "vmin": limits[0], "vmax": limits[1], **kwargs}
    im = ax.imshow(np.ma.masked_invalid(values), **options)
    _label(ax, names, horizontal, axis_labels)
    text = None if values_format is None else _write(ax, im, values, values_format, cell)
    bar = None
    if colorbar:
        bar = ax.figure.colorbar(im, ax=ax, label=label)
        bar.outline.set_visible(False)
    else:
        ax.set_title(label)
    return HeatMap(ax, im, text, bar)


def _label(ax: Axes, names: list[str], horizontal: bool, axis_labels: tuple[str, str]) -> None:
    rotated: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(range(len(names)), names, **({} if horizontal else rotated))
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    # The grid of some styles would cross the cells, and a frame around empty ones is misleading.
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def _side(ax: Axes) -> float:
    """Return the side in inches of a matrix in given axes, part of which the labels may need."""
    box = ax.get_window_extent()
    return _KEPT * min(box.width, box.height) / ax.figure.dpi


def _new_side(names: list[str]) -> float:
    """Return the side in inches of the matrix in a new figure."""
    return max(_CELL * len(names), _SMALLEST)


def _figsize(names: list[str], horizontal: bool, colorbar: bool) -> tuple[float, float]:
    longest = max(map(len, names)) * _CHARACTER
    width = _new_side(names) + longest + 0.5 + 1.1 * colorbar
    height = _new_side(names) + (0.3 if horizontal else 0.75 * longest) + 0.5
    return width, height


def _write(
    ax: Axes, im: Any, values: NDArray[np.float64], values_format: str, cell: float
) -> NDArray[Any]:
    """Write the values in black or white, whichever has more contrast to the cell."""
    written = np.empty(values.shape, dtype=object)
    strings = {
        at: format(value, values_format)
        for at, value in np.ndenumerate(values)
        if np.isfinite(value)
    }
    longest = max(map(len, strings.values()), default=1)
    fits = 72 * cell / (_CHARACTER_WIDTH * longest + 0.5)
    size = min(pyplot().rcParams["font.size"], fits)
    for (row, column), string in strings.items():
        colour = readable_on(im.cmap(im.norm(values[row, column])))
        written[row, column] = ax.text(
            column, row, string, ha="center", va="center", color=colour, fontsize=size
        )
    return written


def readable_on(background: Any) -> str:
    """Return "black" or "white", whichever has the larger contrast to a colour.

    The contrast is that of the Web Content Accessibility Guidelines, (L1 + 0.05) / (L2 + 0.05) with
    the relative luminances L1 > L2 of the two colours.
    """
    srgb = np.asarray(background[:3], dtype=np.float64)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"
