from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from core.adapters.model_files import ModelFiles
from core.errors import DataFault
from core.learning import validation
from core.learning.labels import count_matured, is_hit, labels, training_rows
from core.learning.training import Recipe, TrainingRequest, fit, train
from core.series import time_of
from core.strategy.features import WARM_UP
from core.strategy.forest import FlatForest
from core.strategy.predictor import ForestPredictor
from tests.forest_builders import SMALL, model_of
from tests.series_builders import random_walk, series_of
from tests.snapshot_builders import FixedPredictor

pytestmark = pytest.mark.feature("S4")

DAILY = (random_walk("SPY", 420, seed=1), random_walk("BTC-USD", 380, seed=2))


def test_the_label_says_whether_the_close_is_higher_after_the_horizon() -> None:
    close = np.array([5.0, 4.0, 6.0, 6.0, 3.0, 7.0])
    assert labels(close, 2).tolist() == [1, 1, 0, 1]
    assert labels(close, 6).tolist() == []
    assert labels(close[:0], 2).tolist() == []


def test_training_rows_are_all_labelled_in_time_order_and_leave_out_warm_up_and_tail() -> None:
    rows = training_rows(DAILY, 10)
    assert len(rows) == sum(len(series) - (WARM_UP - 1) - 10 for series in DAILY)
    assert (np.diff(rows.closed_at) >= 0).all()
    assert (rows.labelled_at - rows.closed_at == 10 * 86_400).all()
    assert len(training_rows(DAILY, 10, 50)) == 2 * (50)
    assert len(training_rows([], 10)) == 0
    assert len(training_rows([random_walk(count=20)], 10)) == 0


def test_the_split_is_by_calendar_time_with_a_purge_of_the_horizon() -> None:
    rows = training_rows(DAILY, 10)
    seen, held_out = validation.purged_split(rows, 0.25)
    assert seen.labelled_at.max() < held_out.closed_at.min()
    days = np.unique(rows.closed_at)
    assert abs(len(np.unique(held_out.closed_at)) / len(days) - 0.25) < 0.01
    purged = len(rows) - len(seen) - len(held_out)
    assert purged == 10 * len(DAILY)


def test_scores_agree_with_scikit_learns() -> None:
    draw = np.random.default_rng(3)
    outcome = draw.integers(0, 2, 500).astype(np.int8)
    probability = np.round(draw.uniform(0.01, 0.99, 500), 2)
    scores = validation.evaluate(probability, outcome, outcome[:100])
    assert scores.auc == pytest.approx(roc_auc_score(outcome, probability), abs=1e-12)
    assert scores.log_loss == pytest.approx(log_loss(outcome, probability), abs=1e-12)
    assert scores.baseline_log_loss == pytest.approx(log_loss(outcome, np.full(500, outcome[:100].mean())), abs=1e-12)
    assert validation.auc(probability, np.ones(500, np.int8)) == 0.5
    assert np.isfinite(validation.log_loss(np.array([0.0, 1.0]), np.array([1, 0], np.int8)))


def test_the_same_bars_give_the_same_files_whatever_the_order_and_the_threads(tmp_path: Path) -> None:
    first = train(TrainingRequest(DAILY, tmp_path / "a", 10, SMALL))
    again = train(TrainingRequest(DAILY[::-1], tmp_path / "b", 10, replace(SMALL, jobs=3)))
    assert first == again
    for name in (first.path, first.flat_path):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_other_bars_give_another_version(tmp_path: Path) -> None:
    first = train(TrainingRequest(DAILY, tmp_path, 10, SMALL))
    other = train(TrainingRequest((DAILY[0].part(slice(0, -1)), DAILY[1]), tmp_path, 10, SMALL))
    assert first.version != other.version
    assert first.last_bar_at == time_of(DAILY[0].closed_at[-1])


def test_what_is_saved_is_what_was_fitted_on_all_rows_and_loads_by_hash(tmp_path: Path) -> None:
    outcome = train(TrainingRequest(DAILY, tmp_path, 10, SMALL))
    flat, pickled = (tmp_path / outcome.flat_path).read_bytes(), (tmp_path / outcome.path).read_bytes()
    assert hashlib.sha256(flat).hexdigest() == outcome.flat_sha256
    assert hashlib.sha256(pickled).hexdigest() == outcome.sha256
    rows = training_rows(DAILY, 10)
    forest = FlatForest.from_bytes(flat)
    stored = joblib.load(tmp_path / outcome.path)["estimator"]
    expected = fit(rows, SMALL).predict_proba(rows.features)[:, 1]
    np.testing.assert_array_equal(forest.predict(rows.features), expected)
    np.testing.assert_array_equal(stored.predict_proba(rows.features)[:, 1], expected)
    model = model_of(forest, flat=flat, pickled=pickled)
    assert ModelFiles(tmp_path, ForestPredictor.from_bytes).load(model).predict(DAILY[0]) is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((outcome.path, outcome.flat_path))


def test_too_few_rows_or_only_one_outcome_are_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(DataFault, match="labelled rows, training needs"):
        train(TrainingRequest((DAILY[0].part(slice(0, 130)),), tmp_path, 10, SMALL))
    only_up = series_of("SPY", 100 * 1.001 ** np.arange(400))
    with pytest.raises(DataFault, match="both outcomes"):
        train(TrainingRequest((only_up,), tmp_path, 10, SMALL))
    assert not list(tmp_path.iterdir())


def test_a_random_walk_teaches_nothing_and_the_scores_say_so(tmp_path: Path) -> None:
    walks = tuple(random_walk(symbol, 900, seed=seed, drift=0.0) for symbol, seed in (("SPY", 31), ("QQQ", 32)))
    scores = train(TrainingRequest(walks, tmp_path, 10, Recipe(trees=60, jobs=1))).scores
    assert 0.35 < scores.auc < 0.65
    assert scores.log_loss > scores.baseline_log_loss - 0.02


def test_new_labels_are_counted_by_when_they_became_known() -> None:
    (series, _) = DAILY
    assert count_matured(DAILY, 10, time_of(series.closed_at[0])) == len(training_rows(DAILY, 10))
    assert count_matured([series], 10, time_of(series.closed_at[-1])) == 0
    assert count_matured([series], 10, time_of(series.closed_at[-4])) == 3


def test_a_prediction_is_scored_once_its_horizon_has_passed() -> None:
    bars = series_of("SPY", [10.0, 11.0, 9.0, 12.0, 8.0])
    yes = FixedPredictor({"SPY": 0.7}).predict(bars.part(slice(0, 2)))
    no = FixedPredictor({"SPY": 0.4}).predict(bars.part(slice(0, 2)))
    assert yes is not None and no is not None
    assert (is_hit(yes, bars, 2), is_hit(no, bars, 2)) == (True, False)
    assert (is_hit(yes, bars, 3), is_hit(no, bars, 3)) == (False, True)
    assert is_hit(yes, bars, 4) is None
    assert is_hit(yes, bars.part(slice(2, None)), 1) is None
