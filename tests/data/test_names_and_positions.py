"""One key, one meaning: names that look like positions, and columns that share a name."""

import numpy as np
import pandas as pd
import pytest
from conftest import draw, quick_centro, same

from skcentrobind import CentroBindTransformer, FixedAnchorBindTransformer, Modalities, PerModality
from skcentrobind.anchors import WeightedAnchor
from skcentrobind.metrics import alignment, make_retrieval_scorer, mean_reciprocal_rank
from skcentrobind.plotting import ModalityGapDisplay

IMAGE, TEXT, AUDIO = draw(24)[0].arrays
#: The names are those of other positions: "1" comes first.
SWAPPED = {1: IMAGE, 0: TEXT, 2: AUDIO}
TEXT_NAMES = {"1": IMAGE, "0": TEXT, "2": AUDIO}
PLAIN = {"image": IMAGE, "text": TEXT, "audio": AUDIO}


@pytest.mark.parametrize("key", [1, np.int64(1), "1", np.str_("1")])
def test_a_modality_is_taken_by_name_first(key):
    bind = quick_centro().fit(SWAPPED)
    expected = bind.transform_modalities(SWAPPED)["1"]
    np.testing.assert_allclose(bind.transform_modality(IMAGE, key), expected, atol=1e-6)
    with pytest.raises(ValueError, match="'1' has 5 features, but was fitted with 6"):
        bind.transform_modality(TEXT, key)


def test_positions_count_where_no_name_is_a_number():
    bind = quick_centro().fit(PLAIN)
    by_name = bind.transform_modality(TEXT, "text")
    for key in (1, -2, np.int8(1)):
        assert same(bind.transform_modality(TEXT, key), by_name)
    odd = quick_centro().fit({"7": IMAGE, "text": TEXT})
    assert same(odd.transform_modality(IMAGE, 7), odd.transform_modality(IMAGE, 0))
    with pytest.raises(ValueError, match="name or position of"):
        odd.transform_modality(IMAGE, 3)


def test_anchors_and_weights_by_number():
    for key in (1, "1"):
        bind = FixedAnchorBindTransformer(n_components=4, anchor=key, max_epochs=1, random_state=0)
        Z = bind.fit(SWAPPED).transform(SWAPPED)
        plain = FixedAnchorBindTransformer(
            n_components=4, anchor="image", max_epochs=1, random_state=0
        )
        assert same(Z, plain.fit_transform(PLAIN))
    weights = {1: 3.0, 0: 1.0, 2: 0.0}
    expected = quick_centro(aggregator=WeightedAnchor([3.0, 1.0, 0.0])).fit_transform(PLAIN)
    bind = quick_centro(aggregator=WeightedAnchor(weights))
    assert same(bind.fit_transform(SWAPPED), expected)


def test_parameters_by_number():
    encoders = {1: "identity", 0: "residual", 2: "residual"}
    options = {"n_components": 6, "max_epochs": 1, "random_state": 0, "init": "random"}
    wide = {1: IMAGE, 0: TEXT, 2: AUDIO}
    bind = CentroBindTransformer(encoder=encoders, **options).fit(wide)
    plain = CentroBindTransformer(encoder=["identity", "residual", "residual"], **options)
    assert same(bind.transform(wide), plain.fit(PLAIN).transform(PLAIN))
    doubled = {1: "identity", "1": "residual", 0: "residual", 2: "residual"}
    with pytest.raises(ValueError, match=r"duplicate names: \['1'\]"):
        CentroBindTransformer(encoder=doubled, **options).fit(wide)


def test_metrics_and_displays_by_number():
    bind = quick_centro().fit(SWAPPED)
    for number, name in ((1, "1"), (2, "2")):
        scorers = [make_retrieval_scorer(pairs=[(key, 0)]) for key in (number, name)]
        assert len({scorer(bind, SWAPPED) for scorer in scorers}) == 1
    Z = bind.transform_modalities(SWAPPED)
    display = ModalityGapDisplay.from_embeddings(Z, pair=(1, 0))
    assert list(display.projections) == ["1", "0"]
    with pytest.raises(ValueError, match=r"duplicate names: \['1'\]"):
        alignment({1: IMAGE[:, :4], "1": TEXT[:, :4]})


def test_presence_by_name_is_put_in_order():
    Z = quick_centro().fit(PLAIN).transform_modalities(PLAIN)
    present = np.random.default_rng(0).random((24, 3)) < 0.7
    expected = mean_reciprocal_rank(Z, present=present)
    table = pd.DataFrame(present, columns=Z.names)
    for given in (table, table[["audio", "image", "text"]], pd.DataFrame(present)):
        assert mean_reciprocal_rank(Z, present=given) == expected
    with pytest.raises(ValueError, match=r"columns \['image', 'text', 'sound'\]"):
        mean_reciprocal_rank(Z, present=table.rename(columns={"audio": "sound"}))


