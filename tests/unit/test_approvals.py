"""An order of a broker's account that waits for the owner's approval: what may happen between card and tap."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.accounts import Mode
from core.domain.events import InstructionChanged, InstructionIssued, InstructionSettled, OrderRefused
from core.domain.orders import OrderState, Side
from core.domain.portfolio import CashKind
from core.domain.records import Instruction, InstructionState
from core.domain.views import AnswerKind, Correction, OwnTrade
from core.execution.unanswered import expire_instructions
from tests.builders import COIN, Bench, an_entry


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, mode=Mode.CONFIRM).start()


def a_card(bench: Bench) -> Instruction:
    bench.place(an_entry(bench, state=OrderState.AWAITING_OWNER))
    (card,) = bench.owner.pending()
    return card


@pytest.mark.feature("T5")
@pytest.mark.parametrize(("price", "quantity"), [(110.0, "9.090909"), (90.0, "10")])
def test_a_price_outside_the_band_is_asked_about_again_and_nothing_is_sent(
    bench: Bench, price: float, quantity: str
) -> None:
    card = a_card(bench)
    bench.bar(price)
    answer = bench.owner.execute(card.number, card.version, "tap-1")
    assert answer.kind is AnswerKind.STALE
    assert "Nothing was sent" in answer.text
    assert bench.venue.orders() == []
    (again,) = bench.owner.pending()
    assert (again.number, again.version, again.price) == (card.number, 2, Decimal(str(price)))
    assert again.quantity == Decimal(quantity), "the same money, never more"
    assert again.band_low < again.price < again.band_high
    assert (again.stop, again.target) == (again.price * Decimal("0.95"), again.price * Decimal("1.15"))
    (edited,) = bench.events(InstructionChanged)
    assert (edited.card.version, edited.card.price, edited.card.quantity) == (2, again.price, again.quantity)
    assert [event.version for event in bench.events(InstructionIssued)] == [1], "the card itself is edited"
    assert bench.owner.execute(card.number, 1, "tap-2").kind is AnswerKind.STALE
    assert bench.owner.execute(card.number, 2, "tap-3").kind is AnswerKind.DONE
    (sent,) = bench.venue.orders()
    assert (sent.client_order_id, sent.quantity) == (card.client_order_id, Decimal(quantity))


@pytest.mark.feature("T5")
def test_a_tap_that_made_the_card_ask_again_is_not_called_done_when_it_comes_a_second_time(bench: Bench) -> None:
    card = a_card(bench)
    bench.bar(110.0)
    assert bench.owner.execute(card.number, card.version, "tap-1").kind is AnswerKind.STALE
    bench.restart()
    answer = bench.owner.execute(card.number, card.version, "tap-1")
    assert answer.kind is AnswerKind.STALE
    assert "Nothing was sent" in answer.text
    assert bench.venue.orders() == []


def test_a_price_within_the_band_is_sent_between_two_ticks(bench: Bench) -> None:
    card = a_card(bench)
    bench.bar(100.4)
    assert bench.owner.execute(card.number, card.version, "tap-1").kind is AnswerKind.DONE
    assert len(bench.venue.orders()) == 1


@pytest.mark.feature("T4")
def test_an_approval_that_comes_too_late_sends_nothing(bench: Bench) -> None:
    card = a_card(bench)
    bench.system.advance(timedelta(minutes=60))
    assert bench.owner.execute(card.number, card.version, "tap-1").kind is AnswerKind.STALE
    assert expire_instructions(bench.desk) == 1
    assert bench.owner.execute(card.number, card.version, "tap-2").kind is AnswerKind.STALE
    assert bench.venue.orders() == []
    assert bench.order(card.client_order_id).state is OrderState.EXPIRED


@pytest.mark.feature("C6")
@pytest.mark.parametrize("hold", ["observe", "pause"])
def test_what_was_forbidden_since_the_card_was_made_is_not_sent_and_said_so(bench: Bench, hold: str) -> None:
    card = a_card(bench)
    if hold == "observe":
        bench.owner.set_mode(Mode.OBSERVE, "owner")
    else:
        bench.owner.pause(None, "owner")
    answer = bench.owner.execute(card.number, card.version, "tap-1")
    assert "not sent" in answer.text
    assert hold in answer.text
    assert "not answered yet" not in answer.text
    assert bench.venue.orders() == []
    assert "not sent" in bench.events(InstructionSettled)[-1].detail
    assert bench.order(card.client_order_id).state is OrderState.CANCELED


@pytest.mark.feature("C6")
def test_a_card_outlives_a_change_to_automatic_execution_and_keeps_its_symbol(bench: Bench) -> None:
    card = a_card(bench)
    bench.owner.set_mode(Mode.AUTO, "owner")
    assert bench.tick().submitted == 0, "one entry of a symbol at a time"
    bench.owner.execute(card.number, card.version, "tap-1")
    assert [order.client_order_id for order in bench.venue.orders()] == [card.client_order_id]


@pytest.mark.feature("C6")
def test_observing_records_signals_and_places_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, mode=Mode.OBSERVE).start()
    result = bench.tick()
    assert (result.submitted, result.instructed, bench.venue.orders()) == (0, 0, [])
    (signal,) = bench.read(lambda work: work.last_signals()).values()
    assert signal.veto is not None and signal.veto.gate == "mode"


def test_a_stale_entry_is_taken_back_and_its_card_says_so(bench: Bench) -> None:
    card = a_card(bench)
    venue = bench.venue
    bench.owner.execute(card.number, card.version, "tap-1")
    # Without a bar nothing fills: the order has waited for longer than an entry lives.
    bench.clock.advance(bench.desk.policy.entry_life + timedelta(minutes=1))
    bench.tick()
    bench.reconcile()
    assert venue.orders() == []
    assert bench.order(card.client_order_id).state is OrderState.CANCELED
    assert "not filled within 24 hours" in bench.events(OrderRefused)[-1].reason
    assert "not filled within 24 hours" in bench.events(InstructionSettled)[-1].detail
    assert bench.read(lambda work: work.instruction(card.number)).state is InstructionState.APPROVED
    assert bench.read(lambda work: work.portfolio("simulated")).quantity(COIN) == 0


@pytest.mark.feature("M14")
def test_returns_of_a_manual_account_leave_flows_out_and_corrections_in(tmp_path: Path) -> None:
    bench = Bench(tmp_path, has_broker=False, mode=Mode.OBSERVE).start()
    owner = bench.owner

    def figures() -> tuple[Decimal, Decimal]:
        bench.tick()
        (account,) = owner.status().accounts
        return account.day_profit, account.total_fraction

    owner.book_cash(CashKind.DEPOSIT, Decimal(1000), "", "owner", "1")
    assert figures() == (0, 0)
    owner.book_trade(OwnTrade(COIN, Side.BUY, Decimal(5), Decimal(100), Decimal(0), None), "owner", "2")
    assert figures() == (0, 0)
    bench.bar(110.0)
    assert figures() == (50, Decimal("0.05"))
    owner.book_cash(CashKind.DEPOSIT, Decimal(950), "", "owner", "3")
    assert figures() == (50, Decimal("0.05"))
    owner.undo("owner", "4")
    assert figures() == (50, Decimal("0.05")), "a flow taken back is an opposite flow"
    owner.book_cash(CashKind.WITHDRAWAL, Decimal(400), "", "owner", "5")
    assert figures() == (50, Decimal("0.05"))
    owner.correct(Correction(None, None, Decimal(101), None), "owner", "6")
    profit, fraction = figures()
    # Five units cost a dollar more each than was booked: it shows on the day of the correction, on 650 USD.
    assert profit == 45
    assert abs(fraction - (Decimal("1.05") * Decimal(645) / Decimal(650) - 1)) < Decimal("1e-12")
    assert bench.database.verify() == []
