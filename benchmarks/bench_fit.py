"""How fast is fit, against a hand-written loop and against skorch's own data path?

All contestants train the same MLP encoders from the same initial weights on the paper's synthetic
data, with the same order of the rows and the same noise, so they must reach the same loss. They
run in one process, in turns; the figures are medians and ratios.
"""

import itertools
import time

import numpy as np
import torch
from _common import median, parser, store
from skorch import NeuralNet
from torch import nn
from torch.nn import functional as F

from skcentrobind import CentroBindTransformer
from skcentrobind._training.plan import draw_seed
from skcentrobind.datasets import make_multimodal_gmm
from skcentrobind.losses import anchor_info_nce

TEMPERATURE, NOISE, LEARNING_RATE, WEIGHT_DECAY = 0.2, 0.3, 2e-3, 1e-2
HIDDEN, WIDTH = 32, 10


def estimator(batch_size, epochs):
    return CentroBindTransformer(
        n_components=WIDTH,
        encoder="mlp",
        hidden_layer_sizes=(HIDDEN,),
        temperature=TEMPERATURE,
        augmentation_scale=NOISE,
        batch_size=batch_size,
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        max_epochs=epochs,
        device="cpu",
        random_state=0,
    )


def initial_encoders(X):
    """Make one nn.Sequential per modality, with the initial weights of our fit."""
    started = estimator(256, 0).fit(X)
    bank = started.net_.module_.groups[0]
    encoders = nn.ModuleList()
    for m, width in enumerate(bank.n_features):
        first, first_bias, last, last_bias = bank.member_parameters(m)
        layers = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, WIDTH))
        with torch.no_grad():
            layers[0].weight.copy_(first.T)
            layers[0].bias.copy_(first_bias[0])
            layers[2].weight.copy_(last.T)
            layers[2].bias.copy_(last_bias[0])
        encoders.append(layers)
    return encoders


def centroid_loss(embeddings, augmented):
    """Compute the loss of Algorithm 1: augmented centroid, cross entropy both ways."""
    anchor = torch.stack(augmented).mean(dim=0)
    labels = torch.arange(len(anchor))
    loss = 0.0
    for z in embeddings:
        logits = anchor @ z.T / TEMPERATURE
        loss = loss + F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)
    return loss


