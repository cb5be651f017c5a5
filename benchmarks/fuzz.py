"""Fuzz campaign: random data, forms, parameters and calls against slow references.

    python benchmarks/fuzz.py --n 10000 --seed 0 --jobs 2

Every case is determined by the seed and its number. Its outcome is "confirmed" (numbers equal a
reference), "refused" (a clear error, where one is due), "silent" (wrong numbers, or bad input taken
without a word), "foreign" (another error) or "hang". A line per case goes to a file below --out, so
that a campaign that was stopped goes on; the counts are stored in results/fuzz_seed<seed>.json.

    python benchmarks/fuzz.py --seed 0 --case 123

runs one case with its traceback.

    python benchmarks/fuzz.py --faults

puts each of the faults that the campaign was made for back into a copy of the package, and stores
at which case it is found, in results/fuzz_faults.json.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from _common import parser, store

HERE = Path(__file__).resolve().parent

# Seconds after which a case counts as hanging.
_LIMIT = 60


@contextmanager
def time_limit(seconds):
    """Raise TimeoutError after some seconds, where signals allow it."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(number, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run_case(seed, number):
    """Run a case; return number, kind, outcome and message."""
    from _fuzz_cases import run

    torch.set_num_threads(1)
    try:
        with time_limit(_LIMIT):
            return number, *run(seed, number)
    except TimeoutError:
        return number, "?", "hang", f"more than {_LIMIT} s"


def campaign(seed, n, path, jobs, until_finding=False):
    """Run the cases that the file at `path` does not hold yet; return all lines."""
    lines = {}
    if path.exists():
        lines = {line["case"]: line for line in map(json.loads, path.read_text().splitlines())}
    left = [number for number in range(n) if number not in lines]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream, ProcessPoolExecutor(jobs) as pool:
        run = partial(run_case, seed)
        results = map(run, left) if jobs == 1 else pool.map(run, left, chunksize=8)
        for number, kind, outcome, message in results:
            line = {"case": number, "kind": kind, "outcome": outcome, "message": message}
            lines[number] = line
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            if outcome not in ("confirmed", "refused"):
                print(f"case {number} ({kind}): {outcome}: {message[:300]}", flush=True)
                if until_finding:
                    break
    return [lines[number] for number in sorted(lines) if number < n]


def summary(lines):
    """Count outcomes, in all and by kind."""
    kinds = sorted({line["kind"] for line in lines})
    by_kind = {
        kind: dict(Counter(line["outcome"] for line in lines if line["kind"] == kind))
        for kind in kinds
    }
    return {"cases": len(lines), **Counter(line["outcome"] for line in lines)}, by_kind


def run_alone(seed, number):
    """Run one case with its traceback."""
    from _fuzz_cases import CASES

    rng = np.random.default_rng([seed, number])
    weights = np.array(list(CASES.values()), dtype=float)
    case = list(CASES)[rng.choice(len(weights), p=weights / weights.sum())]
    print(f"seed {seed}, case {number}: {case.__name__}: {case.__doc__}")
    print(case(rng))


def without_folders(message):
    """Leave temporary folders, which are those of one machine, out of a message."""
    return re.sub(rf"{re.escape(tempfile.gettempdir())}/\w+/?", "", message)


def find_faults(n, seed, names=None):
    """Return for every fault the first case that finds it in a copy of the package."""
    from _fuzz_faults import FAULTS

    found = {}
    for name, replacements in FAULTS.items():
        if names and name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            package = Path(folder) / "skcentrobind"
            shutil.copytree(HERE.parent / "skcentrobind", package)
            for file, old, new in replacements:
                text = (package / file).read_text()
                assert text.count(old) == 1, f"{name}: {file} has {text.count(old)} of {old!r}"
                (package / file).write_text(text.replace(old, new))
            command = [sys.executable, str(HERE / "fuzz.py"), "--until-finding"]
            command += ["--n", str(n), "--seed", str(seed), "--out", folder]
            environment = {**os.environ, "PYTHONPATH": folder, "OMP_NUM_THREADS": "1"}
            subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            lines = (Path(folder) / f"seed{seed}.jsonl").read_text().splitlines()
            last = json.loads(lines[-1])
        is_found = last["outcome"] not in ("confirmed", "refused")
        found[name] = {"case": last["case"] if is_found else None, "kind": last["kind"]}
        found[name]["message"] = without_folders(last["message"])[:160]
        print(f"{name}: {found[name]}", flush=True)
    return found


def main():
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--n", type=int, default=10_000, help="number of cases")
    options.add_argument("--seed", type=int, default=0, help="seed of the campaign")
    options.add_argument("--jobs", type=int, default=1, help="processes")
    options.add_argument("--out", type=Path, default=Path("fuzz-out"), help="folder of the cases")
    options.add_argument("--case", type=int, default=None, help="run this case alone")
    options.add_argument("--until-finding", action="store_true", help="stop at the first finding")
    options.add_argument("--faults", nargs="*", default=None, help="put faults back, all or some")
    given = options.parse_args()
    torch.set_num_threads(1)
    if given.case is not None:
        run_alone(given.seed, given.case)
        return
    if given.faults is not None:
        found = find_faults(2000, given.seed, given.faults)
        if not given.faults:
            store("fuzz_faults", {"seed": given.seed, "limit": 2000, "faults": found})
        sys.exit(any(each["case"] is None for each in found.values()))
    if given.smoke:
        with tempfile.TemporaryDirectory() as folder:
            lines = campaign(given.seed, 40, Path(folder) / "smoke.jsonl", 1)
    else:
        path = given.out / f"seed{given.seed}.jsonl"
        lines = campaign(given.seed, given.n, path, given.jobs, given.until_finding)
    counts, by_kind = summary(lines)
    print(counts)
    n_findings = counts["cases"] - counts.get("confirmed", 0) - counts.get("refused", 0)
    if not given.smoke and not given.until_finding:
        store(f"fuzz_seed{given.seed}", {"seed": given.seed, "counts": counts, "kinds": by_kind})
    if n_findings:
        sys.exit(1)


if __name__ == "__main__":
    main()
