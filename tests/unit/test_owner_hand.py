"""What the owner does to a position by hand: sell it whole or in part, move its stop or target."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import VirtualClock
from core.domain.accounts import Mode
from core.domain.events import GuardMoved, InstructionIssued
from core.domain.orders import OrderState, OrderType, Purpose, Side
from core.domain.portfolio import Guard, GuardKind
from core.domain.records import QuestionChoice
from core.domain.values import ZERO
from core.domain.views import AnswerKind
from core.errors import Transient
from core.execution.wanted import WANTED
from core.execution.watch import guard
from tests.builders import COIN, MONDAY, Bench, an_entry
from tests.fakes_chaos import ChaosVenue

HALF, ALL = Decimal("0.5"), Decimal(1)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """10 units held at the venue, guarded there by a stop at 95 and a target at 115."""
    bench = Bench(tmp_path).start()
    bench.place(an_entry(bench))
    bench.bar(100)
    bench.reconcile()
    return bench


def minute(bench: Bench) -> None:
    bench.clock.advance(timedelta(minutes=1))
    bench.system.advance(timedelta(minutes=1))
    guard(bench.desk, bench.clock.now())


def held(bench: Bench, account: str = "simulated") -> Decimal:
    return bench.read(lambda work: work.portfolio(account)).quantity(COIN)


def the_guard(bench: Bench, account: str = "simulated") -> Guard:
    (found,) = bench.read(lambda work: work.guards(account))
    return found


def resting(bench: Bench) -> dict[Purpose, tuple[Decimal, Decimal | None]]:
    """What rests at the venue: units and price by purpose."""
    return {order.purpose: (order.quantity, order.stop_price or order.limit_price) for order in bench.venue.orders()}


@pytest.mark.feature("C3")
def test_a_whole_position_is_sold_once_its_resting_orders_are_gone(bench: Bench) -> None:
    answer = bench.owner.close("btc", ALL, "owner", "tap-1")
    assert answer.kind is AnswerKind.DONE
    assert "10 BTC-USD in simulated: the sale is with the broker" in answer.text
    assert resting(bench) == {Purpose.EXIT: (Decimal(10), None)}
    bench.bar(101)
    bench.reconcile()
    assert held(bench) == ZERO
    assert bench.read(lambda work: work.guards("simulated")) == []


@pytest.mark.feature("C3")
def test_after_half_is_sold_the_other_half_is_guarded_at_its_own_size(bench: Bench) -> None:
    assert bench.owner.close("BTC-USD", HALF, "owner", "tap-1").kind is AnswerKind.DONE
    bench.bar(101)
    minute(bench)
    assert held(bench) == Decimal(5)
    minute(bench)
    assert resting(bench) == {Purpose.STOP: (Decimal(5), Decimal(95)), Purpose.TARGET: (Decimal(5), Decimal(115))}
    assert the_guard(bench).kind is GuardKind.VENUE


@pytest.mark.feature("C3")
def test_the_same_command_sells_once_and_a_second_one_finds_the_sale_under_way(bench: Bench) -> None:
    bench.owner.close("BTC", HALF, "owner", "tap-1")
    assert bench.owner.close("BTC", HALF, "owner", "tap-1").kind is AnswerKind.UNCHANGED
    second = bench.owner.close("BTC", HALF, "owner", "tap-2")
    assert (second.kind, "being sold already" in second.text) == (AnswerKind.REFUSED, True)
    bench.bar(101)
    bench.reconcile()
    assert held(bench) == Decimal(5)
    assert bench.owner.close("BTC", HALF, "owner", "tap-1").kind is AnswerKind.UNCHANGED


@pytest.mark.feature("C3")
@pytest.mark.parametrize("mode", [Mode.CONFIRM, Mode.MANUAL, Mode.OBSERVE])
def test_no_mode_and_no_pause_holds_the_owners_sale_back(bench: Bench, mode: Mode) -> None:
    bench.owner.set_mode(mode, "owner")
    bench.owner.pause(None, "owner")
    assert bench.owner.close("BTC", ALL, "owner", "tap-1").kind is AnswerKind.DONE
    assert Purpose.EXIT in resting(bench)


@pytest.mark.feature("C3")
@pytest.mark.parametrize("fraction", ["0", "-0.5", "1.01", "NaN"])
def test_a_share_that_is_none_sells_nothing(bench: Bench, fraction: str) -> None:
    assert bench.owner.close("BTC", Decimal(fraction), "owner", "tap-1").kind is AnswerKind.REFUSED
    assert Purpose.EXIT not in resting(bench)


@pytest.mark.feature("C3")
def test_what_nobody_holds_cannot_be_sold(bench: Bench) -> None:
    answer = bench.owner.close("SPY", ALL, "owner", "tap-1")
    assert (answer.kind, answer.text) == (AnswerKind.REFUSED, "No account holds SPY. Nothing was sold.")


@pytest.mark.feature("C3")
def test_half_of_one_share_is_no_share(tmp_path: Path) -> None:
    bench = Bench(tmp_path, symbols=("SPY",)).start()
    bench.place(an_entry(bench, symbol="SPY", quantity=Decimal(1)))
    bench.bar(100, symbol="SPY")
    bench.reconcile()
    answer = bench.owner.close("SPY", HALF, "owner", "tap-1")
    assert (answer.kind, answer.text) == (AnswerKind.REFUSED, "50 % of 1 SPY is less than 1.")


@pytest.mark.feature("C3")
def test_in_the_manual_account_a_card_asks_for_the_part_and_a_stop_asks_for_all(tmp_path: Path) -> None:
    bench = Bench(tmp_path, has_broker=False).start()
    bench.declare_cash("10000")
    card = bench.instruct()
    bench.owner.execute(card.number, card.version, "tap-0")
    answer = bench.owner.close("BTC", HALF, "owner", "tap-1")
    assert (answer.kind, "a card asks you to sell it" in answer.text) == (AnswerKind.DONE, True)
    part = bench.owner.pending()[-1]
    assert (part.side, part.quantity) == (Side.SELL, Decimal(5))
    bench.bar(94)
    minute(bench)
    (whole,) = bench.owner.pending()
    assert (whole.side, whole.quantity) == (Side.SELL, Decimal(10))
    minute(bench)
    assert [each.number for each in bench.owner.pending()] == [whole.number]
    assert [event.quantity for event in bench.events(InstructionIssued) if event.side is Side.SELL] == [5, 10]


@pytest.fixture
def chaotic(tmp_path: Path) -> tuple[Bench, ChaosVenue]:
    """10 units held at a venue that fails when it is told to."""
    venue = ChaosVenue(VirtualClock(MONDAY), lambda _symbol: Decimal(100))
    bench = Bench(tmp_path, wrap=lambda _real: venue)
    venue.clock = bench.clock
    bench.start()
    order = an_entry(bench)
    bench.place(order)
    venue.fill(order.client_order_id, Decimal(10), Decimal(100))
    bench.reconcile()
    return bench, venue


@pytest.mark.feature("C3")
def test_a_venue_that_does_not_answer_is_told_and_sells_nothing(chaotic: tuple[Bench, ChaosVenue]) -> None:
    bench, venue = chaotic
    venue.is_down = True
    answer = bench.owner.close("BTC", ALL, "owner", "tap-1")
    assert (answer.kind, "does not answer: nothing of BTC-USD was sold" in answer.text) == (AnswerKind.REFUSED, True)
    venue.calm()
    assert bench.owner.close("BTC", ALL, "owner", "tap-1").kind is AnswerKind.DONE


@pytest.mark.feature("C3")
def test_a_cancellation_that_was_lost_is_asked_for_again_and_the_sale_goes_out_at_once(
    chaotic: tuple[Bench, ChaosVenue],
) -> None:
    bench, venue = chaotic
    venue.cancel_is_lost = True
    assert bench.owner.close("BTC", ALL, "owner", "tap-1").kind is AnswerKind.DONE
    assert [order.purpose for order in venue.live()] == [Purpose.EXIT]


@pytest.mark.feature("C3")
def test_without_a_confirmed_cancellation_nothing_is_sold_and_that_is_said(
    chaotic: tuple[Bench, ChaosVenue], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, venue = chaotic

    def lost(_name: str) -> None:
        raise Transient("the venue did not answer")

    with monkeypatch.context() as silent:
        silent.setattr(venue, "cancel", lost)
        answer = bench.owner.close("BTC", ALL, "owner", "tap-1")
    assert (answer.kind, "has not confirmed" in answer.text) == (AnswerKind.REFUSED, True)
    assert Purpose.EXIT not in [order.purpose for order in venue.live()]
    assert bench.owner.close("BTC", ALL, "owner", "tap-2").kind is AnswerKind.DONE
    assert [order.purpose for order in venue.live()] == [Purpose.EXIT]


@pytest.mark.feature("C4")
def test_a_moved_stop_rests_at_its_new_level_with_before_and_after_told(bench: Bench) -> None:
    answer = bench.owner.move_levels("BTC", Decimal("97.5"), None, "owner", "tap-1")
    assert (answer.kind, answer.text) == (AnswerKind.DONE, "BTC-USD in simulated: stop 95 -> 97.5 USD.")
    assert resting(bench) == {
        Purpose.STOP: (Decimal(10), Decimal("97.5")),
        Purpose.TARGET: (Decimal(10), Decimal(115)),
    }
    minute(bench)
    found = the_guard(bench)
    assert (found.kind, found.stop, found.target) == (GuardKind.VENUE, Decimal("97.5"), Decimal(115))
    (event,) = bench.events(GuardMoved)
    assert (event.former_stop, event.stop, event.former_target, event.target) == (95, Decimal("97.5"), 115, 115)
    assert bench.read(lambda work: work.value(WANTED)) is None


@pytest.mark.feature("C4")
def test_stop_and_target_may_move_together_and_the_venue_sells_at_them(bench: Bench) -> None:
    bench.owner.move_levels("BTC", Decimal(90), Decimal(105), "owner", "tap-1")
    bench.bar(100, 106, 99, 105)
    bench.reconcile()
    assert held(bench) == ZERO
    (sale,) = [
        order
        for order in bench.read(lambda work: work.orders("simulated"))
        if order.state is OrderState.FILLED and order.side is Side.SELL
    ]
    assert (sale.type, sale.limit_price) == (OrderType.LIMIT, Decimal(105))


@pytest.mark.feature("C4")
@pytest.mark.parametrize(
    ("stop", "target", "why"),
    [
        ("100", None, "would sell at once"),
        (None, "99", "would sell at once"),
        ("120", "118", "is not below the target"),
        ("0", None, "above zero"),
        (None, None, "Name the new stop"),
    ],
)
def test_levels_that_cannot_be_change_nothing(bench: Bench, stop: str | None, target: str | None, why: str) -> None:
    before = resting(bench)
    levels_asked = (Decimal(stop) if stop else None, Decimal(target) if target else None)
    answer = bench.owner.move_levels("BTC", *levels_asked, "owner", "tap-1")
    assert (answer.kind, why in answer.text) == (AnswerKind.REFUSED, True)
    assert resting(bench) == before
    assert bench.events(GuardMoved) == []


@pytest.mark.feature("C4")
def test_levels_are_not_moved_where_nothing_would_place_the_new_ones(bench: Bench) -> None:
    """The symbol was taken out of the settings: the stop at the venue is all that it has."""
    before = resting(bench)
    bench.symbols = ("ETH-USD",)
    bench.restart()
    answer = bench.owner.move_levels("BTC", Decimal(97), None, "owner", "tap-1")
    assert (answer.kind, "move its stop at the broker" in answer.text) == (AnswerKind.REFUSED, True)
    minute(bench)
    assert resting(bench) == before


@pytest.mark.feature("C4")
def test_a_level_moved_back_before_the_venue_followed_stays_where_it_was(chaotic: tuple[Bench, ChaosVenue]) -> None:
    bench, venue = chaotic
    venue.is_down = True
    bench.owner.move_levels("BTC", Decimal(97), None, "owner", "tap-1")
    assert bench.owner.move_levels("BTC", Decimal(95), None, "owner", "tap-2").kind is AnswerKind.DONE
    venue.calm()
    for _ in range(5):
        minute(bench)
    assert [order.stop_price for order in venue.live() if order.purpose is Purpose.STOP] == [Decimal(95)]
    assert (the_guard(bench).kind, the_guard(bench).stop) == (GuardKind.VENUE, Decimal(95))


@pytest.mark.feature("C4")
def test_a_repeated_move_does_not_undo_a_later_one(bench: Bench) -> None:
    bench.owner.move_levels("BTC", Decimal(97), None, "owner", "tap-1")
    bench.owner.move_levels("BTC", Decimal(98), None, "owner", "tap-2")
    assert bench.owner.move_levels("BTC", Decimal(97), None, "owner", "tap-1").kind is AnswerKind.UNCHANGED
    minute(bench)
    assert the_guard(bench).stop == Decimal(98)
    assert bench.owner.move_levels("BTC", Decimal(98), None, "owner", "tap-3").kind is AnswerKind.UNCHANGED


@pytest.mark.feature("C4")
def test_a_venue_that_keeps_the_old_order_is_asked_until_the_new_one_rests(chaotic: tuple[Bench, ChaosVenue]) -> None:
    bench, venue = chaotic
    venue.cancel_is_lost = True
    bench.owner.move_levels("BTC", Decimal(97), None, "owner", "tap-1")
    for _ in range(8):
        minute(bench)
    stops = [order.stop_price for order in venue.live() if order.purpose is Purpose.STOP]
    assert stops == [Decimal(97)]
    assert (the_guard(bench).kind, the_guard(bench).stop) == (GuardKind.VENUE, Decimal(97))
    assert bench.read(lambda work: work.value(WANTED)) is None


@pytest.mark.feature("C4")
def test_the_owners_levels_survive_a_restart_before_the_venue_has_them(chaotic: tuple[Bench, ChaosVenue]) -> None:
    bench, venue = chaotic
    venue.is_down = True
    answer = bench.owner.move_levels("BTC", None, Decimal(120), "owner", "tap-1")
    assert "not confirmed the new order yet" in answer.text
    assert (the_guard(bench).kind, the_guard(bench).target) == (GuardKind.ENGINE, Decimal(120))
    bench.database.close()
    bench.wrap = lambda _real: venue
    bench.open()
    venue.calm()
    for _ in range(5):
        minute(bench)
    assert [order.limit_price for order in venue.live() if order.purpose is Purpose.TARGET] == [Decimal(120)]


@pytest.mark.feature("C4")
def test_a_stop_placed_at_the_owners_own_broker_has_to_be_placed_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path, has_broker=False).start()
    bench.declare_cash("10000")
    card = bench.instruct()
    bench.owner.execute(card.number, card.version, "tap-0")
    (asked,) = bench.owner.questions()
    bench.owner.answer(asked.number, asked.version, QuestionChoice.PLACED, "tap-1")
    bench.owner.move_levels("BTC", Decimal(97), None, "owner", "tap-2")
    found = the_guard(bench, "manual")
    assert (found.kind, found.stop, found.placed_at) == (GuardKind.OWNER, Decimal(97), None)
    (again,) = bench.owner.questions()
    assert again.stop == Decimal(97)
