"""What the simulated venue refuses at the door, in words for the owner: the same things a real venue refuses."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from core.adapters.simulated_profiles import Costs, VenueProfile, buying_price, order_fee
from core.adapters.simulated_resting import STOP_SUFFIX, TARGET_SUFFIX
from core.adapters.simulated_venue import VenueBook
from core.domain.instruments import Instrument
from core.domain.orders import OrderType, Side
from core.domain.values import ZERO, plain
from core.domain.venue import OrderRequest, Replacement, Resting, VenueOrder


def malformed(request: OrderRequest, instrument: Instrument, profile: VenueProfile) -> str | None:
    """Why the order makes no sense whatever the account holds; None where it does."""
    if not request.client_order_id:
        return "an order needs a client order id"
    if request.client_order_id.endswith((STOP_SUFFIX, TARGET_SUFFIX)):
        return f"order ids ending in {STOP_SUFFIX} or {TARGET_SUFFIX} are kept for the legs of brackets"
    if request.quantity <= 0:
        return f"the quantity must be above zero, not {plain(request.quantity)}"
    return (
        _wrong_quantity(request, instrument, profile)
        or _wrong_price(request, instrument)
        or _wrong_stop(request, profile.rests[instrument.asset_class])
        or _wrong_bracket(request, profile.rests[instrument.asset_class])
    )


def _wrong_quantity(request: OrderRequest, instrument: Instrument, profile: VenueProfile) -> str | None:
    step = profile.step_of(instrument, request.type)
    if request.quantity % step:
        return f"{request.symbol} trades in steps of {plain(step)}, not {plain(request.quantity)}"
    has_bracket = request.bracket_stop is not None or request.bracket_target is not None
    if has_bracket and request.quantity % instrument.quantity_step:
        what = f"{plain(request.quantity)} {request.symbol} cannot carry its stop and target"
        return f"fractions of a share take no bracket: {what}"
    return None


def _wrong_stop(request: OrderRequest, rests: Resting) -> str | None:
    if request.type is not OrderType.STOP or request.stop_price is None:
        return None
    if request.side is Side.BUY:
        return "only sales can be stop orders here"
    if request.limit_price is not None and request.limit_price > request.stop_price:
        return "the limit of a stop order that sells must not be above its stop"
    if rests is Resting.STOP and request.limit_price is None and request.bracket_target is None:
        return f"no plain stops are taken for coins: a stop for {request.symbol} needs a limit, too"
    return None


def _wrong_price(request: OrderRequest, instrument: Instrument) -> str | None:
    needed = {OrderType.LIMIT: request.limit_price, OrderType.STOP: request.stop_price}
    if request.type in needed and needed[request.type] is None:
        return f"a {request.type} order needs its price"
    given = (request.limit_price, request.stop_price, request.bracket_stop, request.bracket_target)
    return _no_price(request.symbol, given, instrument)


def unmovable(order: VenueOrder, change: Replacement, instrument: Instrument) -> str | None:
    """Why an order that rests cannot rest at the prices of `change`; None where it can."""
    if order.side is Side.BUY:
        return "only sales are moved here"
    for name, before, after in (
        ("stop", order.stop_price, change.stop_price),
        ("limit", order.limit_price, change.limit_price),
    ):
        if (before is None) != (after is None):
            return f"a {order.type} order of this kind has {'no' if before is None else 'a'} {name} price"
    prices = [price for price in (change.stop_price, change.limit_price) if price is not None]
    wrong = _no_price(order.symbol, prices, instrument)
    if wrong is None and len(prices) > 1 and prices[1] > prices[0]:
        return "the limit of a stop order that sells must not be above its stop"
    return wrong


def _no_price(symbol: str, prices: Iterable[Decimal | None], instrument: Instrument) -> str | None:
    for price in prices:
        if price is not None and (price <= 0 or price % instrument.price_tick):
            return f"{plain(price)} is no price of {symbol}, whose tick is {plain(instrument.price_tick)}"
    return None


def _wrong_bracket(request: OrderRequest, rests: Resting) -> str | None:
    stop, target = request.bracket_stop, request.bracket_target
    if stop is None and target is None:
        return None
    if rests is not Resting.PAIR:
        return f"coins take no bracket: {request.symbol} cannot carry a stop and a target"
    if request.side is Side.SELL and stop is None:
        return _wrong_pair(request)
    if stop is None or target is None:
        return "a bracket needs both its stop and its target"
    if request.side is not Side.BUY:
        return "only a purchase can carry a bracket"
    return None if stop < target else "the stop of a bracket must be below its target"


def _wrong_pair(request: OrderRequest) -> str | None:
    """A stop with a target beside it, of which one cancels the other."""
    if request.type is not OrderType.STOP or request.stop_price is None or request.bracket_target is None:
        return "only a stop order can carry a target beside it"
    if request.limit_price is not None:
        return "a stop with a target beside it has no limit of its own"
    return None if request.stop_price < request.bracket_target else "the stop of a pair must be below its target"


def expected_price(request: OrderRequest, last_price: Decimal, instrument: Instrument, costs: Costs) -> Decimal:
    """At what price in USD a purchase is expected: at its limit, or at what a taker pays now."""
    limit = request.limit_price if request.type is OrderType.LIMIT else None
    return limit or buying_price(last_price, costs, instrument.price_tick)


def cost_of(request: OrderRequest, price: Decimal, costs: Costs) -> Decimal:
    """What a purchase expected at `price` costs at most, in USD, fee included; nothing for a sale."""
    if request.side is Side.SELL:
        return ZERO
    value = request.quantity * price
    return value + order_fee(request.quantity, value, Side.BUY, costs)


def beside(request: OrderRequest, price: Decimal, instrument: Instrument) -> str | None:
    """Why the legs of a purchase expected at `price` would be due before they rest; None where they would not."""
    stop, target, tick = request.bracket_stop, request.bracket_target, instrument.price_tick
    if request.side is Side.SELL or stop is None or target is None:
        return None
    if stop > price - tick:
        return f"the stop {plain(stop)} of a bracket must be below {plain(price)}, where its purchase is expected"
    if target < price + tick:
        return f"the target {plain(target)} of a bracket must be above {plain(price)}, where its purchase is expected"
    return None


def unaffordable(request: OrderRequest, cost: Decimal, book: VenueBook, instrument: Instrument) -> str | None:
    """Why the account cannot carry the order now; None where it can. `cost` in USD as `cost_of` says."""
    if request.side is Side.SELL:
        free = book.free_units(request.symbol)
        if request.quantity <= free:
            return None
        return f"selling {plain(request.quantity)} {request.symbol} needs as many, but only {plain(free)} are free"
    if cost < instrument.min_order_value:
        return f"an order for {request.symbol} must be worth at least {plain(instrument.min_order_value)} USD"
    if cost > book.free_cash():
        return f"not enough cash: the order costs {cost:.2f} USD, {book.free_cash():.2f} USD are free"
    return None
