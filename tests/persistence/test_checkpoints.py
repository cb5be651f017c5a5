"""A fit that was killed goes on from its checkpoint, with the numbers of one that was not."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from conftest import QUICK, draw, same
from faults import FaultAtCall
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch import nn

import skcentrobind
from skcentrobind import CentroBindTransformer, load

pytest.importorskip("safetensors", reason="the extra `save` is not installed")

X = draw()[0]


def dropout(n_features, n_components):
    return nn.Sequential(nn.Linear(n_features, 6), nn.Dropout(0.5), nn.Linear(6, n_components))


class Sums(Callback):
    """Has a state of its own that its later behaviour depends on."""

    def __init__(self):
        self.total, self.losses = 0.0, []

    def on_epoch_end(self, net, **kwargs):
        self.total += net.history[-1, "train_loss"]
        self.losses.append((net.phase, self.total))
        net.optimizer_.param_groups[0]["lr"] = 1e-2 / (1 + self.total)


class SumsByMethods(Sums):
    """Says by itself what its state is, since a part of it is no data."""

    def __init__(self):
        super().__init__()
        self.lock = print

    def on_train_begin(self, net, **kwargs):
        self.handle = object()

    def state_dict(self):
        return {"total": self.total, "losses": self.losses}

    def load_state_dict(self, state):
        self.total, self.losses = state["total"], state["losses"]


def scheduler(policy, **kwargs):
    return LRScheduler(getattr(torch.optim.lr_scheduler, policy), **kwargs)


SETTINGS = {
    "plain": {},
    "pretrained": {"pretrain_epochs": 3},
    "stopped": {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 2},
    "dropout": {"encoder": ["mlp", dropout, "linear"], "pretrain_epochs": 2},
    "learned": {"learn_temperature": True, "n_specific_components": 2, "batch_size": 10},
    "step": {"callbacks": [scheduler("StepLR", step_size=2)], "pretrain_epochs": 2},
    "plateau": {"callbacks": [scheduler("ReduceLROnPlateau", monitor="train_loss", patience=0)]},
    "cycle": {
        "callbacks": [scheduler("OneCycleLR", max_lr=0.1, total_steps=40, step_every="batch")],
        "batch_size": 20,
    },
    "callbacks": {"callbacks": [("a", Sums()), SumsByMethods()], "pretrain_epochs": 2},
    "stopping": {
        "callbacks": [EarlyStopping("train_loss", patience=1, threshold=0.1, sink=len)],
    },
    "none": {"random_state": None, "max_epochs": 4},
}


def make(name):
    return CentroBindTransformer(**{**QUICK, "max_epochs": 6, **SETTINGS[name]})


def numbers(bind):
    """All that training leaves, but for times."""
    heard = [cb for _, cb in bind.net_.callbacks_ if isinstance(cb, Sums)]
    state = bind.net_.optimizer_.state_dict()
    moments = {(i, k): t.tolist() for i, m in state["state"].items() for k, t in m.items()}
    rates = [group["lr"] for group in state["param_groups"]]
    net = bind.net_
    random = [g.get_state().tolist() for g in (net.order_generator_, net.generator_)]
    return (
        bind.transform(X).tobytes(),
        bind.loss_curve_,
        bind.validation_scores_,
        bind.temperature_,
        [(cb.total, cb.losses) for cb in heard],
        moments,
        rates,
        random,
        net.global_state_.tolist(),
    )


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "none"])
def test_a_fit_goes_on_wherever_it_ended(name, every, path):
    expected = numbers(make(name).fit(X))
    n = 40
    while True:
        path.unlink(missing_ok=True)
        # Twice, since a resumed fit may be killed, too.
        first = FaultAtCall(n).run(lambda: make(name).fit(X, checkpoint=path))
        if not first:
            break
        FaultAtCall(n).run(lambda: make(name).fit(X, checkpoint=path, checkpoint_every=every))
        resumed = make(name).fit(X, checkpoint=path, checkpoint_every=every)
        assert numbers(resumed) == expected
        n += 211
    assert n > 400
    # The file of a fit that has ended gives its result.
    assert numbers(make(name).fit(X, checkpoint=path)) == expected
    assert not list(path.parent.glob("*.part"))


def test_a_fit_without_a_seed_keeps_the_one_it_drew(path):
    class Notes(Callback):
        def on_epoch_end(self, net, **kwargs):
            notes.append(net.seed)
            if len(notes) == 2:
                raise SystemExit

    notes = []
    with pytest.raises(SystemExit):
        make("none").set_params(callbacks=[Notes()]).fit(X, checkpoint=path)
    bind = make("none").set_params(callbacks=[Notes()]).fit(X, checkpoint=path)
    assert len(set(notes)) == 1
    assert bind.n_iter_ == 4


def test_writing_changes_nothing(each, path):
    plain, written = each().fit(X), each().fit(X, checkpoint=path, checkpoint_every=2)
    assert same(written.transform(X), plain.transform(X))
    assert same(each().fit(X, checkpoint=path).transform(X), plain.transform(X))
    assert same(written.partial_fit(X).transform(X), plain.partial_fit(X).transform(X))
    assert [name for name, _ in written.net_.callbacks_] == [n for n, _ in plain.net_.callbacks_]


def test_the_file_is_written_as_often_as_asked(path):
    class Watch(Callback):
        def on_epoch_begin(self, net, **kwargs):
            seen.append(path.stat().st_mtime_ns if path.exists() else 0)

    seen = []
    make("plain").set_params(callbacks=[Watch()]).fit(X, checkpoint=path, checkpoint_every=3)
    assert [len(set(seen[:3])), len(set(seen[3:])), len(set(seen))] == [1, 1, 2]
    assert seen[0] == 0


# Refusals

OTHER = {
    "another temperature": ({"temperature": 0.3}, X, ["other parameters", "temperature"]),
    "more epochs": ({"max_epochs": 9}, X, ["other parameters", "max_epochs"]),
    "another encoder": ({"encoder": [nn.Linear(6, 4), "mlp", "mlp"]}, X, ["encoder"]),
    "other callbacks": ({"callbacks": [Sums()]}, X, ["callbacks"]),
    "another seed": ({"random_state": 1}, X, ["random_state"]),
    "another row": ({}, {k: np.vstack([a[:-1], a[:1]]) for k, a in X.items()}, ["other data"]),
    "other rows": ({}, X[:30], ["other data", "'image'"]),
    "another modality": ({}, {**dict(X.items()), "text": X["text"] + 1e-9}, ["data", "'text'"]),
    "other names": ({}, list(X.arrays), ["other data"]),
    "another order": ({}, X[["text", "image", "audio"]], ["other data"]),
}


@pytest.mark.parametrize("name", OTHER)
def test_a_checkpoint_of_something_else_is_refused(name, path):
    params, data, words = OTHER[name]
    make("plain").fit(X, checkpoint=path)
    bind = make("plain").set_params(**params)
    if name == "another order":
        data = skcentrobind.Modalities({k: X[k] for k in ("audio", "text", "image")})
    with pytest.raises(ValueError, match="cannot be resumed") as caught:
        bind.fit(data, checkpoint=path)
    assert all(word in str(caught.value) for word in words)
    assert not hasattr(bind, "net_")


def test_a_module_with_other_weights_is_refused(path):
    module = nn.Linear(6, 4)
    params = {**QUICK, "encoder": [module, "mlp", "mlp"]}
    CentroBindTransformer(**params).fit(X, checkpoint=path)
    CentroBindTransformer(**params).fit(X, checkpoint=path)
    with torch.no_grad():
        module.weight += 1
    with pytest.raises(ValueError, match="encoder"):
        CentroBindTransformer(**params).fit(X, checkpoint=path)


def test_verbose_may_change(path, capsys):
    expected = make("plain").fit(X, checkpoint=path).transform(X)
    bind = make("plain").set_params(verbose=2).fit(X, checkpoint=path)
    assert same(bind.transform(X), expected)


def test_other_files_are_refused(path, tmp_path):
    bind = make("plain").fit(X)
    bind.save(path)
    with pytest.raises(ValueError, match=r"fit\(checkpoint=...\) has not written it"):
        make("plain").fit(X, checkpoint=path)
    make("plain").fit(X, checkpoint=tmp_path / "point")
    with pytest.raises(ValueError, match=r"estimator.save\(path\) has not written it"):
        load(tmp_path / "point")
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="damaged"):
        make("plain").fit(X, checkpoint=path)


def test_a_file_of_another_version_is_refused(path, monkeypatch):
    make("plain").fit(X, checkpoint=path)
    monkeypatch.setattr("skcentrobind._persistence.checkpoint.__version__", "9.9")
    with pytest.raises(ValueError, match=r"0\.\d.* wrote it, this is 9\.9"):
        make("plain").fit(X, checkpoint=path)


BAD = {
    "a number": ({"checkpoint": 3}, TypeError, "path or None"),
    "a folder": ({"checkpoint": "."}, ValueError, "is a folder"),
    "nowhere": ({"checkpoint": "no/such/folder/x"}, ValueError, "does not exist"),
    "zero": ({"checkpoint": "x", "checkpoint_every": 0}, ValueError, "positive integer"),
    "a half": ({"checkpoint": "x", "checkpoint_every": 0.5}, ValueError, "positive integer"),
    "yes": ({"checkpoint": "x", "checkpoint_every": True}, ValueError, "positive integer"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused_before_the_training(name):
    kwargs, error, words = BAD[name]
    with pytest.raises(error, match=words):
        make("plain").fit(X, **kwargs)


def test_a_callback_whose_state_is_no_data_is_refused(path):
    class Holds(Callback):
        def on_epoch_end(self, net, **kwargs):
            self.thing = object()

    with pytest.raises(TypeError, match=r"checkpoint: .*Holds\.thing \(object\).*state_dict"):
        make("plain").set_params(callbacks=[Holds()]).fit(X, checkpoint=path)


def test_a_pipeline_passes_the_path(path):
    y = draw()[1]
    classifier = MLPClassifier(max_iter=5, random_state=0)
    pipe = make_pipeline(make("plain"), classifier)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        pipe.fit(X, y, centrobindtransformer__checkpoint=path)
    assert path.exists()


# Killed processes

SCRIPT = """
import sys, torch
sys.path.insert(0, {folder!r})
from test_checkpoints import X, make_slow

torch.set_num_threads(1)
bind = make_slow()
print("begins", flush=True)
bind.fit(X, checkpoint=sys.argv[1])
"""


class Slow(Callback):
    pause = 0.01

    def on_batch_begin(self, net, **kwargs):
        time.sleep(self.pause)


def make_slow():
    return make("callbacks").set_params(max_epochs=40, callbacks=[Slow(), Sums()])


def kill_fit(path, after):
    """Start the fit in a process of its own, and kill it after some seconds."""
    folder = os.path.dirname(__file__)
    paths = os.pathsep.join([os.path.dirname(folder), os.getcwd()])
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(folder=folder), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert process.stdout.readline() == "begins\n"
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_killed_process_goes_on(tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for moment in np.random.default_rng(0).uniform(0.05, 0.45, size=2):
        kill_fit(tmp_path / "cut", moment)
    monkeypatch.setattr(Slow, "pause", 0)
    expected = numbers(make_slow().fit(X))
    assert numbers(make_slow().fit(X, checkpoint=tmp_path / "cut")) == expected
    torch.set_num_threads(threads)
