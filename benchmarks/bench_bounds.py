r"""Where does Theorem 3.1 of the paper hold, and how tight is it beside a corrected bound?

With unit vectors z_i of the clean and z'_l of the augmented rows of a batch of B, their mean a, and
NCE(u, v | t) the mean over k of logsumexp_j(u_k.v_j / t) - u_k.v_k / t, the theorem says

    B NCE(a, z_i | t) >= sum_l NCE(z'_l, z_i | t M / B) - sum_k log C_k.

Its proof uses Hoelder's inequality with B where M is needed, so that it can fail for B < M. At the
same temperature, for all B and M and in both directions of the loss,

    mean_l NCE(z'_l, z_i | t) - R <= NCE(a, z_i | t) <= mean_l NCE(z'_l, z_i | t)

with R the mean over l, k of R_lk^2 / 8, where R_lk is the range over j of (z'_l,k - a_k).z_i,j / t:
above by convexity, below by Hoeffding's lemma.
"""

import numpy as np
from _figures import panels, save
from _paper import binder, draw
from _report import Table, number
from _runs import Benchmark, main
from scipy.special import logsumexp

from skcentrobind.metrics import anchor_bound

BATCHES = (2, 3, 4, 8, 16, 64, 256)
TEMPERATURES = (0.1, 0.2, 0.5, 1.0, 2.0)
SHOWN = (0.2, 1.0)  # temperatures of the table
SHOWN_BATCHES = (2, 4, 16, 256)
ROUNDING = 1e-9


def nce_of(logits):
    """Return the mean over k of logsumexp_j - diagonal, for logits of shape (..., B, B)."""
    positives = np.diagonal(logits, axis1=-2, axis2=-1)
    return (logsumexp(logits, axis=-1) - positives).mean(axis=-1)


def theorem(z_augmented, z, temperature):
    """Return left and right side of the theorem for every modality i.

    Parameters
    ----------
    z_augmented, z : ndarray of float64 of shape (n_modalities, B, n_components)
    temperature : float
    """
    n_modalities, batch, _ = z.shape
    products = np.einsum("lkd,ijd->ilkj", z_augmented, z)
    left = batch * nce_of(products.mean(axis=1) / temperature)
    exponents = products * (batch / (temperature * n_modalities))
    ranges = exponents.max(axis=(1, 3)) - exponents.min(axis=(1, 3))  # (i, k)
    # log C = log (1 + e^r)^2 / (4 e^r) = 2 log cosh(r / 2), without overflow
    log_c = 2 * (np.logaddexp(ranges / 2, -ranges / 2) - np.log(2))
    right = nce_of(exponents).sum(axis=1) - log_c.sum(axis=1)
    return left, right


def one_draw(settings, seed, n_modalities, n_batches, batches, temperatures):
    (X, _), (X_test, _) = draw(settings, seed, n_modalities)
    rng = np.random.default_rng(seed)
    scale = settings["encoder"]["augmentation_scale"]
    noisy = [
        a + scale * x.std(axis=0) * rng.standard_normal(a.shape)
        for a, x in zip(X_test.arrays, X.arrays, strict=True)
    ]
    rows = [rng.permutation(len(X_test)) for _ in range(n_batches)]
    found = {}
    for encoders, method in (("untrained", "none"), ("trained", "CentroBind")):
        bind = binder(method, "random", settings, seed).fit(X)
        clean, augmented = (
            np.array(bind.transform_modalities(arrays).arrays, dtype=np.float64)
            for arrays in (X_test.arrays, noisy)
        )
        for batch in [b for b in batches if b <= len(X_test)]:
            pairs = [(augmented[:, r[:batch]], clean[:, r[:batch]]) for r in rows]
            for t in temperatures:
                found[f"{encoders}, B={batch}, t={t}"] = _check(pairs, t)
    return found


def _check(pairs, temperature):
    """Compute the figures of some batches, over all their modalities."""
    left, right = np.concatenate([theorem(*pair, temperature) for pair in pairs], axis=1)
    margin = left - right
    both = [anchor_bound(z, copies, temperature=temperature) for copies, z in pairs]
    lower, loss, upper = np.concatenate(both).T
    return {
        "checks": len(margin),
        "theorem violated": int((margin < -ROUNDING * np.abs(left).clip(1)).sum()),
        "theorem margin": float(f"{margin.mean() / np.abs(left).mean():.5g}"),
        "theorem smallest margin": float(f"{margin.min():.5g}"),
        "corrected checks": len(loss),
        "corrected violated": int(((lower > loss + ROUNDING) | (loss > upper + ROUNDING)).sum()),
        "lower": float(f"{lower.mean():.5g}"),
        "loss": float(f"{loss.mean():.5g}"),
        "upper": float(f"{upper.mean():.5g}"),
    }


def _total(runs, rows, figure):
    return sum(run[row][figure] for run in runs.values() for row in rows)


def _mean(runs, row, figure):
    return np.mean([run[row][figure] for run in runs.values()])


