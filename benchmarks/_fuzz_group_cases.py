"""Cases of the fuzz campaign about groups, weights and duplicates of samples."""

import copy
import pickle
import warnings
from unittest.mock import patch

import numpy as np
import pandas as pd
import sklearn
from _fuzz_data import draw_arrays
from _fuzz_oracle import check, make, refused, same
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, train_test_split

from skcentrobind import Modalities, metrics
from skcentrobind._data.holdout import split_rows
from skcentrobind._estimators import base


def draw_groups(rng, n_samples):
    """Return labels of groups of several samples: numbers, text, or text with some missing."""
    codes = rng.integers(n_samples // 3 + 2, size=n_samples)
    kind = int(rng.integers(4))
    if kind == 0:
        return codes
    labels = np.array([f"thing {code}" for code in codes], dtype=object)
    if kind == 1:
        labels[rng.random(n_samples) < 0.2] = None
    return labels if kind < 3 else pd.Categorical(labels)


def codes_of(groups):
    """Return a number per sample; those without a label are alone."""
    labels = list(groups)
    return [
        labels.index(label) if isinstance(label, str | int | np.integer) else -1 - k
        for k, label in enumerate(labels)
    ]


def draw_weights(rng, n_samples):
    weights = rng.integers(4, size=n_samples) / 2
    weights[rng.permutation(n_samples)[: n_samples // 2]] = 1.0
    return weights


def shuffled(X, rng):
    rows = rng.integers(len(X), size=len(X))
    return X[rows], rows


def masked(X, rng):
    mask = np.arange(len(X)) % 3 > 0 if len(X) > 2 else np.ones(len(X), dtype=bool)
    return X[mask], mask


def sliced(X, rng):
    part = [slice(None, None, -1), slice(1, None), slice(None, -1)][rng.integers(3)]
    part = part if len(X) > 1 else slice(None)
    return X[part], part


def split(X, rng):
    if len(X) < 4:
        return X, slice(None)
    part, _, rows, _ = train_test_split(X, np.arange(len(X)), random_state=int(rng.integers(99)))
    return part, rows


def indexed(X, rng):
    rows = rng.permutation(len(X))
    return sklearn.utils._safe_indexing(X, rows), rows


#: What may be done to a container; each returns the result and which rows it holds.
STEPS = [
    shuffled,
    masked,
    sliced,
    split,
    indexed,
    lambda X, rng: (pickle.loads(pickle.dumps(X)), slice(None)),
    lambda X, rng: (copy.copy(X), slice(None)),
    lambda X, rng: (Modalities.from_frame(X.to_frame()), slice(None)),
    lambda X, rng: (X[[str(name) for name in rng.permutation(X.names)]], slice(None)),
]


def carried(rng):
    """Check that groups and weights stay with their samples, whatever is done to the container."""
    arrays = draw_arrays(rng)
    n = len(next(iter(arrays.values())))
    groups, weights = np.asarray(draw_groups(rng, n), dtype=object), draw_weights(rng, n)
    X = Modalities(arrays, groups=groups, sample_weight=weights)
    rows = np.arange(n)
    for _ in range(int(rng.integers(1, 4))):
        X, chosen = STEPS[rng.integers(len(STEPS))](X, rng)
        rows = rows[chosen]
    found, expected = (
        [None if pd.isna(g) else g for g in part] for part in (X.groups, groups[rows])
    )
    check(found == expected, "groups do not follow their samples")
    same(X.sample_weight, weights[rows], "weights do not follow their samples")
    for name in X.names:
        same(X[name], arrays[name][rows], name)
    return "confirmed"


def rank_by_hand(scores, own):
    """Rank the best own candidate; of ties, the first own one in a random order."""
    best = max(s for s, is_own in zip(scores, own, strict=True) if is_own)
    tied = [abs(s - best) < 1e-12 for s in scores]
    n_own = sum(t and o for t, o in zip(tied, own, strict=True))
    return sum(s > best + 1e-12 for s in scores) + (sum(tied) + 1) / (n_own + 1)


def median_by_hand(ranks, weights):
    """Return the middle of a list in which every rank stands as often as its weight says."""
    repeated = sorted(r for r, w in zip(ranks, weights, strict=True) for _ in range(int(2 * w)))
    half = len(repeated) // 2
    return (repeated[half] + repeated[~half]) / 2


def group_measures(rng):
    """Check measures of bare arrays with groups and weights, one query at a time."""
    n, width = int(rng.integers(5, 30)), int(rng.integers(2, 5))
    # Few values, so that some candidates are exactly equal.
    queries = rng.integers(-2, 3, size=(n, width)).astype(float)
    groups, weights = draw_groups(rng, n), draw_weights(rng, n)
    codes = codes_of(groups)
    known = {"groups": groups, "sample_weight": weights}
    gallery, others = rng.integers(-2, 3, size=(n, width)).astype(float), codes
    if rng.random() < 0.4 and all(isinstance(g, str | int | np.integer) for g in groups):
        # One candidate per group, in any order: several captions search one picture.
        known["gallery_groups"] = rng.permutation(list(dict.fromkeys(groups)))
        gallery = gallery[: len(known["gallery_groups"])]
        labels = list(groups)
        others = [labels.index(label) for label in known["gallery_groups"]]
        kept = list(range(len(others)))
    else:
        kept = [j for j in range(n) if weights[j] > 0]
    counted = [k for k in range(n) if weights[k] > 0]
    ranks = []
    for k in counted:
        scores = [float(queries[k] @ gallery[j]) for j in kept]
        ranks.append(rank_by_hand(scores, [others[j] == codes[k] for j in kept]))
    heavy = weights[weights > 0]
    k = int(rng.integers(1, n))
    recall = sum(w for r, w in zip(ranks, heavy, strict=True) if r <= k) / sum(heavy)
    same(metrics.recall_at_k(queries, gallery, k, **known), recall, f"recall@{k}", 1e-9)
    same(
        metrics.median_rank(queries, gallery, **known), median_by_hand(ranks, heavy), "median", 1e-9
    )
    if "gallery_groups" not in known:
        blocks = {"p": queries, "q": gallery}
        report = metrics.retrieval_report(blocks, ks=[k], **known).loc[("p", "q")]
        reciprocal = sum(w / r for r, w in zip(ranks, heavy, strict=True)) / sum(heavy)
        same(report["mrr"], reciprocal, "reciprocal rank", 1e-9)
        same(report[f"recall@{k}"], recall, "recall of the report", 1e-9)
        drawn_recall(blocks, known, k, recall, chance_by_hand(codes, counted, heavy, k))
    return "confirmed"


def chance_by_hand(codes, counted, weights, k):
    """Return the weighted mean chance that k random candidates hold one of the query's group."""
    total = 0.0
    for query, weight in zip(counted, weights, strict=True):
        own = sum(codes[j] == codes[query] for j in counted)
        missed = 1.0
        for drawn in range(min(k, len(counted))):
            missed *= max(0, len(counted) - own - drawn) / (len(counted) - drawn)
        total += weight * (1 - missed)
    return total / sum(weights)


def drawn_recall(blocks, known, k, recall, chance):
    """Check what RetrievalDisplay draws."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from skcentrobind.plotting import RetrievalDisplay

    display = RetrievalDisplay.from_embeddings(blocks, metric=f"recall@{k}", **known)
    shown = display.text_[0, 1].get_text()
    check(shown == f"{recall:.2f}" or abs(float(shown) - recall) <= 0.005001, f"{shown}: {recall}")
    display.plot(kind="curve")
    at, values = display.chance_line_.get_data()
    here = np.flatnonzero(np.asarray(at) == k)
    if len(here):
        check(abs(values[here[0]] - chance) < 1e-9, f"chance {values[here[0]]} for {chance}")
    plt.close("all")


def held_out(rng):
    """Check that early stopping never splits a group, and that a search keeps the groups."""
    n = int(rng.integers(24, 40))
    arrays = draw_arrays(rng, n_modalities=2, n_samples=n, missing=False)
    groups = np.arange(n) // int(rng.integers(2, 5))
    rng.shuffle(groups)
    X = Modalities(arrays, groups=groups, sample_weight=draw_weights(rng, n))
    bind = make(rng, early_stopping=True, validation_fraction=0.3, max_epochs=2, pretrain_epochs=0)
    kept = groups[X.sample_weight > 0]
    splits = []

    def recorded(*args):
        splits.append(split_rows(*args))
        return splits[-1]

    with patch.object(base, "split_rows", recorded):
        bind.fit(X)
    train, valid = splits[0]
    check(not set(kept[train]) & set(kept[valid]), "early stopping splits a group")
    check(sorted([*train, *valid]) == list(range(len(kept))), "rows are lost")
    check(len(set(kept[valid])) >= 2, "one group is held out")
    bind.set_params(early_stopping=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(bind, {"temperature": [0.2]}, cv=2, refit=False).fit(X)
        half = n - n // 2
        expected = []
        for train, test in ([half, n], [0, half]), ([0, half], [half, n]):
            part = clone(bind).set_params(temperature=0.2).fit(X[slice(*train)])
            expected.append(part.score(X[slice(*test)]))
    found = [search.cv_results_[f"split{i}_test_score"][0] for i in range(2)]
    same(found, expected, "scores of a search", 1e-6)
    return "confirmed"


def bad_groups(rng):
    """Check that groups and weights that cannot be right are refused."""
    arrays = draw_arrays(rng, n_modalities=2, missing=False)
    n = len(next(iter(arrays.values())))
    frames = {k: pd.DataFrame(a, index=[f"id{i}" for i in range(n)]) for k, a in arrays.items()}
    turned = pd.Series(np.arange(n), index=[f"id{i}" for i in range(n)])[::-1]
    negative, infinite = np.ones(n), np.ones(n)
    negative[n // 2], infinite[-1] = -1, np.inf
    z = np.eye(n)
    bad = {
        "too few": lambda: Modalities(arrays, groups=np.arange(n - 1)),
        "two columns": lambda: Modalities(arrays, groups=np.ones((n, 2))),
        "another order": lambda: Modalities(frames, groups=turned),
        "weights in another order": lambda: Modalities(frames, sample_weight=turned),
        "negative": lambda: Modalities(arrays, sample_weight=negative),
        "infinite": lambda: Modalities(arrays, sample_weight=infinite),
        "words": lambda: Modalities(arrays, sample_weight=["heavy"] * n),
        "all zero": lambda: make(rng).fit(Modalities(arrays, sample_weight=np.zeros(n))),
        "too few for a measure": lambda: metrics.recall_at_k(z, z, groups=np.arange(n + 1)),
        "only of the gallery": lambda: metrics.recall_at_k(z, z, gallery_groups=np.arange(n)),
        "a group without a candidate": lambda: metrics.recall_at_k(
            z, z, groups=np.arange(n), gallery_groups=np.arange(1, n + 1)
        ),
        "an option": lambda: make(rng, same_group="both").fit(arrays),
        "no flag": lambda: make(rng, ignore_duplicates="some").fit(arrays),
    }
    words = ["groups", "sample_weight", "same_group", "ignore_duplicates"]
    return refused(bad[str(rng.choice(list(bad)))], words)
