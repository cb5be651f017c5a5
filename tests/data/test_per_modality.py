"""Each transformer does to its modality what it does alone, and absent rows stay absent."""

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
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from skcentrobind import Modalities, PerModality

N = 24
WORDS = ["red", "green", "blue", "cup", "plate", "fork"]


def make_items(n_samples=N, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "text": [" ".join(rng.choice(WORDS, size=4)) for _ in range(n_samples)],
        "image": rng.normal(size=(n_samples, 6)),
        "table": pd.DataFrame(
            {"size": rng.normal(size=n_samples), "kind": rng.choice(["a", "b"], size=n_samples)},
            index=[f"row{i}" for i in range(n_samples)],
        ),
        "rest": rng.normal(size=(n_samples, 2, 2)),
    }


@pytest.fixture
def items():
    return make_items()


@pytest.fixture
def y():
    return np.arange(N) % 2


def text_steps():
    return make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0))


def table_steps():
    return make_column_transformer((StandardScaler(), ["size"]), (OneHotEncoder(), ["kind"]))


def make(**changes):
    steps = {"text": text_steps(), "image": StandardScaler(), "table": table_steps()}
    params = {key: changes.pop(key) for key in ("remainder", "n_jobs") if key in changes}
    return PerModality({**steps, **changes}, **params)


def as_dense(item):
    return item.toarray() if sparse.issparse(item) else np.asarray(item)


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
    # The order is that in which the modalities came.
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
def test_absent_rows_are_left_out_and_come_out_as_nan(data):
    gaps = st.lists(st.booleans(), min_size=N, max_size=N).filter(lambda g: sum(g) < N - 8)
    text_gap, image_gap = np.array(data.draw(gaps)), np.array(data.draw(gaps))
    items = make_items()
    text = [None if gap else t for t, gap in zip(items["text"], text_gap, strict=True)]
    image = np.where(image_gap[:, None], np.nan, items["image"]).astype(np.float32)
    per = PerModality({"text": text_steps(), "image": StandardScaler()})
    X = {"text": text, "image": image}
    Z = per.fit_transform(X)
    again = per.transform(X)
    # The slow way: throw the rows away, transform, and put them back one by one.
    for name, gap, fresh in (
        ("text", text_gap, text_steps()),
        ("image", image_gap, StandardScaler()),
    ):
        kept = [X[name][i] for i in range(N) if not gap[i]]
        alone = iter(fresh.fit_transform(np.array(kept) if name == "image" else kept))
        for i in range(N):
            for out in (Z, again):
                assert np.isnan(out[name][i]).all() == gap[i]
            if not gap[i]:
                row = next(alone)
                assert_allclose(Z[name][i], row)
                assert_allclose(again[name][i], row, atol=1e-6)
    assert Z["image"].dtype == np.float32
    assert_array_equal(Z.present, ~np.column_stack([text_gap, image_gap]))


def test_a_modality_that_nobody_has_at_transform(items):
    per = make(image=PCA(2)).fit(items)
    for text in (None, [None] * N, np.full(N, np.nan, dtype=object)):
        Z = per.transform({**items, "text": text, "image": None})
        assert Z["text"].shape == (N, 3)
        assert Z["image"].shape == (N, 2)
        assert np.isnan(Z["text"]).all()
    with pytest.raises(ValueError, match="All 4 modalities are None"):
        per.transform(dict.fromkeys(items))


def test_integers_become_floats_where_rows_are_absent():
    per = PerModality(
        {"text": CountVectorizer(), "n": FunctionTransformer(np.int64, validate=False)}
    )
    X = {"text": ["a1 b1", "b1", "c1"], "n": [[1.0], [np.nan], [3.0]]}
    assert_array_equal(per.fit_transform(X)["n"], [[1], [np.nan], [3]])


def test_frames_keep_the_index_and_the_gaps(items):
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


def test_names_of_features_are_those_that_the_binding_estimators_know(items, centro):
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
    with pytest.raises(ValueError, match=r"fitted with .*Did you mean 'text' for 'txt'"):
        per.transform({"txt": items["text"], **{k: items[k] for k in list(items)[1:]}})
    with pytest.raises(ValueError, match="Modality 'image' has 5 features, but was fitted with 6"):
        per.transform({**items, "image": items["image"][:, :5]})


# --- searches -----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Modality .* shares fewer")
def test_grid_search_over_nested_parameters(items, y, centro):
    items["image"][::7] = np.nan
    items["text"][1] = None
    pipe = Pipeline(
        [("per", make()), ("bind", centro()), ("clf", LogisticRegression())]
    ).set_params(per__table="drop")
    grid = {
        "per__text__tfidfvectorizer__min_df": [1, 3],
        "per__image": [StandardScaler(), MinMaxScaler()],
        "bind__temperature": [0.1, 0.5],
    }
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(Modalities(items), y)
    assert len(search.cv_results_["mean_test_score"]) == 8
    assert search.predict(Modalities(items)).shape == (N,)
    assert len(cross_val_score(pipe, Modalities(items), y, cv=3, error_score="raise")) == 3


