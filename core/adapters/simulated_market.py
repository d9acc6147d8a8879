"""A market that is made up: eight assets that move like the real ones, the same for everybody with the same seed.

Any moment from 2016 to 2035 can be asked for in any order; months are generated when they are needed. Prices never
depend on when or how often they are asked.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from core.adapters.calendars import DAY, ExchangeCalendar
from core.adapters.simulated_days import ASSETS, FIRST_DAY, LAST_DAY, Asset, days_of_all
from core.adapters.simulated_paths import daily_bars, five_minute_bars, hourly_bars, minute_prices
from core.domain.bars import BarSize, Quote
from core.domain.instruments import AssetClass, Instrument, Listing
from core.errors import DataFault, NoBars, UnknownSymbol
from core.series import BarSeries, concatenated, seconds_of, time_of

# Two months of eight assets; a month of coins is half a megabyte.
KEPT_MONTHS = 16


class SimulatedMarket:
    """MarketData and Quotes. Daily, hourly and 5-minute bars; raises DataFault for other sizes and unknown symbols."""

    name = "simulated"

    def __init__(self, seed: int, symbols: Sequence[str], calendar: ExchangeCalendar) -> None:
        for symbol in symbols:
            if symbol not in ASSETS:
                raise DataFault(symbol, f"the simulated market knows only {', '.join(ASSETS)}")
        self.symbols = tuple(symbols)
        self._seed = seed
        self._days = days_of_all(seed, calendar)
        self._daily: dict[str, tuple[int, BarSeries]] = {}
        self._months: OrderedDict[tuple[str, int], BarSeries] = OrderedDict()
        self._lock = threading.RLock()
        self._first = _month_number(datetime.combine(FIRST_DAY, time(), UTC))
        self._last = _month_number(datetime.combine(LAST_DAY, time(), UTC))

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        """At most `count` newest bars closed at or before `end`, ascending."""
        asset = self._asset(instrument.symbol)
        if size is BarSize.M1:
            raise DataFault(asset.symbol, f"the simulated market has no {size} bars")
        with self._lock:
            if size is BarSize.D1:
                return self._daily_until(asset, end).until(end).last(count)
            return self._intraday(asset, size, end, count)

    def reach(self, size: BarSize) -> timedelta | None:
        """Everything there is; no bars of a minute."""
        return timedelta(0) if size is BarSize.M1 else None

    def last(self, instruments: Sequence[Instrument], now: datetime) -> Mapping[str, Quote]:
        """The newest full minute's price at or before `now`; outside sessions the last close."""
        known = [ASSETS[instrument.symbol] for instrument in instruments if instrument.symbol in self.symbols]
        with self._lock:
            quotes = [self._quote(asset, now) for asset in known]
        return {quote.symbol: quote for quote in quotes if quote is not None}

    def listing(self, symbol: str, now: datetime) -> Listing:
        """What stands there at market time `now`. Raises UnknownSymbol."""
        if symbol not in self.symbols:
            raise UnknownSymbol(symbol, f"knows only {', '.join(self.symbols)}: they are made up")
        asset = ASSETS[symbol]
        with self._lock:
            quote = self._quote(asset, now)
        if quote is None:
            raise NoBars(symbol, "the simulated market begins later")
        kind = "simulated coin" if asset.asset_class is AssetClass.CRYPTO else "simulated fund"
        return Listing(symbol, f"{symbol}, made up", kind, "USD", quote.price, quote.at, FIRST_DAY)

    def _asset(self, symbol: str) -> Asset:
        if symbol not in self.symbols:
            raise DataFault(symbol, f"the simulated market has only {', '.join(self.symbols)}")
        return ASSETS[symbol]

    def _quote(self, asset: Asset, now: datetime) -> Quote | None:
        second = seconds_of(now)
        for month in (_month_number(now), _month_number(now) - 1):
            series = self._month(asset, month)
            row = int(series.opened_at.searchsorted(second, side="right")) - 1
            if row < 0:
                continue
            if second >= series.closed_at[row]:
                return Quote(asset.symbol, float(series.close[row]), time_of(series.closed_at[row]))
            minute = (second - int(series.opened_at[row])) // 60
            price = round(minute_prices(self._seed, series, row)[minute], asset.decimals)
            return Quote(asset.symbol, price, time_of(series.opened_at[row] + 60 * minute))
        return None

    def _intraday(self, asset: Asset, size: BarSize, end: datetime, count: int) -> BarSeries:
        parts: list[BarSeries] = []
        missing = count
        for month in range(min(_month_number(end), self._last), self._first - 1, -1):
            series = self._month(asset, month)
            if size is BarSize.H1:
                dates = series.opened_at // DAY
                series = hourly_bars(series, np.flatnonzero(np.diff(dates, prepend=-1)))
            parts.append(series.until(end).last(missing))
            missing -= len(parts[-1])
            if missing <= 0:
                break
        return _concatenated(asset.symbol, size, parts[::-1])

    def _daily_until(self, asset: Asset, end: datetime) -> BarSeries:
        """Daily bars from the first day through at least the month of `end`."""
        month = min(_month_number(end), self._last)
        known, series = self._daily.get(asset.symbol, (self._first - 1, BarSeries.empty(asset.symbol, BarSize.D1)))
        if month <= known:
            return series
        days = self._days[asset.symbol]
        fresh = [
            daily_bars(self._seed, asset, days, self._rows(asset, number), number)
            for number in range(known + 1, month + 1)
        ]
        series = _concatenated(asset.symbol, BarSize.D1, [series, *fresh])
        self._daily[asset.symbol] = (month, series)
        return series

    def _month(self, asset: Asset, month: int) -> BarSeries:
        """The five-minute bars of a month (numbered from year 0); empty outside the market's history."""
        if not self._first <= month <= self._last:
            return BarSeries.empty(asset.symbol, BarSize.M5)
        key = (asset.symbol, month)
        if key not in self._months:
            days = self._days[asset.symbol]
            self._months[key] = five_minute_bars(self._seed, asset, days, self._rows(asset, month), month)
            if len(self._months) > KEPT_MONTHS:
                self._months.popitem(last=False)
        self._months.move_to_end(key)
        return self._months[key]

    def _rows(self, asset: Asset, month: int) -> slice:
        dates = self._days[asset.symbol].date
        low, high = np.searchsorted(dates, [_month_start(month), _month_start(month + 1)])
        return slice(int(low), int(high))


def _month_number(at: datetime) -> int:
    return at.year * 12 + at.month - 1


def _month_start(number: int) -> int:
    return (date(number // 12, number % 12 + 1, 1) - date(1970, 1, 1)).days * DAY


def _concatenated(symbol: str, size: BarSize, parts: Sequence[BarSeries]) -> BarSeries:
    filled = [part for part in parts if len(part)]
    if len(filled) == 1:
        return filled[0]
    if not filled:
        return BarSeries.empty(symbol, size)
    return concatenated(*filled)


@dataclass(frozen=True, slots=True)
class SimulatedLookup:
    """core.ports.SymbolLookup; `now` is market time."""

    market: SimulatedMarket
    now: Callable[[], datetime]

    def look_up(self, symbol: str) -> Listing:
        return self.market.listing(symbol, self.now())
