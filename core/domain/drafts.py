"""What the owner has typed and not yet confirmed: the deed, what it would change, and what speaks against it.

A draft is written down before it is shown, and nothing is booked before the owner confirms it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.accounts import Badge
from core.domain.portfolio import CashKind
from core.domain.views import Correction, OwnerAnswer, OwnTrade, ReportedFill


@dataclass(frozen=True, slots=True)
class CashDeed:
    """Money that came or went; `amount` in USD above zero, the kind says which way it went."""

    kind: CashKind
    amount: Decimal
    note: str = ""


@dataclass(frozen=True, slots=True)
class SplitDeed:
    """`ratio` new units for one old one."""

    symbol: str
    ratio: Decimal


@dataclass(frozen=True, slots=True)
class UndoDeed:
    """Taking back a booking; `of` is its id as it stands, empty for the newest one."""

    of: str = ""


Deed = ReportedFill | OwnTrade | Correction | CashDeed | SplitDeed | UndoDeed


class DoubtKind(StrEnum):
    """Why a deed is asked about a second time."""

    PRICE = "price"
    UNPRICED = "unpriced"
    SIDE = "side"
    SYMBOL = "symbol"
    QUANTITY = "quantity"
    TIME = "time"
    REPEATED = "repeated"
    CARD = "card"


@dataclass(frozen=True, slots=True)
class Doubt:
    """`text` says in plain sentences what looks wrong."""

    kind: DoubtKind
    text: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a deed would do to the manual account: found out by doing it in a transaction that is not committed.

    Pairs are before and after; USD and units. `symbol` is empty where no position changes. `stop` and `target` are the
    levels that hold afterwards. `profit` is the change of what closed trades have earned. `what` says in words which
    booking is taken back or replaced, `instead` what stands in its place. `rest` is what is left of instruction
    `number`. `at` is when it happened by the market clock, None for now.
    """

    cash: tuple[Decimal, Decimal]
    symbol: str
    units: tuple[Decimal, Decimal]
    average_cost: Decimal | None
    stop: Decimal | None
    target: Decimal | None
    profit: Decimal
    what: str
    instead: str
    number: int | None
    rest: Decimal | None
    at: datetime | None
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """`token` names it in a button; `version` rises when it is asked again, and a button of an older version changes
    nothing. `doubts` lie in its words, `asked` are the kinds that the owner was asked about with buttons of their own.
    `expires_at` by the system clock."""

    token: str
    version: int
    deed: Deed
    doubts: tuple[Doubt, ...]
    asked: tuple[DoubtKind, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DraftAnswer:
    """`draft`, `preview` and `doubts` where the owner is asked to confirm; otherwise only what became of it. `badges`
    are those of the account in which something was booked."""

    answer: OwnerAnswer
    draft: Draft | None = None
    preview: Preview | None = None
    doubts: tuple[Doubt, ...] = ()
    badges: tuple[Badge, ...] = ()
