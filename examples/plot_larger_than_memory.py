"""
=======================
Data larger than memory
=======================

Two modalities are stored in ``.npy`` files. They are never loaded completely: rows are read when a
batch needs them, and embeddings are written directly to a file. The files here are small, so that
the example runs in seconds; :doc:`../results` reports the memory needed for 20 GB.
"""

# %%
# Files
# -----
# Write the features block by block into a file of known shape.

import tempfile
from pathlib import Path

import numpy as np

folder = Path(tempfile.mkdtemp())
n_samples, widths = 20_000, {"image": 128, "sound": 64}
rng = np.random.default_rng(0)
weights = {name: rng.normal(size=(8, width)) for name, width in widths.items()}

files = {
    name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (n_samples, width))
    for name, width in widths.items()
}
for start in range(0, n_samples, 1000):
    latent = rng.normal(size=(1000, 8))
    for name, file in files.items():
        noise = rng.normal(size=(1000, widths[name]))
        file[start : start + 1000] = np.tanh(latent @ weights[name]) + 0.5 * noise
for file in files.values():
    file.flush()

# %%
# Fit
# ---
# ``mmap_mode="r"`` opens a file without reading it. Every batch is drawn from the whole file,
# as from arrays in memory, and the results are bit-for-bit the same.

from skcentrobind import CentroBindTransformer, Modalities

X = Modalities({name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in widths})
print(X)
train, test = X[:19_000], X[19_000:]  # slices stay in the files

bind = CentroBindTransformer(n_components=16, max_epochs=2, batch_size=1024, random_state=0)
bind.fit(train)
print(f"mean reciprocal rank of 1,000 new samples: {bind.score(test):.3f}")

# %%
# Embeddings in a file
# --------------------
# ``out=`` accepts any array of the right shape.

embeddings = np.lib.format.open_memmap(folder / "z.npy", "w+", np.float32, (n_samples, 32))
bind.transform(X, out=embeddings)
embeddings.flush()
print(f"{(folder / 'z.npy').stat().st_size / 1e6:.1f} MB of embeddings")

# %%
# Chunks from any source
# ----------------------
# Without files, for example with a database or a stream, pass one chunk after the other to
# ``partial_fit``. The first one determines the standardisation and the start, so make it a
# representative sample.


def chunks(size):
    for start in range(0, 19_000, size):
        yield X[start : start + size]


stream = CentroBindTransformer(n_components=16, batch_size=1024, random_state=0)
for chunk in chunks(3800):
    stream.partial_fit(chunk)
    print(f"after {stream.n_iter_} chunks: {stream.score(test):.3f}")

# %%
# All chunks together are one epoch, so this pass learns less than the two epochs above.

for file in folder.iterdir():
    file.unlink()
folder.rmdir()
