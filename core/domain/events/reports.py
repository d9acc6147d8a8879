"""The report of a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from core.domain.accounts import Badge
from core.domain.orders import Purpose
from core.domain.portfolio import GuardKind
from core.domain.skill import SkillRecord, Standing, Waiting


@dataclass(frozen=True, slots=True)
class ReportPosition:
    """`at_venue` is how many units resting stops sell by themselves, zero where that is not known; `target_rests`
    whether all of these are sold at the target, too. `seen_at` is when what rests there was last seen, where its venue
    does not answer now."""

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
    at_venue: Decimal = Decimal(0)
    target_rests: bool = True
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReportAccount:
    """One account's day. Fractions, not percent; `benchmark_fraction` is an equal-weight holding of the universe.

    `attested`: it is what the owner reported; `confirmed_at` is when he last compared it with his broker (market time).
    """

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
    confirmed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClosedForecast:
    """A closed trade, in USD after fees, and what was foreseen before its purchase: the `probability` of `event`, and
    whether that `came_true`; None while it is not known. Without a probability no forecast led to it."""

    account: str
    symbol: str
    profit: Decimal
    profit_fraction: Decimal | None
    closed_at: datetime
    purpose: Purpose
    probability: float | None = None
    event: str = ""
    came_true: bool | None = None


@dataclass(frozen=True, slots=True)
class DailyReport:
    """`closed` are the trades of the day. `skill` is the live record of the recipe in force, None before its first
    outcome; `doubted` whose entries are halved or held back by it (core.domain.skill), `waiting` what could not be
    scored yet, and why."""

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
    closed: tuple[ClosedForecast, ...] = ()
    skill: SkillRecord | None = None
    doubted: tuple[Standing, ...] = ()
    waiting: tuple[Waiting, ...] = ()
