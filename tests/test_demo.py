"""The demo: answers, the cache, tables that hold what was measured, and the picture."""

import builtins
import re
from pathlib import Path

import numpy as np
import pytest

from skcentrobind import __main__ as command
from skcentrobind._demo import comparison, emojis, figure
from skcentrobind.metrics import recall_at_k

LANGUAGES = tuple(emojis.LANGUAGES)


class Stub:
    """A Finder that fits nothing."""

    def __init__(self, data, **parameters):
        self.__dict__.update(parameters)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def finder(cache):
    return emojis.cached_finder(quick=True, folder=cache)


@pytest.fixture(scope="module")
def results(finder):
    return comparison.compare(finder, True, lambda message: None)


def test_the_command(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(command, "run", lambda *options: calls.append(options))
    monkeypatch.setattr(command, "answer", lambda *options: calls.append(options))
    assert command.main(["--quick", "--output-dir", str(tmp_path)]) == 0
    assert command.main([]) == 0
    assert command.main(["wild", "cat"]) == 0
    assert command.main(["--language", "japanese", "猫"]) == 0
    assert calls == [
        (True, tmp_path),
        (False, Path("skcentrobind-demo")),
        ("wild cat", None, False),
        ("猫", "japanese", False),
    ]


def test_split_leaves_emojis_out_of_every_fit(finder):
    whole = emojis.load()
    assert (len(whole.seen), len(whole.unseen)) == (1185, 400)
    assert not set(whole.seen) & set(whole.unseen)
    np.testing.assert_array_equal(emojis.load().unseen, whole.unseen)
    # A fit on the seen ones alone gives the same encoders.
    again = emojis.Finder(finder.emojis, max_epochs=1)
    np.testing.assert_array_equal(again.gallery, finder.gallery)
    own = finder.emojis
    blind = emojis.Emojis(
        own.X[own.seen], own.y, own.category_names, own.characters, np.arange(len(own.seen)), None
    )
    few = emojis.Finder(blind, max_epochs=1)
    np.testing.assert_allclose(few.gallery, finder.gallery[own.seen], atol=1e-5)


def test_find_is_the_nearest_pictures(finder):
    rows = finder.find("cat", "english", 5)
    text = finder.features.named_transformers_["english"].transform(["cat"])
    query = finder.bind.transform_modality(text, "english")[0]
    similarity = finder.gallery @ query
    assert list(rows) == sorted(range(len(similarity)), key=lambda row: -similarity[row])[:5]
    among = finder.find("cat", "english", 3, finder.emojis.unseen)
    assert set(among) <= set(finder.emojis.unseen)
    assert similarity[among].min() >= np.sort(similarity[finder.emojis.unseen])[-3]


def test_a_name_finds_its_own_picture(finder):
    seen = finder.emojis.seen
    for language in LANGUAGES:
        names = finder.emojis.X[language][seen]
        found = [
            row in finder.find(name, language, 10) for row, name in zip(seen, names, strict=True)
        ]
        assert np.mean(found) > 0.8


@pytest.mark.parametrize(
    ("text", "language"),
    [("smiling face", "english"), ("cara de gato", "spanish"), ("花", "japanese")],
)
def test_language_of(finder, text, language):
    assert finder.language_of(text) == language


def test_the_fitted_space_is_kept(finder, cache, monkeypatch):
    files = list(cache.iterdir())
    assert len(files) == 1 and files[0].suffix == ".joblib"
    said = []
    monkeypatch.setattr(emojis.Finder, "__init__", None)  # a fit would fail
    again = emojis.cached_finder(True, said.append, cache)
    assert not said
    np.testing.assert_array_equal(again.gallery, finder.gallery)


def test_a_damaged_file_is_replaced(finder, tmp_path, monkeypatch):
    monkeypatch.setattr(emojis, "Finder", Stub)
    emojis.cached_finder(True, folder=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"not a file of joblib")
    said = []
    emojis.cached_finder(True, said.append, tmp_path)
    assert said and path.stat().st_size != len(b"not a file of joblib")


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(emojis, "Finder", Stub)
    (tmp_path / "file").write_text("")
    found = emojis.cached_finder(True, folder=tmp_path / "file" / "below")
    assert found.max_epochs == 1


def test_cache_folder_follows_the_user(monkeypatch, tmp_path):
    monkeypatch.setattr(emojis.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert emojis.cache_folder() == tmp_path / "skcentrobind"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert emojis.cache_folder() == Path.home() / ".cache" / "skcentrobind"


def test_answer_prints_all_and_unseen(finder, cache, monkeypatch, capsys):
    monkeypatch.setattr(emojis, "cache_folder", lambda: cache)
    command.answer("face", quick=True)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("face (english)  all ")
    characters = second.split("unseen")[1].split()
    assert set(characters) <= set(finder.emojis.characters[finder.emojis.unseen])


def test_all_anchors_are_compared_from_one_start(results, finder):
    names = [result.method for result in results]
    assert names[:2] == [comparison.CENTROBIND, comparison.START]
    pairs = {(m, t) for m in finder.F.names for t in ("frozen", "learning along")}
    assert {tuple(n.removeprefix("fixed anchor ").split(", ")) for n in names[2:]} == pairs


def test_figures_are_those_of_the_metrics(results, finder):
    Z = finder.bind.transform_modalities(finder.F[finder.emojis.unseen])
    result = results[0]
    for (a, b), (first, tenth) in result.pairs.items():
        assert first == pytest.approx(recall_at_k(Z[a], Z[b], k=1))
        assert tenth == pytest.approx(recall_at_k(Z[a], Z[b], k=10))
    mean = np.mean([first for first, _ in result.pairs.values()])
    assert result.mean[0] == pytest.approx(mean)
    (names, gallery), (first, _) = next(iter(result.several.items()))
    query = sum(Z[name] for name in names)
    assert first == pytest.approx(recall_at_k(query, Z[gallery], k=1))


def test_tables_say_first_who_is_ahead(results):
    lines = comparison.tables(results, 100)
    first = " ".join(lines[: lines.index("")])
    ours = results[0].mean[0]
    ahead = [r for r in results[1:] if r.mean[0] > ours]
    if ahead:
        assert first.startswith("Ahead of CentroBind")
        assert all(r.method in first for r in ahead)
    one = comparison.Result(
        "other", (2.0, 2.0), *[getattr(results[0], n) for n in ("pairs", "several", "transfer")]
    )
    assert "other" in comparison.tables([results[0], one], 100)[0]
    one.mean = (0.0, 0.0)
    assert comparison.tables([results[0], one], 100)[0].startswith("Best of the others")
    shown = [float(line.split(" .")[1].split()[0]) for line in lines[lines.index("") + 3 : -1]]
    assert shown == sorted(shown, reverse=True) and len(shown) == len(results)
    assert max(map(len, lines)) <= 110


def test_picture(finder, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    from matplotlib.image import imread

    path = figure.draw(finder, [("english", "cat"), ("japanese", "花")], tmp_path / "new" / "p.png")
    pixels = imread(path)
    assert pixels.shape[1] == 1400  # 700 pixels on a screen of double density
    assert np.ptp(pixels[..., 0]) > 0.9
    # Letters that the font lacks: their query is left out.
    one = imread(figure.draw(finder, [("english", "cat")], tmp_path / "one.png"))
    assert pixels.shape == one.shape


def test_without_matplotlib_it_says_so_and_continues(finder, tmp_path, capsys, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert figure.draw(finder, emojis.QUERIES, tmp_path / "none.png") is None
    assert "skcentrobind[plot]" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_run(cache, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    demo = command.run(True, tmp_path, cache)
    out, err = capsys.readouterr()
    for part in demo.text.values():
        assert "\n".join(part) in out
    assert "QUICK RUN" in out
    for _, query in emojis.QUERIES:
        assert query in out
    assert all(re.match(r"\[ *\d+\.\d s\] ", line) for line in err.splitlines())
    assert demo.picture == tmp_path / "emojis.png" and demo.picture.exists()
