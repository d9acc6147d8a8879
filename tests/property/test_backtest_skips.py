"""A backtest that passes over ticks leaves the very books behind of one that makes them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.backtest import Backtest, BacktestOptions
from bot.price_sources import make_calendar
from core.backtest.ledger import Books
from core.backtest.skipping import Skipper
from core.domain.bars import BarSize
from core.domain.instruments import AssetClass
from core.feed.aggregate import aggregate
from core.learning.validation import Scores
from core.series import BarSeries, concatenated, seconds_of, time_of
from core.settings import load_settings
from jobs.walk_forward import Trained
from tests.fakes_bars import KeptHistory
from tests.forest_builders import TRAINED_AT, bundle_of, small_forest

CALENDAR = make_calendar()
SYMBOLS = ("UP-USD", "DOWN-USD", "FUND")
FIRST = date(2024, 3, 8)
"""A Friday; on the Sunday after it the clocks of New York go forward."""
HISTORY = timedelta(days=320)


@dataclass(frozen=True, slots=True)
class Course:
    """A period to play and by which rules; `swing` is the size of a bar's moves. Forecasts that are `sure` lose their
    trust."""

    size: BarSize
    days: int
    seed: int
    swing: float
    rules: tuple[tuple[str, str], ...]
    sure: bool = False


class Walks(KeptHistory):
    """Bars that wander by chance: of coins around the clock, of a fund while its exchange is open."""

    name = "walks"

    def __init__(self, course: Course) -> None:
        super().__init__()
        start = datetime.combine(FIRST, datetime.min.time(), tzinfo=TRAINED_AT.tzinfo)
        for number, symbol in enumerate(SYMBOLS):
            chance = np.random.default_rng([course.seed, number])
            days = _walk(symbol, BarSize.D1, start - HISTORY, HISTORY.days, chance, 0.03, 100.0)
            size, per_day = course.size, 288 if course.size.is_intraday else 1
            last = float(days.close[-1])
            bars = _walk(symbol, size, start, course.days * per_day, chance, course.swing, last)
            if size.is_intraday:
                self._series[symbol, size] = bars
                bars = aggregate(CALENDAR, _class_of(symbol), bars, BarSize.D1)
            self._series[symbol, BarSize.D1] = concatenated(days, bars)


def _class_of(symbol: str) -> AssetClass:
    return AssetClass.CRYPTO if symbol.endswith("-USD") else AssetClass.STOCK


def _walk(
    symbol: str, size: BarSize, start: datetime, count: int, chance: np.random.Generator, swing: float, first: float
) -> BarSeries:
    span = int(size.span.total_seconds())
    opened_at = seconds_of(start) + span * np.arange(count, dtype=np.int64)
    close = first * np.exp(np.cumsum(chance.normal(0, swing, count)))
    opened = np.concatenate(([first], close[:-1])) * (1 + chance.normal(0, swing / 4, count))
    high = np.maximum(opened, close) * (1 + np.abs(chance.normal(0, swing / 3, count)))
    low = np.minimum(opened, close) * (1 - np.abs(chance.normal(0, swing / 3, count)))
    bars = BarSeries(symbol, size, opened_at, opened_at + span, opened, high, low, close, np.full(count, 1e6))
    kind = _class_of(symbol)
    if kind is AssetClass.CRYPTO:
        return bars
    if size.is_intraday:
        return bars.part(np.array([CALENDAR.is_open(kind, time_of(at)) for at in bars.opened_at]))
    bounds = [CALENDAR.session_bounds(kind, time_of(at).date()) for at in bars.opened_at]
    kept = bars.part(np.array([each is not None for each in bounds]))
    ends = np.array([seconds_of(each[1]) for each in bounds if each is not None], np.int64)
    return replace(kept, closed_at=ends)


class Walking(Backtest):
    """The product's backtest on such walks, its forest there already."""

    course: Course

    def _make_source(self) -> Any:
        return Walks(self.course)

    def _hold(self, symbols: Sequence[str], name: str) -> Any:
        return None

    def _train(self, begin: Any) -> list[Trained]:
        forest = small_forest()
        if self.course.sure:
            forest = replace(forest, probability=np.ones_like(forest.probability))
        return [Trained(TRAINED_AT, bundle_of(forest), 1, TRAINED_AT, Scores(1, 0.5, 0.0, 0.0, 0.5))]


