"""Tables and the figure of bench_methods, first those in which CentroBind loses."""

from itertools import product

import numpy as np
from _figures import IMAGES, panels, save
from _method_data import TASKS
from _methods import METHODS
from _ranks import draw_ranking, rank_methods
from _report import Table, greater, number, p_value, spread
from scipy import stats

OURS = "CentroBind, default"
#: Each is tuned with as many fits as any other method.
OUR_ROWS = (OURS, "CentroBind", "CentroBind, random start", "CentroBind on kernels")
MEASURES = ("recall@1", "recall@5", "mrr", "cross-modal accuracy")
MEASURES += ("probe, side by side", "probe, centroid")
LINEAR = ("MCCA", "GCCA", "TCCA")
PEERS = {"CCA": (*LINEAR, "KGCCA"), "linear CCA": LINEAR}
#: The untuned default's mean reciprocal rank is to lie at most this far below that of the best CCA.
MARGIN = 0.01
#: Task -> by how much CentroBind's recall@1 should exceed that of the best CCA.
GOALS = {"digits five": 0.25, "emoji": 0.10}


def by_task(results):
    """Return task -> method -> list of draws, for the cases that have been run."""
    return {
        task: {
            method: list(results[f"{task}/{method}"].values())
            for method in METHODS
            if f"{task}/{method}" in results
        }
        for task in TASKS
        if any(f"{task}/{method}" in results for method in METHODS)
    }


def values(runs, measure):
    """Return the figures of a measure over the draws, None where a method does not have it."""
    return np.array([run[measure] for run in runs]) if measure in runs[0] else None


def paired(ours, theirs):
    """Cut both to the draws that both have, which are the first ones."""
    n = min(len(ours), len(theirs))
    return ours[:n], theirs[:n]


def losses(tasks):
    """List the measures in which another method's mean is higher, the worst first."""
    rows = []
    for task, methods in tasks.items():
        for measure in MEASURES if OURS in methods else ():
            mine = values(methods[OURS], measure)
            for method, runs in methods.items():
                other = values(runs, measure)
                if mine is None or other is None or method == OURS:
                    continue
                a, b = paired(other, mine)
                test = greater(a, b)
                if test.mean > 0:
                    figures_ = [number(b.mean()), number(a.mean()), number(test.mean, sign=True)]
                    rows.append((test.mean, [task, measure, method, *figures_, p_value(test.p)]))
    rows = [row for _, row in sorted(rows, key=lambda pair: -pair[0])]
    header = ["task", "measure", "method", OURS, "the method", "difference", "p, t-test"]
    return Table("Where CentroBind loses, the largest difference first", header, rows, "losses")


def goals(tasks):
    """Check whether the lead over the best canonical correlation method reaches the goal."""
    rows = []
    for task, goal in GOALS.items():
        methods = tasks.get(task, {})
        for ours, (kind, names) in product(OUR_ROWS, PEERS.items()):
            peers = {m: values(methods[m], "recall@1") for m in names if m in methods}
            if not peers or ours not in methods:
                continue
            best = max(peers, key={m: v.mean() for m, v in peers.items()}.get)
            mine, theirs = paired(values(methods[ours], "recall@1"), peers[best])
            lead = mine.mean() / theirs.mean() - 1
            test = greater(mine, (1 + goal) * theirs)
            claim = f"{task}: {ours} has {goal:.0%} more recall@1 than the best {kind}, {best}"
            verdict = "holds" if lead >= goal else "does not hold"
            rows.append([claim, f"{lead:+.0%}", p_value(test.p), verdict])
    return Table("Lead over CCA", ["goal", "found", "p, t-test", "verdict"], rows, "goals")


