"""Word of trades and looks of the minute, in any order, doubled, dropped, too early, cut off by a kill: each fill is
booked once and told once, whichever way it came to be seen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.clock import VirtualClock
from core.domain.events import OrderFilled
from core.domain.portfolio import Fill
from core.execution.watch import guard
from tests.builders import MONDAY, Bench, an_entry
from tests.fakes_chaos import ChaosVenue
from tests.ledger_builders import one_engine_a_file

UNITS = 10


class Killed(BaseException):
    """The process is gone: nothing in the product catches it."""


class Play:
    """A venue that fills an order of ten bit by bit, and an engine that looks when it is told to or when a minute is
    over. `asked` is what the thread of looks remembers of the stream's words."""

    def __init__(self, folder: Path) -> None:
        self.dies_after: int | None = None
        self.asked = False
        self.venue = ChaosVenue(VirtualClock(MONDAY), lambda _symbol: Decimal(100))
        self.bench = Bench(folder, wrap=lambda _real: self.venue, checkpoint=self._at)
        self.venue.clock = self.bench.clock
        self.bench.start()
        self.entry = an_entry(self.bench)
        self.bench.place(self.entry)
        self.left = UNITS

    def _at(self, _name: str) -> None:
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                self.dies_after = None
                raise Killed

    def fills(self, units: int, word: str) -> None:
        """The venue fills some; the stream tells of it, or does not, or did so before anybody could see the fill."""
        units = min(units, self.left)
        if word == "early":
            self.word()
            self.thread()
        if units:
            self.left -= units
            self.venue.fill(self.entry.client_order_id, Decimal(units), Decimal(100))
        if word == "told":
            self.word()

    def word(self) -> None:
        self.asked = True

    def thread(self) -> None:
        """The thread of looks has its turn."""
        if self.asked:
            self.asked = False
            self.look()

    def minute(self) -> None:
        self.bench.clock.advance(timedelta(minutes=1))
        self.bench.system.advance(timedelta(minutes=1))
        self.look()

    def look(self) -> None:
        try:
            guard(self.bench.desk, self.bench.clock.now())
        except Killed:
            self.bench.restart()
            # Each new connection asks for a look: what came meanwhile is not told again.
            self.asked = True

    def dies(self, after: int) -> None:
        self.dies_after = after

    def faults(self, doubled: bool, reversed_: bool, late: bool) -> None:
        self.venue.doubles_fills, self.venue.reverses_fills, self.venue.withholds_newest = doubled, reversed_, late


FLAG = st.booleans()
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fills"), st.integers(1, 4), st.sampled_from(["told", "dropped", "early"])),
        st.tuples(st.sampled_from(["word", "thread", "minute"])),
        st.tuples(st.just("dies"), st.integers(0, 12)),
        st.tuples(st.just("faults"), FLAG, FLAG, FLAG),
    ),
    min_size=4,
    max_size=16,
)


@pytest.mark.feature("S10")
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_each_fill_is_booked_and_told_once_whatever_arrives_twice_late_or_not_at_all(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    with tempfile.TemporaryDirectory() as folder, one_engine_a_file():
        play = Play(Path(folder))
        for name, *arguments in steps:
            deed: Callable[..., None] = getattr(play, name)
            deed(*arguments)
        play.dies_after = None
        play.faults(False, False, False)
        play.thread()
        play.minute()
        play.minute()
        bench, venue = play.bench, play.venue
        booked = [entry.id for entry in bench.read(lambda work: list(work.entries("simulated"))) if type(entry) is Fill]
        assert sorted(booked) == sorted(fill.id for fill in venue.fills)
        portfolio = bench.read(lambda work: work.portfolio("simulated"))
        assert (portfolio.cash, portfolio.quantity(play.entry.symbol)) == (venue.cash, UNITS - play.left)
        assert sum(event.quantity for event in bench.events(OrderFilled)) == UNITS - play.left
        bench.close()
