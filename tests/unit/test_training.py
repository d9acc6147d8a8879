"""What the engine trains: the research's recipe by the research's functions, in files that say the same again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from core.adapters.model_files import ModelFiles
from core.errors import DataFault
from core.learning import folds, growing, validation
from core.learning.fitting import Pool, fitted
from core.learning.forecasting import forecast
from core.learning.growing import grow, lessons_of
from core.learning.held_out import name_of
from core.learning.history import History
from core.learning.recipes import DEFAULT_RECIPE, RECIPES
from core.learning.samples import Samples
from core.learning.training import TrainingOutcome, TrainingRequest, train
from core.series import BarSeries, Floats, seconds_of, time_of
from core.strategy.bundle import ALL, COINS, STOCKS, Bundle
from core.strategy.calibration import Method
from core.strategy.features import feature_matrix
from core.strategy.policy import Policy
from core.strategy.predictor import ForestPredictor
from tests.forest_builders import SMALL, finite_rows, model_of, small_forest
from tests.series_builders import random_walk, real_daily, series_of

pytestmark = pytest.mark.feature("S4")

DAILY = (random_walk("SPY", 420, seed=1), random_walk("BTC-USD", 380, seed=2))
NOW = time_of(DAILY[0].closed_at[-1]) + timedelta(hours=1)


def trained(folder: Path, daily: tuple[BarSeries, ...] = DAILY, **changes: object) -> tuple[TrainingOutcome, Bundle]:
    outcome = train(TrainingRequest(daily, folder, replace(SMALL, **changes), NOW))  # type: ignore[arg-type]
    return outcome, Bundle.from_bytes((folder / outcome.flat_path).read_bytes())


def test_the_same_bars_give_the_same_files_whatever_the_order_and_the_threads(tmp_path: Path) -> None:
    first = train(TrainingRequest(DAILY, tmp_path / "a", SMALL, NOW))
    again = train(TrainingRequest(DAILY[::-1], tmp_path / "b", SMALL.on(3), NOW))
    assert first == again
    for name in (first.path, first.flat_path):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_other_bars_another_seed_or_another_recipe_give_another_version(tmp_path: Path) -> None:
    first, _ = trained(tmp_path)
    shorter, _ = trained(tmp_path, (DAILY[0].part(slice(0, -1)), DAILY[1]))
    seeded, _ = trained(tmp_path, grower=replace(SMALL.grower, seed=1))
    pooled, _ = trained(tmp_path, pool=Pool.POOLED)
    assert len({each.version for each in (first, shorter, seeded, pooled)}) == 4
    assert first.last_bar_at == time_of(DAILY[0].closed_at[-1])
    assert (first.recipe, first.event) == (DEFAULT_RECIPE, SMALL.foresees.words)


def test_what_is_saved_is_what_was_fitted_on_all_rows_and_loads_by_hash(tmp_path: Path) -> None:
    outcome, bundle = trained(tmp_path)
    flat, pickled = (tmp_path / outcome.flat_path).read_bytes(), (tmp_path / outcome.path).read_bytes()
    assert hashlib.sha256(flat).hexdigest() == outcome.flat_sha256
    assert hashlib.sha256(pickled).hexdigest() == outcome.sha256
    stored = joblib.load(tmp_path / outcome.path)
    assert stored["flat_sha256"] == outcome.flat_sha256
    for lesson in lessons_of(DAILY, SMALL):
        found, member = fitted(lesson.samples, SMALL.grower), bundle.member(lesson.name)
        assert found is not None and member is not None
        assert (member.calibration, member.leaf, member.rows) == (found.calibration, found.leaf, len(lesson.samples))
        assert (member.base_rate, member.independent) == (found.base_rate, found.independent)
        rows = lesson.samples.features
        np.testing.assert_array_equal(member.foresee(rows), found.foresee(rows))
        np.testing.assert_array_equal(
            stored["estimators"][lesson.name].predict_proba(rows), found.model.predict_proba(rows)
        )
    row = replace(model_of(small_forest(), flat=flat, pickled=pickled), version=outcome.version)
    row = replace(row, path=outcome.path, flat_path=outcome.flat_path)
    assert ModelFiles(tmp_path, ForestPredictor.from_bytes).load(row).predict(DAILY[0]) is not None
    files = (outcome.path, outcome.flat_path, name_of(outcome.version))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


@pytest.mark.parametrize("pool", Pool)
def test_the_live_training_foresees_what_the_research_forecasts_from_the_same_moment(pool: Pool) -> None:
    """The live bundle, fitted on what was known at `at`, beside the research's walk-forward that begins there."""
    daily = sorted((*DAILY, random_walk("QQQ", 420, seed=3)), key=lambda series: series.symbol)
    at, recipe = time_of(DAILY[0].closed_at[330]), replace(SMALL, pool=pool)
    lessons = [each.until(at, recipe.grower.window) for each in lessons_of([each.until(at) for each in daily], recipe)]
    bundle = grow(lessons, recipe).bundle
    histories = [History(series, np.zeros(len(series))) for series in daily]
    end = int(daily[0].closed_at[-1]) + 1
    found = forecast(histories, recipe.foresees, pool, [seconds_of(at)], end, recipe.grower)
    for series, said, base in zip(daily, found.probability, found.base, strict=True):
        tested = np.isfinite(said)
        assert tested.sum() >= 49
        member = bundle.member(series.symbol)
        assert member is not None
        np.testing.assert_array_equal(member.foresee(feature_matrix(series)[tested]), said[tested])
        assert set(base[tested].tolist()) == {member.base_rate}


