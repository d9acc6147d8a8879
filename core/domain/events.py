"""What the owner should know. Each event is committed with the change it tells of and rendered only at delivery.

An event's class name and VERSION are stored beside its fields, so that an older row can still be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum

from core.domain.accounts import Badge, Mode
from core.domain.broker_events import BrokerFellBack, BrokerReturned, BrokerTroubled
from core.domain.decisions import BrakeKind, Verdict
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
    """A manual order for the owner's hand, or (with needs_approval) an order that waits for his approval.

    `proposed` is the largest quantity that the rules allow, where the owner may choose less; `limit_price` USD, None
    for an order at the market.
    `filled` units of it are booked already. `mode` is the one that held when the card was made, None where a card of an
    older version does not say.
    """

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
    proposed: Decimal | None = None
    limit_price: Decimal | None = None
    filled: Decimal = Decimal(0)
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class InstructionChanged:
    """Edits the card of an instruction in place: its next version with figures and buttons of its own. `what` says in
    words what changed."""

    card: InstructionIssued
    what: str

    @property
    def number(self) -> int:
        return self.card.number

    @property
    def account(self) -> str:
        return self.card.account

    @property
    def symbol(self) -> str:
        return self.card.symbol

    @property
    def badges(self) -> tuple[Badge, ...]:
        return self.card.badges


@dataclass(frozen=True, slots=True)
class InstructionSettled:
    """Edits the card of `number`: executed, skipped, expired, superseded, asked again, or approved and what the broker
    made of it (filled, refused, uncertain ...).

    `partial`: `filled` units are booked and the rest waits on; the buttons are of `version`.
    """

    number: int
    outcome: str
    detail: str
    symbol: str
    side: Side
    quantity: Decimal
    badges: tuple[Badge, ...]
    version: int = 0
    filled: Decimal = Decimal(0)


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
    """`mode` as the owner chose it; mode manual holds in its place until the broker of account `held_by` is back."""

    mode: Mode
    paused: bool
    until: datetime | None
    by: str
    held_by: str = ""


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """A card with two buttons. `kind` and `choices` are words of core.domain.records; units and USD."""

    number: int
    version: int
    kind: str
    choices: tuple[str, str]
    account: str
    symbol: str
    ours: Decimal
    theirs: Decimal
    stop: Decimal | None
    target: Decimal | None
    text: str
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class QuestionSettled:
    """Edits the card of question `number`: the answer that was given, or why it needs none any more."""

    number: int
    outcome: str
    detail: str
    account: str
    symbol: str
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class ExitReminder:
    """An exit that still waits for the owner's hand; `times` counts the reminders, this one included. `number`,
    `version` and `needs_approval` are its instruction's, for the buttons. `mode` holds now; None: not told."""

    number: int
    version: int
    needs_approval: bool
    account: str
    symbol: str
    quantity: Decimal
    price: Decimal | None
    times: int
    since: datetime
    why: str
    badges: tuple[Badge, ...]
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class ExitQueued:
    """A sale that was sent while its market is closed: it waits for the open. `reason` says why it is sold."""

    account: str
    symbol: str
    quantity: Decimal
    reason: str
    opens_at: datetime
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


@dataclass(frozen=True, slots=True)
class LedgerRestored:
    """The ledger came back from a backup of `taken_at`; cards from before count no more."""

    taken_at: datetime
    epoch: int
    cards_voided: int
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class SettingsDiffer:
    """The environment says otherwise since the owner chose; his choice stays. `changes` are (name, the owner's value,
    the environment's then, the environment's now), as they would be written in .env."""

    changes: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, slots=True)
class OwnerSilent:
    """No sign of the owner since `since`; from `until` on nothing new is bought. Both by the system clock."""

    since: datetime
    until: datetime
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class OwnerReturned:
    """A sign of the owner after so long that entries had been held back: what happened meanwhile.

    `since` and `at` by the system clock; `profit` in USD of the positions that were closed meanwhile.
    """

    since: datetime
    at: datetime
    bought: int
    closed: int
    profit: Decimal
    open_positions: int
    waiting: int
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class BarSourceNews:
    """What happened to the bars of `symbols`: moved, held, returned or resumed (core.feed.standing.Turn).

    `newest` is the close of their last good bar. Before another source went on, at least `compared` bars that both have
    lay at most `difference` (a fraction) apart.
    """

    turn: str
    symbols: tuple[str, ...]
    source: str
    former: str
    newest: datetime | None
    reason: str
    compared: int
    difference: float


@dataclass(frozen=True, slots=True)
class BarSourcesChanged:
    """Bars come from another source, from none, or from the best one again."""

    at: datetime
    news: tuple[BarSourceNews, ...]


@dataclass(frozen=True, slots=True)
class BarsRetold:
    """The source tells past prices in new units, the stored ones divided by `ratio`: all bars of `sizes` were fetched
    anew. `until` is the close of the last bar in old units."""

    symbol: str
    source: str
    ratio: float
    sizes: tuple[str, ...]
    until: datetime


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


@dataclass(frozen=True, slots=True)
class StaleSeries:
    """Bars of `size` of which `missed` should have come since the one closed at `newest`."""

    symbol: str
    size: str
    newest: datetime
    missed: int


@dataclass(frozen=True, slots=True)
class BarsStale:
    """An open session goes on without bars of these instruments, or (`over`) they come again. `held` are those of them
    that an account holds."""

    at: datetime
    series: tuple[StaleSeries, ...]
    held: tuple[str, ...]
    over: bool


