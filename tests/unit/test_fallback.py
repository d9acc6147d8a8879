"""A broker that fails us: entries go to the owner's hand, and come back by themselves (S11)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.markup import visible
from bot.render import render
from bot.render_status import status as render_status
from core.domain.accounts import Mode
from core.domain.events import BrokerFellBack, BrokerReturned, BrokerTroubled, InstructionIssued, ModeChanged
from core.domain.orders import Purpose
from core.domain.records import InstructionState
from core.domain.views import AnswerKind, Health
from core.errors import AccessRefused, Unreachable
from core.execution.watch import guard
from tests.builders import COIN, Bench, an_entry
from tests.fakes_trouble import ShutDoor

ZONE = ZoneInfo("America/New_York")
REFUSED = AccessRefused("401 unauthorized")
DOWN = Unreachable("timed out")
NEWS = (BrokerTroubled, BrokerFellBack, BrokerReturned)


class Broken(Bench):
    """A bench with a door before its venue."""

    def __init__(self, folder: Path, **given: object) -> None:
        super().__init__(folder, wrap=self._behind_a_door, **given)  # type: ignore[arg-type]

    def _behind_a_door(self, broker: object) -> ShutDoor:
        former = getattr(self, "door", None)
        self.door = ShutDoor(broker)  # type: ignore[arg-type]
        if former is not None:
            self.door.error, self.door.told = former.error, former.told
        return self.door

    def minutes(self, count: int) -> None:
        """So many minutes of guarding."""
        for _ in range(count):
            self.clock.advance(timedelta(minutes=1))
            self.system.advance(timedelta(minutes=1))
            guard(self.desk, self.clock.now())

    def fail(self, error: Exception | None, minutes: int) -> None:
        self.door.error = error  # type: ignore[assignment]
        self.minutes(minutes)

    def mode_now(self) -> Mode:
        return self.read(self.desk.mode)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Broken]:
    made = Broken(tmp_path)
    made.start()
    yield made
    made.close()


@pytest.mark.feature("S11")
@pytest.mark.feature("C6")
def test_refused_keys_put_the_owners_hand_in_the_brokers_place_and_back(bench: Broken) -> None:
    bench.fail(REFUSED, 5)
    assert bench.mode_now() is Mode.MANUAL
    assert bench.read(bench.desk.chosen_mode) is Mode.AUTO
    state, words = bench.health.states["simulated"]
    assert state is Health.DEGRADED and "refuses the keys" in words
    bench.fail(None, 1)
    assert bench.mode_now() is Mode.MANUAL and bench.reconcile().reachable == frozenset()
    bench.minutes(2)
    assert bench.mode_now() is Mode.AUTO and bench.reconcile().reachable == {"simulated"}
    assert bench.health.states["simulated"] == (Health.RUNNING, "answers")
    kinds = [len(bench.events(kind)) for kind in NEWS]
    assert kinds == [1, 1, 1]


@pytest.mark.feature("S11")
def test_an_outage_is_given_ten_minutes(bench: Broken) -> None:
    bench.fail(DOWN, 10)
    assert bench.mode_now() is Mode.AUTO
    bench.minutes(1)
    assert bench.mode_now() is Mode.MANUAL
    (fell,) = bench.events(BrokerFellBack)
    assert fell.says == "does not answer" and fell.chosen is Mode.AUTO


@pytest.mark.feature("S11")
def test_a_restart_neither_repeats_nor_forgets_the_change(bench: Broken) -> None:
    bench.fail(REFUSED, 4)
    bench.restart()
    bench.minutes(3)
    assert bench.mode_now() is Mode.MANUAL
    assert [len(bench.events(kind)) for kind in NEWS] == [1, 1, 0]


@pytest.mark.feature("S11")
def test_a_blip_is_no_message(bench: Broken) -> None:
    bench.fail(DOWN, 1)
    bench.fail(None, 3)
    assert not any(bench.events(kind) for kind in NEWS)


@pytest.mark.feature("S11")
def test_entries_spend_the_declared_cash_and_no_more(bench: Broken) -> None:
    bench.declare_cash("1000")
    bench.fail(REFUSED, 4)
    bench.bar(100.2)
    bench.tick()
    (card,) = bench.events(InstructionIssued)
    assert card.account == "manual" and card.purpose is Purpose.ENTRY and not card.needs_approval
    assert card.quantity * card.price <= Decimal(1000)
    assert bench.door.sent == []
    assert (bench.folder / "signals" / "manual_trades.json").is_file()


@pytest.mark.feature("S11")
@pytest.mark.feature("S8")
def test_a_card_that_is_still_open_at_the_return_stays_and_nothing_is_bought_twice(bench: Broken) -> None:
    bench.declare_cash("1000")
    bench.fail(REFUSED, 4)
    bench.bar(100.2)
    bench.tick()
    (card,) = bench.events(InstructionIssued)
    bench.fail(None, 3)
    bench.bar(100.4)
    bench.tick()
    assert bench.mode_now() is Mode.AUTO and bench.door.sent == []
    assert bench.owner.execute(card.number, card.version, "tap").kind is AnswerKind.DONE
    bench.bar(100.6)
    bench.tick()
    assert bench.door.sent == []


@pytest.mark.feature("S11")
def test_without_declared_cash_no_card_is_made_and_the_message_says_so(bench: Broken) -> None:
    bench.fail(REFUSED, 4)
    bench.bar(100.2)
    bench.tick()
    assert bench.events(InstructionIssued) == []
    assert "no declared cash" in visible(render(bench.events(BrokerFellBack)[0], ZONE).text)


@pytest.mark.feature("S11")
def test_cards_that_wait_for_approval_are_taken_back(tmp_path: Path) -> None:
    bench = Broken(tmp_path, mode=Mode.CONFIRM)
    bench.start()
    bench.bar(100.2)
    bench.tick()
    (card,) = bench.events(InstructionIssued)
    bench.fail(REFUSED, 4)
    assert bench.events(BrokerFellBack)[0].withdrawn == 1
    taken = bench.read(lambda work: work.instruction(card.number))
    assert taken.state is InstructionState.SUPERSEDED
    assert "taken back" in visible(render(bench.events(BrokerFellBack)[0], ZONE).text)
    bench.close()


@pytest.mark.feature("C6")
def test_a_mode_chosen_meanwhile_holds_once_the_broker_is_back(bench: Broken) -> None:
    bench.fail(REFUSED, 4)
    bench.owner.set_mode(Mode.CONFIRM, "owner")
    assert bench.mode_now() is Mode.MANUAL
    told = visible(render(bench.events(ModeChanged)[-1], ZONE).text)
    assert "Mode confirm, once Simulated broker is back" in told
    bench.owner.set_mode(Mode.OBSERVE, "owner")
    assert bench.mode_now() is Mode.OBSERVE
    bench.owner.set_mode(Mode.CONFIRM, "owner")
    bench.fail(None, 3)
    assert bench.mode_now() is Mode.CONFIRM


@pytest.mark.feature("C6")
def test_the_status_says_why_the_mode_is_manual(bench: Broken) -> None:
    bench.fail(REFUSED, 4)
    text = visible(render_status(bench.owner.status(), ZONE).text)
    assert "Manual, because Simulated broker refuses the keys" in text
    assert "Your own choice, auto, comes back by itself" in text


@pytest.mark.feature("S11")
def test_what_may_have_been_sent_into_the_failure_is_told_and_stays_in_doubt(bench: Broken) -> None:
    bench.door.error = DOWN
    bench.place(an_entry(bench))
    bench.minutes(12)
    (fell,) = bench.events(BrokerFellBack)
    assert fell.in_doubt == (COIN,)
    assert "I do not know whether an order arrived" in visible(render(fell, ZONE).text)
