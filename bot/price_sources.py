"""The sources of prices: which adapters stand behind them, and what they are asked beside bars and quotes.

A room of the composition root: beside bot.bootstrap nobody else knows adapters.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.random import default_rng

from core.adapters.bar_folder import BarFolder
from core.adapters.calendars import ExchangeCalendar
from core.adapters.history_files import HistoryFiles
from core.adapters.simulated_actions import ActionsBetween
from core.adapters.simulated_market import SimulatedLookup, SimulatedMarket
from core.adapters.yahoo import YahooData
from core.backtest.bars import StoredPast
from core.clock import SystemClock
from core.domain.corporate import CorporateAction
from core.domain.instruments import DEFAULT_SYMBOLS, Universe
from core.feed.lookup import BarsLookup
from core.feed.quotes import QuoteChain
from core.ports import Clock, LivePrices, MarketData, Quotes, SymbolLookup
from core.settings import Settings
from core.settings.checks import FeedChoice

if TYPE_CHECKING:
    from core.adapters.alpaca import Alpaca
    from core.adapters.alpaca_service import Feed

HistorySource = SimulatedMarket | HistoryFiles | StoredPast


def _nothing() -> None:
    """Where nothing is to be let go of."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Sources of bars, the best first, and of last prices; `close` lets go of what they hold. `refusals` tells, by
    component, why a source does not let us in, which its owner should know though another one answers. `live` tells
    each price as it comes, where one does."""

    sources: Sequence[MarketData]
    quotes: Quotes
    close: Callable[[], None] = _nothing
    refusals: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    live: LivePrices | None = None


def make_calendar() -> ExchangeCalendar:
    return ExchangeCalendar()


def make_yahoo(calendar: ExchangeCalendar, clock: SystemClock, cache_folder: Path) -> YahooData:
    return YahooData(calendar, clock, clock.sleep, cache_folder, default_rng(secrets.randbits(64)))


def make_alpaca(settings: Settings, calendar: ExchangeCalendar, clock: SystemClock) -> Alpaca | None:
    """The owner's account at Alpaca; None without its keys. Loaded only here: without them nothing of it is needed."""
    if settings.alpaca_keys is None:
        return None
    from core.adapters.alpaca import Alpaca
    from core.adapters.alpaca_transport import AlpacaKeys

    feed: Feed = "sip" if settings.alpaca_feed is FeedChoice.SIP else "iex"
    chance = default_rng(secrets.randbits(64))
    return Alpaca(AlpacaKeys(*settings.alpaca_keys), calendar, clock, clock.sleep, chance, feed=feed)


def make_simulated_market(seed: int, calendar: ExchangeCalendar) -> SimulatedMarket:
    """It knows the default symbols; any other has no data there, which is told when it is asked for."""
    return SimulatedMarket(seed, DEFAULT_SYMBOLS, calendar)


def make_bar_files(calendar: ExchangeCalendar) -> BarFolder:
    return BarFolder(calendar)


def make_history(folder: Path, calendar: ExchangeCalendar) -> HistoryFiles:
    return HistoryFiles(folder, calendar)


def simulated_prices(market: SimulatedMarket) -> Prices:
    return Prices((market,), market)


def real_prices(settings: Settings, yahoo: YahooData, alpaca: Alpaca | None) -> Prices:
    """Those that the owner's settings name. Last prices come from Alpaca first: in real time, and streamed."""
    if alpaca is None or "alpaca" not in settings.data_sources:
        return Prices((yahoo,), yahoo)
    sources: Mapping[str, MarketData] = {"yahoo": yahoo, "alpaca": alpaca.data}
    chain: list[Quotes] = [alpaca.quotes, *([yahoo] if "yahoo" in settings.data_sources else [])]
    bars = [sources[name] for name in settings.data_sources]
    return Prices(bars, QuoteChain(chain), alpaca.close, {"alpaca prices": alpaca.refusal}, alpaca.quotes)


def lookup_of(prices: Prices, market_clock: Clock) -> SymbolLookup:
    """Yahoo where it is among the sources: it knows names and kinds. Else the best source."""
    best = next((each for each in prices.sources if isinstance(each, YahooData | SimulatedMarket)), prices.sources[0])
    if isinstance(best, YahooData):
        return best
    now = market_clock.now
    return SimulatedLookup(best, now) if isinstance(best, SimulatedMarket) else BarsLookup(best, now)


def actions_of(sources: Sequence[MarketData], universe: Universe) -> ActionsBetween:
    """The dividends and splits that belong to the files' bars; the other sources tell of none."""
    files = [source for source in sources if isinstance(source, HistoryFiles)]

    def between(after: datetime, until: datetime) -> Sequence[CorporateAction]:
        found = [
            action
            for source in files
            for instrument in universe.all()
            for action in source.actions(instrument.symbol, after, until)
        ]
        return sorted(found, key=lambda action: (action.at, action.symbol))

    return between


def actions_at(source: HistorySource, symbol: str, after: datetime, until: datetime) -> list[tuple[datetime, float]]:
    """When dividends and splits of the symbol took effect, and new units for one old (1 for a dividend)."""
    if not isinstance(source, HistoryFiles):
        return []
    return [(each.at, float(each.ratio)) for each in source.actions(symbol, after, until)]


def dividends_of(source: HistorySource, symbol: str, after: datetime, until: datetime) -> list[tuple[datetime, float]]:
    """When each dividend took effect and USD a unit, in the units of `until`: a later split divides it."""
    if not isinstance(source, HistoryFiles):
        return []
    told, units = list[tuple[datetime, float]](), Decimal(1)
    for action in reversed(source.actions(symbol, after, until)):
        units *= action.ratio
        if action.dividend > 0:
            told.append((action.at, float(action.dividend / units)))
    return told[::-1]


def rows_left_out(source: HistorySource) -> Sequence[str]:
    """A line for each series of which files held rows that cannot be used: how many, and the first."""
    if not isinstance(source, HistoryFiles):
        return ()
    return tuple(
        f"{len(refusals)} row{'' if len(refusals) == 1 else 's'} of {symbol} {size} not used; the first: "
        f"{refusals[0].sentence}"
        for (symbol, size), refusals in sorted(source.refused().items())
        if refusals
    )
