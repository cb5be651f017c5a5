"""Draw text queries above the pictures of emojis that they find."""

from __future__ import annotations

from io import BytesIO

from skcentrobind.datasets import load_emoji

# Sizes in inches; at 100 dots per inch the figure is 700 pixels wide.
_WIDTH, _ROW, _HEAD = 7.0, 0.78, 0.42
_PICTURES = 7


def draw(finder, queries, path):
    """Draw one row per query: pictures among all emojis, and among the unseen ones.

    Queries in letters that the font of matplotlib lacks are left out.

    Parameters
    ----------
    finder : Finder
        The search.
    queries : sequence of (str, str)
        Language and text.
    path : Path
        File to write.

    Returns
    -------
    path : Path or None
        None without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("\nNo picture: matplotlib is missing. pip install 'skcentrobind[plot]' adds it.")
        return None
    queries = [query for query in queries if _has_letters(query[1])]
    images = _images(finder.emojis.characters)
    height = _HEAD + _ROW * len(queries)
    figure = Figure(figsize=(_WIDTH, height), dpi=100, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, _WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    n_all, n_unseen = len(finder.emojis.characters), len(finder.emojis.unseen)
    columns = (
        (0.1, None, f"among all {n_all:,} emojis"),
        (_WIDTH / 2 + 0.1, finder.emojis.unseen, f"among the {n_unseen} held out from training"),
    )
    side = (_WIDTH / 2 - 0.25) / _PICTURES
    for left, rows, title in columns:
        axes.text(left, 0.25, title, color="#555555", fontsize=9, va="center")
        for k, (language, text) in enumerate(queries):
            top = _HEAD + _ROW * k
            axes.text(left, top + 0.12, f"“{text}”", color="black", fontsize=11, va="center")
            for i, row in enumerate(finder.find(text, language, _PICTURES, rows)):
                x, y = left + side * i, top + 0.26
                axes.imshow(images[row], extent=(x, x + side - 0.06, y + side - 0.06, y))
    axes.set(xlim=(0, _WIDTH), ylim=(height, 0), aspect="equal")
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(figure, path)
    return path


def _save(figure, path):
    """Write a PNG for screens of double density, with 256 colours, which are enough."""
    from PIL import Image

    buffer = BytesIO()
    figure.savefig(buffer, dpi=200)
    Image.open(buffer).convert("RGB").quantize(256).save(path, optimize=True)


def _images(characters):
    """Return the pictures of some emojis."""
    found = load_emoji(images=True)
    at = {character: row for row, character in enumerate(found.emoji)}
    return found.images[[at[character] for character in characters]]


def _has_letters(text):
    """Return whether the default font has all letters of a text."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    return all(font.get_char_index(ord(letter)) for letter in text)
