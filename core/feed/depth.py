"""How many bars there are to a span of time, and when the next one closes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.feed.gaps import expected_closes
from core.ports import Calendar
from core.series import Seconds

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
