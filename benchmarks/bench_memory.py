"""How much memory does fit take if the data exceed it: sparse rows and memory maps?

Each case runs in its own process. Counted is the anonymous memory of the process (RssAnon): pages
of a file that were read stay in the system's cache as long as there is room.
"""

import json
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from _common import NAMED, RESULTS, median, own_memory, parser, run_apart, store
from scipy import sparse
from sklearn.base import clone

#: samples, columns, entries per row
SPARSE = [(100_000, 50_000, 50), (10_000, 50_000, 50)]
#: samples, columns of each of the two modalities
MAPPED = [(2_500_000, 1000), (250_000, 1000)]
SMOKE = {"sparse": [(600, 500, 5)], "mapped": [(600, 10)]}


def sparse_modalities(n_samples, width, n_entries):
    """Draw words of documents by one of 20 topics, and the topics with noise."""
    rng = np.random.default_rng(0)
    topic = rng.integers(20, size=n_samples)
    # A topic's words follow a power law over its own order of the vocabulary.
    rank = (width * rng.random((n_samples, n_entries)) ** 3).astype(np.int64)
    words = (rank * (2 * topic[:, None] + 3) + 7 * topic[:, None]) % width
    offsets = np.arange(n_samples + 1) * n_entries
    values = np.full(words.size, n_entries**-0.5, dtype=np.float32)
    text = sparse.csr_array((values, words.ravel(), offsets), shape=(n_samples, width))
    text.sum_duplicates()
    table = np.eye(20, dtype=np.float32)[topic]
    return {"text": text, "table": table + 0.1 * rng.standard_normal(table.shape, np.float32)}


def mapped_modalities(n_samples, width, folder):
    """Write two modalities of the same latent points to files, in pieces."""
    rng = np.random.default_rng(0)
    shape = n_samples, width
    files = [
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, shape) for name in "ab"
    ]
    weights = rng.standard_normal((2, 8, width), dtype=np.float32)
    noise = rng.standard_normal((4096, width), dtype=np.float32)
    for start in range(0, n_samples, 4096):
        rows = slice(start, min(start + 4096, n_samples))
        latent = rng.standard_normal((rows.stop - start, 8), dtype=np.float32)
        for file, weight in zip(files, weights, strict=True):
            # The same noise in every piece, in another order: drawing it would take most time.
            file[rows] = latent @ weight + rng.permutation(noise)[: len(latent)]
    for file in files:
        file.flush()
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in "ab"}


class Peak:
    """Largest memory of this process inside the block, above what it had before."""

    def __enter__(self):
        self.before = self.largest = own_memory("RssAnon")
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self):
        while not self.done.wait(0.005):
            self.largest = max(self.largest, own_memory("RssAnon"))

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.added_MB = (self.largest - self.before) / 1e6


def child(kind, size, folder):
    """Run one case and return seconds and bytes."""
    from skcentrobind import CentroBindTransformer

    if kind == "sparse":
        X = sparse_modalities(*size)
        stored = sum(getattr(X["text"], a).nbytes for a in ("data", "indices", "indptr"))
        dense = 4 * X["text"].shape[0] * X["text"].shape[1]
    else:
        X = mapped_modalities(*size, Path(folder))
        stored = dense = sum(x.nbytes for x in X.values())
    n_samples = size[0]
    bind = CentroBindTransformer(
        n_components=32, batch_size=min(1024, n_samples), max_epochs=1, random_state=0, **NAMED
    )
    if kind == "mapped":
        bind.set_params(encoder="linear")
    # Load what is loaded on first use, on so few columns that no memory is left for reuse.
    clone(bind).fit({name: x[:512, :20] for name, x in X.items()})
    out = np.lib.format.open_memmap(Path(folder) / "z.npy", "w+", np.float32, (n_samples, 64))
    result = {"stored_MB": stored / 1e6, "dense_MB": dense / 1e6}
    for step, run in {
        "fit": lambda: bind.fit(X),
        "transform": lambda: bind.transform(X, out),
    }.items():
        start = time.perf_counter()
        with Peak() as peak:
            run()
        result[step] = {"seconds": time.perf_counter() - start, "added_MB": peak.added_MB}
    result["parameters_MB"] = 4e-6 * sum(p.numel() for p in bind.net_.module_.parameters())
    # The score among 1,000 samples shows that something was learned.
    result["score_of_1000"] = bind.score({name: x[:1000] for name, x in X.items()})
    return result


def measure(kind, size, apart):
    """Run `child`, in its own process if `apart`."""
    with tempfile.TemporaryDirectory() as folder:
        if not apart:
            return child(kind, size, folder)
        return run_apart(__file__, "--child", json.dumps([kind, size, folder]))


def main():
    options = parser(__doc__)
    options.add_argument("--child", help="for internal use")
    options.add_argument("--only", choices=["sparse", "mapped"], help="the other kind stays stored")
    options = options.parse_args()
    if options.child:
        print(json.dumps(child(*json.loads(options.child))))
        return
    repeats = options.repeats or 1  # the mapped case writes and reads 20 GB
    rows = []
    print(
        "kind     samples   columns   stored MB   dense MB   weights MB   fit: added MB, s   ",
        end="",
    )
    print("transform: added MB, s   score")
    for kind, sizes in (SMOKE if options.smoke else {"sparse": SPARSE, "mapped": MAPPED}).items():
        for size in sizes if options.only in (None, kind) else ():
            runs = [measure(kind, size, not options.smoke) for _ in range(repeats)]
            row = {"kind": kind, "n_samples": size[0], "width": size[1]}
            for key in ("stored_MB", "dense_MB", "parameters_MB", "score_of_1000"):
                row[key] = median([run[key] for run in runs])
            for step in ("fit", "transform"):
                for key in ("added_MB", "seconds"):
                    row[f"{step}_{key}"] = median([run[step][key] for run in runs])
            rows.append(row)
            print(
                f"{kind:6s} {size[0]:9d} {size[1]:9d} {row['stored_MB']:11.0f} "
                f"{row['dense_MB']:10.0f} {row['parameters_MB']:12.1f} "
                f"{row['fit_added_MB']:10.0f} {row['fit_seconds']:7.1f} "
                f"{row['transform_added_MB']:16.0f} {row['transform_seconds']:7.1f} "
                f"{row['score_of_1000']:8.3f}"
            )
    if not options.smoke:
        stored = RESULTS / "bench_memory.json"
        if options.only and stored.exists():
            others = json.loads(stored.read_text())["rows"]
            rows += [row for row in others if row["kind"] != options.only]
        order = list(SMOKE)
        store("bench_memory", {"rows": sorted(rows, key=lambda row: order.index(row["kind"]))})


if __name__ == "__main__":
    main()
