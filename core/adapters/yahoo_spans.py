"""What Yahoo lets one ask for: how far back at each bar size, how much in one call, and how many calls that makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType

from core.domain.bars import BarSize
from core.domain.instruments import AssetClass, Instrument
from core.ports import Calendar
from core.series import seconds_of, time_of

# A day inside what Yahoo's own refusals name: 30, 60 and 730 days (whole ones are refused). Days without limit.
REACH = MappingProxyType(
    {
        BarSize.M1: timedelta(days=29),
        BarSize.M5: timedelta(days=59),
        BarSize.H1: timedelta(days=729),
        BarSize.D1: timedelta(days=18_000),
    }
)
# "Only 7 days worth of 1m granularity data are allowed to be fetched per request"; lately 8.
MOST_PER_CALL = MappingProxyType({BarSize.M1: timedelta(days=7)})
# yfinance keeps answers about spans that ended half an hour ago for the life of the process.
SETTLED = timedelta(minutes=30)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """One call: from `start` to `end`, which is None where it reaches to now. Aware UTC."""

    start: datetime
    end: datetime | None


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


def spans(size: BarSize, start: datetime, end: datetime, now: datetime) -> Sequence[Span]:
    """The fewest calls that bring all bars opened at or after `start` and closed by `end`, which is a bar's close, as
    far as Yahoo keeps them, ascending; none where it keeps nothing of it."""
    # On the full minute, so that no bar lies across the border of two calls.
    start = max(start, (now - REACH[size]).replace(second=0, microsecond=0) + timedelta(minutes=1))
    if start >= end:
        return ()
    step = MOST_PER_CALL.get(size)
    found = []
    while step is not None and end - start > step:
        found.append(Span(start, start + step))
        start += step
    found.append(Span(start, None if end > now - SETTLED else end))
    return found


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
