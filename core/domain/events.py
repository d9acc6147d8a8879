"""What the owner should know. Each event is committed with the change it tells of and rendered only at delivery.

An event's class name and VERSION are stored beside its fields, so that an older row can still be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum

from core.domain.accounts import Badge, Mode
from core.domain.decisions import Verdict
from core.domain.orders import Purpose, Side
from core.domain.portfolio import GuardKind

VERSION = 1


class Priority(IntEnum):
    """Smaller goes first."""

    CRITICAL = 0
    TRADE = 1
    NORMAL = 2
    CHATTER = 3


@dataclass(frozen=True, slots=True)
class Welcome:
    """Sent once per installation: what is simulated and how to go real."""

    badges: tuple[Badge, ...]
    simulated_prices: bool
    simulated_broker: bool
    speed: float
    symbols: tuple[str, ...]
    equity: Decimal
    mode: Mode


@dataclass(frozen=True, slots=True)
class EngineStarted:
    at: datetime
    down_since: datetime | None
    mode: Mode
    paused: bool
    open_positions: int
    pending_instructions: int
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class SignalRaised:
    """A buy signal: every gate passed. `reasons` are the verdicts in order."""

    account: str
    symbol: str
    at: datetime
    price: Decimal
    probability: float
    event: str
    model_version: str
    reasons: tuple[Verdict, ...]
    quantity: Decimal
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class InstructionIssued:
    """A manual order for the owner's hand, or (with needs_approval) an order that waits for his approval."""

    number: int
    version: int
    account: str
    client_order_id: str
    symbol: str
    side: Side
    purpose: Purpose
    quantity: Decimal
    price: Decimal
    band_low: Decimal
    band_high: Decimal
    stop: Decimal | None
    target: Decimal | None
    probability: float | None
    expires_at: datetime | None
    needs_approval: bool
    why: str
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class InstructionSettled:
    """Edits the card of `number`: executed, skipped, expired, superseded, or approved and what the broker said."""

    number: int
    outcome: str
    detail: str
    symbol: str
    side: Side
    quantity: Decimal
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """A fill that opened or changed a position. Exits carry the profit in USD and as a fraction of cost."""

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
class PositionUnguarded:
    account: str
    symbol: str
    quantity: Decimal
    reason: str
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class ModelTrained:
    version: str
    rows: int
    last_bar_at: datetime
    event: str
    validation_rows: int
    auc: float
    log_loss: float
    baseline_log_loss: float
    base_rate: float
    promoted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ReportPosition:
    symbol: str
    account: str
    quantity: Decimal
    price: Decimal
    value: Decimal
    profit: Decimal
    profit_fraction: Decimal
    guard: GuardKind | None
    stop: Decimal | None
    target: Decimal | None


@dataclass(frozen=True, slots=True)
class ReportAccount:
    """One account's day. Fractions, not percent; `benchmark_fraction` is an equal-weight holding of the universe."""

    account: str
    equity: Decimal
    cash: Decimal
    day_profit: Decimal
    day_fraction: Decimal
    total_fraction: Decimal
    benchmark_fraction: Decimal | None
    trades_closed: int
    trades_won: int
    fees: Decimal
    attested: bool
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class DailyReport:
    day: date
    since: datetime
    accounts: tuple[ReportAccount, ...]
    positions: tuple[ReportPosition, ...]
    model_version: str | None
    model_auc: float | None
    model_hits: int
    model_scored: int
    health: str
    components: tuple[tuple[str, str], ...]
    ledger_head: str


@dataclass(frozen=True, slots=True)
class HealthChanged:
    component: str
    state: str
    reason: str
    next_try_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ErrorRaised:
    """Something failed that the owner should know of; told once per cause."""

    component: str
    summary: str
    consequence: str


@dataclass(frozen=True, slots=True)
class StrangerSpoke:
    user_id: int
    summary: str


@dataclass(frozen=True, slots=True)
class ModeChanged:
    mode: Mode
    paused: bool
    until: datetime | None
    by: str


Event = (
    Welcome
    | EngineStarted
    | SignalRaised
    | InstructionIssued
    | InstructionSettled
    | OrderFilled
    | OrderRefused
    | OrderUncertain
    | PositionUnguarded
    | ModelTrained
    | DailyReport
    | HealthChanged
    | ErrorRaised
    | StrangerSpoke
    | ModeChanged
)

EVENT_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        Welcome,
        EngineStarted,
        SignalRaised,
        InstructionIssued,
        InstructionSettled,
        OrderFilled,
        OrderRefused,
        OrderUncertain,
        PositionUnguarded,
        ModelTrained,
        DailyReport,
        HealthChanged,
        ErrorRaised,
        StrangerSpoke,
        ModeChanged,
    )
}

_PRIORITY: dict[type, Priority] = {
    OrderUncertain: Priority.CRITICAL,
    PositionUnguarded: Priority.CRITICAL,
    OrderRefused: Priority.CRITICAL,
    ErrorRaised: Priority.CRITICAL,
    ModeChanged: Priority.CRITICAL,
    InstructionIssued: Priority.TRADE,
    InstructionSettled: Priority.TRADE,
    OrderFilled: Priority.TRADE,
    SignalRaised: Priority.TRADE,
    ModelTrained: Priority.CHATTER,
}


def priority_of(event: Event) -> Priority:
    """How soon it must reach the owner. A stop-loss is critical wherever it was hit."""
    if isinstance(event, OrderFilled) and event.purpose is Purpose.STOP:
        return Priority.CRITICAL
    return _PRIORITY.get(type(event), Priority.NORMAL)
