"""Sales of more units than are held, because some have gone another way: a late fill of a cancelled stop, a part that a
target sold while it was being moved, a sale in the broker's own app. What such an order filled beyond the position
would be a short sale: it is cancelled, and what is still held is sold, or protected, anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from decimal import Decimal

from core.domain.orders import RESTING, Order, Purpose, Side
from core.domain.values import ZERO, ceil_to, floor_to, plain
from core.execution import differences, tidings
from core.execution.desk import Desk
from core.execution.exits import withdraw
from core.ports import UnitOfWork


def cancel_oversized(desk: Desk, now: datetime, reachable: Collection[str]) -> int:
    """Cancels exits, stops and targets that together sell more than the position; returns how many.

    An exit of which something is left to sell is told; who decides exits decides about the rest anew. A symbol about
    which ledger and venue differ is left alone: there is more at the venue than we know of.
    """
    with desk.reading() as work:
        found = [order for account in sorted(reachable) for order in _of_account(work, desk, account)]
        left = {order.client_order_id: work.portfolio(order.account).quantity(order.symbol) for order in found}
    if found:
        told = [
            tidings.order_refused(desk, order, f"taken back: only {plain(left[order.client_order_id])} are held by now")
            for order in found
            if order.purpose is Purpose.EXIT and left[order.client_order_id] > 0
        ]
        withdraw(desk, found, now, reason="it would sell more than is held", tell=told)
    return len(found)


def _of_account(work: UnitOfWork, desk: Desk, account: str) -> Iterator[Order]:
    live = dict[str, list[Order]]()
    for order in work.live_orders(account):
        live.setdefault(order.symbol, []).append(order)
    if not any(order.side is Side.SELL for orders in live.values() for order in orders):
        return
    portfolio, disputed = work.portfolio(account), differences.disputed(work, account)
    for symbol, orders in sorted(live.items()):
        if symbol not in disputed:
            yield from _beyond(orders, portfolio.quantity(symbol), _step(desk, symbol))


def _beyond(orders: list[Order], held: Decimal, step: Decimal) -> Iterator[Order]:
    """The exits where they alone sell too much; the stops, and the targets, where nothing but protection rests."""
    exits = [order for order in orders if order.purpose is Purpose.EXIT and order.state in RESTING]
    if _units(exits) > ceil_to(max(held, ZERO), step):
        yield from exits
    elif is_quiet(orders):
        for purpose in (Purpose.STOP, Purpose.TARGET):
            legs = [order for order in orders if order.purpose is purpose]
            if _units(legs) > floor_to(max(held, ZERO), step):
                yield from legs


def is_quiet(orders: list[Order]) -> bool:
    """Nothing but stops and targets that rest."""
    return all(order.purpose in (Purpose.STOP, Purpose.TARGET) and order.state in RESTING for order in orders)


def _units(orders: list[Order]) -> Decimal:
    return sum((order.remaining for order in orders), ZERO)


def _step(desk: Desk, symbol: str) -> Decimal:
    return desk.any_instrument(symbol).quantity_step