def books_of(course: Course, folder: Path, *, every_tick: bool) -> tuple[dict[str, Any], int]:
    """What the run has written, but for the notes between its ticks, and how many ticks it made."""
    chosen = load_settings({"STATE_DIR": str(folder), "TIME_ZONE": "UTC", **dict(course.rules)}, None)
    options = BacktestOptions(
        folder,
        FIRST,
        FIRST + timedelta(days=course.days - 1),
        course.size,
        SYMBOLS,
        1,
        Decimal(10_000),
        folder,
        every_tick=every_tick,
        unlock=timedelta(days=2),
        beside=False,
    )
    told: list[Any] = []
    kind = type("Run", (Walking,), {"course": course})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.backtest.Books", lambda: Books(told=lambda event, at: told.append((at, event))))
        run = kind(chosen, options).run(lambda _what, _steps: lambda _done: None).runs[0]
    books = run.books
    kept = {
        "entries": books.entries,
        "orders": books.orders,
        "live": list(books.live),
        "guards": books.guards,
        "brakes": books.brakes,
        "released": books.released,
        "told": told,
        "worth": run.holdings.value.tolist(),
    }
    return kept, run.played.made


def rules(**chosen: str) -> tuple[tuple[str, str], ...]:
    return tuple({"MIN_PROBABILITY": "0.3", "MAX_CRYPTO_FRACTION": "1", **chosen}.items())


NARROW = rules(STOP_LOSS="0.012", TAKE_PROFIT="0.02", MAX_ASSET_FRACTION="0.6", DAILY_RISK_FRACTION="0.02")
BRAKED = rules(STOP_LOSS="0.01", TAKE_PROFIT="0.05", DAILY_LOSS_LIMIT="0.004", DRAWDOWN_LIMIT="0.02", LOSS_STREAK="2")
HASTY = rules(STOP_LOSS="0.03", TAKE_PROFIT="0.03", MIN_TRADE_GAP_MINUTES="0", MAX_EXPOSURE_FRACTION="0.5")
PLAIN = rules(STRATEGY="rule", STOP_LOSS="0.08", TAKE_PROFIT="0.5")
COURSES = st.builds(
    Course,
    size=st.sampled_from([BarSize.M5, BarSize.D1]),
    days=st.integers(3, 4),
    seed=st.integers(0, 10_000),
    swing=st.sampled_from([0.001, 0.003, 0.006]),
    rules=st.sampled_from([NARROW, BRAKED, HASTY, PLAIN, rules()]),
    sure=st.booleans(),
).map(lambda course: course if course.size.is_intraday else replace(course, days=150, swing=5 * course.swing))


@pytest.mark.feature("S17")
def test_hours_of_five_minutes_leave_the_same_books_with_and_without_idle_ticks(tmp_path: Path) -> None:
    course = Course(BarSize.M5, 1, 5, 0.004, NARROW)
    every, made = books_of(course, tmp_path, every_tick=True)
    quick, fewer = books_of(course, tmp_path, every_tick=False)
    assert len(every["entries"]) > 6
    assert quick == every
    assert 2 * fewer < made
    # What one tick too many passed over does to them shows that a comparison can fail.
    for blind in ("_next_reach", "_next_entry"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Skipper, blind, late(getattr(Skipper, blind)))
            assert books_of(course, tmp_path, every_tick=False)[0] != every


def late(found: Callable[..., int]) -> Callable[..., int]:
    """Looks that find what they look for one tick later."""
    return lambda skipper, *asked: min(found(skipper, *asked) + 1, skipper._ahead.last)


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(course=COURSES)
def test_whatever_comes_the_books_are_those_of_every_tick_made(tmp_path: Path, course: Course) -> None:
    every, made = books_of(course, tmp_path, every_tick=True)
    quick, fewer = books_of(course, tmp_path, every_tick=False)
    assert quick == every
    assert fewer <= made
