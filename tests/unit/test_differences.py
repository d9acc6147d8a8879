"""What the venue holds and the ledger does not, or the other way round: blocked, asked about, taken over (M13)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import VirtualClock
from core.domain.decisions import BrakeKind
from core.domain.events import CashBooked, QuestionAsked, QuestionSettled, UnitsAdjusted
from core.domain.orders import OrderState, Purpose, Side
from core.domain.portfolio import CashKind, CashMovement, Fill, GuardKind
from core.domain.records import Question, QuestionChoice
from core.domain.venue import VenueOrder
from core.domain.views import AnswerKind
from core.execution import executor
from core.execution.cash_differences import LASTS
from core.execution.watch import guard
from tests.builders import COIN, MONDAY, Bench, an_entry, an_exit
from tests.fakes_chaos import ChaosVenue, Mishap

ETH = "ETH-USD"
MINUTE = timedelta(minutes=1)
HUNDRED = Decimal(100)
pytestmark = pytest.mark.feature("M13")


class Moving(ChaosVenue):
    """Something happens between two questions, where told so: `meanwhile` runs once after the fills were told."""

    meanwhile: list[tuple[str, Decimal]]

    def orders(self) -> list[VenueOrder]:
        shown = list(super().orders())
        for name, quantity in self.__dict__.pop("meanwhile", []):
            self.fill(name, quantity, HUNDRED)
        return shown


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    venue = Moving(VirtualClock(MONDAY), lambda _symbol: HUNDRED)
    bench = Bench(tmp_path, symbols=(COIN, ETH), wrap=lambda _real: venue)
    venue.clock = bench.clock
    return bench.start()


def venue_of(bench: Bench) -> Moving:
    return bench.desk.brokers["simulated"]  # type: ignore[return-value]


def the_question(bench: Bench) -> Question:
    (asked,) = bench.owner.questions()
    return asked


def answer(bench: Bench, choice: QuestionChoice) -> str:
    asked = the_question(bench)
    told = bench.owner.answer(asked.number, asked.version, choice, f"tap-{asked.number}")
    assert told.kind is AnswerKind.DONE
    return told.text


def wait(bench: Bench, span: timedelta) -> None:
    bench.clock.advance(span)
    bench.system.advance(span)
    bench.reconcile()


def a_fill(bench: Bench, name: str) -> Fill:
    """One unit bought, booked without a word of the venue."""
    one, none = Decimal(1), Decimal(0)
    return Fill("lone", "simulated", name, COIN, Side.BUY, one, HUNDRED, none, "USD", bench.clock.now(), Purpose.ENTRY)


def blocked(bench: Bench) -> set[str]:
    return {brake.scope for brake in bench.read(lambda work: work.brakes()) if brake.kind is BrakeKind.SYMBOL_BLOCKED}


# units


def test_what_was_adopted_is_guarded_from_the_price_of_its_adoption_and_is_no_profit(bench: Bench) -> None:
    bench.tick()
    before = bench.owner.status().accounts[0]
    venue_of(bench).positions[COIN] = Decimal(3)
    bench.bar(200.0)
    bench.reconcile()
    assert blocked(bench) == {f"simulated/{COIN}"}
    assert "Adopted" in answer(bench, QuestionChoice.ADOPT)
    (watched,) = bench.read(lambda work: work.guards("simulated"))
    assert (watched.kind, watched.stop, watched.target) == (GuardKind.ENGINE, Decimal(190), Decimal(230))
    bench.reconcile()
    assert blocked(bench) == set()
    (told,) = bench.events(UnitsAdjusted)
    assert (told.before, told.after) == (0, 3)
    bench.tick()
    after = bench.owner.status().accounts[0]
    assert (after.day_profit, after.total_fraction) == (before.day_profit, before.total_fraction)
    assert after.equity == before.equity + 600
    assert bench.database.verify() == []


def test_a_position_that_was_closed_by_hand_at_the_venue_is_taken_over_as_gone(bench: Bench) -> None:
    """Peers never see it and add the stop again for ever."""
    venue = venue_of(bench)
    entry = an_entry(bench)
    bench.place(entry)
    venue.fill(entry.client_order_id, Decimal(10), HUNDRED)
    bench.reconcile()
    del venue.positions[COIN]
    venue.end(f"{entry.client_order_id}-s", OrderState.CANCELED)
    requests = len(venue.requests)
    wait(bench, MINUTE)
    answer(bench, QuestionChoice.ADOPT)
    guard(bench.desk, bench.clock.now())
    assert bench.read(lambda work: work.portfolio("simulated")).positions == {}
    assert bench.read(lambda work: work.guards()) == []
    assert len(venue.requests) == requests
    assert blocked(bench) == set()


def test_only_the_symbol_that_differs_takes_no_entries(bench: Bench) -> None:
    venue_of(bench).positions[COIN] = Decimal(3)
    assert bench.tick().submitted == 1
    assert [request.symbol for request in venue_of(bench).requests] == [ETH]


def test_who_leaves_a_difference_is_asked_again_only_about_other_figures(bench: Bench) -> None:
    venue = venue_of(bench)
    venue.positions[COIN] = Decimal(3)
    bench.reconcile()
    answer(bench, QuestionChoice.IGNORE)
    bench.restart()
    wait(bench, MINUTE)
    assert bench.owner.questions() == ()
    assert blocked(bench) == {f"simulated/{COIN}"}
    venue.positions[COIN] = Decimal(4)
    wait(bench, MINUTE)
    assert the_question(bench).theirs == 4
    venue.positions[COIN] = Decimal(3)
    wait(bench, MINUTE)
    assert bench.owner.questions() == (), "these figures were left as they are"
    assert blocked(bench) == {f"simulated/{COIN}"}


def test_a_button_about_older_figures_books_nothing(bench: Bench) -> None:
    venue = venue_of(bench)
    venue.positions[COIN] = Decimal(3)
    bench.reconcile()
    old = the_question(bench)
    venue.positions[COIN] = Decimal(5)
    wait(bench, MINUTE)
    assert bench.owner.answer(old.number, old.version, QuestionChoice.ADOPT, "tap-1").kind is AnswerKind.STALE
    assert bench.read(lambda work: work.portfolio("simulated")).positions == {}
    answer(bench, QuestionChoice.ADOPT)
    assert bench.read(lambda work: work.portfolio("simulated")).quantity(COIN) == 5


def test_a_difference_whose_ledger_side_has_moved_is_not_booked_but_asked_anew(bench: Bench) -> None:
    venue = venue_of(bench)
    venue.positions[COIN] = Decimal(3)
    bench.reconcile()
    moved = CashMovement("unrelated", "simulated", CashKind.FEE, Decimal(-1), bench.clock.now())
    entry = an_entry(bench)
    with bench.database.unit_of_work() as work:
        work.book(moved, recorded_at=bench.clock.now())
        work.book(a_fill(bench, entry.client_order_id), recorded_at=bench.clock.now())
        work.commit()
    assert "Nothing was booked" in answer(bench, QuestionChoice.ADOPT)
    assert bench.read(lambda work: work.portfolio("simulated")).quantity(COIN) == 1
    wait(bench, MINUTE)
    assert (the_question(bench).ours, the_question(bench).theirs) == (1, 3)


def test_while_an_order_is_in_doubt_a_standing_question_is_not_called_settled(bench: Bench) -> None:
    venue = venue_of(bench)
    venue.positions[COIN] = Decimal(3)
    bench.reconcile()
    answer(bench, QuestionChoice.ADOPT)
    venue.positions[COIN] = Decimal(2)
    wait(bench, MINUTE)
    asked = the_question(bench)
    venue.mishap = Mishap.SILENT_LOST
    bench.place(an_exit(bench, quantity=Decimal(3)))
    bench.reconcile()
    assert the_question(bench).number == asked.number
    assert blocked(bench) == {f"simulated/{COIN}"}
    assert len(bench.events(QuestionSettled)) == 1, "only the first one was settled, by its answer"


def test_the_block_of_a_contested_order_is_not_lifted_with_a_difference(bench: Bench) -> None:
    with bench.database.unit_of_work() as work:
        executor.block_symbol(work, "simulated", COIN, "something else under our id", bench.clock.now())
        work.commit()
    venue = venue_of(bench)
    venue.positions[COIN] = Decimal(3)
    bench.reconcile()
    answer(bench, QuestionChoice.ADOPT)
    wait(bench, MINUTE)
    assert blocked(bench) == {f"simulated/{COIN}"}
    assert "under our id" in bench.read(lambda work: work.brakes())[0].reason


def test_a_venue_that_moves_between_two_questions_raises_no_false_alarm(bench: Bench) -> None:
    venue = venue_of(bench)
    entry = an_entry(bench)
    bench.place(entry)
    venue.meanwhile = [(entry.client_order_id, Decimal(10))]
    bench.reconcile()
    wait(bench, MINUTE)
    assert bench.events(QuestionAsked) == []
    assert bench.read(lambda work: work.portfolio("simulated")).quantity(COIN) == 10
    stop = next(order for order in venue.live() if order.purpose is Purpose.STOP)
    venue.meanwhile = [(stop.client_order_id, Decimal(10))]
    wait(bench, MINUTE)
    wait(bench, MINUTE)
    assert bench.events(QuestionAsked) == []
    assert bench.read(lambda work: work.portfolio("simulated")).positions == {}


# cash


def test_cash_that_differs_is_asked_about_once_it_has_lasted_and_adopted_without_a_profit(bench: Bench) -> None:
    bench.tick()
    before = bench.owner.status().accounts[0]
    venue_of(bench).cash += 250
    wait(bench, MINUTE)
    assert bench.owner.questions() == ()
    wait(bench, LASTS)
    asked = the_question(bench)
    assert (asked.kind, asked.theirs - asked.ours) == ("cash", 250)
    assert blocked(bench) == set()
    wait(bench, LASTS)
    assert len(bench.events(QuestionAsked)) == 1
    bench.restart()
    assert "+250.00 USD" in answer(bench, QuestionChoice.ADOPT)
    portfolio = bench.read(lambda work: work.portfolio("simulated"))
    assert portfolio.cash == venue_of(bench).cash
    (booked,) = bench.events(CashBooked)
    assert (booked.kind, booked.amount) == ("adoption", 250)
    bench.tick()
    after = bench.owner.status().accounts[0]
    assert (after.day_profit, after.total_fraction) == (before.day_profit, before.total_fraction)
    wait(bench, LASTS)
    assert bench.owner.questions() == ()
    assert bench.database.verify() == []


def test_what_is_traded_meanwhile_leaves_the_difference_of_cash_what_it_was(bench: Bench) -> None:
    venue = venue_of(bench)
    venue.cash -= 40
    wait(bench, MINUTE)
    wait(bench, LASTS)
    entry = an_entry(bench)
    bench.place(entry)
    venue.fill(entry.client_order_id, Decimal(10), HUNDRED)
    wait(bench, MINUTE)
    assert len(bench.events(QuestionAsked)) == 1
    answer(bench, QuestionChoice.ADOPT)
    assert bench.read(lambda work: work.portfolio("simulated")).cash == venue.cash


def test_a_difference_of_cash_that_explains_itself_is_not_asked_about(bench: Bench) -> None:
    """A venue may move the money of a dividend before it tells of it."""
    venue = venue_of(bench)
    venue.cash += 12
    wait(bench, MINUTE)
    paid = CashMovement("dividend-1", "simulated", CashKind.DIVIDEND, Decimal(12), bench.clock.now())
    venue.activities.append(paid)
    wait(bench, LASTS)
    wait(bench, LASTS)
    assert bench.events(QuestionAsked) == []
    assert bench.read(lambda work: work.portfolio("simulated")).cash == venue.cash


def test_an_open_question_about_cash_goes_when_both_sides_agree_again(bench: Bench) -> None:
    venue = venue_of(bench)
    venue.cash += 12
    wait(bench, MINUTE)
    wait(bench, LASTS)
    venue.cash -= 12
    wait(bench, MINUTE)
    assert bench.owner.questions() == ()
    assert bench.events(QuestionSettled)[-1].detail == "both sides agree again"


def test_cash_that_was_left_as_it_is_is_asked_about_again_only_when_the_difference_changes(bench: Bench) -> None:
    venue = venue_of(bench)
    venue.cash += 12
    wait(bench, MINUTE)
    wait(bench, LASTS)
    answer(bench, QuestionChoice.IGNORE)
    wait(bench, LASTS)
    assert bench.owner.questions() == ()
    venue.cash += 5
    wait(bench, MINUTE)
    wait(bench, LASTS)
    asked = the_question(bench)
    assert asked.theirs - asked.ours == 17


def test_cents_that_come_of_rounding_are_nothing_to_ask_about(bench: Bench) -> None:
    venue_of(bench).cash += Decimal("0.37")
    wait(bench, MINUTE)
    wait(bench, LASTS)
    assert bench.events(QuestionAsked) == []


def test_nothing_is_said_of_cash_while_an_order_is_in_doubt(bench: Bench) -> None:
    venue = venue_of(bench)
    venue.mishap = Mishap.SILENT_DONE
    entry = an_entry(bench)
    bench.place(entry)
    venue.withholds_newest = True
    venue.fill(entry.client_order_id, Decimal(10), HUNDRED)
    bench.reconcile()
    assert bench.read(lambda work: work.value("cash_differs:simulated")) is None
