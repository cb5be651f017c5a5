"""A second head for what a modality shares with no other."""

import numpy as np
import pytest
import torch
from conftest import assert_copies_go_on
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from torch import nn

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer, Modalities
from skcentrobind.losses import separation


def shared_and_specific(n_samples=600, seed=0):
    """Modalities of a shared part, and of a larger modality-specific part."""
    rng, world = np.random.default_rng(seed), np.random.default_rng(99)
    common = rng.normal(size=(n_samples, 2))
    own = [rng.normal(size=(n_samples, 2)) for _ in range(3)]
    arrays = [
        common @ world.normal(size=(2, 10)) + 1.5 * part @ world.normal(size=(2, 10))
        for part in own
    ]
    return Modalities(arrays), common, own


def explained(Z_train, target_train, Z_test, target_test):
    return LinearRegression().fit(Z_train, target_train).score(Z_test, target_test)


def test_the_second_head_learns_modality_specific_information():
    (X, common, own), (X_test, common_test, own_test) = (
        shared_and_specific(),
        shared_and_specific(seed=1),
    )
    bind = CentroBindTransformer(
        n_components=4, n_specific_components=4, max_epochs=60, learning_rate=3e-3, random_state=0
    ).fit(X)
    Z, Z_test = bind.transform_modalities(X), bind.transform_modalities(X_test)
    S, S_test = bind.transform_specific(X), bind.transform_specific(X_test)
    for m in range(3):
        shared, specific = (Z.arrays[m], Z_test.arrays[m]), (S.arrays[m], S_test.arrays[m])
        of_own, of_common = (own[m], own_test[m]), (common, common_test)

        def found(head, target):
            return explained(head[0], target[0], head[1], target[1])

        assert found(shared, of_common) > 0.5
        assert found(specific, of_own) > 0.5
        assert found(shared, of_own) < 0.2


def test_the_penalty_keeps_the_heads_apart():
    X = shared_and_specific(200)[0]
    overlap = []
    for weight in (0.0, 5.0):
        bind = CentroBindTransformer(
            n_components=4,
            n_specific_components=4,
            regularizers={"separation": weight},
            max_epochs=40,
            learning_rate=1e-2,
            random_state=0,
        ).fit(X)
        heads = bind.transform_modalities(X), bind.transform_specific(X)
        overlap.append(separation(*(torch.tensor(np.array(h.arrays)) for h in heads)).item())
    assert overlap[1] < 0.5 * overlap[0]


def test_shapes_and_names_of_the_outputs(each, incomplete):
    bind = each(n_specific_components=2, output="all").fit(incomplete)
    Z, names = bind.transform(incomplete), list(bind.get_feature_names_out())
    assert Z.shape == (40, 3 * (4 + 2)) == (40, len(names))
    assert Z.dtype == np.float32
    assert names[:6] == [*(f"image_{i}" for i in range(4)), "image_specific_0", "image_specific_1"]
    shared, specific = bind.transform_modalities(incomplete), bind.transform_specific(incomplete)
    assert specific.names == incomplete.names
    assert_array_equal(specific.present, incomplete.present)
    for m, has in enumerate(incomplete.present.T):
        block = Z[:, 6 * m : 6 * (m + 1)]
        assert_array_equal(block[has, :4], shared.arrays[m][has])
        assert_array_equal(block[has, 4:], specific.arrays[m][has])
        assert (block[~has, 4:] == 0).all()
        assert_allclose(np.linalg.norm(specific.arrays[m][has], axis=1), 1, rtol=1e-5)
        assert_allclose(np.linalg.norm(shared.arrays[m][has], axis=1), 1, rtol=1e-5)
    concat = clone(bind).set_params(output="concat").fit(incomplete)
    assert concat.transform(incomplete).shape == (40, 3 * 4)
    assert concat.set_params(output="mean").transform(incomplete).shape == (40, 4)
    single = bind.transform_modality(incomplete.arrays[1], "text")
    assert_array_equal(single, shared["text"])


