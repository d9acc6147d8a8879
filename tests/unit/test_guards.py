"""Every position has its guard: at the venue, by the engine, or in the owner's hand; nothing is in an exit's way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.clock import VirtualClock
from core.cycle import recover
from core.domain.accounts import Mode
from core.domain.decisions import BrakeKind
from core.domain.events import (
    ExitReminder,
    GuardMoved,
    OrderFilled,
    PositionUnguarded,
    ProtectionFailed,
    QuestionAsked,
    QuestionSettled,
)
from core.domain.orders import OrderState, Purpose, Side
from core.domain.portfolio import Guard, GuardKind
from core.domain.records import InstructionState, QuestionChoice
from core.domain.venue import OrderRequest, Refusal, Refused, Replacement, Resting, SubmitResult
from core.domain.views import AnswerKind, OwnTrade, ReportedFill
from core.errors import Transient
from core.execution.escalation import remind
from core.execution.moving import ASKED
from core.execution.wanted import WANTED
from core.execution.watch import guard
from core.strategy.policy import Policy
from tests.builders import COIN, MONDAY, Bench, an_entry, an_exit
from tests.fakes_chaos import ChaosVenue, Mishap
from tests.guard_stage import HUNDRED, TEN, Death, a_stage_over, hold, watch

ETH = "ETH-USD"


class Stubborn(ChaosVenue):
    """Takes no stops, lets none go and moves none while told so. `asked_under`: the ids of all replacements."""

    refuses_stops = False
    keeps_orders = False
    refuses_moves = False
    moves_nothing = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked_under: set[str] = set()

    def replace(self, client_order_id: str, change: Replacement) -> SubmitResult:
        self.asked_under.add(change.client_order_id)
        if self.refuses_moves:
            return Refused("its stop is too close to the price")
        if self.moves_nothing:
            return Refused("it is not at the exchange yet", Refusal.FIXED)
        return super().replace(client_order_id, change)

    def cancel(self, client_order_id: str) -> None:
        if self.keeps_orders:
            raise Transient("the venue did not answer")
        super().cancel(client_order_id)

    def submit(self, request: OrderRequest) -> SubmitResult:
        if self.refuses_stops and request.purpose is Purpose.STOP:
            return Refused("stops are not offered for this asset")
        return super().submit(request)


def a_stage(folder: Path, **settings: Any) -> tuple[Bench, Stubborn]:
    return a_stage_over(folder, Stubborn(VirtualClock(MONDAY), lambda _symbol: HUNDRED), **settings)


def the_guard(bench: Bench, account: str = "simulated", symbol: str = COIN) -> Guard:
    (found,) = [each for each in bench.read(lambda work: work.guards(account)) if each.symbol == symbol]
    return found  # type: ignore[no-any-return]


def resting_stops(venue: ChaosVenue) -> list[tuple[Decimal, Decimal | None]]:
    return [(each.quantity, each.stop_price) for each in venue.live() if each.purpose is Purpose.STOP]


# protection at the venue


@pytest.mark.feature("S13")
def test_levels_follow_the_average_of_what_was_really_paid(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    entry = an_entry(bench, bracket=None)
    bench.place(entry)
    venue.fill(entry.client_order_id, Decimal(4), Decimal(101))
    bench.reconcile()
    assert (the_guard(bench).kind, the_guard(bench).stop) == (GuardKind.ENGINE, Decimal("95.95"))
    venue.fill(entry.client_order_id, Decimal(6), Decimal(103))
    watch(bench)
    # (4 x 101 + 6 x 103) / 10 = 102.2: five per cent below and fifteen above.
    assert (the_guard(bench).stop, the_guard(bench).target) == (Decimal("97.09"), Decimal("117.53"))
    watch(bench)
    assert the_guard(bench).kind is GuardKind.VENUE
    assert resting_stops(venue) == [(TEN, Decimal("97.09"))]


@pytest.mark.feature("S13")
def test_a_look_is_asked_for_after_what_may_fill_at_once_and_after_nothing_else(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    asked = list[str]()
    bench.desk = replace(bench.desk, sent=asked.append)
    hold(bench, venue, bracket=None)
    assert asked == ["simulated"]
    assert watch(bench) == "1 stops placed"
    bench.place(an_entry(bench, origin="too much", symbol=ETH, quantity=Decimal(10_000)))
    assert asked == ["simulated"], "neither a stop nor what was refused"
    bench.place(an_exit(bench))
    assert asked == ["simulated", "simulated"]


@pytest.mark.feature("S13")
def test_a_half_filled_entry_is_watched_and_its_exit_clears_the_way(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    hold(bench, venue, Decimal(4))
    assert the_guard(bench).kind is GuardKind.ENGINE
    bench.owner.flatten("owner")
    assert watch(bench) == "1 exits sent"
    (sale,) = [each for each in venue.requests if each.purpose is Purpose.EXIT]
    assert sale.quantity == 4, "what is held, not what was ordered"
    assert venue.live() == [venue.book[sale.client_order_id]], "the entry is gone, and the bracket that it left behind"


@pytest.mark.feature("S13")
def test_a_stop_that_the_venue_refuses_is_alarmed_and_the_position_sold_in_the_same_minute(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, symbols=(COIN, ETH))
    hold(bench, venue, bracket=None)
    hold(bench, venue, symbol=ETH)
    venue.refuses_stops = True
    watch(bench)
    (alarm,) = bench.events(ProtectionFailed)
    assert (alarm.symbol, "not offered" in alarm.reason) == (COIN, True)
    (sale,) = [each for each in venue.requests if each.purpose is Purpose.EXIT]
    assert (sale.symbol, sale.quantity) == (COIN, TEN)
    (brake,) = bench.read(lambda work: work.brakes())
    assert (brake.kind, brake.scope) == (BrakeKind.FLATTEN, f"simulated/{COIN}")
    assert the_guard(bench).kind is GuardKind.ENGINE, "watched for as long as it is held"
    venue.fill(sale.client_order_id, TEN, Decimal(99))
    watch(bench)
    assert set(venue.positions) == {ETH}
    assert the_guard(bench, symbol=ETH).kind is GuardKind.VENUE


@pytest.mark.feature("S13")
def test_a_refused_stop_is_acted_on_though_the_process_died_with_the_refusal_written(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    hold(bench, venue)
    venue.end(next(each.client_order_id for each in venue.live() if each.purpose is Purpose.STOP), OrderState.CANCELED)
    venue.refuses_stops = True

    def dies(name: str) -> None:
        if name == "result.after_commit":
            raise Death

    bench.checkpoint = dies
    with pytest.raises(Death):
        watch(bench)
    bench.checkpoint = lambda _name: None
    venue.refuses_stops = False
    bench.restart()
    guard(bench.desk, bench.clock.now())
    assert [(each.purpose, each.quantity) for each in venue.live()] == [(Purpose.EXIT, TEN)]
    assert len(bench.events(ProtectionFailed)) == 1


@pytest.mark.feature("S13")
def test_an_exit_is_not_in_the_way_of_an_entry_that_waits_for_approval(tmp_path: Path) -> None:
    """The card rests nowhere: it is taken back, and the sale goes out."""
    bench, venue = a_stage(tmp_path, mode=Mode.CONFIRM)
    bench.place(an_entry(bench, state=OrderState.AWAITING_OWNER))
    (card,) = bench.owner.pending()
    venue.positions[COIN] = Decimal(3)
    bench.reconcile()
    (asked,) = bench.owner.questions()
    bench.owner.answer(asked.number, asked.version, QuestionChoice.ADOPT, "tap-1")
    bench.bar(90.0)
    watch(bench)
    (sale,) = [each for each in venue.requests if each.purpose is Purpose.EXIT]
    assert sale.quantity == 3
    assert bench.read(lambda work: work.instruction(card.number)).state is InstructionState.SUPERSEDED
    assert bench.order(card.client_order_id).state is OrderState.CANCELED


@pytest.mark.feature("C6")
@pytest.mark.parametrize("mode", sorted(Mode))
def test_an_exit_goes_out_in_every_mode_without_asking(tmp_path: Path, mode: Mode) -> None:
    bench, venue = a_stage(tmp_path)
    venue.rests = Resting.NOTHING
    hold(bench, venue, Decimal(4))
    bench.owner.set_mode(mode, "owner")
    bench.owner.pause(None, "owner")
    bench.predictor = None
    bench.bar(94.0)
    bench.tick()
    assert [each.quantity for each in venue.requests if each.purpose is Purpose.EXIT] == [4]


# stops that move

TRAILING = Policy(trailing_fraction=Decimal("0.03"), break_even_fraction=Decimal("0.02"))


@pytest.mark.feature("S13")
def test_stops_stay_where_they_are_unless_the_owner_wants_them_to_move(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path)
    hold(bench, venue)
    bench.bar(110.0)
    watch(bench)
    assert resting_stops(venue) == [(TEN, Decimal(95))]
    assert bench.events(GuardMoved) == []


@pytest.mark.feature("S13")
def test_a_stop_that_follows_the_price_rests_anew_within_the_same_minute(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, policy=TRAILING)
    hold(bench, venue)
    bench.bar(110.0)
    watch(bench)
    assert resting_stops(venue) == [(TEN, Decimal("106.7"))]
    (moved,) = bench.events(GuardMoved)
    assert (moved.former_stop, moved.stop) == (Decimal(95), Decimal("106.7"))
    watch(bench)
    assert the_guard(bench).kind is GuardKind.VENUE
    bench.bar(108.0)
    watch(bench, 2)
    assert the_guard(bench).stop == Decimal("106.7"), "it never goes down"


@pytest.mark.feature("S13")
def test_a_moved_stop_whose_cancellation_fails_still_protects_and_moves_later(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, policy=TRAILING)
    hold(bench, venue)
    bench.bar(110.0)
    venue.keeps_orders = venue.moves_nothing = True
    watch(bench, 2)
    assert resting_stops(venue) == [(TEN, Decimal(95))]
    assert (the_guard(bench).kind, the_guard(bench).stop) == (GuardKind.ENGINE, Decimal("106.7"))
    venue.keeps_orders = False
    watch(bench, 4)
    assert resting_stops(venue) == [(TEN, Decimal("106.7"))]


def dies_while_it_raises_the_stop(folder: Path, place: str) -> tuple[Bench, Stubborn]:
    """The stop goes from 95 to 106.7; nothing goes on after `place`, and another process starts."""
    bench, venue = a_stage(folder, policy=TRAILING)
    venue.can_replace = place in WHILE_IT_IS_MOVED
    hold(bench, venue)
    bench.bar(110.0)

    def dies(name: str) -> None:
        if name == place:
            raise Death

    bench.checkpoint = dies
    with pytest.raises(Death):
        watch(bench)
    bench.checkpoint = lambda _name: None
    bench.restart()
    recover(bench.desk, bench.clock.now())
    return bench, venue


WHILE_IT_IS_RAISED = ("protect.after_commit", "withdraw.after_commit", "cancel.after_call", "reconcile.after_commit")
WHILE_IT_IS_MOVED = (
    "replace.before_commit",
    "replace.after_commit",
    "replace.before_call",
    "replace.after_call",
    "replaced.before_commit",
    "replaced.after_commit",
)


@pytest.mark.feature("S13")
@pytest.mark.parametrize("place", WHILE_IT_IS_RAISED)
def test_a_raised_stop_outlives_the_process_and_is_told_once(tmp_path: Path, place: str) -> None:
    bench, venue = dies_while_it_raises_the_stop(tmp_path, place)
    assert (the_guard(bench).kind, the_guard(bench).stop) == (GuardKind.ENGINE, Decimal("106.7"))
    watch(bench)
    assert resting_stops(venue) == [(TEN, Decimal("106.7"))]
    watch(bench)
    assert the_guard(bench).kind is GuardKind.VENUE
    assert [event.stop for event in bench.events(GuardMoved)] == [Decimal("106.7")]
    assert bench.read(lambda work: work.value(WANTED)) is None


@pytest.mark.feature("S13")
@pytest.mark.parametrize("place", WHILE_IT_IS_RAISED)
def test_a_price_that_falls_while_nobody_looks_meets_the_raised_stop(tmp_path: Path, place: str) -> None:
    bench, venue = dies_while_it_raises_the_stop(tmp_path, place)
    bench.bar(106.0)
    watch(bench)
    assert [(each.purpose, each.quantity) for each in venue.live()] == [(Purpose.EXIT, TEN)]


@pytest.mark.feature("S13")
@pytest.mark.parametrize("place", WHILE_IT_IS_MOVED)
def test_a_stop_that_is_moved_is_one_order_throughout_wherever_the_process_dies(tmp_path: Path, place: str) -> None:
    bench, venue = dies_while_it_raises_the_stop(tmp_path, place)
    (stop,) = resting_stops(venue)
    assert stop in ((TEN, Decimal(95)), (TEN, Decimal("106.7"))), "there is always one"
    assert the_guard(bench).stop == Decimal("106.7")
    watch(bench)
    assert resting_stops(venue) == [(TEN, Decimal("106.7"))]
    assert the_guard(bench).kind is GuardKind.VENUE
    assert (len(venue.moves), [event.stop for event in bench.events(GuardMoved)]) == (1, [Decimal("106.7")])
    watch(bench)
    assert bench.read(lambda work: (work.value(WANTED), work.value(ASKED))) == (None, None)


@pytest.mark.feature("S13")
@pytest.mark.parametrize("place", WHILE_IT_IS_MOVED)
def test_a_price_that_falls_while_the_move_is_in_doubt_sells_at_the_new_level(tmp_path: Path, place: str) -> None:
    bench, venue = dies_while_it_raises_the_stop(tmp_path, place)
    is_moved = resting_stops(venue) == [(TEN, Decimal("106.7"))]
    bench.bar(106.0)
    watch(bench)
    sellers = [(each.purpose, each.quantity) for each in venue.live() if each.purpose is not Purpose.TARGET]
    assert sellers == [(Purpose.STOP if is_moved else Purpose.EXIT, TEN)], "the venue's own stop, or we"


@pytest.mark.feature("S13")
def test_a_stop_that_follows_the_price_is_the_same_order_all_the_way(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, policy=TRAILING)
    hold(bench, venue)
    before = [each.client_order_id for each in venue.live()]
    for price in (104.0, 108.0, 112.0):
        bench.bar(price)
        watch(bench)
        assert (the_guard(bench).kind, resting_stops(venue)) == (GuardKind.VENUE, [(TEN, the_guard(bench).stop)])
    assert [each.client_order_id for each in venue.live()] == before
    stop = next(each for each in venue.live() if each.purpose is Purpose.STOP)
    assert the_guard(bench).venue_order_id == stop.venue_order_id == bench.order(stop.client_order_id).venue_order_id
    assert len({move.change.client_order_id for move in venue.moves}) == len(venue.moves) == 3
    venue.fill(stop.client_order_id, TEN, Decimal(108))
    watch(bench)
    assert bench.read(lambda work: work.portfolio("simulated")).positions == {}


@pytest.mark.feature("S13")
def test_a_move_that_the_venue_refuses_is_told_once_while_the_old_stop_rests_and_the_new_level_is_watched(
    tmp_path: Path,
) -> None:
    bench, venue = a_stage(tmp_path, policy=TRAILING)
    hold(bench, venue)
    bench.bar(110.0)
    venue.refuses_moves = True
    watch(bench, 3)
    (told,) = bench.events(ProtectionFailed)
    assert (told.what, "too close to the price" in told.reason) == ("stop not moved", True)
    assert ("rests at 95 USD" in told.consequence, "watch 106.7 USD" in told.consequence) == (True, True)
    assert resting_stops(venue) == [(TEN, Decimal(95))]
    assert (the_guard(bench).kind, the_guard(bench).stop) == (GuardKind.ENGINE, Decimal("106.7"))
    venue.refuses_moves = False
    watch(bench)
    assert (the_guard(bench).kind, resting_stops(venue)) == (GuardKind.VENUE, [(TEN, Decimal("106.7"))])


@pytest.mark.feature("S13")
def test_the_engine_sells_at_a_level_to_which_the_venue_has_not_moved_the_stop(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, policy=TRAILING)
    hold(bench, venue)
    bench.bar(110.0)
    venue.refuses_moves = True
    watch(bench)
    bench.bar(106.0)
    watch(bench)
    assert [(each.purpose, each.quantity) for each in venue.live()] == [(Purpose.EXIT, TEN)]


@pytest.mark.feature("S13")
def test_an_order_that_cannot_be_moved_makes_way_for_another_within_the_minute(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, policy=TRAILING)
    hold(bench, venue)
    venue.moves_nothing = True
    bench.bar(110.0)
    watch(bench)
    assert (resting_stops(venue), venue.moves) == ([(TEN, Decimal("106.7"))], [])
    assert bench.events(ProtectionFailed) == []


@pytest.mark.feature("S13")
@pytest.mark.parametrize("mishap", [each for each in Mishap if each is not Mishap.NONE])
def test_a_move_whose_answer_is_lost_ends_with_the_one_stop_where_it_belongs(tmp_path: Path, mishap: Mishap) -> None:
    bench, venue = a_stage(tmp_path, policy=TRAILING)
    hold(bench, venue)
    bench.bar(110.0)
    venue.mishap = mishap
    watch(bench)
    ((units, level),) = resting_stops(venue)
    assert (units, the_guard(bench).stop) == (TEN, Decimal("106.7"))
    assert the_guard(bench).kind is GuardKind.ENGINE or level == Decimal("106.7"), "watched until it is there"
    watch(bench, 5)
    assert (the_guard(bench).kind, resting_stops(venue)) == (GuardKind.VENUE, [(TEN, Decimal("106.7"))])
    assert (len(venue.moves), len(venue.asked_under)) == (1, 1), "what was asked for again was the same"
    assert bench.read(lambda work: (work.value(WANTED), work.value(ASKED))) == (None, None)


@pytest.mark.feature("S13")
def test_a_stop_that_sells_before_it_is_moved_is_booked_once_and_nothing_is_placed(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, policy=TRAILING)
    hold(bench, venue)
    (stop,) = [each for each in venue.live() if each.purpose is Purpose.STOP]

    def sells(name: str) -> None:
        if name == "replace.before_call":
            venue.fill(stop.client_order_id, TEN, Decimal(95))

    bench.checkpoint = sells
    bench.bar(110.0)
    watch(bench, 2)
    assert bench.read(lambda work: work.portfolio("simulated")).positions == {}
    assert (venue.live(), len([each for each in venue.fills if each.side is Side.SELL])) == ([], 1)
    assert [each.purpose for each in bench.events(OrderFilled)][1:] == [Purpose.STOP]
    assert bench.events(PositionUnguarded) == []


@pytest.mark.feature("S13")
def test_a_stop_that_the_venue_does_not_let_go_follows_on_and_every_step_is_told_once(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, policy=TRAILING)
    hold(bench, venue)
    bench.bar(110.0)
    venue.can_replace, venue.keeps_orders = False, True
    # Longer than a cancellation counts as under way: the old stop counts as resting again and is no news.
    watch(bench, 6)
    assert (the_guard(bench).kind, the_guard(bench).stop) == (GuardKind.ENGINE, Decimal("106.7"))
    bench.bar(120.0)
    watch(bench)
    assert [event.stop for event in bench.events(GuardMoved)] == [Decimal("106.7"), Decimal("116.4")]
    bench.bar(116.0)
    venue.keeps_orders = False
    watch(bench)
    assert [(each.purpose, each.quantity) for each in venue.live()] == [(Purpose.EXIT, TEN)]


@pytest.mark.feature("S13")
def test_a_gain_that_was_reached_lifts_the_stop_above_what_was_paid(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, policy=replace(TRAILING, trailing_fraction=None))
    hold(bench, venue)
    bench.bar(102.0)
    watch(bench)
    ((_, stop),) = resting_stops(venue)
    assert stop is not None and Decimal(100) < stop < Decimal(101)


def test_the_highest_price_is_remembered_over_hours_and_restarts(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, policy=TRAILING)
    hold(bench, venue)
    bench.bar(101.0)
    watch(bench)
    assert the_guard(bench).peak == 101
    bench.bar(99.0)
    bench.clock.advance(timedelta(hours=2))
    bench.restart()
    recover(bench.desk, bench.clock.now())
    assert the_guard(bench).peak == 101


# the owner's own stop


@pytest.fixture
def manual(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path, symbols=(COIN, ETH), has_broker=False, mode=Mode.MANUAL).start()
    bench.declare_cash("10000")
    return bench


def buy(bench: Bench, symbol: str = COIN, quantity: int = 10) -> None:
    card = bench.instruct(symbol=symbol, quantity=Decimal(quantity))
    assert bench.owner.execute(card.number, card.version, f"buy {symbol}").kind is AnswerKind.DONE


@pytest.mark.feature("S13")
def test_after_a_purchase_the_owner_is_asked_for_the_stop_and_his_word_counts_once(manual: Bench) -> None:
    buy(manual)
    (asked,) = manual.owner.questions()
    assert (asked.stop, asked.ours) == (Decimal(95), TEN)
    manual.restart()
    assert manual.owner.answer(asked.number, 7, QuestionChoice.PLACED, "tap-0").kind is AnswerKind.STALE
    done = manual.owner.answer(asked.number, asked.version, QuestionChoice.PLACED, "tap-1")
    assert done.kind is AnswerKind.DONE
    again = manual.owner.answer(asked.number, asked.version, QuestionChoice.PLACED, "tap-1")
    assert again.kind is AnswerKind.UNCHANGED
    other = manual.owner.answer(asked.number, asked.version, QuestionChoice.CANNOT, "tap-2")
    assert other.kind is AnswerKind.STALE
    assert the_guard(manual, "manual").placed_at is not None
    assert len(manual.events(QuestionSettled)) == 1


@pytest.mark.feature("S13")
def test_a_choice_that_the_question_does_not_offer_is_refused(manual: Bench) -> None:
    buy(manual)
    (asked,) = manual.owner.questions()
    assert manual.owner.answer(asked.number, asked.version, QuestionChoice.ADOPT, "tap-1").kind is AnswerKind.REFUSED
    assert [each.number for each in manual.owner.questions()] == [asked.number]


@pytest.mark.feature("S13")
def test_a_placed_stop_is_remembered_for_days_whatever_else_is_traded(manual: Bench) -> None:
    buy(manual, quantity=5)
    (asked,) = manual.owner.questions()
    manual.owner.answer(asked.number, asked.version, QuestionChoice.PLACED, "tap-1")
    manual.clock.advance(timedelta(days=2))
    manual.system.advance(timedelta(days=2))
    watch(manual)
    buy(manual, ETH, 2)
    assert the_guard(manual, "manual").placed_at is not None
    assert [each.symbol for each in manual.owner.questions()] == [ETH]


@pytest.mark.feature("S13")
def test_who_cannot_place_the_stop_is_not_asked_again_for_the_same_one(manual: Bench) -> None:
    buy(manual)
    (asked,) = manual.owner.questions()
    manual.owner.answer(asked.number, asked.version, QuestionChoice.CANNOT, "tap-1")
    watch(manual, 3)
    manual.restart()
    watch(manual)
    assert len(manual.events(QuestionAsked)) == 1
    assert the_guard(manual, "manual").kind is GuardKind.OWNER


@pytest.mark.feature("S13")
def test_a_target_exit_says_to_cancel_the_placed_stop_first(manual: Bench) -> None:
    buy(manual)
    (asked,) = manual.owner.questions()
    manual.owner.answer(asked.number, asked.version, QuestionChoice.PLACED, "tap-1")
    manual.bar(116.0)
    watch(manual)
    (card,) = manual.owner.pending()
    assert "First cancel the stop at 95" in card.why


@pytest.mark.feature("S13")
def test_a_stop_for_units_that_are_sold_by_now_is_asked_for_anew(manual: Bench) -> None:
    buy(manual)
    (asked,) = manual.owner.questions()
    manual.owner.answer(asked.number, asked.version, QuestionChoice.PLACED, "tap-1")
    manual.bar(116.0)
    watch(manual)
    (card,) = manual.owner.pending()
    manual.owner.report_fill(ReportedFill(None, Decimal(4), None, None, card.number), "sold-1")
    (anew,) = manual.owner.questions()
    assert (anew.ours, "Cancel the former stop first" in anew.text) == (6, True)
    assert the_guard(manual, "manual").placed_at is None


@pytest.mark.feature("S13")
def test_the_question_goes_with_the_position(manual: Bench) -> None:
    buy(manual)
    manual.bar(90.0)
    watch(manual)
    (card,) = manual.owner.pending()
    manual.owner.execute(card.number, card.version, "sold")
    assert manual.owner.questions() == ()
    assert "cancel a stop that is still there" in manual.events(QuestionSettled)[-1].detail


@pytest.mark.feature("T10")
def test_an_exit_that_waits_is_told_again_until_it_is_answered(manual: Bench) -> None:
    buy(manual)
    manual.bar(90.0)
    watch(manual)
    (card,) = manual.owner.pending()
    assert remind(manual.desk) == 0, "it was told just now"
    every = manual.desk.policy.exit_reminder
    for times in (1, 2, 3):
        manual.system.advance(every)
        manual.restart()
        assert remind(manual.desk) == 1
        assert remind(manual.desk) == 0
        told = manual.events(ExitReminder)[-1]
        assert (told.number, told.times, told.quantity) == (card.number, times, TEN)
    manual.owner.report_fill(ReportedFill(None, Decimal(4), None, None, card.number), "sold-1")
    manual.system.advance(every)
    remind(manual.desk)
    assert manual.events(ExitReminder)[-1].quantity == 6
    (left,) = manual.owner.pending()
    manual.owner.execute(left.number, left.version, "sold-2")
    manual.system.advance(10 * every)
    assert remind(manual.desk) == 0


def test_a_gap_through_the_stop_is_handed_over_at_the_next_minute_and_sized_by_what_is_held(manual: Bench) -> None:
    buy(manual)
    manual.bar(80.0)
    assert watch(manual) == "1 handed to the owner"
    (card,) = manual.owner.pending()
    assert (card.quantity, card.price) == (TEN, Decimal(80))
    assert manual.events(OrderFilled)[-1].guard is GuardKind.OWNER


def test_an_exit_card_waits_for_no_second_one(manual: Bench) -> None:
    buy(manual)
    manual.bar(80.0)
    watch(manual, 3)
    assert len(manual.owner.pending()) == 1
    manual.place(an_exit(manual, account="manual", state=OrderState.AWAITING_OWNER))
    assert len(manual.owner.pending()) == 1, "a newer one takes its place"


@pytest.mark.feature("S13")
@pytest.mark.feature("M14")
def test_who_sells_on_his_own_is_reminded_of_the_stop_that_he_placed(manual: Bench) -> None:
    buy(manual)
    (asked,) = manual.owner.questions()
    manual.owner.answer(asked.number, asked.version, QuestionChoice.PLACED, "tap-1")
    part = OwnTrade(COIN, Side.SELL, Decimal(4), HUNDRED, Decimal(0), None)
    assert "Cancel the stop" not in manual.owner.book_trade(part, "owner", "sold-1").text
    (anew,) = manual.owner.questions()
    manual.owner.answer(anew.number, anew.version, QuestionChoice.PLACED, "tap-2")
    rest = replace(part, quantity=Decimal(6))
    assert "Cancel the stop at 95 USD" in manual.owner.book_trade(rest, "owner", "sold-2").text
