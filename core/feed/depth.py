"""How many bars there are to a span of time, and when the first, the newest and the next one open and close."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType

from core.domain.bars import BarSize
from core.domain.instruments import AssetClass, Instrument
from core.feed.gaps import expected_closes
from core.ports import Calendar
from core.series import Seconds, seconds_of, time_of

SESSION = timedelta(hours=6, minutes=30)
DAYS_PER_SESSION = 365.25 / 252

# How far back the first collection reaches: about 3,000 daily bars of a stock, and what Yahoo keeps of 5 minutes.
DEPTH: Mapping[BarSize, timedelta] = MappingProxyType(
    {
        BarSize.M1: timedelta(days=7),
        BarSize.M5: timedelta(days=60),
        BarSize.H1: timedelta(days=700),
        BarSize.D1: timedelta(days=4_350),
    }
)
MOST_DAILY_BARS = 3_000
DAY = timedelta(days=1)


def bars_in(instrument: Instrument, size: BarSize, span: timedelta) -> int:
    """About how many bars of the instrument fall into `span`."""
    if not size.is_intraday:
        days = span / timedelta(days=1)
        return min(MOST_DAILY_BARS, math.ceil(days if instrument.is_crypto else days / DAYS_PER_SESSION))
    if instrument.is_crypto:
        return math.ceil(span / size.span)
    return math.ceil(span / timedelta(days=DAYS_PER_SESSION) * math.ceil(SESSION / size.span))


def next_bar_close(calendar: Calendar, instrument: Instrument, size: BarSize, newest: datetime) -> datetime:
    """When the bar after the one closed at `newest` closes."""
    asset_class = instrument.asset_class
    if not size.is_intraday:
        return calendar.next_close(asset_class, newest)
    return calendar.bar_close(asset_class, size, calendar.next_open(asset_class, newest))


def wanted_closes(
    calendar: Calendar, instrument: Instrument, size: BarSize, depth: Mapping[BarSize, timedelta], until: int
) -> Seconds:
    """When the bars close, in seconds, that a series should hold which ends at `until`, ascending."""
    after = until - int(depth[size].total_seconds())
    closes = expected_closes(calendar, instrument.asset_class, size, after, until)
    return closes[-bars_in(instrument, size, depth[size]) :]


def newest_close(calendar: Calendar, instrument: Instrument, size: BarSize, at: datetime) -> datetime:
    """When the newest bar that can be closed at `at` closed."""
    asset_class, span = instrument.asset_class, int(size.span.total_seconds())
    if asset_class is AssetClass.CRYPTO:
        return time_of(seconds_of(at) // span * span)
    day = calendar.session_of(asset_class, at)
    while True:
        bounds = calendar.session_bounds(asset_class, day)
        closed = _closed(bounds, size, at) if bounds is not None else 0
        if bounds is not None and closed:
            return min(bounds[1], bounds[0] + closed * size.span) if size.is_intraday else bounds[1]
        day -= DAY


def first_open(
    calendar: Calendar, instrument: Instrument, size: BarSize, end: datetime, count: int, floor: datetime
) -> datetime:
    """When the oldest of the `count` newest bars closed by `end` opens, where the market made them all; `floor` where
    that is earlier. Of a daily bar it is midnight before its session, by which vendors name it."""
    asset_class = instrument.asset_class
    if asset_class is AssetClass.CRYPTO:
        span = int(size.span.total_seconds())
        return max(floor, time_of(max(0, seconds_of(end) // span - count) * span))
    day = calendar.session_of(asset_class, end)
    missing = count
    while day >= floor.date():
        bounds = calendar.session_bounds(asset_class, day)
        closed = _closed(bounds, size, end) if bounds is not None else 0
        if bounds is not None and closed >= missing:
            opened = bounds[0] + (closed - missing) * size.span if size.is_intraday else _midnight(day)
            return max(floor, opened)
        missing -= closed
        day -= DAY
    return floor


def _closed(bounds: tuple[datetime, datetime], size: BarSize, end: datetime) -> int:
    """How many bars of a session are closed by `end`."""
    opened, closes = bounds
    if closes <= end:
        return 1 if not size.is_intraday else -((opened - closes) // size.span)
    return max(0, (end - opened) // size.span) if size.is_intraday else 0


def _midnight(day: date) -> datetime:
    return time_of((day.toordinal() - date(1970, 1, 1).toordinal()) * 86_400)
