"""What every source of prices says of a symbol before it is traded (core.ports.SymbolLookup)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import pytest

from core.adapters.history_files import HistoryFiles
from core.adapters.simulated_market import SimulatedLookup
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.errors import DataFault, NoBars, UnknownSymbol
from core.feed.lookup import BarsLookup
from core.ports import SymbolLookup
from core.series import BarSeries, time_of
from tests.alpaca_stand import source_at
from tests.servers.alpaca_data_server import AlpacaDataServer
from tests.servers.yahoo_server import YahooServer
from tests.yahoo_stand import CALENDAR, KNOWN, NOW, TRUTH, ask_at, forget_yfinance

SYMBOLS = ("SPY", "BTC-USD")


def write_files(folder: Path) -> None:
    for symbol in SYMBOLS:
        series = KNOWN[symbol, BarSize.D1].until(NOW)
        rows = (f"{bar.opened_at:%Y-%m-%d},{bar.open},{bar.high},{bar.low},{bar.close},9\n" for bar in series.bars())
        (folder / f"{symbol}.csv").write_text("ts,open,high,low,close,volume\n" + "".join(rows))


@cache
def alpaca_bars() -> dict[tuple[str, BarSize], BarSeries]:
    """What Yahoo knows, and the hours of which a coin's days are made there."""
    days = len(KNOWN["BTC-USD", BarSize.D1])
    until = NOW + timedelta(days=1)
    return {**KNOWN, ("BTC-USD", BarSize.H1): TRUTH.bars(instrument_for("BTC-USD"), BarSize.H1, until, 24 * (days + 1))}


@pytest.fixture(params=["files", "simulated", "bars", "yahoo", "alpaca"])
def lookup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SymbolLookup]:
    if request.param == "files":
        write_files(tmp_path)
        yield HistoryFiles(tmp_path, CALENDAR)
    elif request.param == "bars":
        write_files(tmp_path)
        yield BarsLookup(HistoryFiles(tmp_path, CALENDAR), lambda: NOW)
    elif request.param == "simulated":
        yield SimulatedLookup(TRUTH, lambda: NOW)
    elif request.param == "alpaca":
        with AlpacaDataServer(alpaca_bars(), lambda: NOW) as alpaca:
            yield BarsLookup(source_at(alpaca.address), lambda: NOW)
    else:
        forget_yfinance()
        with YahooServer(KNOWN, NOW) as server:
            yield ask_at(server, tmp_path)


@pytest.mark.feature("S3")
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_known_symbol_has_a_name_a_price_that_was_made_and_a_first_day(lookup: SymbolLookup, symbol: str) -> None:
    found = lookup.look_up(symbol)
    assert (found.symbol, found.currency) == (symbol, "USD")
    assert found.name
    assert found.kind
    assert found.at <= NOW
    day = KNOWN[symbol, BarSize.D1]
    assert found.price == pytest.approx(float(day.until(NOW).close[-1]), rel=0.1)
    assert found.first is not None
    assert found.first <= time_of(day.opened_at[0]).date()


@pytest.mark.feature("S3")
@pytest.mark.parametrize("symbol", ["NOSUCH", "NOSUCH-USD"])
def test_an_unknown_symbol_is_told_from_one_that_is_not_for_us(lookup: SymbolLookup, symbol: str) -> None:
    with pytest.raises(DataFault) as fault:
        lookup.look_up(symbol)
    assert fault.value.symbol == symbol
    assert isinstance(fault.value, UnknownSymbol) or isinstance(lookup, BarsLookup)


@pytest.mark.feature("S3")
@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"currency": "EUR"}, "is priced in EUR, which AutoTrader does not trade"),
        ({"instrumentType": "INDEX"}, "is of the kind INDEX, which AutoTrader does not trade"),
        ({"exchangeTimezoneName": "Europe/Berlin"}, "trades by the clock of Europe/Berlin"),
    ],
)
def test_yahoos_other_money_kinds_and_clocks_are_refused_in_words(
    tmp_path: Path, said: dict[str, str], words: str
) -> None:
    forget_yfinance()
    with YahooServer(KNOWN, NOW) as server:
        server.exchange.meta["SPY"] = said
        with pytest.raises(DataFault, match=words) as fault:
            ask_at(server, tmp_path).look_up("SPY")
        assert not isinstance(fault.value, UnknownSymbol)


def test_yahoo_may_know_a_symbol_without_a_name_a_first_day_or_a_price(tmp_path: Path) -> None:
    forget_yfinance()
    with YahooServer(KNOWN, NOW) as server:
        server.exchange.meta["SPY"] = {"longName": None, "shortName": "  SPDR  S&P 500 ", "firstTradeDate": None}
        found = ask_at(server, tmp_path).look_up("SPY")
        assert (found.name, found.first) == ("SPDR S&P 500", None)
        server.exchange.meta["SPY"] = {"regularMarketPrice": None}
        with pytest.raises(NoBars):
            ask_at(server, tmp_path).look_up("SPY")


def test_the_simulated_market_names_what_it_has() -> None:
    with pytest.raises(UnknownSymbol, match="knows only SPY, BTC-USD"):
        SimulatedLookup(TRUTH, lambda: NOW).look_up("DIA")
    assert SimulatedLookup(TRUTH, lambda: NOW).look_up("SPY").first == date(2016, 1, 1)
    assert not instrument_for("SPY").is_crypto
