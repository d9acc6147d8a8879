"""What the engine knows of prices at a moment: from stored bars, and from live quotes where there are any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from core.domain.bars import BarSize, Quote
from core.domain.instruments import Instrument
from core.domain.values import exact
from core.domain.views import Health
from core.errors import Transient
from core.execution.desk import Desk
from core.series import BarSeries, time_of
from core.strategy.snapshot import MarketView

DAILY_BARS = 2_000
"""How many daily bars a decision may look at: more than any recursive average remembers."""

Price = tuple[Decimal, datetime]


def last_prices(desk: Desk, symbols: Iterable[str], now: datetime) -> dict[str, Decimal]:
    """The newest stored close of each symbol that has one, closed at or before `now`."""
    prices = {symbol: stored_price(desk, symbol, now) for symbol in symbols}
    return {symbol: price[0] for symbol, price in prices.items() if price is not None}


def stored_price(desk: Desk, symbol: str, now: datetime) -> Price | None:
    """The newest close of any stored size, and when its bar closed."""
    return _newest_price(desk.bars.read(symbol, size, now, 1) for size in (BarSize.M5, BarSize.D1))


def _newest_price(series: Iterable[BarSeries]) -> Price | None:
    """The last close of what closed last; of the earlier one where both closed together."""
    newest, closed_at = None, -1
    for bars in series:
        if len(bars) and (at := int(bars.closed_at[-1])) > closed_at:
            newest, closed_at = bars, at
    return None if newest is None else (exact(float(newest.close[-1])), time_of(closed_at))


def quotes_of(desk: Desk, instruments: Iterable[Instrument], now: datetime) -> Mapping[str, Quote]:
    """Live quotes; none where there is no source, or where it does not answer."""
    wanted = tuple(instruments)
    if desk.quotes is None or not wanted:
        return {}
    try:
        with desk.calling("quotes"):
            quotes = desk.quotes.last(wanted, now)
    except Transient as error:
        desk.health("quotes", Health.DEGRADED, f"no live quotes, stored bars are used: {error}")
        return {}
    desk.health("quotes", Health.RUNNING, "answers")
    return {symbol: quote for symbol, quote in quotes.items() if quote.at <= now and quote.price > 0}


def market_view(
    desk: Desk,
    instrument: Instrument,
    now: datetime,
    quote: Quote | None,
    fault: str = "",
    judged_until: datetime | None = None,
) -> MarketView:
    """Everything a decision may see of one instrument; `fault` is why its newest bars could not be had."""
    symbol = instrument.symbol
    daily = desk.bars.read(symbol, BarSize.D1, now, DAILY_BARS)
    confirm = _confirming(desk, symbol, now, daily)
    small = confirm if confirm.size is BarSize.M5 else desk.bars.read(symbol, BarSize.M5, now, 1)
    price = _newest_price((small, daily))
    if quote is not None and (price is None or quote.at > price[1]):
        price = exact(quote.price), quote.at
    return MarketView(
        instrument=instrument,
        daily=daily,
        confirm=confirm,
        price=price[0] if price else None,
        price_at=price[1] if price else None,
        is_open=desk.calendar.is_open(instrument.asset_class, now),
        next_open=desk.calendar.next_open(instrument.asset_class, now),
        excluded=fault,
        judged_until=judged_until,
    )


def _confirming(desk: Desk, symbol: str, now: datetime, daily: BarSeries) -> BarSeries:
    """Five-minute bars where they exist and are meant to be used, daily bars where not (DESIGN 8, model bars)."""
    if desk.confirm_size is BarSize.D1:
        return daily
    intraday = desk.bars.read(symbol, desk.confirm_size, now, desk.policy.confirm_bars)
    return intraday if len(intraday) else daily
