"""Kill fits at random moments, and compare what comes out of the checkpoint in the end.

    python benchmarks/bench_kill.py

Every round starts a fit with a checkpoint in a process of its own, kills it by SIGKILL at a random
moment, and lets a second process go on. Weights, moments of the optimiser, losses and the state of
callbacks must equal those of a fit that was never killed, bit for bit. The moments are drawn over
the whole fit, pre-training and early stopping included.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from _common import NAMED, parser, store
from skorch.callbacks import Callback, LRScheduler

from skcentrobind import CentroBindTransformer
from skcentrobind.datasets import make_multimodal_gmm

SETTINGS = {
    "plain": {},
    "pre-training": {"pretrain_epochs": 8},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 30},
    "schedule": {"callbacks": [LRScheduler("StepLR", step_size=3)], "pretrain_epochs": 4},
}


class Sum(Callback):
    """Sums the losses of all epochs, the pre-training's included."""

    def __init__(self):
        self.total = 0.0

    def on_epoch_end(self, net, **kwargs):
        self.total += net.history[-1, "train_loss"]


def make(name, n_epochs):
    params = {"n_components": 16, "max_epochs": n_epochs, "batch_size": 64, "random_state": 0}
    params |= NAMED
    return CentroBindTransformer(**params | SETTINGS[name])


def fit(name, n_epochs, path):
    """Fit and return a digest of everything that training leaves."""
    torch.set_num_threads(1)
    X, _ = make_multimodal_gmm(400, random_state=0)
    bind = make(name, n_epochs)
    bind.set_params(callbacks=[*(bind.callbacks or []), Sum()])
    print("begins", flush=True)
    bind.fit(X, checkpoint=path)
    net = bind.net_
    digest = hashlib.sha256(bind.transform(X).tobytes())
    for moments in net.optimizer_.state_dict()["state"].values():
        for key in sorted(moments):
            digest.update(moments[key].numpy().tobytes())
    total = next(cb.total for _, cb in net.callbacks_ if isinstance(cb, Sum))
    digest.update(json.dumps([bind.loss_curve_, bind.validation_scores_, total]).encode())
    return digest.hexdigest()


def run(name, n_epochs, path, kill_after=None):
    """Fit in a process of its own, which may be killed; return its digest and its seconds."""
    command = [sys.executable, __file__, "--child", name, str(n_epochs), str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begins\n"
    start = time.perf_counter()
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(process.pid, signal.SIGKILL)
    out, _ = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode == -signal.SIGKILL:
        return None, seconds
    assert process.returncode == 0
    return out.strip(), seconds


def run_here(name, n_epochs, path):
    """Fit in this process, which saves the start of another one."""
    start = time.perf_counter()
    return fit(name, n_epochs, path), time.perf_counter() - start


def main():
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--child", nargs=3, default=None, help="used by the script itself")
    given = options.parse_args()
    if given.child:
        name, n_epochs, path = given.child
        print(fit(name, int(n_epochs), path), flush=True)
        return
    if not hasattr(signal, "SIGKILL"):
        print("there is no SIGKILL on this system")
        return
    n_kills, n_epochs = (1, 10) if given.smoke else (20, 60)
    unharmed = run_here if given.smoke else run
    names = list(SETTINGS)[:1] if given.smoke else list(SETTINGS)
    rng, rounds = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as folder:
        whole = {name: unharmed(name, n_epochs, Path(folder) / f"{name}.whole") for name in names}
        for k in range(n_kills):
            name = names[k % len(names)]
            path = Path(folder) / f"{k}"
            digest, seconds = whole[name]
            moment = float(rng.uniform(0, 0.95 * seconds))
            killed, _ = run(name, n_epochs, path, kill_after=moment)
            found, left = unharmed(name, n_epochs, path)
            rounds.append(
                {
                    "setting": name,
                    "killed_after": round(moment, 3),
                    "whole": round(seconds, 3),
                    "rest": round(left, 3),
                    "was_killed": killed is None,
                    "is_equal": found == digest,
                }
            )
            print(rounds[-1], flush=True)
    counts = {key: sum(r[key] for r in rounds) for key in ("was_killed", "is_equal")}
    print(f"{counts['was_killed']} of {n_kills} killed, {counts['is_equal']} resumed bit for bit")
    if not given.smoke:
        store("bench_kill", {"n_kills": n_kills, **counts, "rounds": rounds})
    if counts["is_equal"] < n_kills:
        sys.exit(1)


if __name__ == "__main__":
    main()
