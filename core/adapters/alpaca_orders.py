"""Orders between us and Alpaca: what we ask for in its words, and what it has in ours.

Alpaca knows an order by its client id and names the legs itself. Under our names the stop of a bracket is `<entry>-s`
and its target `<entry>-t`. A protective pair is an OCO order there, whose head is the target and bears the client id,
with the stop as its leg; here the stop bears that id and the target is `<stop>-t`. Every name so follows from what
Alpaca keeps, and is the same after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.adapters.alpaca_names import name_of, our_symbol
from core.adapters.alpaca_rules import STOP_SUFFIX, TARGET_SUFFIX
from core.adapters.alpaca_wire import Row, number, number_or_none, rows_of, text, word
from core.domain.instruments import instrument_for
from core.domain.orders import FINAL, OrderState, OrderType, Purpose, Side
from core.domain.values import ONE, ZERO, plain
from core.domain.venue import OrderRequest, VenueOrder
from core.errors import MalformedAnswer

_S = OrderState
STATES: Mapping[str, OrderState] = {
    "new": _S.ACCEPTED,
    "accepted": _S.ACCEPTED,
    "pending_new": _S.ACCEPTED,
    "accepted_for_bidding": _S.ACCEPTED,
    "held": _S.ACCEPTED,
    "stopped": _S.ACCEPTED,
    "suspended": _S.ACCEPTED,
    "done_for_day": _S.ACCEPTED,
    "calculated": _S.ACCEPTED,
    "pending_replace": _S.ACCEPTED,
    "partially_filled": _S.PARTIALLY_FILLED,
    "pending_cancel": _S.CANCEL_PENDING,
    "filled": _S.FILLED,
    "canceled": _S.CANCELED,
    "replaced": _S.CANCELED,
    "expired": _S.EXPIRED,
    "rejected": _S.REJECTED,
}
"""By Alpaca's word. What is replaced goes on as the order that replaced it (see `family`)."""
TYPES: Mapping[str, OrderType] = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop": OrderType.STOP,
    "stop_limit": OrderType.STOP,
    "trailing_stop": OrderType.STOP,
}
SIMPLE = frozenset({"", "simple"})
PAIR = "oco"
ASLEEP = frozenset({"held", "canceled", "expired", "rejected", "replaced"})
"""Of the legs of an entry that has not ended: no leg that waits for its entry, or went with it, is anything else."""
REASONS: Mapping[str, str] = {
    "canceled": "cancelled at Alpaca",
    "expired": "its time at Alpaca ran out",
    "rejected": "the exchange that Alpaca sent it to rejected it",
    "replaced": "another order took its place at Alpaca",
}


@dataclass(frozen=True, slots=True)
class Member:
    """An order under our name, the ids under which Alpaca has had it, the oldest first, and Alpaca's word for its
    state."""

    order: VenueOrder
    ids: tuple[str, ...]
    status: str


def fields_of(request: OrderRequest) -> dict[str, Any]:
    """The order in the words of Alpaca's trading service. Numbers go as texts: alpaca-py's own requests hold floats.

    Whole shares that rest do so until cancelled, with their legs; a market order and fractions are for the day (an
    order outside of hours is for the next session), and a coin's order has no day.
    """
    kind, limit = request.type.value, request.limit_price
    fields: dict[str, Any] = {
        "symbol": name_of(request.symbol),
        "qty": plain(request.quantity),
        "side": request.side.value,
        "time_in_force": _time_in_force(request),
        "client_order_id": request.client_order_id,
    }
    if request.type is OrderType.STOP and request.bracket_target is not None:
        pair = {"limit_price": plain(request.bracket_target)}, {"stop_price": _plain(request.stop_price)}
        return fields | {"type": "limit", "order_class": PAIR, "take_profit": pair[0], "stop_loss": pair[1]}
    if request.type is OrderType.STOP:
        kind = "stop" if limit is None else "stop_limit"
        fields["stop_price"] = _plain(request.stop_price)
    if limit is not None:
        fields["limit_price"] = plain(limit)
    if request.bracket_stop is not None and request.bracket_target is not None:
        fields |= {
            "order_class": "bracket",
            "take_profit": {"limit_price": plain(request.bracket_target)},
            "stop_loss": {"stop_price": plain(request.bracket_stop)},
        }
    return fields | {"type": kind}


def family(head: Row, name: str, latest: Callable[[Row], tuple[Row, ...]]) -> tuple[Member, ...]:
    """An order that Alpaca told with its legs, under our names; `name` is the client id of the first version of it.
    `latest` gives the versions of an order, the oldest first, the last one being what became of it.

    Legs that sleep until their entry is filled rest nowhere yet and are left out. Raises MalformedAnswer for what is in
    no known form, an unknown state included.
    """
    kind = word(head, "order_class")
    legs = _told_once(rows_of(head.get("legs") or [], "legs of an order"))
    if kind == PAIR and text(head, "type") == "limit":
        target = _member(latest(head), f"{name}{TARGET_SUFFIX}", Purpose.TARGET, name)
        return (*(_member(latest(leg), name, Purpose.STOP, None) for leg in legs[:1]), target)
    entry = _member(latest(head), name, _purpose(head), None)
    if kind in SIMPLE or not legs:
        return (entry,)
    has_come = entry.order.state in FINAL and entry.order.filled_quantity > 0
    if not has_come and all(word(leg, "status") in ASLEEP for leg in legs):
        return (entry,)
    return (entry, *sorted((_leg(leg, name, latest) for leg in legs), key=lambda leg: leg.order.client_order_id))


