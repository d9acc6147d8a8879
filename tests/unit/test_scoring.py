"""Predictions become outcomes once a closed daily bar decides their event, each once, and the report counts them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.adapters.calendars import ExchangeCalendar
from core.domain.bars import BarSize
from core.domain.decisions import Prediction, Signal
from core.domain.events import DailyReport
from core.domain.skill import TrackedPrediction
from core.execution.live_skill import live_skill
from core.execution.views import publish_daily_report, report
from core.learning.events import EVENTS, event_named
from core.learning.outcomes import BAR_GONE, GAP, NO_BARS, NOT_DUE, UNKNOWN_EVENT, UNSETTLED
from core.series import BarSeries, time_of
from core.storage.store import Database
from jobs.scoring import score_predictions
from tests.builders import COIN, MONDAY, Bench
from tests.fakes_bars import MemoryBarStore
from tests.ledger_builders import a_decision, ledger
from tests.series_builders import series_of

pytestmark = pytest.mark.feature("S6")

BTC = "BTC-USD"
EVENT = "close higher after 3 bars"
SCALED = EVENTS["scaled"].words
PRICES = (100, 101, 102, 103, 101, 100, 102, 104)
DAILY = series_of(BTC, PRICES)
DAY = timedelta(days=1)
SESSIONS = ExchangeCalendar()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = ledger(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def bars() -> MemoryBarStore:
    store = MemoryBarStore()
    store.write(DAILY, "test")
    return store


def closed(number: int, series: BarSeries = DAILY) -> datetime:
    """When the bar of that index closed."""
    return time_of(series.closed_at[number])


def foresee(database: Database, at: datetime, probability: float, event: str = EVENT, symbol: str = BTC) -> None:
    """Records a decision that foresees the event, from the daily bar closed then."""
    made = Prediction(symbol, probability, event, "m1", at)
    with database.unit_of_work() as work:
        signal = Signal(symbol, at, None, made, ())
        work.record_decision(a_decision(at=at, signals=(signal,)), recorded_at=at)
        work.commit()


def score(database: Database, bars: MemoryBarStore, now: datetime) -> int:
    return score_predictions(now, database.unit_of_work, bars, SESSIONS)


def counted(database: Database) -> tuple[int, int]:
    with database.reading() as work:
        return work.prediction_scores(closed(0) - 900 * DAY)


def outcomes(database: Database) -> list[TrackedPrediction]:
    with database.reading() as work:
        return [each for each in work.tracked_predictions("") if each.came_true is not None]


def waiting(database: Database) -> Mapping[str, int]:
    with database.reading() as work:
        found = live_skill(work)
    assert found is not None
    return {each.reason: each.count for each in found.waiting}


@pytest.mark.parametrize(
    ("number", "probability", "hits"),
    [
        (0, 0.51, 1),  # 100 -> 103: rose, as foreseen
        (0, 0.50, 0),  # one half is no yes
        (1, 0.51, 0),  # 101 -> 101: did not rise
        (1, 0.50, 1),
        (2, 0.10, 1),  # 102 -> 100: fell, as foreseen
        (2, 0.90, 0),
    ],
)
def test_a_hit_is_a_yes_that_came_or_a_no_that_did_not(
    database: Database, bars: MemoryBarStore, number: int, probability: float, hits: int
) -> None:
    foresee(database, closed(number), probability)
    assert score(database, bars, closed(7)) == 1
    assert counted(database) == (hits, 1)


def test_a_prediction_waits_until_a_closed_bar_decides_it_and_is_counted_once(
    database: Database, bars: MemoryBarStore
) -> None:
    foresee(database, closed(0), 0.7)
    assert score(database, bars, closed(3) - timedelta(seconds=1)) == 0
    assert waiting(database) == {NOT_DUE: 1}
    foresee(database, closed(3), 0.7)
    assert score(database, bars, closed(3)) == 1
    assert score(database, bars, closed(3)) == 0
    assert counted(database) == (1, 1)
    assert waiting(database) == {NOT_DUE: 1}


def test_the_first_prediction_of_a_bar_counts_however_often_the_bar_is_judged(
    database: Database, bars: MemoryBarStore
) -> None:
    for probability in (0.7, 0.2, 0.3):
        foresee(database, closed(0), probability)
    assert score(database, bars, closed(7)) == 1
    assert counted(database) == (1, 1)


def test_each_prediction_is_scored_by_the_event_that_it_names(database: Database) -> None:
    series = wild(120)
    bars = MemoryBarStore()
    bars.write(series, "test")
    for number, event in enumerate(EVENTS.values(), start=60):
        foresee(database, closed(number, series), 0.7, event.words)
    assert score(database, bars, closed(-1, series)) == len(EVENTS)
    found = outcomes(database)
    for number, (each, event) in enumerate(zip(found, EVENTS.values(), strict=True), start=60):
        truth = event.outcomes(series, 0.0035)
        assert each.came_true is bool(truth.label[number]), event.key
        assert each.ended_at == each.known_at == closed(int(truth.ended[number]), series)


def test_a_barrier_that_is_reached_decides_before_the_horizon_is_over(database: Database) -> None:
    series = wild(120)
    ended = EVENTS["scaled"].outcomes(series, 0.0).ended
    number = next(row for row in range(40, 100) if ended[row] - row < 6)
    bars = MemoryBarStore()
    bars.write(series, "test")
    foresee(database, closed(number, series), 0.7, SCALED)
    assert score(database, bars, closed(int(ended[number]) - 1, series)) == 0
    assert score(database, bars, closed(int(ended[number]), series)) == 1


def test_the_base_rate_beside_an_outcome_knows_nothing_of_the_time_after_its_prediction(database: Database) -> None:
    calm = wild(160)
    truth = EVENTS["scaled"].outcomes(calm, 0.0)
    known = slice(0, 100 - 20 + 1)
    told = np.isfinite(truth.gain[known])
    later = replace(calm, **{name: getattr(calm, name) * rising_after(calm, 101) for name in ("high", "low", "close")})
    rates = set()
    for number, series in enumerate((calm, later)):
        bars = MemoryBarStore()
        bars.write(series, "test")
        foresee(database, closed(100, series), 0.7, SCALED, symbol := f"C{number}-USD")
        bars.write(replace(series, symbol=symbol), "test")
        assert score(database, bars, closed(-1, series)) == 1
        rates.add(outcomes(database)[-1].base_rate)
    assert rates == {(truth.label[known][told].sum() + 1) / (told.sum() + 2)}


def test_a_split_that_the_bars_follow_changes_no_outcome(database: Database) -> None:
    series = wild(120)
    tenth = replace(series, **{name: getattr(series, name) / 10 for name in ("open", "high", "low", "close")})
    bars = MemoryBarStore()
    for symbol, told in ((BTC, series), ("ETH-USD", replace(tenth, symbol="ETH-USD"))):
        bars.write(told, "test")
        for number in range(40, 90):
            foresee(database, closed(number, series), 0.7, SCALED, symbol)
    assert score(database, bars, closed(-1, series)) == 100
    of = {
        symbol: [each.came_true for each in outcomes(database) if each.prediction.symbol == symbol]
        for symbol in (BTC, "ETH-USD")
    }
    assert of[BTC] == of["ETH-USD"]


def test_what_cannot_be_told_waits_with_its_reason_and_is_never_counted(database: Database) -> None:
    whole = wild(60)
    bars = MemoryBarStore()
    bars.write(whole.part(np.arange(60) != 32), "test")
    foresee(database, closed(30, whole), 0.7, "a word of another version")
    foresee(database, closed(30, whole), 0.7, symbol="GONE-USD")
    foresee(database, closed(31, whole), 0.7)
    foresee(database, closed(33, whole) + timedelta(hours=3), 0.7)
    foresee(database, closed(59, whole), 0.7)
    assert score(database, bars, closed(-1, whole)) == 0
    assert waiting(database) == {
        f"{BTC}: {UNKNOWN_EVENT}": 1,
        f"GONE-USD: {NO_BARS}": 1,
        f"{BTC}: {GAP}": 1,
        f"{BTC}: {BAR_GONE}": 1,
        NOT_DUE: 1,
    }
    bars.write(whole, "test")
    assert score(database, bars, closed(-1, whole)) == 1
    assert score(database, bars, closed(-1, whole) + 91 * DAY) == 0
    assert waiting(database) == {}


def test_a_jump_of_a_stock_that_may_be_a_split_is_looked_at_for_days_before_it_decides(database: Database) -> None:
    series = sessions_of("SPY", [100.0, 102.0] * 20 + [50.0] * 20)
    bars = MemoryBarStore()
    bars.write(series, "test")
    foresee(database, closed(38, series), 0.7, SCALED, "SPY")
    assert score(database, bars, closed(41, series)) == 0
    assert waiting(database) == {f"SPY: {UNSETTLED}": 1}
    assert score(database, bars, closed(40, series) + 5 * DAY) == 1


def test_the_daily_report_counts_the_cycles_own_predictions(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start()
    bench.tick()
    (made,) = bench.read(lambda work: work.unscored_predictions(MONDAY - 90 * DAY))
    event = event_named(made.event)
    assert event is not None
    bench.bars.write(series_of(COIN, [50.0] * 30, start=made.bar_closed_at), "test")
    now = made.bar_closed_at + event.horizon * DAY
    assert report(bench.desk, now).model_scored == 0
    assert score_predictions(now, bench.database.unit_of_work, bench.bars, SESSIONS) == 1
    assert publish_daily_report(bench.desk, now)
    (told,) = bench.events(DailyReport)
    assert (told.model_hits, told.model_scored) == (0, 1)
    bench.close()


def test_scoring_needs_no_learning_library() -> None:
    seen = "import sys, jobs.scoring; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", seen], check=False, cwd=Path(__file__).parents[2]).returncode == 0


def wild(count: int) -> BarSeries:
    """Days of a coin that move enough for barriers to be met."""
    draw = np.random.default_rng(3)
    return series_of(BTC, 100 * np.exp(np.cumsum(draw.normal(0, 0.02, count))), start=closed(0) - 400 * DAY)


def rising_after(series: BarSeries, first: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.where(np.arange(len(series)) >= first, 1.2, 1.0)


def sessions_of(symbol: str, prices: list[float]) -> BarSeries:
    """Daily bars that close with the sessions of the exchange."""
    first = closed(0).date()
    _, opens, closes = SESSIONS.sessions_between(first, first + timedelta(days=2 * len(prices)))
    flat = series_of(symbol, prices, size=BarSize.D1)
    return replace(flat, opened_at=opens[: len(prices)], closed_at=closes[: len(prices)], open=flat.close)
