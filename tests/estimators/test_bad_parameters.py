"""Parameters that cannot work, and fits that cannot learn: messages that name the likely fix."""

import numpy as np
import pytest
from three_modalities import (
    AUDIO,
    DATA,
    IMAGE,
    TEXT,
    T,
    V,
    alternating,
    assert_refused,
    centro,
    fixed,
    put,
)
from torch import nn

from skcentrobind.anchors import MeanAnchor, WeightedAnchor


def diverging(n_epochs, cls=centro, **params):
    return cls(learning_rate=1e30, max_epochs=n_epochs, **params)


def repeat_partial_fit(bind, n_epochs):
    for _ in range(n_epochs):
        bind.partial_fit(DATA)


PARAMETERS = {
    # id: (parameters, exception, words)
    "n_components": ({"n_components": 0}, V, ["n_components=0", "at least 1"]),
    "n_components is not whole": ({"n_components": 2.0}, V, ["n_components=2.0", "integer"]),
    "unknown encoder": ({"encoder": "cnn"}, V, ["encoder='cnn'", "'residual'", "torch.nn.Module"]),
    "gamma": ({"gamma": 0}, V, ["gamma=0", "positive number", "'auto'", "per modality"]),
    "gamma in words": ({"gamma": "scale"}, V, ["gamma='scale'", "positive number"]),
    "shrinkage": ({"shrinkage": 1.5}, V, ["shrinkage=1.5", "from 0 to 1", "'oas'", "'auto'"]),
    "unknown length": ({"max_epochs": "long"}, V, ["max_epochs='long'", "'auto'", "'full'"]),
    "hidden_layer_sizes": ({"hidden_layer_sizes": 8}, V, ["hidden_layer_sizes=8", "(256,)"]),
    "hidden layer of no width": ({"hidden_layer_sizes": (8, 0)}, V, ["(8, 0)", "positive"]),
    "temperature": ({"temperature": 0}, V, ["temperature=0", "positive", "0.2"]),
    "temperature is nan": ({"temperature": np.nan}, V, ["temperature=nan", "positive"]),
    "unknown augmentation": ({"augmentation": "crop"}, V, ["augmentation='crop'", "'marginal'"]),
    "augmentation by an array": ({"augmentation": np.ones(3)}, V, ["augmentation=", "callable"]),
    "augmentations too few": ({"augmentation": ["mask"]}, V, ["has 1", "3 modalities"]),
    "augmentation_scale": ({"augmentation_scale": -1}, V, ["augmentation_scale=-1", "at least 0"]),
    "probability": (
        {"augmentation": "mask", "augmentation_scale": 2}, V, ["scale=2", "at most 1", "'mask'"],
    ),
    "probability in a list": (
        {"augmentation": [None, "marginal", None], "augmentation_scale": 2}, V, ["at most 1"],
    ),
    "standardize": (
        {"standardize": "yes"}, V, ["standardize='yes'", "True, False, 'whiten' or 'robust'"],
    ),
    "pretrain_epochs": ({"pretrain_epochs": -1}, V, ["pretrain_epochs=-1", "at least 0"]),
    "output": ({"output": "sum"}, V, ["output='sum'", "'concat', 'mean' or 'all'"]),
    "batch of one": ({"batch_size": 1}, V, ["batch_size=1", "at least 2"]),
    "max_epochs": ({"max_epochs": -1}, V, ["max_epochs=-1", "at least 0"]),
    "learning_rate": ({"learning_rate": 0}, V, ["learning_rate=0", "positive", "list or dict"]),
    "a learning rate of a modality": (
        {"learning_rate": {"image": 1e-3, "text": -1, "audio": 1e-3}}, V,
        ["learning_rate=", "'text': -1", "one per modality"],
    ),
    "no learning rates": ({"learning_rate": []}, V, ["learning_rate=[]", "positive"]),
    "learning rates too few": (
        {"learning_rate": [1e-3, 1e-4]}, V, ["learning_rate has 2", "3 modalities", "single value"],
    ),
    "learning rates of wrong names": (
        {"learning_rate": {"image": 1e-3, "txt": 1e-3, "audio": 1e-3}}, V,
        ["learning_rate", "'txt'", "['image', 'text', 'audio']", "one entry for each"],
    ),
    "weight_decay": ({"weight_decay": -0.1}, V, ["weight_decay=-0.1", "at least 0"]),
    "early_stopping": ({"early_stopping": 5}, V, ["early_stopping=5", "True or False"]),
    "validation_fraction": ({"validation_fraction": 1}, V, ["validation_fraction=1", "between"]),
    "n_iter_no_change": ({"n_iter_no_change": 0}, V, ["n_iter_no_change=0", "at least 1"]),
    "device": ({"device": "quantum"}, V, ["device='quantum'", "device='cpu'"]),
    "device that is not there": ({"device": "cuda:99"}, V, ["device='cuda:99'", "device='auto'"]),
    "device by number": ({"device": 0}, V, ["device=0", "'cuda:1'"]),
    "callbacks": ({"callbacks": ["stop"]}, V, ["callbacks=['stop']", "skorch callbacks"]),
    "a callback that is no list": ({"callbacks": "x"}, V, ["callbacks='x'", "list of skorch"]),
    "random_state": ({"random_state": "x"}, V, ["random_state='x'", "integer"]),
    "negative random_state": ({"random_state": -1}, V, ["random_state=-1", "from 0"]),
    "verbose": ({"verbose": -1}, V, ["verbose=-1", "0, 1 or 2"]),
    "detach_anchor": ({"detach_anchor": "no"}, V, ["detach_anchor='no'", "True or False"]),
    "several at once": (
        {"n_components": -1, "temperature": "hot", "output": 3, "max_epochs": None}, V,
        ["n_components=-1", "temperature='hot'", "output=3", "max_epochs=None"],
    ),
    "unknown aggregator": ({"aggregator": "meen"}, V, ["'meen'", "Did you mean 'mean'", "median"]),
    "weighted by name": ({"aggregator": "weighted"}, V, ["WeightedAnchor([", "instance"]),
    "an aggregator's class": ({"aggregator": MeanAnchor}, V, ["instance of an anchor class"]),
    "weights too few": (
        {"aggregator": WeightedAnchor([1, 2])}, V, ["2 weights", "3 modalities", "one weight"],
    ),
    "weights by wrong names": (
        {"aggregator": WeightedAnchor({"image": 1, "txt": 1, "audio": 1})}, V,
        ["txt", "['image', 'text', 'audio']"],
    ),
    "negative weight": ({"aggregator": WeightedAnchor([1, 1, -1])}, V, ["weights >= 0"]),
    "weights of nothing": ({"aggregator": WeightedAnchor([0, 0, 0])}, V, ["not all 0"]),
    "encoders too few": ({"encoder": ["mlp", "linear"]}, V, ["encoder has 2", "3 modalities"]),
    "encoders of wrong names": (
        {"encoder": {"image": "mlp", "txt": "mlp", "audio": "mlp"}}, V,
        ["encoder", "'txt'", "['image', 'text', 'audio']", "one entry for each"],
    ),
    "an unknown encoder in a dict": (
        {"encoder": {"image": "mlp", "text": "cnn", "audio": "mlp"}}, V, ["encoder=", "'cnn'"],
    ),
    "encoder that fails": (
        {"encoder": nn.Linear(7, 4)}, V, ["'image'", "(2, 6)", "float32", "cannot be multiplied"],
    ),
    "encoder of the wrong shape": (
        {"encoder": {"image": nn.Unflatten(1, (2, 3)), "text": "mlp", "audio": "mlp"}}, V,
        ["'image'", "(batch, width)", "(2, 2, 3)", "flatten or pool"],
    ),
    "encoder that pools the rows": (
        {"encoder": lambda d, k: nn.Sequential(nn.Linear(d, k), nn.Flatten(0))}, V,
        ["'image'", "(batch, width)", "(8,)"],
    ),
    "encoder that returns two things": (
        {"encoder": ["mlp", nn.LSTM(5, 4), "mlp"]}, V, ["'text'", "tuple", "(batch, width)"],
    ),
    "factory of no module": (
        {"encoder": ["mlp", lambda d, k: "mlp", "mlp"]}, T, ["'text'", "torch.nn.Module", "str"],
    ),
    "factory of another signature": (
        {"encoder": ["mlp", lambda d: nn.Linear(d, 4), "mlp"]}, V,
        ["'text'", "(n_features, n_components) = (5, 4)"],
    ),
    "identity of the wrong width": (
        {"encoder": {"image": "linear", "text": "identity", "audio": "linear"}}, V,
        ["'text'", "n_components=4", "5", "n_components=5"],
    ),
    "identities of different widths": (
        {"n_components": "auto", "encoder": ["identity", "identity", "linear"]}, V,
        ["the same for all", "{'image': 6, 'text': 5}", "choose another encoder"],
    ),
    "augmentation of the wrong shape": (
        {"augmentation": lambda x, generator: x[:, :2]}, V,
        ["augmentation must return", "shape of its input", "(40, 6)", "(40, 2)"],
    ),
    "augmentation without result": (
        {"augmentation": lambda x, generator: None}, V, ["augmentation must return", "NoneType"],
    ),
    "augmentation that makes nan": (
        {"augmentation": lambda x, generator: x / 0}, V, ["loss became nan", "epoch 1"],
    ),
}  # fmt: skip

