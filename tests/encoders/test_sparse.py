"""Sparse modalities: the numbers of dense ones, without ever being dense."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.model_selection import GridSearchCV, KFold
from torch import nn

from skcentrobind import CentroBindTransformer, Modalities, PerModality, load
from skcentrobind._data.statistics import fit_scalers, prepare_sparse
from skcentrobind._encoders.module import augmentation_of
from skcentrobind._encoders.sparse import SparseRows, stack_rows, to_dense
from skcentrobind._encoders.table import ENCODERS

SMALL = {"n_components": 4, "hidden_layer_sizes": (6,), "batch_size": 16, "max_epochs": 3}
SMALL |= {"random_state": 0, "device": "cpu", "encoder": "residual", "shrinkage": "oas"}
PLAIN = {"standardize": False, "augmentation": None}

fast = settings(deadline=None, max_examples=30)


def draw_csr(n_rows, width, seed, density=0.3):
    rng = np.random.default_rng(seed)
    values, kept = rng.random((n_rows, width)), rng.random((n_rows, width)) < density
    return sparse.csr_array(values * kept)


def draw(n_samples=40, seed=0):
    """Counts of words that depend on the same latent points as a dense modality."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n_samples, 3))
    maps = (
        np.random.default_rng(9).normal(size=(3, 5)),
        np.random.default_rng(8).normal(size=(3, 9)),
    )
    image = latent @ maps[0] + 0.1 * rng.normal(size=(n_samples, 5))
    words = rng.poisson(np.exp(latent @ maps[1] - 1)).astype(float)
    words[:, 0] += words.sum(axis=1) == 0
    return {"image": image, "text": sparse.csr_array(words)}


def binder(**params):
    return CentroBindTransformer(**SMALL | params)


def with_text(X, text):
    return {**X, "text": text}


# --- rows ---------------------------------------------------------------------------------


@fast
@given(st.integers(1, 12), st.integers(1, 15), st.floats(0, 1), st.integers(0, 99))
def test_rows_do_what_dense_rows_do(n_rows, width, density, seed):
    csr = draw_csr(n_rows, width, seed, density)
    rng = np.random.default_rng(seed)
    x, dense = SparseRows.from_csr(csr, "cpu"), torch.from_numpy(csr.toarray())
    assert x.shape == dense.shape
    assert len(x) == n_rows
    assert torch.equal(x.to_dense(), dense)
    some = torch.from_numpy(rng.integers(n_rows, size=7))
    assert torch.equal(x.index_select(0, some).to_dense(), dense[some])
    assert torch.equal(
        stack_rows(x, x.index_select(0, some)).to_dense(), torch.cat([dense, dense[some]])
    )
    assert torch.equal(stack_rows(dense, x), torch.cat([dense, dense]))
    weight = torch.from_numpy(rng.normal(size=(width, 3)))
    grad = torch.from_numpy(rng.normal(size=(n_rows, 3)))
    assert_allclose(x.product(weight), dense @ weight, atol=1e-12)
    assert_allclose(x.transposed_product(grad), dense.T @ grad, atol=1e-12)


@pytest.mark.parametrize("n_hidden", [0, 3])
def test_gradients_are_those_of_dense_rows(n_hidden):
    csr = draw_csr(8, 11, 0)
    generator = torch.Generator().manual_seed(0)
    shapes = [(11, 2 + n_hidden), (1, 1, 2 + n_hidden)]
    shapes += [(1, n_hidden, 2), (1, 1, 2)] if n_hidden else []
    weights = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    grads = []
    for x in (SparseRows.from_csr(csr, "cpu"), torch.from_numpy(csr.toarray())):
        kind, hidden = ("residual", (n_hidden,)) if n_hidden else ("linear", ())
        bank = ENCODERS[kind]([0], [11], 2, hidden, generator).double()
        with torch.no_grad():
            for parameter, value in zip(bank.parameters(), weights, strict=True):
                parameter.copy_(value)
        (bank(x) * torch.arange(16.0).view(1, 8, 2)).sum().backward()
        grads.append([parameter.grad for parameter in bank.parameters()])
    for ours, reference in zip(*grads, strict=True):
        assert_allclose(ours, reference, atol=1e-12)


