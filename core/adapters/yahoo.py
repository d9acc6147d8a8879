"""Yahoo's prices through yfinance: one symbol a call, paced, with every failure told apart.

Written against yfinance 1.7: `download()` hides failures, so `Ticker.history` is asked with exceptions on; answers
about spans that end in the past are kept in the process, errors included, so they are dropped before such a span is
asked for; the last row may be a live one. Raw prices (`auto_adjust=False`) are split-adjusted by Yahoo and not adjusted
for dividends.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.random import Generator

from core.adapters.bar_rows import series_of
from core.adapters.calendars import ExchangeCalendar
from core.adapters.pacing import Pacer, Pause, RealClock, Restraint
from core.adapters.yahoo_chart import BadChart, Chart, actions, listing, traded_at
from core.adapters.yahoo_spans import REACH, Span, spans
from core.domain.bars import BarSize, Quote
from core.domain.corporate import CorporateAction
from core.domain.instruments import Instrument, Listing, instrument_for
from core.errors import AutoTraderError, DataFault, MalformedAnswer, NoBars, Transient, UnknownSymbol, Unreachable
from core.feed.depth import first_open, newest_close
from core.series import BarSeries, concatenated, seconds_of

if TYPE_CHECKING:
    from core.adapters.yahoo_session import YahooSession

PROBE = "SPY"
RETRY_AFTER = 0.5
QUOTES_SHARE = 0.4
USELESS = Pause(timedelta(minutes=1), timedelta(minutes=16), patience=6)
_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.^=-]{0,19}")
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")

MakeSession = Callable[[Callable[[], float], Pacer, Restraint], "YahooSession"]


class YahooData:
    """MarketData and Quotes. A call takes at most `budget` seconds and asks about one symbol; safe to use from threads.

    One object serves the whole process: its requests are `spacing` seconds apart, and after a refusal none is made
    until the pause is over. `cache_folder` is where yfinance keeps its cookie; `chance` spreads pauses and second
    tries.
    """

    name = "yahoo"

    def __init__(
        self,
        calendar: ExchangeCalendar,
        clock: RealClock,
        sleep: Callable[[float], None],
        cache_folder: Path,
        chance: Generator,
        *,
        budget: float = 20.0,
        spacing: float = 0.25,
        session: MakeSession | None = None,
    ) -> None:
        self._calendar = calendar
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._pacer = Pacer(spacing, clock.monotonic, sleep)
        self._restraint = Restraint(clock.now, chance)
        self._cache_folder = cache_folder
        self._budget = budget
        self._make_session = session
        self._vendor: tuple[Any, YahooSession] | None = None
        self._lock = threading.Lock()
        self._actions: dict[str, dict[datetime, CorporateAction]] = {}

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        """At most `count` newest bars closed at or before `end` (and now, by the slower of our clock and Yahoo's),
        ascending, as Yahoo gives them: values may be NaN. Asks for the time of those bars alone.

        Raises the classes of core.errors: UnknownSymbol, NoBars and DataFault (the symbol), RateLimited, AccessRefused,
        Unreachable and MalformedAnswer (Yahoo).
        """
        now = self._clock.now()
        newest = newest_close(self._calendar, instrument, size, now)
        end = newest_close(self._calendar, instrument, size, min(end, now))
        start = first_open(self._calendar, instrument, size, end, count, now - REACH[size])
        parts, nothing = [BarSeries.empty(instrument.symbol, size)], None
        for span in spans(size, start, end, now):
            try:
                parts.append(self._part(instrument, size, span, now))
            except NoBars as none:
                nothing = none
        series = concatenated(*parts).until(end).last(count)
        if nothing is not None and not len(series) and end == newest:
            raise nothing
        return series

    def reach(self, size: BarSize) -> timedelta | None:
        """Yahoo's own limits; daily bars reach back to the first."""
        return REACH[size] if size.is_intraday else None

    def last(self, instruments: Sequence[Instrument], now: datetime) -> Mapping[str, Quote]:
        """The newest trade's price of each instrument that has one. Raises Transient when none could be asked.

        Who asks waits with a position to guard: all together take at most QUOTES_SHARE of a call's budget, each half of
        that, and those for whom no time is left are left out.
        """
        quotes: dict[str, Quote] = {}
        failed: Transient | None = None
        share = QUOTES_SHARE * self._budget
        until = self._clock.monotonic() + share
        for instrument in instruments:
            left = until - self._clock.monotonic()
            if left <= 0:
                break
            try:
                quote = self._quote(instrument, now, min(left, share / 2))
            except DataFault:
                continue
            except Transient as error:
                failed = error
                continue
            if quote is not None:
                quotes[instrument.symbol] = quote
        if failed is not None and not quotes:
            raise failed
        return quotes

    def look(self, deadline: float) -> Quote:
        """Asks for one price, within `deadline` seconds, to see how Yahoo is. Raises as `bars`."""
        quote = self._quote(instrument_for(PROBE), self._clock.now(), deadline)
        if quote is None:
            raise MalformedAnswer("gave a chart without a price")
        return quote

    def trouble(self, deadline: float) -> str:
        """Why Yahoo gives no prices now, in words that follow its name; empty where it does. As `look` for the rest."""
        try:
            self.look(deadline)
        except DataFault as fault:
            return fault.reason
        except Transient as trouble:
            return str(trouble)
        return ""

    def look_up(self, symbol: str) -> Listing:
        """core.ports.SymbolLookup. Raises as `bars`; NoBars where nothing was traded lately."""
        chart, _ = self._ask(instrument_for(symbol), BarSize.D1, self._budget, {"period": "5d", "interval": "1d"})
        return listing(chart, symbol)

    def actions(self, symbol: str, after: datetime, until: datetime) -> Sequence[CorporateAction]:
        """Dividends and splits in effect after `after` and by `until`, ascending, as the answers so far told of them:
        each tells of those in the time of its bars. Asks nothing."""
        with self._lock:
            known = list(self._actions.get(symbol, {}).values())
        return sorted((action for action in known if after < action.at <= until), key=lambda action: action.at)

    def _part(self, instrument: Instrument, size: BarSize, span: Span, now: datetime) -> BarSeries:
        """The closed bars of one call."""
        asked: dict[str, Any] = {"start": int(span.start.timestamp()), "interval": str(size)}
        if span.end is not None:
            asked["end"] = int(span.end.timestamp())
        chart, yahoo_time = self._ask(instrument, size, self._budget, asked)
        told = list(actions(chart, instrument, self._calendar))
        with self._lock:
            self._actions.setdefault(instrument.symbol, {}).update({action.at: action for action in told})
        series = series_of(chart, instrument, size, self._calendar)
        # Yahoo adds its newest row to a span of the past, too.
        return series.part(series.opened_at >= seconds_of(span.start)).until(min(now, yahoo_time, span.end or now))

    def _quote(self, instrument: Instrument, now: datetime, budget: float) -> Quote | None:
        chart, _ = self._ask(instrument, BarSize.D1, budget, {"period": "1d", "interval": "1d"})
        traded = traded_at(chart)
        return Quote(instrument.symbol, traded[0], min(traded[1], now)) if traded is not None else None

    def _ask(
        self, instrument: Instrument, size: BarSize, budget: float, asked: Mapping[str, Any]
    ) -> tuple[Chart, datetime]:
        """The chart and when, by Yahoo's clock, it was given. What broke on the way is asked a second time, once, where
        there is time for it."""
        symbol = instrument.symbol
        if not _SYMBOL.fullmatch(symbol) or _ISIN.fullmatch(symbol):
            raise UnknownSymbol(symbol, "knows no such symbol (it must be one of Yahoo's, like SPY or BTC-USD)")
        until = self._clock.monotonic() + budget
        try:
            return self._ask_once(instrument, size, budget, asked)
        except (MalformedAnswer, Unreachable) as error:
            pause = RETRY_AFTER * (1 + self._chance.random())
            left = until - self._clock.monotonic() - pause
            if error.retry_at is not None or left < budget / 2:
                raise
        self._sleep(pause)
        return self._ask_once(instrument, size, left, asked)

    def _ask_once(
        self, instrument: Instrument, size: BarSize, budget: float, asked: Mapping[str, Any]
    ) -> tuple[Chart, datetime]:
        """yfinance's own table is for looking at: it merges a live row into the bar before, drops the last minute of a
        coin's day, makes zero of a missing volume. So the bars are read from the chart that it was given."""
        yfinance, session = self._connect()
        until = self._clock.monotonic() + budget
        with (
            self._restraint.admitted(budget),
            session.call(instrument, size, max(0.0, until - self._clock.monotonic())) as call,
        ):
            try:
                ticker = yfinance.Ticker(instrument.symbol, session=session)
                # Without it every first call asks for the time zone, through the cache that keeps errors for good.
                ticker._tz = "UTC" if instrument.is_crypto else "America/New_York"
                if "end" in asked:
                    yfinance.data.YfData.cache_get.cache_clear()
                ticker.history(**asked, auto_adjust=False, actions=False, keepna=True, prepost=False, timeout=budget)
            except DataFault:
                self._restraint.succeeded()
                raise
            except AutoTraderError:
                raise
            except BadChart as error:
                raise self._useless(str(error)) from error
            except Exception as error:
                # Whatever yfinance, pandas or the store of its cookie makes of what they did not expect.
                raise self._useless(f"{type(error).__name__}: {error}"[:120]) from error
            if call.chart is None:
                raise self._useless("a page instead of prices")
            self._restraint.succeeded()
        return call.chart, call.yahoo_time or self._clock.now()

    def _useless(self, what: str) -> Transient:
        return self._restraint.refused(MalformedAnswer, f"gave an answer that cannot be used: {what}", USELESS)

    def _connect(self) -> tuple[Any, YahooSession]:
        with self._lock:
            if self._vendor is None:
                import yfinance
                import yfinance.data

                from core.adapters.yahoo_session import YahooSession

                self._cache_folder.mkdir(parents=True, exist_ok=True)
                yfinance.set_tz_cache_location(str(self._cache_folder))
                yfinance.config.debug.hide_exceptions = False
                # All it has to say arrives as an exception; its log lines would only repeat it.
                logging.getLogger("yfinance").setLevel(logging.CRITICAL)
                # yfinance 1.7 asks to see its own deprecations; pandas 3.1 has many, on every call.
                warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"yfinance(\.|$)")
                make = self._make_session or YahooSession
                self._vendor = (yfinance, make(self._clock.monotonic, self._pacer, self._restraint))
            return self._vendor
