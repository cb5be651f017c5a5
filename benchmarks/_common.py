"""Shared by the benchmarks: command line, machine, timing, results as JSON."""

import argparse
import hashlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"

_PACKAGES = ("skcentrobind", "scikit-learn", "torch", "skorch", "numpy", "scipy", "pandas")


#: Features and shrinkage of the start, where a benchmark is about something else than their choice.
NAMED = {"encoder": "residual", "shrinkage": "oas"}


def parser(description):
    """Return a parser with the options that every benchmark has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument(
        "--smoke", action="store_true", help="tiny sizes, nothing stored: only check that it runs"
    )
    options.add_argument("--repeats", type=int, default=None, help="timed repeats of each case")
    return options


def store(name, results):
    """Write results with their environment to results/<name>.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"environment": environment(), **results}, indent=1) + "\n")
    print(f"\nStored in {path.relative_to(Path(__file__).parent.parent)}")


def to_json(stored):
    """Return JSON with one line per row of numbers."""
    text = json.dumps(stored, indent=1, ensure_ascii=False)
    row = re.compile(r"\[\s+((?:(?:-?[\d.e-]+|null),?\s+)+)\]")
    return row.sub(lambda match: "[" + " ".join(match[1].split()) + "]", text) + "\n"


def digest(file):
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def environment():
    """Return the machine and the versions behind the figures."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = models[0].split(":")[1].strip() if models else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in _PACKAGES},
    }


def machine(where):
    """Describe a stored `environment` in one line."""
    versions = where["versions"]
    return (
        f"{where['cpu']}, {where['cores']} cores, Python {where['python']}, "
        f"torch {versions['torch']}, scikit-learn {versions['scikit-learn']}"
    )


def run_apart(script, *options):
    """Run a script in its own process and return the JSON in its last line."""
    command = [sys.executable, script, *options]
    out = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(out.stdout.splitlines()[-1])


def own_memory(kind):
    """Return bytes of this process: "VmRSS" resident, "VmHWM" its peak, "RssAnon" without files."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(kind))
    return int(line.split()[1]) * 1024


def median(values):
    """Return the median, rounded to four significant digits for storage."""
    return float(f"{statistics.median(values):.4g}")
