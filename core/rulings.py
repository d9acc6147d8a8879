"""The one table of when (DESIGN 8): per asset class when entries are decided, which bars are visible, when an order
can fill at the earliest, and in which unit a horizon counts. Live and replay ask the same functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from core.domain.bars import BarSize
from core.domain.instruments import AssetClass
from core.ports import Calendar
from core.series import BarSeries


class DecisionTime(StrEnum):
    """From bars of 5 minutes: IN_SESSION while the exchange is open, ALWAYS at any tick. From daily bars: at or after
    the bar's close, for the next open."""

    IN_SESSION = "in session"
    ALWAYS = "always"


class Visible(StrEnum):
    CLOSED = "bars closed at or before the decision"


class EarliestFill(StrEnum):
    """The open of the first bar that opens at or after the decision; for stocks never outside a session."""

    NEXT_BAR_IN_SESSION = "next bar's open in a session"
    NEXT_BAR = "next bar's open"


class HorizonUnit(StrEnum):
    SESSIONS = "sessions"
    DAYS = "days"


@dataclass(frozen=True, slots=True)
class Ruling:
    """`prepares_for` is how long before the open a session is prepared (stocks: 9:00-9:30 New York)."""

    decision_time: DecisionTime
    visible: Visible
    earliest_fill: EarliestFill
    horizon_unit: HorizonUnit
    prepares_for: timedelta


RULINGS: Mapping[AssetClass, Ruling] = MappingProxyType(
    {
        AssetClass.STOCK: Ruling(
            DecisionTime.IN_SESSION,
            Visible.CLOSED,
            EarliestFill.NEXT_BAR_IN_SESSION,
            HorizonUnit.SESSIONS,
            timedelta(minutes=30),
        ),
        AssetClass.CRYPTO: Ruling(
            DecisionTime.ALWAYS, Visible.CLOSED, EarliestFill.NEXT_BAR, HorizonUnit.DAYS, timedelta(0)
        ),
    }
)


def decides_entries(calendar: Calendar, asset_class: AssetClass, size: BarSize, at: datetime) -> bool:
    """Whether entries of the class are decided at `at` from confirmation bars of `size`.

    A decision from a daily bar may fall after the close: it queues for the next open. One from intraday bars may not.
    """
    if RULINGS[asset_class].decision_time is DecisionTime.ALWAYS or not size.is_intraday:
        return True
    return calendar.is_open(asset_class, at)


def prepares(calendar: Calendar, asset_class: AssetClass, at: datetime) -> bool:
    """Whether a session is being prepared: data and health are looked after, entries not yet decided."""
    lead = RULINGS[asset_class].prepares_for
    return not calendar.is_open(asset_class, at) and calendar.next_open(asset_class, at) - at <= lead


def visible(series: BarSeries, at: datetime) -> BarSeries:
    """The bars a decision at `at` may look at."""
    return series.until(at)


def earliest_fill(calendar: Calendar, asset_class: AssetClass, decided_at: datetime) -> datetime:
    """The first moment at which an order decided then can fill."""
    return calendar.next_open(asset_class, decided_at)


def horizon_end(calendar: Calendar, asset_class: AssetClass, bar_closed_at: datetime, steps: int) -> datetime:
    """The close of the `steps`-th daily bar after the one closed then: sessions for stocks, days for coins."""
    end = bar_closed_at
    for _ in range(steps):
        end = calendar.next_close(asset_class, end)
    return end
