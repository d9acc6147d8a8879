"""What the owner asks for and what he is answered: plain values that the bot renders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.accounts import Badge, Mode
from core.domain.decisions import Brake, Reasons, Signal
from core.domain.events import ReportAccount, ReportPosition
from core.domain.orders import Side
from core.domain.real_money import RealMoneyView
from core.domain.records import Instruction


class Health(StrEnum):
    RUNNING = "RUNNING"
    DEGRADED = "DEGRADED"
    HALTED = "HALTED"


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    name: str
    state: Health
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Fallback:
    """Why mode manual holds although the owner chose another: his broker `says` (it follows the account's name)."""

    account: str
    says: str
    since: datetime
    chosen: Mode


@dataclass(frozen=True, slots=True)
class StatusView:
    """Everything /status shows. `market_now` may be simulated time; `speed` is how fast it runs. `brakes` are those in
    force beside a pause, the oldest first."""

    market_now: datetime
    speed: float
    simulated_prices: bool
    mode: Mode
    paused: bool
    paused_until: datetime | None
    health: Health
    components: tuple[ComponentHealth, ...]
    accounts: tuple[ReportAccount, ...]
    open_positions: int
    unguarded: int
    pending_instructions: int
    stock_session_open: bool
    next_stock_change: datetime
    last_cycle_at: datetime | None
    next_cycle_at: datetime | None
    model_version: str | None
    model_trained_at: datetime | None
    last_signal: str
    undelivered_messages: int
    badges: tuple[Badge, ...]
    brakes: tuple[Brake, ...] = ()
    fallback: Fallback | None = None
    real_money: RealMoneyView | None = None


@dataclass(frozen=True, slots=True)
class ReportedFill:
    """A fill in the owner's words. None where he left it to us: the instruction's quantity, side or shown price, and
    now (by the market clock).

    `insist`: he knows that it looks like one that is booked already.
    """

    symbol: str | None
    quantity: Decimal | None
    price: Decimal | None
    fee: Decimal | None
    number: int | None
    insist: bool = False
    side: Side | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OwnTrade:
    """A trade of the owner's own making. Units and USD; `at` by the market clock, None for now.

    `insist`: he knows that it looks like one that is booked already, or like an instruction that waits.
    """

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    at: datetime | None
    insist: bool = False


@dataclass(frozen=True, slots=True)
class Correction:
    """What a booked fill should have said; None leaves a figure as it was.

    `fill_id` (or how it begins), the `number` of its instruction or its `symbol` say which fill; without them it is the
    newest.
    """

    fill_id: str | None
    quantity: Decimal | None
    price: Decimal | None
    fee: Decimal | None
    number: int | None = None
    symbol: str | None = None


class Pricing(StrEnum):
    """How an order that waits for approval is to be sent: at the market, or at most at the price that the card shows,
    or at most at the far edge of its price band."""

    MARKET = "market"
    SHOWN = "shown"
    EDGE = "edge"


@dataclass(frozen=True, slots=True)
class CardWish:
    """What the owner wants changed on a card; None leaves it. `quarters` of the proposed quantity, 1 to 4."""

    quarters: int | None = None
    pricing: Pricing | None = None


@dataclass(frozen=True, slots=True)
class CardOffer:
    """What a card may be changed to: units by quarters of what was proposed, and USD by how it is priced (None: no
    limit). Sizes that no venue takes are left out."""

    instruction: Instruction
    proposed: Decimal
    quantity: Decimal
    pricing: Pricing
    sizes: Mapping[int, Decimal]
    limits: Mapping[Pricing, Decimal | None]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why there is an instruction: the stored judgement of its symbol in the decision that made it, None where no
    signal led to it (a stop, a sale by hand). `reasons` are what moved its forecast."""

    instruction: Instruction
    signal: Signal | None
    badges: tuple[Badge, ...]
    reasons: Reasons | None = None


class AnswerKind(StrEnum):
    DONE = "done"
    UNCHANGED = "unchanged"
    STALE = "stale"
    AMBIGUOUS = "ambiguous"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class OwnerAnswer:
    """What became of an owner's command, in one or two plain sentences; candidates where he must choose."""

    kind: AnswerKind
    text: str
    instruction: Instruction | None = None
    candidates: tuple[Instruction, ...] = ()


@dataclass(frozen=True, slots=True)
class PositionsView:
    positions: tuple[ReportPosition, ...]
    accounts: tuple[ReportAccount, ...]
    badges: tuple[Badge, ...]
