"""Slow references of the fuzz campaign, written as loops over samples."""

import math

import numpy as np


def cross_entropy(queries, keys, temperature):
    """Mean over the queries of logsumexp - positive, one query and one key at a time."""
    total = 0.0
    for k, query in enumerate(queries):
        logits = [float(np.dot(query, key)) / temperature for key in keys]
        top = max(logits)
        total += top + math.log(sum(math.exp(v - top) for v in logits)) - logits[k]
    return total / len(queries)


def both_directions(a, b, temperature):
    return cross_entropy(a, b, temperature) + cross_entropy(b, a, temperature)


def centroid_loss(blocks, temperature):
    """Equation (8) of arXiv:2410.02086, without augmentation."""
    centroid = [
        [sum(block[k][i] for block in blocks) / len(blocks) for i in range(len(blocks[0][0]))]
        for k in range(len(blocks[0]))
    ]
    return sum(both_directions(np.array(centroid), block, temperature) for block in blocks)


def pairwise_loss(blocks, temperature):
    """Mean over the other modalities of symmetric InfoNCE, summed over the modalities."""
    if len(blocks) == 1:
        return both_directions(blocks[0], blocks[0], temperature)
    total = 0.0
    for m, block in enumerate(blocks):
        others = [b for n, b in enumerate(blocks) if n != m]
        total += sum(both_directions(b, block, temperature) for b in others) / len(others)
    return total


def fixed_loss(blocks, temperature):
    """Symmetric InfoNCE of every other modality with the first, the anchor."""
    return sum(both_directions(blocks[0], block, temperature) for block in blocks[1:])


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
