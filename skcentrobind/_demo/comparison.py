"""Compare CentroBind with every fixed anchor, all from the same start, on unseen emojis."""

from __future__ import annotations

import textwrap
import time
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.utils.parallel import Parallel, delayed

from skcentrobind._data.modalities import Modalities
from skcentrobind._demo.emojis import PICTURE
from skcentrobind._estimators.centrobind import CentroBindTransformer
from skcentrobind._estimators.fixed_anchor import FixedAnchorBindTransformer
from skcentrobind.metrics import cross_modal_accuracy, retrieval_ranks, retrieval_report

CENTROBIND, START = "CentroBind", "their common start alone"
KS = (1, 10)
#: Queries by several modalities, and what they search.
SEVERAL = (((PICTURE, "japanese"), "english"), (("english", "japanese"), PICTURE))


@dataclass
class Result:
    """Figures of one method on unseen emojis.

    Attributes
    ----------
    method : str
        Its name in the tables.
    mean : tuple of float
        recall@1 and recall@10, means over all ordered pairs of modalities.
    pairs : dict of (str, str) to tuple of float
        The same for each pair.
    several : dict of (tuple of str, str) to tuple of float
        The same for queries by several modalities.
    transfer : dict of (str, str) to float
        Accuracy of categories, trained in one modality and tested in another.
    seconds : float
        Time of the fit.
    """

    method: str
    mean: tuple
    pairs: dict
    several: dict
    transfer: dict
    seconds: float = 0.0

    @property
    def across(self):
        """Mean accuracy over the ordered pairs of different modalities."""
        return float(np.mean([value for (a, b), value in self.transfer.items() if a != b]))


def compare(finder, quick, say):
    """Evaluate CentroBind, its start, and all fixed anchors from that start.

    Parameters
    ----------
    finder : Finder
        CentroBind, fitted.
    quick : bool
        Whether fits have one epoch.
    say : callable
        Called with a message after every fit.

    Returns
    -------
    results : list of Result
        CentroBind, the start, then the anchors.
    """
    F, emojis = finder.F, finder.emojis
    # The features, the shrinkage and the width that CentroBind chose without labels.
    common = {**finder.bind.chosen_params_, "init": "gcca", "random_state": 0}
    full = {**common, "max_epochs": 1 if quick else "full", "pretrain_epochs": 0}
    methods = [(START, CentroBindTransformer(**{**common, "max_epochs": 0}))]
    for name in F.names:
        for frozen, title in ((True, "frozen"), (False, "learning along")):
            bind = FixedAnchorBindTransformer(anchor=name, freeze_anchor=frozen, **full)
            methods.append((f"fixed anchor {name}, {title}", bind))
    results = [evaluate(CENTROBIND, finder.bind, F, emojis)]
    # One process per core: with layers this small, threads would block one another.
    jobs = (delayed(_fitted)(title, bind, F, emojis) for title, bind in methods)
    for result in Parallel(n_jobs=1 if quick else -1, return_as="generator")(jobs):
        results.append(result)
        say(f"{result.method}: fitted in {result.seconds:.1f} s")
    return results


def _fitted(title, bind, F, emojis):
    start = time.perf_counter()
    bind.fit(F[emojis.seen])
    seconds = time.perf_counter() - start
    result = evaluate(title, bind, F, emojis)
    result.seconds = seconds
    return result


def evaluate(title, bind, F, emojis):
    """Judge a fitted method on the unseen emojis."""
    Z_train, Z = (bind.transform_modalities(F[rows]) for rows in (emojis.seen, emojis.unseen))
    report = retrieval_report(Z, ks=KS)
    columns = [f"recall@{k}" for k in KS]
    pairs = {pair: tuple(map(float, row[columns])) for pair, row in report.iterrows()}
    several = {}
    for names, gallery in SEVERAL:
        ranks = retrieval_ranks(Modalities([Z[name] for name in names]), Z[gallery])
        several[names, gallery] = tuple(float(np.mean(ranks <= k)) for k in KS)
    y_train, y_test = emojis.y[emojis.seen], emojis.y[emojis.unseen]
    probe = LogisticRegression(max_iter=1000)
    table = cross_modal_accuracy(None, probe, Z_train, y_train, Z, y_test, top_k=(1,))["top-1"]
    transfer = {(a, b): float(table.loc[a, b]) for a in Z.names for b in Z.names}
    mean = tuple(np.mean(list(pairs.values()), axis=0))
    return Result(title, mean, pairs, several, transfer)


def queries_text(finder, queries, k=8):
    """Write each query with the emojis that it finds, among all and among unseen ones."""
    width = max(len(f"{text} ({language})") for language, text in queries)
    lines = []
    for language, text in queries:
        title = f"{text} ({language})"
        found = [finder.find(text, language, k, rows) for rows in (None, finder.emojis.unseen)]
        lines.append(f"{title:<{width}}  all     {finder.show(found[0])}")
        lines.append(f"{'':<{width}}  unseen  {finder.show(found[1])}")
    return lines


def tables(results, n_unseen):
    """Write who is ahead of CentroBind, then one line per method, the best first.

    Parameters
    ----------
    results : list of Result
        Those of `compare`.
    n_unseen : int
        Number of unseen emojis, the gallery of each search.
    """
    ours, *others = results
    order = sorted(results, key=lambda result: -result.mean[0])
    width = max(len(result.method) for result in results)
    head = ["all, @1", "all, @10", "pic+ja>en", "en+ja>pic", "en>pic", "all", "en>pic"]
    lines = [*textwrap.wrap(_ahead(ours, others), 96), ""]
    lines += [f"{'':<{width}}{'recall of pairs':>18}{'two to one, @1':>20}{'':9}{'category':>20}"]
    lines += [" " * width + "".join(f"{cell:>10}" for cell in head)]
    for result in order:
        cells = [*result.mean, *(result.several[query][0] for query in SEVERAL)]
        cells += [result.pairs["english", PICTURE][0], result.across]
        cells += [result.transfer["english", PICTURE]]
        numbers = "".join(f"{share(value):>10}" for value in cells)
        lines.append(f"{result.method:<{width}}{numbers}")
    chance = [share(k / n_unseen) for k in KS]
    lines.append(f"{'chance':<{width}}" + "".join(f"{cell:>10}" for cell in chance))
    return lines


def _ahead(ours, others):
    """Say which methods have a higher mean recall@1 than CentroBind."""
    ahead = sorted((r for r in others if r.mean[0] > ours.mean[0]), key=lambda r: -r.mean[0])
    own = share(ours.mean[0])
    if not ahead:
        best = max(others, key=lambda result: result.mean[0])
        return (
            f"Best of the others, in hindsight: {best.method}, {share(best.mean[0])} against {own}."
        )
    names = "; ".join(f"{r.method}, {share(r.mean[0])}" for r in ahead)
    return f"Ahead of CentroBind ({own}) in mean recall@1: {names}."


def share(value):
    """Format a share with three digits and without its leading zero."""
    text = f"{value:.3f}"
    return text.removeprefix("0") if value < 1 else text[:4]
