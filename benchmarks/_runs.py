"""Run a benchmark over data draws: resumable, in parallel, one JSON file per benchmark."""

import argparse
import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch

from _common import RESULTS, environment
from _paper import SETTINGS, SMOKE_SETTINGS
from joblib import Parallel, delayed
from tqdm import tqdm


@dataclass
class Benchmark:
    """One question, the draws that answer it, and how the answer is reported.

    Attributes
    ----------
    name : str
        Name of the script and of its JSON file.
    one_draw : callable
        `one_draw(settings, seed, **case)` returns what is stored, made of dicts, lists, numbers.
    cases : dict of str to dict
        Label -> keyword arguments; each case is run on every draw.
    seeds : int
        Number of draws unless `--seeds` says otherwise.
    report : callable
        `report(results)` with results[label][seed] returns a list of `_report.Table`.
    figures : callable or None
        `figures(results)` draws the figures into docs/images/paper.
    smoke_cases : dict or None
        Cases of `--smoke`, None for the first one alone.
    smoke_seeds : int
        Draws of `--smoke`.
    """

    name: str
    one_draw: Callable
    cases: dict
    seeds: int
    report: Callable
    figures: Callable | None = None
    smoke_cases: dict | None = None
    smoke_seeds: int = 2
    settings: dict = field(default_factory=lambda: SETTINGS)
    smoke_settings: dict = field(default_factory=lambda: SMOKE_SETTINGS)


def as_json(value):
    """Return the value after a round trip through JSON."""
    return json.loads(json.dumps(value))


class Store:
    """Finished draws of one benchmark on disk.

    A draw is kept as long as the settings and its case are what they were when it was run.

    Parameters
    ----------
    path : Path
    settings : dict
    cases : dict of str to dict
    fresh : bool, default=False
        Whether to ignore stored draws.
    """

    def __init__(self, path, settings, cases, fresh=False):
        self.path = path
        self.content = {"settings": as_json(settings), "cases": as_json(cases)}
        self.content |= {"wall_minutes": 0.0, "results": {}, "cpu_seconds": {}}
        old = None if fresh or not path.exists() else json.loads(path.read_text())
        if old and old["settings"] == self.content["settings"]:
            same = [k for k, case in self.content["cases"].items() if old["cases"].get(k) == case]
            for part in ("results", "cpu_seconds"):
                kept = old.get(part, {})
                self.content[part] = {k: kept[k] for k in same if k in kept}
            self.content["wall_minutes"] = old.get("wall_minutes", 0.0)
        elif old:
            print(f"The settings differ from those of {path.name}: all draws are run anew.")

    def missing(self, seeds):
        """List the (label, seed) without a result, all cases of a seed before the next seed."""
        done = {label: set(runs) for label, runs in self.content["results"].items()}
        return [
            (label, seed)
            for seed in seeds
            for label in self.content["cases"]
            if str(seed) not in done.get(label, ())
        ]

    def add(self, label, seed, result, seconds, waited=0.0):
        """Keep a draw, `waited` for since the one before, and write everything to disk at once."""
        self.content["wall_minutes"] = round(self.content["wall_minutes"] + waited / 60, 3)
        for part, value in (("results", as_json(result)), ("cpu_seconds", round(seconds, 2))):
            runs = self.content[part].setdefault(label, {})
            runs[str(seed)] = value
            self.content[part][label] = dict(sorted(runs.items(), key=lambda pair: int(pair[0])))
        self.path.parent.mkdir(exist_ok=True)
        draft = self.path.with_suffix(".draft")
        draft.write_text(
            json.dumps({"environment": environment(), **self.content}, indent=1) + "\n"
        )
        os.replace(draft, self.path)

    def results(self):
        """Return results[label][seed], in the order of the cases."""
        found = self.content["results"]
        return {label: found[label] for label in self.content["cases"] if label in found}


class _NoStore(Store):
    """Keeps a smoke run in memory only."""

    def __init__(self, settings, cases):
        self.content = {"settings": settings, "cases": cases, "results": {}}

    def add(self, label, seed, result, seconds, waited=0.0):
        self.content["results"].setdefault(label, {})[str(seed)] = as_json(result)


def _timed(one_draw, settings, label, case, seed):
    start = time.process_time()  # of one core, however busy the machine is
    result = one_draw(settings, seed, **case)
    return label, seed, result, time.process_time() - start


def run(benchmark, seeds, jobs=1, smoke=False, fresh=False, path=None, only="*"):
    """Run the draws that are missing and return the store.

    Parameters
    ----------
    benchmark : Benchmark
    seeds : int
        Number of draws.
    jobs : int, default=1
        Processes.
    smoke : bool, default=False
        Whether to run the small version, in memory.
    fresh : bool, default=False
        Whether to run stored draws again.
    path : Path, default=None
        Where to store, results/<name>.json for None.
    only : str, default="*"
        Shell pattern of the cases to run now; the others stay as they are stored.
    """
    if smoke:
        cases = benchmark.smoke_cases or dict([next(iter(benchmark.cases.items()))])
        settings = benchmark.smoke_settings
        store = _NoStore(settings, cases)
    else:
        cases, settings = benchmark.cases, benchmark.settings
        store = Store(path or RESULTS / f"{benchmark.name}.json", settings, cases, fresh)
    tasks = [task for task in store.missing(range(seeds)) if fnmatch(task[0], only)]
    before = time.perf_counter()
    work = Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(_timed)(benchmark.one_draw, settings, label, cases[label], seed)
        for label, seed in tasks
    )
    for finished in tqdm(work, total=len(tasks), desc=benchmark.name, unit="draw", disable=smoke):
        now = time.perf_counter()
        store.add(*finished, waited=now - before)
        before = now
    return store


def main(benchmark, description):
    """Run the command line of a benchmark."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--smoke", action="store_true", help="tiny sizes, nothing stored")
    options.add_argument("--seeds", type=int, default=benchmark.seeds, help="number of data draws")
    options.add_argument("--jobs", type=int, default=1, help="draws at a time")
    options.add_argument("--fresh", action="store_true", help="run stored draws again")
    options.add_argument("--only", default="*", help="shell pattern of the cases to run")
    options = options.parse_args()
    seeds = benchmark.smoke_seeds if options.smoke else options.seeds
    start = time.perf_counter()
    store = run(benchmark, seeds, options.jobs, options.smoke, options.fresh, only=options.only)
    results = store.results()
    with contextlib.suppress(BrokenPipeError):  # a pager that was closed
        for table in benchmark.report(results):
            print("\n" + table.text())
    if benchmark.figures and not options.smoke:
        benchmark.figures(results)
    print(f"\n{time.perf_counter() - start:.0f} s now")
