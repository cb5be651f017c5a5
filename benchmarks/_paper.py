"""The paper's synthetic experiments: its own figures, and the protocol that reproduces them.

The figures are those of arXiv:2410.02086v2. What the paper leaves open (sizes, widths, optimiser,
temperature, probe) was calibrated on the rows without binding, which are not compared, see
calibrate_paper.py, and then left alone.
"""

import os
import warnings

# Read when torch, scikit-learn and UMAP are loaded. UMAP's threads would stay and slow down torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer
from skcentrobind.anchors import WeightedAnchor
from skcentrobind.datasets import make_multimodal_gmm

BACKBONES = ("pre-trained", "random")

#: Table 3: accuracies of the embeddings of X1, X2, X3, X4 and of all concatenated.
TABLE3 = {
    "pre-trained": {
        "none": (0.2166, 0.2878, 0.3536, 0.3923, 0.6985),
        "FixedAnchor X1": (0.2180, 0.2736, 0.3210, 0.2999, 0.5541),
        "FixedAnchor X4": (0.2483, 0.3349, 0.4207, 0.3896, 0.7024),
        "CentroBind": (0.2540, 0.3433, 0.4162, 0.4559, 0.6974),
    },
    "random": {
        "none": (0.2109, 0.2472, 0.2597, 0.2815, 0.6648),
        "FixedAnchor X1": (0.2119, 0.2587, 0.3034, 0.3081, 0.5502),
        "FixedAnchor X4": (0.2447, 0.3076, 0.3826, 0.2813, 0.6742),
        "CentroBind": (0.2582, 0.3392, 0.4224, 0.4649, 0.7006),
    },
}

#: Table 4: accuracies of the embeddings of X2, X4 and of all concatenated, by quality.
TABLE4 = {
    "X4 good": {
        "pre-trained": {
            "none": (0.115, 0.296, 0.566),
            "FixedAnchor X4": (0.124, 0.297, 0.639),
            "CentroBind": (0.131, 0.363, 0.618),
            "weighted": (0.133, 0.342, 0.609),
            "random + intra": (0.131, 0.347, 0.613),
            "random": (0.147, 0.359, 0.619),
            "median": (0.134, 0.363, 0.634),
        },
        "random": {
            "none": (0.092, 0.114, 0.487),
            "FixedAnchor X4": (0.131, 0.143, 0.575),
            "CentroBind": (0.132, 0.355, 0.626),
            "weighted": (0.115, 0.347, 0.619),
            "random + intra": (0.132, 0.333, 0.602),
            "random": (0.145, 0.354, 0.618),
            "median": (0.137, 0.347, 0.612),
        },
    },
    "X3 and X4 good": {
        "pre-trained": {
            "none": (0.099, 0.256, 0.537),
            "FixedAnchor X4": (0.115, 0.263, 0.540),
            "CentroBind": (0.116, 0.336, 0.563),
            "weighted": (0.102, 0.338, 0.574),
            "random + intra": (0.105, 0.353, 0.554),
            "random": (0.097, 0.327, 0.579),
            "median": (0.112, 0.375, 0.582),
        },
        "random": {
            "none": (0.067, 0.176, 0.465),
            "FixedAnchor X4": (0.112, 0.153, 0.523),
            "CentroBind": (0.113, 0.336, 0.559),
            "weighted": (0.109, 0.336, 0.556),
            "random + intra": (0.104, 0.309, 0.562),
            "random": (0.097, 0.324, 0.552),
            "median": (0.112, 0.330, 0.565),
        },
    },
}

#: The modal qualities of Table 4, which are the weights of its weighted anchor, too.
QUALITIES = {"X4 good": (0.2, 0.2, 0.2, 1.0), "X3 and X4 good": (0.2, 0.2, 0.8, 0.8)}

SETTINGS = {
    "data": {"n_train": 8000, "n_test": 3000, "n_classes": 50},
    "encoder": {
        "n_components": 12,
        "encoder": "mlp",
        "hidden_layer_sizes": [128],
        "temperature": 0.2,
        "augmentation": "gaussian",
        "augmentation_scale": 0.3,
        "learning_rate": 2e-3,
        "batch_size": 256,
        "max_epochs": 15,
        "device": "cpu",
    },
    "pretrain_epochs": 15,
    "probe": {
        "hidden_layer_sizes": [128],
        "learning_rate_init": 3e-3,
        "batch_size": 500,
        "max_iter": 15,
    },
    "logistic": {"max_iter": 500, "tol": 1e-3},
}
SMOKE_SETTINGS = {
    "data": {"n_train": 240, "n_test": 120, "n_classes": 5},
    "encoder": {**SETTINGS["encoder"], "max_epochs": 1},
    "pretrain_epochs": 1,
    "probe": {
        **SETTINGS["probe"],
        "hidden_layer_sizes": [8],
        "batch_size": 100,
        "max_iter": 2,
    },
    "logistic": {"max_iter": 500, "tol": 1e-1},
}

