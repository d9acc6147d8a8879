"""Alpaca's rules of orders, checked before anything is sent: what its client accepts and the venue refuses or, worse,
takes for something else. Each refusal names the rule in words for the owner.

Sources: Alpaca's pages on orders, fractional trading and crypto trading, and the description of its trading service.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from core.adapters.alpaca_names import name_of
from core.domain.instruments import instrument_for
from core.domain.orders import OrderType, Side
from core.domain.values import CENT, ONE, ceil_to, floor_to, plain
from core.domain.venue import OrderRequest, VenueAsset

LONGEST_ID = 128
STOP_SUFFIX, TARGET_SUFFIX = "-s", "-t"
"""How the ids end that we give to the legs of an order; Alpaca gives them names of its own."""
FINEST = Decimal("0.000000001")
SUB_PENNY = Decimal("0.0001")
LARGEST_COIN_ORDER = Decimal(200_000)


def fitted(request: OrderRequest, asset: VenueAsset | None) -> OrderRequest:
    """The request with its prices in the ticks in which Alpaca trades that coin, where these are coarser than ours:
    limits down, so that nothing costs more and a sale is the surer to fill, and stops up, so that they come no later.
    Shares have fixed ticks, which `refusal` insists on, and quantities are never changed: an order is known by them."""
    if asset is None or asset.price_tick is None or not instrument_for(request.symbol).is_crypto:
        return request
    limit, stop = request.limit_price, request.stop_price
    return replace(
        request,
        limit_price=None if limit is None else floor_to(limit, asset.price_tick),
        stop_price=None if stop is None else ceil_to(stop, asset.price_tick),
    )


def refusal(request: OrderRequest, asset: VenueAsset | None) -> str:
    """Why Alpaca would not take the order as it is meant; empty where no rule is broken. `asset` None is one that
    Alpaca could not be asked about, of which nothing is known but its name."""
    return (
        _wrong_id(request.client_order_id)
        or _wrong_asset(request, asset)
        or _wrong_quantity(request, asset)
        or _wrong_prices(request)
        or _wrong_bracket(request)
        or _wrong_worth(request)
    )


def unknown(symbol: str) -> str:
    return f"Alpaca has no such instrument as {symbol} (it has US stocks, and coins in USD)"


def _wrong_id(name: str) -> str:
    if not name:
        return "an order needs a client order id"
    if len(name) > LONGEST_ID:
        return f"an order id may have {LONGEST_ID} characters, not {len(name)}"
    if name.endswith((STOP_SUFFIX, TARGET_SUFFIX)):
        return f"order ids ending in {STOP_SUFFIX} or {TARGET_SUFFIX} are kept for the legs of brackets"
    return ""


def _wrong_asset(request: OrderRequest, asset: VenueAsset | None) -> str:
    if name_of(request.symbol) is None:
        return unknown(request.symbol)
    if asset is not None and not asset.tradable:
        return f"Alpaca does not trade {request.symbol} at present"
    return ""


def _wrong_quantity(request: OrderRequest, asset: VenueAsset | None) -> str:
    quantity, symbol = request.quantity, request.symbol
    if not quantity.is_finite() or quantity <= 0:
        return f"the quantity must be above zero, not {plain(quantity)}"
    step = (asset.quantity_step if asset is not None else None) or FINEST
    if quantity % step:
        return f"{symbol} trades in steps of {plain(step)}, not {plain(quantity)}"
    if instrument_for(symbol).is_crypto:
        least = asset.min_quantity if asset is not None else None
        return f"the smallest order in {symbol} is {plain(least)} units" if least and quantity < least else ""
    if not quantity % ONE:
        return ""
    if asset is not None and not asset.fractionable:
        return f"{symbol} trades in steps of 1: Alpaca sells no fractions of it, so not {plain(quantity)}"
    if request.bracket_stop is not None or request.bracket_target is not None:
        return f"fractions of a share take no bracket: {plain(quantity)} {symbol} cannot carry its stop and target"
    return ""


def _wrong_prices(request: OrderRequest) -> str:
    given = {OrderType.LIMIT: request.limit_price, OrderType.STOP: request.stop_price}
    if request.type in given and given[request.type] is None:
        return f"a {request.type} order needs its price"
    if request.type is OrderType.MARKET and (request.limit_price is not None or request.stop_price is not None):
        return "a market order has no price of its own"
    if request.type is OrderType.LIMIT and request.stop_price is not None:
        return "a limit order has no stop price"
    for price in (request.limit_price, request.stop_price, request.bracket_stop, request.bracket_target):
        if price is None:
            continue
        if not price.is_finite() or price <= 0:
            return f"{plain(price)} is no price of {request.symbol}"
        tick = FINEST if instrument_for(request.symbol).is_crypto else CENT if price >= ONE else SUB_PENNY
        if price % tick:
            return f"{plain(price)} is no price of {request.symbol}, whose tick is {plain(tick)} (no sub-penny prices)"
    return _wrong_stop(request)


def _wrong_stop(request: OrderRequest) -> str:
    if request.type is not OrderType.STOP or request.stop_price is None:
        return ""
    if request.side is Side.BUY:
        return "only sales can be stop orders here"
    if request.limit_price is not None and request.limit_price > request.stop_price:
        return "the limit of a stop order that sells must not be above its stop"
    if instrument_for(request.symbol).is_crypto and request.limit_price is None:
        return f"Alpaca takes no plain stops for coins: a stop for {request.symbol} needs a limit, too"
    return ""


def _wrong_bracket(request: OrderRequest) -> str:
    stop, target = request.bracket_stop, request.bracket_target
    if stop is None and target is None:
        return ""
    if instrument_for(request.symbol).is_crypto:
        return f"coins take no bracket: {request.symbol} cannot carry a stop and a target"
    if request.side is Side.SELL and stop is None:
        return _wrong_pair(request)
    if stop is None or target is None:
        return "a bracket needs both its stop and its target"
    if request.side is not Side.BUY:
        return "only a purchase can carry a bracket"
    if stop >= target:
        return "the stop of a bracket must be below its target"
    entry = request.limit_price
    if entry is None:
        return ""
    if stop > entry - CENT:
        return f"the stop {plain(stop)} of a bracket must be below {plain(entry)}, where its purchase is expected"
    if target < entry + CENT:
        return f"the target {plain(target)} of a bracket must be above {plain(entry)}, where its purchase is expected"
    return ""


def _wrong_pair(request: OrderRequest) -> str:
    """A stop with a target beside it, of which one cancels the other."""
    if request.type is not OrderType.STOP or request.stop_price is None or request.bracket_target is None:
        return "only a stop order can carry a target beside it"
    if request.limit_price is not None:
        return "a stop with a target beside it has no limit of its own"
    return "" if request.stop_price < request.bracket_target else "the stop of a pair must be below its target"


def _wrong_worth(request: OrderRequest) -> str:
    """Where the order says at what price: a market order's worth is for the venue to judge."""
    price = request.limit_price or request.stop_price
    if price is None:
        return ""
    instrument, worth = instrument_for(request.symbol), request.quantity * price
    if request.side is Side.BUY and worth < instrument.min_order_value:
        return f"an order for {request.symbol} must be worth at least {plain(instrument.min_order_value)} USD"
    if instrument.is_crypto and worth > LARGEST_COIN_ORDER:
        return f"an order for {request.symbol} may be worth {plain(LARGEST_COIN_ORDER)} USD at most"
    return ""
