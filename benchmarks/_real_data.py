"""The paper's protocol on real data: who is compared, from which start, and how it is judged.

All binders share the features, the shrinkage and the width that the default chose without labels,
and start at the same closed form; fixed anchors stay frozen there or learn along. Random starts are
shown as well: residual encoders, and a fixed anchor is pre-trained by itself before it is frozen.
The tuned peers are those of bench_methods. Retrieval is judged on held-out samples (Table 1 of the
paper), and logistic regressions trained on one modality are tested on another (Table 2) and on the
same one (Table 5).
"""

from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
from _methods import METHODS, embed
from _report import Table, claims_table, greater, number, p_value, series, spread
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcentrobind import (
    CentroBindTransformer,
    FixedAnchorBindTransformer,
    Modalities,
    PairwiseBindTransformer,
)
from skcentrobind.metrics import cross_modal_accuracy, retrieval_ranks, retrieval_report

DEFAULT, ALL, START = "CentroBind, default", "CentroBind, all epochs", "the start alone"
PAIRWISE, RANDOM = "pairwise, all epochs", "CentroBind, random start"
FROZEN, LEARNING = "fixed {}, frozen", "fixed {}, learning"
RANDOM_FROZEN, RANDOM_LEARNING = (
    "fixed {}, random start, frozen",
    "fixed {}, random start, learning",
)
PEERS = ("MCCA", "GCCA", "KGCCA")

#: Of the searches of the peers' settings.
SEARCH = {"validation": 0.25}
KS = (1, 10)


@dataclass
class Data:
    """Samples to fit on and to judge by.

    Attributes
    ----------
    X_train, X_test : Modalities
    labels : dict of str to (ndarray, ndarray)
        For each kind of classes those of both parts.
    several : list of (tuple of str, str)
        Modalities that form a query together, and the modality that is searched.
    shown : tuple of str
        Modalities whose pairs are searched and probed; () for all.
    """

    X_train: Modalities
    X_test: Modalities
    labels: dict = field(default_factory=dict)
    several: list = field(default_factory=list)
    shown: tuple = ()


def binders(data, seed, n_anchors=None, random_anchors=True, device="cpu", **fit):
    """Yield the name of each method and the method, fitted.

    Parameters
    ----------
    data : Data
        The samples.
    seed : int
        Seed of every fit.
    n_anchors : int, default=None
        How many of the modalities are fixed anchors in turn; None for all.
    random_anchors : bool, default=True
        Whether fixed anchors start at random, too.
    device : str, default="cpu"
        Where the binders are trained.
    **fit
        Further parameters of all binders, such as max_epochs in a smoke test.
    """
    X, common = data.X_train, {"random_state": seed, "device": device}
    default = CentroBindTransformer(**common, **fit).fit(X)
    yield DEFAULT, default
    warm = {**default.chosen_params_, "init": "gcca", **common}
    yield START, CentroBindTransformer(**{**warm, "max_epochs": 0}).fit(X)
    warm |= {"max_epochs": "full", **fit}
    yield ALL, CentroBindTransformer(**warm).fit(X)
    yield PAIRWISE, PairwiseBindTransformer(**warm).fit(X)
    cold = {"init": "random", **common, **fit}
    yield RANDOM, CentroBindTransformer(**cold).fit(X)
    warm["pretrain_epochs"] = 0
    for name in X.names[:n_anchors]:
        for label, frozen, options in (
            (FROZEN, True, warm),
            (LEARNING, False, warm),
            (RANDOM_FROZEN, True, cold),
            (RANDOM_LEARNING, False, cold),
        ):
            if options is warm or random_anchors:
                bind = FixedAnchorBindTransformer(anchor=name, freeze_anchor=frozen, **options)
                yield label.format(name), bind.fit(X)


def peers(data, seed):
    """Yield the tuned correlation analyses, if cca-zoo is there and no modality is missing."""
    from bench_methods import choose

    if find_spec("cca_zoo") is None or not data.X_train.present.all():
        return
    for name in PEERS:
        method = METHODS[name]
        setting, width, _ = choose(method, method.stages, True, data.X_train, SEARCH, seed)
        yield name, _Cut(method.make(SEARCH, seed, **setting).fit(data.X_train), width)


class _Cut:
    """A model of which the leading components are used."""

    def __init__(self, model, width):
        self.model, self.width = model, width

    def transform_modalities(self, X):
        return embed(self.model, X, self.width)


def one_draw(data, seed, with_peers=True, **fit):
    """Judge all methods on one split."""
    found = {name: judge(bind, data) for name, bind in binders(data, seed, **fit)}
    if with_peers:
        found |= {name: judge(model, data) for name, model in peers(data, seed)}
    raw = _probe_raw(data)
    return found | ({"raw features": raw} if raw else {})


