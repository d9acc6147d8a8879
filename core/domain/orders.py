"""Orders: what was intended, what became of it, and which changes of state are possible."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.accounts import AccountKind
from core.domain.values import ZERO


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"


class Purpose(StrEnum):
    """Why the order exists. STOP and TARGET rest at the venue and cancel one another."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"
    TARGET = "target"


class OrderState(StrEnum):
    SUBMITTING = "submitting"
    AWAITING_OWNER = "awaiting_owner"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    CANCEL_PENDING = "cancel_pending"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


_S = OrderState
TRANSITIONS: Mapping[OrderState, frozenset[OrderState]] = {
    _S.SUBMITTING: frozenset(
        {
            _S.ACCEPTED,
            _S.AWAITING_OWNER,
            _S.PARTIALLY_FILLED,
            _S.FILLED,
            _S.REJECTED,
            _S.UNKNOWN,
            _S.CANCELED,
            _S.EXPIRED,
        }
    ),
    _S.AWAITING_OWNER: frozenset({_S.SUBMITTING, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED}),
    _S.ACCEPTED: frozenset(
        {_S.PARTIALLY_FILLED, _S.CANCEL_PENDING, _S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED, _S.UNKNOWN}
    ),
    _S.PARTIALLY_FILLED: frozenset({_S.CANCEL_PENDING, _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.UNKNOWN}),
    _S.CANCEL_PENDING: frozenset(
        {_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED, _S.ACCEPTED, _S.UNKNOWN}
    ),
    _S.UNKNOWN: frozenset(
        {_S.ACCEPTED, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED, _S.CANCEL_PENDING}
    ),
    # A fill may overtake a cancel or be reported after an instruction lapsed: it happened, so it is booked.
    _S.CANCELED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED}),
    _S.EXPIRED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED}),
    _S.FILLED: frozenset(),
    _S.REJECTED: frozenset(),
}
FINAL = frozenset({_S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED})
LIVE = frozenset(set(OrderState) - FINAL)
RESTING = frozenset({_S.ACCEPTED, _S.PARTIALLY_FILLED})
PROTECTING = frozenset({Purpose.STOP, Purpose.TARGET})
_STAYS_WHEN_PARTLY_FILLED = frozenset({_S.CANCEL_PENDING, _S.CANCELED, _S.EXPIRED, _S.FILLED})


class ImpossibleTransition(Exception):
    """A change of state that the table does not allow: a defect in our code, never the venue's doing."""


@dataclass(frozen=True, slots=True)
class Bracket:
    """The protection that goes with an entry: USD prices of the stop-loss and the take-profit."""

    stop: Decimal
    target: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """One order of one account. Quantities in units, prices in USD, times aware UTC.

    `origin` is the scheduled tick time or the owner's card or command id; together with `attempt` it makes the derived
    `client_order_id`, so that a repeated cycle meets its own order instead of placing a second one.
    """

    client_order_id: str
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    purpose: Purpose
    origin: str
    attempt: int
    created_at: datetime
    state: OrderState = OrderState.SUBMITTING
    type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    bracket: Bracket | None = None
    parent_id: str | None = None
    reference_price: Decimal = ZERO
    filled_quantity: Decimal = ZERO
    venue_order_id: str | None = None
    reason: str = ""
    updated_at: datetime | None = None
    tags: tuple[str, ...] = field(default=())

    @property
    def is_live(self) -> bool:
        return self.state in LIVE

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled_quantity

    def moved(self, state: OrderState, at: datetime, *, reason: str = "", venue_order_id: str | None = None) -> Order:
        """This order in `state`; staying where it is is allowed. Raises ImpossibleTransition."""
        if state is not self.state and state not in TRANSITIONS[self.state]:
            raise ImpossibleTransition(f"{self.client_order_id}: {self.state} -> {state}")
        return replace(
            self,
            state=state,
            updated_at=at,
            reason=reason or self.reason,
            venue_order_id=venue_order_id or self.venue_order_id,
        )

    def filled_by(self, quantity: Decimal, at: datetime) -> Order:
        """This order after a further `quantity` was filled.

        A part filled during or after a cancel changes what was filled, not that no more is to come.
        """
        done = self.filled_quantity + quantity
        state = OrderState.FILLED if done >= self.quantity else OrderState.PARTIALLY_FILLED
        if state is OrderState.PARTIALLY_FILLED and self.state in _STAYS_WHEN_PARTLY_FILLED:
            state = self.state
        return replace(self.moved(state, at), filled_quantity=done)

    def restated(self, filled: Decimal, rest: OrderState, at: datetime, *, reason: str = "") -> Order:
        """This order of the manual account with `filled` units in all, after a fill was taken back or corrected.

        `rest` is the state of what is left: AWAITING_OWNER where it may still be executed. The table of transitions
        does not apply: what the owner reported was never so. Raises ImpossibleTransition for a venue's order, whose
        fills are final.
        """
        if self.account != AccountKind.MANUAL:
            raise ImpossibleTransition(f"{self.client_order_id}: the fills of {self.account} are the venue's")
        if filled >= self.quantity:
            state = OrderState.FILLED
        elif filled > 0 and rest is OrderState.AWAITING_OWNER:
            state = OrderState.PARTIALLY_FILLED
        else:
            state = rest
        return replace(self, state=state, filled_quantity=filled, updated_at=at, reason=reason or self.reason)


@dataclass(frozen=True, slots=True)
class Cover:
    """What orders that rest at a venue sell of a position by themselves, in units: at its stop, and at its target.

    `limited`: a stop among them sells at its limit or above it, or not at all.
    """

    stop: Decimal = ZERO
    target: Decimal = ZERO
    limited: bool = False


NO_COVER = Cover()


def cover_of(orders: Iterable[Order]) -> Cover:
    """The cover of one position; `orders` are the live ones of its account and symbol."""
    resting = [order for order in orders if order.state in RESTING]
    stops = [order for order in resting if order.purpose is Purpose.STOP and order.stop_price is not None]
    targets = [order for order in resting if order.purpose is Purpose.TARGET and order.limit_price is not None]
    return Cover(
        sum((order.remaining for order in stops), ZERO),
        sum((order.remaining for order in targets), ZERO),
        any(order.limit_price is not None for order in stops),
    )


VERSIONS_OF_AN_EPOCH = 1_000_000


@dataclass(frozen=True, slots=True)
class OrderNamespace:
    """What makes order ids of this installation unlike any other's; a restored ledger counts a new epoch."""

    installation_id: str
    epoch: int

    def client_order_id(
        self, account: str, origin: str, symbol: str, side: Side, purpose: Purpose, attempt: int
    ) -> str:
        """Base32 of SHA-256 over the order's identity (DESIGN 8, order id), 32 characters with the product's prefix."""
        identity = "|".join(
            (self.installation_id, str(self.epoch), account, origin, symbol, side, purpose, str(attempt))
        )
        digest = base64.b32encode(hashlib.sha256(identity.encode()).digest()).decode().lower()
        return f"{self.prefix}{digest[:24]}"

    @property
    def first_version(self) -> int:
        """The version with which a card begins: a button of a card that a restore has lost never fits a new one."""
        return (self.epoch - 1) * VERSIONS_OF_AN_EPOCH + 1

    @property
    def prefix(self) -> str:
        """Begins every order id of this installation, so that another's are told apart at a shared venue."""
        return f"at{hashlib.sha256(self.installation_id.encode()).hexdigest()[:5]}-"
