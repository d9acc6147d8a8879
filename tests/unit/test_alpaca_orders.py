"""What Alpaca's orders are called here and what their states mean, whatever became of them or of their legs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from core.adapters.alpaca_names import name_of, our_symbol
from core.adapters.alpaca_orders import STATES, Member, family
from core.domain.orders import OrderState, OrderType, Purpose, Side
from core.errors import MalformedAnswer

S = OrderState
MEANINGS: Mapping[str, OrderState] = {
    "new": S.ACCEPTED,
    "partially_filled": S.PARTIALLY_FILLED,
    "filled": S.FILLED,
    "done_for_day": S.ACCEPTED,
    "canceled": S.CANCELED,
    "expired": S.EXPIRED,
    "replaced": S.CANCELED,
    "pending_cancel": S.CANCEL_PENDING,
    "pending_replace": S.ACCEPTED,
    "accepted": S.ACCEPTED,
    "pending_new": S.ACCEPTED,
    "accepted_for_bidding": S.ACCEPTED,
    "stopped": S.ACCEPTED,
    "rejected": S.REJECTED,
    "suspended": S.ACCEPTED,
    "calculated": S.ACCEPTED,
    "held": S.ACCEPTED,
}


def told(order_id: str = "1", **fields: Any) -> dict[str, Any]:
    row = {
        "id": order_id,
        "client_order_id": f"c{order_id}",
        "symbol": "SPY",
        "asset_class": "us_equity",
        "qty": "10",
        "filled_qty": "0",
        "notional": None,
        "side": "buy",
        "type": "market",
        "order_class": "",
        "status": "new",
        "limit_price": None,
        "stop_price": None,
        "legs": None,
    }
    return row | fields


def leg(order_id: str, kind: str, price: str, **fields: Any) -> dict[str, Any]:
    named = {"limit": "limit_price", "stop": "stop_price"}[kind]
    leg_like = {"side": "sell", "type": kind, "order_class": "bracket", "status": "held", named: price}
    return told(order_id, **leg_like | fields)


def bracket(status: str, filled: str = "0", target: str = "held", stop: str = "held", **more: Any) -> dict[str, Any]:
    legs = [leg("2", "limit", "115", status=target), leg("3", "stop", "95", status=stop)]
    return told("1", client_order_id="a", order_class="bracket", status=status, filled_qty=filled, legs=legs, **more)


def read(row: dict[str, Any], **later: dict[str, Any]) -> dict[str, Member]:
    """The family by our names; `later` are orders that replaced others, by `_` and their id."""

    def versions(first: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
        found = [first]
        while found[-1]["status"] == "replaced" and f"_{found[-1].get('replaced_by')}" in later:
            found.append(later[f"_{found[-1]['replaced_by']}"])
        return tuple(found)

    return {each.order.client_order_id: each for each in family(row, row["client_order_id"], versions)}


@pytest.mark.feature("S10")
@pytest.mark.parametrize(("status", "state"), MEANINGS.items(), ids=MEANINGS)
def test_every_state_of_an_order_has_one_meaning(status: str, state: OrderState) -> None:
    filled = {"filled": "10", "partially_filled": "4"}.get(status, "0")
    assert read(told(status=status, filled_qty=filled))["c1"].order.state is state
    assert STATES.keys() == MEANINGS.keys()


def test_a_state_or_type_or_side_that_is_not_known_is_no_answer() -> None:
    for wrong in ({"status": "thinking"}, {"type": "iceberg"}, {"side": "sideways"}, {"qty": 10.5}, {"qty": "NaN"}):
        with pytest.raises(MalformedAnswer):
            read(told(**wrong))


def test_an_order_that_works_on_with_a_part_filled_says_so_in_every_state() -> None:
    for status in ("new", "done_for_day", "pending_replace", "suspended"):
        assert read(told(status=status, filled_qty="4"))["c1"].order.state is S.PARTIALLY_FILLED
    assert read(told(status="calculated", filled_qty="10"))["c1"].order.state is S.FILLED


@pytest.mark.parametrize(
    ("fields", "type_", "purpose"),
    [
        ({"side": "buy", "type": "market"}, OrderType.MARKET, Purpose.ENTRY),
        ({"side": "buy", "type": "limit", "limit_price": "99"}, OrderType.LIMIT, Purpose.ENTRY),
        ({"side": "sell", "type": "market"}, OrderType.MARKET, Purpose.EXIT),
        ({"side": "sell", "type": "stop_limit", "limit_price": "90", "stop_price": "95"}, OrderType.STOP, Purpose.STOP),
        ({"side": "sell", "type": "trailing_stop", "stop_price": "95"}, OrderType.STOP, Purpose.STOP),
    ],
)
def test_an_order_by_itself_is_known_by_what_it_does(
    fields: dict[str, Any], type_: OrderType, purpose: Purpose
) -> None:
    order = read(told(**fields))["c1"].order
    assert (order.type, order.purpose) == (type_, purpose)


def test_legs_that_wait_for_their_entry_are_not_shown() -> None:
    for entry in (bracket("new"), bracket("partially_filled", "4"), bracket("canceled", target="canceled")):
        assert list(read(entry)) == ["a"]


@pytest.mark.feature("S13")
def test_the_legs_of_a_filled_entry_have_names_that_follow_from_its_own() -> None:
    family_ = read(bracket("filled", "10", target="new"))
    assert list(family_) == ["a", "a-s", "a-t"]
    stop, target = family_["a-s"].order, family_["a-t"].order
    assert (stop.type, stop.purpose, stop.stop_price) == (OrderType.STOP, Purpose.STOP, Decimal(95))
    assert (target.type, target.purpose, target.limit_price) == (OrderType.LIMIT, Purpose.TARGET, Decimal(115))
    for each in (stop, target):
        assert (each.side, each.state, each.parent_client_order_id) == (Side.SELL, S.ACCEPTED, "a")


def test_legs_of_an_entry_that_ended_with_a_part_filled_are_shown_however_they_stand() -> None:
    rest = read(bracket("canceled", "4", target="new"))
    assert [each.order.state for each in rest.values()] == [S.CANCELED, S.ACCEPTED, S.ACCEPTED]
    gone = read(bracket("canceled", "4", target="canceled", stop="canceled"))
    assert [each.order.state for each in gone.values()] == [S.CANCELED] * 3


def test_legs_that_work_before_their_entry_is_done_are_shown() -> None:
    assert list(read(bracket("partially_filled", "4", target="new"))) == ["a", "a-s", "a-t"]


@pytest.mark.feature("S13")
def test_of_a_pair_the_stop_bears_our_id_and_the_target_which_is_its_head_at_alpaca_a_name_of_its_own() -> None:
    stop = told("9", side="sell", type="stop", stop_price="95", order_class="oco", status="held")
    head = {"client_order_id": "p", "side": "sell", "type": "limit", "limit_price": "115", "order_class": "oco"}
    family_ = read(told("8", legs=[stop], **head))
    assert family_["p"].order.venue_order_id == "9" and family_["p-t"].order.venue_order_id == "8"
    assert (family_["p"].order.purpose, family_["p"].order.parent_client_order_id) == (Purpose.STOP, None)
    assert (family_["p-t"].order.purpose, family_["p-t"].order.parent_client_order_id) == (Purpose.TARGET, "p")


def test_a_pair_that_is_told_without_its_stop_is_never_taken_for_the_stop() -> None:
    head = {"client_order_id": "p", "side": "sell", "type": "limit", "limit_price": "115", "order_class": "oco"}
    assert list(read(told("8", **head))) == ["p-t"]


def test_a_leg_that_its_owner_moved_goes_on_under_its_name() -> None:
    moved = leg("4", "stop", "97", replaces="3", status="held")
    entry = bracket("filled", "10", target="new", stop="replaced")
    entry["legs"][1]["replaced_by"] = "4"
    stop = read(entry, _4=moved)["a-s"]
    assert (stop.order.stop_price, stop.order.venue_order_id, stop.ids) == (Decimal(97), "4", ("3", "4"))


def test_a_target_whose_place_the_stop_took_is_over() -> None:
    taken = leg("3", "stop", "95", status="filled", filled_qty="10")
    entry = bracket("filled", "10", target="replaced", stop="filled")
    entry["legs"][0]["replaced_by"] = "3"
    family_ = read(entry, _3=taken)
    assert family_["a-t"].order.state is S.CANCELED
    assert family_["a-t"].ids == ("2",)
    assert family_["a-s"].order.state is S.FILLED


def test_an_order_for_an_amount_of_money_has_the_quantity_that_it_has_brought() -> None:
    order = read(told(qty=None, notional="500", filled_qty="0.83", status="filled"))["c1"].order
    assert (order.quantity, order.filled_quantity, order.state) == (Decimal("0.83"), Decimal("0.83"), S.FILLED)


@pytest.mark.parametrize(
    ("name", "asset_class", "symbol"),
    [
        ("SPY", "us_equity", "SPY"),
        ("BRK.B", "us_equity", "BRK-B"),
        ("BTC/USD", "", "BTC-USD"),
        ("BTCUSD", "crypto", "BTC-USD"),
        ("BUSD", "us_equity", "BUSD"),
        ("ETH/BTC", "crypto", "ETH/BTC"),
    ],
)
def test_alpacas_names_are_known_by_ours(name: str, asset_class: str, symbol: str) -> None:
    assert our_symbol(name, asset_class) == symbol


def test_our_names_are_known_by_alpacas() -> None:
    assert [name_of(each) for each in ("SPY", "BRK-B", "BTC-USD", "^GSPC")] == ["SPY", "BRK.B", "BTC/USD", None]
