"""What a venue says of the account itself and to single orders: seen, told, and something is done about each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bot.markup import visible
from bot.render import render
from core.domain.accounts import Mode
from core.domain.decisions import BrakeKind
from core.domain.events import (
    BrakeReleased,
    BrokerFellBack,
    BrokerReturned,
    BrokerTroubled,
    InstructionIssued,
    OrderRefused,
    QuestionAsked,
    QuestionSettled,
)
from core.domain.orders import OrderState, Purpose
from core.domain.portfolio import CashKind, CashMovement
from core.domain.records import QuestionChoice
from core.domain.venue import Refusal, Refused
from core.execution.equity import record_of
from tests.builders import COIN, MONDAY, an_entry
from tests.unit.test_fallback import ZONE, Broken


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Broken]:
    made = Broken(tmp_path)
    made.door.told = {"number": "PA1"}
    made.start()
    yield made
    made.close()


def account_verdict(bench: Broken) -> str:
    """What the newest judgement found of the account that would buy."""
    (signal,) = bench.owner.signals()
    return next(verdict.reason for verdict in signal.verdicts if verdict.gate == "account")


@pytest.mark.feature("S20")
def test_what_a_new_account_was_given_on_the_day_of_the_first_start_is_counted_once(tmp_path: Path) -> None:
    bench = Broken(tmp_path)
    bench.door.happened.append(CashMovement("JNLC-1", "simulated", CashKind.DEPOSIT, Decimal(10_000), MONDAY))
    bench.start()
    bench.minutes(40)
    assert bench.read(lambda work: work.portfolio("simulated").cash) == Decimal(10_000)
    assert bench.events(QuestionAsked) == []
    bench.close()


@pytest.mark.feature("S11")
def test_a_blocked_account_goes_to_the_owners_hand_at_once_with_the_brokers_words(bench: Broken) -> None:
    bench.door.told |= {"restrictions": ("Alpaca has blocked trading in the account",)}
    bench.minutes(1)
    assert bench.mode_now() is Mode.MANUAL
    (fell,) = bench.events(BrokerFellBack)
    text = visible(render(fell, ZONE).text)
    assert text.startswith("✋ Mode manual: Simulated broker has blocked the account for trading")
    assert "Alpaca has blocked trading in the account" in text
    bench.door.told.pop("restrictions")
    bench.minutes(2)
    assert bench.mode_now() is Mode.AUTO and len(bench.events(BrokerReturned)) == 1


@pytest.mark.feature("S11")
def test_with_clocks_apart_nothing_is_bought_and_sales_go_on(bench: Broken) -> None:
    bench.place(an_entry(bench))
    bench.bar(100.0)
    bench.reconcile()
    bench.door.told |= {"ahead": timedelta(seconds=-95)}
    bench.minutes(15)
    assert bench.mode_now() is Mode.AUTO
    (told,) = bench.events(BrokerTroubled)
    assert "another time than this machine" in told.says and "1 min behind" in told.words
    answer = bench.owner.close(COIN, Decimal(1), "owner", "tap")
    assert "the sale is with the broker" in answer.text
    bench.bar(100.0)
    bench.reconcile()
    assert bench.read(lambda work: work.portfolio("simulated").quantity(COIN)) == 0
    bench.tick()
    assert account_verdict(bench) == "simulated has another time than this machine"
    bench.door.told |= {"ahead": timedelta(seconds=2)}
    bench.minutes(2)
    assert len(bench.events(BrokerReturned)) == 1


@pytest.mark.feature("S11")
@pytest.mark.feature("S8")
def test_entries_are_sized_by_what_the_broker_lets_us_spend(bench: Broken) -> None:
    bench.door.told |= {"buying_power": Decimal(500)}
    bench.bar(100.2)
    bench.tick()
    (request,) = bench.door.sent
    assert request.quantity * Decimal("100.2") <= 500


@pytest.mark.feature("M13")
@pytest.mark.feature("S11")
def test_another_account_is_one_question_and_everything_there_is_held_back(bench: Broken) -> None:
    bench.place(an_entry(bench))
    bench.bar(100.0)
    bench.reconcile()
    sent = len(bench.door.sent)
    bench.door.told = {"number": "PA2", "cash": Decimal(100_000), "positions": {}}
    bench.bar(94.0)
    bench.minutes(15)
    bench.tick()
    (asked,) = bench.events(QuestionAsked)
    assert "account PA2 now, and my books are about PA1" in asked.text
    assert visible(render(asked, ZONE).text).startswith("❓ another account at the broker · Q1")
    assert bench.events(BrokerTroubled) == [] and bench.events(BrokerFellBack) == []
    assert len(bench.door.sent) == sent and bench.events(InstructionIssued) == []
    assert bench.read(lambda work: work.portfolio("simulated").quantity(COIN)) == 10
    bench.door.told = {"number": "PA1"}
    bench.minutes(1)
    assert bench.events(QuestionSettled)[0].outcome == "needs no answer"


@pytest.mark.feature("M13")
def test_a_fresh_start_closes_the_old_books_as_neither_gain_nor_loss(bench: Broken) -> None:
    bench.place(an_entry(bench))
    bench.bar(100.0)
    bench.tick()
    bench.door.told = {"number": "PA2", "cash": Decimal(100_000), "positions": {}}
    bench.door.happened.append(CashMovement("JNLC-2", "simulated", CashKind.DEPOSIT, Decimal(100_000), MONDAY))
    bench.bar(110.0)
    bench.tick()
    before = bench.read(lambda work: record_of(work, "simulated"))
    (asked,) = bench.events(QuestionAsked)
    answer = bench.owner.answer(asked.number, asked.version, QuestionChoice.FRESH_START, "tap")
    assert "1 old positions are closed" in answer.text
    bench.minutes(2)
    bench.bar(110.0)
    bench.tick()
    book = bench.read(lambda work: work.portfolio("simulated"))
    assert (book.cash, dict(book.positions)) == (Decimal(100_000), {})
    after = bench.read(lambda work: record_of(work, "simulated"))
    assert abs(after.index - before.index) < Decimal("1e-6")
    assert len(bench.events(QuestionAsked)) == 1
    assert bench.read(lambda work: work.guards("simulated")) == []


@pytest.mark.feature("M13")
def test_what_is_ignored_stays_held_back_and_is_not_asked_again(bench: Broken) -> None:
    bench.door.told = {"number": "PA2", "cash": Decimal(100_000)}
    bench.minutes(1)
    (asked,) = bench.events(QuestionAsked)
    bench.owner.answer(asked.number, asked.version, QuestionChoice.IGNORE, "tap")
    bench.bar(100.2)
    bench.tick()
    bench.restart()
    bench.minutes(5)
    assert len(bench.events(QuestionAsked)) == 1 and bench.door.sent == []
    assert bench.read(lambda work: work.portfolio("simulated").cash) == Decimal(10_000)


@pytest.mark.feature("S11")
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Refusal.RESTRICTED, "Nothing is bought there until 2024-03-05 00:00 UTC"),
        (Refusal.BLOCKED, "Nothing is bought there until 2024-03-05 00:00 UTC"),
        (Refusal.BUYING_POWER, "Nothing is bought there until 2024-03-04 00:35 UTC"),
    ],
)
def test_a_refusal_that_concerns_the_account_holds_its_entries_back_for_a_while(
    bench: Broken, kind: Refusal, words: str
) -> None:
    bench.door.no = Refused("the broker says no", kind)
    bench.bar(100.2)
    bench.tick()
    (told,) = bench.events(OrderRefused)
    assert words in told.reason
    bench.bar(100.4)
    bench.tick()
    assert len(bench.door.sent) == 1
    assert [brake.kind for brake in bench.owner.locks()] == [BrakeKind.BROKER]
    bench.clock.advance(timedelta(days=1, hours=1))
    assert bench.owner.locks() == ()


@pytest.mark.feature("S11")
@pytest.mark.parametrize("kind", [Refusal.CLOSED, Refusal.OTHER])
def test_a_refusal_of_one_order_holds_nothing_else_back(bench: Broken, kind: Refusal) -> None:
    bench.door.no = Refused("the market is closed", kind)
    bench.bar(100.2)
    bench.tick()
    assert bench.events(OrderRefused)[0].reason == "the market is closed"
    assert bench.owner.locks() == () and bench.mode_now() is Mode.AUTO


@pytest.mark.feature("S11")
def test_a_halted_symbol_waits_until_bars_show_that_it_trades(bench: Broken) -> None:
    bench.door.no = Refused("trading in BTC-USD is halted", Refusal.HALTED)
    bench.bar(100.2)
    bench.tick()
    assert "takes no entries until it trades again" in bench.events(OrderRefused)[0].reason
    bench.door.no = None
    bench.minutes(3)
    assert [brake.kind for brake in bench.owner.locks()] == [BrakeKind.SYMBOL_BLOCKED]
    bench.bar(100.4)
    bench.reconcile()
    assert bench.owner.locks() == () and len(bench.events(BrakeReleased)) == 1
    bench.tick()
    assert len(bench.door.sent) == 2


@pytest.mark.feature("S11")
def test_what_the_broker_does_not_trade_comes_to_the_owners_hand(bench: Broken) -> None:
    bench.declare_cash("5000")
    bench.door.no = Refused("BTC-USD cannot be traded at Alpaca at present", Refusal.UNTRADABLE)
    bench.bar(100.2)
    bench.tick()
    assert "its entries come to your own hand" in bench.events(OrderRefused)[0].reason
    bench.door.no = None
    bench.bar(100.4)
    bench.tick()
    cards = [card for card in bench.events(InstructionIssued) if card.symbol == COIN]
    assert cards and {card.account for card in cards} == {"manual"}
    assert len(bench.door.sent) == 1 and bench.mode_now() is Mode.AUTO


@pytest.mark.feature("S11")
def test_a_refused_sale_holds_nothing_back_and_is_tried_again(bench: Broken) -> None:
    bench.place(an_entry(bench))
    bench.bar(100.0)
    bench.reconcile()
    bench.owner.flatten("owner")
    bench.door.no = Refused("day-trade rule", Refusal.RESTRICTED)
    bench.minutes(2)
    assert {brake.kind for brake in bench.owner.locks()} == {BrakeKind.FLATTEN}
    orders = bench.read(lambda work: work.orders("simulated"))
    assert {order.state for order in orders if order.purpose is Purpose.EXIT} == {OrderState.REJECTED}
    bench.door.no = None
    bench.bar(100.0)
    bench.minutes(1)
    bench.bar(100.0)
    bench.minutes(1)
    assert bench.read(lambda work: work.portfolio("simulated").quantity(COIN)) == 0
