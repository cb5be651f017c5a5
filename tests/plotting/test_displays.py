"""Heat maps, curves and gaps: what is drawn is what the metrics say, and it can be read."""

import itertools

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from skcentrobind import Modalities
from skcentrobind.metrics import modality_gap, mutual_information_matrix, retrieval_report
from skcentrobind.plotting import (
    InformationDisplay,
    LossCurveDisplay,
    ModalityGapDisplay,
    RetrievalDisplay,
)
from skcentrobind.plotting._heat_map import draw_heat_map, readable_on

matplotlib.use("Agg")

pytestmark = pytest.mark.usefixtures("close_figures")

N, WIDTH = 40, 5


def embeddings(n_modalities=3, n_samples=N, names=None):
    """Unit rows of noisy copies of the same points, each copy a little further off."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(n_samples, WIDTH))
    arrays = []
    for m in range(n_modalities):
        z = base + 0.2 * (m + 1) * rng.normal(size=base.shape) + 0.1 * m
        arrays.append(z / np.linalg.norm(z, axis=1, keepdims=True))
    return Modalities(arrays, names=names)


@pytest.fixture
def Z():
    arrays = dict(embeddings(names=["image", "text", "audio"]).items())
    arrays["text"][[3, 7]] = np.nan
    return Modalities(arrays)


def written(display):
    """The numbers in the cells, NaN where there is none."""
    return np.array(
        [[np.nan if t is None else float(t.get_text()) for t in row] for row in display.text_]
    )


def luminance(colour):
    c = np.array(to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


def contrast(one, other):
    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


# ---------------------------------------------------------------- heat maps


@pytest.mark.parametrize("cmap", ["viridis", "cividis", "gray", "RdBu"])
def test_text_contrasts_with_its_cell(cmap):
    values = np.linspace(0, 1, 100).reshape(10, 10)
    names = [f"m{i}" for i in range(10)]
    drawn = draw_heat_map(
        None, values, names, label="", limits=(0, 1), axis_labels=("", ""), cmap=cmap
    )
    for value, text in zip(values.ravel(), drawn.text.ravel(), strict=True):
        assert contrast(text.get_color(), drawn.im.cmap(value)[:3]) >= 4.5


@pytest.mark.parametrize(
    ("colour", "expected"), [("black", "white"), ("yellow", "black"), ("navy", "white")]
)
def test_readable_on(colour, expected):
    assert readable_on(to_rgb(colour)) == expected


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("n_modalities", [2, 4, 10])
@pytest.mark.parametrize("long", [False, True])
def test_heat_maps_fit_their_figure_and_nothing_overlaps(style, n_modalities, long):
    import matplotlib.pyplot as plt

    names = [f"sensor{m}" + "_of_the_second_session" * long for m in range(n_modalities)]
    with plt.style.context(style):
        display = RetrievalDisplay.from_embeddings(embeddings(n_modalities, names=names))
        display.figure_.canvas.draw()
        renderer = display.figure_.canvas.get_renderer()
        inside = display.figure_.bbox.padded(1)
        for ax in display.figure_.axes:
            box = ax.get_tightbbox(renderer)
            assert inside.contains(*box.min) and inside.contains(*box.max)
        width = display.ax_.get_window_extent().width / n_modalities
        texts = [t.get_window_extent() for t in display.text_.ravel() if t is not None]
        assert all(box.width < 0.9 * width for box in texts)
        if not long:
            labels = [label.get_window_extent() for label in display.ax_.get_xticklabels()]
            assert not any(a.overlaps(b) for a, b in itertools.pairwise(labels))
        rows = [label.get_window_extent() for label in display.ax_.get_yticklabels()]
        assert not any(a.overlaps(b) for a, b in itertools.pairwise(rows))
        bar = display.colorbar_.ax.get_tightbbox(renderer)
        assert not bar.overlaps(display.ax_.get_tightbbox(renderer))
        assert [t.get_text() for t in display.ax_.get_xticklabels()] == names


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_values_and_names_make_do_with_the_axes_they_are_given(layout):
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(1, 2, figsize=(8, 3.5), layout=layout)
    for ax, n_modalities in zip(axes, (2, 8), strict=True):
        names = [f"sensor{m}" for m in range(n_modalities)]
        display = RetrievalDisplay.from_embeddings(embeddings(n_modalities, names=names), ax=ax)
    display.figure_.canvas.draw()
    cell = axes[1].get_window_extent().width / 8
    values = [t.get_window_extent().width for t in display.text_.ravel() if t is not None]
    assert max(values) < cell
    # Eight names would run into one another, two have room.
    assert [ax.get_xticklabels()[0].get_rotation() for ax in axes] == [0, 45]
    display.plot(axes[0], colorbar=False)
    assert display.colorbar_ is None and axes[0].get_title().startswith("recall@1 (chance")


# ---------------------------------------------------------------- retrieval


@pytest.mark.parametrize("metric", ["recall@1", "recall@5", "recall@12", "mrr"])
def test_matrix_holds_the_numbers_of_the_report(Z, metric):
    display = RetrievalDisplay.from_embeddings(Z, metric=metric, values_format=".6f")
    report = retrieval_report(Z, ks=[1, 5, 12])
    expected = report[metric].unstack().loc[list(Z.names), list(Z.names)].to_numpy()
    np.testing.assert_allclose(display.im_.get_array().filled(np.nan), expected)
    np.testing.assert_allclose(written(display), expected, atol=1e-6)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("gallery", "query")
    assert display.lines_ is display.pair_lines_ is display.chance_line_ is None


def test_chance_is_shown_beside_the_matrix():
    ranks = {("a", "b"): np.arange(1, 11), ("b", "a"): np.arange(10, 0, -1)}
    display = RetrievalDisplay(ranks).plot(metric="recall@2")
    assert display.colorbar_.ax.get_ylabel() == "recall@2 (chance 0.2)"
    # Uniform ranks are what chance gives.
    assert written(display)[0, 1] == written(display)[1, 0] == 0.2
    harmonic = sum(1 / r for r in range(1, 11)) / 10
    display.plot(metric="mrr", colorbar=False, values_format=None)
    assert display.ax_.get_title() == f"mrr (chance {harmonic:.2g})" and display.text_ is None


def test_curves_are_recall_at_every_k(Z):
    display = RetrievalDisplay.from_embeddings(Z, kind="curve")
    report = retrieval_report(Z, ks=range(1, N + 1))
    columns = [f"recall@{k}" for k in range(1, N + 1)]
    assert list(display.lines_) == list(Z.names)
    for pair, line in display.pair_lines_.items():
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, N + 1))
        np.testing.assert_allclose(line.get_ydata(), report.loc[pair, columns])
    for query, line in display.lines_.items():
        np.testing.assert_allclose(line.get_ydata(), report.loc[query, columns].mean())
    ks, chance = display.chance_line_.get_data()
    pairs = [min(k / n, 1) for k in ks for n in report["n_samples"]]
    np.testing.assert_allclose(chance, np.reshape(pairs, (N, -1)).mean(axis=1))
    assert display.ax_.get_xscale() == "log"
    assert display.im_ is display.text_ is display.colorbar_ is None
    legend = [t.get_text() for t in display.ax_.get_legend().get_texts()]
    assert legend == ["query: image", "query: text", "query: audio", "chance"]


def test_a_pair_has_one_line_each_way_and_options_reach_it():
    display = RetrievalDisplay.from_embeddings(embeddings(2), kind="curve", linewidth=5)
    first, second = display.lines_.values()
    assert list(display.pair_lines_.values()) == [first, second]
    assert first.get_linewidth() == 5 and first.get_color() is not second.get_color()
    assert len(display.ax_.lines) == 3


def test_long_curves_are_thinned():
    rng = np.random.default_rng(0)
    ranks = {("a", "b"): rng.integers(1, 5001, 5000)}
    display = RetrievalDisplay(ranks).plot(kind="curve")
    assert list(display.lines_) == ["a"] and display.names == ["a", "b"]
    ks, recall = display.lines_["a"].get_data()
    assert ks[0] == 1 and ks[-1] == 5000 and len(ks) <= 200
    np.testing.assert_allclose(recall, [(ranks["a", "b"] <= k).mean() for k in ks])


@pytest.mark.parametrize("n_modalities", [2, 10, 12])
def test_legend_below_the_curves_overlaps_nothing(n_modalities):
    names = [f"sensor{m}_of_the_second_session" for m in range(n_modalities)]
    display = RetrievalDisplay.from_embeddings(embeddings(n_modalities, names=names), kind="curve")
    display.figure_.canvas.draw()
    legend, ax = display.ax_.get_legend().get_window_extent(), display.ax_
    assert legend.y1 <= ax.xaxis.label.get_window_extent().y0
    assert display.figure_.bbox.contains(*legend.min)
    assert ax.get_window_extent().height > 200


def test_retrieval_from_estimator(centro, X):
    bind = centro().fit(X[:30])
    display = RetrievalDisplay.from_estimator(bind, X[30:], metric="mrr", values_format=".6f")
    mean = np.nanmean(written(display))
    assert mean == pytest.approx(bind.score(X[30:]), abs=1e-5)
    with pytest.raises(TypeError, match=r"list has neither transform_modalities nor transform; .*"):
        RetrievalDisplay.from_estimator([], X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "bars"}, "kind must be 'matrix' or 'curve', got 'bars'"),
        ({"metric": "recall"}, "metric must be 'mrr' or 'recall@k' with k = 1, 2, .* 'recall'"),
        ({"metric": "recall@0"}, "got 'recall@0'"),
        ({"metric": 5}, "got 5"),
    ],
)
def test_unusable_options_of_retrieval(Z, options, message):
    with pytest.raises(ValueError, match=message):
        RetrievalDisplay.from_embeddings(Z, **options)


def test_unusable_data_of_retrieval():
    with pytest.raises(ValueError, match=r"at least 2, got \['modality0'\]"):
        RetrievalDisplay.from_embeddings(embeddings(1))
    apart = dict(embeddings(2).items())
    apart["modality0"][: N // 2] = apart["modality1"][N // 2 :] = np.nan
    with pytest.raises(ValueError, match=r"share at least two samples; .*none do"):
        RetrievalDisplay.from_embeddings(apart)
    with pytest.raises(ValueError, match=r"at least 1, got shape \(2,\) with minimum 0"):
        RetrievalDisplay({("a", "b"): [0, 1]})
    with pytest.raises(ValueError, match=r"one key \(query, gallery\) or more, got keys \[\]"):
        RetrievalDisplay({})


# ---------------------------------------------------------------- mutual information


@pytest.fixture
def Z_augmented(Z):
    rng = np.random.default_rng(1)
    return Modalities({name: z + 0.1 * rng.normal(size=z.shape) for name, z in Z.items()})


def test_information_is_that_of_the_metric(Z, Z_augmented):
    options = {"temperature": 0.3, "batch_size": 16}
    display = InformationDisplay.from_embeddings(Z, Z_augmented, values_format=".6f", **options)
    expected = mutual_information_matrix(Z, Z_augmented, **options)
    np.testing.assert_array_equal(display.information, expected)
    np.testing.assert_allclose(written(display), expected, atol=1e-6)
    assert display.names == list(Z.names) and display.limit == pytest.approx(np.log(16))
    assert display.im_.get_clim() == (0, display.limit)
    assert display.colorbar_.ax.get_ylabel() == "mutual information in nats, limit 2.77"


def test_without_augmented_embeddings_the_diagonal_is_empty(Z):
    display = InformationDisplay.from_embeddings(Z)
    assert [text is None for text in display.text_.diagonal()] == [True] * 3
    assert sum(text is None for text in display.text_.ravel()) == 3


def test_information_of_plain_numbers():
    display = InformationDisplay([[3.0, -0.5], [-0.5, 2.0]]).plot()
    assert display.names == ["modality0", "modality1"] and display.limit is None
    assert display.im_.get_clim() == (0, 3)
    assert display.text_[0, 1].get_text() == "-0.50"
    assert display.colorbar_.ax.get_ylabel() == "mutual information in nats"
    frame = pd.DataFrame([[1.0, 0.0], [0.0, 1.0]], columns=["a", "b"])
    assert InformationDisplay(frame).names == ["a", "b"]
    assert InformationDisplay(frame, limit=4.0).plot().im_.get_clim() == (0, 4)


def test_information_from_estimator(centro, X):
    bind = centro(temperature=0.5).fit(X)
    rng = np.random.default_rng(0)
    noisy = {name: x + 0.1 * rng.normal(size=x.shape) for name, x in X.items()}
    display = InformationDisplay.from_estimator(bind, X, noisy)
    Z, Z_augmented = bind.transform_modalities(X), bind.transform_modalities(noisy)
    expected = mutual_information_matrix(Z, Z_augmented, temperature=0.5)
    np.testing.assert_array_equal(display.information, expected)
    display = InformationDisplay.from_estimator(bind, X, temperature=0.1)
    expected = mutual_information_matrix(Z, temperature=0.1)
    np.testing.assert_array_equal(display.information, expected)


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        ([[1.0, 2.0]], None, r"of shape \(n_modalities, n_modalities\), got \(1, 2\)"),
        (np.eye(2), ["a"], r"one name per modality, 2, got 1: \['a'\]"),
    ],
)
@pytest.mark.parametrize("display", [InformationDisplay, ModalityGapDisplay])
def test_unusable_matrices(display, values, names, message):
    with pytest.raises(ValueError, match=message):
        display(values, names=names)


# ---------------------------------------------------------------- modality gap


def test_gaps_are_those_of_the_metric(Z):
    display = ModalityGapDisplay.from_embeddings(Z, values_format=".6f")
    expected = modality_gap(Z).to_numpy(copy=True)
    np.testing.assert_array_equal(display.gaps, expected)
    np.fill_diagonal(expected, np.nan)
    np.testing.assert_allclose(written(display), expected, atol=1e-6)
    assert display.im_.get_clim() == (0, 1)
    assert ModalityGapDisplay([[0, 1.6], [1.6, 0]]).plot().im_.get_clim() == (0, 1.6)


@pytest.mark.parametrize("pair", [None, ("text", "audio"), ("audio", "text"), (-1, 1)])
def test_projection_is_on_the_line_through_the_means(Z, pair):
    display = ModalityGapDisplay.from_embeddings(Z, pair=pair, kind="projection")
    gaps = modality_gap(Z)
    first, second = display.projections
    expected_pair = ("audio", "text") if pair == (-1, 1) else pair
    assert pair is None or (first, second) == expected_pair
    if pair is None:
        assert gaps.loc[first, second] == gaps.to_numpy().max()
    both = [k for k in range(N) if not np.isnan(Z[first][k] + Z[second][k]).any()]
    middles = [sum(Z[name][k] for k in both) / len(both) for name in (first, second)]
    direction = (middles[1] - middles[0]) / gaps.loc[first, second]
    for name, values in display.projections.items():
        centre = (middles[0] + middles[1]) / 2
        expected = [np.dot(Z[name][k] - centre, direction) for k in both]
        np.testing.assert_allclose(values, expected, atol=1e-6)
        assert display.mean_lines_[name].get_xdata()[0] == pytest.approx(np.mean(expected))
        density, edges, _ = display.histograms_[name].get_data()
        assert (density * np.diff(edges)).sum() == pytest.approx(1)
    assert display.ax_.get_title() == f"gap {gaps.loc[first, second]:.2f}"
    assert [t.get_text() for t in display.ax_.get_legend().get_texts()] == [first, second]


def test_a_space_without_a_gap_can_be_drawn():
    z = embeddings(1).arrays[0]
    display = ModalityGapDisplay.from_embeddings([z, z], kind="projection")
    assert display.ax_.get_title() == "gap 0.00" and display.im_ is None


def test_gap_from_estimator(centro, X):
    bind = centro().fit(X)
    display = ModalityGapDisplay.from_estimator(bind, X)
    np.testing.assert_array_equal(display.gaps, modality_gap(bind.transform_modalities(X)))


def test_unusable_arguments_of_gaps(Z):
    with pytest.raises(ValueError, match="kind must be 'matrix' or 'projection', got 'curve'"):
        ModalityGapDisplay.from_embeddings(Z, kind="curve")
    with pytest.raises(ValueError, match=r"two modalities of \['image', .* got \('text',\)"):
        ModalityGapDisplay.from_embeddings(Z, pair=("text",))
    with pytest.raises(ValueError, match=r"two different modalities of .* got \('text', 1\)"):
        ModalityGapDisplay.from_embeddings(Z, pair=("text", 1))
    with pytest.raises(ValueError, match=r"pair has modality 'txt'.* Did you mean 'text'\?"):
        ModalityGapDisplay.from_embeddings(Z, pair=("txt", "image"))
    with pytest.raises(ValueError, match=r"got 'matrices'\. Did you mean 'matrix'\?"):
        ModalityGapDisplay.from_embeddings(Z, kind="matrices")
    with pytest.raises(ValueError, match=r"needs projections, got None. Make .* from_estimator"):
        ModalityGapDisplay(np.zeros((2, 2))).plot(kind="projection")
    with pytest.raises(ValueError, match=r"those of two modalities, got \['a'\]"):
        ModalityGapDisplay(np.zeros((2, 2)), projections={"a": [0.0]})
    arrays = dict(embeddings(3).items())
    arrays["modality0"][: N // 2] = arrays["modality1"][N // 2 :] = np.nan
    with pytest.raises(ValueError, match=r"No sample has both modalities of pair=\['modality0'"):
        ModalityGapDisplay.from_embeddings(arrays, pair=["modality0", "modality1"])
    del arrays["modality2"]
    with pytest.raises(ValueError, match=r"that share samples; of .* none do"):
        ModalityGapDisplay.from_embeddings(arrays)


# ---------------------------------------------------------------- all of them


def test_given_axes_are_used():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 6)
    displays = [
        RetrievalDisplay.from_embeddings(embeddings(), ax=axes[0]),
        RetrievalDisplay.from_embeddings(embeddings(), ax=axes[1], kind="curve"),
        LossCurveDisplay({"a": [[2, 1]]}).plot(axes[2]),
        InformationDisplay.from_embeddings(embeddings(), ax=axes[3]),
        ModalityGapDisplay.from_embeddings(embeddings(), ax=axes[4]),
        ModalityGapDisplay.from_embeddings(embeddings(), ax=axes[5], kind="projection"),
    ]
    assert [display.ax_ for display in displays] == list(axes)
    assert all(display.figure_ is figure for display in displays)
    assert plt.get_fignums() == [figure.number]
