"""A bench over a venue that a test steers, for what guards positions: bought, watched each minute, left by a death."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from core.execution.watch import guard
from tests.builders import Bench, an_entry
from tests.fakes_chaos import ChaosVenue

MINUTE = timedelta(minutes=1)
TEN = Decimal(10)
HUNDRED = Decimal(100)
V = TypeVar("V", bound=ChaosVenue)


class Death(Exception):
    """The process ends here."""


def a_stage_over(folder: Path, venue: V, **settings: Any) -> tuple[Bench, V]:
    """A started bench whose broker is `venue`, on one clock with it."""
    bench = Bench(folder, wrap=lambda _real: venue, **settings)
    venue.clock = bench.clock
    return bench.start(), venue


def hold(bench: Bench, venue: ChaosVenue, units: Decimal = TEN, **changes: Any) -> str:
    """Orders ten units; the venue fills `units` of them. Returns the order's id."""
    entry = an_entry(bench, **changes)
    bench.place(entry)
    venue.fill(entry.client_order_id, units, HUNDRED)
    bench.reconcile()
    return entry.client_order_id


def watch(bench: Bench, minutes: int = 1) -> str:
    """What the guard of the last of so many minutes did."""
    said = ""
    for _ in range(minutes):
        bench.clock.advance(MINUTE)
        bench.system.advance(MINUTE)
        said = guard(bench.desk, bench.clock.now())
    return said
