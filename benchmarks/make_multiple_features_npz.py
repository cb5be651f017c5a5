"""Pack the Multiple Features data from a folder of CSV files into the file the package ships.

The folder holds mfeat-fou.csv.gz and its like: one header line, one line per digit, the class last.
Each number is kept as a decimal integer and its number of decimal places, the integers as separate
byte planes, which compress best. The result is compared with the CSV files, bit by bit, before the
script ends.

    python benchmarks/make_multiple_features_npz.py FOLDER
"""

import argparse
import csv
import gzip
import hashlib
from decimal import Decimal
from pathlib import Path

import numpy as np

import skcentrobind
from skcentrobind.datasets import load_multiple_features

NAMES = ("fou", "fac", "kar", "pix", "zer", "mor")
TARGET = Path(skcentrobind.__file__).parent / "datasets" / "data" / "multiple_features.npz"


def read(path):
    """Return the numbers of one CSV file as text, and the class of each row."""
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [row[:-1] for row in rows], np.array([int(row[-1]) for row in rows], dtype=np.uint8)


def encode(texts):
    """Split decimal numbers into byte planes of their digits and their number of decimal places."""
    numbers = [[Decimal(text) for text in row] for row in texts]
    places = np.array([[max(0, -_exponent(x)) for x in row] for row in numbers], dtype=np.uint8)
    digits = np.array(
        [
            [int(x.scaleb(int(p))) for x, p in zip(row, ps, strict=True)]
            for row, ps in zip(numbers, places, strict=True)
        ]
    )
    n_bytes = next(n for n in (1, 2, 4) if np.abs(digits).max() < 2 ** (8 * n - 1))
    planes = digits.astype(f"<i{n_bytes}")[..., None].view(np.uint8)
    if not places.any():
        places = np.uint8(0)
    return np.moveaxis(planes, -1, 0), places


def _exponent(number):
    return number.normalize().as_tuple().exponent


def digest(arrays):
    """Return the SHA-256 of the float64 bytes of the feature sets, one after the other."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return total.hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder

    source, stored = {}, {}
    for name in NAMES:
        texts, target = read(folder / f"mfeat-{name}.csv.gz")
        source[name] = np.array(texts, dtype=np.float64)
        stored[f"{name}_digits"], stored[f"{name}_places"] = encode(texts)
        if not np.array_equal(stored.setdefault("target", target), target):
            raise ValueError(f"the classes in mfeat-{name}.csv.gz differ from those of the others")
    stored["sha256"] = np.array(digest(source.values()))

    TARGET.parent.mkdir(exist_ok=True)
    np.savez_compressed(TARGET, **stored)

    X, y = load_multiple_features(return_X_y=True)
    for name in NAMES:
        if X[name].tobytes() != source[name].tobytes():
            raise ValueError(f"the packed {name} is not what the CSV file says")
    if not np.array_equal(y, stored["target"]):
        raise ValueError("the packed classes are not what the CSV files say")
    print(f"wrote {TARGET.name}: {TARGET.stat().st_size} bytes, equal to the CSV files")


if __name__ == "__main__":
    main()
