"""Make axes, colours and legends for all displays, on light and dark backgrounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skcentrobind._names import optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

# Petroff, "Accessible color sequences for data visualization", arXiv:2107.02270: ten colours that
# remain distinct under the common forms of colour blindness.
_COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)

# The ends of cividis cannot be seen on a black and on a white background.
_CIVIDIS_RANGE = (0.2, 0.9)

# Characters in one line of a legend below the axes; each handle takes 5.
_LEGEND_WIDTH = 50

# Height in inches of one line of a legend.
LINE_HEIGHT = 0.21


def pyplot() -> Any:
    """Import matplotlib's pyplot, or raise an error that says how to install it."""
    return optional("matplotlib.pyplot", "skcentrobind.plotting", "plot")


def new_axes(ax: Axes | None, figsize: tuple[float, float], layout: str = "constrained") -> Axes:
    """Return the given axes, or those of a new figure if None."""
    if ax is None:
        _, ax = pyplot().subplots(figsize=figsize, layout=layout)
    return ax


def foreground() -> str:
    """Return the colour of text, which contrasts with the background in the current style."""
    return pyplot().rcParams["text.color"]


def palette(n_colours: int) -> NDArray[np.float64]:
    """Return colours, as RGBA rows, that suit colour blindness as well as possible."""
    import matplotlib
    from matplotlib.colors import to_rgba_array

    if n_colours <= len(_COLOURS):
        return to_rgba_array(_COLOURS[:n_colours])
    return matplotlib.colormaps["cividis"](np.linspace(*_CIVIDIS_RANGE, n_colours))


def legend_columns(labels: list[str]) -> int:
    """Return the number of columns of a legend below the axes."""
    longest = max(map(len, labels))
    return max(1, min(len(labels), _LEGEND_WIDTH // (5 + longest)))


def legend_lines(labels: list[str]) -> int:
    """Return the number of lines of a legend below the axes."""
    return -(-len(labels) // legend_columns(labels))


def legend_below(ax: Axes, handles: list[Any], *, lines: float = 3.6, **kwargs: Any) -> Legend:
    """Draw a legend below the axes, leaving `lines` lines for the labels of the axis."""
    from matplotlib.transforms import ScaledTranslation

    # In units of the font size: a fraction of the axes would shrink with them.
    inches = lines * pyplot().rcParams["font.size"] / 72
    down = ScaledTranslation(0, -inches, ax.figure.dpi_scale_trans)
    return ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=ax.transAxes + down,
        borderaxespad=0.0,
        ncols=legend_columns([handle.get_label() for handle in handles]),
        frameon=False,
        columnspacing=1.0,
        **kwargs,
    )
