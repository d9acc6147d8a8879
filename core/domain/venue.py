"""What is asked of a venue and what it answers: plain values of the Broker port."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from core.domain.orders import OrderState, OrderType, Purpose, Side
from core.domain.portfolio import CashMovement, PositionAdjustment


class Resting(StrEnum):
    """What may rest at a venue for a position, of which each part is an order.

    PAIR: stop and target beside one another, of which one cancels the other. STOP: a stop-limit alone, which claims the
    whole quantity; the engine watches the target. NOTHING: the engine watches both.
    """

    PAIR = "pair"
    STOP = "stop"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What goes to a venue. Prices and quantities are already quantised.

    A purchase with both bracket prices carries its own protection. A sale of type STOP with a `bracket_target` is a
    protective pair: the stop under this very id and a target leg beside it, of which one cancels the other.
    """

    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    type: OrderType
    purpose: Purpose
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    bracket_stop: Decimal | None = None
    bracket_target: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """What an order that rests is to become: the same side and quantity at these prices, USD. None where an order of
    its type has no such price.

    `client_order_id` is derived as any order's: the venue may have under it what takes the order's place. Among us the
    order keeps its name.
    """

    client_order_id: str
    stop_price: Decimal | None = None
    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue knows it. Bracket legs come as orders of their own with `parent_client_order_id`."""

    client_order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    filled_quantity: Decimal
    state: OrderState
    type: OrderType
    purpose: Purpose
    limit_price: Decimal | None
    stop_price: Decimal | None
    parent_client_order_id: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VenueAccount:
    """Cash in USD, quantities in units, as the venue reports them.

    What only some venues tell: `number` names the account there (another number is another account), `equity` and
    `buying_power` in USD, `status` in the venue's own word, and `restrictions`, why it takes no orders of the account,
    each in words for the owner; empty where it takes them. `trades_coins`: the account may trade
    them. `ahead` is how far its clock is before ours. `fees_due` is what the venue may at most have taken already
    without having told of it, by symbol in units and as USD: until it tells, so much less than booked is no difference.
    """

    cash: Decimal
    positions: Mapping[str, Decimal]
    number: str = ""
    equity: Decimal | None = None
    buying_power: Decimal | None = None
    currency: str = "USD"
    status: str = ""
    restrictions: tuple[str, ...] = ()
    fees_due: Mapping[str, Decimal] = field(default_factory=dict)
    ahead: timedelta | None = None
    trades_coins: bool = True


@dataclass(frozen=True, slots=True)
class VenueAsset:
    """What a venue says of an instrument. Steps and the smallest order in units, prices in USD; None where it names
    none."""

    symbol: str
    tradable: bool
    fractionable: bool
    min_quantity: Decimal | None = None
    quantity_step: Decimal | None = None
    price_tick: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """`ratio` new units for one old one (7 for 7:1, 0.05 for 1:20), effective at `at`.

    `quantity` is the signed change of the account's units, zero for a symbol that is not held. The venue adjusts
    its working orders by itself; an odd remainder is paid out as a CashMovement of kind IN_LIEU.
    """

    id: str
    account: str
    symbol: str
    ratio: Decimal
    quantity: Decimal
    at: datetime


Activity = CashMovement | PositionAdjustment | Split
"""What happens in an account beside orders and fills."""


@dataclass(frozen=True, slots=True)
class Accepted:
    order: VenueOrder


class Refusal(StrEnum):
    """What a venue's no is about, as far as it matters for what is tried next. RESTRICTED: a day-trade or intraday
    margin rule. UNTRADABLE: the venue has no such instrument, or does not trade it. FIXED: the order cannot be moved as
    it is now, but another may take its place."""

    OTHER = "other"
    BUYING_POWER = "buying power"
    RESTRICTED = "restricted"
    BLOCKED = "blocked"
    HALTED = "halted"
    UNTRADABLE = "untradable"
    CLOSED = "closed"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue's final no, in words."""

    reason: str
    kind: Refusal = Refusal.OTHER


@dataclass(frozen=True, slots=True)
class Unknown:
    """The call may or may not have happened; `find` tells."""

    reason: str


@dataclass(frozen=True, slots=True)
class AwaitingOwner:
    """Not sent anywhere: the owner executes it by hand."""


SubmitResult = Accepted | Refused | Unknown | AwaitingOwner
