"""A live account and the owner's word for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.accounts import Badge, Mode


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
