"""What does `python -m skcentrobind` print? Answers, tables and a picture, for README and docs."""

import tempfile
from dataclasses import asdict
from pathlib import Path

from _common import RESULTS, digest, environment, parser, to_json

from skcentrobind.__main__ import run


def as_dict(demo):
    """Return everything that was measured, ready for `json.dumps`."""
    emojis = demo.finder.emojis
    return {
        "environment": environment(),
        "n_seen": len(emojis.seen),
        "n_unseen": len(emojis.unseen),
        "modalities": list(demo.finder.F.names),
        "seconds": round(demo.seconds, 1),
        "methods": [_flat(asdict(result)) for result in demo.results],
        "text": demo.text,
        "pictures": {demo.picture.name: digest(demo.picture)} if demo.picture else {},
    }


def _flat(value):
    """Return the same with keys that are text, and numbers with four decimals."""
    if isinstance(value, dict):
        return {_name(key): _flat(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_flat(entry) for entry in value]
    return value if isinstance(value, str) else round(float(value), 4)


def _name(key):
    if isinstance(key, str):
        return key
    query, gallery = key
    return f"{query if isinstance(query, str) else ' + '.join(query)} -> {gallery}"


def main():
    options = parser(__doc__)
    options.add_argument(
        "--output-dir", type=Path, default=Path("skcentrobind-demo"), help="folder of the picture"
    )
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Its own cache, so that the seconds are those of a first run.
        pictures = Path(folder) if options.smoke else options.output_dir
        demo = run(options.smoke, pictures, Path(folder))
        stored = to_json(as_dict(demo))
    if not options.smoke:
        path = RESULTS / "demo.json"
        path.write_text(stored, encoding="utf-8")
        print(f"Stored in {path.relative_to(RESULTS.parent.parent)}")


if __name__ == "__main__":
    main()
