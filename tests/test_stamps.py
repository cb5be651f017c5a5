"""Reading the stamps: which objects are taken, how sound is cut, and that no feature is lost."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def reader(monkeypatch, tmp_path):
    """The module, with a cache folder of its own."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "_stamps", raising=False)
    import _stamps

    monkeypatch.setattr(_stamps, "cache_folder", lambda: tmp_path / "cache")
    return _stamps


def put(reader, folder, name, text="A cat.", voices=True, suffix=".png"):
    stem = folder / name
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(suffix).touch()
    if text:
        stem.with_suffix(".txt").write_text(text, encoding="utf-8")
    for language in reader.SPOKEN if voices else ():
        stem.with_name(f"{stem.name}_desc_{language}.ogg").touch()


def test_objects_that_are_taken(reader, tmp_path):
    below = tmp_path / reader.BELOW
    put(reader, below, "animals/pets/cat", "A cat.\nes.utf8=Un gato.\nde.utf8=\nfr.utf8=Un chat. ")
    put(reader, below, "animals/pets/cat2", "a CAT.")  # a repeated sentence
    put(reader, below, "symbols/alphabets/a", "A letter.")
    put(reader, below, "food/mute", "A mute apple.", voices=False)
    put(reader, below, "food/bare", None)
    put(reader, below, "food/pear", "A pear.", suffix=".svg")
    (below / "food/pear.png").touch()  # an SVG is preferred
    (below / "food/pear.ogg").touch()
    folder = reader.folder_of(tmp_path)
    assert folder == below and reader.folder_of(below) == below
    cat, pear = reader.stamps(folder)
    assert (cat.category, cat.subcategory) == ("animals", "animals/pets")
    assert cat.sentences == {"en": "A cat.", "es": "Un gato.", "fr": "Un chat."}
    assert set(cat.speech) == set(reader.SPOKEN) and cat.sound is None
    assert (pear.category, pear.subcategory) == ("food", "food")
    assert pear.picture.suffix == ".svg" and pear.sound == below / "food/pear.ogg"


def test_a_folder_without_stamps_is_refused(reader, tmp_path):
    with pytest.raises(SystemExit, match="holds no stamps"):
        reader.folder_of(tmp_path)


def test_without_apt_the_file_is_asked_for(reader, monkeypatch):
    monkeypatch.setattr(reader.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="--stamps FILE"):
        reader.folder_of()


def test_features_are_computed_once(reader, monkeypatch):
    calls = []

    def speech(objects, language):
        calls.append(language)
        return np.arange(len(objects), dtype=float)[:, None]

    monkeypatch.setattr(reader, "speech", speech)
    objects = [None] * 3
    for _ in range(2):
        np.testing.assert_array_equal(reader.features(objects, "speech es"), [[0], [1], [2]])
    assert calls == ["es"]
    assert len(reader.features([None] * 4, "speech es")) == 4  # another selection of objects
    names = [path.name for path in (reader.cache_folder() / "stamps").iterdir()]
    assert names == ["speech_es.npy"]


@pytest.mark.parametrize("hertz", [200, 1000, 4000])
def test_a_tone_is_loudest_in_its_band(reader, hertz):
    time = np.arange(reader.RATE) / reader.RATE
    bands = reader._spectrogram(np.sin(2 * np.pi * hertz * time))
    assert bands.shape == (reader.BANDS, 100 * reader.SECONDS) and bands.dtype == np.float32
    filters = reader._mel_filters()
    at = np.linspace(0, reader.RATE / 2, filters.shape[1])
    centres = at[filters.argmax(axis=1)]
    assert abs(centres[bands[:, 50].argmax()] - hertz) < 0.06 * hertz + 40
    assert (bands[:, 150:] <= bands[:, :90].max() - 1.9).all()  # silence after a second


def test_mel_filters_are_even_areas(reader):
    filters = reader._mel_filters()
    step = reader.RATE / reader.WINDOW
    assert (filters >= 0).all()
    # Triangles of width w and height 2 / w; narrow ones are sampled too coarsely to tell.
    wide = (filters > 0).sum(axis=1) >= 8
    assert wide.any()
    np.testing.assert_allclose(filters[wide].sum(axis=1) * step, 1, atol=0.05)
