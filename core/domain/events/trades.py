"""Signals, orders and fills."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.accounts import Badge
from core.domain.decisions import Verdict
from core.domain.orders import Purpose, Side
from core.domain.portfolio import GuardKind


@dataclass(frozen=True, slots=True)
class SignalRaised:
    """A buy signal: every gate passed. `reasons` are the verdicts in order. Where the plain rule decided, `probability`
    is None, and `event` and `model_version` are empty."""

    account: str
    symbol: str
    at: datetime
    price: Decimal
    probability: float | None
    event: str
    model_version: str
    reasons: tuple[Verdict, ...]
    quantity: Decimal
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """A fill, or several of one order together, that opened or changed a position. Exits carry the profit in USD and as
    a fraction of cost. `fee` is in `fee_currency`: USD or the coin itself. Where this was only a part, `filled` of
    `ordered` units are filled so far."""

    account: str
    symbol: str
    side: Side
    purpose: Purpose
    quantity: Decimal
    price: Decimal
    fee: Decimal
    at: datetime
    stop: Decimal | None
    target: Decimal | None
    guard: GuardKind | None
    profit: Decimal | None
    profit_fraction: Decimal | None
    cash: Decimal
    badges: tuple[Badge, ...]
    fee_currency: str = "USD"
    ordered: Decimal | None = None
    filled: Decimal | None = None

    @property
    def is_further_part(self) -> bool:
        """Neither the first nor the last of its order."""
        if self.filled is None or self.ordered is None:
            return False
        return self.quantity < self.filled < self.ordered


@dataclass(frozen=True, slots=True)
class OrderRefused:
    """The venue's final no, with its reason in words."""

    account: str
    symbol: str
    side: Side
    purpose: Purpose
    quantity: Decimal
    reason: str
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class OrderUncertain:
    """Nobody knows yet whether the venue has the order; the symbol is blocked until it answers."""

    account: str
    symbol: str
    side: Side
    quantity: Decimal
    reason: str
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class ExitQueued:
    """A sale that was sent while its market is closed: it waits for the open. `reason` says why it is sold."""

    account: str
    symbol: str
    quantity: Decimal
    reason: str
    opens_at: datetime
    badges: tuple[Badge, ...]