def is_limit(row: Row) -> bool:
    """Whether it is a target, and not a stop, where it is one of the two."""
    return text(row, "type") == "limit"


def _told_once(legs: list[Row]) -> list[Row]:
    """Without those that take the place of another one of them: `latest` leads from that to this, once it is so."""
    ids = {text(leg, "id") for leg in legs}
    return [leg for leg in legs if word(leg, "replaces") not in ids]


def is_whole(row: Row) -> bool:
    """Whether an order was told with all that belongs to it."""
    return word(row, "order_class") in SIMPLE or bool(row.get("legs"))


def _leg(row: Row, parent: str, latest: Callable[[Row], tuple[Row, ...]]) -> Member:
    if text(row, "type") == "limit":
        return _member(latest(row), f"{parent}{TARGET_SUFFIX}", Purpose.TARGET, parent)
    return _member(latest(row), f"{parent}{STOP_SUFFIX}", Purpose.STOP, parent)


def _member(versions: tuple[Row, ...], name: str, purpose: Purpose, parent: str | None) -> Member:
    # Alpaca lets the order of the one leg take the place of the other when its price comes: then the other is over.
    kept = versions if is_limit(versions[0]) == is_limit(versions[-1]) else versions[:1]
    ids = tuple(text(each, "id") for each in kept)
    return Member(_whole(_order(kept[-1], name, purpose, parent), kept[:-1]), ids, text(kept[-1], "status"))


def _whole(order: VenueOrder, former: tuple[Row, ...]) -> VenueOrder:
    """The order with what was filled of it before it was replaced. Alpaca begins to count anew then, and to sell: the
    new order has the quantity of the former one, not of what was left (Alpaca-API issue 165)."""
    before = ZERO
    for row in former:
        counted = number_or_none(row, "filled_qty") or ZERO
        before = counted if counted >= before else before + counted
    if order.filled_quantity >= before:
        # It counts on, or nothing was filled before.
        return order
    state = OrderState.PARTIALLY_FILLED if order.state is OrderState.ACCEPTED else order.state
    filled, quantity = order.filled_quantity + before, order.quantity + before
    return replace(order, filled_quantity=filled, quantity=quantity, state=state)


def _order(row: Row, name: str, purpose: Purpose, parent: str | None) -> VenueOrder:
    filled = number_or_none(row, "filled_qty") or ZERO
    quantity = number_or_none(row, "qty")
    kind, status = TYPES.get(text(row, "type")), text(row, "status")
    if kind is None:
        raise MalformedAnswer(f"has an order of a type that is not known here ({row['type']})")
    state = STATES.get(status)
    if state is None:
        raise MalformedAnswer(f"has an order in a state that is not known here ({status})")
    if state is OrderState.ACCEPTED and filled:
        state = OrderState.FILLED if quantity is not None and filled >= quantity else OrderState.PARTIALLY_FILLED
    return VenueOrder(
        client_order_id=name,
        venue_order_id=text(row, "id"),
        symbol=our_symbol(text(row, "symbol"), word(row, "asset_class")),
        side=_side(row),
        # An order for so many USD, which only its owner places by hand, has no quantity before it is filled.
        quantity=filled if quantity is None else quantity,
        filled_quantity=filled,
        state=state,
        type=kind,
        purpose=purpose,
        limit_price=number_or_none(row, "limit_price"),
        stop_price=number_or_none(row, "stop_price"),
        parent_client_order_id=parent,
        reason=REASONS.get(status, ""),
    )


def _purpose(row: Row) -> Purpose:
    """Of an order by itself: what rests to sell below the price is a stop, any other sale an exit."""
    if _side(row) is Side.BUY:
        return Purpose.ENTRY
    return Purpose.STOP if TYPES.get(text(row, "type")) is OrderType.STOP else Purpose.EXIT


def _side(row: Row) -> Side:
    side = text(row, "side")
    if side not in ("buy", "sell"):
        raise MalformedAnswer(f"has an order that neither buys nor sells ({side})")
    return Side(side)


def _time_in_force(request: OrderRequest) -> str:
    if instrument_for(request.symbol).is_crypto:
        return "gtc"
    if request.quantity % ONE:
        return "day"
    rests = request.type is OrderType.STOP or request.bracket_target is not None
    return "gtc" if rests else "day"


def _plain(price: Any) -> str:
    return plain(number({"price": None if price is None else plain(price)}, "price"))
