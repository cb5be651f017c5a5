"""The shipped emojis: rows that belong together, texts without gaps, pictures that are drawn."""

import subprocess
import sys
import unicodedata
from importlib.resources import files

import numpy as np
import pytest

from skcentrobind._data.modalities import Modalities
from skcentrobind.datasets import load_emoji

LANGUAGES = ("en", "de", "es", "fr", "ja", "ar", "hi", "fi", "tr", "ru", "ko")
#: Name of the letters that most names of a language are written in.
SCRIPTS = {"ja": "HIRAGANA|KATAKANA|CJK", "ar": "ARABIC", "hi": "DEVANAGARI", "ru": "CYRILLIC"}
SCRIPTS |= {"ko": "HANGUL", "en": "LATIN", "de": "LATIN", "fi": "LATIN", "tr": "LATIN"}


@pytest.fixture(scope="module")
def emoji():
    return load_emoji()


def row_of(emoji, name):
    return list(emoji.data["en"]).index(name)


def test_emoji_bunch(emoji):
    names = {"target", "target_names", "subcategory", "subcategory_names"}
    assert set(emoji) == {"data", "emoji", "DESCR", *names}
    assert isinstance(emoji.data, Modalities)
    assert emoji.data.names == ("picture", *LANGUAGES, "keywords")
    assert emoji.data["picture"].shape == (1585, 1280)
    assert emoji.data["picture"].dtype == np.float32
    assert len(set(emoji.emoji)) == len(emoji.emoji) == 1585


def test_every_text_is_there_and_of_its_language(emoji):
    for language in (*LANGUAGES, "keywords"):
        texts = emoji.data[language]
        assert all(text and text == text.strip() and "\n" not in text for text in texts)
    for language, script in SCRIPTS.items():
        letters = [c for text in emoji.data[language] for c in text if c.isalpha()]
        own = [any(s in unicodedata.name(c, "") for s in script.split("|")) for c in letters]
        assert np.mean(own) > 0.9


def test_names_are_unique_and_no_keyword_repeats_its_name(emoji):
    for language in LANGUAGES:
        assert len(set(emoji.data[language])) == 1585
    alone = 0
    for name, keywords in zip(emoji.data["en"], emoji.data["keywords"], strict=True):
        words = [word.lower() for word in keywords.split(", ")]
        alone += words == [name.lower()]
        assert len(words) == 1 or name.lower() not in words
    assert alone < 20  # where there is no other


@pytest.mark.parametrize(
    ("name", "character", "german", "spanish", "category"),
    [
        ("cat face", "🐱", "Katzengesicht", "cara de gato", "Animals & Nature"),
        ("red apple", "🍎", "roter Apfel", "manzana roja", "Food & Drink"),
        ("soccer ball", "⚽", "Fußball", "balón de fútbol", "Activities"),
    ],
)
def test_rows_belong_together(emoji, name, character, german, spanish, category):
    row = row_of(emoji, name)
    assert emoji.emoji[row] == character
    assert (emoji.data["de"][row], emoji.data["es"][row]) == (german, spanish)
    assert emoji.target_names[emoji.target[row]] == category


def test_categories(emoji):
    assert (np.diff(emoji.target) >= 0).all()  # sorted, as the docstring says
    assert set(emoji.target) == set(range(10)) and len(emoji.target_names) == 10
    assert set(emoji.subcategory) == set(range(97)) and len(emoji.subcategory_names) == 97
    for code in range(97):
        assert len(set(emoji.target[emoji.subcategory == code])) == 1


def test_features_describe_the_picture(emoji):
    unit = emoji.data["picture"] / np.linalg.norm(emoji.data["picture"], axis=1, keepdims=True)
    cosines = unit @ unit.T
    same = emoji.subcategory[:, None] == emoji.subcategory
    np.fill_diagonal(cosines, np.nan)
    assert np.nanmean(cosines[same]) > np.nanmean(cosines[~same]) + 0.1
    # The next picture to a clock is another clock.
    row = row_of(emoji, "three o\N{RIGHT SINGLE QUOTATION MARK}clock")
    assert "clock" in emoji.data["en"][np.nanargmax(cosines[row])]


def test_pictures(emoji):
    pytest.importorskip("PIL", reason="the extra `plot` is not installed")
    images = load_emoji(images=True).images
    assert images.shape == (1585, 64, 64, 4) and images.dtype == np.uint8
    assert images[..., 3].max(axis=(1, 2)).min() > 128  # none is blank
    assert len({image.tobytes() for image in images}) == 1585
    pixels = images[row_of(emoji, "red circle")]
    colour = pixels[32, 32].astype(int)
    assert colour[3] == 255 and colour[0] > colour[1] + 80 and colour[0] > colour[2] + 80
    assert pixels[0, 0, 3] < 50  # round, so its corners are clear


def test_pictures_need_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"needs pillow.*skcentrobind\[plot\]"):
        load_emoji(images=True)
    assert "images" not in load_emoji()


def test_return_X_y(emoji):
    X, y = load_emoji(return_X_y=True)
    assert X.names == emoji.data.names
    np.testing.assert_array_equal(y, emoji.target)


def test_licences_and_sources_are_shipped():
    folder = files("skcentrobind.datasets") / "data" / "emoji"
    text = load_emoji().DESCR
    for licence, start in (
        ("Apache-2.0", "Apache License"),
        ("Unicode-3.0", "UNICODE LICENSE V3"),
        ("MIT", "The MIT License"),
    ):
        name = f"LICENSE-{licence}.txt"
        assert name in text
        assert start in (folder / name).read_text(encoding="utf-8")[:200]
    sizes = [len(path.read_bytes()) for path in folder.iterdir()]
    assert sum(sizes) < 6e6


def test_loading_does_not_import_torch():
    code = (
        "import sys\n"
        "from skcentrobind import datasets\n"
        "datasets.load_emoji()\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
