"""What a source says of a symbol where it tells of bars alone (core.ports.SymbolLookup)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from core.domain.bars import BarSize
from core.domain.instruments import Listing, instrument_for
from core.errors import NoBars
from core.feed.depth import MOST_DAILY_BARS
from core.ports import MarketData
from core.quality import inspect
from core.series import time_of


@dataclass(frozen=True, slots=True)
class BarsLookup:
    """Asks for daily bars, of a source that has prices in USD only; `now` is market time. The first day is that of the
    oldest bar that would be collected."""

    source: MarketData
    now: Callable[[], datetime]

    def look_up(self, symbol: str) -> Listing:
        """Raises as the source's `bars` does; NoBars where none of them can be used."""
        now = self.now()
        bars = inspect(self.source.bars(instrument_for(symbol), BarSize.D1, now, MOST_DAILY_BARS), now).good
        if not len(bars):
            raise NoBars(symbol, f"{self.source.name} has no daily bars of it")
        first, last = time_of(bars.opened_at[0]), time_of(bars.closed_at[-1])
        return Listing(
            symbol, symbol, f"listed at {self.source.name}", "USD", float(bars.close[-1]), last, first.date()
        )
