"""At what price an order of the simulated venue fills against one bar: pure rules, pessimistic where a bar leaves doubt
(DESIGN 3).

    order         at the open                                   between open and close
    market        open, costs against us                        -
    limit buy     open at or under the limit: the open plus     low at or under the limit: the limit
                  costs, never above the limit
    limit sell    open at or over the limit: the open less      high at or over the limit: the limit
                  costs, never below the limit
    stop sell     open at or under the stop (a gap): the open   low at or under the stop: the stop less costs
                  less costs
    stop sell,    the open less costs                           -
    touched
    before
    stop-limit    as a stop, but never below its limit: touched with the market below it, it is a limit sell from then
    sell          on, and stays one

Within one bar a stop goes before a target, because the bar does not tell which came first. For the stop of a purchase
that is filled between open and close the bar begins at the limit of that purchase: due there already, it sells there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from core.adapters.simulated_profiles import Costs, buying_price, selling_price
from core.domain.bars import Bar, BarSize
from core.domain.instruments import AssetClass, Instrument, instrument_for
from core.domain.orders import OrderType, Side
from core.domain.values import exact
from core.domain.venue import VenueOrder
from core.ports import Calendar

# Asked for every bar and order; what a symbol trades in never changes while we run.
instrument_of = lru_cache(maxsize=4096)(instrument_for)


@dataclass(frozen=True, slots=True)
class Candle:
    """A bar in exact prices; `opened_at` is when trading in it really began."""

    symbol: str
    opened_at: datetime
    closed_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    volume: float


Pricing = Callable[[VenueOrder, bool, Candle, Instrument, Costs], Decimal | None]
"""pricing(order, is_triggered, candle, instrument, costs): at which price the order fills; None where it does not."""


def candle_of(bar: Bar, asset_class: AssetClass, calendar: Calendar) -> Candle | None:
    """The bar as the venue trades it; None where it does not trade: no usable price, or outside the session."""
    prices = (bar.open, bar.high, bar.low, bar.close)
    if not all(math.isfinite(price) and price > 0 for price in prices):
        return None
    opened_at = _trading_began(bar, asset_class, calendar)
    if opened_at is None or not calendar.is_open(asset_class, opened_at):
        return None
    return Candle(bar.symbol, opened_at, bar.closed_at, exact(bar.open), exact(bar.high), exact(bar.low), bar.volume)


def _trading_began(bar: Bar, asset_class: AssetClass, calendar: Calendar) -> datetime | None:
    """A stock's daily bar may be named by its date alone: it begins with its session."""
    if bar.size is not BarSize.D1 or asset_class is AssetClass.CRYPTO:
        return bar.opened_at
    session = calendar.session_of(asset_class, bar.closed_at - timedelta(seconds=1))
    bounds = calendar.session_bounds(asset_class, session)
    return bounds[0] if bounds else None


def price_at_open(
    order: VenueOrder, is_triggered: bool, candle: Candle, instrument: Instrument, costs: Costs
) -> Decimal | None:
    """The price at which `order` fills at the candle's open; None where it does not."""
    tick = instrument.price_tick
    if order.type is OrderType.MARKET:
        taken = buying_price if order.side is Side.BUY else selling_price
        return taken(candle.open, costs, tick)
    if order.type is OrderType.STOP:
        due = is_triggered or is_touched(order, candle.open)
        met = order.limit_price is None or candle.open >= order.limit_price
        return _not_below(order.limit_price, selling_price(candle.open, costs, tick)) if due and met else None
    if order.limit_price is None:
        return None
    if order.side is Side.BUY:
        met = candle.open <= order.limit_price
        return min(order.limit_price, buying_price(candle.open, costs, tick)) if met else None
    met = candle.open >= order.limit_price
    return max(order.limit_price, selling_price(candle.open, costs, tick)) if met else None


def price_within(
    order: VenueOrder, is_triggered: bool, candle: Candle, instrument: Instrument, costs: Costs
) -> Decimal | None:
    """The price at which `order`, not filled at the open, fills before the close; None where it does not."""
    if order.type is OrderType.STOP and not is_triggered:
        if order.stop_price is None or not is_touched(order, candle.low):
            return None
        return _not_below(order.limit_price, selling_price(order.stop_price, costs, instrument.price_tick))
    if order.type is OrderType.MARKET or order.limit_price is None:
        return None
    reached = candle.low <= order.limit_price if order.side is Side.BUY else candle.high >= order.limit_price
    return order.limit_price if reached else None


def is_touched(order: VenueOrder, price: Decimal) -> bool:
    """Whether the market at `price` sets a stop off."""
    return order.type is OrderType.STOP and order.stop_price is not None and price <= order.stop_price


def _not_below(limit: Decimal | None, price: Decimal) -> Decimal:
    return price if limit is None else max(limit, price)


def price_from(price: Decimal) -> Pricing:
    """The rules for an order that comes to life between open and close, when the market stands at `price` (USD)."""

    def pricing(
        order: VenueOrder, is_triggered: bool, candle: Candle, instrument: Instrument, costs: Costs
    ) -> Decimal | None:
        rest = replace(candle, open=price)
        at_once = price_at_open(order, is_triggered, rest, instrument, costs)
        return at_once if at_once is not None else price_within(order, is_triggered, rest, instrument, costs)

    return pricing
