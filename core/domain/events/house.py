"""The program itself: its start, its health, its models, its ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.accounts import Badge, Mode
from core.domain.skill import Trust


@dataclass(frozen=True, slots=True)
class Welcome:
    """Sent once per installation: what is simulated and how to go real.

    `broker` is the account that orders go to by themselves, empty where there is none. `left_behind` is the file of an
    earlier ledger of play money that is not used any more."""

    badges: tuple[Badge, ...]
    simulated_prices: bool
    simulated_broker: bool
    speed: float
    symbols: tuple[str, ...]
    equity: Decimal
    mode: Mode
    broker: str = ""
    left_behind: str = ""


@dataclass(frozen=True, slots=True)
class EngineStarted:
    """`mode` is the one that holds; `held_by` names the account whose broker has to be back before the owner's does."""

    at: datetime
    down_since: datetime | None
    mode: Mode
    paused: bool
    open_positions: int
    pending_instructions: int
    badges: tuple[Badge, ...]
    held_by: str = ""


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
class ModelRestored:
    """The owner went back from the model `former` to the earlier `version`; nothing is trained before `held_until`."""

    version: str
    former: str
    trained_at: datetime
    last_bar_at: datetime
    event: str
    log_loss: float
    baseline_log_loss: float
    held_until: datetime
    by: str


@dataclass(frozen=True, slots=True)
class SkillChanged:
    """What live forecasts of a symbol, or of core.domain.skill.ALL, have earned is another thing now. `reason` holds
    the figures in words; `in_force` False: the owner has switched the throttle off, and nothing follows."""

    symbol: str
    trust: Trust
    before: Trust
    reason: str
    in_force: bool = True


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
class LedgerRestored:
    """The ledger came back from a backup of `taken_at`; cards from before count no more."""

    taken_at: datetime
    epoch: int
    cards_voided: int
    badges: tuple[Badge, ...]
