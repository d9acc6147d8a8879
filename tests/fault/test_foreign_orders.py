"""Two installations at one venue: each tells its own orders from the other's, and the owner says who trades."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.decisions import BrakeKind
from core.domain.events import QuestionAsked, QuestionSettled
from core.domain.orders import OrderState, Purpose
from core.domain.portfolio import GuardKind
from core.domain.records import Question, QuestionChoice, QuestionKind
from core.domain.views import AnswerKind
from core.execution.watch import guard
from tests.builders import COIN, Bench, an_entry

ETH = "ETH-USD"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Bench, Bench]]:
    """Ours, and another installation that trades the same account at the same venue."""
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    venue = tmp_path / "venue.sqlite"
    ours = Bench(tmp_path / "ours", symbols=(COIN, ETH), venue_file=venue).start()
    theirs = Bench(tmp_path / "theirs", symbols=(COIN, ETH), venue_file=venue, installation="another").start()
    yield ours, theirs
    for bench in (ours, theirs):
        bench.close()


def asked(bench: Bench) -> list[Question]:
    return [each for each in bench.owner.questions() if each.kind is QuestionKind.TAKE_OVER]


def braked(bench: Bench) -> bool:
    return any(brake.kind is BrakeKind.FOREIGN_ORDERS for brake in bench.read(lambda work: work.brakes()))


def live_at(bench: Bench) -> list[str]:
    return [order.client_order_id for order in bench.venue.orders()]


def entries_of(bench: Bench) -> list[str]:
    """What a cycle decides to buy at the venue."""
    before = {order.client_order_id for order in bench.read(lambda work: work.orders("simulated"))}
    bench.tick()
    return [
        order.client_order_id
        for order in bench.read(lambda work: work.orders("simulated"))
        if order.client_order_id not in before
    ]


def test_another_installations_orders_block_entries_and_are_asked_about_once(pair: tuple[Bench, Bench]) -> None:
    ours, theirs = pair
    theirs.place(an_entry(theirs))
    for _ in range(3):
        ours.reconcile()
    (question,) = asked(ours)
    assert braked(ours)
    assert "belong to another installation" in question.text and f"buy 10 {COIN}" in question.text
    assert len(ours.events(QuestionAsked)) == 1
    assert entries_of(ours) == []
    assert ours.read(lambda work: work.live_orders()) == []
    assert not braked(theirs) and asked(theirs) == []


@pytest.mark.feature("C7")
def test_take_over_cancels_the_others_orders_and_lets_entries_through_again(pair: tuple[Bench, Bench]) -> None:
    ours, theirs = pair
    theirs.place(an_entry(theirs))
    ours.reconcile()
    (question,) = asked(ours)
    answer = ours.owner.answer(question.number, question.version, QuestionChoice.TAKE_OVER, "tap")
    assert answer.kind is AnswerKind.DONE and "being cancelled" in answer.text
    assert ours.owner.answer(question.number, question.version, QuestionChoice.LEAVE, "late").kind is AnswerKind.STALE
    ours.reconcile()
    assert live_at(ours) == []
    ours.reconcile()
    assert not braked(ours) and asked(ours) == []
    assert ours.events(QuestionSettled)[-1].outcome == "take over"
    assert len(entries_of(ours)) == 2
    theirs.reconcile()
    (given_up,) = theirs.read(lambda work: work.orders("simulated"))
    assert given_up.state is OrderState.CANCELED


def test_what_the_other_one_bought_is_in_our_books_and_after_the_take_over_our_own_stop_guards_it(
    pair: tuple[Bench, Bench],
) -> None:
    """The account is one: its venue tells both of every fill."""
    ours, theirs = pair
    theirs.place(an_entry(theirs))
    for bench in pair:
        bench.bar(100.0)
    ours.reconcile()
    assert ours.read(lambda work: work.portfolio("simulated")).quantity(COIN) == Decimal(10)
    their_stops = [order.client_order_id for order in ours.venue.orders()]
    assert len(their_stops) == 2
    (question,) = asked(ours)
    ours.owner.answer(question.number, question.version, QuestionChoice.TAKE_OVER, "tap")
    for _ in range(3):
        ours.reconcile()
        guard(ours.desk, ours.clock.now())
    resting = [order for order in ours.venue.orders() if order.symbol == COIN]
    assert {order.client_order_id for order in resting}.isdisjoint(their_stops)
    assert {order.purpose for order in resting} == {Purpose.STOP, Purpose.TARGET}
    assert all(order.client_order_id.startswith(ours.namespace.prefix) for order in resting)
    (kept,) = ours.read(lambda work: work.guards("simulated"))
    assert kept.kind is GuardKind.VENUE
    assert not braked(ours)


def test_leave_changes_nothing_and_is_not_asked_again_while_they_are_there(pair: tuple[Bench, Bench]) -> None:
    ours, theirs = pair
    theirs.place(an_entry(theirs))
    ours.reconcile()
    (question,) = asked(ours)
    answer = ours.owner.answer(question.number, question.version, QuestionChoice.LEAVE, "tap")
    assert answer.kind is AnswerKind.DONE
    for _ in range(2):
        ours.reconcile()
    assert braked(ours) and asked(ours) == [] and len(ours.events(QuestionAsked)) == 1
    assert len(live_at(ours)) == 1
    (order,) = theirs.read(lambda work: work.live_orders("simulated"))
    theirs.venue.cancel(order.client_order_id)
    ours.reconcile()
    assert not braked(ours)
    assert len(entries_of(ours)) == 2


def test_a_brake_released_by_hand_comes_back_while_the_others_orders_are_there(pair: tuple[Bench, Bench]) -> None:
    ours, theirs = pair
    theirs.place(an_entry(theirs))
    ours.reconcile()
    assert ours.owner.unlock(BrakeKind.FOREIGN_ORDERS, "simulated", "owner").kind is AnswerKind.DONE
    assert entries_of(ours) == []
    assert braked(ours)
    assert len(asked(ours)) == 1
