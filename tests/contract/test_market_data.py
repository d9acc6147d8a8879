"""What every MarketData source and every Quotes source keeps to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.adapters.alpaca_data import AlpacaData
from core.adapters.alpaca_quotes import AlpacaQuotes
from core.adapters.calendars import ExchangeCalendar
from core.adapters.history_files import HistoryFiles
from core.adapters.simulated_market import SimulatedMarket
from core.adapters.yahoo import YahooData
from core.domain.bars import BarSize
from core.domain.instruments import AssetClass, instrument_for
from core.errors import DataFault
from core.ports import MarketData, Quotes
from core.series import BarSeries, time_of
from tests.alpaca_stand import service_at
from tests.fakes_bars import StillClock
from tests.servers.alpaca_data_server import AlpacaDataServer
from tests.servers.yahoo_server import YahooServer, known_moment

NOW = known_moment()
SYMBOLS = ("SPY", "BTC-USD")
SIZES = (BarSize.D1, BarSize.M5)
ENDS = (
    NOW,
    datetime(2024, 11, 26, 21, tzinfo=UTC),
    datetime(2024, 11, 26, 20, 59, 59, tzinfo=UTC),
    datetime(2024, 11, 24, tzinfo=UTC),
    datetime(2024, 11, 23, 23, 59, 59, tzinfo=UTC),
)


@dataclass(frozen=True)
class Subject:
    """A source and what it should know: everything up to the day after NOW."""

    source: MarketData
    truth: SimulatedMarket
    quotes: Quotes | None = None


@pytest.fixture(scope="module")
def calendar() -> ExchangeCalendar:
    return ExchangeCalendar()


@pytest.fixture(scope="module")
def truth(calendar: ExchangeCalendar) -> SimulatedMarket:
    return SimulatedMarket(11, SYMBOLS, calendar)


def known_bars(truth: SimulatedMarket) -> dict[tuple[str, BarSize], BarSeries]:
    until = NOW + timedelta(days=1)
    return {(name, size): truth.bars(instrument_for(name), size, until, 1_500) for name in SYMBOLS for size in SIZES}


def write_files(folder: Path, truth: SimulatedMarket) -> None:
    for (symbol, size), series in known_bars(truth).items():
        labels = series.opened_at if size.is_intraday else series.opened_at // 86_400 * 86_400
        columns = {name: getattr(series, name) for name in ("open", "high", "low", "close", "volume")}
        table = pd.DataFrame({"ts": [f"{time_of(label):%Y-%m-%dT%H:%M:%SZ}" for label in labels], **columns})
        place = folder / ("intraday" if size.is_intraday else "daily")
        place.mkdir(exist_ok=True)
        mark = f".{size}" if size.is_intraday else ""
        table.to_csv(place / f"{symbol}{mark}.csv.gz", index=False)


@pytest.fixture(params=["files", "simulated", "yahoo", "alpaca"])
def subject(
    request: pytest.FixtureRequest, truth: SimulatedMarket, calendar: ExchangeCalendar, tmp_path: Path
) -> Iterator[Subject]:
    if request.param == "simulated":
        yield Subject(SimulatedMarket(11, SYMBOLS, calendar), truth)
    elif request.param == "files":
        write_files(tmp_path, truth)
        yield Subject(HistoryFiles(tmp_path, calendar), truth)
    elif request.param == "alpaca":
        until = NOW + timedelta(days=1)
        hours = {("BTC-USD", BarSize.H1): truth.bars(instrument_for("BTC-USD"), BarSize.H1, until, 24 * 220)}
        with AlpacaDataServer(known_bars(truth) | hours, lambda: NOW) as alpaca:
            service, _ = service_at(alpaca.address, StillClock(NOW))
            source = AlpacaData(service, calendar, StillClock(NOW))
            yield Subject(source, truth, AlpacaQuotes(service, calendar, StillClock(NOW)))
    else:
        with YahooServer(known_bars(truth), NOW) as server:
            chance = np.random.default_rng(1)
            clock, session = StillClock(NOW), server.session()
            yield Subject(
                YahooData(calendar, clock, lambda _: None, tmp_path, chance, spacing=0.0, session=session), truth
            )


@pytest.mark.feature("S2")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_newest_bars_closed_by_the_end_come_and_no_later_one(subject: Subject, symbol: str, size: BarSize) -> None:
    instrument = instrument_for(symbol)
    for end in ENDS:
        bars = subject.source.bars(instrument, size, end, 40)
        expected = subject.truth.bars(instrument, size, end, 40)
        assert bars.closed_at[-1] <= end.timestamp()
        assert (bars.symbol, bars.size) == (symbol, size)
        for column in ("opened_at", "closed_at", "open", "high", "low", "close", "volume"):
            assert np.array_equal(getattr(bars, column), getattr(expected, column)), (column, end)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_bars_ascend_without_repetition_and_are_as_many_as_asked(subject: Subject, symbol: str, size: BarSize) -> None:
    for count in (1, 2, 100):
        bars = subject.source.bars(instrument_for(symbol), size, NOW, count)
        assert len(bars) == count
        assert (np.diff(bars.closed_at) > 0).all()
        assert (bars.opened_at[1:] >= bars.closed_at[:-1]).all()
        assert (bars.opened_at < bars.closed_at).all()


@pytest.mark.parametrize("size", SIZES)
def test_bars_close_when_the_calendar_says(subject: Subject, calendar: ExchangeCalendar, size: BarSize) -> None:
    for symbol in SYMBOLS:
        instrument = instrument_for(symbol)
        bars = subject.source.bars(instrument, size, NOW, 200)
        assert np.array_equal(calendar.bar_closes(instrument.asset_class, size, bars.opened_at), bars.closed_at)
        if instrument.asset_class is AssetClass.STOCK:
            assert all(calendar.is_open(AssetClass.STOCK, time_of(opened)) for opened in bars.opened_at)


def test_an_unknown_symbol_is_a_data_fault(subject: Subject) -> None:
    for symbol in ("NOSUCH", "NOSUCH-USD"):
        with pytest.raises(DataFault) as fault:
            subject.source.bars(instrument_for(symbol), BarSize.D1, NOW, 5)
        assert fault.value.symbol == symbol


def test_before_the_first_bar_there_is_an_empty_series(subject: Subject) -> None:
    for size in SIZES:
        early = datetime(2015, 1, 1, tzinfo=UTC)
        assert len(subject.source.bars(instrument_for("BTC-USD"), size, early, 5)) == 0


def test_asking_twice_gives_the_same_bars(subject: Subject) -> None:
    for size in SIZES:
        one, other = (subject.source.bars(instrument_for("SPY"), size, NOW, 30) for _ in range(2))
        assert np.array_equal(one.close, other.close)


@pytest.mark.parametrize("subject", ["simulated", "yahoo", "alpaca"], indirect=True)
def test_last_prices_are_never_from_the_future(subject: Subject) -> None:
    source = subject.quotes or subject.source
    assert isinstance(source, SimulatedMarket | YahooData | AlpacaQuotes)
    quotes = source.last([instrument_for(name) for name in (*SYMBOLS, "NOSUCH")], NOW)
    assert set(quotes) == set(SYMBOLS)
    for symbol, quote in quotes.items():
        assert quote.symbol == symbol
        assert quote.at <= NOW
        assert quote.price > 0
