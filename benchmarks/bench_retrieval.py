"""How long does retrieval between all modalities take, including several-to-one queries?

Each case runs in its own process, on unit-length embeddings, so noisy that only a share of the
queries has rank 1. Memory is the peak of the process, which holds the embeddings, too.
"""

import json
import os
import resource
import time

import numpy as np
from _common import median, parser, run_apart, store

#: samples, modalities, components, whether several modalities form a query
CASES = [
    (5_000, 4, 64, True),
    (20_000, 4, 64, False),
    (20_000, 4, 64, True),
    (100_000, 2, 64, False),
]
SMOKE = [(300, 3, 8, True)]


def child(n_samples, n_modalities, n_components, subsets):
    """Make one report and return seconds and bytes."""
    from skcentrobind.metrics import retrieval_report

    rng = np.random.default_rng(0)
    latent = rng.standard_normal((n_samples, n_components), dtype=np.float32)
    Z = []
    for _ in range(n_modalities):
        z = latent + 1.5 * rng.standard_normal(latent.shape, dtype=np.float32)
        Z.append(z / np.linalg.norm(z, axis=1, keepdims=True))
    retrieval_report([z[:10] for z in Z])  # imports pandas
    start, start_cpu = time.perf_counter(), time.process_time()
    report = retrieval_report(Z, subsets=subsets)
    return {
        "rows": len(report),
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - start_cpu,
        "peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "mrr": report["mrr"].mean(),
    }


def measure(*case):
    """Run `child` in its own process."""
    return run_apart(__file__, "--child", json.dumps(case))


def main():
    options = parser(__doc__)
    options.add_argument("--child", help="for internal use")
    options = options.parse_args()
    if options.child:
        print(json.dumps(child(*json.loads(options.child))))
        return
    repeats = options.repeats or (1 if options.smoke else 3)
    rows = []
    print("samples   modalities   rows   seconds   seconds of cores   peak MB   mrr")
    for case in SMOKE if options.smoke else CASES:
        runs = [(child if options.smoke else measure)(*case) for _ in range(repeats)]
        figures = {key: median([run[key] for run in runs]) for key in runs[0]}
        figures["rows"] = runs[0]["rows"]
        n_samples, n_modalities, n_components, subsets = case
        sizes = {"n_samples": n_samples, "n_modalities": n_modalities}
        rows.append({**sizes, "n_components": n_components, "subsets": subsets, **figures})
        print(
            f"{n_samples:7d}   {n_modalities:10d}   {figures['rows']:4d}   "
            f"{figures['seconds']:7.2f}   {figures['cpu_seconds']:16.2f}   "
            f"{figures['peak_MB']:7.0f}   {figures['mrr']:.3f}"
        )
    if not options.smoke:
        threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))
        store("bench_retrieval", {"repeats": repeats, "threads": threads, "rows": rows})


if __name__ == "__main__":
    main()