def test_search_without_binding_sees_the_parameters(y):
    # Only a vocabulary that keeps the rare word tells the classes apart.
    X = Modalities({"text": [f"common {'rare' if label else ''}" for label in y]})
    pipe = Pipeline([("per", PerModality({"text": CountVectorizer()})), ("get", get_text())])
    pipe.steps.append(("clf", LogisticRegression()))
    grid = {"per__text__stop_words": [None, ["rare"]]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    assert_allclose(search.cv_results_["mean_test_score"], [1.0, 0.5])


def get_text():
    return FunctionTransformer(lambda X: X["text"])


# --- a scikit-learn estimator -------------------------------------------------------------


def test_nested_parameters_and_clones(items):
    per = make().fit(items)
    params = per.get_params()
    assert params["text__tfidfvectorizer__min_df"] == 1
    assert params["image"] is per.transformers["image"]
    assert "text" not in per.get_params(deep=False)
    given = per.transformers
    copy = clone(per).set_params(
        text__truncatedsvd__n_components=2, image="drop", remainder="passthrough", n_jobs=1
    )
    assert copy.transformers["text"][-1].n_components == 2
    assert copy.fit_transform(items).names == ("text", "table", "rest")
    assert given is per.transformers
    assert given["text"][-1].n_components == 3
    assert not hasattr(clone(per), "transformers_")
    replaced = clone(per).set_params(transformers={"image": PCA(2)}, image__n_components=1)
    assert replaced.fit_transform(items)["image"].shape == (N, 1)
    with pytest.raises(ValueError, match="Invalid parameter 'txt'"):
        per.set_params(txt__min_df=1)


def as_pairs(per):
    return clone(per).set_params(transformers=list(per.transformers.items()))


def test_pairs_do_what_a_dict_does(items):
    per = make(rest="passthrough")
    pairs = as_pairs(per)
    expected, Z = per.fit_transform(items), pairs.fit_transform(items)
    assert Z.names == expected.names
    for name, item in Z.items():
        assert_array_equal(as_dense(item), as_dense(expected[name]))
    # As with a dict, the order is that in which the modalities came.
    backwards = clone(pairs).set_params(transformers=tuple(reversed(pairs.transformers)))
    assert backwards.fit_transform(items).names == Z.names
    assert list(pairs.get_feature_names_out()[:1]) == ["text/truncatedsvd0"]


def test_nested_parameters_and_clones_of_pairs(items):
    per = as_pairs(make()).fit(items)
    given = per.transformers
    params = per.get_params()
    assert params.keys() == make().get_params().keys()
    assert params["image"] is given[1][1]
    copy = clone(per).set_params(text__truncatedsvd__n_components=2, image="drop")
    assert [name for name, _ in copy.transformers] == ["text", "image", "table"]
    assert copy.fit_transform(items).names == ("text", "table")
    assert copy.named_transformers_.text[-1].n_components == 2
    # What was passed stays as it was.
    assert given is per.transformers
    assert given[0][1][-1].n_components == 3
    assert given[1][1] is params["image"]
    replaced = clone(per).set_params(transformers=[("image", PCA(2))], image__n_components=1)
    assert replaced.fit_transform(items)["image"].shape == (N, 1)
    with pytest.raises(ValueError, match="Invalid parameter 'txt'"):
        per.set_params(txt__min_df=1)
    assert "image" not in PerModality([("image", PCA(), "columns")]).get_params()


def test_search_over_pairs(items, y):
    pairs = PerModality([("text", CountVectorizer()), ("image", "drop")])
    pipe = Pipeline([("per", pairs), ("get", get_text()), ("clf", LogisticRegression())])
    grid = {"per__text__min_df": [1, 3], "per__text": [TfidfVectorizer(), CountVectorizer()]}
    X = Modalities({"text": items["text"], "image": items["image"]})
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert [name for name, _ in search.best_estimator_["per"].transformers] == ["text", "image"]


@pytest.mark.parametrize("pairs", [False, True], ids=["dict", "pairs"])
def test_html_shows_the_parts(items, pairs):
    per = make(rest="passthrough")
    per = as_pairs(per) if pairs else per
    for state in (per, clone(per).fit(items)):
        page = state._repr_html_()
        for part in ("TfidfVectorizer", "StandardScaler", "OneHotEncoder", "text", "passthrough"):
            assert part in page


def test_constructor_only_stores():
    sentinels = {"transformers": object(), "remainder": object(), "n_jobs": object()}
    assert vars(PerModality(**sentinels)) == sentinels


#: What scikit-learn's own checks do with the output, and why that fails for `Modalities`.
ON_ARRAYS = {
    "check_array_api_input": "compares the output as one array",
    "check_estimators_pickle": "compares the output as one array",
    "check_fit_idempotent": "compares the output as one array",
    "check_methods_sample_order_invariance": "compares the output as one array",
    "check_methods_subset_invariance": "compares the output as one array",
    "check_pipeline_consistency": "compares the output as one array",
    "check_transformer_data_not_an_array": "compares the output as one array",
    "check_transformer_general": "compares the output as one array",
    "check_transformer_preserve_dtypes": "asks for the dtype of the output",
    "check_n_features_in_after_fitting": "the message counts the features of the modality",
    "check_fit2d_predict1d": "the message says what to do about a modality",
}


def test_check_estimator_fails_only_where_it_wants_one_array():
    per = PerModality({}, remainder=StandardScaler(with_mean=False))
    results = check_estimator(per, on_fail=None, on_skip=None)
    failed = {r["check_name"]: repr(r["exception"]) for r in results if r["status"] != "passed"}
    assert not {name: text for name, text in failed.items() if name not in ON_ARRAYS}
    assert sum(r["status"] == "passed" for r in results) >= 30


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
            r"transformers\[1\] is .*\(modality, transformer\) pair.*place of the columns",
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


def test_a_fit_that_fails_leaves_an_unfitted_estimator(items):
    per = make().fit(items)
    with pytest.raises(ValueError, match="'text' is present in 0 of 24 samples"):
        per.fit({**items, "text": [None] * N})
    with pytest.raises(NotFittedError):
        per.transform(items)


@pytest.mark.parametrize("at", ["fit_transform", "transform"])
def test_sparse_output_marks_absent_rows_by_one_nan(items, at):
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
