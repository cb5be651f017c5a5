"""Groups, duplicates and weights in every loss, compared with loops."""

import itertools
import math

import pytest
import torch

from skcentrobind.anchors import ANCHORS, FixedAnchor, MeanAnchor
from skcentrobind.losses import (
    REGULARIZERS,
    AnchorLoss,
    BaseLoss,
    GramianLoss,
    PairwiseLoss,
    PrincipalLoss,
    RegularizedLoss,
    Samples,
    SeparatedLoss,
    SymileLoss,
    Temperature,
    anchor_info_nce,
    info_nce,
    pairwise_info_nce,
    separation,
)

M, B, D = 3, 9, 4
GROUPS = torch.tensor([0, 1, 0, 2, 3, 1, 0, 4, 5])
CODES = torch.tensor(
    [
        [0, 1, 2, 3, 3, 5, 6, 3, 8],
        [0, 0, 2, 3, 4, 5, 6, 7, -1],
        [-1, 1, 1, -1, 4, 4, 6, 4, 8],
    ]
)
WEIGHT = torch.tensor([0.5, 2, 1, 3, 0.25, 1, 1, 4, 1], dtype=torch.float64)
MASK = torch.tensor(
    [
        [1, 1, 1, 1, 1, 1, 1, 1, 1],
        [1, 1, 0, 1, 0, 1, 1, 1, 0],
        [0, 1, 1, 0, 1, 1, 1, 1, 1],
    ],
    dtype=torch.bool,
)
CASES = {
    "groups": Samples(GROUPS),
    "ignored groups": Samples(GROUPS, "ignore"),
    "duplicates": Samples(duplicates=CODES),
    "duplicates of one modality": Samples(
        duplicates=torch.stack([torch.arange(9), CODES[0], torch.arange(9)])
    ),
    "duplicates of none": Samples(duplicates=torch.arange(9).expand(3, 9)),
    "weights": Samples(weight=WEIGHT),
    "groups and duplicates": Samples(GROUPS, duplicates=CODES),
    "all": Samples(GROUPS, duplicates=CODES, weight=WEIGHT),
    "all, ignored": Samples(GROUPS, "ignore", CODES, WEIGHT),
}
every_case = pytest.mark.parametrize("samples", CASES.values(), ids=CASES)
masked = pytest.mark.parametrize("mask", [None, MASK], ids=["complete", "missing"])