def test_products_do_not_depend_on_the_number_of_threads():
    x = SparseRows.from_csr(draw_csr(300, 2000, 0, 0.05).astype(np.float32), "cpu")
    generator = torch.Generator().manual_seed(0)
    weight, grad = (torch.randn(n, 33, generator=generator) for n in (2000, 300))
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append((x.product(weight), x.transposed_product(grad)))
    torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


# --- preparation --------------------------------------------------------------------------


def test_scaling_keeps_zeros_and_ends_at_one():
    values = -50 * draw_csr(30, 8, 0).toarray()
    values[3, 2] = 7e3
    values[:, 5] = 0
    csr = sparse.csr_array(values)
    (scaler,) = fit_scalers(Modalities({"text": csr}))
    before = csr.copy()
    out = prepare_sparse("text", csr, scaler)
    assert out.data.dtype == np.float32
    assert_array_equal(csr.toarray(), before.toarray())
    expected = csr.toarray() / np.maximum(np.abs(csr.toarray()).max(axis=0), 1e-300)
    assert_allclose(out.toarray(), expected, rtol=1e-6)
    # A column that was empty in fit stays empty.
    new = sparse.csr_array(np.full((2, 8), 3.0))
    assert not prepare_sparse("text", new, scaler).toarray()[:, 5].any()
    assert prepare_sparse("text", new, None).toarray().all()


def test_augmentation_keeps_zeros():
    x = SparseRows.from_csr(draw_csr(50, 40, 0).astype(np.float32), "cpu")
    generator = torch.Generator().manual_seed(0)
    noisy = augmentation_of("gaussian", "text", True)(x, 0.3, None, None, generator)
    assert torch.equal(noisy.columns, x.columns)
    ratio = noisy.values / x.values - 1
    assert abs(ratio.mean()) < 0.05
    assert abs(ratio.std() - 0.3) < 0.03
    masked = augmentation_of("mask", "text", True)(x, 0.3, None, None, generator)
    dropped = masked.values == 0
    assert abs(dropped.float().mean() - 0.3) < 0.05
    assert torch.equal(masked.values[~dropped], x.values[~dropped])


# --- estimators ---------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ["mlp", "linear", "residual", "custom"])
@pytest.mark.parametrize("has_missing", [False, True])
def test_sparse_equals_dense(encoder, has_missing):
    X = draw()
    if encoder == "custom":
        encoder = nn.Sequential(nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 4))
    # Two forms of encoders, so that in both runs each modality has a bank of its own.
    encoders = {"image": "linear" if encoder == "mlp" else "mlp", "text": encoder}
    text = X["text"].copy()
    if has_missing:
        for row in (3, 11, 30):
            text.data[text.indptr[row] : text.indptr[row + 1]] = np.nan
    dense = text.toarray()
    dense[np.isnan(dense).any(axis=1)] = np.nan
    fits = [binder(encoder=encoders, **PLAIN).fit(with_text(X, t)) for t in (text, dense)]
    assert_allclose(fits[0].loss_curve_, fits[1].loss_curve_, rtol=1e-5)
    for method in ("transform", "score"):
        outs = [
            getattr(f, method)(with_text(X, t)) for f, t in zip(fits, (text, dense), strict=True)
        ]
        assert_allclose(outs[0], outs[1], atol=1e-5)
    alone = [f.transform_modality(t, "text") for f, t in zip(fits, (text, dense), strict=True)]
    assert_allclose(alone[0], alone[1], atol=1e-5)
    assert np.isnan(alone[0]).all(axis=1).sum() == 3 * has_missing


@pytest.mark.parametrize("augment", ["gaussian", "mask", lambda x, generator: x + 0.1])
@pytest.mark.parametrize("encoder", ["residual", "identity"])
def test_every_augmentation_trains(augment, encoder):
    X = {"a": draw()["image"], "text": draw()["text"][:, :4]}
    bind = binder(augmentation=augment, encoder={"a": "residual", "text": encoder}, max_epochs=20)
    bind.fit(X)
    assert bind.loss_curve_[-1] < bind.loss_curve_[0]
    assert np.isfinite(bind.transform(X)).all()


