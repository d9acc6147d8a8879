"""The owner's word that one live account may be traded, and what he has to write for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Permit:
    """`number` is the account's at its venue, `equity` in USD what it was worth when the owner gave his word. `at` by
    the system clock; `first_day_until` by the market clock: until then less is invested there."""

    number: str
    equity: Decimal
    at: datetime
    first_day_until: datetime
    by: str


@dataclass(frozen=True, slots=True)
class RealMoneyView:
    """How it stands with a live account. `closed` says why nothing is sent there, empty where orders go; `number`,
    `equity` and `positions` as its venue told last, empty and None before. `first_day_limit` is what may be invested
    until `first_day_until` (market clock) in USD; None once that day is over, or before the owner's word."""

    account: str
    allowed: str
    closed: str
    number: str
    equity: Decimal | None
    positions: tuple[tuple[str, Decimal], ...]
    can_be_allowed: bool
    first_day_fraction: Decimal
    first_day_limit: Decimal | None = None
    first_day_until: datetime | None = None


def phrase(number: str) -> str:
    """What the owner has to write."""
    return f"trade {number} with real money"


def is_phrase(text: str, number: str) -> bool:
    """Whether it is those words, however they are spaced and capitalised; nothing else passes."""
    tidy = re.sub(r"\s+", " ", text).strip().strip(".!\"'“”").casefold()
    return tidy == phrase(number).casefold()