#: Path in the settings -> (what it is, whether the paper states it).
DESCRIBED = {
    "data.n_classes": ("classes of the mixture", "stated"),
    "data.n_train": ("training samples", "open"),
    "data.n_test": ("test samples", "open"),
    "encoder.encoder": ('encoders ("simple MLP")', "stated"),
    "encoder.hidden_layer_sizes": ("their hidden layers", "open"),
    "encoder.n_components": ("width of the embeddings", "open"),
    "encoder.temperature": ("temperature of the loss", "open for these data"),
    "encoder.augmentation": ("augmentation of arrays", "open"),
    "encoder.augmentation_scale": ("its strength, in s.d. of a feature", "open"),
    "encoder.learning_rate": ("learning rate of AdamW", "open"),
    "encoder.batch_size": ("batch size", "open for these data"),
    "encoder.max_epochs": ("epochs of binding", "open"),
    "pretrain_epochs": ("epochs of pre-training with InfoNCE", "open"),
    "probe.hidden_layer_sizes": ('hidden layers of the probe ("simple MLP")', "open"),
    "probe.learning_rate_init": ("learning rate of the probe", "open"),
    "probe.batch_size": ("batch size of the probe", "open"),
    "probe.max_iter": ("epochs of the probe", "open"),
    "logistic.tol": ("tolerance of the logistic probe", "not in the paper"),
}

AGGREGATORS = {
    "CentroBind": lambda weights: "mean",
    "weighted": lambda weights: WeightedAnchor(list(weights)),
    "random + intra": lambda weights: "random_intra",
    "random": lambda weights: "random",
    "median": lambda weights: "median",
}


def draw(settings, seed, n_modalities=4, qualities=None):
    """Draw a mixture with its networks and samples: (X_train, y_train), (X_test, y_test)."""
    sizes = settings["data"]
    n_train = sizes["n_train"]
    X, y = make_multimodal_gmm(
        n_train + sizes["n_test"],
        n_modalities=n_modalities,
        n_classes=sizes["n_classes"],
        qualities=qualities,
        random_state=seed,
    )
    return (X[:n_train], y[:n_train]), (X[n_train:], y[n_train:])


def binder(method, backbone, settings, seed, weights=None, **changes):
    """Make the estimator of a method; "none" keeps the encoders as drawn or pre-trained."""
    options = {**settings["encoder"], "random_state": seed, **changes}
    options["pretrain_epochs"] = settings["pretrain_epochs"] if backbone == "pre-trained" else 0
    if method == "none":
        return CentroBindTransformer(**{**options, "max_epochs": 0})
    if method.startswith("FixedAnchor "):
        return FixedAnchorBindTransformer(anchor=method.split()[1], **options)
    return CentroBindTransformer(aggregator=AGGREGATORS[method](weights), **options)


def _score(classifier, train, y_train, test, y_test):
    scaler = StandardScaler().fit(train)
    with warnings.catch_warnings():
        # The probe is meant to stop after a few epochs.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(scaler.transform(train), y_train)
    return round(float(classifier.score(scaler.transform(test), y_test)), 5)


def probe(train, test, settings, seed, columns=None, logistic=False):
    """Return test accuracies of probes on embeddings or raw data, by column of the paper's tables.

    Parameters
    ----------
    train, test : tuple of Modalities and labels
    settings : dict
    seed : int
        Of the MLP's initial weights.
    columns : list of str, default=None
        Of "Z1", "Z2", ..., "All"; None takes all of them.
    logistic : bool, default=False
        Whether to fit logistic regression, too, in columns called "Z1 logistic", ...

    Returns
    -------
    accuracies : dict of str to float
        With the mean over the modalities as "mean Z" if all of them are there.
    """
    (Z_train, y_train), (Z_test, y_test) = train, test
    names = [f"Z{m}" for m in range(1, Z_train.n_modalities + 1)]
    arrays = dict(zip(names, zip(Z_train.arrays, Z_test.arrays, strict=True), strict=True))
    arrays["All"] = np.hstack(Z_train.arrays), np.hstack(Z_test.arrays)
    found = {}
    for column in columns or arrays:
        a, b = arrays[column]
        mlp = MLPClassifier(random_state=seed, **settings["probe"])
        found[column] = _score(mlp, a, y_train, b, y_test)
        if logistic:
            linear = LogisticRegression(**settings["logistic"])
            found[f"{column} logistic"] = _score(linear, a, y_train, b, y_test)
    for kind in ("", " logistic"):
        if all(name + kind in found for name in names):
            mean = np.mean([found[name + kind] for name in names])
            found[f"mean Z{kind}"] = round(float(mean), 5)
    return found


def embed(estimator, train, test):
    """Replace the data by their embeddings."""
    return tuple((estimator.transform_modalities(X), y) for X, y in (train, test))
