"""How many of scikit-learn's estimator checks run, and how many pass?

"Passes check_estimator" says little alone: tags can switch most checks off. So every estimator is
checked in its plain form, a single 2-D array, with default parameters, and all counts are stored.

    python benchmarks/count_checks.py
"""

import os
import time
import warnings
from collections import Counter

from _common import parser, store

OUTPUTS = ("concat", "mean")


def count(estimator):
    """Run every check and return the outcomes."""
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcomes = check_estimator(estimator, on_fail=None, on_skip=None)
    tally = Counter(outcome["status"] for outcome in outcomes)
    return {
        "checks": len(outcomes),
        "passed": tally["passed"],
        "failed": tally["failed"],
        "skipped": tally["skipped"],
        "xfail": tally["xfail"],
        "not_passed": {
            outcome["check_name"]: f"{outcome['status']}: {outcome['exception']}"
            for outcome in outcomes
            if outcome["status"] != "passed"
        },
    }


def main():
    # scipy reads it when it is imported; without it the array API check is skipped.
    os.environ["SCIPY_ARRAY_API"] = "1"
    options = parser(__doc__.splitlines()[0]).parse_args()
    import torch

    from skcentrobind._public import estimator_classes

    torch.set_num_threads(1)  # the data of the checks are tiny
    rows = []
    print("estimator                   output | checks passed failed skipped | seconds")
    for cls in estimator_classes().values():
        for output in OUTPUTS:
            start = time.perf_counter()
            quick = {"max_epochs": 1} if options.smoke else {}
            row = {"estimator": cls.__name__, "output": output}
            row |= count(cls(output=output, random_state=0, **quick))
            rows.append(row)
            print(
                f"{row['estimator']:27} {output:6} | {row['checks']:6} {row['passed']:6} "
                f"{row['failed']:6} {row['skipped']:7} | {time.perf_counter() - start:7.1f}",
                flush=True,
            )
            for name, reason in row["not_passed"].items():
                print(f"  {name}: {reason}")
    if not options.smoke:
        store("check_estimator", {"SCIPY_ARRAY_API": "1", "runs": rows})


if __name__ == "__main__":
    main()
