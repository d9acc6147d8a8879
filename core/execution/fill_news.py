"""How the owner hears of what a look found filled: the parts of an order together, and its card with all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from core.domain.orders import FINAL, Order, OrderState, Purpose
from core.domain.portfolio import Fill, Guard, Portfolio
from core.domain.values import ONE, ZERO, nearest, plain
from core.execution import manual, tidings
from core.execution.desk import Desk
from core.ports import UnitOfWork

PARTLY = "partly filled"
COARSE = Decimal("0.0001")


def tell_fills(
    work: UnitOfWork,
    desk: Desk,
    fills: Sequence[Fill],
    before: Portfolio,
    guards: Mapping[str, Guard],
    now: datetime,
) -> None:
    """`fills` are just booked, in their order, on `before`; `guards` by symbol are those of their account."""
    untold = dict[str, Decimal]()
    for fill in fills:
        untold[fill.client_order_id] = untold.get(fill.client_order_id, ZERO) + fill.quantity
    for (name, _), found in groupby(fills, key=lambda fill: (fill.client_order_id, fill.fee_currency)):
        parts = tuple(found)
        order = work.order(name)
        guard = guards.get(parts[0].symbol) if parts[0].purpose is Purpose.ENTRY else None
        untold[name] -= sum((part.quantity for part in parts), ZERO)
        so_far = order.filled_quantity - untold[name] if order is not None else None
        work.publish(tidings.order_filled(desk, parts, order, before, guard, so_far), market_time=now)
        for part in parts:
            before = before.after(part)
    for name in dict.fromkeys(fill.client_order_id for fill in fills):
        order = work.order(name)
        if order is not None:
            settle_filled(work, desk, order, now)


def settle_filled(work: UnitOfWork, desk: Desk, order: Order, now: datetime) -> None:
    """The card of an approved order says what is filled of it so far, at which price, and what becomes of the rest."""
    card = work.instruction_of(order.client_order_id)
    if card is None or not card.needs_approval:
        return
    fills = [
        entry
        for entry in work.entries(order.account)
        if isinstance(entry, Fill) and entry.client_order_id == order.client_order_id
    ]
    outcome = "filled" if order.state is OrderState.FILLED else PARTLY
    work.publish(manual.settlement(desk, card, outcome, _words(order, fills), order.filled_quantity), market_time=now)


def rest_words(order: Order) -> str:
    """What became of the rest of an order that has ended before all of it was filled; empty for any other."""
    if order.state not in FINAL or order.state is OrderState.FILLED:
        return ""
    return f"the rest is {order.state.value}" + (f": {order.reason}" if order.reason else "")


def _words(order: Order, fills: Sequence[Fill]) -> str:
    filled = plain(order.filled_quantity)
    how_much = filled if order.state is OrderState.FILLED else f"{filled} of {plain(order.quantity)}"
    words = [f"filled {how_much}{_at(fills)}", rest_words(order)]
    return "; ".join(filter(None, words))


def _at(fills: Sequence[Fill]) -> str:
    if not fills:
        return ""
    prices = {fill.price for fill in fills}
    if len(prices) == 1:
        return f" at {plain(fills[0].price)} USD"
    mean = tidings.average_price(fills)
    return f" at {plain(nearest(mean, COARSE) if mean >= ONE else mean)} USD on average"
