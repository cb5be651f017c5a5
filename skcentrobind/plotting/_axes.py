"""What all displays share: axes, colours and legends that suit light and dark backgrounds."""

import numpy as np

# Petroff, "Accessible color sequences for data visualization", arXiv:2107.02270: ten colours that
# stay apart under the common forms of colour blindness.
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

# Both ends of cividis vanish, one on a black and one on a white background.
_CIVIDIS_RANGE = (0.2, 0.9)

# Characters in one line of a legend below the axes, with 5 for each handle.
_LEGEND_WIDTH = 50

# Inches for one more line of a legend.
LINE_HEIGHT = 0.21


def pyplot():
    """Import matplotlib's pyplot, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as exc:
        raise ImportError(
            "skcentrobind.plotting draws with matplotlib, which is not installed; get it with "
            "the extra `plot`: pip install 'skcentrobind[plot]'"
        ) from exc
    return plt


def new_axes(ax, figsize, layout="constrained"):
    """Return the axes that were given, those of a new figure if there are none."""
    if ax is None:
        _, ax = pyplot().subplots(figsize=figsize, layout=layout)
    return ax


def foreground():
    """Colour of text: whatever stands out from the background of the style in force."""
    return pyplot().rcParams["text.color"]


def palette(n_colours):
    """Return RGBA rows that people with colour blindness can tell apart as well as may be."""
    import matplotlib
    from matplotlib.colors import to_rgba_array

    if n_colours <= len(_COLOURS):
        return to_rgba_array(_COLOURS[:n_colours])
    return matplotlib.colormaps["cividis"](np.linspace(*_CIVIDIS_RANGE, n_colours))


def legend_columns(labels):
    """How many columns a legend below the axes gets."""
    longest = max(map(len, labels))
    return max(1, min(len(labels), _LEGEND_WIDTH // (5 + longest)))


def legend_lines(labels):
    """How many lines a legend below the axes gets."""
    return -(-len(labels) // legend_columns(labels))


def legend_below(ax, handles, *, lines=3.6, **kwargs):
    """Put a legend below the axes, `lines` lines of text away, which its labels may fill."""
    from matplotlib.transforms import ScaledTranslation

    # In units of the text, since a share of the axes would shrink with them.
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
