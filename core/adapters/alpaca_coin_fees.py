"""What Alpaca may have taken for coin trades before it tells of it.

It takes the fee of a purchase in the coin and that of a sale in USD, at once; the entry that says how much comes
seconds or a day later, without naming the trade. Until then the account has less than its fills add up to. How much
that can be at most is all that is reckoned here; what it is, only Alpaca says.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.instruments import instrument_for
from core.domain.orders import Side
from core.domain.portfolio import AdjustmentKind, CashKind, CashMovement, Fill, PositionAdjustment
from core.domain.values import ZERO
from core.domain.venue import Activity

DOLLARS = "USD"
DEAREST = Decimal("0.004")
"""Above every rate that Alpaca asks of a coin trade (0.25 % in its lowest tier)."""
ROUNDED = {DOLLARS: Decimal("0.01")}
FINEST = Decimal("0.000000001")
TOLD_WITHIN = timedelta(days=4)
"""By when the fee of a trade has been told of, weekends included."""


class CoinFees:
    """Fills and fees as they were told; for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trades: dict[str, tuple[datetime, str, Decimal]] = {}
        self._told: dict[str, tuple[datetime, str, Decimal]] = {}

    def saw_fills(self, fills: Iterable[Fill]) -> None:
        with self._lock:
            for fill in fills:
                if not instrument_for(fill.symbol).is_crypto:
                    continue
                is_bought = fill.side is Side.BUY
                what, basis = (fill.symbol, fill.quantity) if is_bought else (DOLLARS, fill.quantity * fill.price)
                most = basis * DEAREST + ROUNDED.get(what, FINEST)
                self._trades[fill.id] = fill.at, what, most
            self._trades = _fresh(self._trades)

    def saw_activities(self, activities: Iterable[Activity]) -> None:
        with self._lock:
            for each in activities:
                if isinstance(each, PositionAdjustment) and each.kind is AdjustmentKind.FEE:
                    self._told[each.id] = each.at, each.symbol, -each.quantity
                elif isinstance(each, CashMovement) and each.kind is CashKind.FEE:
                    self._told[each.id] = each.at, DOLLARS, -each.amount
            self._told = _fresh(self._told)

    def due(self) -> Mapping[str, Decimal]:
        """By symbol in units, and for USD: what may have been taken at most that was not told of."""
        with self._lock:
            most = dict[str, Decimal]()
            oldest = dict[str, datetime]()
            for at, what, amount in self._trades.values():
                most[what] = most.get(what, ZERO) + amount
                oldest[what] = min(oldest.get(what, at), at)
            for at, what, amount in self._told.values():
                if what in most and at >= oldest[what].replace(hour=0, minute=0, second=0, microsecond=0):
                    most[what] -= amount
        return {what: amount for what, amount in most.items() if amount > 0}


def _fresh(known: dict[str, tuple[datetime, str, Decimal]]) -> dict[str, tuple[datetime, str, Decimal]]:
    newest = max((at for at, _, _ in known.values()), default=None)
    return {name: each for name, each in known.items() if newest is None or newest - each[0] <= TOLD_WITHIN}
