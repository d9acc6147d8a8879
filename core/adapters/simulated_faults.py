"""Faults of the simulated venue, drawn from a seeded generator: for tests and soaks, never in production."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np

Window = tuple[datetime, datetime]
"""From, and until but not at."""


class Fault(StrEnum):
    NONE = "none"
    REJECT = "reject"
    TIMEOUT_BEFORE = "timeout before"
    TIMEOUT_AFTER = "timeout after"
    LATE = "late answer"
    OUTAGE = "outage"


@dataclass(frozen=True, slots=True, eq=False)
class FaultPlan:
    """Rates from 0 to 1 of a call. Reject, time-outs and late answers hit submissions only, an outage hits every call.

    reject: a final no without a cause; timeout_before: no answer and not placed; timeout_after: no answer, yet placed;
    late: no answer, placed, and the venue cannot say so for `late_by`; outage: Transient, nothing happened.

    Besides, a part `delayed` of all accepted orders comes to life up to `most_bars` spans of `bar` later, and within
    `outages` (market time) the venue is out of reach altogether while trading there goes on.
    """

    generator: np.random.Generator
    reject: float = 0.0
    timeout_before: float = 0.0
    timeout_after: float = 0.0
    outage: float = 0.0
    late: float = 0.0
    late_by: timedelta = timedelta(minutes=10)
    delayed: float = 0.0
    bar: timedelta = timedelta(minutes=5)
    most_bars: int = 3
    outages: Sequence[Window] = ()

    def __post_init__(self) -> None:
        rates = (self.reject, self.timeout_before, self.timeout_after, self.outage, self.late)
        if min(rates) < 0 or sum(rates) > 1:
            raise ValueError(f"fault rates must be at least 0 and add up to at most 1, got {rates}")
        if not 0 <= self.delayed <= 1 or self.most_bars < 1:
            raise ValueError(f"from 0 to 1 of the orders can be delayed, by a bar at least, got {self.delayed}")

    def of_submission(self) -> Fault:
        """What befalls the next submission."""
        drawn = float(self.generator.random())
        for fault, rate in (
            (Fault.OUTAGE, self.outage),
            (Fault.REJECT, self.reject),
            (Fault.TIMEOUT_BEFORE, self.timeout_before),
            (Fault.TIMEOUT_AFTER, self.timeout_after),
            (Fault.LATE, self.late),
        ):
            if drawn < rate:
                return fault
            drawn -= rate
        return Fault.NONE

    def of_query(self) -> Fault:
        """What befalls any other call."""
        return Fault.OUTAGE if float(self.generator.random()) < self.outage else Fault.NONE

    def delay(self) -> timedelta | None:
        """How much later than accepted the next order comes to life; None where at once."""
        if not self.delayed or float(self.generator.random()) >= self.delayed:
            return None
        return self.bar * int(self.generator.integers(1, self.most_bars + 1))

    def is_out(self, at: datetime) -> bool:
        """Whether `at` lies in an outage."""
        return any(first <= at < last for first, last in self.outages)


def outage_windows(
    generator: np.random.Generator, first: datetime, last: datetime, count: int, longest: timedelta
) -> tuple[Window, ...]:
    """`count` outages that begin between `first` and `last`, each up to `longest` long, in whole seconds."""
    span, most = int((last - first).total_seconds()), int(longest.total_seconds())
    starts = sorted(int(second) for second in generator.integers(0, span, count))
    lengths = [int(second) for second in generator.integers(1, most + 1, count)]
    return tuple(
        (first + timedelta(seconds=start), first + timedelta(seconds=start + length))
        for start, length in zip(starts, lengths, strict=True)
    )


class Door:
    """What stands between a caller and the venue: passes calls on, or makes them fail as the plan says."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._silent_until: dict[str, datetime] = {}

    def at_submission(self, now: datetime) -> Fault:
        return Fault.OUTAGE if self._plan.is_out(now) else self._plan.of_submission()

    def is_closed(self, now: datetime) -> bool:
        """Whether a call that asks or cancels fails."""
        return self._plan.is_out(now) or self._plan.of_query() is Fault.OUTAGE

    def live_at(self, now: datetime) -> datetime | None:
        """When an order accepted now comes to life; None where at once."""
        delay = self._plan.delay()
        return None if delay is None else now + delay

    def hush(self, client_order_id: str, now: datetime) -> None:
        """The venue cannot say for a while whether it has the order."""
        self._silent_until[client_order_id] = now + self._plan.late_by

    def is_hushed(self, client_order_id: str | None, now: datetime) -> bool:
        until = self._silent_until.get(client_order_id or "")
        return until is not None and now < until
