"""What is learned from, and that nothing of the test is in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.errors import DataFault
from core.learning import events, folds, plans
from core.learning.calibrating import calibrate, platt
from core.learning.declared import MOST, read_declaration
from core.learning.fitting import Grower, Pool
from core.learning.forecasting import forecast, skill
from core.learning.history import DAY, History
from core.learning.market import market_of
from core.learning.portfolio import Rules
from core.learning.samples import Samples, samples_of, uniqueness
from core.series import BarSeries, Floats
from core.strategy.calibration import Calibration, Method, log_odds, sigmoid
from core.strategy.signal import signal_verdicts
from tests.series_builders import random_walk, series_of
from tests.snapshot_builders import FixedPredictor

pytestmark = pytest.mark.feature("S4")


def walk(symbol: str, count: int, seed: int, swing: float = 0.01) -> History:
    return History(random_walk(symbol, count, seed=seed, drift=0.0, swing=swing), np.zeros(count))


WALKS = (walk("SPY", 900, 1), walk("QQQ", 900, 2))
SMALL = Grower(trees=20, trial_trees=10, leaves=(30,), least=150, stride=1)
DIRECTION = events.EVENTS["direction"]


def bars(prices: list[tuple[float, float, float, float]]) -> BarSeries:
    first, high, low, last = np.array(prices, float).T
    return replace(series_of("SPY", last), open=first, high=high, low=low)


def outcome(prices: list[tuple[float, float, float, float]]) -> tuple[int, float, int]:
    ends = events.barriers(bars(prices), np.full(len(prices), 0.15), np.full(len(prices), 0.05), 2)
    return int(ends.label[0]), round(float(ends.gain[0]), 6), int(ends.ended[0])


FLAT = (100.0, 101.0, 99.0, 100.0)


def test_a_barrier_is_counted_from_the_next_open_and_the_lower_one_first() -> None:
    assert outcome([FLAT, (100, 116, 99, 100), FLAT]) == (1, 0.15, 1)
    assert outcome([FLAT, (100, 116, 94, 110), FLAT]) == (0, -0.05, 1)
    assert outcome([FLAT, FLAT, (90, 91, 89, 90)]) == (0, -0.10, 2)
    assert outcome([FLAT, FLAT, (120, 121, 119, 120)]) == (1, 0.20, 2)
    assert outcome([FLAT, (100, 103, 99, 102), (102, 105, 100, 104)]) == (1, 0.04, 2)


def test_every_event_has_words_and_knows_its_outcome_within_its_horizon() -> None:
    series = WALKS[0].bars
    for event in events.EVENTS.values():
        found = event.outcomes(series, 0.001)
        places = np.arange(len(found.label))
        assert ((found.ended > places) & (found.ended <= places + event.horizon)).all()
        assert len(event.words) > 20
        assert set(np.unique(found.label)) == {0, 1}
        changed = replace(series, **{name: getattr(series, name).copy() for name in ("open", "high", "low", "close")})
        for name in ("open", "high", "low", "close"):
            getattr(changed, name)[500:] *= 3
        known = found.ended < 500
        np.testing.assert_array_equal(event.outcomes(changed, 0.001).label[known], found.label[known])


def test_costs_turn_small_gains_into_none() -> None:
    free, dear = (events.EVENTS["net"].outcomes(WALKS[0].bars, cost).label.mean() for cost in (0.0, 0.01))
    assert dear < free - 0.1


def test_uniqueness_is_the_mean_share_of_the_days_that_a_label_lives() -> None:
    closed, ended = np.array([0, 1, 5]) * DAY, np.array([2, 3, 6]) * DAY
    # Days 1 to 2, 2 to 3 and 6: the first two share day 2.
    assert uniqueness(closed, ended).tolist() == [0.75, 0.75, 1.0]
    pooled = uniqueness(np.repeat(closed, 2), np.repeat(ended, 2))
    assert pooled.tolist() == [0.375, 0.375, 0.375, 0.375, 0.5, 0.5]
    assert uniqueness(closed[:0], ended[:0]).shape == (0,)


def test_the_sum_of_uniqueness_is_about_the_days_over_the_life_of_a_label() -> None:
    samples = samples_of(WALKS, DIRECTION, [0.0, 0.0])
    total = uniqueness(samples.closed_at, samples.ended_at).sum()
    assert total == pytest.approx(len(samples) / len(WALKS) / DIRECTION.horizon, rel=0.05)


def test_a_fold_leaves_out_every_label_that_is_open_at_a_time_the_test_knows() -> None:
    samples = samples_of(WALKS, DIRECTION, [0.0, 0.0])
    days = np.unique(samples.closed_at)
    begin, end = int(days[300]), int(days[400])
    test = (samples.closed_at >= begin) & (samples.closed_at < end)
    fold = folds.purged(samples, test, 3 * DAY)
    folds.assert_apart(samples, fold)
    train = samples.where(fold.train)
    assert (train.closed_at > end).any() and (train.closed_at < begin).any()
    before = train.where(train.closed_at < begin)
    assert begin - before.closed_at.max() > DIRECTION.horizon * DAY
    after = train.where(train.closed_at >= end)
    assert after.closed_at.min() > samples.labelled_at[test].max() + 3 * DAY
    assert test.sum() + fold.train.sum() < len(samples)


def test_a_purge_of_zero_is_refused() -> None:
    samples = samples_of(WALKS, DIRECTION, [0.0, 0.0])
    test = samples.closed_at >= np.unique(samples.closed_at)[500]
    with pytest.raises(DataFault, match="the purge is too short"):
        folds.assert_apart(samples, folds.Fold(~test, test))
    unpurged = replace(samples, labelled_at=samples.closed_at)
    lazy = folds.purged(unpurged, test, 0)
    with pytest.raises(DataFault, match="the purge is too short"):
        folds.assert_apart(samples, lazy)


def test_a_walk_forward_tests_each_row_once_and_learns_from_the_past_alone() -> None:
    samples = samples_of(WALKS, DIRECTION, [0.0, 0.0])
    days = np.unique(samples.closed_at)
    starts = [int(days[place]) for place in (300, 400, 500)]
    found = list(folds.walk_forward(samples, starts, int(days[600]), 100 * DAY))
    tested = sum(fold.test.astype(int) for fold in found)
    assert (tested == ((samples.closed_at >= starts[0]) & (samples.closed_at < days[600]))).all()
    for fold, start in zip(found, starts, strict=True):
        assert samples.labelled_at[fold.train].max() < start
        assert samples.closed_at[fold.train].min() >= start - 100 * DAY


def test_a_calibration_mends_an_overconfident_forecast_and_never_turns_one_around() -> None:
    draw = np.random.default_rng(3)
    true = draw.uniform(0.35, 0.65, 4000)
    label = (draw.random(4000) < true).astype(np.int8)
    loud = sigmoid(3 * log_odds(true))
    quarter = np.full(4000, 0.2)
    fitted = platt(loud, label, quarter)
    assert fitted.y[0] == pytest.approx(1 / 3, abs=0.1)
    assert np.abs(fitted.apply(loud) - true).mean() < 0.03
    backward = platt(1 - true, label, np.ones(4000))
    assert backward.y == (0.0,)
    assert backward.apply(true) == pytest.approx(label.mean(), abs=0.02)
    few = platt(loud[:50], label[:50], np.full(50, 0.1))
    assert few.y[0] == pytest.approx(1.0, abs=0.3)


def test_the_kind_of_calibration_follows_from_the_number_of_independent_rows_alone() -> None:
    draw = np.random.default_rng(4)
    forecast_ = draw.uniform(0.3, 0.7, 3000)
    label = (draw.random(3000) < forecast_).astype(np.int8)
    assert calibrate(forecast_, label, np.full(3000, 0.3)).method is Method.PLATT
    many = calibrate(forecast_, label, np.full(3000, 0.5))
    assert many.method is Method.ISOTONIC
    applied = many.apply(np.sort(forecast_))
    assert (np.diff(applied) >= 0).all()
    assert np.abs(applied - np.sort(forecast_)).mean() < 0.03
    np.testing.assert_array_equal(Calibration().apply(forecast_), forecast_)


def planted(samples: Samples) -> Floats:
    """A feature that is the label itself, with some noise."""
    return samples.label + np.random.default_rng(5).normal(0, 0.3, len(samples))


def walked(histories: tuple[History, ...], extra: list[Floats] | None = None) -> tuple[float, float]:
    """(log loss, that of the base rate) of a walk-forward over the last two fifths."""
    days = histories[0].bars.closed_at
    starts, end = [int(days[540]), int(days[720])], int(days[-1]) + 1
    found = forecast(histories, DIRECTION, Pool.POOLED, starts, end, SMALL, extra)
    score = skill(histories, DIRECTION, found, starts[0], end)
    assert score.rows >= 350 * len(histories)
    return score.loss, score.base_loss


def test_a_planted_future_feature_is_caught_by_a_loss_that_no_honest_feature_reaches() -> None:
    honest, base = walked(WALKS)
    assert honest > base - 0.01
    extra = []
    for history in WALKS:
        column = np.zeros((len(history), 1))
        column[:-10, 0] = history.bars.close[10:] / history.bars.close[:-10] - 1
        extra.append(column)
    cheating, _ = walked(WALKS, extra)
    assert cheating < base - 0.3


def test_a_label_shuffled_in_time_scores_no_better_than_chance() -> None:
    """The series rises and falls in waves that the indicators do foresee; of shuffled returns they foresee nothing."""
    step = np.arange(900)
    noise = np.random.default_rng(6).normal(0, 0.002, 900)
    waves = 0.01 * np.sin(step / 9) + noise
    foreseen, base = walked((History(series_of("SPY", 100 * np.exp(np.cumsum(waves))), np.zeros(900)),))
    assert foreseen < base - 0.1
    shuffled = np.random.default_rng(7).permutation(waves)
    blind, base = walked((History(series_of("SPY", 100 * np.exp(np.cumsum(shuffled))), np.zeros(900)),))
    assert blind > base - 0.01


def test_a_forecast_does_not_change_with_later_bars_and_is_equal_when_made_again() -> None:
    days = WALKS[0].bars.closed_at
    starts = [int(days[540]), int(days[720])]
    whole = forecast(WALKS, DIRECTION, Pool.CLASS, starts, int(days[-1]) + 1, SMALL)
    again = forecast(WALKS, DIRECTION, Pool.CLASS, starts, int(days[-1]) + 1, replace(SMALL, jobs=2))
    cut = tuple(History(each.bars.part(slice(0, 720)), np.zeros(720)) for each in WALKS)
    part = forecast(cut, DIRECTION, Pool.CLASS, starts[:1], int(days[720]), SMALL)
    for place in range(2):
        np.testing.assert_array_equal(whole.probability[place], again.probability[place])
        np.testing.assert_array_equal(whole.probability[place][:720], part.probability[place])
        assert np.isnan(whole.probability[place][:540]).all()
        assert np.isfinite(whole.probability[place][540:]).all()


def test_the_gate_of_research_confirms_what_the_engine_confirms() -> None:
    history = walk("SPY", 420, 8, 0.006)
    policy = plans.Policy()
    said = plans.confirms(history)
    for count in range(320, 420, 3):
        seen = history.bars.part(slice(0, count))
        prediction = FixedPredictor({"SPY": 0.7}).predict(seen)
        verdicts = signal_verdicts(prediction, seen, policy, "")
        assert said[count - 1] == all(verdict.passed for verdict in verdicts)
    assert 0 < said[320:].sum() < 100


def test_a_gate_that_the_base_rate_alone_passes_or_that_never_opens_is_named() -> None:
    assert plans.gate_faults({"SPY": 0.57}, {"SPY": 12.0}, 0.6) == []
    (fault,) = plans.gate_faults({"SPY": 0.66, "ADA-USD": 0.48}, {"SPY": 19.0}, 0.6)
    assert fault == "SPY: the event happens 66 % of the time, which passes 60 % by itself"
    (fault,) = plans.gate_faults({"SPY": 0.57}, {"SPY": 0.3, "QQQ": 0.2}, 0.6)
    assert fault == "it opens 0.5 times a year in all instruments together"


@pytest.mark.parametrize("use", ["gate", "exits", "meta"])
def test_costs_of_zero_change_the_figure_of_every_use(use: str) -> None:
    rising = tuple(
        History(random_walk(symbol, 700, seed=seed, drift=0.001), np.zeros(700))
        for symbol, seed in (("SPY", 3), ("BTC-USD", 4))
    )
    config = next(each for each in read_declaration().configurations if each.use == use)
    sure = [np.full(700, 0.9) for _ in rising]
    first = int(rising[0].days()[0])
    free, dear = (
        plans.play(market_of(rising, first, first + 699, factor), rising, config, sure, 0.6, Rules())
        for factor in (0.0, 1.0)
    )
    assert free.costs == 0 and dear.costs > 0
    assert free.equity[-1] > dear.equity[-1]


def test_at_most_twelve_configurations_are_declared_and_all_are_known(tmp_path) -> None:
    told = read_declaration()
    assert 0 < len(told.configurations) <= MOST == 12
    import json

    from core.learning.declared import DECLARED

    row = json.loads(DECLARED.read_text())
    path = tmp_path / "declared.json"
    path.write_text(json.dumps({**row, "configurations": [*row["configurations"], row["configurations"][0]]}))
    with pytest.raises(DataFault, match="at most 12"):
        read_declaration(path)
    wrong = {**row["configurations"][0], "event": "tomorrow"}
    path.write_text(json.dumps({**row, "configurations": [wrong]}))
    with pytest.raises(DataFault, match="not known"):
        read_declaration(path)