OTHER = {
    # id: (what is done, exception, words)
    "weights of letters": (
        lambda: WeightedAnchor("abc"), V, ["one number for each modality", "'abc'"],
    ),
    "unknown anchor": (
        lambda: fixed(anchor="txt").fit(DATA), V, ["'txt'", "['image', 'text', 'audio']"],
    ),
    "anchor out of range": (lambda: fixed(anchor=3).fit(DATA), V, ["position", "got 3"]),
    "anchor that is not whole": (lambda: fixed(anchor=1.0).fit(DATA), V, ["position", "got 1.0"]),
    "no anchor": (lambda: fixed(anchor=[]).fit(DATA), V, ["anchor must name one", "got []"]),
    "the same anchor twice": (
        lambda: fixed(anchor=[0, "image"]).fit(DATA), V, ["different ones", "[0, 'image']"],
    ),
    "all anchors frozen": (
        lambda: fixed(anchor=[0, 1, 2]).fit(DATA), V, ["freezes all", "freeze_anchor=False"],
    ),
    "freeze_anchor": (
        lambda: fixed(freeze_anchor=None).fit(DATA), V, ["freeze_anchor=None", "True or False"],
    ),
    "direction": (
        lambda: fixed(direction="from").fit(DATA), V, ["direction='from'", "'from_anchor' or"],
    ),
    "nothing to train": (
        lambda: centro(encoder="identity").fit([AUDIO, AUDIO + 1]), V,
        ["nothing to train", "'identity' or frozen", "encoder='residual'"],
    ),
    "nothing but frozen modules": (
        lambda: centro(encoder=nn.Linear(4, 4).requires_grad_(False)).fit([AUDIO, AUDIO + 1]), V,
        ["nothing to train", "frozen"],
    ),
    "nothing but the frozen anchor could learn": (
        lambda: fixed(n_components=5, encoder=["linear", "identity"]).fit([IMAGE, TEXT]), V,
        ["nothing to train", "frozen"],
    ),
    "identity of one feature": (
        lambda: centro(n_components="auto", encoder=["linear", "identity"]).fit(
            [IMAGE, TEXT[:, :1]]
        ), V, ["at least 2", "{'modality1': 1}"],
    ),
    "a stack of modalities": (
        lambda: centro().fit(np.stack([TEXT, TEXT + 1])), V, ["(2, 40, 5)", "list(X)"],
    ),
    "divergence": (
        lambda: diverging(20).fit(DATA), V, ["loss became", "Lower learning_rate", "1e+30"],
    ),
    "divergence in pre-training": (
        lambda: diverging(1, fixed, pretrain_epochs=20).fit(DATA), V, ["loss became", "Lower"],
    ),
    "divergence in pieces": (
        lambda: repeat_partial_fit(diverging(1), 20), V, ["loss became", "Lower learning_rate"],
    ),
    "too few rows to stop early": (
        lambda: centro(early_stopping=True).fit({k: a[:3] for k, a in DATA.items()}), V,
        ["holds out 2 of 3", "fewer than 2", "early_stopping=False"],
    ),
    "hardly any row left to learn from": (
        lambda: centro(early_stopping=True, validation_fraction=0.99).fit(DATA), V,
        ["validation_fraction=0.99", "holds out 40 of 40", "fewer than 2"],
    ),
    "no modality left to learn from": (
        lambda: centro(early_stopping=True, validation_fraction=0.9).fit(
            put(np.nan, slice(2, None), slice(None))
        ), V, ["holds out 36 of 40", "'text'", "give more samples"],
    ),
    "no pair among the rows held out": (
        lambda: centro(early_stopping=True).fit(alternating()), V,
        ["holds out 4 of 40", "no two modalities share 2", "early_stopping=False"],
    ),
}  # fmt: skip

CASES = {
    **{
        f"parameter: {k}": (lambda p=p: centro(**p).fit(DATA), *end)
        for k, (p, *end) in PARAMETERS.items()
    },
    **OTHER,
}


@pytest.mark.parametrize("case", CASES)
def test_message(case):
    assert_refused(*CASES[case])


def test_partial_fit_that_diverges_changes_nothing():
    bind = centro(augmentation=lambda x, generator: x / flaw).set_params(random_state=0)
    flaw = 1.0
    before = bind.fit(DATA).transform(DATA)
    flaw = 0.0
    with pytest.raises(ValueError, match="diverged"):
        bind.partial_fit(DATA)
    np.testing.assert_array_equal(bind.transform(DATA), before)
