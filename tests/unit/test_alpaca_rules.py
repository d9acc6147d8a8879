"""What never leaves the process for Alpaca, and in which words it is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters.alpaca_orders import fields_of
from core.adapters.alpaca_refusals import refused
from core.adapters.alpaca_rules import LONGEST_ID, fitted, refusal
from core.adapters.alpaca_transport import Declined
from core.domain.orders import OrderType, Purpose, Side
from core.domain.values import ONE
from core.domain.venue import OrderRequest, VenueAsset
from tests.fakes_venue import request_of

SPY = VenueAsset("SPY", tradable=True, fractionable=True)
STEP = Decimal("0.000000001")
BTC = VenueAsset("BTC-USD", True, True, min_quantity=Decimal("0.00001"), quantity_step=STEP, price_tick=Decimal("0.01"))


def coin(**given: Any) -> OrderRequest:
    return request_of("x", symbol="BTC-USD", **given)


@pytest.mark.feature("S10")
@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (request_of(""), "needs a client order id"),
        (request_of("x" * (LONGEST_ID + 1)), "may have 128 characters, not 129"),
        (request_of("x-s"), "kept for the legs"),
        (request_of("x", symbol="EURUSD=X"), "no such instrument as EURUSD=X"),
        (request_of("x", quantity="0"), "above zero"),
        (request_of("x", quantity="0.0000000001"), "steps of 0.000000001"),
        (coin(quantity="0.0000002"), "smallest order in BTC-USD is 0.00001"),
        (request_of("x", kind=OrderType.LIMIT), "needs its price"),
        (request_of("x", limit_price="99"), "has no price of its own"),
        (request_of("x", kind=OrderType.LIMIT, limit_price="99", stop_price="98"), "has no stop price"),
        (request_of("x", kind=OrderType.LIMIT, limit_price="99.999"), "sub-penny"),
        (request_of("x", kind=OrderType.LIMIT, limit_price="0.99999"), "whose tick is 0.0001"),
        (request_of("x", kind=OrderType.LIMIT, limit_price="-1"), "no price of SPY"),
        (request_of("x", kind=OrderType.STOP, stop_price="105"), "only sales"),
        (
            request_of("x", side=Side.SELL, kind=OrderType.STOP, stop_price="95", limit_price="96"),
            "must not be above its stop",
        ),
        (coin(side=Side.SELL, kind=OrderType.STOP, stop_price="95"), "no plain stops for coins"),
        (coin(quantity="1", bracket_stop="95", bracket_target="115"), "coins take no bracket"),
        (
            coin(side=Side.SELL, kind=OrderType.STOP, stop_price="95", limit_price="94", bracket_target="115"),
            "coins take no bracket",
        ),
        (request_of("x", quantity="1.5", bracket_stop="95", bracket_target="115"), "fractions of a share take no"),
        (request_of("x", bracket_stop="95"), "both its stop and its target"),
        (request_of("x", bracket_stop="115", bracket_target="95"), "below its target"),
        (request_of("x", side=Side.SELL, bracket_stop="95", bracket_target="115"), "only a purchase"),
        (
            request_of("x", kind=OrderType.LIMIT, limit_price="85", bracket_stop="86", bracket_target="104"),
            "the stop 86 of a bracket must be below 85",
        ),
        (
            request_of("x", kind=OrderType.LIMIT, limit_price="85", bracket_stop="80", bracket_target="85"),
            "the target 85 of a bracket must be above 85",
        ),
        (request_of("x", side=Side.SELL, bracket_target="115"), "only a stop order can carry a target"),
        (
            request_of("x", side=Side.SELL, kind=OrderType.STOP, stop_price="95", bracket_target="94"),
            "stop of a pair must be below its target",
        ),
        (request_of("x", quantity="0.001", kind=OrderType.LIMIT, limit_price="100"), "at least 1 USD"),
        (coin(quantity="0.05", kind=OrderType.LIMIT, limit_price="100"), "at least 10 USD"),
        (coin(quantity="5", kind=OrderType.LIMIT, limit_price="60000"), "200000 USD at most"),
    ],
)
def test_what_alpaca_would_refuse_or_misread_is_refused_with_the_rule_in_words(
    request_: OrderRequest, words: str
) -> None:
    assert words in refusal(request_, BTC if request_.symbol == "BTC-USD" else SPY)


@pytest.mark.parametrize(
    "request_",
    [
        request_of("x"),
        request_of("x", kind=OrderType.LIMIT, limit_price="0.9999", quantity="10"),
        request_of("x", bracket_stop="95", bracket_target="115"),
        request_of("x", quantity="0.5", side=Side.SELL),
        request_of("x", side=Side.SELL, kind=OrderType.STOP, stop_price="95", bracket_target="115"),
        request_of("x", quantity="0.5", side=Side.SELL, kind=OrderType.STOP, stop_price="95"),
        coin(quantity="0.123456"),
        coin(side=Side.SELL, kind=OrderType.STOP, stop_price="95", limit_price="90"),
    ],
)
def test_what_fits_is_let_through(request_: OrderRequest) -> None:
    assert refusal(request_, BTC if request_.symbol == "BTC-USD" else SPY) == ""


def test_an_instrument_that_is_not_traded_or_not_in_fractions_is_refused() -> None:
    assert "does not trade SPY at present" in refusal(request_of("x"), VenueAsset("SPY", False, True))
    assert "sells no fractions" in refusal(request_of("x", quantity="0.5"), VenueAsset("SPY", True, False))


def test_a_sale_is_let_through_where_nothing_is_known_of_its_instrument() -> None:
    assert refusal(request_of("x", side=Side.SELL), None) == ""


@given(
    stop=st.decimals("0.0001", 90_000, places=4),
    below=st.decimals("0.0001", "0.9", places=4),
    quantity=st.decimals("0.001", 2, places=6),
)
@settings(max_examples=60, deadline=None)
def test_a_coins_prices_are_put_into_alpacas_ticks_to_the_side_that_protects(
    stop: Decimal, below: Decimal, quantity: Decimal
) -> None:
    limit = stop * below
    request = OrderRequest("x", "BTC-USD", Side.SELL, quantity, OrderType.STOP, Purpose.STOP, limit, stop)
    fit = fitted(request, BTC)
    assert fit.stop_price is not None and fit.limit_price is not None and BTC.price_tick is not None
    assert not fit.stop_price % BTC.price_tick and not fit.limit_price % BTC.price_tick
    assert stop <= fit.stop_price < stop + BTC.price_tick
    assert limit - BTC.price_tick < fit.limit_price <= limit
    assert fit.quantity == quantity


@given(
    quantity=st.decimals("0.000000001", 100_000, places=9),
    price=st.decimals("0.01", 100_000, places=2),
    side=st.sampled_from(Side),
    kind=st.sampled_from(OrderType),
    symbol=st.sampled_from(["SPY", "BRK-B", "BTC-USD"]),
)
@settings(max_examples=100, deadline=None)
def test_whatever_is_let_through_travels_digit_for_digit_and_with_a_time_in_force_that_alpaca_takes(
    quantity: Decimal, price: Decimal, side: Side, kind: OrderType, symbol: str
) -> None:
    request = OrderRequest(
        "x",
        symbol,
        side,
        quantity,
        kind,
        Purpose.ENTRY if side is Side.BUY else Purpose.EXIT,
        limit_price=None if kind is OrderType.MARKET else price,
        stop_price=price if kind is OrderType.STOP else None,
    )
    asset = VenueAsset(symbol, True, True, quantity_step=STEP)
    if refusal(request, asset):
        return
    fields = fields_of(request)
    assert Decimal(fields["qty"]) == quantity and "e" not in fields["qty"].lower()
    assert all(Decimal(fields[name]) == price for name in ("limit_price", "stop_price") if name in fields)
    if symbol == "BTC-USD":
        assert fields["time_in_force"] == "gtc" and fields["type"] != "stop"
    elif quantity % ONE:
        assert fields["time_in_force"] == "day"
    assert fields["symbol"] == {"SPY": "SPY", "BRK-B": "BRK.B", "BTC-USD": "BTC/USD"}[symbol]


def test_what_rests_for_whole_shares_does_so_until_cancelled_with_both_its_levels() -> None:
    bracket = fields_of(request_of("x", bracket_stop="95", bracket_target="115"))
    assert bracket == {
        "symbol": "SPY",
        "qty": "10",
        "side": "buy",
        "type": "market",
        "time_in_force": "gtc",
        "client_order_id": "x",
        "order_class": "bracket",
        "take_profit": {"limit_price": "115"},
        "stop_loss": {"stop_price": "95"},
    }
    pair = fields_of(request_of("p", side=Side.SELL, kind=OrderType.STOP, stop_price="95", bracket_target="115"))
    assert (pair["type"], pair["order_class"], pair["time_in_force"]) == ("limit", "oco", "gtc")
    assert (pair["take_profit"], pair["stop_loss"]) == ({"limit_price": "115"}, {"stop_price": "95"})
    assert fields_of(request_of("m"))["time_in_force"] == "day"


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (40310000, "insufficient buying power", "not enough buying power"),
        (40310000, "insufficient balance for USD (requested: 600, available: 10)", "not enough buying power"),
        (40310000, "insufficient qty available for order (requested: 5, available: 0)", "fewer units of SPY are free"),
        (40310000, "insufficient balance for BTC (requested: 1, available: 0.5)", "fewer units of SPY are free"),
        (40310000, "potential wash trade detected. use complex orders", "trade with itself"),
        (40310100, "trade denied due to pattern day trading protection", "day-trade or intraday margin restriction"),
        (40310000, "order would create an intraday margin deficit", "day-trade or intraday margin restriction"),
        (42210000, "asset SPY is not active", "cannot be traded at Alpaca at present"),
        (42210000, "trading in SPY is halted", "trading in SPY is halted"),
        (42210000, "market is closed", "the market is closed"),
        (40310000, "account is not authorized to trade", "blocked or restricted"),
        (40310000, "new orders are rejected by user request", "suspended in the account's own settings"),
        (40310000, "crypto trading is not enabled for this account", "may not trade coins"),
        (42210000, "account is not allowed to short", "sell more SPY than is held"),
        (42210000, "stop_loss.stop_price must be <= base_price - 0.01", "its stop is too close"),
        (42210000, 'could not find asset "SPY"', "no such instrument as SPY"),
        (49999999, "something new", "Alpaca refused it: something new"),
    ],
)
def test_alpacas_final_no_is_told_in_words_that_its_owner_understands(code: int, said: str, words: str) -> None:
    told = refused(Declined(403, code, said), "SPY").reason
    assert words in told
    assert said in told


def test_a_no_without_words_names_its_status() -> None:
    assert refused(Declined(403, 0, ""), "SPY").reason == "Alpaca refused it without a reason (HTTP 403)"
