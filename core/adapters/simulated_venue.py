"""The simulated venue's own books: what it knows follows from its events and nothing else.

`VenueBook.apply` is the only place that changes anything, so that a book rebuilt from the journal equals the one that
wrote it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from core.domain.orders import OrderState, OrderType, Purpose, Side
from core.domain.portfolio import Fill
from core.domain.values import ZERO
from core.domain.venue import OrderRequest, VenueOrder

STOP_SUFFIX = "-s"
TARGET_SUFFIX = "-t"


@dataclass(frozen=True, slots=True)
class Opened:
    """The account was opened with so much cash (USD)."""

    at: datetime
    account: str
    cash: Decimal


@dataclass(frozen=True, slots=True)
class Submitted:
    """An order was accepted. `reserved` is the cash in USD that it holds back until it is final."""

    at: datetime
    request: OrderRequest
    reserved: Decimal


@dataclass(frozen=True, slots=True)
class Cancelled:
    at: datetime
    client_order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Turned:
    """An accepted order was turned down when its time came."""

    at: datetime
    client_order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Filled:
    """`at` is when the venue learned of it by the market clock; `fill.at` when it happened."""

    at: datetime
    fill: Fill


VenueEvent = Opened | Submitted | Cancelled | Turned | Filled
KINDS: Mapping[str, type[VenueEvent]] = {
    "opened": Opened,
    "submitted": Submitted,
    "cancelled": Cancelled,
    "turned_down": Turned,
    "filled": Filled,
}


@dataclass(frozen=True, slots=True)
class Resting:
    """A live order and how it queues: `sequence` is its rank of arrival, `since` the first moment it may fill at."""

    order: VenueOrder
    sequence: tuple[int, int]
    since: datetime
    reserved: Decimal = ZERO
    bracket: tuple[Decimal, Decimal] | None = None
    rival: str | None = None


class VenueBook:
    """Cash in USD, units held, every order ever, the live ones, and every fill in the order of time."""

    def __init__(self) -> None:
        self.account = ""
        self.cash = ZERO
        self.positions: dict[str, Decimal] = {}
        self.orders: dict[str, VenueOrder] = {}
        self.live: dict[str, Resting] = {}
        self.fills: list[Fill] = []
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
            case Cancelled():
                self._end(event.client_order_id, OrderState.CANCELED, event.reason)
            case Turned():
                self._end(event.client_order_id, OrderState.REJECTED, event.reason)
            case Filled():
                self._fill(event, sequence)

    def free_cash(self) -> Decimal:
        """Cash that no live order holds back."""
        return self.cash - sum((resting.reserved for resting in self.live.values()), ZERO)

    def free_units(self, symbol: str) -> Decimal:
        """Units that no live sale has claimed; a stop and a target that cancel one another claim them once."""
        claimed, paired = ZERO, set[str]()
        for name, resting in self.live.items():
            order = resting.order
            if order.symbol == symbol and order.side is Side.SELL and name not in paired:
                claimed += order.quantity
                paired.add(resting.rival or name)
        return self.positions.get(symbol, ZERO) - claimed

    def _rest(self, event: Submitted, sequence: int) -> None:
        request = event.request
        order = VenueOrder(
            client_order_id=request.client_order_id,
            venue_order_id=f"sim-{sequence}",
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
        bracket = rival = None
        if request.bracket_stop is not None and request.bracket_target is not None:
            bracket = (request.bracket_stop, request.bracket_target)
        elif request.side is Side.SELL and request.bracket_target is not None:
            rival = order.client_order_id + TARGET_SUFFIX
            self._rest_target(order, rival, request.bracket_target, event.at, sequence)
        self.orders[order.client_order_id] = order
        self.live[order.client_order_id] = Resting(order, (sequence, 0), event.at, event.reserved, bracket, rival)

    def _rest_target(self, stop: VenueOrder, name: str, price: Decimal, since: datetime, sequence: int) -> None:
        """The other half of a protective pair."""
        target = replace(
            stop,
            client_order_id=name,
            venue_order_id=stop.venue_order_id + TARGET_SUFFIX,
            type=OrderType.LIMIT,
            purpose=Purpose.TARGET,
            limit_price=price,
            stop_price=None,
            parent_client_order_id=stop.client_order_id,
        )
        self.orders[name] = target
        self.live[name] = Resting(target, (sequence, 1), since, rival=stop.client_order_id)

    def _end(self, name: str, state: OrderState, reason: str) -> None:
        ended = self.live.pop(name)
        self.orders[name] = replace(ended.order, state=state, reason=reason)
        if ended.rival in self.live:
            self._end(ended.rival, OrderState.CANCELED, reason)

    def _fill(self, event: Filled, sequence: int) -> None:
        fill = event.fill
        resting = self.live.pop(fill.client_order_id)
        value = fill.quantity * fill.price
        bought = fill.side is Side.BUY
        self.cash += -value - fill.fee if bought else value - fill.fee
        held = self.positions.get(fill.symbol, ZERO) + (fill.quantity if bought else -fill.quantity)
        self.positions = {symbol: units for symbol, units in self.positions.items() if symbol != fill.symbol}
        if held:
            self.positions[fill.symbol] = held
        self.orders[fill.client_order_id] = replace(
            resting.order, state=OrderState.FILLED, filled_quantity=fill.quantity
        )
        insort(self.fills, fill, key=lambda each: each.at)
        if resting.rival in self.live:
            self._end(resting.rival, OrderState.CANCELED, "the other leg of its bracket was filled")
        if resting.bracket is not None:
            self._rest_legs(resting, fill.at, sequence)

    def _rest_legs(self, entry: Resting, since: datetime, sequence: int) -> None:
        assert entry.bracket is not None
        parent = entry.order.client_order_id
        stop_id, target_id = parent + STOP_SUFFIX, parent + TARGET_SUFFIX
        stop = replace(
            entry.order,
            client_order_id=stop_id,
            venue_order_id=entry.order.venue_order_id + STOP_SUFFIX,
            side=Side.SELL,
            type=OrderType.STOP,
            purpose=Purpose.STOP,
            limit_price=None,
            stop_price=entry.bracket[0],
            parent_client_order_id=parent,
        )
        target = replace(
            stop,
            client_order_id=target_id,
            venue_order_id=entry.order.venue_order_id + TARGET_SUFFIX,
            type=OrderType.LIMIT,
            purpose=Purpose.TARGET,
            limit_price=entry.bracket[1],
            stop_price=None,
        )
        for rank, (leg, rival) in enumerate(((stop, target_id), (target, stop_id)), start=1):
            self.orders[leg.client_order_id] = leg
            self.live[leg.client_order_id] = Resting(leg, (sequence, rank), since, rival=rival)
