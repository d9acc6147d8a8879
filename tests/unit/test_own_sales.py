"""A sale that the owner leaves working at the venue by hand holds its units: it is told, nothing is sold or guarded
twice beside it, and what it leaves is guarded again."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import VirtualClock
from core.domain.events import PositionUnguarded, ProtectionFailed, QuestionAsked, QuestionSettled
from core.domain.orders import OrderState, OrderType, Purpose, Side
from core.domain.portfolio import Guard, GuardKind
from core.domain.records import Question, QuestionChoice, QuestionKind
from core.domain.values import ONE
from core.domain.venue import OrderRequest, Resting
from core.domain.views import AnswerKind
from tests.builders import COIN, MONDAY, Bench
from tests.fakes_chaos import ChaosVenue
from tests.guard_stage import HUNDRED, TEN, a_stage_over, hold, watch

BY_HAND = "6f1c2a34-by-hand"


@pytest.fixture
def stage(tmp_path: Path) -> tuple[Bench, ChaosVenue]:
    """Ten units at 100 USD whose stop rests at 95."""
    bench, venue = a_stage_over(tmp_path, ChaosVenue(VirtualClock(MONDAY), lambda _symbol: HUNDRED, rests=Resting.STOP))
    hold(bench, venue)
    watch(bench, 2)
    assert the_guard(bench).kind is GuardKind.VENUE
    return bench, venue


def the_guard(bench: Bench) -> Guard:
    (found,) = bench.read(lambda work: work.guards("simulated"))
    return found  # type: ignore[no-any-return]


def live(venue: ChaosVenue) -> dict[Purpose, Decimal]:
    """Ours."""
    orders = [each for each in venue.live() if each.client_order_id != BY_HAND]
    return {each.purpose: each.quantity - each.filled_quantity for each in orders}


def sells_by_hand(venue: ChaosVenue, units: Decimal, limit: Decimal | None = Decimal(120)) -> None:
    """The owner takes our stop away, for its units are not free, and leaves a sale of his own."""
    for order in venue.live():
        venue.end(order.client_order_id, OrderState.CANCELED)
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    venue.submit(OrderRequest(BY_HAND, COIN, Side.SELL, units, kind, Purpose.EXIT, limit))


def questions(bench: Bench) -> list[Question]:
    return [each for each in bench.owner.questions() if each.kind is QuestionKind.OWN_SALE]


@pytest.mark.feature("M13")
@pytest.mark.feature("S13")
def test_a_sale_by_hand_of_all_of_it_is_told_once_and_its_stop_is_not_forced_on_the_venue(
    stage: tuple[Bench, ChaosVenue],
) -> None:
    bench, venue = stage
    sells_by_hand(venue, TEN)
    watch(bench, 3)
    (asked,) = questions(bench)
    assert "10 BTC-USD at 120 USD or more" in asked.text and "cannot sell them" in asked.text
    assert len(bench.events(QuestionAsked)) == 1
    assert (bench.events(ProtectionFailed), bench.read(lambda work: work.brakes())) == ([], [])
    assert (the_guard(bench).kind, the_guard(bench).stop) == (GuardKind.OWNER, 95)
    assert (bench.owner.status().unguarded, bench.events(PositionUnguarded)) == (1, []), "counted, and told by its card"
    bench.bar(90.0)
    watch(bench)
    assert live(venue) == {}
    assert "sale of your own holds" in bench.owner.close(COIN, ONE, "owner", "tap-1").text


@pytest.mark.feature("S13")
def test_what_a_sale_by_hand_leaves_free_is_guarded_and_sold_at_its_stop(stage: tuple[Bench, ChaosVenue]) -> None:
    bench, venue = stage
    sells_by_hand(venue, Decimal(4))
    watch(bench, 2)
    (asked,) = questions(bench)
    assert "The other 6 are guarded" in asked.text
    assert (live(venue), the_guard(bench).kind) == ({Purpose.STOP: Decimal(6)}, GuardKind.VENUE)
    bench.bar(94.0)
    watch(bench)
    assert live(venue) == {Purpose.EXIT: Decimal(6)}


@pytest.mark.feature("S13")
@pytest.mark.parametrize("answered", [False, True])
def test_when_the_sale_by_hand_is_gone_all_is_guarded_again_at_the_same_stop_and_that_is_told(
    stage: tuple[Bench, ChaosVenue], answered: bool
) -> None:
    bench, venue = stage
    bench.owner.move_levels(COIN, Decimal(96), None, "owner", "moved")
    watch(bench, 3)
    sells_by_hand(venue, TEN)
    watch(bench)
    if answered:
        (asked,) = questions(bench)
        bench.owner.answer(asked.number, asked.version, QuestionChoice.LEAVE, "tap-1")
    venue.end(BY_HAND, OrderState.CANCELED)
    watch(bench, 2)
    assert "guarded and sold by me again" in bench.events(QuestionSettled)[-1].detail
    assert live(venue) == {Purpose.STOP: TEN}
    assert (the_guard(bench).kind, the_guard(bench).stop) == (GuardKind.VENUE, 96)
    assert (questions(bench), bench.owner.status().unguarded) == ([], 0)


@pytest.mark.feature("M13")
def test_a_sale_by_hand_that_fills_is_booked_and_asks_nothing_anew_for_each_part(
    stage: tuple[Bench, ChaosVenue],
) -> None:
    bench, venue = stage
    sells_by_hand(venue, TEN)
    watch(bench)
    for part in (3, 7):
        venue.fill(BY_HAND, Decimal(part), Decimal(120))
        watch(bench)
    assert len(bench.events(QuestionAsked)) == 1
    assert (bench.read(lambda work: work.guards()), bench.read(lambda work: work.portfolio("simulated")).positions) == (
        [],
        {},
    )
    assert bench.read(lambda work: work.value("own_sales:simulated")) is None


@pytest.mark.feature("M13")
@pytest.mark.feature("S13")
def test_a_sale_that_the_owner_gives_up_is_cancelled_and_its_units_guarded(stage: tuple[Bench, ChaosVenue]) -> None:
    bench, venue = stage
    sells_by_hand(venue, Decimal(4), None)
    watch(bench)
    (asked,) = questions(bench)
    assert "4 BTC-USD at the market" in asked.text
    done = bench.owner.answer(asked.number, asked.version, QuestionChoice.CANCEL, "tap-1")
    assert done.kind is AnswerKind.DONE
    watch(bench, 3)
    assert venue.book[BY_HAND].state is OrderState.CANCELED
    assert sum(each.quantity for each in venue.live() if each.purpose is Purpose.STOP) == 10


@pytest.mark.feature("S13")
def test_a_changed_sale_by_hand_is_asked_about_anew_and_is_not_given_up(stage: tuple[Bench, ChaosVenue]) -> None:
    bench, venue = stage
    sells_by_hand(venue, Decimal(4))
    watch(bench)
    venue.book[BY_HAND] = replace(venue.book[BY_HAND], limit_price=Decimal(130))
    watch(bench)
    (asked,) = questions(bench)
    assert "at 130 USD or more" in asked.text
    assert len(bench.events(QuestionAsked)) == 2
