"""Bars by hand and a simulated venue over them, for the tests of the venue and of whoever stands on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from core.adapters.simulated_broker import SimulatedBroker, stocks_only
from core.adapters.simulated_profiles import DOLLARS, VenueProfile
from core.clock import VirtualClock
from core.domain.accounts import Account, AccountKind, World
from core.domain.bars import Bar, BarSize
from core.domain.corporate import CorporateAction
from core.domain.instruments import AssetClass
from core.domain.orders import OrderType, Purpose, Side
from core.domain.venue import OrderRequest
from core.series import BarSeries, Seconds

ACCOUNT = Account("simulated", AccountKind.SIMULATED, World.REAL)
MONDAY = datetime(2024, 3, 4, tzinfo=UTC)


class AlwaysOpen:
    """The Calendar port of a world without nights."""

    def is_open(self, asset_class: AssetClass, at: datetime) -> bool:
        return True

    def next_open(self, asset_class: AssetClass, at: datetime) -> datetime:
        return at

    def next_close(self, asset_class: AssetClass, at: datetime) -> datetime:
        return datetime(at.year, at.month, at.day, tzinfo=UTC) + timedelta(days=1)

    def session_of(self, asset_class: AssetClass, at: datetime) -> date:
        return at.date()

    def session_bounds(self, asset_class: AssetClass, session: date) -> tuple[datetime, datetime] | None:
        start = datetime(session.year, session.month, session.day, tzinfo=UTC)
        return start, start + timedelta(days=1)

    def bar_close(self, asset_class: AssetClass, size: BarSize, opened_at: datetime) -> datetime:
        return opened_at + size.span

    def day_end(self, at: datetime) -> datetime:
        return self.next_close(AssetClass.CRYPTO, at)

    def sessions_between(self, first: date, last: date) -> tuple[Seconds, Seconds, Seconds]:
        days = np.arange(first.toordinal(), last.toordinal() + 1, dtype=np.int64) - date(1970, 1, 1).toordinal()
        return days * 86_400, days * 86_400, (days + 1) * 86_400


class BarShelf:
    """Bars of several symbols, handed out as the venue's price source."""

    def __init__(self, *bars: Bar) -> None:
        self._bars: dict[str, list[Bar]] = {}
        self.add(*bars)

    def add(self, *bars: Bar) -> None:
        for bar in bars:
            shelf = self._bars.setdefault(bar.symbol, [])
            shelf.append(bar)
            shelf.sort(key=lambda each: each.closed_at)

    def replace(self, bar: Bar) -> None:
        """Revises the bar that closes when `bar` does."""
        kept = [each for each in self._bars[bar.symbol] if each.closed_at != bar.closed_at]
        self._bars[bar.symbol] = kept
        self.add(bar)

    def __call__(self, symbol: str, after: datetime, until: datetime) -> BarSeries:
        shelf = self._bars.get(symbol, [])
        chosen = [bar for bar in shelf if after < bar.closed_at <= until]
        return BarSeries.of(symbol, shelf[0].size if shelf else BarSize.D1, chosen)


def bar_of(
    symbol: str,
    opened_at: datetime,
    prices: tuple[float, float, float, float],
    size: BarSize = BarSize.M5,
    closed_at: datetime | None = None,
    volume: float = 1000.0,
) -> Bar:
    """A bar from (open, high, low, close)."""
    return Bar(symbol, size, opened_at, closed_at or opened_at + size.span, *prices, volume=volume)


def flat_bars(symbol: str, price: float, first: datetime, count: int, size: BarSize = BarSize.M5) -> list[Bar]:
    """`count` bars on end in which nothing moves."""
    return [bar_of(symbol, first + size.span * number, (price, price, price, price), size) for number in range(count)]


def request_of(
    name: str,
    side: Side = Side.BUY,
    quantity: str = "10",
    symbol: str = "SPY",
    kind: OrderType = OrderType.MARKET,
    **prices: str,
) -> OrderRequest:
    """A request; prices (limit_price, stop_price, bracket_stop, bracket_target) as text."""
    purpose = Purpose.ENTRY if side is Side.BUY else Purpose.EXIT
    return OrderRequest(
        name,
        symbol,
        side,
        Decimal(quantity),
        kind,
        purpose,
        **{field: Decimal(price) for field, price in prices.items()},
    )


def venue_over(
    shelf: BarShelf,
    clock: VirtualClock,
    *,
    cash: str = "10000",
    path: Path | None = None,
    calendar: Any = None,
    faults: Any = None,
    checkpoint: Callable[[str], None] = lambda name: None,
    fence: Callable[[], None] = lambda: None,
    profile: VenueProfile = DOLLARS,
    tells_volume: Callable[[str], bool] = stocks_only,
    actions: Iterable[CorporateAction] = (),
) -> SimulatedBroker:
    """`actions` may grow later: it is looked through at every call."""
    return SimulatedBroker(
        ACCOUNT,
        clock=clock,
        bars_after=shelf,
        calendar=calendar or AlwaysOpen(),
        opening_cash=Decimal(cash),
        path=path,
        profile=profile,
        tells_volume=tells_volume,
        actions=lambda after, until: [action for action in actions if after < action.at <= until],
        faults=faults,
        checkpoint=checkpoint,
        fence=fence,
    )