def fit_by_hand(X, encoders, batch_size, epochs):
    """Train with a plain, well-written loop of torch."""
    tensors = []
    for x in X.arrays:
        tensors.append(torch.tensor((x - x.mean(axis=0)) / x.std(axis=0), dtype=torch.float32))
    widths = [x.shape[1] for x in tensors]
    optimizer = torch.optim.AdamW(
        encoders.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
    )
    seed = draw_seed(0)
    order, source = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed + 1)
    n_samples, curve = len(X), []
    n_batches = -(-n_samples // batch_size)
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(n_samples, generator=order).tensor_split(n_batches):
            batch = [x[rows] for x in tensors]
            noise = torch.randn(len(rows), sum(widths), generator=source).split(widths, dim=1)
            embeddings, augmented = [], []
            for encoder, x, eps in zip(encoders, batch, noise, strict=True):
                embeddings.append(F.normalize(encoder(x), dim=1))
                augmented.append(F.normalize(encoder(x + NOISE * eps), dim=1))
            loss = centroid_loss(embeddings, augmented)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        curve.append(total / n_samples)
    return curve


class ByHand(nn.Module):
    """The same network in the form that skorch's default data path needs."""

    def __init__(self, encoders):
        super().__init__()
        self.encoders = encoders

    def forward(self, x):
        embeddings = [F.normalize(f(x_m), dim=1) for f, x_m in zip(self.encoders, x, strict=True)]
        augmented = [
            F.normalize(f(x_m + NOISE * torch.randn_like(x_m)), dim=1)
            for f, x_m in zip(self.encoders, x, strict=True)
        ]
        return *embeddings, *augmented


class Criterion(nn.Module):
    def forward(self, out, y):
        half = len(out) // 2
        return centroid_loss(out[:half], out[half:])


def fit_by_skorch(X, encoders, batch_size, epochs):
    """Train with skorch and its defaults."""
    arrays = [((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32) for x in X.arrays]
    net = NeuralNet(
        ByHand(encoders),
        Criterion,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=WEIGHT_DECAY,
        lr=LEARNING_RATE,
        batch_size=batch_size,
        max_epochs=epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    return net.fit(arrays).history[:, "train_loss"]


def fit_by_us(X, encoders, batch_size, epochs):
    return estimator(batch_size, epochs).fit(X).loss_curve_


CONTESTANTS = {
    "hand-written": fit_by_hand,
    "skorch default": fit_by_skorch,
    "skcentrobind": fit_by_us,
}


def race(X, batch_size, threads, epochs, repeats):
    """Time all contestants in turns and compare their final losses."""
    torch.set_num_threads(threads)
    seconds = {name: [] for name in CONTESTANTS}
    curves = {}
    for repeat in range(repeats + 1):
        for name, fit in CONTESTANTS.items():
            encoders = initial_encoders(X)
            start = time.perf_counter()
            curves[name] = fit(X, encoders, batch_size, epochs)
            if repeat:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    ours, hand = curves["skcentrobind"][-1], curves["hand-written"][-1]
    pairs = {
        name: [a / b for a, b in zip(seconds[name], seconds["skcentrobind"], strict=True)]
        for name in CONTESTANTS
    }
    return {
        "threads": threads,
        "batch_size": batch_size,
        "seconds": {name: median(values) for name, values in seconds.items()},
        "ratio_hand_written": median(pairs["hand-written"]),
        "ratio_skorch_default": median(pairs["skorch default"]),
        "loss": float(f"{ours:.6g}"),
        "loss_relative_difference": float(f"{abs(ours - hand) / hand:.2g}"),
    }


def race_losses(batch_size, threads, repeats, n_modalities=4, width=16):
    """Time loss and gradient alone; peak memory is what one call allocates."""
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    z = F.normalize(torch.randn(n_modalities, batch_size, width, generator=generator), dim=-1)
    z.requires_grad_()

    def by_hand():
        return centroid_loss(list(z), list(z))

    def ours():
        return anchor_info_nce(z, z.mean(dim=0), TEMPERATURE, bounded=True).sum()

    seconds, values, gradients = {"hand-written": [], "skcentrobind": []}, {}, {}
    for repeat in range(repeats + 1):
        for name, function in (("hand-written", by_hand), ("skcentrobind", ours)):
            start = time.perf_counter()
            values[name] = function()
            (gradients[name],) = torch.autograd.grad(values[name], z)
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(seconds["hand-written"], seconds["skcentrobind"], strict=True)]
    difference = (gradients["hand-written"] - gradients["skcentrobind"]).abs().max()
    return {
        "threads": threads,
        "batch_size": batch_size,
        "milliseconds": {name: 1e3 * median(values) for name, values in seconds.items()},
        "ratio": median(ratios),
        "memory_MB": {
            "hand-written": _peak_megabytes(by_hand, z),
            "skcentrobind": _peak_megabytes(ours, z),
        },
        "largest_gradient_difference": float(f"{difference:.1e}"),
    }


def _peak_megabytes(function, z):
    """Return the largest sum of live allocations of loss and gradient, by torch's profiler."""
    with torch.profiler.profile(profile_memory=True) as profile:
        torch.autograd.grad(function(), z)
    live = peak = 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return round(peak / 1e6, 2)


def main():
    options = parser(__doc__).parse_args()
    smoke = options.smoke
    n_samples, epochs = (256, 2) if smoke else (8000, 4)
    batches = (64,) if smoke else (64, 256, 1024)
    threads = (1,) if smoke else (1, 2)
    repeats = options.repeats or (1 if smoke else 7)
    X, _ = make_multimodal_gmm(n_samples, n_modalities=4, random_state=0)

    print(f"fit: {n_samples} samples, 4 modalities, MLP 16-{HIDDEN}-{WIDTH}, {epochs} epochs")
    print(
        "threads batch | hand-written  skorch      ours | hand/ours skorch/ours | loss differs by"
    )
    fits = []
    for t, batch_size in itertools.product(threads, batches):
        row = race(X, batch_size, t, epochs, repeats)
        fits.append(row)
        s = row["seconds"]
        print(
            f"{t:7d} {batch_size:5d} | {s['hand-written']:10.2f} s {s['skorch default']:6.2f} s "
            f"{s['skcentrobind']:6.2f} s | {row['ratio_hand_written']:9.2f} "
            f"{row['ratio_skorch_default']:11.2f} | {row['loss_relative_difference']:.1e}"
        )

    print("\nloss and gradient alone, 4 modalities of width 16")
    print("threads batch | hand-written      ours | hand/ours | memory, MB: hand-written  ours")
    losses = []
    for t, batch_size in itertools.product(threads, (64,) if smoke else (64, 256, 1024, 4096)):
        row = race_losses(batch_size, t, repeats)
        losses.append(row)
        ms, mb = row["milliseconds"], row["memory_MB"]
        print(
            f"{t:7d} {batch_size:5d} | {ms['hand-written']:9.2f} ms {ms['skcentrobind']:6.2f} ms | "
            f"{row['ratio']:9.2f} | {mb['hand-written']:24.1f} {mb['skcentrobind']:5.1f}"
        )
    if not smoke:
        store("bench_fit", {"repeats": repeats, "epochs": epochs, "fit": fits, "loss": losses})


if __name__ == "__main__":
    main()