@dataclass(frozen=True, slots=True)
class RealMoneyAsked:
    """Nothing is sent to a live account before the owner's word. `number` names it at its venue; `equity` and `cash` in
    USD, `positions` as (symbol, units), as the venue tells."""

    account: str
    number: str
    equity: Decimal
    cash: Decimal
    positions: tuple[tuple[str, Decimal], ...]
    badges: tuple[Badge, ...] = (Badge.LIVE,)


@dataclass(frozen=True, slots=True)
class RealMoneyHeldBack:
    """Nothing is sent to a live account, whatever the owner says, because of `reason`; `words` tell it in full."""

    account: str
    reason: str
    words: str
    badges: tuple[Badge, ...] = (Badge.LIVE,)


@dataclass(frozen=True, slots=True)
class RealMoneyChanged:
    """The owner allowed orders with real money, or takes that back. `mode` is how decisions become orders there; at
    most `first_day_limit` USD are invested until `first_day_until` by the market clock. `left_working` purchases may go
    on there because nobody could cancel them."""

    account: str
    number: str
    allowed: bool
    equity: Decimal
    first_day_limit: Decimal | None
    first_day_until: datetime | None
    mode: Mode
    by: str
    left_working: int = 0
    badges: tuple[Badge, ...] = (Badge.LIVE,)


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """The one status message that is kept up to date in place; what it says is looked up when it is delivered."""

    pinned: bool


Event = (
    Welcome
    | EngineStarted
    | SignalRaised
    | InstructionIssued
    | InstructionChanged
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
    | QuestionAsked
    | QuestionSettled
    | ExitReminder
    | BrakeSet
    | BrakeReleased
    | GuardMoved
    | ProtectionFailed
    | ExitQueued
    | CashBooked
    | UnitsAdjusted
    | EntryUndone
    | LedgerRestored
    | SettingsDiffer
    | OwnerSilent
    | OwnerReturned
    | BarSourcesChanged
    | BarsRetold
    | NearStop
    | BarsStale
    | BrokerTroubled
    | BrokerFellBack
    | BrokerReturned
    | RealMoneyAsked
    | RealMoneyChanged
    | RealMoneyHeldBack
    | LiveStatus
)

EVENT_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        Welcome,
        EngineStarted,
        SignalRaised,
        InstructionIssued,
        InstructionChanged,
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
        QuestionAsked,
        QuestionSettled,
        ExitReminder,
        BrakeSet,
        BrakeReleased,
        GuardMoved,
        ProtectionFailed,
        ExitQueued,
        CashBooked,
        UnitsAdjusted,
        EntryUndone,
        LedgerRestored,
        SettingsDiffer,
        OwnerSilent,
        OwnerReturned,
        BarSourcesChanged,
        BarsRetold,
        NearStop,
        BarsStale,
        BrokerTroubled,
        BrokerFellBack,
        BrokerReturned,
        RealMoneyAsked,
        RealMoneyChanged,
        RealMoneyHeldBack,
        LiveStatus,
    )
}

_PRIORITY: dict[type, Priority] = {
    OrderUncertain: Priority.CRITICAL,
    PositionUnguarded: Priority.CRITICAL,
    OrderRefused: Priority.CRITICAL,
    ErrorRaised: Priority.CRITICAL,
    ModeChanged: Priority.CRITICAL,
    QuestionAsked: Priority.CRITICAL,
    ExitReminder: Priority.CRITICAL,
    BrakeSet: Priority.CRITICAL,
    ProtectionFailed: Priority.CRITICAL,
    LedgerRestored: Priority.CRITICAL,
    OwnerSilent: Priority.CRITICAL,
    BrokerFellBack: Priority.CRITICAL,
    BrokerReturned: Priority.CRITICAL,
    RealMoneyAsked: Priority.CRITICAL,
    RealMoneyChanged: Priority.CRITICAL,
    RealMoneyHeldBack: Priority.CRITICAL,
    QuestionSettled: Priority.TRADE,
    ExitQueued: Priority.TRADE,
    UnitsAdjusted: Priority.TRADE,
    EntryUndone: Priority.TRADE,
    InstructionIssued: Priority.TRADE,
    InstructionChanged: Priority.TRADE,
    InstructionSettled: Priority.TRADE,
    OrderFilled: Priority.TRADE,
    SignalRaised: Priority.TRADE,
    NearStop: Priority.TRADE,
    ModelTrained: Priority.CHATTER,
    LiveStatus: Priority.CHATTER,
}


def card_shown(event: Event) -> InstructionIssued | None:
    """What a card shows after `event`; None for an event that shows no card."""
    if isinstance(event, InstructionChanged):
        return event.card
    return event if isinstance(event, InstructionIssued) else None


def priority_of(event: Event) -> Priority:
    """How soon it must reach the owner. Critical wherever they come from: a stop-loss that was hit, a card that asks
    him to sell, a part of the engine that stands still."""
    match event:
        case OrderFilled() if event.purpose is Purpose.STOP:
            return Priority.CRITICAL
        case InstructionIssued() if event.purpose is not Purpose.ENTRY:
            return Priority.CRITICAL
        case HealthChanged() if event.state == "HALTED":
            return Priority.CRITICAL
        case _:
            return _PRIORITY.get(type(event), Priority.NORMAL)
