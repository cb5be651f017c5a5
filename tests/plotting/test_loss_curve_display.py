"""Loss curves: losses and scores of one run or of several."""

import matplotlib
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skcentrobind import CentroBindTransformer
from skcentrobind.plotting import LossCurveDisplay

matplotlib.use("Agg")

pytestmark = pytest.mark.usefixtures("close_figures")


def test_loss_and_scores_are_those_of_the_estimator(centro, X):
    bind = centro(max_epochs=4, early_stopping=True, validation_fraction=0.2).fit(X)
    display = LossCurveDisplay.from_estimator(bind, label="mean anchor", linewidth=3)
    loss, score = display.lines_["mean anchor"], display.score_lines_["mean anchor"]
    np.testing.assert_array_equal(loss.get_xdata(), range(1, bind.n_iter_ + 1))
    np.testing.assert_array_equal(loss.get_ydata(), bind.loss_curve_)
    np.testing.assert_array_equal(score.get_ydata(), bind.validation_scores_)
    assert loss.axes is display.ax_ and score.axes is display.score_ax_
    assert loss.get_color() is score.get_color() and score.get_linestyle() == "--"
    assert loss.get_linewidth() == score.get_linewidth() == 3
    assert display.bands_ == display.score_bands_ == {}
    labels = [t.get_text() for t in display.legend_.get_texts()]
    assert labels == ["mean anchor", "training loss", "validation score"]


def test_without_scores_there_is_one_scale(centro, X):
    display = LossCurveDisplay.from_estimator(centro().fit(X))
    assert list(display.lines_) == ["CentroBindTransformer"]
    assert display.score_ax_ is None and display.score_lines_ == {}
    assert len(display.figure_.axes) == 1
    assert all(tick == int(tick) for tick in display.ax_.get_xticks())


def test_runs_of_one_label_are_averaged(centro, fixed, X):
    runs = [centro(random_state=seed).fit(X) for seed in range(3)]
    other = fixed().fit(X)
    table = np.array([run.loss_curve_ for run in runs])
    for estimators in ([*runs, other], {"CentroBindTransformer": runs, "fixed": other}):
        display = LossCurveDisplay.from_estimators(estimators)
        line = display.lines_["CentroBindTransformer"]
        np.testing.assert_allclose(line.get_ydata(), table.mean(axis=0))
        (path,) = display.bands_["CentroBindTransformer"].get_paths()
        at_first = path.vertices[path.vertices[:, 0] == 1, 1]
        spread = table[:, 0].mean() + table[:, 0].std() * np.array([-1, 1])
        np.testing.assert_allclose([at_first.min(), at_first.max()], spread)
        assert len(display.lines_) == 2 and len(display.bands_) == 1
    assert list(display.lines_) == ["CentroBindTransformer", "fixed"]


def test_a_run_that_stopped_early_counts_as_long_as_it_went_on():
    display = LossCurveDisplay({"a": [[4, 2], [2, 2, 1, 1]]}).plot()
    np.testing.assert_array_equal(display.lines_["a"].get_ydata(), [3, 2, 1, 1])


def test_a_single_epoch_is_a_dot():
    assert LossCurveDisplay({"a": [[4]]}).plot().lines_["a"].get_marker() == "o"


def test_legend_and_scale_of_the_scores_fit_the_figure():
    labels = [f"the anchor with the number {m} and a long name" for m in range(10)]
    display = LossCurveDisplay(
        {label: [[3, 2, 1], [3, 1, 1]] for label in labels}, scores={labels[0]: [[0.1, 0.4, 0.5]]}
    ).plot()
    display.figure_.canvas.draw()
    renderer = display.figure_.canvas.get_renderer()
    for ax in (display.ax_, display.score_ax_):
        box = ax.get_tightbbox(renderer)
        assert display.figure_.bbox.padded(1).contains(*box.min)
        assert display.figure_.bbox.padded(1).contains(*box.max)
    assert display.legend_.get_window_extent().y1 <= display.ax_.xaxis.label.get_window_extent().y0


def test_unusable_loss_curves():
    with pytest.raises(TypeError, match=r"with loss_curve_, or pipelines or searches .*, got dict"):
        LossCurveDisplay.from_estimator({})
    with pytest.raises(NotFittedError, match="not fitted"):
        LossCurveDisplay.from_estimator(CentroBindTransformer())
    with pytest.raises(ValueError, match="one label or more, got none"):
        LossCurveDisplay.from_estimators([])
    with pytest.raises(ValueError, match=r"losses of 'a' must be a list of runs .*\[\[3.0"):
        LossCurveDisplay({"a": [3.0, 2.0]})
    with pytest.raises(ValueError, match=r"labels of losses, \['a'\], got \['b'\]"):
        LossCurveDisplay({"a": [[1.0]]}, scores={"b": [[1.0]]})