def test_all_is_concat_without_a_second_head(centro, X):
    bind = centro().fit(X)
    expected, names = bind.transform(X), bind.get_feature_names_out()
    bind.set_params(output="all")
    assert_array_equal(bind.transform(X), expected)
    assert_array_equal(bind.get_feature_names_out(), names)


def test_saved_pickled_and_continued_with_both_heads(each, incomplete, tmp_path):
    bind = each(n_specific_components=3, regularizers={"separation": 2, "uniformity": 0.1})
    bind.fit(incomplete).set_params(n_specific_components=7)  # the value in fit counts
    for copy in assert_copies_go_on(bind, incomplete, tmp_path / "bind.safetensors"):
        assert_array_equal(
            copy.transform_specific(incomplete).arrays[0],
            bind.transform_specific(incomplete).arrays[0],
        )


def test_early_stopping_and_score_use_the_shared_head(centro, X):
    bind = centro(n_specific_components=3, early_stopping=True, validation_fraction=0.3).fit(X)
    assert bind.n_iter_ == len(bind.validation_scores_)
    single = centro(n_specific_components=3).fit([X["image"]])
    z = single.net_.embed(
        single._lay_out(Modalities([X["image"]]), np.ones((40, 1), dtype=bool), single.net_.module_)
    )
    assert [part.shape for part in z] == [(1, 40, 4)] * 2
    assert_allclose(z[0][0], single.transform([X["image"]]), atol=1e-6)
    assert 0 < single.score([X["image"]]) <= 1


def test_pretraining_trains_both_heads_of_a_frozen_anchor(X):
    def fitted(**params):
        bind = FixedAnchorBindTransformer(
            n_components=4, n_specific_components=3, random_state=0, max_epochs=1, **params
        )
        return bind.fit(X).transform_specific(X)["image"]

    drawn, taught = fitted(pretrain_epochs=0), fitted(pretrain_epochs=5)
    assert not np.allclose(drawn, taught)


def test_a_module_of_both_heads_needs_no_projection(centro, X):
    module = nn.Linear(6, 7)
    bind = centro(n_specific_components=3, encoder=[module, "mlp", "linear"]).fit(X)
    group, _ = bind.net_.module_.group_of(0)
    assert group.projection is None
    assert bind.transform_specific(X)["image"].shape == (40, 3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"regularizers": {"separation": 1.0}}, "keeps two heads apart, but there is one"),
        ({"n_specific_components": 2, "encoder": ["identity", "mlp", "mlp"]}, "no second head"),
        ({"n_specific_components": -1}, "an integer of at least 0"),
        (
            {"n_specific_components": 2, "regularizers": {"x": 1}},
            "no regularizer 'x'.*'separation'",
        ),
        ({"output": "both"}, "'concat', 'mean' or 'all'"),
    ],
)
def test_faults(centro, X, params, message):
    with pytest.raises(ValueError, match=message):
        centro(**params).fit(X)


def test_one_head_has_nothing_specific(centro, X):
    with pytest.raises(ValueError, match="fitted with n_specific_components=0"):
        centro().fit(X).transform_specific(X)


def test_onnx_has_the_shared_head(centro, X):
    runtime = pytest.importorskip("onnxruntime")
    bind = centro(n_specific_components=3).fit(X)
    model = bind.to_onnx(None, "image", dtype="float64")
    session = runtime.InferenceSession(model.SerializeToString())
    (z,) = session.run(None, {"features": X["image"]})
    assert_allclose(z, bind.transform_modality(X["image"], "image"), atol=1e-5)


def test_columns_of_the_same_name_are_refused(X, each):
    items = {"a": X["image"], "a_specific": X["text"]}
    both = {"n_specific_components": 2}
    with pytest.raises(ValueError, match=r"output='all'.*'a'.*'a_specific'.*rename"):
        each(**both, output="all").fit(items)
    bind = each(**both).fit(items)
    names = bind.get_feature_names_out()
    assert len(set(names)) == len(names)
    bind.set_params(output="all").set_output(transform="pandas")
    for call in (bind.get_feature_names_out, lambda: bind.transform(items)):
        with pytest.raises(ValueError, match="rename"):
            call()