def _rows(runs, encoders, keep=lambda batch: True):
    first = next(iter(runs.values()))
    return [row for row in first if row.startswith(f"{encoders},") and keep(_size(row))]


def _size(row):
    return int(row.split("B=")[1].split(",")[0])


def _temperature(row):
    return float(row.split("t=")[1])


def _violations(runs, row):
    return _total(runs, [row], "theorem violated") / _total(runs, [row], "checks")


def _verdicts(results):
    for case, runs in results.items():
        m = CASES[case]["n_modalities"]
        for label, part, keep in (
            (f"Theorem 3.1 as printed, B >= {m}", "theorem", lambda b, m=m: b >= m),
            (f"Theorem 3.1 as printed, B < {m}", "theorem", lambda b, m=m: b < m),
            ("corrected two-sided bound, all B", "corrected", lambda b: True),
        ):
            for encoders in ("untrained", "trained"):
                rows = _rows(runs, encoders, keep)
                checks = "corrected checks" if part == "corrected" else "checks"
                broken = _total(runs, rows, f"{part} violated")
                n_checks = _total(runs, rows, checks)
                verdict = "does not hold" if broken else "holds"
                yield [label, case, encoders, str(n_checks), str(broken), verdict]


def report(results):
    header = ["bound", "modalities", "encoders", "checks", "violated", "verdict"]
    rows = list(_verdicts(results))
    yield Table("Bounds: where they hold, all temperatures", header, rows, "verdicts")
    rows = []
    for case, runs in results.items():
        for encoders in ("untrained", "trained"):
            for row in _rows(runs, encoders, lambda batch: batch in SHOWN_BATCHES):
                if _temperature(row) in SHOWN:
                    values = [_mean(runs, row, k) for k in ("lower", "loss", "upper")]
                    cells = [_violations(runs, row), _mean(runs, row, "theorem margin"), *values]
                    cells = [f"{cells[0]:.0%}", *(number(v, 2) for v in cells[1:])]
                    label = [case, encoders, str(_size(row)), f"{_temperature(row):g}"]
                    rows.append([*label, *cells])
    header = ["modalities", "encoders", "B", "t", "3.1 violated", "3.1: (left - right) / left"]
    header += ["corrected: below", "loss", "corrected: above"]
    n_draws = len(next(iter(results.values())))
    yield Table(f"Bounds, {n_draws} draws", header, rows, "tightness")


def figures(results):
    figure, axes = panels(1, 4, width=2.6, height=2.7)
    for axis, (case, runs) in zip(axes[0], results.items(), strict=False):
        _draw_violations(axis, case, runs)
    for encoders, axis in zip(("untrained", "trained"), axes[0, 2:], strict=True):
        _draw_sandwich(axis, results["M=4"], encoders)
    for axis in axes[0]:
        axis.tick_params(labelsize=8)
    save(figure, "bounds")


def _draw_violations(axis, case, runs):
    shares = np.array(
        [
            [_violations(runs, f"trained, B={batch}, t={t}") for t in TEMPERATURES]
            for batch in BATCHES
        ]
    )
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
    for i, j in np.ndindex(shares.shape):
        look = {"ha": "center", "va": "center", "color": "white" if shares[i, j] > 0.5 else "black"}
        axis.text(j, i, f"{100 * shares[i, j]:.0f}", fontsize=7, **look)
    axis.set_xticks(range(len(TEMPERATURES)), [f"{t:g}" for t in TEMPERATURES])
    axis.set_yticks(range(len(BATCHES)), BATCHES)
    axis.set_xlabel("temperature", fontsize=9)
    axis.set_ylabel("batch size B", fontsize=9)
    axis.set_title(f"3.1 violated, %, {case}", fontsize=9)


def _draw_sandwich(axis, runs, encoders, batch=64):
    rows = _rows(runs, encoders, lambda size: size == batch)
    temperatures = [_temperature(r) for r in rows]
    lower, loss, upper = ([_mean(runs, r, k) for r in rows] for k in ("lower", "loss", "upper"))
    fill = {"color": "#56B4E9", "alpha": 0.35, "lw": 0, "label": "corrected bound"}
    axis.fill_between(temperatures, lower, upper, **fill)
    axis.plot(temperatures, loss, color="black", marker="o", ms=4, label="loss")
    axis.set_xscale("log")
    axis.set_xticks(temperatures, [f"{t:g}" for t in temperatures])
    axis.minorticks_off()
    axis.set_ylim(min(loss) - 4, max(upper) * 1.1)
    axis.set_xlabel("temperature", fontsize=9)
    axis.set_title(f"M=4, B={batch}, {encoders} (nats)", fontsize=9)
    axis.legend(fontsize=7)


GRID = {"n_batches": 2, "batches": list(BATCHES), "temperatures": list(TEMPERATURES)}
CASES = {f"M={m}": {"n_modalities": m, **GRID} for m in (4, 8)}
BENCHMARK = Benchmark("bench_bounds", one_draw, CASES, 5, report, figures)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
