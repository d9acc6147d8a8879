"""What a unit of each open position was bought at, fees apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from core.domain.values import ZERO


@dataclass(frozen=True, slots=True)
class Averages:
    """Units and the USD paid for them, of every symbol. They grow with each entry, so that nobody has to add up a whole
    history to know them."""

    held: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)

    def price(self, symbol: str) -> Decimal | None:
        """USD a unit; None where no purchase explains it."""
        units, paid = self.held.get(symbol, (ZERO, ZERO))
        return paid / units if units > 0 and paid > 0 else None

    def plus(self, symbol: str, quantity: Decimal, paid: Decimal) -> Averages:
        """After a purchase, or after units came or went without one (a split, an adoption)."""
        units, before = self.held.get(symbol, (ZERO, ZERO))
        return self._with(symbol, units + quantity, before + paid)

    def less(self, symbol: str, sold: Decimal) -> Averages:
        """After a sale: what is left was bought at the same price."""
        units, paid = self.held.get(symbol, (ZERO, ZERO))
        if sold >= units:
            return self._with(symbol, ZERO, ZERO)
        return self._with(symbol, units - sold, paid * (units - sold) / units)

    def _with(self, symbol: str, units: Decimal, paid: Decimal) -> Averages:
        others = {name: pair for name, pair in self.held.items() if name != symbol}
        return Averages({**others, symbol: (units, paid)} if units or paid else others)
