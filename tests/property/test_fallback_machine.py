"""Whatever becomes of a broker, and whenever the process dies: no change is told twice, nothing is sent to an account
that has failed us, the owner's own account spends what he declared and no more, and nobody is asked to sell at another
broker (S11, DESIGN 8)."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.events import BrokerFellBack, BrokerReturned, BrokerTroubled, InstructionIssued
from core.domain.orders import Side
from core.domain.portfolio import Fill
from core.domain.venue import OrderRequest, Resting
from core.errors import AccessRefused, MalformedAnswer, RateLimited, Transient, Unreachable
from core.execution.venue_state import state_of
from tests.unit.test_fallback import Broken

DECLARED = Decimal(3000)
ERRORS: dict[str, Transient | None] = {
    "well": None,
    "keys": AccessRefused("401"),
    "down": Unreachable("timed out"),
    "busy": RateLimited("429"),
    "garbled": MalformedAnswer("HTML"),
}
NEWS = (BrokerTroubled, BrokerFellBack, BrokerReturned)


class Killed(BaseException):
    """The process is gone at this very place."""


@dataclass(frozen=True)
class Step:
    """So many minutes of a broker in that state, a price move, a tap on every open card, and perhaps a death at the
    so-manieth checkpoint of it."""

    state: str
    blocked: bool
    minutes: int
    price: int
    tick: bool
    tap: str
    dies_at: int


STEPS = st.builds(
    Step,
    st.sampled_from([*ERRORS, "well", "keys"]),
    st.sampled_from([False, False, False, True]),
    st.integers(1, 12),
    st.integers(88, 120),
    st.booleans(),
    st.sampled_from(["", "take", "drop"]),
    st.integers(0, 60),
)


class Life(Broken):
    """A bench that dies at a checkpoint, and checks each request as it is sent."""

    def __init__(self, folder: Path, rests: Resting) -> None:
        self.left, self.rests = 0, rests
        super().__init__(folder, checkpoint=self._count)

    def open(self) -> None:
        super().open()
        self.door.watch = self._watch
        self.door.resting = lambda symbol, quantity: self.rests

    def _count(self, _: str) -> None:
        if self.left:
            self.left -= 1
            if not self.left:
                raise Killed

    def _watch(self, request: OrderRequest) -> None:
        assert not self.read(lambda work: state_of(work, "simulated")).is_fallen, request

    def play(self, step: Step) -> None:
        self.door.error = ERRORS[step.state]
        self.door.told = {"restrictions": ("blocked",)} if step.blocked else {}
        self.left = step.dies_at
        try:
            self._live(step)
        except Killed:
            self.left = 0
            self.restart()
            self.minutes(1)
        self.left = 0

    def _live(self, step: Step) -> None:
        self.bar(float(step.price))
        if step.tick:
            self.tick()
        self.minutes(step.minutes)
        for card in self.owner.pending() if step.tap else ():
            deed = self.owner.execute if step.tap == "take" else self.owner.skip
            deed(card.number, card.version, f"{step.tap} {card.number} {card.version}")

    def check(self) -> None:
        book = self.read(lambda work: work.portfolio("manual"))
        assert book.cash >= 0 and book.net_deposits == DECLARED
        for card in self.events(InstructionIssued):
            assert card.account == "manual" or card.side is Side.SELL, card
            held = {fill.account for fill in self._bought() if fill.symbol == card.symbol}
            assert card.side is Side.BUY or card.account in held, card
        self._check_news()

    def _bought(self) -> list[Fill]:
        entries = self.read(lambda work: list(work.entries()))
        return [entry for entry in entries if isinstance(entry, Fill) and entry.side is Side.BUY]

    def _check_news(self) -> None:
        rows = sorted(self.read(lambda work: work.messages(limit=10_000)), key=lambda row: row.id)
        told, fallen = set[str](), False
        for event in (row.event for row in rows if isinstance(row.event, NEWS)):
            if isinstance(event, BrokerReturned):
                assert told and (event.fell_at is not None) is fallen
                told, fallen = set(), False
            elif isinstance(event, BrokerFellBack):
                assert not fallen
                told, fallen = told | {event.says}, True
            else:
                assert event.says not in told
                told.add(event.says)


def live(steps: list[Step], rests: Resting) -> None:
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder), rests)
        try:
            life.start()
            life.declare_cash(str(DECLARED))
            for step in steps:
                life.play(step)
                life.check()
            life.door.error, life.door.told = None, {}
            life.minutes(3)
            life.check()
            assert not life.read(lambda work: state_of(work, "simulated")).is_fallen
            assert life.read(life.desk.mode) is life.read(life.desk.chosen_mode)
        finally:
            life.close()


@pytest.mark.feature("S11")
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=3, max_size=6), st.sampled_from([Resting.PAIR, Resting.NOTHING]))
def test_outages_refusals_returns_and_kills_in_any_order(steps: list[Step], rests: Resting) -> None:
    live(steps, rests)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.feature("S11")
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=4, max_size=16), st.sampled_from([Resting.PAIR, Resting.NOTHING]))
def test_outages_refusals_returns_and_kills_in_any_order_for_long(steps: list[Step], rests: Resting) -> None:
    live(steps, rests)
