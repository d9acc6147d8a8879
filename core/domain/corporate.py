"""What a company or fund does to its shares: dividends and splits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.values import ONE, ZERO


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """Takes effect at `at`, the open of its ex-date's session, for the units held before.

    `dividend` is USD for each of them. `ratio` is new units for one old one (1: no split); an odd remainder of a split
    is paid out at `price` USD a new unit.
    """

    symbol: str
    at: datetime
    dividend: Decimal = ZERO
    ratio: Decimal = ONE
    price: Decimal = ZERO

    @property
    def is_split(self) -> bool:
        return self.ratio != ONE
