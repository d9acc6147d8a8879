"""Sales in the broker's own app while the broker has failed us: never a card for another broker, never booked from the
card, and settled by themselves (S11, DESIGN 8)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from bot.cards import CardAction, CardToken, card_keyboard, perform, staleness, toast
from bot.markup import visible
from bot.render import render
from bot.render_accounts import positions as render_positions
from core.domain.events import (
    BrokerFellBack,
    BrokerReturned,
    ExitReminder,
    InstructionIssued,
    InstructionSettled,
    OrderFilled,
    PositionUnguarded,
)
from core.domain.orders import OrderState, OrderType, Purpose, Side
from core.domain.portfolio import GuardKind
from core.domain.records import InstructionState
from core.domain.venue import OrderRequest, Resting
from core.domain.views import AnswerKind, ReportedFill
from core.execution.escalation import remind
from core.execution.venue_state import state_of
from tests.builders import COIN, an_entry
from tests.unit.test_fallback import DOWN, REFUSED, ZONE, Broken

MakeBench = Callable[..., Broken]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeBench]:
    """A bench that holds 10 coins bought at 100, stop 95; what rests at its venue is chosen."""
    made = list[Broken]()

    def bench(rests: Resting = Resting.NOTHING) -> Broken:
        broken = Broken(tmp_path)
        made.append(broken)
        broken.door.resting = lambda symbol, quantity: rests
        broken.start()
        broken.place(an_entry(broken))
        broken.bar(100.0)
        broken.reconcile()
        assert broken.read(lambda work: work.portfolio("simulated").quantity(COIN)) == 10
        return broken

    yield bench
    for each in made:
        each.close()


def sold_in_the_app(bench: Broken, quantity: str = "10") -> None:
    """The owner sells at the venue, past us."""
    request = OrderRequest("by-hand", COIN, Side.SELL, Decimal(quantity), OrderType.MARKET, Purpose.EXIT)
    bench.door.behind.submit(request)
    bench.bar(94.0)


def cards(bench: Broken) -> list[InstructionIssued]:
    return bench.events(InstructionIssued)


def a_card_to_sell(bench: Broken) -> InstructionIssued:
    """The one that comes when the broker has failed and the price has fallen to the stop."""
    bench.fail(REFUSED, 4)
    bench.bar(94.0)
    bench.minutes(1)
    (card,) = cards(bench)
    return card


@pytest.mark.feature("S11")
def test_a_stop_that_the_engine_watched_becomes_a_card_for_the_brokers_own_app(make: MakeBench) -> None:
    bench = make()
    bench.declare_cash("5000")
    bench.fail(REFUSED, 4)
    sent = len(bench.door.sent)
    bench.bar(94.0)
    bench.minutes(3)
    (card,) = cards(bench)
    assert (card.account, card.side, card.quantity, card.needs_approval) == ("simulated", Side.SELL, Decimal(10), False)
    assert len(bench.door.sent) == sent
    text = visible(render(card, ZONE).text)
    assert text.startswith(f"🚨 {COIN} SELL 10 in Simulated broker's own app")
    assert "nowhere else" in text and "/executed" not in text
    labels = [button.label for row in card_keyboard(card) for button in row]
    assert labels == ["✅ Done", "✋ Cannot", "🔎 Why"]
    rows = json.loads((bench.folder / "signals" / "manual_trades.json").read_text())["instructions"]
    assert [(row["account"], row["in_app"], row["state"]) for row in rows] == [("simulated", True, "open")]


@pytest.mark.feature("S11")
@pytest.mark.feature("S13")
def test_what_only_the_engine_watches_is_told_and_counted_as_unguarded(make: MakeBench) -> None:
    bench = make()
    bench.fail(REFUSED, 4)
    (fell,) = bench.events(BrokerFellBack)
    assert [(left.symbol, left.rests, left.stop) for left in fell.positions] == [(COIN, False, Decimal("95.095"))]
    assert "No stop rests there" in visible(render(fell, ZONE).text)
    assert bench.events(PositionUnguarded) == []
    assert bench.owner.status().unguarded == 1
    (guard,) = bench.read(lambda work: work.guards("simulated"))
    assert guard.kind is GuardKind.OWNER
    bench.fail(None, 3)
    (guard,) = bench.read(lambda work: work.guards("simulated"))
    assert (guard.kind, guard.stop, bench.owner.status().unguarded) == (GuardKind.ENGINE, Decimal("95.095"), 0)


@pytest.mark.feature("S11")
@pytest.mark.feature("S13")
def test_what_rests_at_the_venue_is_left_alone_and_sells_without_us(make: MakeBench) -> None:
    bench = make(Resting.PAIR)
    (guard,) = bench.read(lambda work: work.guards("simulated"))
    assert guard.kind is GuardKind.VENUE
    bench.fail(REFUSED, 4)
    assert bench.events(BrokerFellBack)[0].positions[0].rests
    assert bench.owner.status().unguarded == 0
    (position,) = bench.owner.positions().positions
    assert position.seen_at == guard.last_seen_at
    text = visible(render_positions(bench.owner.positions(), ZONE).text)
    assert "Last seen" in text and "it does not answer" in text
    bench.policy = replace(bench.policy, trailing_fraction=Decimal("0.01"))
    bench.bar(104.0)
    bench.minutes(1)
    refused = bench.owner.move_levels(COIN, Decimal(98), None, "owner", "tap")
    assert refused.kind is AnswerKind.REFUSED and "in its own app" in refused.text
    assert bench.read(lambda work: work.guards("simulated"))[0].stop == guard.stop
    bench.bar(94.0)
    bench.minutes(2)
    assert cards(bench) == [] and bench.door.calls["cancel"] == 0
    bench.fail(None, 3)
    assert bench.owner.positions().positions == ()
    (returned,) = bench.events(BrokerReturned)
    assert [(trade.symbol, trade.bought, trade.by_hand) for trade in returned.found] == [(COIN, False, False)]


@pytest.mark.feature("S11")
@pytest.mark.feature("M13")
def test_what_was_sold_in_the_app_is_seen_booked_and_settles_the_card(make: MakeBench) -> None:
    bench = make()
    card = a_card_to_sell(bench)
    done = CardToken(CardAction.DONE, card.number, card.version)
    assert staleness(done, bench.owner.pending()) is None and "is done" in toast(done)
    answer = perform(bench.owner, done)
    assert answer.kind is AnswerKind.DONE and "booked when the broker tells" in answer.text
    assert bench.read(lambda work: work.portfolio("simulated").quantity(COIN)) == 10
    sold_in_the_app(bench)
    bench.minutes(2)
    assert len(cards(bench)) == 1
    bench.fail(None, 3)
    assert bench.read(lambda work: work.portfolio("simulated").quantity(COIN)) == 0
    (returned,) = bench.events(BrokerReturned)
    assert [(trade.quantity, trade.by_hand) for trade in returned.found] == [(Decimal(10), True)]
    assert [event.outcome for event in bench.events(InstructionSettled)] == ["done"]
    assert bench.order(card.client_order_id).state is OrderState.CANCELED
    assert bench.read(lambda work: work.portfolio("manual").turnover) == 0
    assert len(bench.events(OrderFilled)) == 2


@pytest.mark.feature("S11")
@pytest.mark.feature("S13")
def test_a_stop_that_the_owner_placed_in_the_app_is_adopted_and_makes_way_for_a_sale(make: MakeBench) -> None:
    bench = make()
    bench.fail(REFUSED, 4)
    stop = OrderRequest(
        "stop-by-hand", COIN, Side.SELL, Decimal(10), OrderType.STOP, Purpose.STOP, stop_price=Decimal("94.5")
    )
    bench.door.behind.submit(stop)
    bench.door.resting = lambda symbol, quantity: Resting.PAIR
    sent = len(bench.door.sent)
    bench.fail(None, 3)
    (guard,) = bench.read(lambda work: work.guards("simulated"))
    assert (guard.kind, guard.stop) == (GuardKind.VENUE, Decimal("94.5"))
    assert len(bench.door.sent) == sent and bench.owner.locks() == ()
    answer = bench.owner.close(COIN, Decimal(1), "owner", "tap")
    assert "the sale is with the broker" in answer.text
    bench.bar(100.0)
    bench.reconcile()
    assert bench.read(lambda work: work.portfolio("simulated").quantity(COIN)) == 0
    assert bench.door.behind.orders() == []


@pytest.mark.feature("S11")
def test_an_open_card_settles_by_itself_when_the_sale_is_seen(make: MakeBench) -> None:
    bench = make()
    card = a_card_to_sell(bench)
    sold_in_the_app(bench)
    bench.fail(None, 1)
    (settled,) = bench.events(InstructionSettled)
    assert (settled.outcome, settled.detail) == ("executed", "sold, as the broker tells")
    assert bench.read(lambda work: state_of(work, "simulated")).is_fallen
    assert bench.read(lambda work: work.instruction(card.number)).state is InstructionState.EXECUTED


@pytest.mark.feature("S11")
def test_what_nobody_sold_the_engine_sells_once_the_broker_is_back(make: MakeBench) -> None:
    bench = make()
    card = a_card_to_sell(bench)
    assert perform(bench.owner, CardToken(CardAction.CANNOT, card.number, card.version)).kind is AnswerKind.DONE
    bench.minutes(5)
    assert len(cards(bench)) == 1
    sent = len(bench.door.sent)
    bench.fail(None, 3)
    assert [event.outcome for event in bench.events(InstructionSettled)] == ["cannot"]
    assert [(request.side, request.purpose) for request in bench.door.sent[sent:]] == [(Side.SELL, Purpose.EXIT)]
    assert bench.events(BrokerReturned)[0].cards == 1


@pytest.mark.feature("S11")
@pytest.mark.feature("M1")
def test_executed_books_nothing_for_such_a_card(make: MakeBench) -> None:
    bench = make()
    bench.declare_cash("5000")
    card = a_card_to_sell(bench)
    for said in (
        ReportedFill(COIN, Decimal(10), Decimal(94), None, None),
        ReportedFill(None, None, None, None, card.number),
    ):
        answer = bench.owner.report_fill(said, f"tap {said.number}")
        assert answer.kind is AnswerKind.REFUSED and "Nothing was booked" in answer.text
    assert bench.read(lambda work: work.portfolio("manual").turnover) == 0
    bench.instruct(symbol="ETH-USD")
    answer = bench.owner.report_fill(ReportedFill(None, None, None, None, None), "the only one that is meant")
    assert answer.kind is AnswerKind.DONE and "Bought 10 ETH-USD" in answer.text


@pytest.mark.feature("S11")
@pytest.mark.feature("T10")
def test_such_a_card_is_brought_up_again_until_it_is_answered(make: MakeBench) -> None:
    bench = make()
    bench.fail(REFUSED, 4)
    bench.bar(94.0)
    bench.minutes(1)
    remind(bench.desk)
    bench.minutes(11)
    assert remind(bench.desk) == 1
    (reminder,) = bench.events(ExitReminder)
    assert "Sell it in Simulated broker's own app" in visible(render(reminder, ZONE).text)
    tokens = [CardToken.parse(button.token) for row in card_keyboard(reminder) for button in row]
    assert [token.action for token in tokens if token] == [CardAction.DONE, CardAction.CANNOT, CardAction.WHY]


@pytest.mark.feature("S11")
@pytest.mark.feature("C3")
def test_what_the_owner_wants_sold_meanwhile_comes_as_such_a_card_and_nothing_there_is_cancelled(
    make: MakeBench,
) -> None:
    bench = make(Resting.PAIR)
    bench.fail(REFUSED, 4)
    answer = bench.owner.close(COIN, Decimal(1), "owner", "tap")
    assert answer.kind is AnswerKind.DONE and "broker's own app" in answer.text
    (card,) = cards(bench)
    assert "Cancel the stop at 95 that rests there first" in visible(render(card, ZONE).text)
    assert bench.door.calls["cancel"] == 0
    bench.owner.flatten("owner")
    assert "no position" not in bench.owner.exit_all().text
    assert bench.door.calls["cancel"] == 0 and len(cards(bench)) == 1


@pytest.mark.feature("S11")
def test_a_sale_of_unknown_fate_does_not_keep_the_owner_from_selling(make: MakeBench) -> None:
    bench = make()
    bench.door.error = DOWN
    bench.bar(94.0)
    bench.minutes(1)
    (doubtful,) = [order for order in bench.read(lambda work: work.live_orders("simulated"))]
    assert (doubtful.purpose, doubtful.state) == (Purpose.EXIT, OrderState.UNKNOWN)
    bench.minutes(12)
    (card,) = cards(bench)
    assert "may have arrived" in card.why
    sold_in_the_app(bench)
    bench.fail(None, 4)
    assert bench.read(lambda work: work.portfolio("simulated").quantity(COIN)) == 0
    assert not [order for order in bench.read(lambda work: work.live_orders("simulated"))]