@pytest.mark.shared_data
def test_a_symbol_is_answered_by_the_narrowest_member_that_has_learned_from_it() -> None:
    bars = (real_daily("SPY"), real_daily("BTC-USD"))
    recipe = replace(RECIPES[DEFAULT_RECIPE], grower=replace(SMALL.grower, trees=3, trial_trees=2, stride=9, least=80))
    names = {pool: [each.name for each in lessons_of(bars, replace(recipe, pool=pool))] for pool in Pool}
    assert names == {Pool.ASSET: ["BTC-USD", "SPY"], Pool.CLASS: [STOCKS, COINS], Pool.POOLED: [ALL]}
    bundle = grow(lessons_of(bars, replace(recipe, pool=Pool.CLASS)), recipe).bundle
    assert [getattr(bundle.member(symbol), "name", "") for symbol in ("QQQ", "ADA-USD")] == [STOCKS, COINS]


def test_a_symbol_with_too_few_rows_has_no_forecast_and_a_reason_in_words(tmp_path: Path) -> None:
    young = DAILY[1].part(slice(0, 200))
    outcome, bundle = trained(tmp_path, (DAILY[0], young))
    assert [each.name for each in bundle.members] == ["SPY"]
    assert outcome.missing == {"BTC-USD": "81 usable daily bars, about 151 needed"}
    row = replace(model_of(small_forest()), version=bundle.version)
    predictor = ForestPredictor(bundle, row)
    assert predictor.predict(young) is None
    assert predictor.explain(young) is None
    assert predictor.lacks("BTC-USD") == "no model for BTC-USD yet: 81 usable daily bars, about 151 needed"
    assert predictor.lacks("GLD") == "no model for GLD yet: it has not been learned from"
    assert predictor.lacks("SPY") == "" and predictor.predict(DAILY[0]) is not None


def test_too_few_rows_or_only_one_outcome_are_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(DataFault, match="SPY has 11 usable daily bars, about 151 needed"):
        trained(tmp_path, (DAILY[0].part(slice(0, 130)),))
    with pytest.raises(DataFault, match="there are no bars"):
        trained(tmp_path, ())
    with pytest.raises(DataFault, match="SPY has 0 usable daily bars"):
        trained(tmp_path, (DAILY[0].part(slice(0, 0)),))
    only_up = series_of("SPY", 100 * 1.001 ** np.arange(400))
    with pytest.raises(DataFault, match="all of its 281 labels are the same"):
        trained(tmp_path, (only_up,))
    assert not list(tmp_path.iterdir())


def test_a_model_is_calibrated_on_days_that_its_forests_had_not_seen(tmp_path: Path) -> None:
    _, bundle = trained(tmp_path)
    assert {each.calibration.method for each in bundle.members} == {Method.PLATT}
    forest = bundle.members[0].forest
    rows = finite_rows(DAILY)
    raw, told = forest.predict(rows), bundle.members[0].foresee(rows)
    assert np.abs(raw - told).max() > 0.01


