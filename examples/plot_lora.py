"""
===================================================
Pre-trained encoders: LoRA, fine-tuning or freezing
===================================================

There are three ways to use a pre-trained network: freeze it and train a projection on top; train
all of its weights, with a low learning rate; or train low-rank matrices in addition to its weights,
which is LoRA. The paper adapts ImageBind with LoRA of rank 4.
"""

# %%
# A pre-trained network
# ---------------------
# It was trained to classify upright digits. Its labels and its training are not part of the
# binding.

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

digits = load_digits()
before, rest, y_before, y_rest = train_test_split(
    digits.images / 16, digits.target, train_size=900, stratify=digits.target, random_state=0
)
torch.manual_seed(0)
backbone = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
classifier = nn.Sequential(backbone, nn.Linear(64, 10))
optimizer = torch.optim.AdamW(classifier.parameters(), lr=3e-3)
x, y = torch.tensor(before, dtype=torch.float32), torch.tensor(y_before)
for _ in range(150):
    optimizer.zero_grad()
    nn.functional.cross_entropy(classifier(x), y).backward()
    optimizer.step()

# %%
# New data
# --------
# The new pictures are rotated by 90 degrees, and each comes with the name of its digit in one of
# three languages, as counts of letter pairs.

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from skcentrobind import Modalities

NAMES = [
    "zero one two three four five six seven eight nine",
    "null eins zwei drei vier fünf sechs sieben acht neun",
    "zero uno due tre quattro cinque sei sette otto nove",
]
words = np.array([line.split() for line in NAMES])  # (3 languages, 10 digits)
counts = CountVectorizer(analyzer="char_wb", ngram_range=(2, 2)).fit(words.ravel())

turned = np.rot90(rest, axes=(1, 2)).copy()
train, test, y_train, y_test = train_test_split(
    turned, y_rest, train_size=600, stratify=y_rest, random_state=0
)
language = np.random.default_rng(0).integers(3, size=len(train))
text = counts.transform(words[language, y_train]).toarray()
X_train = Modalities({"picture": train, "name": text})
X_train

# %%
# Frozen backbone: only a projection
# ----------------------------------
# Parameters that do not require gradients do not change, and layers without other parameters stay
# in evaluation mode, so neither dropout nor the statistics of a batch normalisation affect them.
# The estimator appends a linear layer to the module if its width is not `n_components`.

import copy

frozen = copy.deepcopy(backbone).requires_grad_(False)

# %%
# All weights with a low learning rate
# ------------------------------------
# `learning_rate` may be one number per modality. A small one preserves what the network has
# learned.

rates = {
    "frozen": 3e-3,
    "all weights": 3e-3,
    "all weights, slowly": {"picture": 3e-4, "name": 3e-3},
}
encoders = {"frozen": frozen, "all weights": backbone, "all weights, slowly": backbone}

# %%
# LoRA
# ----
# `peft` wraps the two linear layers: W x becomes W x + B A x, where A has shape (4, in) and B,
# which starts at zero, (out, 4). W is frozen. The wrapped network is a module like any other.

try:
    from peft import LoraConfig, get_peft_model
except ImportError:
    print("LoRA is left out here, since peft is not installed: pip install peft")
else:
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["1", "3"])
    encoders["LoRA, rank 4"] = get_peft_model(copy.deepcopy(backbone), config)
    rates["LoRA, rank 4"] = 3e-3

# %%
# Comparison
# ----------
# The score is how often the name closest to a test picture, among the ten of each language, is that
# of its digit.

import pandas as pd

from skcentrobind import CentroBindTransformer


def share_correct(bind):
    """Return the share of test pictures whose closest name is correct, over three languages."""
    pictures = bind.transform_modality(test, "picture")
    shares = []
    for line in words:
        names = bind.transform_modality(counts.transform(line).toarray(), "name")
        shares.append(np.mean((pictures @ names.T).argmax(axis=1) == y_test))
    return np.mean(shares)


rows = {}
for name, encoder in encoders.items():
    bind = CentroBindTransformer(
        n_components=32,
        encoder={"picture": encoder, "name": "residual"},
        learning_rate=rates[name],
        max_epochs=30,
        random_state=0,
    ).fit(X_train)
    learning = [p for p in bind.encoders_["picture"].parameters() if p.requires_grad]
    n_parameters = sum(p.numel() for p in learning)
    rows[name] = {"parameters that learn": n_parameters, "read correctly": share_correct(bind)}
table = pd.DataFrame(rows).T.astype({"parameters that learn": int}).round(2)
table

# %%
# A backbone that was trained only on upright digits has to change to recognise rotated ones. The
# projection alone cannot achieve this, and LoRA achieves more of it with few weights. Here,
# training all weights is cheap and best. With a backbone of a hundred million weights, the savings
# of LoRA matter: the optimiser stores two more numbers for each trained weight, and only the pairs
# of matrices of the adapted network have to be saved.