def test_other_formats_and_repeated_entries():
    X = draw()
    csr = X["text"]
    expected = binder().fit(X).transform(X)
    for convert in ("tocsc", "tocoo", "tolil", "todok"):
        other = with_text(X, getattr(csr, convert)())
        assert_array_equal(binder().fit(other).transform(other), expected)
    # Each entry as two halves.
    twice = sparse.csr_array(
        (csr.data.repeat(2) / 2, csr.indices.repeat(2), 2 * csr.indptr), shape=csr.shape
    )
    n_stored = twice.nnz
    assert_allclose(binder().fit(with_text(X, twice)).transform(X), expected, atol=1e-6)
    assert twice.nnz == n_stored  # the user's matrix is left as it was


def test_dense_rows_and_none_after_a_sparse_fit():
    X = draw()
    bind = binder().fit(X)
    assert_array_equal(bind.transform(with_text(X, X["text"].toarray())), bind.transform(X))
    Z = bind.transform_modalities(with_text(X, None))
    assert Z.present.sum(axis=0).tolist() == [40, 0]
    image_alone = bind.transform_modalities({"image": None, "text": X["text"]})
    assert_array_equal(image_alone["text"], bind.transform_modality(X["text"], "text"))


def test_row_of_zeros_is_a_sample():
    X = draw()
    text = X["text"].tolil()
    text[5] = 0
    text = text.tocsr()
    bind = binder().fit(with_text(X, text))
    assert Modalities(with_text(X, text)).present.all()
    Z = bind.transform_modality(text, "text")
    assert_allclose(np.linalg.norm(Z, axis=1), 1, rtol=1e-5)


def test_early_stopping_partial_fit_and_pickle():
    X = draw()
    bind = binder(early_stopping=True, validation_fraction=0.3, max_epochs=4).fit(X)
    again = pickle.loads(pickle.dumps(bind))
    assert_array_equal(again.transform(X), bind.transform(X))
    assert_array_equal(again.partial_fit(X).transform(X), bind.partial_fit(X).transform(X))
    one = binder(max_epochs=2).fit(X)
    steps = binder()
    for _ in range(2):
        steps.partial_fit(X)
    assert_array_equal(steps.transform(X), one.transform(X))


def test_search_cuts_samples():
    X = Modalities(draw(60))
    search = GridSearchCV(binder(), {"temperature": [0.1, 0.3]}, cv=3, error_score="raise").fit(X)
    train, test = next(iter(KFold(3).split(X)))
    alone = binder(temperature=0.1).fit(X[train])
    assert search.cv_results_["split0_test_score"][0] == alone.score(X[test])


def test_single_sparse_modality():
    X = [draw()["text"]]
    bind = binder(max_epochs=10).fit(X)
    assert bind.transform(X).shape == (40, 4)
    assert 0 < bind.score(X) <= 1


# Six words make equal rows, of which the score warns.
@pytest.mark.filterwarnings("ignore:For .* of the queries other candidates")
def test_output_of_a_vectorizer():
    words = np.array(["cat", "dog", "cow", "hen", "fox", "bee"])
    chosen = np.random.default_rng(0).random((60, 6)) < 0.5
    chosen[np.arange(60), np.arange(60) % 6] = True
    X = {"text": TfidfVectorizer().fit_transform([" ".join(words[row]) for row in chosen])}
    X["table"] = chosen.astype(float)
    before = binder(max_epochs=0, init="random").fit(X).score(X)
    assert binder(max_epochs=30).fit(X).score(X) > 2 * before


# --- errors -------------------------------------------------------------------------------


def bad_text(row, value):
    text = draw()["text"].copy()
    text.data[text.indptr[row]] = value
    return text


@pytest.mark.parametrize(
    ("params", "text", "match"),
    [
        (
            {"augmentation": "marginal"},
            None,
            "'marginal' does not fit modality 'text'.*{'text': 'mask', ...}",
        ),
        ({}, sparse.csr_array((40, 9)), "'text' holds nothing but zeros"),
        ({}, bad_text(7, np.inf), "'text' contains infinity.*row 7"),
        ({}, bad_text(4, np.nan), "'text' contains NaN in 1 of 6 values of row 4"),
        ({"standardize": False}, bad_text(7, 1e30), "'text' has values too large"),
    ],
)
def test_errors(params, text, match):
    X = draw()
    with pytest.raises(ValueError, match=match):
        binder(**params).fit(X if text is None else with_text(X, text))


