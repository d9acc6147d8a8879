"""The cards that ask for the owner's hand or word, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.accounts import Badge, Mode
from core.domain.orders import Purpose, Side


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
