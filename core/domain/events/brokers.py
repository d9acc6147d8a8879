"""What the owner is told of a broker as a whole: that it fails, that his hand takes its place, that it is back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.accounts import Badge, Mode


@dataclass(frozen=True, slots=True)
class BrokerTroubled:
    """A broker fails. `says` follows its name, `advice` is what can be done, `words` are its own. Market time: `since`
    is the first failed look, `seen_at` the last good one, `patient_until` when entries go to the owner's hand, None:
    they do not."""

    account: str
    says: str
    advice: str
    words: str
    since: datetime
    seen_at: datetime | None
    patient_until: datetime | None
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class StopLeft:
    """A position in the account of a broker that has failed. `rests`: its stop is an order there and goes on without
    us; otherwise we can only alert."""

    symbol: str
    quantity: Decimal
    stop: Decimal | None
    rests: bool


@dataclass(frozen=True, slots=True)
class BrokerFellBack:
    """Entries go to the owner's hand from now on. `chosen` is his own mode, which comes back by itself; `mode` the one
    that holds; `cash` what the manual account may spend. `in_doubt` are symbols with an order of unknown fate,
    `withdrawn` is how many cards for the broker were taken back."""

    account: str
    says: str
    advice: str
    since: datetime
    seen_at: datetime | None
    chosen: Mode
    mode: Mode
    cash: Decimal
    positions: tuple[StopLeft, ...]
    in_doubt: tuple[str, ...]
    withdrawn: int
    badges: tuple[Badge, ...]
    words: str = ""


@dataclass(frozen=True, slots=True)
class FoundTrade:
    """A fill that was learned of after the return; `by_hand`: none of our orders."""

    symbol: str
    bought: bool
    quantity: Decimal
    price: Decimal
    at: datetime
    by_hand: bool


@dataclass(frozen=True, slots=True)
class BrokerReturned:
    """The broker answers again, and both sides agree but for the `questions` that are open. `fell_at` None: entries
    had not gone to the owner's hand. `found` happened meanwhile; `cards` to sell were settled."""

    account: str
    since: datetime
    fell_at: datetime | None
    mode: Mode
    found: tuple[FoundTrade, ...]
    in_doubt: tuple[str, ...]
    questions: int
    cards: int
    badges: tuple[Badge, ...]
