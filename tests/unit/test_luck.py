"""What a backtest says of luck: intervals, the gain over the plain rule, and the price of having tried often."""

from __future__ import annotations

import numpy as np
import pytest

from bot import backtest_luck
from core.learning.trials import count_trials, read_trials
from core.performance import Curve
from core.series import Floats
from jobs.luck import ENOUGH_DAYS, luck_of

pytestmark = pytest.mark.feature("S17")

DAY = 86_400
DAYS = 1_000


def curve_of(returns: Floats, first_day: int = 20_000) -> Curve:
    value = 10_000.0 * np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    at = (first_day + np.arange(len(value))) * DAY
    return Curve(at, value, np.zeros(len(value)), np.zeros(len(value)))


def returns(mean: float, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(mean, 0.01, DAYS)


def test_a_better_strategy_is_told_from_luck_and_a_worse_one_is_said_to_be_worse() -> None:
    good, poor = curve_of(returns(0.003, 1)), curve_of(returns(0.0, 2))
    found = luck_of(good, poor, 252)
    assert found is not None and found.gain is not None and found.deflated is not None
    assert found.ratio.low < found.ratio.value < found.ratio.high
    assert found.gain.low > 0 and found.deflated > 0.95
    assert "it is above zero" in " ".join(backtest_luck.words(found))
    other = luck_of(poor, good, 252)
    assert other is not None and other.deflated is not None and other.deflated < 0.01
    assert "it is below zero" in " ".join(backtest_luck.words(other))


def test_a_strategy_like_the_rule_gains_nothing_and_each_attempt_on_record_counts() -> None:
    found = luck_of(curve_of(returns(0.001, 3)), curve_of(returns(0.001, 3)), 252)
    assert found is not None and found.gain is not None
    assert found.gain.value == pytest.approx(0.0) and found.trials == count_trials(read_trials()) + 1
    assert "it may be zero" in " ".join(backtest_luck.words(found))


def test_only_days_that_both_have_are_compared() -> None:
    weekdays, all_days = returns(0.002, 4), returns(0.0, 5)
    whole, late = curve_of(all_days), curve_of(weekdays[300:], first_day=20_300)
    found = luck_of(late, whole, 365)
    assert found is not None and found.days == DAYS - 300


def test_without_the_rule_there_is_an_interval_alone_and_a_short_period_tells_nothing() -> None:
    alone = luck_of(curve_of(returns(0.001, 6)), None, 252)
    assert alone is not None and alone.gain is None and alone.deflated is None
    assert len(list(backtest_luck.words(alone))) == 1
    short = curve_of(returns(0.001, 7)[: ENOUGH_DAYS - 1])
    assert luck_of(short, None, 252) is luck_of(short, short, 252) is None
    assert "nothing can be told from luck" in " ".join(backtest_luck.words(None))
    assert backtest_luck.figures(None) is None