def intervals(tasks):
    """Compare the untuned default with the best canonical correlations, tuned, of every task."""
    rows = []
    for task, methods in tasks.items():
        peers = {m: values(methods[m], "mrr") for m in PEERS["CCA"] if m in methods}
        if not peers or OURS not in methods:
            continue
        best = max(peers, key={m: v.mean() for m, v in peers.items()}.get)
        mine, theirs = paired(values(methods[OURS], "mrr"), peers[best])
        if len(mine) < 2:
            continue
        gap = mine - theirs
        half = stats.t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / np.sqrt(len(gap))
        low, high = (number(gap.mean() + sign * half, sign=True) for sign in (-1, 1))
        verdict = "holds" if gap.mean() - half > -MARGIN else "does not hold"
        cells = [number(mine.mean()), best, number(theirs.mean()), number(gap.mean(), sign=True)]
        rows.append([task, *cells, f"{low} to {high}", verdict])
    header = ["task", OURS, "best CCA", "its mrr", "difference", "95 % interval"]
    title = "The untuned default against the best tuned CCA, mean reciprocal rank"
    return Table(title, [*header, f"above -{MARGIN}"], rows, "intervals")


def task_table(task, methods):
    """List all figures of a task."""
    first = next(iter(methods.values()))
    measures = [m for m in MEASURES if any(m in runs[0] for runs in methods.values())]
    rows = []
    for method, runs in methods.items():
        found = [values(runs, measure) for measure in (*measures, "fit seconds")]
        rows.append([method, *("-" if v is None else spread(v) for v in found)])
    draws = {len(runs) for runs in methods.values()}
    splits = str(max(draws)) if len(draws) == 1 else f"{min(draws)} to {max(draws)}"
    title = (
        f"{task}: {TASKS[task].title}. {splits} splits, {first[0]['rows']} training rows, gallery "
        f"of {first[0]['gallery']}, mean (s.d.)"
    )
    return Table(title, ["method", *measures, "fit seconds"], rows, task.replace(" ", "_"))


def settings_table(tasks):
    """List the chosen settings, over the splits."""
    rows = []
    for task, methods in tasks.items():
        for method, runs in methods.items():
            names = runs[0]["setting"]
            found = [
                f"{name} {', '.join(dict.fromkeys(str(run['setting'].get(name)) for run in runs))}"
                for name in names
            ]
            if found:
                rows.append([task, method, "; ".join(found), str(runs[0]["fits"])])
    return Table("Chosen settings", ["task", "method", "setting", "fits"], rows, "settings")


def ranking(tasks, measure="recall@1"):
    """Rank the methods by a measure over the tasks that all of them have; or return None."""
    found = {}
    for task, methods in tasks.items():
        some = {m: values(runs, measure) for m, runs in methods.items()}
        found[task] = {m: v.mean() for m, v in some.items() if v is not None}
    names = [m for m in METHODS if any(m in means for means in found.values())]
    common = [means for means in found.values() if all(m in means for m in names)]
    if len(names) < 2 or not common:
        return None
    return rank_methods({m: [means[m] for means in common] for m in names})


def ranks_table(tasks):
    rows = []
    for measure in MEASURES:
        if (ranked := ranking(tasks, measure)) is not None:
            order = ", ".join(
                f"{n} {r:.1f}" for n, r in zip(ranked.names, ranked.ranks, strict=True)
            )
            figures_ = [p_value(ranked.p), number(ranked.difference, 1)]
            rows.append([measure, str(ranked.n_data), order, *figures_])
    header = ["measure", "tasks", "average rank, 1 is best", "p, Friedman", "critical difference"]
    return Table("Average ranks over the tasks", header, rows, "ranks")


def report(results):
    tasks = by_task(results)
    yield losses(tasks)
    yield intervals(tasks)
    yield goals(tasks)
    yield ranks_table(tasks)
    for task, methods in tasks.items():
        yield task_table(task, methods)
    yield settings_table(tasks)


def figures(results):
    ranked = ranking(by_task(results))
    if ranked is None:
        return
    figure, axes = panels(1, 1, width=8.0, height=0.5 + 0.24 * len(ranked.names))
    draw_ranking(np.ravel(axes)[0], ranked)
    save(figure, "methods_ranks", IMAGES.parent)
