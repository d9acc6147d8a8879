"""Word of trades and looks of the minute, in any order, doubled, dropped, too early, cut off by a kill: each fill is
booked once and told once, whichever way it came to be seen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.adapters.alpaca_broker import AlpacaBroker
from core.adapters.simulated_broker import SimulatedBroker
from core.clock import VirtualClock
from core.domain.events import OrderFilled
from core.domain.portfolio import Fill
from core.execution.watch import guard
from tests.alpaca_broker_stand import Watch, broker_at
from tests.builders import COIN, MONDAY, Bench, an_entry
from tests.fakes_chaos import ChaosVenue
from tests.servers.alpaca_trading_server import AlpacaTradingServer

UNITS = 10


class Killed(BaseException):
    """The process is gone: nothing in the product catches it."""


class Play:
    """A venue that fills an order of ten bit by bit, and an engine that looks when it is told to or when a minute is
    over. `asked` is what the thread of looks remembers of the stream's words."""

    def __init__(self, folder: Path) -> None:
        self.dies_after: int | None = None
        self.asked = False
        self.bench = self._opened(folder).start()
        self.entry = an_entry(self.bench)
        self.bench.place(self.entry)
        self.left = UNITS

    def _opened(self, folder: Path) -> Bench:
        self.venue = ChaosVenue(VirtualClock(MONDAY), lambda _symbol: Decimal(100))
        bench = Bench(folder, wrap=lambda _real: self.venue, checkpoint=self._at)
        self.venue.clock = bench.clock
        return bench

    def _fill(self, units: int) -> None:
        self.venue.fill(self.entry.client_order_id, Decimal(units), Decimal(100))

    def at_venue(self) -> tuple[list[str], Decimal, Decimal]:
        """The ids of its fills, its cash, and what is held there."""
        held = self.venue.positions.get(COIN, Decimal(0))
        return sorted(fill.id for fill in self.venue.fills), self.venue.cash, held

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
            self._fill(units)
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


class AtAlpaca(Play):
    """The same with the real adapter before a loopback Alpaca, whose answers get lost."""

    def __init__(self, folder: Path, server: AlpacaTradingServer) -> None:
        self.server = server
        super().__init__(folder)

    def _opened(self, folder: Path) -> Bench:
        bench = Bench(folder, wrap=self._broker, checkpoint=self._at)
        self.server.now = bench.clock.now
        self.server.reset_account()
        self.server.set_price("BTC/USD", 100)
        self.server.venue.habits.frozen.add("BTC/USD")
        bench.clock.advance(timedelta(minutes=1))
        return bench

    def _broker(self, real: SimulatedBroker) -> AlpacaBroker:
        return broker_at(self.server.address, real.account, Watch(self._now))

    def _now(self) -> datetime:
        return self.server.now()

    def _fill(self, units: int) -> None:
        self.server.fill(self.entry.client_order_id, units, 100)

    def at_venue(self) -> tuple[list[str], Decimal, Decimal]:
        venue = self.bench.desk.brokers["simulated"]
        state = venue.state()
        fills = venue.fills_since(MONDAY)
        return sorted(fill.id for fill in fills), state.cash, state.positions.get(COIN, Decimal(0))

    def faults(self, doubled: bool, reversed_: bool, late: bool) -> None:
        broken = {"/activities": doubled, "/v2/orders": reversed_, "/v2/positions": late}
        self.server.faults.clear()
        for path, is_broken in broken.items():
            if is_broken:
                self.server.faults.once[path] += ["502", "reset"]


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


def plays(play: Play, steps: list[tuple]) -> None:  # type: ignore[type-arg]
    """Steps in their order, two quiet minutes, and then everything is where it belongs."""
    for name, *arguments in steps:
        deed: Callable[..., None] = getattr(play, name)
        deed(*arguments)
    play.dies_after = None
    play.faults(False, False, False)
    play.thread()
    play.minute()
    play.minute()
    bench = play.bench
    booked = [entry.id for entry in bench.read(lambda work: list(work.entries("simulated"))) if type(entry) is Fill]
    portfolio = bench.read(lambda work: work.portfolio("simulated"))
    assert (sorted(booked), portfolio.cash, portfolio.quantity(COIN)) == play.at_venue()
    assert sum(event.quantity for event in bench.events(OrderFilled)) == UNITS - play.left
    bench.close()


@pytest.mark.feature("S10")
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_each_fill_is_booked_and_told_once_whatever_arrives_twice_late_or_not_at_all(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    with tempfile.TemporaryDirectory() as folder:
        plays(Play(Path(folder)), steps)


@pytest.mark.long
@pytest.mark.feature("S10")
def test_each_fill_at_alpaca_is_booked_and_told_once_whatever_gets_lost() -> None:
    with AlpacaTradingServer(lambda: MONDAY) as server:

        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        @given(STEPS)
        def at_alpaca(steps: list[tuple]) -> None:  # type: ignore[type-arg]
            server.faults.clear()
            with tempfile.TemporaryDirectory() as folder:
                plays(AtAlpaca(Path(folder), server), steps)

        at_alpaca()
