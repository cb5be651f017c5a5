"""Early stopping: rows held out, the end of training, and the best weights."""

import pickle

import numpy as np
import pytest
from conftest import Recorder, recorder_of


def test_held_out_rows_are_not_kept(binder):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(200, 500)), rng.normal(size=(200, 3))]
    sizes = [
        len(pickle.dumps(binder(early_stopping=stops, validation_fraction=0.5).fit(X)))
        for stops in (False, True)
    ]
    assert sizes[1] < sizes[0] + 5_000  # not 100 x 500 numbers
    bind = binder(early_stopping=True, n_iter_no_change=1, max_epochs=2).fit(X)
    scores = bind.validation_scores_
    for _ in range(3):
        bind.partial_fit(X)
    assert bind.n_iter_ == len(scores) + 3
    assert bind.validation_scores_ == scores


def test_early_stopping_ends_when_there_is_nothing_to_learn(binder):
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=(60, 5)) for _ in range(3)]
    bind = binder(early_stopping=True, n_iter_no_change=2, max_epochs=100).fit(noise)
    assert 3 <= bind.n_iter_ < 100
    assert len(bind.validation_scores_) == len(bind.loss_curve_) == bind.n_iter_
    assert all(0 < score <= 1 for score in bind.validation_scores_)


def test_early_stopping_restores_the_best_weights(make_data, binder):
    # Rows that the optimiser has not seen are found by what it cannot know: their embeddings after
    # the best epoch have the best score.
    X, _ = make_data(80)
    found = 0
    for seed in range(4):
        bind = binder(
            early_stopping=True, validation_fraction=0.25, n_iter_no_change=3, random_state=seed,
            max_epochs=40, learning_rate=0.03,
        ).fit(X)  # fmt: skip
        best = max(bind.validation_scores_)
        found += bind.validation_scores_[-1] < best - 0.01
        held_out = np.random.RandomState(bind._plan.seed).permutation(80)[:20]
        assert bind.score(X[np.sort(held_out)]) == pytest.approx(best, abs=2e-4)
    assert found  # ... or the last weights would have done as well


def test_early_stopping_holds_rows_out(make_data, centro):
    X, _ = make_data(80)
    bind = centro(early_stopping=True, validation_fraction=0.25, callbacks=[Recorder()]).fit(X)
    assert recorder_of(bind).sizes == [60] * bind.n_iter_


def test_early_stopping_with_a_short_last_batch(make_data, binder):
    # 3 rows are held out; in batches of at most 2 one of them is alone.
    X, _ = make_data(30)
    bind = binder(early_stopping=True, validation_fraction=0.1, batch_size=2).fit(X)
    assert all(0 < score <= 1 for score in bind.validation_scores_)
    bind = binder(early_stopping=True, validation_fraction=0.1, batch_size=2).fit([X["text"]])
    assert all(0 < score <= 1 for score in bind.validation_scores_)


def rarely_together(X):
    """Every sample has text or audio, few have an image: few pairs can be scored."""
    rng = np.random.default_rng(0)
    arrays = {name: array.copy() for name, array in X.items()}
    with_text = rng.random(len(X)) < 0.5
    arrays["text"][~with_text] = np.nan
    arrays["audio"][with_text] = np.nan
    arrays["image"][rng.random(len(X)) < 0.8] = np.nan
    return arrays


# If modalities share few samples, fit warns about it; test_bad_input holds the warning.
@pytest.mark.filterwarnings("ignore:Modality .* shares fewer than 2 samples")
def test_early_stopping_where_held_out_rows_hardly_overlap(X, binder):
    bind = binder(early_stopping=True, validation_fraction=0.5).fit(rarely_together(X))
    assert all(0 < score <= 1 for score in bind.validation_scores_)
    with pytest.raises(ValueError, match=r"holds out 4 of 40 .* no two modalities share 2 .* more"):
        binder(early_stopping=True).fit(rarely_together(X))
