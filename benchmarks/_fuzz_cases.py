"""The kinds of cases of the fuzz campaign: what is drawn, what is done, and what must come out.

A case returns "confirmed" if numbers were compared with a reference, or "refused" if an error was
expected and came. It raises `Silent` if numbers are wrong or bad input was taken without a word,
and `Foreign` if an error is of another type, names nothing, or should not have come.
"""

import numpy as np
from _fuzz_call_cases import bad_parameters, kept, names, resumed, routing, saved, sequences
from _fuzz_data_cases import (
    bad_data,
    forms,
    keys,
    labels,
    mappings,
    outliers,
    sparse_forms,
    vectors,
)
from _fuzz_group_cases import bad_groups, carried, group_measures, held_out
from _fuzz_oracle import Foreign, Silent, quiet
from _fuzz_training_cases import ambient, failures, float64, losses, threads, told

#: Kinds of cases, and how often each is drawn.
CASES = {
    forms: 22, sparse_forms: 5, labels: 8, keys: 4, bad_data: 8, mappings: 4, vectors: 4,
    outliers: 4, ambient: 7, float64: 3, threads: 3, losses: 6, failures: 6, told: 3, saved: 5,
    kept: 3, resumed: 5, sequences: 8, bad_parameters: 4, routing: 3, names: 5,
    carried: 4, group_measures: 5, held_out: 2, bad_groups: 2,
}  # fmt: skip


def run(seed, number):
    """Run a case; return its kind, its outcome and a message."""
    rng = np.random.default_rng([seed, number])
    weights = np.array(list(CASES.values()), dtype=float)
    case = list(CASES)[rng.choice(len(weights), p=weights / weights.sum())]
    try:
        with quiet():
            outcome, message = case(rng), ""
    except Silent as exc:
        outcome, message = "silent", str(exc)
    except Foreign as exc:
        outcome, message = "foreign", str(exc)
    except TimeoutError:
        outcome, message = "hang", "took too long"
    except Exception as exc:
        outcome, message = "foreign", f"{type(exc).__name__}: {exc}"
    return case.__name__, outcome, message
