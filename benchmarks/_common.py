"""What the benchmarks share: command line, machine, timing, results as JSON."""

import argparse
import json
import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("skcentrobind", "scikit-learn", "torch", "skorch", "numpy", "scipy", "pandas")


def parser(description):
    """Return a parser with the options that every benchmark has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument(
        "--smoke", action="store_true", help="tiny sizes, nothing stored: does it still run?"
    )
    options.add_argument("--repeats", type=int, default=None, help="timed repeats of each case")
    return options


def environment():
    """Machine and versions that the figures come from."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(":")[1].strip() if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def store(name, results):
    """Write results with their environment to results/<name>.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"environment": environment(), **results}, indent=1) + "\n")
    print(f"\nStored in {path.relative_to(Path(__file__).parent.parent)}")


def median(values):
    """Median, rounded to four significant digits for storage."""
    return float(f"{statistics.median(values):.4g}")
