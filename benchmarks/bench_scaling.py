"""Does the cost of fit grow linearly with the samples, and how much memory does it take?

Each size runs in its own process. Memory is what fit adds at its peak to the process that
already holds the data, as a multiple of the data.
"""

import json
import time

import numpy as np
from _common import NAMED, median, own_memory, parser, run_apart, store


def child(n_samples, n_features, dtype, epochs):
    """Fit once and return seconds and bytes."""
    from skcentrobind import CentroBindTransformer, Modalities

    rng = np.random.default_rng(0)
    latent = rng.standard_normal((n_samples, 8), dtype=np.float32)
    arrays = []
    for _ in range(3):
        x = np.empty((n_samples, n_features), dtype=dtype)
        weight = rng.standard_normal((8, n_features), dtype=np.float32)
        for start in range(0, n_samples, 4096):
            rows = slice(start, start + 4096)
            noise = rng.standard_normal((len(latent[rows]), n_features), dtype=np.float32)
            x[rows] = latent[rows] @ weight + noise
        arrays.append(x)
    X = Modalities(arrays)
    bind = CentroBindTransformer(
        max_epochs=epochs, hidden_layer_sizes=(64,), random_state=0, **NAMED
    )
    bind.fit(X[:512])  # imports what torch loads lazily
    before = own_memory("VmRSS")
    _reset_peak()
    start = time.perf_counter()
    bind.fit(X)
    seconds = time.perf_counter() - start
    data = sum(x.nbytes for x in arrays)
    return {"seconds": seconds, "added": own_memory("VmHWM") - before, "data": data}


def _reset_peak():
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")


def measure(n_samples, n_features, dtype, epochs):
    """Run `child` in its own process."""
    return run_apart(__file__, "--child", str(n_samples), str(n_features), dtype, str(epochs))


def main():
    options = parser(__doc__)
    options.add_argument("--child", nargs=4, help="for internal use")
    options = options.parse_args()
    if options.child:
        n_samples, n_features, dtype, epochs = options.child
        print(json.dumps(child(int(n_samples), int(n_features), dtype, int(epochs))))
        return
    smoke = options.smoke
    repeats = options.repeats or (1 if smoke else 5)
    n_features, epochs = (16, 1) if smoke else (256, 2)
    rows = []
    print("samples   dtype    data MB   seconds   us per sample and epoch   added memory / data")
    for dtype in ("float64", "float32"):
        for n_samples in (600,) if smoke else (10_000, 20_000, 40_000, 80_000):
            run = child if smoke else measure
            runs = [run(n_samples, n_features, dtype, epochs) for _ in range(repeats)]
            seconds = median([run["seconds"] for run in runs])
            added = median([run["added"] / run["data"] for run in runs])
            rows.append(
                {
                    "n_samples": n_samples,
                    "dtype": dtype,
                    "data_MB": runs[0]["data"] / 1e6,
                    "seconds": seconds,
                    "us_per_sample_and_epoch": float(f"{1e6 * seconds / n_samples / epochs:.4g}"),
                    "added_memory_over_data": added,
                }
            )
            print(
                f"{n_samples:7d}   {dtype}   {rows[-1]['data_MB']:7.0f}   {seconds:7.2f}   "
                f"{rows[-1]['us_per_sample_and_epoch']:23.1f}   {added:19.2f}"
            )
    if not smoke:
        store("bench_scaling", {"repeats": repeats, "epochs": epochs, "rows": rows})


if __name__ == "__main__":
    main()
