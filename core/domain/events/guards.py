"""What guards positions, and what holds purchases back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.accounts import Badge
from core.domain.decisions import BrakeKind
from core.domain.portfolio import GuardKind


@dataclass(frozen=True, slots=True)
class PositionUnguarded:
    account: str
    symbol: str
    quantity: Decimal
    reason: str
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class BrakeSet:
    """New entries are held back; `until` None means until released; `reason` has the numbers behind it."""

    kind: BrakeKind
    scope: str
    reason: str
    until: datetime | None
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class BrakeReleased:
    kind: BrakeKind
    scope: str
    by: str
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class GuardMoved:
    """A stop followed the price, or the owner moved a level; prices in USD, no targets where only the stop moved."""

    account: str
    symbol: str
    former_stop: Decimal
    stop: Decimal
    reason: str
    badges: tuple[Badge, ...]
    former_target: Decimal | None = None
    target: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ProtectionFailed:
    """The stop of a position could not be placed where it should rest, or rested there and did not sell: `what` says
    which, `consequence` what was done instead."""

    account: str
    symbol: str
    quantity: Decimal
    reason: str
    consequence: str
    badges: tuple[Badge, ...]
    what: str = "stop not placed"


@dataclass(frozen=True, slots=True)
class NearStop:
    """A price came near the stop of a position, or (`over`) is well away from it again. `day_range` is the mean true
    range of its last days; prices in USD."""

    account: str
    symbol: str
    price: Decimal
    stop: Decimal
    day_range: Decimal | None
    guard: GuardKind
    at: datetime
    over: bool
    badges: tuple[Badge, ...]
