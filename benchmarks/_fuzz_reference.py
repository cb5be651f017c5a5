"""Slow references of the fuzz campaign, written as loops over samples."""

import math

import numpy as np


class Known:
    """What is known of the samples: their groups, their weights, and the rows of each modality."""

    def __init__(self, arrays, groups=None, are_positive=True, weights=None):
        self.rows = [[tuple(row) for row in array] for array in arrays]
        self.groups = list(range(len(self.rows[0])) if groups is None else groups)
        self.are_positive = are_positive
        self.weights = [1.0] * len(self.groups) if weights is None else list(weights)

    def kind(self, k, j, modalities):
        """Say what candidate j is to query k in logits between these modalities."""
        if j == k:
            return "positive"
        if self.groups[j] == self.groups[k]:
            return "positive" if self.are_positive else "left out"
        if any(self.rows[m][j] == self.rows[m][k] for m in modalities):
            return "left out"
        return "negative"


def cross_entropy(queries, keys, temperature, known, modalities):
    """Weighted mean over the queries, one query and one key at a time."""
    total = 0.0
    for k, query in enumerate(queries):
        positive = counted = 0.0
        logits = [float(np.dot(query, key)) / temperature for key in keys]
        top = max(logits)
        for j, logit in enumerate(logits):
            kind = known.kind(k, j, modalities)
            positive += math.exp(logit - top) if kind == "positive" else 0.0
            counted += math.exp(logit - top) if kind != "left out" else 0.0
        total += known.weights[k] * math.log(counted / positive)
    return total / sum(known.weights)


def both_directions(a, b, temperature, known, modalities):
    one_way = cross_entropy(a, b, temperature, known, modalities)
    return one_way + cross_entropy(b, a, temperature, known, modalities)


def centroid_loss(blocks, temperature, known):
    """Equation (8) of arXiv:2410.02086, without augmentation."""
    centroid = [
        [sum(block[k][i] for block in blocks) / len(blocks) for i in range(len(blocks[0][0]))]
        for k in range(len(blocks[0]))
    ]
    return sum(
        both_directions(np.array(centroid), block, temperature, known, [m])
        for m, block in enumerate(blocks)
    )


def pairwise_loss(blocks, temperature, known):
    """Mean over the other modalities of symmetric InfoNCE, summed over the modalities."""
    if len(blocks) == 1:
        return both_directions(blocks[0], blocks[0], temperature, known, [0])
    total = 0.0
    for m, block in enumerate(blocks):
        others = [
            both_directions(b, block, temperature, known, [m, n])
            for n, b in enumerate(blocks)
            if n != m
        ]
        total += sum(others) / len(others)
    return total


def fixed_loss(blocks, temperature, known):
    """Symmetric InfoNCE of every other modality with the first, the anchor."""
    return sum(
        both_directions(blocks[0], block, temperature, known, [0, m])
        for m, block in enumerate(blocks)
        if m
    )


def reciprocal_rank_of_groups(blocks, known):
    """Weighted mean reciprocal rank of the best of a query's group, ties in random order."""
    means = []
    for m, queries in enumerate(blocks):
        for n, keys in enumerate(blocks):
            if m == n:
                continue
            total = 0.0
            for k, query in enumerate(queries):
                scores = [float(np.dot(query, key)) for key in keys]
                own = [group == known.groups[k] for group in known.groups]
                best = max(score for score, is_own in zip(scores, own, strict=True) if is_own)
                above = sum(score > best + 1e-12 for score in scores)
                tied = [abs(score - best) <= 1e-12 for score in scores]
                n_own = sum(t and o for t, o in zip(tied, own, strict=True))
                total += known.weights[k] / (above + (sum(tied) + 1) / (n_own + 1))
            means.append(total / sum(known.weights))
    return sum(means) / len(means)


def reciprocal_rank(blocks, present):
    """Mean reciprocal rank over all ordered pairs of modalities, ties counted in the middle."""
    means = []
    for m, queries in enumerate(blocks):
        for n, keys in enumerate(blocks):
            rows = [k for k in range(len(queries)) if present[k][m] and present[k][n]]
            if m == n or not rows:
                continue
            ranks = []
            for k in rows:
                own = float(np.dot(queries[k], keys[k]))
                scores = [float(np.dot(queries[k], keys[j])) for j in rows]
                better = sum(s > own + 1e-12 for s in scores)
                equal = sum(abs(s - own) <= 1e-12 for s in scores) - 1
                ranks.append(1 + better + equal / 2)
            means.append(sum(1 / r for r in ranks) / len(ranks))
    return sum(means) / len(means) if means else math.nan
