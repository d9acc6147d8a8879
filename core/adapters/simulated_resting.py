"""A live order at the simulated venue, the legs of a bracket, and what a split makes of either."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.adapters.simulated_events import Moved
from core.adapters.simulated_matching import instrument_of
from core.domain.orders import OrderState, OrderType, Purpose, Side
from core.domain.values import ZERO, ceil_to, floor_to
from core.domain.venue import OrderRequest, VenueOrder

STOP_SUFFIX = "-s"
TARGET_SUFFIX = "-t"


@dataclass(frozen=True, slots=True)
class Earlier:
    until: datetime
    stop_price: Decimal | None
    limit_price: Decimal | None


@dataclass(frozen=True, slots=True)
class Resting:
    """A live order and how it queues: `sequence` is its rank of arrival, `since` the first moment it may fill at.

    `bracket` holds the prices of legs to come, `gained` the units that a purchase has brought so far, which is what
    they will protect. `parts` counts its fills; `value` is what they came to and `charged` the fee on it, both in USD.
    `earlier` has the prices at which it rested before it was moved, each with the moment until which.
    """

    order: VenueOrder
    sequence: tuple[int, int]
    since: datetime
    reserved: Decimal = ZERO
    bracket: tuple[Decimal, Decimal] | None = None
    rival: str | None = None
    is_triggered: bool = False
    gained: Decimal = ZERO
    parts: int = 0
    value: Decimal = ZERO
    charged: Decimal = ZERO
    earlier: tuple[Earlier, ...] = ()

    @property
    def remaining(self) -> Decimal:
        return self.order.quantity - self.order.filled_quantity

    def order_at(self, opened_at: datetime) -> VenueOrder:
        """As it rested when a bar opened: whatever happened in that bar before it was moved met its former prices, and
        the bar does not tell when what happened."""
        for former in self.earlier:
            if opened_at < former.until:
                return replace(self.order, stop_price=former.stop_price, limit_price=former.limit_price)
        return self.order


def order_of(request: OrderRequest, number: int) -> VenueOrder:
    return VenueOrder(
        client_order_id=request.client_order_id,
        venue_order_id=f"sim-{number}",
        symbol=request.symbol,
        side=request.side,
        quantity=request.quantity,
        filled_quantity=ZERO,
        state=OrderState.ACCEPTED,
        type=request.type,
        purpose=request.purpose,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        parent_client_order_id=None,
    )


def moved(resting: Resting, event: Moved) -> Resting:
    """The live order at its new prices."""
    order = resting.order
    former = Earlier(event.at, order.stop_price, order.limit_price)
    order = replace(order, stop_price=event.stop_price, limit_price=event.limit_price)
    return replace(resting, order=order, earlier=(*resting.earlier, former))


def target_beside(stop: VenueOrder, price: Decimal) -> VenueOrder:
    """The other half of a protective pair, hanging on the stop."""
    return replace(
        stop,
        client_order_id=stop.client_order_id + TARGET_SUFFIX,
        venue_order_id=stop.venue_order_id + TARGET_SUFFIX,
        type=OrderType.LIMIT,
        purpose=Purpose.TARGET,
        limit_price=price,
        stop_price=None,
        parent_client_order_id=stop.client_order_id,
    )


def legs_of(entry: Resting, free: Decimal) -> tuple[VenueOrder, VenueOrder] | None:
    """Stop and target for what the entry has brought and no other sale has claimed (`free` units); None where that is
    nothing one could sell."""
    if entry.bracket is None:
        return None
    quantity = floor_to(min(entry.gained, free), instrument_of(entry.order.symbol).quantity_step)
    if quantity <= 0:
        return None
    parent = entry.order.client_order_id
    stop = replace(
        entry.order,
        client_order_id=parent + STOP_SUFFIX,
        venue_order_id=entry.order.venue_order_id + STOP_SUFFIX,
        side=Side.SELL,
        quantity=quantity,
        filled_quantity=ZERO,
        state=OrderState.ACCEPTED,
        type=OrderType.STOP,
        purpose=Purpose.STOP,
        limit_price=None,
        stop_price=entry.bracket[0],
        parent_client_order_id=parent,
    )
    target = replace(
        stop,
        client_order_id=parent + TARGET_SUFFIX,
        venue_order_id=entry.order.venue_order_id + TARGET_SUFFIX,
        type=OrderType.LIMIT,
        purpose=Purpose.TARGET,
        limit_price=entry.bracket[1],
        stop_price=None,
    )
    return stop, target


def divided(resting: Resting, ratio: Decimal) -> Resting:
    """The live order after a split: what is still open of it in new units, its prices for a new unit.

    What was filled before stays counted as it was filled. Stops are rounded up to the tick and limits down, as the
    ledger does with its guards (core.domain.splits).
    """
    order = resting.order
    instrument = instrument_of(order.symbol)
    tick, step = instrument.price_tick, instrument.quantity_step
    left = floor_to(resting.remaining * ratio, step)
    bracket = resting.bracket

    def limit(price: Decimal | None) -> Decimal | None:
        return None if price is None else max(tick, floor_to(price / ratio, tick))

    def stop(price: Decimal | None) -> Decimal | None:
        return None if price is None else ceil_to(price / ratio, tick)

    return replace(
        resting,
        order=replace(
            order,
            quantity=order.filled_quantity + left,
            limit_price=limit(order.limit_price),
            stop_price=stop(order.stop_price),
        ),
        earlier=tuple(
            Earlier(former.until, stop(former.stop_price), limit(former.limit_price)) for former in resting.earlier
        ),
        bracket=bracket and (ceil_to(bracket[0] / ratio, tick), max(tick, floor_to(bracket[1] / ratio, tick))),
        gained=floor_to(resting.gained * ratio, step),
    )