def test_form_of_fit_is_kept():
    X = draw()
    bind = binder().fit(with_text(X, X["text"].toarray()))
    with pytest.raises(
        TypeError, match=r"'text' is a sparse matrix, but was dense in fit.*toarray"
    ):
        bind.transform(X)
    with pytest.raises(ValueError, match="8 features, but was fitted with 9"):
        bind.transform_modality(X["text"][:, :8].toarray(), "text")


def test_sparse_data_in_forms_that_are_refused():
    X = draw()
    match = r"X is a csr_array of shape \(40, 9\) on its own. Sparse.*pass \[X\].*toarray"
    with pytest.raises(TypeError, match=match):
        binder().fit(X["text"])
    frame = pd.DataFrame.sparse.from_spmatrix(X["text"])
    with pytest.raises(TypeError, match=r"'text' is a DataFrame of sparse columns.*to_coo"):
        binder().fit(with_text(X, frame))
    assert binder().fit(with_text(X, frame.sparse.to_dense())).n_iter_ == 3


def test_dense_row_that_is_nan_in_part_after_a_sparse_fit():
    X = draw()
    bind = binder().fit(X)
    dense = X["text"].toarray()
    dense[3], dense[7] = np.nan, 0
    dense[7, 2] = np.nan
    with pytest.raises(ValueError, match="'text' contains NaN in 1 of 9 values of row 7"):
        bind.transform(with_text(X, dense))
    with pytest.raises(ValueError, match="'text' contains NaN in 1 of 9 values of row 7"):
        bind.transform_modality(dense, "text")
    dense[7, 2] = 0
    assert np.flatnonzero(np.isnan(bind.transform_modality(dense, "text"))[:, 0]).tolist() == [3]


# --- memory -------------------------------------------------------------------------------

MEMORY = """
import threading, time
import numpy as np
from scipy import sparse
from skcentrobind import CentroBindTransformer

rng = np.random.default_rng(0)
n_samples, width, row = 20_000, 20_000, 10
columns = np.sort(rng.integers(width, size=(n_samples, row)), axis=1).ravel()
entries = np.ones(n_samples * row, dtype=np.float32), columns, np.arange(n_samples + 1) * row
X = [sparse.csr_array(entries, shape=(n_samples, width)), rng.normal(size=(n_samples, 4))]
bind = CentroBindTransformer(n_components=4, encoder="linear", max_epochs=1, random_state=0)
bind.fit([item[:300] for item in X])  # loads what is loaded on first use

def now():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

peak, done = [now()], threading.Event()
def watch():
    while not done.wait(0.005):
        peak.append(now())
thread = threading.Thread(target=watch)
thread.start()
bind.fit(X).transform(X)
done.set()
thread.join()
print(max(peak) - peak[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_bounded_by_the_batch():
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Dense float32 rows would take 1,526 MiB.
    assert float(done.stdout) < 200


def test_to_dense_leaves_tensors_alone():
    x = torch.ones(2, 3)
    assert to_dense(x) is x


def test_saved_and_loaded(tmp_path):
    X = draw()
    bind = binder().fit(X)
    bind.save(tmp_path / "bind.safetensors")
    loaded = load(tmp_path / "bind.safetensors")
    assert_array_equal(loaded.transform(X), bind.transform(X))
    assert loaded.partial_fit(X).loss_curve_ == bind.partial_fit(X).loss_curve_


def test_an_exported_encoder_takes_dense_rows():
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    X = draw()
    bind = binder().fit(X)
    session = runtime.InferenceSession(bind.to_onnx(None, "text").SerializeToString())
    rows = X["text"].toarray().astype(np.float32)
    (Z,) = session.run(["embedding"], {"features": rows})
    assert_allclose(Z, bind.transform_modality(X["text"], "text"), atol=1e-5)


@pytest.mark.parametrize("missing", [None, "rows"])
def test_missing_at_transform(missing):
    X = draw()
    bind = binder().fit(X)
    if missing == "rows":
        X["text"] = PerModality({"text": CountVectorizer(), "image": "passthrough"}).fit_transform(
            {
                "text": [None] * 39 + ["a b c d e f g h i".replace(" ", "x ") + "x"],
                **{"image": X["image"]},
            }
        )["text"]
        present = np.arange(40) == 39
    else:
        X["text"], present = None, np.zeros(40, dtype=bool)
    Z = bind.transform_modalities(X)
    assert_array_equal(Z.present[:, 1], present)
    assert np.isfinite(bind.transform(X)).all()
