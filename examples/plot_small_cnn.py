"""
================================================================
Custom encoders: a small CNN for pictures, a small GRU for words
================================================================

Rows may have any shape, and encoders may be any `torch.nn.Module`. Here a convolutional network
encodes pictures of digits and a recurrent network encodes the names of the digits, letter by
letter. After binding, a picture retrieves its word, and a word retrieves its pictures, even a word
of a language that was not in the training set.
"""

# %%
# Pictures and words
# ------------------
# The words come from fourteen languages. Three more are held out for the test: each is related to
# some in the list, so its words are new but similar.

LANGUAGES = {
    "English": "zero one two three four five six seven eight nine",
    "German": "null eins zwei drei vier fünf sechs sieben acht neun",
    "Dutch": "nul een twee drie vier vijf zes zeven acht negen",
    "Danish": "nul en to tre fire fem seks syv otte ni",
    "Norwegian": "null en to tre fire fem seks sju åtte ni",
    "Latin": "nihil unus duo tres quattuor quinque sex septem octo novem",
    "French": "zéro un deux trois quatre cinq six sept huit neuf",
    "Spanish": "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "Italian": "zero uno due tre quattro cinque sei sette otto nove",
    "Catalan": "zero un dos tres quatre cinc sis set vuit nou",
    "Romanian": "zero unu doi trei patru cinci șase șapte opt nouă",
    "Polish": "zero jeden dwa trzy cztery pięć sześć siedem osiem dziewięć",
    "Czech": "nula jeden dva tři čtyři pět šest sedm osm devět",
    "Croatian": "nula jedan dva tri četiri pet šest sedam osam devet",
}
UNSEEN = {
    "Swedish": "noll ett två tre fyra fem sex sju åtta nio",
    "Portuguese": "zero um dois três quatro cinco seis sete oito nove",
    "Slovak": "nula jeden dva tri štyri päť šesť sedem osem deväť",
}

# %%
# A word becomes a sequence of letters, and a letter its position in the alphabet; short words are
# padded with 0. Accents are stripped first.

import unicodedata

import numpy as np

LONGEST = 9


def letters(word):
    """Return a word as LONGEST integers from 0 to 26."""
    plain = unicodedata.normalize("NFD", word)
    positions = [ord(letter) - ord("a") + 1 for letter in plain if "a" <= letter <= "z"]
    return positions + [0] * (LONGEST - len(positions))


def words_of(languages):
    """Return an array of shape (n_languages, 10, LONGEST)."""
    return np.array([[letters(word) for word in line.split()] for line in languages.values()])


words, unseen = words_of(LANGUAGES), words_of(UNSEEN)
print("sieben:", letters("sieben"))

# %%
# Each picture of the training set gets the word for its digit in a language drawn at random.

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcentrobind import Modalities

digits = load_digits()
train, test, y_train, y_test = train_test_split(
    digits.images / 16, digits.target, train_size=1200, stratify=digits.target, random_state=0
)
language = np.random.default_rng(0).integers(len(words), size=len(train))
X_train = Modalities({"picture": train, "word": words[language, y_train]})
X_train

# %%
# Two encoders
# ------------
# A module receives rows as they are, as float32 tensors of shape (batch, ...). It adds the
# channel axis, or converts the numbers back to integers, itself. Its output may have any width: a
# linear layer to `n_components` is appended if needed.

import torch
from torch import nn

cnn = nn.Sequential(
    nn.Unflatten(1, (1, 8)),  # (batch, 8, 8) -> (batch, 1, 8, 8)
    nn.Conv2d(1, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Dropout(0.2),
    nn.Linear(32 * 4 * 4, 64),
)


class Reader(nn.Module):
    """Read a word letter by letter, in both directions; the mean over its letters is returned."""

    def __init__(self, width):
        super().__init__()
        self.embed = nn.Embedding(27, 16, padding_idx=0)
        self.read = nn.GRU(16, width, batch_first=True, bidirectional=True)

    def forward(self, x):
        x = x.long()
        states, _ = self.read(self.embed(x))  # (batch, LONGEST, 2 * width)
        here = (x > 0)[:, :, None]
        return (states * here).sum(dim=1) / here.sum(dim=1).clamp(min=1)


torch.manual_seed(0)  # the weights above and here are drawn from torch's global generator
gru = Reader(32)

# %%
# Binding
# -------
# Adding noise to integers would be meaningless, so the words are augmented by "mask": letters
# become 0 with probability `augmentation_scale`. The recurrent network has a higher learning rate
# than the convolutional one.

from skcentrobind import CentroBindTransformer

bind = CentroBindTransformer(
    n_components=32,
    encoder={"picture": cnn, "word": gru},
    augmentation={"picture": "gaussian", "word": "mask"},
    augmentation_scale=0.15,
    learning_rate={"picture": 2e-3, "word": 5e-3},
    max_epochs=25,
    random_state=0,
)
bind.fit(X_train)

# %%
# From pictures to words
# ----------------------
# A picture is classified correctly if the closest word, in one language, is that for its digit.

pictures = bind.transform_modality(test, "picture")
rows = {**dict(zip(LANGUAGES, words, strict=True)), **dict(zip(UNSEEN, unseen, strict=True))}
for name, ten in rows.items():
    closest = (pictures @ bind.transform_modality(ten, "word").T).argmax(axis=1)
    note = "(never seen)" if name in UNSEEN else ""
    print(f"{name:12} {np.mean(closest == y_test):.2f} {note}")

# %%
# From words to pictures
# ----------------------
# The words of a language that was not in the training set, and the pictures of the test set that
# they retrieve first. A red frame marks a wrong digit.

import matplotlib.pyplot as plt

name = "Portuguese"
queries = bind.transform_modality(rows[name], "word")
best = (-queries @ pictures.T).argsort(axis=1)[:, :5]

fig, axes = plt.subplots(5, 10, figsize=(8, 4.4), layout="constrained")
for digit, (column, word) in enumerate(zip(axes.T, UNSEEN[name].split(), strict=True)):
    column[0].set_title(word, fontsize=10)
    for ax, j in zip(column, best[digit], strict=True):
        ax.imshow(test[j], cmap="gray_r")
        ax.set(xticks=[], yticks=[])
        if y_test[j] != digit:
            ax.spines[:].set(color="#bd1f01", linewidth=3)
fig.suptitle(f"Pictures found by words in {name}")
plt.show()
