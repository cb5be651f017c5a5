"""Bind pictures of emojis and their names in three languages, and answer queries in free text."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import VarianceThreshold
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skcentrobind._data.modalities import Modalities
from skcentrobind._data.per_modality import PerModality
from skcentrobind._estimators.centrobind import CentroBindTransformer
from skcentrobind._public import __version__
from skcentrobind.datasets import load_emoji

PICTURE = "picture"
#: Modality -> the language of its names. The English texts hold the keywords, too.
LANGUAGES = {"english": "en", "spanish": "es", "japanese": "ja"}

#: Queries of the demo, fixed before the space was fitted.
QUERIES = (
    ("english", "wild cat"),
    ("english", "sport with a ball"),
    ("english", "rain"),
    ("english", "fruit"),
    ("english", "happy face"),
    ("english", "food"),
    ("spanish", "música"),
    ("japanese", "花"),
)

_N_UNSEEN, _N_QUICK, _N_SVD = 400, 400, 300


@dataclass
class Emojis:
    """Raw modalities of emojis, some of which take no part in any fit.

    Attributes
    ----------
    X : Modalities
        Features of the pictures, and texts.
    y : ndarray of shape (n_emojis,)
        Categories.
    category_names : ndarray of str
        Their names.
    characters : ndarray of str of shape (n_emojis,)
        The emojis.
    seen, unseen : ndarray of int
        Rows to fit on, and the others.
    """

    X: Modalities
    y: np.ndarray
    category_names: np.ndarray
    characters: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray


def load(quick=False, seed=0):
    """Load the emojis, 400 of them unseen; a quick run takes 400 of all."""
    found = load_emoji()
    texts = {name: found.data[code] for name, code in LANGUAGES.items()}
    names, keywords = texts["english"], found.data["keywords"]
    texts["english"] = np.array(
        [
            name if name == own else f"{name}, {own}"
            for name, own in zip(names, keywords, strict=True)
        ]
    )
    X = Modalities({PICTURE: found.data[PICTURE], **texts})
    rows = np.arange(len(X))
    if quick:
        rows = np.sort(np.random.RandomState(seed).choice(rows, _N_QUICK, replace=False))
    X, characters = X[rows], found.emoji[rows]
    n_unseen = _N_UNSEEN if len(rows) > 2 * _N_UNSEEN else len(rows) // 4
    seen, unseen = train_test_split(np.arange(len(X)), test_size=n_unseen, random_state=seed)
    return Emojis(X, found.target[rows], found.target_names, characters, seen, unseen)


def features(n_svd=_N_SVD):
    """Return the steps before binding: pictures have features, texts get those of their n-grams."""
    ngrams = make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True),
        TruncatedSVD(n_svd, random_state=0),
    )
    # Some features of the network never occur in pictures as plain as these.
    return PerModality({PICTURE: VarianceThreshold(), **dict.fromkeys(LANGUAGES, ngrams)})


class Finder:
    """Find pictures of emojis by free text.

    Parameters
    ----------
    emojis : Emojis
        The data; only the rows that are seen are fitted on.
    **parameters
        Those of `CentroBindTransformer`.

    Attributes
    ----------
    features : PerModality
        Fitted.
    bind : CentroBindTransformer
        Fitted.
    F : Modalities
        Features of all emojis.
    gallery : ndarray of shape (n_emojis, n_components)
        Embeddings of all pictures.
    """

    def __init__(self, emojis, **parameters):
        self.emojis = emojis
        n_svd = min(_N_SVD, len(emojis.seen) // 4)
        self.features = features(n_svd).fit(emojis.X[emojis.seen])
        self.F = self.features.transform(emojis.X)
        parameters = {"random_state": 0, **parameters}
        self.bind = CentroBindTransformer(**parameters).fit(self.F[emojis.seen])
        self.gallery = self.bind.transform_modality(self.F[PICTURE], PICTURE)

    def language_of(self, text):
        """Return the language that knows most of a text's n-grams, by their length."""
        known = {}
        for name in LANGUAGES:
            words = self.features.named_transformers_[name][0]
            ngrams = words.build_analyzer()(text)
            own = sum(len(ngram) for ngram in ngrams if ngram in words.vocabulary_)
            known[name] = own / max(1, sum(map(len, ngrams)))
        return max(known, key=known.get)

    def find(self, text, language=None, k=8, rows=None):
        """Return the rows of the k pictures that are nearest to a text, the nearest first.

        Parameters
        ----------
        text : str
            The query.
        language : str, default=None
            Modality whose encoder reads it; None takes `language_of` it.
        k : int, default=8
            Number of pictures.
        rows : ndarray of int, default=None
            Emojis to search; None for all.
        """
        language = self.language_of(text) if language is None else language
        row = self.features.named_transformers_[language].transform([text])
        query = self.bind.transform_modality(row, language)[0]
        rows = np.arange(len(self.gallery)) if rows is None else rows
        return rows[np.argsort(-(self.gallery[rows] @ query), kind="stable")[:k]]

    def show(self, rows):
        """Return the emojis of rows in one line."""
        return " ".join(self.emojis.characters[rows])


def cache_folder():
    """Return the folder of this user's cached files."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "skcentrobind"


def cached_finder(quick=False, say=lambda message: None, folder=None):
    """Return the Finder of the demo, from the cache or fitted.

    Parameters
    ----------
    quick : bool, default=False
        Whether to take few emojis and one epoch.
    say : callable, default=None
        Called with a message if it is fitted.
    folder : Path, default=None
        Where it is kept; None for `cache_folder`.

    Returns
    -------
    finder : Finder
        Its numbers depend on the releases below, which its file is named after.
    """
    libraries = ("torch", "scikit-learn", "numpy", "scipy")
    parts = [__version__, platform.python_version(), *map(version, libraries)]
    kind = "quick" if quick else "emojis"
    path = (folder or cache_folder()) / f"{kind}-{'-'.join(parts)}.joblib"
    try:
        found = joblib.load(path)
        if isinstance(found, Finder):
            return found
    except Exception:  # whatever is wrong with the file, fitting again mends it
        pass
    say("fitting pictures and names of emojis")
    finder = Finder(load(quick), **({"max_epochs": 1} if quick else {}))
    _keep(finder, path)
    return finder


def _keep(finder, path):
    """Write a file as a whole; a folder that cannot be written to is no reason to fail."""
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump(finder, part, compress=1)
        os.replace(part, path)
    except OSError:
        with suppress(OSError):
            part.unlink()
