"""What can happen at the simulated venue: the events of its journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.portfolio import CashMovement, Fill
from core.domain.venue import OrderRequest, Split


@dataclass(frozen=True, slots=True)
class Opened:
    """The account was opened with so much cash (USD)."""

    at: datetime
    account: str
    cash: Decimal


@dataclass(frozen=True, slots=True)
class Submitted:
    """An order was accepted. `reserved` is the cash in USD that it holds back until it is final; `live_at` the moment
    from which it may fill, where that is later than `at`."""

    at: datetime
    request: OrderRequest
    reserved: Decimal
    live_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """A live order rests at other prices from then on, USD."""

    at: datetime
    client_order_id: str
    stop_price: Decimal | None
    limit_price: Decimal | None


@dataclass(frozen=True, slots=True)
class Cancelled:
    at: datetime
    client_order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Turned:
    """An accepted order was turned down when its time came, before any part of it was filled."""

    at: datetime
    client_order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Triggered:
    """A stop was touched that could not be sold whole at once: what is left of it is sold at the next opens."""

    at: datetime
    client_order_id: str


@dataclass(frozen=True, slots=True)
class Filled:
    """`at` is when the venue learned of it by the market clock; `fill.at` when it happened."""

    at: datetime
    fill: Fill


@dataclass(frozen=True, slots=True)
class Paid:
    """A dividend."""

    at: datetime
    movement: CashMovement


@dataclass(frozen=True, slots=True)
class Divided:
    """A split, with what was paid for an odd remainder."""

    at: datetime
    split: Split
    in_lieu: CashMovement | None = None


VenueEvent = Opened | Submitted | Moved | Cancelled | Turned | Triggered | Filled | Paid | Divided
KINDS: Mapping[str, type[VenueEvent]] = {
    "opened": Opened,
    "submitted": Submitted,
    "moved": Moved,
    "cancelled": Cancelled,
    "turned_down": Turned,
    "triggered": Triggered,
    "filled": Filled,
    "paid": Paid,
    "divided": Divided,
}