def unit(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(shape, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(z, dim=-1)


def naive_relation(samples, lists, k, j):
    """Say whether j is a positive of k, a negative, or neither."""
    same = samples.groups is not None and samples.groups[k] == samples.groups[j]
    if j == k or (same and samples.same_group == "positive"):
        return "positive"
    if same or any(codes[k] == codes[j] and codes[k] >= 0 for codes in lists):
        return "neither"
    return "negative"


def naive_weight(samples, k):
    return 1.0 if samples.weight is None else float(samples.weight[k])


def naive_query(logits, samples, lists, k):
    """Return minus the logarithm of the softmax, summed over the positives; logits by j."""
    kinds = {j: naive_relation(samples, lists, k, j) for j in logits}
    positive = sum(math.exp(logits[j]) for j in logits if kinds[j] == "positive")
    total = sum(math.exp(logits[j]) for j in logits if kinds[j] != "neither")
    return math.log(total / positive)


def naive_info_nce(z, a, tau, samples, mask, direction, more=None):
    losses = []
    for m in range(len(z)):
        rows = [k for k in range(z.shape[1]) if mask is None or mask[m, k]]
        anchor = a if a.ndim == 2 else a[m]
        lists = [] if samples.duplicates is None else [samples.duplicates[m]]
        lists += [] if more is None else [more[m]]
        total = 0.0
        for k in rows:
            rows_of_z = {j: float(z[m, k] @ anchor[j]) / tau for j in rows}
            rows_of_a = {j: float(anchor[k] @ z[m, j]) / tau for j in rows}
            to_anchor = naive_query(rows_of_z, samples, lists, k)
            from_anchor = naive_query(rows_of_a, samples, lists, k)
            each = {"to_anchor": to_anchor, "from_anchor": from_anchor}
            each["both"] = to_anchor + from_anchor
            total += naive_weight(samples, k) * each[direction]
        weight = sum(naive_weight(samples, k) for k in rows)
        losses.append(total / weight if weight else 0.0)
    return torch.tensor(losses, dtype=torch.float64)


@every_case
@masked
@pytest.mark.parametrize("direction", ["both", "from_anchor", "to_anchor"])
@pytest.mark.parametrize("chunk_size", [None, 4])
@pytest.mark.parametrize("per_modality", [False, True])
def test_info_nce_is_the_loops(samples, mask, direction, chunk_size, per_modality):
    z = unit(M, B, D)
    a = unit(M, B, D, seed=1) if per_modality else unit(B, D, seed=1)
    options = {"direction": direction, "present": mask, "chunk_size": chunk_size}
    found = anchor_info_nce(z, a, 0.3, samples=samples, **options)
    torch.testing.assert_close(found, naive_info_nce(z, a, 0.3, samples, mask, direction))


@every_case
def test_one_direction_alone_is_the_simple_formula(samples):
    z, a = unit(1, B, D), unit(B, D, seed=1)
    one = samples.of([1])
    found = anchor_info_nce(z, a, 0.3, direction="to_anchor", samples=one)
    torch.testing.assert_close(found[0], info_nce(z[0], a, 0.3, samples=one))


@every_case
@masked
@pytest.mark.parametrize("per_modality", [False, True])
def test_gradients(samples, mask, per_modality):
    z = unit(2, 6, 3).requires_grad_()
    a = (unit(2, 6, 3, seed=1) if per_modality else unit(6, 3, seed=1)).requires_grad_()
    temperature = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
    mask = None if mask is None else mask[1:, :6]
    some = Samples(
        None if samples.groups is None else samples.groups[:6],
        samples.same_group,
        None if samples.duplicates is None else samples.duplicates[1:, :6],
        None if samples.weight is None else samples.weight[:6],
    )

    def loss(z, a, temperature, chunk_size=2):
        return anchor_info_nce(z, a, temperature, present=mask, chunk_size=chunk_size, samples=some)

    assert torch.autograd.gradcheck(loss, (z, a, temperature))


def test_distinct_samples_of_equal_weight_change_nothing():
    z, a = unit(M, B, D), unit(B, D, seed=1)
    apart = Samples(torch.arange(B), "positive", torch.arange(B).repeat(M, 1), torch.ones(B))
    plain = anchor_info_nce(z, a, 0.2)
    torch.testing.assert_close(anchor_info_nce(z, a, 0.2, samples=apart), plain)
    torch.testing.assert_close(info_nce(z[0], a, samples=apart.of([0])), info_nce(z[0], a))


def test_a_group_of_all_samples_has_nothing_to_learn():
    z, a = unit(M, B, D).requires_grad_(), unit(B, D, seed=1)
    loss = anchor_info_nce(z, a, 0.2, samples=Samples(torch.zeros(B, dtype=torch.long)))
    loss.sum().backward()
    torch.testing.assert_close(loss.detach(), torch.zeros(M, dtype=torch.float64))
    torch.testing.assert_close(z.grad, torch.zeros_like(z.grad))


def test_low_temperatures_stay_finite_in_float32():
    z = unit(M, B, D).float().requires_grad_()
    samples = Samples(GROUPS, "positive", CODES, WEIGHT.float())
    loss = anchor_info_nce(z, z.detach()[0] * 2, 0.01, present=MASK, samples=samples)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert z.grad.isfinite().all()


@every_case
@masked
def test_pairs_leave_out_duplicates_of_either_modality(samples, mask):
    z, partners = unit(M, B, D), unit(M, B, D, seed=1)
    found = pairwise_info_nce(z, partners, 0.3, present=mask, samples=samples)
    expected = []
    for m in range(M):
        values = []
        for other in (n for n in range(M) if n != m):
            both = None if mask is None else (mask[m] & mask[other])[None]
            more = None if samples.duplicates is None else samples.duplicates[[other]]
            values.append(
                naive_info_nce(z[[m]], partners[other], 0.3, samples.of([m]), both, "both", more)
            )
        expected.append(sum(values) / len(values))
    torch.testing.assert_close(found, torch.cat(expected))


@every_case
@masked
@pytest.mark.parametrize("name", sorted(ANCHORS))
def test_every_anchor_passes_on_what_is_known(samples, mask, name):
    anchor = ANCHORS[name]()
    anchor.prepare(["a", "b", "c"])
    z, z_augmented = unit(M, B, D), unit(M, B, D, seed=1)
    found = AnchorLoss(anchor, 0.3)(z, z_augmented, mask, torch.Generator(), samples)
    expected = 0.0
    for target in anchor.targets(z_augmented, mask, torch.Generator()):
        members = list(range(M)) if target.members is None else target.members
        rows = None if mask is None else mask[members]
        if rows is not None and target.present is not None:
            rows = rows & target.present
        more = None
        if target.sources is not None and samples.duplicates is not None:
            more = samples.duplicates[target.sources]
        vectors = target.embeddings.detach()
        own = samples.of(members)
        losses = naive_info_nce(z[members], vectors, 0.3, own, rows, "both", more)
        expected += target.weight * losses.sum()
    torch.testing.assert_close(found.detach(), expected)


@pytest.mark.parametrize("freeze", [False, True])
def test_equal_rows_of_the_anchor_are_no_negatives(freeze):
    # All anchors are equal: with them as negatives, the loss would be at least log 2 a direction.
    z = unit(2, B, D)
    z[0] = z[0, 0]
    codes = torch.stack([torch.zeros(B, dtype=torch.long), torch.arange(B)])
    anchor = FixedAnchor(0, freeze=freeze)
    anchor.prepare(["a", "b"])
    loss = AnchorLoss(anchor, 0.1)(z, z, None, torch.Generator(), Samples(duplicates=codes))
    assert float(loss) == pytest.approx(0, abs=1e-9)


def naive_gramian(z, z_augmented, mask, samples, tau, eps=1e-4):
    def volume(m, query, k):
        vectors = [z[m, query]]
        vectors += [z_augmented[n, k] for n in range(M) if n != m and (mask is None or mask[n, k])]
        gram = torch.stack(vectors) @ torch.stack(vectors).T
        return float((gram + eps * torch.eye(len(gram))).det().clamp(min=0).sqrt())

    def n_present(k):
        return M if mask is None else int(mask[:, k].sum())

    total = 0.0
    for m in range(M):
        usable = [k for k in range(B) if mask is None or (mask[m, k] and n_present(k) > 1)]
        lists = [] if samples.duplicates is None else [samples.duplicates[m]]
        for turned in (False, True):
            weighted = weights = 0.0
            for k in usable:
                rows = [j for j in usable if n_present(j) == n_present(k)]
                if len(rows) < 2:
                    continue
                volumes = {j: volume(m, j, k) if turned else volume(m, k, j) for j in rows}
                logits = {j: -v / tau for j, v in volumes.items()}
                loss = naive_query(logits, samples, lists, k)
                weighted += naive_weight(samples, k) * loss
                weights += naive_weight(samples, k)
            total += weighted / weights if weights else 0.0
    return total


@every_case
@masked
def test_gramian_loss_is_the_loops(samples, mask):
    z, z_augmented = unit(M, B, 6), unit(M, B, 6, seed=1)
    found = GramianLoss(0.3)(z, z_augmented, mask, torch.Generator(), samples)
    assert float(found) == pytest.approx(naive_gramian(z, z_augmented, mask, samples, 0.3))


@every_case
def test_symile_loss_of_two_modalities_is_info_nce(samples):
    z, z_augmented = unit(2, B, D), unit(2, B, D, seed=1)
    two = samples.of([0, 1])
    found = SymileLoss(0.3)(z, z_augmented, None, torch.Generator(), two)
    expected = sum(info_nce(z[m], z_augmented[1 - m], 0.3, samples=two.of([m])) for m in (0, 1))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("mask", [None, MASK], ids=["complete", "missing"])
def test_a_tuple_is_a_positive_if_all_its_rows_are(mask):
    z, z_augmented = unit(M, B, D), unit(M, B, D, seed=1)
    one_group = Samples(torch.zeros(B, dtype=torch.long))
    loss = SymileLoss(0.3)(z, z_augmented, mask, torch.Generator(), one_group)
    assert float(loss) == pytest.approx(0, abs=1e-12)
    # Mixed tuples of two groups are negatives.
    two_groups = Samples(torch.arange(B) // 5)
    assert float(SymileLoss(0.3)(z, z_augmented, mask, torch.Generator(), two_groups)) > 0.1


def test_principal_loss_compares_samples_by_group_and_weight():
    z, z_augmented = unit(M, B, D), unit(M, B, D, seed=1)
    plain = PrincipalLoss(0.3)(z, z_augmented, None, torch.Generator())
    one_group = Samples(torch.zeros(B, dtype=torch.long))
    aligned = PrincipalLoss(0.3)(z, z_augmented, None, torch.Generator(), one_group)
    instances = plain - aligned  # what a single group leaves out
    assert float(instances) > 1
    # Equal in one modality is not equal; equal in all is.
    partly = Samples(duplicates=torch.stack([torch.zeros(B, dtype=torch.long), *CODES[:2] * 0 - 1]))
    wholly = Samples(duplicates=torch.zeros(M, B, dtype=torch.long))
    args = (z, z_augmented, None, torch.Generator())
    torch.testing.assert_close(PrincipalLoss(0.3)(*args, wholly), aligned)
    assert len(set(partly.merged(None).duplicates[0].tolist())) == B


LOSSES = {
    "anchor": lambda: AnchorLoss(MeanAnchor(), 0.3),
    "pairwise": lambda: PairwiseLoss(0.3),
    "principal": lambda: PrincipalLoss(0.3),
    "gramian": lambda: GramianLoss(0.3),
    "symile": lambda: SymileLoss(0.3),
    "regularized": lambda: RegularizedLoss(PairwiseLoss(0.3), dict.fromkeys(REGULARIZERS, 0.5)),
    "separated": lambda: SeparatedLoss(
        AnchorLoss(MeanAnchor(), 0.3), AnchorLoss(ANCHORS["mean"](), 0.3), 2, 0.7
    ),
}
every_loss = pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)


@every_loss
@masked
def test_equal_weights_and_distinct_samples_change_no_loss(make, mask):
    z, z_augmented = unit(M, B, D), unit(M, B, D, seed=1)
    loss, args = make(), (z, z_augmented, mask)
    plain = loss(*args, torch.Generator().manual_seed(0))
    apart = Samples(torch.arange(B), "ignore", torch.arange(B).repeat(M, 1), torch.full((B,), 3.0))
    torch.testing.assert_close(loss(*args, torch.Generator().manual_seed(0), apart), plain)


@every_loss
@masked
@every_case
def test_every_loss_has_finite_gradients(make, mask, samples):
    z = unit(M, B, D).requires_grad_()
    z_augmented = unit(M, B, D, seed=1).requires_grad_()
    loss, _ = make().step(z, z_augmented, mask, torch.Generator(), samples)
    loss.backward()
    assert loss.isfinite()
    assert z.grad.isfinite().all()
    assert z_augmented.grad.isfinite().all()


@every_loss
def test_a_weight_of_nearly_one_sample_leaves_its_loss(make):
    z, z_augmented = unit(M, B, D), unit(M, B, D, seed=1)
    plain = make()(z, z_augmented, None, torch.Generator())
    weight = torch.full((B,), 1e-9, dtype=torch.float64)
    weight[3] = 1.0
    heavy = make()(z, z_augmented, None, torch.Generator(), Samples(weight=weight))
    assert abs(float(heavy - plain)) > 1e-3


def test_weighted_alignment_and_consistency_are_loops():
    z = unit(M, B, D)
    for mask in (None, MASK):
        aligned, consistent = [], []
        for a, b in itertools.combinations(range(M), 2):
            rows = [k for k in range(B) if mask is None or (mask[a, k] and mask[b, k])]
            total = sum(float(WEIGHT[k]) for k in rows)
            aligned.append(
                sum(float(WEIGHT[k]) * float((z[a, k] - z[b, k]).square().sum()) for k in rows)
                / total
            )
            each = 0.0
            for j, k in itertools.product(rows, rows):
                crossed = float(z[a, j] @ z[b, k] - z[a, k] @ z[b, j]) ** 2
                within = float(z[a, j] @ z[a, k] - z[b, j] @ z[b, k]) ** 2
                each += float(WEIGHT[j]) * (crossed + within)
            consistent.append(each / total)
        weights = Samples(weight=WEIGHT)
        found = REGULARIZERS["alignment"](z, present=mask, samples=weights)
        assert float(found) == pytest.approx(sum(aligned) / len(aligned))
        found = REGULARIZERS["geometric_consistency"](z, present=mask, samples=weights)
        assert float(found) == pytest.approx(sum(consistent) / len(consistent))


@masked
@every_case
def test_uniformity_is_the_loops(mask, samples):
    z, values = unit(M, B, D), []
    for m in range(M):
        rows = [k for k in range(B) if mask is None or mask[m, k]]
        lists = [] if samples.duplicates is None else [samples.duplicates[m]]
        total = weights = 0.0
        for k, j in itertools.permutations(rows, 2):
            if naive_relation(samples, lists, k, j) == "negative":
                weight = naive_weight(samples, k)
                total += weight * math.exp(-2 * float((z[m, k] - z[m, j]).square().sum()))
                weights += weight
        values.append(math.log(total / weights))
    found = REGULARIZERS["uniformity"](z, present=mask, samples=samples)
    assert float(found) == pytest.approx(sum(values) / M)


def test_separation_weights_samples_like_copies():
    u, v = unit(M, 5, 3), unit(M, 5, 2, seed=1)
    counts = torch.tensor([1, 2, 1, 3, 1])
    copies = counts.repeat_interleave(counts) * 0 + torch.arange(5).repeat_interleave(counts)
    weighted = separation(u, v, samples=Samples(weight=counts.double()))
    torch.testing.assert_close(weighted, separation(u[:, copies], v[:, copies]))


def test_a_loss_without_the_argument_is_called_without_it():
    class Own(BaseLoss):
        def forward(self, z, z_augmented, present, generator):
            return z.sum()

    z = unit(M, B, D)
    value, _ = Own(Temperature(0.2)).step(z, z, None, torch.Generator())
    assert float(value) == pytest.approx(float(z.sum()))


def test_an_unknown_option_is_refused():
    with pytest.raises(ValueError, match="same_group must be 'positive' or 'ignore', got 'x'"):
        Samples(same_group="x")
