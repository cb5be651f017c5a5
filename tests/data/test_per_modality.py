"""PerModality: what each transformer gives alone, missing rows, names, and faults."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from text_and_table import WORDS, N, as_dense, make, make_items, text_steps

from skcentrobind import Modalities, PerModality


@pytest.fixture
def items():
    return make_items()


@pytest.fixture
def y():
    return np.arange(N) % 2


# --- the same as by hand ------------------------------------------------------------------


def test_each_modality_gets_what_its_transformer_gives_alone(items):
    per = make(rest="passthrough")
    train, test = Modalities(items)[:16], Modalities(items)[16:]
    Z = per.fit(train).transform(test)
    assert isinstance(Z, Modalities)
    assert Z.names == ("text", "image", "table", "rest")
    for name, transformer in per.transformers.items():
        if name == "rest":
            assert_array_equal(Z["rest"], test["rest"])
            continue
        expected = clone(transformer).fit(train[name]).transform(test[name])
        assert_allclose(as_dense(Z[name]), as_dense(expected))
    assert_array_equal(per.fit_transform(train)["image"], per.transform(train)["image"])


def test_modalities_in_other_threads(items):
    expected = make().fit_transform(items)
    with parallel_config(backend="threading"):
        per = make(n_jobs=2).fit(items)
        for Z in (per.transform(items), make(n_jobs=2).fit_transform(items)):
            for name, item in Z.items():
                assert_allclose(as_dense(item), as_dense(expected[name]))
        with pytest.raises(ValueError, match=r"(?s)convert string.*modality 'text'"):
            make(n_jobs=2, text=PCA()).fit(items)


def test_all_forms_give_the_same(items):
    del items["rest"]
    expected = make().fit_transform(Modalities(items))
    frames = {**items, "text": pd.DataFrame({"t": items["text"]}, index=items["table"].index)}
    frames["image"] = pd.DataFrame(items["image"], index=items["table"].index).add_prefix("x")
    for form in (items, frames, pd.concat(frames, axis=1)):
        Z = make().fit(form).transform(form)
        assert Z.names == expected.names
        for name in Z.names:
            assert_allclose(as_dense(Z[name]), as_dense(expected[name]))
    by_number = PerModality({"modality0": text_steps(), "modality1": StandardScaler()})
    Z = by_number.fit_transform([items["text"], items["image"]])
    assert_allclose(Z["modality0"], expected["text"])
    assert_array_equal(Z["modality1"], expected["image"])


def test_one_array_is_one_modality(items):
    Z = PerModality({"modality0": StandardScaler()}).fit_transform(items["image"])
    assert_array_equal(Z["modality0"], StandardScaler().fit_transform(items["image"]))
    Z = PerModality({}, remainder=CountVectorizer()).fit_transform(items["text"])
    assert Z["modality0"].shape == (N, len(WORDS))


@pytest.mark.parametrize(
    ("remainder", "names"),
    [("drop", ["image"]), ("passthrough", ["image", "rest"]), (FunctionTransformer(), None)],
)
def test_remainder(items, remainder, names):
    X = {"rest": items["rest"], "text": items["text"], "image": items["image"]}
    per = PerModality({"image": StandardScaler(), "text": "drop"}, remainder=remainder).fit(X)
    Z = per.transform(X)
    # The order is that of the modalities as passed.
    assert list(Z.names) == (["image"] if remainder == "drop" else ["rest", "image"])
    assert [name for name, _ in per.transformers_] == ["rest", "text", "image"]
    assert per.named_transformers_.text == "drop"
    if names is None:
        assert per.named_transformers_["rest"] is not remainder


def test_sparse_matrices_pass_through(items):
    X = {"text": items["text"], "counts": sparse.csr_array(np.eye(N))}
    Z = PerModality({"text": TfidfVectorizer()}, remainder="passthrough").fit_transform(X)
    assert Z["counts"] is X["counts"]
    assert Z["text"].format == "csr"
    expected = TfidfVectorizer().fit_transform(items["text"])
    assert (Z["text"] != expected).nnz == 0


def test_objects_of_any_kind():
    X = {"bag": [{"a": 1}, {"b": 2}, None], "n": np.arange(6.0).reshape(3, 2)}
    per = PerModality({"bag": DictVectorizer(sparse=False), "n": "passthrough"})
    assert_array_equal(per.fit_transform(X)["bag"], [[1, 0], [0, 2], [np.nan, np.nan]])


def test_the_transformers_that_were_passed_stay_unfitted(items):
    per = make().fit(items)
    with pytest.raises(NotFittedError):
        per.transformers["image"].transform(items["image"])
    assert per.named_transformers_.image is not per.transformers["image"]
    assert_allclose(per.named_transformers_.image.mean_, items["image"].mean(axis=0))


def test_a_class_is_handed_on(items, y):
    per = PerModality({"image": SelectKBest(k=2), "text": text_steps()})
    items["image"][:, 3] += 5 * y
    items["image"][::5] = np.nan
    Z = per.fit_transform({"image": items["image"], "text": items["text"]}, y)
    assert 3 in per.named_transformers_.image.get_support(indices=True)
    assert_array_equal(np.isnan(Z["image"]).any(axis=1), np.arange(N) % 5 == 0)


# --- missing modalities -------------------------------------------------------------------


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_missing_rows_are_left_out_and_become_nan(data):
    masks = st.lists(st.booleans(), min_size=N, max_size=N).filter(lambda g: sum(g) < N - 8)
    text_missing, image_missing = np.array(data.draw(masks)), np.array(data.draw(masks))
    items = make_items()
    text = [
        None if is_missing else t for t, is_missing in zip(items["text"], text_missing, strict=True)
    ]
    image = np.where(image_missing[:, None], np.nan, items["image"]).astype(np.float32)
    per = PerModality({"text": text_steps(), "image": StandardScaler()})
    X = {"text": text, "image": image}
    Z = per.fit_transform(X)
    again = per.transform(X)
    # The slow way: throw the rows away, transform, and put them back one by one.
    for name, missing, fresh in (
        ("text", text_missing, text_steps()),
        ("image", image_missing, StandardScaler()),
    ):
        kept = [X[name][i] for i in range(N) if not missing[i]]
        alone = iter(fresh.fit_transform(np.array(kept) if name == "image" else kept))
        for i in range(N):
            for out in (Z, again):
                assert np.isnan(out[name][i]).all() == missing[i]
            if not missing[i]:
                row = next(alone)
                assert_allclose(Z[name][i], row)
                assert_allclose(again[name][i], row, atol=1e-6)
    assert Z["image"].dtype == np.float32
    assert_array_equal(Z.present, ~np.column_stack([text_missing, image_missing]))


def test_a_modality_that_is_missing_at_transform(items):
    per = make(image=PCA(2)).fit(items)
    for text in (None, [None] * N, np.full(N, np.nan, dtype=object)):
        Z = per.transform({**items, "text": text, "image": None})
        assert Z["text"].shape == (N, 3)
        assert Z["image"].shape == (N, 2)
        assert np.isnan(Z["text"]).all()
    with pytest.raises(ValueError, match="All 4 modalities are None"):
        per.transform(dict.fromkeys(items))


def test_integers_become_floats_where_rows_are_missing():
    per = PerModality(
        {"text": CountVectorizer(), "n": FunctionTransformer(np.int64, validate=False)}
    )
    X = {"text": ["a1 b1", "b1", "c1"], "n": [[1.0], [np.nan], [3.0]]}
    assert_array_equal(per.fit_transform(X)["n"], [[1], [np.nan], [3]])


def test_frames_keep_the_index_and_the_missing_rows(items):
    items["image"][3] = np.nan
    index = items["table"].index
    items["image"] = pd.DataFrame(items["image"], index=index).add_prefix("x")
    per = PerModality({"image": StandardScaler().set_output(transform="pandas")})
    Z = per.fit_transform(items)["image"]
    assert list(Z.columns) == [f"x{i}" for i in range(6)]
    assert list(Z.index) == list(index)
    assert list(Z.index[Z.isna().all(axis=1)]) == ["row3"]
    Z = per.transform({**items, "image": None})["image"]
    assert Z.shape == (N, 6)
    assert Z.isna().all(axis=None)


# --- names --------------------------------------------------------------------------------


def test_names_of_features_are_those_that_the_binding_estimators_use(items, centro):
    with config_context(transform_output="pandas"):
        table = make_column_transformer(
            (StandardScaler(), ["size"]), (OneHotEncoder(sparse_output=False), ["kind"])
        )
        pipe = Pipeline([("per", make(table=table)), ("bind", centro())]).fit(items)
        Z = pipe.transform(items)
    names = pipe[:-1].get_feature_names_out()
    assert list(names[:3]) == ["text/truncatedsvd0", "text/truncatedsvd1", "text/truncatedsvd2"]
    assert names[-1] == "table/onehotencoder__kind_b"
    assert list(pipe["bind"].feature_names_in_) == list(names)
    assert list(pipe.get_feature_names_out()[:1]) == ["text_0"]
    assert list(Z.columns) == list(pipe.get_feature_names_out())


def test_names_of_features_of_arrays(items, centro):
    pipe = Pipeline([("per", make(remainder="passthrough")), ("bind", centro())])
    pipe.set_params(per__table="drop").set_output(transform="pandas").fit(items)
    names = list(pipe[:-1].get_feature_names_out())
    assert names[3:] == [*(f"image/x{i}" for i in range(6)), *(f"rest/x{i}" for i in range(4))]
    assert pipe["bind"].n_features_in_ == len(names)
    assert isinstance(pipe.transform(items), pd.DataFrame)
    assert isinstance(pipe[0].transform(items), Modalities)


def test_order_names_and_columns_are_checked(items):
    per = make().fit(items)
    reordered = dict(reversed(items.items()))
    assert_array_equal(per.transform(reordered)["text"], per.transform(items)["text"])
    renamed = {**items, "table": items["table"].rename(columns={"size": "length"})}
    with pytest.raises(ValueError, match=r"(?s)Modality 'table'.*unseen at fit.*table/length"):
        per.transform(renamed)
    with pytest.raises(
        ValueError, match=r"fitted with .*'txt' is none of them. Did you mean 'text'"
    ):
        per.transform({"txt": items["text"], **{k: items[k] for k in list(items)[1:]}})
    with pytest.raises(ValueError, match="Modality 'image' has 5 features, but was fitted with 6"):
        per.transform({**items, "image": items["image"][:, :5]})


# --- what it refuses ----------------------------------------------------------------------


class Shortens(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[1:]


@pytest.mark.parametrize(
    ("per", "error", "words"),
    [
        (PerModality({"imag": PCA()}), ValueError, "'imag'.*Did you mean 'image'"),
        (PerModality(PCA()), TypeError, r"transformers=PCA\(\) must be a dict.*or a list of"),
        (PerModality("image"), TypeError, "transformers='image' must be a dict"),
        (PerModality([PCA()]), TypeError, r"transformers\[0\] is PCA\(\), expected a \(modality"),
        (
            PerModality([("image", PCA()), ("pca", PCA(), "image")]), TypeError,
            r"transformers\[1\] is .*\(modality, transformer\) pair.*replaces the columns",
        ),
        (PerModality([(PCA(), "image")]), TypeError, "The name, a string, comes first"),
        (PerModality(("image", PCA())), TypeError, "'image', expected .*single pair into a list"),
        (PerModality([("image", PCA()), ("image", "drop")]), ValueError, "not unique"),
        (PerModality([("imag", PCA())]), ValueError, "'imag'.*Did you mean 'image'"),
        (PerModality([("a__b", PCA())]), ValueError, "must not contain __"),
        (PerModality([]), ValueError, "All modalities .* are dropped"),
        (PerModality({"image": LogisticRegression()}), TypeError, "'image'.*fit and transform"),
        (PerModality({"image": PCA}), TypeError, "'image' is .*an instance"),
        (PerModality({"image": "skip"}), TypeError, "'image' is 'skip'.*drop"),
        (PerModality({}, remainder=3), TypeError, "'remainder' is 3"),
        (PerModality({}), ValueError, "All modalities .* are dropped.*remainder"),
        (PerModality({"image": "drop"}), ValueError, "All modalities"),
        (PerModality({"n_jobs": PCA()}), ValueError, r"conflict.*\['n_jobs'\]"),
        (PerModality({"a__b": PCA()}), ValueError, "must not contain __"),
        (PerModality({1: PCA(), "1": PCA()}), ValueError, "not unique"),
        (PerModality({"image": Shortens()}), ValueError, "'image' returned 23 rows for 24"),
        (
            PerModality({"image": FunctionTransformer(lambda X: X[:, 0])}), ValueError,
            "Modality 'image': got 1-D",
        ),
        (PerModality({"text": PCA()}), ValueError, r"(?s)convert string.*modality 'text'"),
        (PerModality({"table": PCA()}), ValueError, r"(?s)convert string.*modality 'table'"),
    ],
)  # fmt: skip
def test_message(items, per, error, words):
    with pytest.raises(error, match=words):
        per.fit(items)
    with pytest.raises(NotFittedError):
        per.transform(items)


@pytest.mark.parametrize(
    "bad", [{"text": [None] * N}, {"text": [1.5] * N}, {"image": np.ones((3, 2))}, {"more": None}]
)
def test_a_fit_that_fails_changes_nothing(items, bad):
    per = make().fit(items)
    expected, before = per.transform(items), dict(vars(per))
    with pytest.raises((ValueError, TypeError)):
        per.fit({**items, **bad})
    assert vars(per) == before
    for array, old in zip(per.transform(items).arrays, expected.arrays, strict=True):
        np.testing.assert_array_equal(np.asarray(array), np.asarray(old))


@pytest.mark.parametrize("at", ["fit_transform", "transform"])
def test_sparse_output_marks_missing_rows_by_one_nan(items, at):
    per = PerModality({"text": TfidfVectorizer()}).fit(items)
    expected = per.transform(items)["text"]
    items["text"][2:4] = [None, None]
    out = getattr(per, at)(items)
    assert_array_equal(np.flatnonzero(~out.present[:, 0]), [2, 3])
    text = out["text"]
    assert_array_equal(np.diff(text.indptr)[2:4], [1, 1])
    if at == "transform":
        keep = np.setdiff1d(np.arange(N), [2, 3])
        assert_array_equal(text[keep].toarray(), expected[keep].toarray())
    items["text"][:] = [None] * N
    assert not per.transform(items).present[:, 0].any()


def test_binding_estimators_point_here(items, binder):
    with pytest.raises(ValueError, match=r"Modality 'text': got dtype object.*PerModality"):
        binder().fit(items)