def test_scores_agree_with_scikit_learns() -> None:
    draw = np.random.default_rng(3)
    outcome = draw.integers(0, 2, 500).astype(np.int8)
    probability = np.round(draw.uniform(0.01, 0.99, 500), 2)
    base = np.full(500, 0.55)
    scores = validation.scored(probability, base, outcome)
    assert scores.auc == pytest.approx(roc_auc_score(outcome, probability), abs=1e-12)
    assert scores.log_loss == pytest.approx(log_loss(outcome, probability), abs=1e-12)
    assert scores.baseline_log_loss == pytest.approx(log_loss(outcome, base), abs=1e-12)
    parts = [validation.scored(probability[a:b], base[a:b], outcome[a:b]) for a, b in ((0, 200), (200, 500))]
    assert validation.pooled(parts).log_loss == pytest.approx(scores.log_loss, abs=1e-12)
    assert np.isnan(validation.pooled([]).log_loss)
    assert validation.auc(probability, np.ones(500, np.int8)) == 0.5
    assert np.isfinite(validation.log_loss(np.array([0.0, 1.0]), np.array([1, 0], np.int8)))


# That the figures on the registry cannot cheat


def test_the_days_a_model_is_judged_on_took_part_in_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the fit nor in the choice of the leaf nor in the calibration of what is judged."""
    seen: list[Samples] = []

    def watched(train_rows: Samples, grower: object) -> object:
        seen.append(train_rows)
        return fitted(train_rows, SMALL.grower)

    monkeypatch.setattr(growing, "fitted", watched)
    (lesson,) = lessons_of(DAILY[:1], SMALL)
    scores = grow([lesson], SMALL).scores
    whole, judged = seen
    days = np.unique(lesson.samples.closed_at)
    first = int(days[int(0.8 * len(days))]) // 86_400 * 86_400
    assert len(whole) == len(lesson.samples)
    assert judged.labelled_at.max() < first
    assert scores.rows == (lesson.samples.closed_at >= first).sum()


def waves(shuffled: bool) -> Floats:
    step = np.arange(900)
    returns = 0.01 * np.sin(step / 9) + np.random.default_rng(6).normal(0, 0.002, 900)
    return np.random.default_rng(7).permutation(returns) if shuffled else returns


def test_what_can_be_foreseen_scores_and_the_same_moves_shuffled_in_time_score_no_better_than_chance() -> None:
    def scores(shuffled: bool) -> validation.Scores:
        bars = series_of("SPY", 100 * np.exp(np.cumsum(waves(shuffled))))
        return grow(lessons_of([bars], SMALL), SMALL).scores

    known, blind = scores(False), scores(True)
    assert known.log_loss < known.baseline_log_loss - 0.1 and known.auc > 0.8
    assert blind.log_loss > blind.baseline_log_loss - 0.01
    assert 0.35 < blind.auc < 0.65


def test_a_purge_of_zero_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days to be judged on right behind rows whose labels were still open then."""

    def unpurged(samples: Samples, starts: Sequence[int], _end: int, _window: int | None) -> Iterator[folds.Fold]:
        test = samples.closed_at >= starts[0]
        yield folds.Fold(~test, test)

    monkeypatch.setattr(growing, "walk_forward", unpurged)
    with pytest.raises(DataFault, match="the purge is too short"):
        grow(lessons_of(DAILY[:1], SMALL), SMALL)


@pytest.mark.shared_data
def test_the_event_that_ships_does_not_pass_the_gate_by_itself_and_its_forecasts_do() -> None:
    """On the real bars of a fund and a coin: base rates below 60 %, and in the two years after the training some days
    on which the forests say more, and many on which they do not."""
    bars, recipe = (real_daily("SPY"), real_daily("BTC-USD")), RECIPES[DEFAULT_RECIPE]
    at = time_of(bars[0].closed_at[-504])
    lessons = [each.until(at, recipe.grower.window) for each in lessons_of(bars, recipe)]
    bundle = grow(lessons, recipe, is_judged=False).bundle
    gate = Policy().min_probability
    assert all(0.4 < each.base_rate < gate for each in bundle.members)
    said = []
    for series in bars:
        member = bundle.member(series.symbol)
        assert member is not None
        said.append(member.foresee(feature_matrix(series)[series.closed_at > seconds_of(at)]))
    opened = np.concatenate(said) > gate
    assert 24 <= opened.sum() < len(opened) / 2
