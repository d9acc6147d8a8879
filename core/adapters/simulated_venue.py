"""The simulated venue's own books: what it knows follows from its events and nothing else.

`VenueBook.apply` is the only place that changes anything, so that a book rebuilt from the journal equals the one that
wrote it.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import assert_never

from core.adapters.simulated_events import (
    Cancelled,
    Divided,
    Filled,
    Moved,
    Opened,
    Paid,
    Submitted,
    Triggered,
    Turned,
    VenueEvent,
)
from core.adapters.simulated_resting import Resting, divided, legs_of, moved, order_of, target_beside
from core.domain.orders import OrderState, Side
from core.domain.portfolio import CashMovement, Fill
from core.domain.values import ZERO
from core.domain.venue import Activity, VenueOrder

USD = "USD"


class VenueBook:
    """Cash in USD, units held, every order ever, the live ones, and every fill and activity in the order of time."""

    def __init__(self) -> None:
        self.account = ""
        self.cash = ZERO
        self.positions: dict[str, Decimal] = {}
        self.orders: dict[str, VenueOrder] = {}
        self.live: dict[str, Resting] = {}
        self.fills: list[Fill] = []
        self.activities: list[Activity] = []
        self.last_sequence = 0
        self.last_at = datetime.min.replace(tzinfo=UTC)

    def apply(self, event: VenueEvent, sequence: int) -> None:
        """Takes in the next event; `sequence` rises by one with each."""
        self.last_sequence, self.last_at = sequence, max(self.last_at, event.at)
        match event:
            case Opened():
                self.account, self.cash = event.account, event.cash
            case Submitted():
                self._rest(event, sequence)
            case Moved():
                self._add(moved(self.live[event.client_order_id], event))
            case Cancelled():
                self._end(event.client_order_id, OrderState.CANCELED, event.reason, event.at)
            case Turned():
                self._end(event.client_order_id, OrderState.REJECTED, event.reason, event.at)
            case Triggered(client_order_id=name):
                self.live[name] = replace(self.live[name], is_triggered=True)
            case Filled():
                self._fill(event.fill)
            case Paid():
                self._pay(event.movement)
            case Divided():
                self._divide(event)
            case _:
                assert_never(event)

    def free_cash(self) -> Decimal:
        """Cash that no live order holds back."""
        return self.cash - sum((resting.reserved for resting in self.live.values()), ZERO)

    def free_units(self, symbol: str) -> Decimal:
        """Units that no live sale has claimed; a stop and a target that cancel one another claim them once."""
        claimed, paired = ZERO, set[str]()
        for name, resting in self.live.items():
            order = resting.order
            if order.symbol == symbol and order.side is Side.SELL and name not in paired:
                claimed += resting.remaining
                paired.add(resting.rival or name)
        return self.positions.get(symbol, ZERO) - claimed

    def _rest(self, event: Submitted, sequence: int) -> None:
        request, since = event.request, event.live_at or event.at
        order = order_of(request, sequence)
        bracket = rival = None
        if request.bracket_stop is not None and request.bracket_target is not None:
            bracket = (request.bracket_stop, request.bracket_target)
        elif request.side is Side.SELL and request.bracket_target is not None:
            target = target_beside(order, request.bracket_target)
            rival = target.client_order_id
            self._add(Resting(target, (sequence, 1), since, rival=order.client_order_id))
        self._add(Resting(order, (sequence, 0), since, event.reserved, bracket, rival))

    def _add(self, resting: Resting) -> None:
        self.orders[resting.order.client_order_id] = resting.order
        self.live[resting.order.client_order_id] = resting

    def _end(self, name: str, state: OrderState, reason: str, at: datetime) -> None:
        """Of a pair both go; what a purchase has brought so far gets its legs."""
        ended = self.live.pop(name)
        self.orders[name] = replace(ended.order, state=state, reason=reason)
        if ended.rival in self.live:
            self._end(ended.rival, OrderState.CANCELED, reason, at)
        self._rest_legs(ended, at)

    def _fill(self, fill: Fill) -> None:
        name, resting = fill.client_order_id, self.live.pop(fill.client_order_id)
        in_units, value = fill.fee_currency != USD, fill.quantity * fill.price
        units, dollars = (fill.fee, ZERO) if in_units else (ZERO, fill.fee)
        bought = fill.side is Side.BUY
        gained = fill.quantity - units if bought else -fill.quantity - units
        self.cash += (-value if bought else value) - dollars
        self._move(fill.symbol, gained)
        insort(self.fills, fill, key=lambda each: each.at)
        filled = resting.order.filled_quantity + fill.quantity
        is_whole = filled >= resting.order.quantity
        state = OrderState.FILLED if is_whole else OrderState.PARTIALLY_FILLED
        after = replace(
            resting,
            order=replace(resting.order, state=state, filled_quantity=filled),
            reserved=resting.reserved * (resting.remaining - fill.quantity) / resting.remaining,
            gained=resting.gained + gained,
            parts=resting.parts + 1,
            value=resting.value + value,
            charged=resting.charged + dollars,
        )
        self.orders[name] = after.order
        if not is_whole:
            self.live[name] = after
        if resting.rival in self.live:
            self._shrink(resting.rival, fill.quantity, fill.at)
        if is_whole:
            self._rest_legs(after, fill.at)

    def _move(self, symbol: str, units: Decimal) -> None:
        held = self.positions.pop(symbol, ZERO) + units
        if held:
            self.positions[symbol] = held

    def _shrink(self, rival: str, units: Decimal, at: datetime) -> None:
        """The other leg protects, or offers, only what is still there."""
        resting = self.live[rival]
        if resting.remaining <= units:
            self._end(rival, OrderState.CANCELED, "the other leg of its bracket was filled", at)
        else:
            self._add(replace(resting, order=replace(resting.order, quantity=resting.order.quantity - units)))

    def _rest_legs(self, entry: Resting, since: datetime) -> None:
        legs = legs_of(entry, self.free_units(entry.order.symbol))
        if legs is None:
            return
        stop, target = legs
        self._add(Resting(stop, (self.last_sequence, 1), since, rival=target.client_order_id))
        self._add(Resting(target, (self.last_sequence, 2), since, rival=stop.client_order_id))

    def _pay(self, movement: CashMovement) -> None:
        self.cash += movement.amount
        insort(self.activities, movement, key=lambda each: each.at)

    def _divide(self, event: Divided) -> None:
        split = event.split
        self._move(split.symbol, split.quantity)
        insort(self.activities, split, key=lambda each: each.at)
        if event.in_lieu is not None:
            self._pay(event.in_lieu)
        for name, resting in list(self.live.items()):
            if resting.order.symbol == split.symbol and name in self.live:
                self._add(divided(resting, split.ratio))
                if self.live[name].remaining <= 0:
                    self._end(name, OrderState.CANCELED, "the split left nothing of it", split.at)
