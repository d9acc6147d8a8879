"""What sales made of positions: each sale as a closed trade, and the round trips that those add up to."""

from __future__ import annotations

from bisect import insort_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.domain.instruments import instrument_for
from core.domain.orders import Purpose
from core.domain.values import ZERO


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """A reduction of a position: what was paid, what came back, both net of fees, in USD. `left` units stay held."""

    account: str
    symbol: str
    quantity: Decimal
    cost: Decimal
    proceeds: Decimal
    opened_at: datetime
    closed_at: datetime
    purpose: Purpose
    left: Decimal = ZERO

    @property
    def profit(self) -> Decimal:
        return self.proceeds - self.cost


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A position from its opening to its end, however many parts it was sold in. `profit` in USD after fees."""

    symbol: str
    profit: Decimal
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """The positions that have `ended`, by the time of their end, and what the parts of the others have brought so far.

    They grow with each trade, so that nobody has to add up a whole history to know how it ended.
    """

    ended: tuple[RoundTrip, ...] = ()
    under_way: Mapping[str, Decimal] = field(default_factory=dict)

    def after(self, trade: ClosedTrade) -> RoundTrips:
        """What no order could sell is dust and stays behind."""
        profit = self.under_way.get(trade.symbol, ZERO) + trade.profit
        others = {symbol: brought for symbol, brought in self.under_way.items() if symbol != trade.symbol}
        if trade.left != ZERO and trade.left >= instrument_for(trade.symbol).quantity_step:
            return RoundTrips(self.ended, {**others, trade.symbol: profit})
        ended = list(self.ended)
        # A trade may be booked late.
        insort_right(ended, RoundTrip(trade.symbol, profit, trade.closed_at), key=lambda trip: trip.closed_at)
        return RoundTrips(tuple(ended), others)
