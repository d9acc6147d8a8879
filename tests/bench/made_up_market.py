"""A market of any number of made-up assets for benchmarks: half stocks with XNYS sessions, half coins that never rest.
Prices are seeded random walks with the volatility of real ones; daily bars of the played days add up from the small."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from core.adapters.calendars import ExchangeCalendar
from core.domain.bars import BarSize
from core.domain.instruments import AssetClass, Instrument, instrument_for
from core.series import BarSeries, Floats, Seconds, time_of

FIRST_PLAYED = date(2026, 3, 9)
DAILY_BARS = 2_000
INTRADAY_BARS = 300
LEAD = timedelta(days=8)
M5, DAY = 300, 86_400
VOLATILITY = {AssetClass.STOCK: (0.010, 0.018), AssetClass.CRYPTO: (0.025, 0.045)}
"""Standard deviation of a day's log return, lowest and highest."""


@dataclass(frozen=True, slots=True, eq=False)
class Asset:
    instrument: Instrument
    daily: BarSeries
    intraday: BarSeries


class MadeUpMarket:
    """`count` assets with bars for the sessions that begin on or after FIRST_PLAYED; the same seed, the same bars."""

    def __init__(self, count: int, sessions: int, calendar: ExchangeCalendar, seed: int = 1) -> None:
        self.calendar = calendar
        last = FIRST_PLAYED + timedelta(days=2 * sessions + 7)
        _, opens, closes = calendar.sessions_between(FIRST_PLAYED, last)
        self._sessions = list(zip(opens[:sessions].tolist(), closes[:sessions].tolist(), strict=True))
        self.start = time_of(self._sessions[0][0])
        """The first session's open: what has closed by then is stored before the first tick."""
        generator = np.random.default_rng(seed)
        symbols = [f"S{number:04d}" if number % 2 else f"C{number:04d}-USD" for number in range(count)]
        grids = {kind: _grid(kind, self._sessions[-1][1], calendar) for kind in AssetClass}
        self.assets = tuple(
            _asset(instrument, grids[instrument.asset_class], generator) for instrument in map(instrument_for, symbols)
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(asset.instrument.symbol for asset in self.assets)

    def ticks(self) -> list[datetime]:
        """Every five minutes of the sessions, from the first bar's close on: each brings each asset a new bar."""
        return [time_of(second) for opened, closed in self._sessions for second in range(opened + M5, closed + M5, M5)]

    def stored_at_first(self) -> list[BarSeries]:
        return [
            part
            for asset in self.assets
            for part in (
                asset.daily.until(self.start).last(DAILY_BARS),
                asset.intraday.until(self.start).last(INTRADAY_BARS),
            )
        ]

    def news(self, after: datetime, until: datetime) -> list[BarSeries]:
        """The bars of all assets closed since."""
        parts = [part for asset in self.assets for part in (asset.daily, asset.intraday)]
        return [fresh for part in parts if len(fresh := part.until(until).after(after))]


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """When the bars of a class open and close, seconds since 1970; `day_of` is the daily bar of each small one."""

    day_opened: Seconds
    day_closed: Seconds
    opened: Seconds
    day_of: np.ndarray


def _grid(kind: AssetClass, end: int, calendar: ExchangeCalendar) -> _Grid:
    first, last = FIRST_PLAYED - timedelta(days=3_000), time_of(end).date()
    if kind is AssetClass.STOCK:
        _, opens, closes = calendar.sessions_between(first, last)
    else:
        opens = np.arange(first.toordinal(), last.toordinal() + 1, dtype=np.int64)
        opens = (opens - date(1970, 1, 1).toordinal()) * DAY
        closes = opens + DAY
    lead = int(np.searchsorted(_ordinals(opens), (FIRST_PLAYED - LEAD).toordinal()))
    small = [np.arange(o, c, M5) for o, c in zip(opens[lead:], closes[lead:], strict=True)]
    day_of = np.repeat(np.arange(lead, len(opens)), [len(part) for part in small])
    return _Grid(opens, closes, np.concatenate(small), day_of)


def _ordinals(seconds: Seconds) -> Seconds:
    """The ordinal of the UTC date of each."""
    return seconds // DAY + date(1970, 1, 1).toordinal()


def _asset(instrument: Instrument, grid: _Grid, generator: np.random.Generator) -> Asset:
    lead = int(grid.day_of[0])
    swing = generator.uniform(*VOLATILITY[instrument.asset_class])
    per_day = len(grid.opened) / (len(grid.day_opened) - lead)
    daily = generator.normal(0.0, swing, lead)
    daily += 0.0003 - daily.mean()
    small = generator.normal(0.0003 / per_day, swing / np.sqrt(per_day), len(grid.opened))
    path = generator.uniform(20, 400) * np.exp(np.cumsum(np.concatenate((daily, small))) - daily.sum())
    intraday = _bars(instrument.symbol, BarSize.M5, grid.opened, grid.opened + M5, path[lead - 1 :], generator)
    old = _bars(instrument.symbol, BarSize.D1, grid.day_opened[1:lead], grid.day_closed[1:lead], path[:lead], generator)
    starts = np.searchsorted(grid.day_of, np.arange(lead, len(grid.day_opened)))
    ends = np.append(starts[1:], len(grid.opened)) - 1
    columns = zip(
        (old.opened_at, old.closed_at, old.open, old.high, old.low, old.close, old.volume),
        (
            grid.day_opened[lead:],
            grid.day_closed[lead:],
            intraday.open[starts],
            np.maximum.reduceat(intraday.high, starts),
            np.minimum.reduceat(intraday.low, starts),
            intraday.close[ends],
            np.add.reduceat(intraday.volume, starts),
        ),
        strict=True,
    )
    return Asset(
        instrument,
        BarSeries(instrument.symbol, BarSize.D1, *(np.concatenate(pair) for pair in columns)),
        intraday,
    )


def _bars(
    symbol: str, size: BarSize, opened: Seconds, closed: Seconds, path: Floats, generator: np.random.Generator
) -> BarSeries:
    """One bar between each two points of `path`, prices in whole cents."""
    path = np.round(path, 2)
    opens, closes = path[:-1], path[1:]
    reach = np.abs(generator.normal(0, 0.0005, len(closes))) * closes
    high = np.round(np.maximum(opens, closes) + reach, 2)
    low = np.round(np.minimum(opens, closes) - reach, 2)
    return BarSeries(symbol, size, opened, closed, opens, high, low, closes, generator.uniform(1e4, 1e6, len(closes)))
