"""What is booked without a trade, and what is taken back."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.domain.accounts import Badge


@dataclass(frozen=True, slots=True)
class CashBooked:
    """Money that came or went without a trade. `kind` is a word of core.domain.portfolio.CashKind; signed USD."""

    account: str
    kind: str
    amount: Decimal
    cash: Decimal
    note: str
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class UnitsAdjusted:
    """Units that changed without a trade: a split (`ratio` new for one old), an adoption, a fee in coin."""

    account: str
    symbol: str
    kind: str
    ratio: Decimal | None
    before: Decimal
    after: Decimal
    note: str
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class EntryUndone:
    """A booking was taken back, and perhaps booked anew with other figures; `what` and `instead` in words."""

    account: str
    symbol: str
    what: str
    instead: str
    cash: Decimal
    badges: tuple[Badge, ...]
