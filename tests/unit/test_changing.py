"""What the owner may do to a card before he answers it: a smaller size, a limit, the question why (T1, T7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.accounts import Mode
from core.domain.events import InstructionChanged, InstructionIssued, InstructionSettled
from core.domain.instruments import instrument_for
from core.domain.orders import Bracket, OrderState, OrderType
from core.domain.records import (
    INSTRUCTION_TRANSITIONS,
    ImpossibleCard,
    Instruction,
    InstructionState,
)
from core.domain.values import plain
from core.domain.views import AnswerKind, CardWish, Pricing, ReportedFill
from core.execution.changing import _sizes
from core.execution.unanswered import expire_instructions
from core.strategy.policy import NoAnswer, Policy
from core.strategy.sizing import smallest_purchase
from tests.builders import COIN, Bench, a_buy_signal, an_entry, an_exit
from tests.fakes_owner import an_instruction

HALF, QUARTER, WHOLE = CardWish(quarters=2), CardWish(quarters=1), CardWish(quarters=4)


def a_bench(folder: Path, no_answer: NoAnswer = NoAnswer.SKIP) -> Bench:
    return Bench(folder, mode=Mode.CONFIRM, policy=Policy(no_answer=no_answer)).start()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return a_bench(tmp_path)


def a_card(bench: Bench, **changes: Any) -> Instruction:
    bench.place(an_entry(bench, state=OrderState.AWAITING_OWNER, **changes), signals=(a_buy_signal(COIN),))
    (card,) = bench.owner.pending()
    return card


@pytest.mark.feature("T7")
def test_half_the_size_at_a_limit_is_a_new_version_of_card_and_order_and_that_is_what_is_sent(bench: Bench) -> None:
    card = a_card(bench)
    answer = bench.owner.change(card.number, 1, HALF, "tap-1")
    assert (answer.kind, "5 of 10 BTC-USD, at the market" in answer.text) == (AnswerKind.DONE, True)
    assert bench.owner.change(card.number, 2, CardWish(pricing=Pricing.EDGE), "tap-2").kind is AnswerKind.DONE
    order = bench.order(card.client_order_id)
    assert (order.quantity, order.type, order.limit_price) == (Decimal(5), OrderType.LIMIT, Decimal("100.5"))
    assert order.state is OrderState.AWAITING_OWNER
    shown = bench.owner.card(card.number)
    assert shown is not None
    assert (shown.version, shown.quantity, shown.proposed, shown.limit_price) == (3, 5, 10, Decimal("100.5"))
    assert [event.card for event in bench.events(InstructionChanged)][-1] == shown
    assert bench.owner.execute(card.number, 1, "tap-3").kind is AnswerKind.STALE
    assert bench.venue.orders() == []
    assert bench.owner.execute(card.number, 3, "tap-4").kind is AnswerKind.DONE
    (sent,) = bench.venue.orders()
    assert (sent.quantity, sent.type, sent.limit_price) == (Decimal(5), OrderType.LIMIT, Decimal("100.5"))


@pytest.mark.feature("T7")
def test_the_edge_of_the_band_stays_within_the_stop_and_the_target_that_go_with_it(bench: Bench) -> None:
    card = a_card(bench, bracket=Bracket(Decimal("99.8"), Decimal("100.3")))
    assert (card.band_low, card.band_high) == (Decimal("99.8001"), Decimal("100.2999"))
    assert bench.owner.change(card.number, 1, CardWish(pricing=Pricing.EDGE), "tap-1").kind is AnswerKind.DONE
    assert bench.owner.execute(card.number, 2, "tap-2").kind is AnswerKind.DONE
    (sent,) = bench.venue.orders()
    assert sent.limit_price == Decimal("100.2999")


@pytest.mark.feature("T7")
def test_a_size_goes_back_up_to_what_was_proposed_and_never_above(bench: Bench) -> None:
    card = a_card(bench)
    bench.owner.change(card.number, 1, QUARTER, "tap-1")
    offer = bench.owner.offer(card.number)
    assert offer is not None
    assert dict(offer.sizes) == {4: 10, 3: Decimal("7.5"), 2: 5, 1: Decimal("2.5")}
    assert (offer.quantity, offer.proposed, offer.pricing) == (Decimal("2.5"), 10, Pricing.MARKET)
    bench.owner.change(card.number, 2, WHOLE, "tap-2")
    assert bench.order(card.client_order_id).quantity == 10
    assert bench.owner.change(card.number, 3, WHOLE, "tap-3").kind is AnswerKind.UNCHANGED


@pytest.mark.feature("T7")
def test_a_change_after_a_new_price_never_spends_more_than_the_rules_had_allowed(bench: Bench) -> None:
    card = a_card(bench)
    bench.owner.change(card.number, 1, HALF, "tap-1")
    bench.owner.change(card.number, 2, CardWish(pricing=Pricing.SHOWN), "tap-2")
    bench.bar(110.0)
    assert bench.owner.execute(card.number, 3, "tap-3").kind is AnswerKind.STALE
    order = bench.order(card.client_order_id)
    assert (order.quantity, order.limit_price) == (Decimal("4.545454"), Decimal(110)), "the limit moves with the card"
    offer = bench.owner.offer(card.number)
    assert offer is not None
    assert offer.proposed * 110 <= 1000
    assert offer.proposed == Decimal("9.090909")


@pytest.mark.feature("T7")
@given(
    proposed=st.decimals(min_value=1, max_value=10_000, places=6),
    price=st.decimals(min_value="0.5", max_value=100_000, places=2),
    symbol=st.sampled_from(["SPY", "BTC-USD"]),
)
@settings(max_examples=80, deadline=None)
def test_every_size_on_offer_is_one_that_a_venue_takes(proposed: Decimal, price: Decimal, symbol: str) -> None:
    instrument = instrument_for(symbol)
    least = smallest_purchase(instrument, Policy())
    sizes = _sizes(proposed, price, instrument, least)
    for units in sizes.values():
        assert 0 < units <= proposed
        assert units % instrument.quantity_step == 0
        assert units * price >= least >= instrument.min_order_value
    assert len(set(sizes.values())) == len(sizes)


@pytest.mark.feature("T7")
def test_what_no_venue_takes_and_what_waits_for_nobody_cannot_be_chosen(bench: Bench) -> None:
    card = a_card(bench, quantity=Decimal("0.22"))
    offer = bench.owner.offer(card.number)
    assert offer is not None and set(offer.sizes) == {4, 3, 2}, "a quarter would be worth 5.50 USD"
    assert bench.owner.change(card.number, 1, QUARTER, "tap-1").kind is AnswerKind.REFUSED
    bench.owner.execute(card.number, 1, "tap-2")
    assert bench.owner.offer(card.number) is None
    assert bench.owner.card(card.number) is None
    assert bench.owner.change(card.number, 2, HALF, "tap-3").kind is AnswerKind.STALE
    assert bench.owner.offer(99) is None


def test_neither_a_sale_nor_an_order_for_the_owners_own_hand_is_changed_by_buttons(bench: Bench) -> None:
    bench.declare_cash()
    card = bench.instruct()
    assert bench.owner.offer(card.number) is None
    assert bench.owner.change(card.number, 1, HALF, "tap-1").kind is AnswerKind.REFUSED
    bench.owner.execute(card.number, 1, "tap-2")
    bench.place(an_exit(bench, account="manual", state=OrderState.AWAITING_OWNER))
    (sale,) = bench.owner.pending()
    assert bench.owner.offer(sale.number) is None


@pytest.mark.feature("T7")
def test_a_change_survives_a_restart_and_its_repetition_changes_nothing(bench: Bench) -> None:
    card = a_card(bench)
    bench.owner.change(card.number, 1, HALF, "tap-1")
    bench.restart()
    assert bench.owner.change(card.number, 1, HALF, "tap-1").kind is AnswerKind.UNCHANGED
    assert bench.owner.change(card.number, 1, HALF, "tap-2").kind is AnswerKind.STALE
    assert bench.order(card.client_order_id).quantity == 5
    assert len(bench.events(InstructionChanged)) == 1


@pytest.mark.feature("T1")
def test_why_is_answered_from_the_decision_that_made_the_order_also_when_the_card_is_over(bench: Bench) -> None:
    card = a_card(bench)
    bench.owner.skip(card.number, 1, "tap-1")
    why = bench.owner.explain(card.number)
    assert why is not None and why.signal is not None
    assert (why.signal.symbol, why.signal.prediction and why.signal.prediction.probability) == (COIN, 0.66)
    assert [verdict.gate for verdict in why.signal.verdicts] == ["probability"]
    assert bench.owner.explain(99) is None


def test_a_sale_at_its_stop_has_no_signal_to_show(bench: Bench) -> None:
    bench.declare_cash()
    first = bench.instruct()
    bench.owner.execute(first.number, 1, "tap-1")
    bench.place(an_exit(bench, account="manual", state=OrderState.AWAITING_OWNER))
    (sale,) = bench.owner.pending()
    why = bench.owner.explain(sale.number)
    assert why is not None and why.signal is None


@pytest.mark.feature("T6")
def test_without_an_answer_a_card_lapses_where_nothing_else_is_set(bench: Bench) -> None:
    card = a_card(bench)
    bench.system.advance(timedelta(minutes=60))
    assert expire_instructions(bench.desk) == 1
    assert bench.read(lambda work: work.instruction(card.number)).state is InstructionState.EXPIRED
    assert bench.venue.orders() == []


@pytest.mark.feature("T6")
def test_without_an_answer_play_money_buys_by_itself_where_that_is_set(tmp_path: Path) -> None:
    bench = a_bench(tmp_path, NoAnswer.EXECUTE)
    card = a_card(bench)
    bench.system.advance(timedelta(minutes=59))
    assert expire_instructions(bench.desk) == 0
    bench.system.advance(timedelta(minutes=1))
    assert expire_instructions(bench.desk) == 1
    assert [order.client_order_id for order in bench.venue.orders()] == [card.client_order_id]
    assert bench.events(InstructionSettled)[-1].detail == "the broker has the order"
    assert "sent by itself" in bench.read(lambda work: work.audit_trail())[0].outcome
    assert bench.owner.execute(card.number, 1, "tap-1").kind is AnswerKind.STALE
    assert expire_instructions(bench.desk) == 0
    assert len(bench.venue.orders()) == 1


@pytest.mark.feature("T6")
def test_nothing_is_bought_by_itself_at_a_price_outside_the_band_nor_while_paused(tmp_path: Path) -> None:
    bench = a_bench(tmp_path, NoAnswer.EXECUTE)
    card = a_card(bench)
    bench.bar(110.0)
    bench.system.advance(timedelta(minutes=60))
    expire_instructions(bench.desk)
    assert bench.venue.orders() == []
    assert bench.read(lambda work: work.instruction(card.number)).state is InstructionState.EXPIRED
    assert "left the band: not sent" in bench.events(InstructionSettled)[-1].detail
    a_card(bench, reference_price=Decimal(110))
    bench.owner.pause(None, "owner")
    bench.system.advance(timedelta(minutes=60))
    expire_instructions(bench.desk)
    assert bench.venue.orders() == []
    assert "not sent: paused" in bench.events(InstructionSettled)[-1].detail


@pytest.mark.feature("T6")
@pytest.mark.parametrize("no_answer", list(NoAnswer))
def test_a_manual_account_never_acts_by_itself_and_its_sales_wait_for_ever(tmp_path: Path, no_answer: NoAnswer) -> None:
    bench = a_bench(tmp_path, no_answer)
    bench.declare_cash()
    card = bench.instruct()
    for _ in range(5):
        bench.system.advance(timedelta(hours=1))
        expire_instructions(bench.desk)
    assert bench.read(lambda work: work.instruction(card.number)).state is InstructionState.EXPIRED
    assert bench.read(lambda work: work.portfolio("manual")).positions == {}
    bench.clock.advance(timedelta(minutes=5))
    bought = bench.instruct()
    bench.owner.execute(bought.number, bought.version, "tap-1")
    bench.place(an_exit(bench, account="manual", state=OrderState.AWAITING_OWNER))
    (sale,) = bench.owner.pending()
    for _ in range(50):
        bench.system.advance(timedelta(hours=10))
        assert expire_instructions(bench.desk) == 0
    assert bench.owner.pending() == (sale,)
    assert bench.read(lambda work: work.portfolio("manual")).quantity(COIN) == 10


@pytest.mark.feature("T6")
@pytest.mark.feature("T7")
def test_a_card_asked_again_offers_what_was_proposed_however_little_was_chosen(tmp_path: Path) -> None:
    bench = a_bench(tmp_path, NoAnswer.REMIND)
    card = a_card(bench)
    bench.owner.change(card.number, 1, QUARTER, "tap-1")
    assert bench.owner.pending()[0].quantity == Decimal("2.5")
    most = Decimal(10)
    for price in (110, 110):
        bench.bar(float(price))
        bench.system.advance(timedelta(minutes=60))
        expire_instructions(bench.desk)
        (again,) = bench.owner.pending()
        most = min(most, Decimal(1000) / price)
        offer = bench.owner.offer(card.number)
        assert offer is not None and offer.proposed == offer.sizes[4]
        assert most - Decimal("0.00001") < offer.proposed <= most
        assert again.quantity * price <= 250
    assert bench.events(InstructionIssued)[-1].proposed == offer.proposed
    shown = bench.owner.card(card.number)
    assert shown is not None and shown.proposed == offer.proposed
    bench.owner.change(card.number, again.version, WHOLE, "tap-2")
    assert bench.owner.pending()[0].quantity == offer.proposed


@pytest.mark.feature("T6")
def test_without_an_answer_a_card_is_asked_again_twice_at_the_price_of_then_and_lapses(tmp_path: Path) -> None:
    bench = a_bench(tmp_path, NoAnswer.REMIND)
    card = a_card(bench)
    for version, price in ((2, "110"), (3, "111")):
        bench.bar(float(price))
        bench.system.advance(timedelta(minutes=60))
        assert expire_instructions(bench.desk) == 1
        (again,) = bench.owner.pending()
        assert (again.number, again.version, again.price) == (card.number, version, Decimal(price))
        assert again.quantity * again.price <= 1000
        assert again.expires_at == bench.system.now() + timedelta(minutes=60)
        assert bench.events(InstructionSettled)[-1].outcome == "asked again"
    assert bench.owner.execute(card.number, 2, "tap-1").kind is AnswerKind.STALE
    bench.system.advance(timedelta(minutes=60))
    expire_instructions(bench.desk)
    assert bench.owner.pending() == ()
    assert bench.events(InstructionSettled)[-1].outcome == "expired"
    assert bench.venue.orders() == []


@pytest.mark.feature("T6")
def test_a_partly_filled_card_that_is_asked_again_keeps_its_figures(tmp_path: Path) -> None:
    bench = a_bench(tmp_path, NoAnswer.REMIND)
    bench.declare_cash()
    card = bench.instruct()
    bench.owner.report_fill(ReportedFill(COIN, Decimal(4), Decimal(100), None, None), "message-1")
    bench.bar(110.0)
    bench.system.advance(timedelta(minutes=60))
    assert expire_instructions(bench.desk) == 1
    (again,) = bench.owner.pending()
    assert (again.state, again.quantity, again.price) == (InstructionState.PARTIAL, 10, 100)
    assert bench.owner.execute(card.number, again.version, "tap-1").kind is AnswerKind.DONE
    assert bench.read(lambda work: work.portfolio("manual")).quantity(COIN) == 10


S = InstructionState
ALLOWED = {
    S.OPEN: {S.PARTIAL, S.EXECUTED, S.SKIPPED, S.EXPIRED, S.SUPERSEDED, S.APPROVED},
    S.PARTIAL: {S.EXECUTED, S.SKIPPED, S.EXPIRED, S.SUPERSEDED},
    S.SKIPPED: {S.EXECUTED},
    S.EXPIRED: {S.EXECUTED},
    S.SUPERSEDED: {S.EXECUTED},
    S.EXECUTED: set(),
    S.APPROVED: set(),
}


@pytest.mark.feature("T3")
@pytest.mark.parametrize("before", list(S))
@pytest.mark.parametrize("after", list(S))
def test_a_card_becomes_only_what_the_table_says(before: InstructionState, after: InstructionState) -> None:
    assert set(INSTRUCTION_TRANSITIONS) == set(S)
    card = an_instruction(state=before, version=4)
    if after is before or after in ALLOWED[before]:
        assert card.moved(after) == replace(card, state=after, version=5)
    else:
        with pytest.raises(ImpossibleCard, match=f"{before} -> {after}"):
            card.moved(after)


def test_the_words_of_a_change_are_exact(bench: Bench) -> None:
    card = a_card(bench, quantity=Decimal("3.333333"))
    answer = bench.owner.change(card.number, 1, HALF, "tap-1")
    assert f"{plain(Decimal('1.666666'))} of 3.333333" in answer.text
