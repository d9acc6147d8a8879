"""Yahoo's prices through yfinance: one symbol a call, paced, with every failure told apart.

Written against yfinance 1.7: `download()` hides failures, so `Ticker.history` is asked with exceptions on; ranges that
end in the past are answered from a cache in the process, errors included, so only the start is ever given; the last row
may be a live one. Raw prices (`auto_adjust=False`) are split-adjusted by Yahoo and not adjusted for dividends.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from core.adapters.calendars import DAY, NO_CLOSE, ExchangeCalendar
from core.domain.bars import BarSize, Quote
from core.domain.instruments import AssetClass, Instrument, instrument_for
from core.errors import AutoTraderError, DataFault, Transient
from core.series import BarSeries, seconds_of, time_of

if TYPE_CHECKING:
    from core.adapters.yahoo_session import DeadlineSession

# How far back Yahoo lets one ask at each size, a day inside its own limit.
REACH = {BarSize.M1: timedelta(days=7), BarSize.M5: timedelta(days=59), BarSize.H1: timedelta(days=729)}
SESSION_MINUTES = 390
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=16)
PROBE = "SPY"


class RealClock(Protocol):
    """What core.clock.SystemClock offers."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class Pace:
    """Keeps calls of all threads at least `spacing` seconds apart, first come, first served."""

    def __init__(self, spacing: float, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._spacing = spacing
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = -math.inf

    def wait(self) -> None:
        with self._lock:
            now = self._monotonic()
            turn = max(now, self._free_at)
            self._free_at = turn + self._spacing
        if turn > now:
            self._sleep(turn - now)


class YahooData:
    """MarketData and Quotes. A call takes at most `budget` seconds and asks for one symbol; safe to use from threads.

    `cache_folder` is where yfinance keeps its cookie. After a rate limit no call is made until the pause is over; it
    doubles with each further one.
    """

    name = "yahoo"

    def __init__(
        self,
        calendar: ExchangeCalendar,
        clock: RealClock,
        sleep: Callable[[float], None],
        cache_folder: Path,
        *,
        budget: float = 20.0,
        spacing: float = 0.4,
        session: Callable[[Callable[[], float]], DeadlineSession] | None = None,
    ) -> None:
        self._calendar = calendar
        self._clock = clock
        self._pace = Pace(spacing, clock.monotonic, sleep)
        self._cache_folder = cache_folder
        self._budget = budget
        self._make_session = session
        self._vendor: tuple[Any, DeadlineSession] | None = None
        self._lock = threading.Lock()
        self._pause = FIRST_PAUSE
        self._resume_at: datetime | None = None

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        """At most `count` newest bars closed at or before `end` (and now), ascending, as Yahoo gives them: values may
        be NaN. Raises DataFault (unknown symbol, no prices) and Transient (rate limit, unreachable, malformed)."""
        now = self._clock.now()
        start = max(end - _reach_of(instrument, size, count), now - REACH.get(size, timedelta(days=36_500)))
        if start >= end:
            return BarSeries.empty(instrument.symbol, size)
        table, _ = self._ask(instrument, self._budget, start=int(start.timestamp()), interval=str(size))
        return self._series(instrument, size, table).until(min(end, now)).last(count)

    def reach(self, size: BarSize) -> timedelta | None:
        """Yahoo's own limits; daily bars reach back to the first."""
        return REACH.get(size)

    def last(self, instruments: Sequence[Instrument], now: datetime) -> Mapping[str, Quote]:
        """The newest trade's price of each instrument that has one. Raises Transient when none could be asked."""
        quotes: dict[str, Quote] = {}
        failed: Transient | None = None
        for instrument in instruments:
            try:
                _, facts = self._ask(instrument, self._budget, period="1d", interval="1d")
            except DataFault:
                continue
            except Transient as error:
                failed = error
                continue
            price, traded = facts.get("regularMarketPrice"), facts.get("regularMarketTime")
            if isinstance(price, int | float) and math.isfinite(price) and price > 0 and traded is not None:
                quotes[instrument.symbol] = Quote(instrument.symbol, float(price), min(_utc(traded), now))
        if failed is not None and not quotes:
            raise failed
        return quotes

    def reachable(self, deadline: float) -> bool:
        """Whether Yahoo gives prices now; answers within `deadline` seconds."""
        try:
            table, _ = self._ask(instrument_for(PROBE), deadline, period="5d", interval="1d")
        except AutoTraderError:
            return False
        return len(table) > 0

    def _ask(self, instrument: Instrument, budget: float, **asked: Any) -> tuple[Any, Mapping[str, Any]]:
        """A table of prices and what Yahoo says about the symbol."""
        self._respect_pause()
        yfinance, session = self._connect()
        self._pace.wait()
        try:
            with session.within(budget):
                ticker = yfinance.Ticker(instrument.symbol, session=session)
                # Without it every first call asks for the time zone, through the cache that keeps errors for good.
                ticker._tz = "UTC" if instrument.asset_class is AssetClass.CRYPTO else "America/New_York"
                table = ticker.history(
                    **asked, auto_adjust=False, actions=False, keepna=True, prepost=False, timeout=budget
                )
                facts = ticker.history_metadata
        except (yfinance.exceptions.YFException, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise self._mapped(instrument.symbol, error) from error
        with self._lock:
            self._pause, self._resume_at = FIRST_PAUSE, None
        return table, facts

    def _connect(self) -> tuple[Any, DeadlineSession]:
        with self._lock:
            if self._vendor is None:
                import yfinance
                import yfinance.exceptions

                from core.adapters.yahoo_session import DeadlineSession

                self._cache_folder.mkdir(parents=True, exist_ok=True)
                yfinance.set_tz_cache_location(str(self._cache_folder))
                yfinance.config.debug.hide_exceptions = False
                # yfinance 1.7 asks to see its own deprecations; pandas 3.1 has many, on every call.
                warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"yfinance(\.|$)")
                make = self._make_session or DeadlineSession
                self._vendor = (yfinance, make(self._clock.monotonic))
            return self._vendor

    def _respect_pause(self) -> None:
        resume_at = self._resume_at
        if resume_at is not None and self._clock.now() < resume_at:
            raise Transient(f"Yahoo asked us to slow down; next try at {resume_at:%H:%M:%SZ}", resume_at)

    def _mapped(self, symbol: str, error: Exception) -> AutoTraderError:
        """Our name for yfinance's or curl's exception."""
        from yfinance.exceptions import YFRateLimitError, YFTickerMissingError

        if isinstance(error, YFRateLimitError):
            with self._lock:
                self._resume_at = self._clock.now() + self._pause
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return Transient("Yahoo refuses for now: too many requests", self._resume_at)
        if isinstance(error, YFTickerMissingError):
            return DataFault(symbol, f"Yahoo has no prices: {error.rationale}")
        return Transient(f"Yahoo gave no usable answer for {symbol}: {type(error).__name__}: {error}")

    def _series(self, instrument: Instrument, size: BarSize, table: Any) -> BarSeries:
        """Rows on the grid of their session; live rows between two bars and rows outside sessions are left out."""
        index = table.index if size.is_intraday else table.index.tz_localize(None)
        labels = index.as_unit("s").asi8.astype(np.int64)
        closes = self._calendar.bar_closes(instrument.asset_class, size, labels)
        kept = closes != NO_CLOSE
        if size.is_intraday:
            kept &= self._on_grid(instrument.asset_class, size, labels)
        opened = self._calendar.bar_opens(instrument.asset_class, size, labels[kept])
        columns = (table[name].to_numpy(np.float64)[kept] for name in ("Open", "High", "Low", "Close", "Volume"))
        return BarSeries(instrument.symbol, size, opened, closes[kept], *columns)

    def _on_grid(self, asset_class: AssetClass, size: BarSize, opened: Any) -> Any:
        span = int(size.span.total_seconds())
        if asset_class is AssetClass.CRYPTO:
            return opened % span == 0
        session_opens = self._calendar.bar_opens(asset_class, BarSize.D1, opened // DAY * DAY)
        return (opened - session_opens) % span == 0


def _reach_of(instrument: Instrument, size: BarSize, count: int) -> timedelta:
    """A span of time that surely holds `count` bars, where the market made them: weekends and holidays included."""
    if instrument.is_crypto:
        return (count + 1) * size.span
    a_day = 1 if not size.is_intraday else max(1, SESSION_MINUTES // int(size.span.total_seconds() // 60))
    return timedelta(days=7 * (count // a_day + 1) / 5 * 1.04 + 7)


def _utc(stamp: Any) -> datetime:
    """A pandas time with zone, to the second."""
    return time_of(seconds_of(stamp))
