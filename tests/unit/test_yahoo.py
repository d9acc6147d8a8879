"""The real yfinance against a server that speaks Yahoo's protocol: prices and each kind of failure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.adapters.calendars import ExchangeCalendar
from core.adapters.simulated_market import SimulatedMarket
from core.adapters.yahoo import Pace, YahooData
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.errors import DataFault, Transient
from core.series import BarSeries
from tests.fakes_bars import StillClock
from tests.servers.yahoo_server import YahooServer, known_moment

SPY, BTC = instrument_for("SPY"), instrument_for("BTC-USD")
SYMBOLS = ("SPY", "BTC-USD")
NOW = known_moment()


@pytest.fixture(scope="module")
def calendar() -> ExchangeCalendar:
    return ExchangeCalendar()


@pytest.fixture(scope="module")
def truth(calendar: ExchangeCalendar) -> SimulatedMarket:
    return SimulatedMarket(5, SYMBOLS, calendar)


@pytest.fixture
def server(truth: SimulatedMarket) -> Iterator[YahooServer]:
    soon = NOW + timedelta(days=1)
    known = {
        (symbol, size): truth.bars(instrument_for(symbol), size, soon, count)
        for symbol in SYMBOLS
        for size, count in ((BarSize.D1, 400), (BarSize.M5, 2_000))
    }
    with YahooServer(known, NOW) as running:
        yield running


@pytest.fixture
def clock() -> StillClock:
    return StillClock(NOW)


@pytest.fixture
def yahoo(server: YahooServer, calendar: ExchangeCalendar, clock: StillClock, tmp_path: Path) -> YahooData:
    return YahooData(
        calendar, clock, lambda _: None, tmp_path / "yfinance", budget=5.0, spacing=0.0, session=server.session()
    )


def same(one: BarSeries, other: BarSeries) -> bool:
    names = ("opened_at", "closed_at", "open", "high", "low", "close", "volume")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@pytest.mark.feature("S2")
@pytest.mark.parametrize("instrument", [SPY, BTC])
@pytest.mark.parametrize("size", [BarSize.D1, BarSize.M5])
def test_closed_bars_arrive_as_they_are_with_their_close_times(
    yahoo: YahooData, truth: SimulatedMarket, instrument: object, size: BarSize
) -> None:
    symbol = instrument_for(getattr(instrument, "symbol", ""))
    assert same(yahoo.bars(symbol, size, NOW, 120), truth.bars(symbol, size, NOW, 120))


def test_one_symbol_costs_one_request_for_prices(yahoo: YahooData, server: YahooServer) -> None:
    yahoo.bars(SPY, BarSize.D1, NOW, 10)
    yahoo.bars(SPY, BarSize.M5, NOW, 10)
    assert len(server.chart_calls()) == 2


@pytest.mark.parametrize("live_at", [NOW, NOW.replace(minute=0, second=1), NOW.replace(second=0, minute=0)])
def test_a_live_row_never_becomes_a_bar(
    yahoo: YahooData, server: YahooServer, truth: SimulatedMarket, live_at: datetime
) -> None:
    for instrument in (SPY, BTC):
        server.live[instrument.symbol] = (live_at, 1e6)
        for size in (BarSize.M5, BarSize.D1):
            bars = yahoo.bars(instrument, size, NOW, 50)
            assert bars.high.max() < 1e6
            assert bars.bar(len(bars) - 1).closed_at <= NOW
            assert same(bars, truth.bars(instrument, size, NOW, 50))


def test_missing_values_are_handed_on_for_the_quality_gate_to_name(yahoo: YahooData, server: YahooServer) -> None:
    server.faults["BTC-USD"] = "nulls"
    bars = yahoo.bars(BTC, BarSize.M5, NOW, 2_000)
    assert np.isnan(bars.close).sum() == 1


def test_a_past_end_is_asked_for_with_the_start_alone_and_cut_here(yahoo: YahooData, truth: SimulatedMarket) -> None:
    end = NOW - timedelta(days=10)
    assert same(yahoo.bars(SPY, BarSize.M5, end, 30), truth.bars(SPY, BarSize.M5, end, 30))


def test_beyond_yahoos_memory_there_are_simply_no_bars(yahoo: YahooData, server: YahooServer) -> None:
    assert len(yahoo.bars(BTC, BarSize.M5, NOW - timedelta(days=90), 5)) == 0
    assert server.chart_calls() == []
    assert len(yahoo.bars(BTC, BarSize.M5, NOW, 100_000)) > 1_500


@pytest.mark.parametrize("fault", [404, "unlisted"])
def test_an_unknown_symbol_is_a_fault_of_that_symbol_alone(
    yahoo: YahooData, server: YahooServer, fault: object
) -> None:
    with pytest.raises(DataFault, match="symbol may be delisted"):
        yahoo.bars(instrument_for("NOSUCH"), BarSize.D1, NOW, 5)
    assert len(yahoo.bars(SPY, BarSize.D1, NOW, 5)) == 5


def test_a_symbol_without_bars_in_the_range_is_a_data_fault(yahoo: YahooData, server: YahooServer) -> None:
    server.series["SPY", BarSize.M5] = BarSeries.empty("SPY", BarSize.M5)
    with pytest.raises(DataFault, match="no price data found"):
        yahoo.bars(SPY, BarSize.M5, NOW, 5)


@pytest.mark.parametrize("fault", [502, "html", "cut"])
def test_a_broken_answer_is_transient_and_forgotten_when_yahoo_recovers(
    yahoo: YahooData, server: YahooServer, fault: int | str
) -> None:
    server.faults["SPY"] = fault
    with pytest.raises(Transient, match="no usable answer for SPY"):
        yahoo.bars(SPY, BarSize.D1, NOW, 5)
    server.faults.clear()
    assert len(yahoo.bars(SPY, BarSize.D1, NOW, 5)) == 5


@pytest.mark.feature("S14")
def test_a_silent_server_costs_no_more_than_the_budget(
    server: YahooServer, calendar: ExchangeCalendar, clock: StillClock, tmp_path: Path
) -> None:
    impatient = YahooData(
        calendar, clock, lambda _: None, tmp_path / "yfinance", budget=0.4, spacing=0.0, session=server.session()
    )
    server.faults["SPY"] = "hang"
    with pytest.raises(Transient):
        impatient.bars(SPY, BarSize.D1, NOW, 5)
    assert not impatient.reachable(0.3)


def test_a_rate_limit_silences_us_until_its_pause_is_over_and_doubles_when_repeated(
    yahoo: YahooData, server: YahooServer, clock: StillClock
) -> None:
    server.faults["SPY"] = 429
    with pytest.raises(Transient) as first:
        yahoo.bars(SPY, BarSize.D1, NOW, 5)
    assert first.value.retry_at == NOW + timedelta(minutes=1)
    asked = len(server.requests)
    with pytest.raises(Transient, match="slow down"):
        yahoo.bars(BTC, BarSize.D1, NOW, 5)
    assert len(server.requests) == asked
    clock.time = NOW + timedelta(minutes=1)
    with pytest.raises(Transient) as second:
        yahoo.bars(SPY, BarSize.D1, NOW, 5)
    assert second.value.retry_at == NOW + timedelta(minutes=3)
    clock.time = NOW + timedelta(minutes=3)
    server.faults.clear()
    assert len(yahoo.bars(SPY, BarSize.D1, NOW, 5)) == 5


def test_an_absent_server_is_not_reachable(
    server: YahooServer, calendar: ExchangeCalendar, clock: StillClock, tmp_path: Path
) -> None:
    with YahooServer({}, NOW) as gone:
        session = gone.session()
    lost = YahooData(calendar, clock, lambda _: None, tmp_path / "yfinance", budget=2.0, spacing=0.0, session=session)
    assert not lost.reachable(2.0)
    with pytest.raises(Transient):
        lost.last([SPY], NOW)


def test_a_server_that_answers_is_reachable(yahoo: YahooData) -> None:
    assert yahoo.reachable(5.0)


def test_last_prices_carry_the_time_of_their_trade_and_leave_out_the_unknown(
    yahoo: YahooData, server: YahooServer
) -> None:
    traded = NOW - timedelta(seconds=40)
    server.live["SPY"] = (traded, 601.25)
    server.faults["BTC-USD"] = 502
    quotes = yahoo.last([SPY, BTC, instrument_for("NOSUCH")], NOW)
    assert set(quotes) == {"SPY"}
    assert (quotes["SPY"].price, quotes["SPY"].at) == (601.25, traded)


def test_calls_are_spaced_and_the_first_waits_for_nobody() -> None:
    now, slept = 100.0, []
    pace = Pace(0.5, lambda: now, slept.append)
    for _ in range(3):
        pace.wait()
    assert slept == [0.5, 1.0]


def test_a_daily_bar_of_a_running_session_is_held_back(yahoo: YahooData, server: YahooServer) -> None:
    bars = yahoo.bars(SPY, BarSize.D1, NOW, 3)
    assert bars.bar(2).closed_at == datetime(2024, 11, 26, 21, tzinfo=UTC)
    assert replace(bars.bar(2), symbol="SPY").opened_at == datetime(2024, 11, 26, 14, 30, tzinfo=UTC)
