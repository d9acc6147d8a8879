"""What Yahoo lets one ask for: how far back at each bar size, how much in one call, and how many calls that makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from core.domain.bars import BarSize

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


@dataclass(frozen=True, slots=True)
class Span:
    """One call: from `start` to `end`, which is None where it reaches to now. Aware UTC."""

    start: datetime
    end: datetime | None


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
