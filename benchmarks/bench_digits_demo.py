"""How good are the embeddings of six feature sets of digits, beside those of every fixed anchor?

Three tables and pictures of the spaces, stored for the README and the documentation.
"""

import tempfile
from pathlib import Path

import numpy as np
from _common import RESULTS, digest, environment, parser, to_json
from _digits import run


def as_dict(demo):
    """Return everything that was measured, ready for `json.dumps`."""
    return {
        "environment": environment(),
        "quick": demo.split.quick,
        "n_train": len(demo.split.X_train),
        "n_test": len(demo.split.X_test),
        "modalities": list(demo.split.names),
        "seconds": round(demo.seconds, 1),
        "methods": {result.method: _as_dict(result) for result in demo.results},
        "text": {part: lines.splitlines() for part, lines in demo.text.items()},
        "pictures": {file.name: digest(file) for file in demo.files},
    }


def _as_dict(result):
    stored = {"note": result.note, "probe": _rounded(result.probe)}
    if result.recall:
        stored["fit_seconds"] = round(result.seconds, 2)
        stored["recall"] = {str(k): _rounded(matrix) for k, matrix in result.recall.items()}
        stored["transfer"] = _rounded(result.transfer)
    return stored


def _rounded(values):
    """Return nested lists of numbers with four decimals, and None where there is none."""
    values = np.round(values, 4)
    return np.where(np.isnan(values), None, values).tolist()


def main():
    options = parser(__doc__)
    options.add_argument(
        "--output-dir", type=Path, default=Path("skcentrobind-demo"), help="folder of the pictures"
    )
    options = options.parse_args()
    if options.smoke:
        with tempfile.TemporaryDirectory() as folder:
            to_json(as_dict(run(True, Path(folder))))
        return
    path = RESULTS / "digits_demo.json"
    path.write_text(to_json(as_dict(run(False, options.output_dir))))
    print(f"Stored in {path.relative_to(RESULTS.parent.parent)}")


if __name__ == "__main__":
    main()
