"""The table of jobs: name, rule, deadline, what it runs. One table serves live, replay and tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from core.ports import Calendar

Rule = Callable[[datetime], datetime]


class Timebase(StrEnum):
    """MARKET: due by the market clock, which may be simulated. SYSTEM: by real time."""

    MARKET = "market"
    SYSTEM = "system"


class JobSkipped(Exception):
    """There was nothing to do; the text says why, for the record."""


@dataclass(frozen=True, slots=True)
class Job:
    """`rule` gives the first due time strictly after a given one. `deadline` in real seconds.

    `rank` orders jobs due at the same instant. `idle` says that a run due then could change nothing: the virtual
    driver skips it. `recorded` runs leave a row in the ledger; runs that are `is_news` a line in the ordinary log.
    """

    name: str
    rule: Rule
    timebase: Timebase
    deadline: float
    rank: int
    run: Callable[[datetime], str]
    idle: Callable[[datetime], bool] = lambda _due: False
    recorded: bool = True
    is_news: bool = True


def every(period: timedelta, offset: timedelta = timedelta(0)) -> Rule:
    """Due at whole multiples of `period` since 1970-01-01T00:00Z, plus `offset`."""
    start = datetime(1970, 1, 1, tzinfo=UTC) + offset

    def rule(after: datetime) -> datetime:
        return start + ((after - start) // period + 1) * period

    return rule


def at_day_end(calendar: Calendar) -> Rule:
    """Due when a trading day ends: XNYS close + 15 minutes, or 24:00Z on days without a session."""
    return calendar.day_end


TICK_PERIOD = timedelta(minutes=5)
GUARD_PERIOD = timedelta(minutes=1)
RETRAIN_PERIOD = timedelta(hours=1)
