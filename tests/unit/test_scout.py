"""Where a demonstration begins: found with the decisions that trade, and with nothing known too early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bot.scouting import Search, looked_back
from core.adapters.calendars import ExchangeCalendar
from core.domain.bars import BarSize
from core.domain.decisions import Prediction
from core.domain.instruments import instrument_for
from core.feed.depth import MOST_DAILY_BARS
from core.learning.training import TrainingRequest, train
from core.ports import Predictor
from core.series import BarSeries, time_of
from core.strategy.policy import Policy, Strategy
from jobs.scout import BLOCK, WATCHED, ScoutTask, Train, lively_start, scout
from tests.forest_builders import SMALL
from tests.series_builders import poisoned_after, random_walk, rising

COIN = "BTC-USD"
LATEST = datetime.fromisoformat("2024-03-31T00:00:00+00:00")
EARLIEST = LATEST - 3 * BLOCK
DAILY = rising(COIN, 200, end=LATEST)
INTRADAY = rising(COIN, 20 * 288, size=BarSize.M5, end=LATEST)


class Dated:
    """The Predictor port: sure of itself on some days, by the close of the last daily bar it is shown."""

    version = "dated"

    def __init__(self, days: Sequence[datetime], probability: float = 0.9) -> None:
        self._days = days
        self._probability = probability

    def predict(self, daily: BarSeries) -> Prediction:
        at = time_of(daily.closed_at[-1])
        return Prediction(COIN, self._probability if at in self._days else 0.5, "close higher", "dated", at)


class Trainer:
    """Hands out one predictor and notes how far each training could see."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.seen: list[datetime] = []

    def __call__(self, daily: Sequence[BarSeries], at: datetime, symbols: Sequence[str]) -> Predictor:
        assert COIN in symbols
        self.seen.append(max(time_of(series.closed_at[-1]) for series in daily))
        assert self.seen[-1] <= at
        return self._predictor


class Counter(Trainer):
    """Notes on how many bars each training could look."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__(predictor)
        self.counts: list[int] = []

    def __call__(self, daily: Sequence[BarSeries], at: datetime, symbols: Sequence[str]) -> Predictor:
        self.counts += [len(series) for series in daily]
        return super().__call__(daily, at, symbols)


def task(daily: BarSeries = DAILY, intraday: BarSeries = INTRADAY, policy: Policy | None = None) -> ScoutTask:
    return ScoutTask(
        daily={COIN: daily},
        intraday={COIN: intraday},
        instruments=[instrument_for(COIN)],
        calendar=ExchangeCalendar(),
        policy=policy or Policy(),
        cash=Decimal(10_000),
        earliest=EARLIEST,
        latest=LATEST,
    )


def days_ago(count: int) -> datetime:
    return LATEST - timedelta(days=count)


def test_a_start_lies_shortly_before_an_entry_and_on_the_ticks_grid() -> None:
    trainer = Trainer(Dated([days_ago(3)]))
    start = lively_start(task(), trainer, trainer)
    assert start is not None
    assert days_ago(3) - timedelta(minutes=20) <= start < days_ago(2)
    assert start.minute % 5 == 0 and start.second == 0


def test_of_two_lively_times_the_newer_one_is_taken() -> None:
    trainer = Trainer(Dated([days_ago(12), days_ago(2)]))
    start = lively_start(task(), trainer, trainer)
    assert start is not None and start > days_ago(3)
    trainer = Trainer(Dated([days_ago(12)]))
    older = lively_start(task(), trainer, trainer)
    assert older is not None and days_ago(13) < older < days_ago(11)


def test_where_nothing_would_be_bought_there_is_no_start() -> None:
    for quiet in (Dated([]), Dated([days_ago(3)], probability=0.60)):
        assert lively_start(task(), Trainer(quiet), Trainer(quiet)) is None


def test_it_is_the_real_decision_that_says_buy() -> None:
    trainer = Trainer(Dated([days_ago(3)]))
    never = Policy(rsi_low=99.0, rsi_high=100.0)
    assert lively_start(task(policy=never), trainer, trainer) is None


def test_the_word_of_the_model_that_will_be_live_counts_not_the_quick_ones() -> None:
    eager, sober = Trainer(Dated([days_ago(1), days_ago(3), days_ago(8)])), Trainer(Dated([days_ago(8)]))
    start = lively_start(task(), eager, sober)
    assert start is not None and days_ago(9) < start < days_ago(7)


def test_models_are_trained_on_what_is_known_when_they_begin() -> None:
    glance, train = Trainer(Dated([days_ago(8)])), Trainer(Dated([days_ago(8)]))
    start = lively_start(task(), glance, train)
    assert start is not None
    assert train.seen and train.seen[-1] <= start
    assert glance.seen == [LATEST - BLOCK, LATEST - 2 * BLOCK]


def test_prices_after_the_watched_minutes_change_no_start() -> None:
    trainer = Trainer(Dated([days_ago(8)]))
    start = lively_start(task(), trainer, trainer)
    assert start is not None
    end = start + WATCHED
    poisoned = task(poisoned_after(DAILY, end), poisoned_after(INTRADAY, end))
    assert lively_start(poisoned, trainer, trainer) == start


def test_a_model_is_trained_on_as_many_bars_as_the_engine_has_when_it_begins() -> None:
    trainer, long = Counter(Dated([days_ago(3)])), rising(COIN, MOST_DAILY_BARS + 100, end=LATEST)
    assert lively_start(task(long), trainer, trainer) is not None
    assert set(trainer.counts) == {MOST_DAILY_BARS}


def test_the_word_that_counts_is_that_of_the_very_model_that_the_hourly_job_trains(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    daily, trains = random_walk(COIN, 500, seed=3), list[Train]()
    at = time_of(daily.closed_at[-1]) + timedelta(hours=3)
    monkeypatch.setattr("jobs.scout.lively_start", lambda _task, _glance, exact: trains.append(exact))
    scout(task(), SMALL)
    looked_at = trains[0]([daily], at, [COIN])
    assert looked_at is not None
    assert looked_at.version == train(TrainingRequest((daily,), tmp_path, SMALL, at)).version


def test_too_little_history_is_no_lively_time_and_no_failure() -> None:
    assert scout(task(), SMALL) is None


@pytest.mark.feature("S21")
def test_the_plain_rule_finds_a_start_without_any_training() -> None:
    policy = Policy(strategy=Strategy.RULE)
    assert scout(task(policy=policy), SMALL) is not None
    falling = replace(DAILY, close=DAILY.close[::-1].copy())
    assert scout(task(falling, policy=policy), SMALL) is None


def test_where_the_newest_weeks_are_quiet_the_weeks_before_them_are_looked_through() -> None:
    asked: list[tuple[datetime, datetime]] = []

    def look(search: Search) -> datetime | None:
        asked.append((search.earliest, search.latest))
        return search.latest if len(asked) == 3 else None

    search = Search(1, (instrument_for(COIN),), Policy(), Decimal(10_000), days_ago(60), LATEST)
    assert looked_back(search, look, 4) == days_ago(120)
    assert asked == [(days_ago(60), LATEST), (days_ago(120), days_ago(60)), (days_ago(180), days_ago(120))]
    assert looked_back(search, lambda _each: None, 2) is None
