"""Orders: which changes of state are possible, what fills do, and how ids are derived."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.orders import (
    FINAL,
    LIVE,
    TRANSITIONS,
    ImpossibleTransition,
    OrderNamespace,
    OrderState,
    Purpose,
    Side,
)
from tests.ledger_builders import START, an_order

S = OrderState
LATER = START + timedelta(minutes=5)


def test_every_state_is_either_live_or_final_and_has_its_row_in_the_table() -> None:
    assert set(TRANSITIONS) == set(OrderState)
    assert set(OrderState) == LIVE | FINAL
    assert not LIVE & FINAL


@pytest.mark.parametrize("before", OrderState)
@pytest.mark.parametrize("after", OrderState)
def test_an_order_moves_as_the_table_says_and_never_otherwise(before: OrderState, after: OrderState) -> None:
    order = an_order(state=before)
    if after is before or after in TRANSITIONS[before]:
        assert order.moved(after, LATER).state is after
    else:
        with pytest.raises(ImpossibleTransition, match=f"{before} -> {after}"):
            order.moved(after, LATER)


@pytest.mark.parametrize("before", sorted(LIVE))
def test_from_every_live_state_each_kind_of_end_that_a_venue_can_report_is_reachable(before: OrderState) -> None:
    reachable, seen = {before}, set[OrderState]()
    while reachable - seen:
        seen |= reachable
        reachable |= {after for state in seen for after in TRANSITIONS[state]}
    assert {S.FILLED, S.CANCELED, S.EXPIRED} <= reachable


@pytest.mark.parametrize("ended", [S.CANCELED, S.EXPIRED])
def test_a_fill_that_overtook_a_cancel_or_expiry_is_accepted(ended: OrderState) -> None:
    assert an_order(state=ended).moved(S.FILLED, LATER).state is S.FILLED


@pytest.mark.parametrize("ended", [S.FILLED, S.REJECTED])
def test_nothing_follows_a_complete_fill_or_a_rejection(ended: OrderState) -> None:
    assert TRANSITIONS[ended] == frozenset()


def test_moving_keeps_the_last_reason_and_venue_id_unless_there_is_news() -> None:
    accepted = an_order().moved(S.ACCEPTED, START, reason="queued", venue_order_id="v-1")
    pending = accepted.moved(S.CANCEL_PENDING, LATER)
    assert (pending.reason, pending.venue_order_id, pending.updated_at) == ("queued", "v-1", LATER)
    assert pending.moved(S.CANCELED, LATER, reason="by the owner").reason == "by the owner"


def test_fills_add_up_until_the_order_is_filled() -> None:
    order = an_order(state=S.ACCEPTED)
    part = order.filled_by(Decimal("1.5"), LATER)
    assert (part.state, part.filled_quantity, part.remaining) == (S.PARTIALLY_FILLED, Decimal("1.5"), Decimal("2.5"))
    whole = part.filled_by(Decimal("2.5"), LATER)
    assert (whole.state, whole.remaining) == (S.FILLED, 0)


@pytest.mark.parametrize("state", [S.CANCEL_PENDING, S.CANCELED, S.EXPIRED])
def test_a_part_filled_late_does_not_bring_a_cancelled_order_back_to_life(state: OrderState) -> None:
    part = an_order(state=state).filled_by(Decimal(1), LATER)
    assert (part.state, part.filled_quantity) == (state, 1)
    assert part.filled_by(Decimal(3), LATER).state is S.FILLED


def test_a_rejected_order_cannot_be_filled() -> None:
    with pytest.raises(ImpossibleTransition):
        an_order(state=S.REJECTED).filled_by(Decimal(1), LATER)


@pytest.mark.feature("T8")
def test_the_same_intent_derives_the_same_id_and_any_difference_another() -> None:
    house = OrderNamespace("installation-1", 1)
    intent = ("simulated", "2024-03-01T15:00:00Z", "SPY", Side.BUY, Purpose.ENTRY, 1)
    others = [
        ("manual", *intent[1:]),
        (intent[0], "2024-03-01T15:05:00Z", *intent[2:]),
        (*intent[:2], "QQQ", *intent[3:]),
        (*intent[:3], Side.SELL, *intent[4:]),
        (*intent[:4], Purpose.EXIT, intent[5]),
        (*intent[:5], 2),
    ]
    ids = [house.client_order_id(*each) for each in (intent, *others)]
    ids += [replace(house, epoch=2).client_order_id(*intent), OrderNamespace("b", 1).client_order_id(*intent)]
    assert len(set(ids)) == len(ids)
    assert house.client_order_id(*intent) == ids[0]
    assert all(len(each) == 32 and each.isascii() for each in ids)


def test_ids_of_one_installation_share_a_prefix_that_others_do_not_have() -> None:
    first, second = OrderNamespace("installation-1", 1), OrderNamespace("installation-2", 1)
    identity = first.client_order_id("simulated", "o", "SPY", Side.BUY, Purpose.ENTRY, 1)
    assert identity.startswith(first.prefix)
    assert not identity.startswith(second.prefix)
    assert replace(first, epoch=2).prefix == first.prefix
