"""Bars: open, high, low, close and volume of one instrument over one span of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class BarSize(StrEnum):
    M1 = "1m"
    M5 = "5m"
    H1 = "1h"
    D1 = "1d"

    @property
    def span(self) -> timedelta:
        """Nominal length; a session may cut a bar short (see the calendar)."""
        return _SPANS[self]

    @property
    def is_intraday(self) -> bool:
        return self is not BarSize.D1


_SPANS = {
    BarSize.M1: timedelta(minutes=1),
    BarSize.M5: timedelta(minutes=5),
    BarSize.H1: timedelta(hours=1),
    BarSize.D1: timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar. Stamped by its close; prices in USD; times aware UTC. Prices are measurements, hence floats."""

    symbol: str
    size: BarSize
    opened_at: datetime
    closed_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class Quote:
    """The last known price of an instrument and when the market made it."""

    symbol: str
    price: float
    at: datetime