@pytest.mark.parametrize("call", [quick_centro().fit, Modalities, PerModality({"1": "drop"}).fit])
def test_keys_that_are_equal_as_text_are_refused(call):
    with pytest.raises(ValueError, match=r"duplicate names: \['1'\]"):
        call({1: IMAGE, "1": TEXT})


def test_numbers_select_rows_of_the_container():
    X = Modalities(SWAPPED)
    np.testing.assert_array_equal(X[[1, 0]]["1"], IMAGE[[1, 0]])
    np.testing.assert_array_equal(X[1]["1"], IMAGE[[1]])
    assert X[["0", "1"]].names == ("0", "1")


# --- columns ------------------------------------------------------------------------------


def test_columns_named_by_numbers():
    flat = pd.DataFrame(np.hstack([IMAGE, TEXT]))
    expected = quick_centro(modalities=[6, 5]).fit_transform(flat)
    cut = {"image": range(6), "text": range(6, 11)}
    assert same(quick_centro(modalities=cut).fit_transform(flat), expected)
    # No label is the position of another column: positions and names cannot be confused.
    for labels in (range(100, 111), range(11)):
        named = flat.set_axis(labels, axis=1)
        by_name = {"image": list(labels)[:6], "text": list(labels)[6:]}
        assert same(quick_centro(modalities=by_name).fit_transform(named), expected)
    turned = flat.iloc[:, ::-1]
    with pytest.raises(
        ValueError, match=r"'image' takes column 0, which is the name of the column "
    ):
        quick_centro(modalities=cut).fit(turned)


TWICE = pd.DataFrame(IMAGE, columns=list("xxabcd"))
OTHER = pd.DataFrame(TEXT, columns=list("pqrst"))


@pytest.mark.parametrize(
    "X",
    [
        {"image": TWICE, "text": OTHER},
        {"image": TWICE, "text": TEXT},
        Modalities({"image": TWICE, "text": TEXT}),
        pd.concat({"image": TWICE, "text": OTHER}, axis=1),
        {"image": TWICE.set_axis([1, "1", *"abcd"], axis=1), "text": OTHER},
    ],
    ids=["frames", "mixed", "container", "two levels", "equal as text"],
)
def test_duplicate_columns_are_refused(X):
    with pytest.raises(
        ValueError, match=r"Modality 'image' has duplicate column names: \['[x1]'\]"
    ):
        quick_centro().fit(X)


def test_duplicate_columns_of_later_data_and_of_a_table():
    bind = quick_centro().fit({"image": TWICE.set_axis(list("xyabcd"), axis=1), "text": OTHER})
    for call in (
        lambda: bind.transform({"image": TWICE, "text": OTHER}),
        lambda: bind.transform_modality(TWICE, "image"),
        lambda: PerModality({"image": "passthrough"}).fit({"image": TWICE}),
    ):
        with pytest.raises(ValueError, match="has duplicate column names"):
            call()
    for cut in (None, {"a": ["x", "a"], "b": ["b"]}, [2, 4]):
        with pytest.raises(ValueError, match=r"X has duplicate column names: \['x'\]"):
            quick_centro(modalities=cut).fit(TWICE)
    assert Modalities({"image": TWICE})["image"] is TWICE


@pytest.mark.parametrize("part", [["x", "x"], [0, 0], [0, -6], ["x", 0], np.array([1, 2, 1])])
def test_a_column_twice_in_one_modality_is_refused(part):
    table = pd.DataFrame(IMAGE, columns=list("xyabcd"))
    with pytest.raises(ValueError, match=r"'one' takes column \d of X more than once"):
        quick_centro(modalities={"one": part, "two": ["c", "d"]}).fit(table)


def test_modalities_may_share_columns():
    table = pd.DataFrame(IMAGE, columns=list("xyabcd"))
    cut = {"one": ["x", "y", "a"], "two": ["a", "b", "c"]}
    expected = quick_centro().fit_transform([IMAGE[:, :3], IMAGE[:, 2:5]])
    assert same(quick_centro(modalities=cut).fit_transform(table), expected)


@pytest.mark.parametrize("part", [{0, 1}, {"x": 1}.keys(), iter([0, 1]), (i for i in range(2))])
def test_columns_without_an_order_are_refused(part):
    X = np.random.default_rng(0).normal(size=(20, 4))
    bind = CentroBindTransformer(modalities={"a": part, "b": [2, 3]}, max_epochs=1)
    with pytest.raises(ValueError, match="modalities must be a list or dict of widths, slices or"):
        bind.fit(X)