def judge(bind, data):
    """Return the figures of one method."""
    Z_train, Z_test = (bind.transform_modalities(X) for X in (data.X_train, data.X_test))
    names = list(data.shown or Z_test.names)
    Z_train, Z_test = Z_train[names], Z_test[names]
    report = retrieval_report(Z_test, ks=KS)
    found = {name: float(report[name].mean()) for name in ("recall@1", "recall@10", "mrr")}
    found["pairs"] = {
        f"{a} -> {b}": [round(float(row[f"recall@{k}"]), 4) for k in KS]
        for (a, b), row in report.iterrows()
    }
    found["several"] = {}
    for query, gallery in data.several:
        ranks = retrieval_ranks(Modalities([Z_test[name] for name in query]), Z_test[gallery])
        recalls = [round(float(np.mean(ranks <= k)), 4) for k in KS]
        found["several"][f"{' + '.join(query)} -> {gallery}"] = recalls
    for kind, (y_train, y_test) in data.labels.items():
        table = cross_modal_accuracy(None, _probe(), Z_train, y_train, Z_test, y_test, top_k=(1,))
        matrix = table["top-1"].to_numpy()
        own = np.eye(len(names), dtype=bool)
        found[f"{kind}, across"] = float(matrix[~own].mean())
        found[f"{kind}, same"] = float(matrix[own].mean())
        found[f"{kind}, each"] = matrix[own].round(4).tolist()
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in found.items()}


def _probe():
    return LogisticRegression(max_iter=1000)


def _probe_raw(data):
    """Probe the standardised features of each modality that all samples have."""
    found = {}
    names = [
        name
        for name in data.shown or data.X_train.names
        if all(X.present[:, list(X.names).index(name)].all() for X in (data.X_train, data.X_test))
    ]
    for kind, (y_train, y_test) in data.labels.items():
        probe = make_pipeline(StandardScaler(), _probe())
        scores = [
            probe.fit(data.X_train[name].reshape(len(y_train), -1), y_train).score(
                data.X_test[name].reshape(len(y_test), -1), y_test
            )
            for name in names
        ]
        found[f"{kind}, same"] = round(float(np.mean(scores)), 5)
    return found


def report(results, titles):
    """Yield the tables: where CentroBind loses, the claims, all methods, pairs.

    Parameters
    ----------
    results : dict of str to dict of int to dict
        For each case the figures of every split.
    titles : dict of str to str
        What each case is.
    """
    yield _losses(results, titles)
    yield _claims(results, titles)
    for case, runs in results.items():
        first = next(iter(runs.values()))
        kinds = [name for name in first[DEFAULT] if name.endswith((", across", ", same"))]
        columns = ["recall@1", "recall@10", "mrr", *kinds]
        rows = [
            [m, *(spread(series(runs, m, c)) if c in first[m] else "" for c in columns)]
            for m in first
        ]
        title = f"{titles[case]}: {len(runs)} splits, mean (s.d.)"
        yield Table(title, ["method", *columns], rows, f"{_slug(case)}_methods")
        yield _several(case, runs, titles)


def _slug(case):
    return "".join(c if c.isalnum() else "_" for c in case)


def _losses(results, titles):
    """List the methods that are ahead of the default in mean recall@1."""
    rows = []
    for case, runs in results.items():
        for name in next(iter(runs.values())):
            if name == DEFAULT or "recall@1" not in runs[next(iter(runs))][name]:
                continue
            gap = greater(series(runs, name, "recall@1"), series(runs, DEFAULT, "recall@1"))
            if gap.mean > 0:
                rows.append([titles[case], name, number(gap.mean, sign=True), p_value(gap.p)])
    header = ["data", "method", "recall@1 above the default", "p, t-test"]
    return Table("Where the default loses", header, rows or [["nowhere", "", "", ""]], "losses")


def _claims(results, titles):
    """Is the default above every fixed anchor, from the same start and from random ones?"""
    claims = []
    for case, runs in results.items():
        ours = series(runs, DEFAULT, "recall@1")
        for kind, form in (
            ("frozen at the same start", FROZEN),
            ("learning from the same start", LEARNING),
            ("frozen, random start", RANDOM_FROZEN),
            ("learning, random start", RANDOM_LEARNING),
        ):
            fixed = [form.format(name) for name in _anchors(runs)]
            if fixed[0] not in next(iter(runs.values())):
                continue
            parts = [greater(ours, series(runs, name, "recall@1"), name) for name in fixed]
            claims.append((f"{titles[case]}: recall@1 above every anchor {kind}", parts))
    return claims_table(claims, "The untuned default against fixed anchors, paired tests")


def _anchors(runs):
    """Return the modalities, each of which is an anchor."""
    before, after = FROZEN.split("{}")
    names = [name for name in next(iter(runs.values())) if "random start" not in name]
    return [
        name.removeprefix(before).removesuffix(after)
        for name in names
        if name.startswith(before) and name.endswith(after)
    ]


def _several(case, runs, titles):
    """Show recall of the pairs and of queries by several modalities, for the main methods."""
    first = next(iter(runs.values()))
    frozen = [FROZEN.format(name) for name in _anchors(runs)]
    best = max(frozen, key=lambda name: series(runs, name, "recall@1").mean())
    shown = [name for name in (DEFAULT, best, "KGCCA") if name in first]
    rows = []
    for part in ("several", "pairs"):
        for query in first[DEFAULT][part]:
            cells = [
                "/".join(
                    number(np.mean([run[name][part][query][i] for run in runs.values()]))
                    for i in range(len(KS))
                )
                for name in shown
            ]
            rows.append([query, *cells])
    title = f"{titles[case]}: recall@1/@10 of each search, best frozen anchor in hindsight"
    return Table(title, ["query -> gallery", *shown], rows, f"{_slug(case)}_searches")
