"""Find emojis by text, and compare the methods on them: `python -m skcentrobind`."""

import argparse
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

from skcentrobind._demo.comparison import compare, queries_text, tables
from skcentrobind._demo.emojis import LANGUAGES, QUERIES, Finder, cached_finder
from skcentrobind._demo.figure import draw

_WIDTH = 96


@dataclass
class Demo:
    """Results of one run of the demo."""

    finder: Finder
    results: list
    text: dict
    picture: Path | None
    seconds: float


def main(argv=None):
    """Answer a query or run the demo, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m skcentrobind",
        description="With a query, show the emojis whose pictures it finds. Without, bind pictures "
        "of emojis and their names in three languages, answer queries, compare CentroBind with "
        "fixed anchors on unseen emojis, and draw what the queries find.",
    )
    parser.add_argument("query", nargs="*", help='such as "wild cat"')
    parser.add_argument(
        "--language", choices=LANGUAGES, help="of the query; by default the likeliest"
    )
    parser.add_argument(
        "--output-dir", type=Path, default=Path("skcentrobind-demo"), help="folder of the picture"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few emojis and one epoch, only to check that it runs"
    )
    options = parser.parse_args(argv)
    if options.query:
        answer(" ".join(options.query), options.language, options.quick)
    else:
        run(options.quick, options.output_dir)
    return 0


def answer(query, language=None, quick=False):
    """Print the emojis that a query finds.

    Parameters
    ----------
    query : str
        Free text.
    language : str, default=None
        Its language, None for the likeliest.
    quick : bool, default=False
        Whether to take few emojis and one epoch.
    """
    finder = cached_finder(quick, _Clock().say)
    language = finder.language_of(query) if language is None else language
    print("\n".join(queries_text(finder, [(language, query)])))


def run(quick, folder, cache=None):
    """Bind, answer the queries, compare the methods, and draw.

    Parameters
    ----------
    quick : bool
        Whether to take few emojis and one epoch.
    folder : Path
        Folder of the picture.
    cache : Path, default=None
        Folder of the fitted space; None for that of the user.

    Returns
    -------
    demo : Demo
        The results.
    """
    clock = _Clock()
    finder = cached_finder(quick, clock.say, cache)
    emojis = finder.emojis
    clock.say(f"bound {', '.join(finder.F.names)} of {len(emojis.seen)} emojis")
    text = {"queries": [*_about(finder, quick), "", *queries_text(finder, QUERIES)]}
    print("\n".join(text["queries"]), flush=True)
    results = compare(finder, quick, clock.say)
    text["tables"] = tables(results, len(emojis.unseen))
    print("\n" + "\n".join(text["tables"]))
    picture = draw(finder, QUERIES, folder / "emojis.png")
    if picture:
        print(f"\nPicture of the queries: {picture}")
    clock.say("done")
    return Demo(finder, results, text, picture, clock.seconds())


def _about(finder, quick):
    """Say what is bound, and how it is judged."""
    n_seen, n_unseen = len(finder.emojis.seen), len(finder.emojis.unseen)
    text = (
        f"Pictures of emojis (EfficientNet-Lite0) and their names in three languages (n-grams of "
        f"characters), the English ones with keywords. {n_seen} emojis to fit, {n_unseen} unseen, "
        "one split, default parameters, random_state=0. Fixed anchors share the features, the "
        "shrinkage and the start that CentroBind chose. Two to one: a picture and a Japanese name "
        "look for the English text, an English and a Japanese name for the picture. Zero-shot "
        "category: a logistic regression on one modality, tested on another, mean of all pairs."
    )
    quick = " QUICK RUN: few emojis, one epoch, so the numbers mean nothing." if quick else ""
    return textwrap.wrap(text + quick, _WIDTH)


class _Clock:
    """Progress lines with the seconds since the start."""

    def __init__(self):
        self.start = time.perf_counter()

    def seconds(self):
        return time.perf_counter() - self.start

    def say(self, message):
        print(f"[{self.seconds():5.1f} s] {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
