"""Collecting into the store: what is asked for, what is refused, and who suffers from whom."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from core.adapters.calendars import ExchangeCalendar
from core.collect import Collector
from core.domain.bars import BarSize
from core.domain.instruments import Instrument, instrument_for
from core.errors import DataFault, Transient
from core.quality import Defect
from core.series import BarSeries, seconds_of
from tests.fakes_bars import MemoryBarStore, steady_series

BTC, ETH, SPY = (instrument_for(symbol) for symbol in ("BTC-USD", "ETH-USD", "SPY"))
NOW = datetime(2024, 6, 5, 15, 2, tzinfo=UTC)
M5, D1 = BarSize.M5, BarSize.D1


class ListedSource:
    """Gives what it was told to, remembers what it was asked."""

    def __init__(self, name: str = "listed") -> None:
        self.name = name
        self.series: dict[tuple[str, BarSize], BarSeries] = {}
        self.errors: dict[str, Exception] = {}
        self.asked: list[tuple[str, BarSize, int]] = []
        self.before: Callable[[str], object] = lambda _: None

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        self.asked.append((instrument.symbol, size, count))
        self.before(instrument.symbol)
        if instrument.symbol in self.errors:
            raise self.errors[instrument.symbol]
        known = self.series.get((instrument.symbol, size))
        if known is None:
            raise DataFault(instrument.symbol, "never heard of it")
        return known.last(count)


@pytest.fixture(scope="module")
def calendar() -> ExchangeCalendar:
    return ExchangeCalendar()


@pytest.fixture
def store() -> MemoryBarStore:
    return MemoryBarStore()


@pytest.fixture
def source() -> ListedSource:
    listed = ListedSource()
    for instrument in (BTC, ETH):
        listed.series[instrument.symbol, M5] = steady_series(
            instrument.symbol, M5, datetime(2024, 6, 5, tzinfo=UTC), 180
        )
    return listed


@pytest.mark.feature("S2")
def test_the_first_collection_asks_for_the_whole_depth_and_the_next_only_for_what_is_missing(
    source: ListedSource, store: MemoryBarStore, calendar: ExchangeCalendar
) -> None:
    collector = Collector([source], store, calendar)
    early = NOW - timedelta(hours=1)
    source.series["BTC-USD", M5] = source.series["BTC-USD", M5].until(early)
    first = collector.collect([BTC], [M5], early)
    assert source.asked == [("BTC-USD", M5, 60 * 288)]
    assert first.entries[0].newest == datetime(2024, 6, 5, 14, tzinfo=UTC)
    source.series["BTC-USD", M5] = steady_series("BTC-USD", M5, datetime(2024, 6, 5, tzinfo=UTC), 180)
    second = collector.collect([BTC], [M5], NOW)
    assert source.asked[1][2] == 13 + 3
    assert second.entries[0].newest == datetime(2024, 6, 5, 15, tzinfo=UTC)
    assert len(store.read("BTC-USD", M5, NOW, 1_000)) == 180


def test_no_call_is_made_while_no_bar_can_have_closed(
    source: ListedSource, store: MemoryBarStore, calendar: ExchangeCalendar
) -> None:
    friday_close = datetime(2024, 6, 7, 20, tzinfo=UTC)
    store.write(steady_series("SPY", M5, friday_close - timedelta(minutes=50), 10), "listed")
    store.write(steady_series("SPY", D1, datetime(2024, 6, 6, 20, tzinfo=UTC), 1), "listed")
    store.write(steady_series("BTC-USD", M5, friday_close - timedelta(minutes=50), 10), "listed")
    collector = Collector([source], store, calendar)
    for quiet in (friday_close, datetime(2024, 6, 9, 12, tzinfo=UTC), datetime(2024, 6, 10, 13, 34, 59, tzinfo=UTC)):
        assert [entry.asked for entry in collector.collect([SPY], [M5, D1], quiet).entries] == [False, False]
    assert source.asked == []
    assert collector.collect([BTC], [M5], friday_close + timedelta(minutes=5)).entries[0].asked
    assert collector.collect([SPY], [M5], datetime(2024, 6, 10, 13, 35, tzinfo=UTC)).entries[0].asked


def test_a_bad_instrument_is_excluded_with_its_reason_and_takes_no_other_down(
    source: ListedSource, store: MemoryBarStore, calendar: ExchangeCalendar
) -> None:
    source.errors["ETH-USD"] = Transient("Yahoo is asleep", NOW + timedelta(minutes=3))
    report = Collector([source], store, calendar).collect([ETH, SPY, BTC], [M5], NOW)
    eth, spy, btc = report.entries
    assert (eth.error, eth.transient, eth.retry_at) == ("listed: Yahoo is asleep", True, NOW + timedelta(minutes=3))
    assert (spy.error, spy.transient) == ("listed: never heard of it", False)
    assert (btc.error, btc.written) == ("", 180)
    assert set(report.errors(M5)) == {"ETH-USD", "SPY"}
    assert report.written == 180


def test_bad_bars_are_refused_with_reasons_and_the_good_ones_stored(
    source: ListedSource, store: MemoryBarStore, calendar: ExchangeCalendar
) -> None:
    series = source.series["BTC-USD", M5]
    series.close[7] = float("nan")
    series.open[9] = 0.0
    source.series["BTC-USD", M5] = series.part(np.r_[np.arange(180)[::-1], 0])
    late = NOW - timedelta(minutes=4)
    report = Collector([source], store, calendar).collect([BTC], [M5], late)
    assert [refusal.defect for refusal in report.refusals()] == [
        Defect.NOT_FINITE,
        Defect.NOT_POSITIVE,
        Defect.FUTURE,
    ]
    stored = store.read("BTC-USD", M5, NOW, 1_000)
    assert len(stored) == 177
    assert (np.diff(stored.closed_at) > 0).all()


def test_an_instrument_of_which_every_bar_is_refused_says_so(
    source: ListedSource, store: MemoryBarStore, calendar: ExchangeCalendar
) -> None:
    source.series["BTC-USD", M5].open[:] = -1.0
    source.series["ETH-USD", M5] = BarSeries.empty("ETH-USD", M5)
    btc, eth = Collector([source], store, calendar).collect([BTC, ETH], [M5], NOW).entries
    assert btc.error.startswith("listed: all 180 bars were refused; the last: BTC-USD 5m bar closing 2024-06-05 15:00Z")
    assert eth.error == "listed: no 5m bars yet"


def test_the_first_source_that_answers_begins_a_series_and_only_it_may_continue_it(
    source: ListedSource, store: MemoryBarStore, calendar: ExchangeCalendar
) -> None:
    first = ListedSource("first")
    first.errors["BTC-USD"] = Transient("down")
    begun = Collector([first, source], store, calendar).collect([BTC], [M5], NOW).entries[0]
    assert (begun.source, begun.error) == ("listed", "")
    later = NOW + timedelta(minutes=5)
    first.errors.clear()
    first.series["BTC-USD", M5] = steady_series("BTC-USD", M5, datetime(2024, 6, 5, tzinfo=UTC), 181, price=900.0)
    restarted = Collector([first, source], store, calendar).collect([BTC], [M5], later).entries[0]
    assert restarted.source == "listed"
    alone = Collector([first], store, calendar).collect([BTC], [M5], later).entries[0]
    assert alone.error == "stored bars come from listed; first may not continue them"
    assert store.read("BTC-USD", M5, later, 1_000).close.max() < 900


def test_when_every_source_fails_each_is_heard(store: MemoryBarStore, calendar: ExchangeCalendar) -> None:
    one, other = ListedSource("one"), ListedSource("other")
    one.errors["BTC-USD"] = Transient("down")
    entry = Collector([one, other], store, calendar).collect([BTC], [M5], NOW).entries[0]
    assert entry.error == "one: down; other: never heard of it"
    assert entry.transient


def test_in_threads_a_hanging_instrument_costs_the_deadline_once_and_is_not_asked_twice(
    source: ListedSource, store: MemoryBarStore, calendar: ExchangeCalendar
) -> None:
    release = threading.Event()
    source.before = lambda symbol: release.wait(20) if symbol == "ETH-USD" else None
    collector = Collector([source], store, calendar, parallel=2, deadline=0.2)
    try:
        for _ in range(2):
            eth, btc = collector.collect([ETH, BTC], [M5], NOW).entries
            assert (eth.error, eth.transient) == ("no answer within 0.2 s", True)
            assert btc.error == ""
        assert [symbol for symbol, _, _ in source.asked].count("ETH-USD") == 1
        collector.deadline = 20.0
        release.set()
        assert collector.collect([ETH], [M5], NOW).entries[0].written == 180
    finally:
        release.set()
        collector.close()


def test_daily_bars_of_stocks_are_asked_for_after_the_close(store: MemoryBarStore, calendar: ExchangeCalendar) -> None:
    source = ListedSource()
    opens = calendar.sessions_between(date(2024, 6, 3), date(2024, 6, 5))[1]
    level = np.array([100.0, 101.0, 102.0])
    source.series["SPY", D1] = BarSeries("SPY", D1, opens, opens + 23_400, level, level, level, level, level)
    collector = Collector([source], store, calendar)
    entry = collector.collect([SPY], [D1], NOW).entries[0]
    assert (entry.written, entry.refused[0].defect) == (2, Defect.FUTURE)
    assert source.asked[0][2] == 3_000
    assert not collector.collect([SPY], [D1], datetime(2024, 6, 5, 19, 59, tzinfo=UTC)).entries[0].asked
    assert collector.collect([SPY], [D1], datetime(2024, 6, 5, 20, tzinfo=UTC)).entries[0].written == 3
    assert seconds_of(datetime(2024, 6, 5, 20, tzinfo=UTC)) == opens[-1] + 23_400
