"""What the ledger keeps beside orders and entries: instructions, outbox messages, job runs, the lease, the audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.accounts import is_in_app
from core.domain.events import Event, Priority
from core.domain.orders import Purpose, Side


class InstructionState(StrEnum):
    OPEN = "open"
    PARTIAL = "partial"
    EXECUTED = "executed"
    SKIPPED = "skipped"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    APPROVED = "approved"


_I = InstructionState
INSTRUCTION_TRANSITIONS: Mapping[InstructionState, frozenset[InstructionState]] = {
    _I.OPEN: frozenset({_I.PARTIAL, _I.EXECUTED, _I.SKIPPED, _I.EXPIRED, _I.SUPERSEDED, _I.APPROVED}),
    _I.PARTIAL: frozenset({_I.EXECUTED, _I.SKIPPED, _I.EXPIRED, _I.SUPERSEDED}),
    # What the owner did at his broker happened, whatever had become of the card by then: it is booked in full.
    _I.SKIPPED: frozenset({_I.EXECUTED}),
    _I.EXPIRED: frozenset({_I.EXECUTED}),
    _I.SUPERSEDED: frozenset({_I.EXECUTED}),
    _I.EXECUTED: frozenset(),
    _I.APPROVED: frozenset(),
}
"""What a card may become. A booking that the owner takes back or corrects restates its card outside of this table."""


class ImpossibleCard(Exception):
    """A change of an instruction that the table does not allow: a defect in our code."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """An order that waits for the owner: to be executed by hand, or (needs_approval) to be approved.

    `number` is what the owner sees; `version` rises with every change, and a button of an older version changes
    nothing. Prices in USD; `expires_at` by the system clock, None for exits (they wait until answered).
    """

    number: int
    version: int
    client_order_id: str
    account: str
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
    why: str
    needs_approval: bool
    created_at: datetime
    expires_at: datetime | None
    state: InstructionState = InstructionState.OPEN

    @property
    def is_in_app(self) -> bool:
        """To be sold in the app of the account's own broker, and booked from its fills alone."""
        return is_in_app(self.account, needs_approval=self.needs_approval)

    @property
    def is_open(self) -> bool:
        return self.state in (InstructionState.OPEN, InstructionState.PARTIAL)

    def moved(self, state: InstructionState) -> Instruction:
        """The next version of this instruction, in `state`; staying where it is is allowed. Raises ImpossibleCard."""
        if state is not self.state and state not in INSTRUCTION_TRANSITIONS[self.state]:
            raise ImpossibleCard(f"instruction {self.number}: {self.state} -> {state}")
        return replace(self, state=state, version=self.version + 1)


class QuestionKind(StrEnum):
    """What only the owner can settle.

    PLACE_STOP: a stop order at his own broker for a position of the manual account. DIFFERENCE: the venue holds
    something else than the ledger and nothing explains it. CASH: the same for its money. TAKE_OVER: orders of another
    installation at our venue. ATTEST: whether his own broker shows what we say of the manual account.
    NEW_ACCOUNT: another account answers than the one that our books are about. OWN_SALE: a sale that he has left at the
    venue by hand holds units that nobody guards.
    """

    PLACE_STOP = "place_stop"
    DIFFERENCE = "difference"
    CASH = "cash"
    TAKE_OVER = "take_over"
    ATTEST = "attest"
    NEW_ACCOUNT = "new_account"
    OWN_SALE = "own_sale"


class QuestionChoice(StrEnum):
    PLACED = "placed"
    CANNOT = "cannot"
    ADOPT = "adopt"
    IGNORE = "ignore"
    TAKE_OVER = "take_over"
    LEAVE = "leave"
    MATCH = "match"
    DIFFERS = "differs"
    FRESH_START = "fresh_start"
    CANCEL = "cancel"


CHOICES: Mapping[QuestionKind, tuple[QuestionChoice, QuestionChoice]] = {
    QuestionKind.PLACE_STOP: (QuestionChoice.PLACED, QuestionChoice.CANNOT),
    QuestionKind.DIFFERENCE: (QuestionChoice.ADOPT, QuestionChoice.IGNORE),
    QuestionKind.CASH: (QuestionChoice.ADOPT, QuestionChoice.IGNORE),
    QuestionKind.TAKE_OVER: (QuestionChoice.TAKE_OVER, QuestionChoice.LEAVE),
    QuestionKind.ATTEST: (QuestionChoice.MATCH, QuestionChoice.DIFFERS),
    QuestionKind.NEW_ACCOUNT: (QuestionChoice.FRESH_START, QuestionChoice.IGNORE),
    QuestionKind.OWN_SALE: (QuestionChoice.CANCEL, QuestionChoice.LEAVE),
}


class QuestionState(StrEnum):
    """OBSOLETE: the cause went away, or a newer question took its place."""

    OPEN = "open"
    ANSWERED = "answered"
    OBSOLETE = "obsolete"


@dataclass(frozen=True, slots=True)
class Question:
    """A card with two answers. `number` is what the owner sees (Q3); `version` rises with every change.

    `symbol` is empty where it is about the whole account. `ours` and `theirs` are units by the ledger and by the
    venue (both the position's for PLACE_STOP; USD for CASH), `stop` and `target` USD prices. `text` says what it is
    about in words.
    """

    number: int
    version: int
    kind: QuestionKind
    account: str
    symbol: str
    ours: Decimal
    theirs: Decimal
    stop: Decimal | None
    target: Decimal | None
    text: str
    asked_at: datetime
    state: QuestionState = QuestionState.OPEN
    answer: QuestionChoice | None = None
    answered_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.state is QuestionState.OPEN


MAY_HAVE_ARRIVED = "may have arrived"
"""How the error text of a message begins that may have reached the owner before: it says so when it is sent again."""


class OutboxState(StrEnum):
    """UNCERTAIN: it may have arrived and is not sent again. MUTED: the owner wants no messages of its kind."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    MUTED = "muted"


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One event on its way to the owner. `created_at`, `next_try_at` and `sent_at` by the system clock.

    SENDING found at a start means: the process died during the call, so the message may have arrived (D3).
    `opening_id` is the row that opened the trade which this one belongs to (D13); `carrier_id` the row whose message
    told of this one as well, where it was folded into another (D2).
    """

    id: int
    event: Event
    priority: Priority
    created_at: datetime
    market_time: datetime
    state: OutboxState
    attempts: int = 0
    next_try_at: datetime | None = None
    sent_at: datetime | None = None
    message_id: int | None = None
    last_error: str = ""
    opening_id: int | None = None
    carrier_id: int | None = None


class JobOutcome(StrEnum):
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    OVERRUN = "overrun"
    MISSED = "missed"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class JobRun:
    """`scheduled_at` by the market clock; started and finished by the system clock."""

    id: int
    job: str
    scheduled_at: datetime
    started_at: datetime
    finished_at: datetime | None
    outcome: JobOutcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds the ledger. `holder` names host and process; `fencing` rises with every change of holder."""

    holder: str
    pid: int
    fencing: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AuditRecord:
    at: datetime
    actor: str
    action: str
    outcome: str


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """Value of one account at a market time; `external_flow` is money moved in or out since the last point."""

    account: str
    at: datetime
    equity: Decimal
    cash: Decimal
    external_flow: Decimal
