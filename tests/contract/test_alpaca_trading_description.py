"""What our loopback Alpaca answers about trading is what Alpaca publishes: every answer, and every question of
alpaca-py."""

from __future__ import annotations

import json

import pytest

from tests.alpaca_trading_stand import (
    GetCalendarRequest,
    GetOrdersRequest,
    OrderSide,
    QueryOrderStatus,
    TradingStand,
    trading,
)
from tests.contract.alpaca_spec import Description
from tests.contract.test_alpaca_trading_server import BRACKET, COIN, send
from tests.servers.alpaca_http import Answer

__all__ = ["trading"]

TEXT = {"type": "string"}
TRADING = Description(
    "alpaca-trading-openapi.json",
    # What alpaca-py's models ask for and the documentation's own examples show, beside the description.
    unpublished={"NonTradeActivities": {"description": TEXT, "price": TEXT}},
    values={"Exchange": ["CRYPTO"], "ExchangeForPosition": ["CRYPTO"]},
)
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not TRADING.path.exists(), reason="Alpaca's description is not beside this checkout"),
]


def ask_everything(stand: TradingStand) -> None:
    client, raw, server = stand.client, stand.raw, stand.server
    bracket = send(stand, BRACKET)
    send(stand, COIN)
    limit = send(stand, BRACKET, symbol="QQQ", type="limit", limit_price="590")
    raw.get(f"/orders/{bracket['id']}", {"nested": True})
    raw.get("/orders:by_client_order_id", {"client_order_id": bracket["client_order_id"]})
    raw.patch(f"/orders/{limit['id']}", {"limit_price": "591"})
    server.set_price("SPY", 640)
    send(stand)
    server.dividend("SPY", "1.5")
    server.split("SPY", 2, 320)
    for kind, amount in (("INT", "0.3"), ("FEE", "-0.1"), ("CSD", "5"), ("CSW", "-5")):
        server.move(kind, amount)
    client.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True, side=OrderSide.BUY, limit=5))
    raw.get("/account/activities", {"page_size": 50})
    raw.get("/account/activities/FILL")
    for ask in (client.get_account, client.get_clock, client.get_all_assets, client.get_all_positions):
        ask()
    client.get_account_configurations()
    raw.patch("/account/configurations", {"no_shorting": True})
    client.get_calendar(GetCalendarRequest(start=stand.clock.now().date()))
    for symbol in ("SPY", "BTC/USD"):
        client.get_asset(symbol)
    client.get_open_position("BTCUSD")
    client.close_position("SPY")
    client.cancel_orders()
    client.close_all_positions(cancel_orders=True)
    other = send(stand, type="limit", limit_price="100")
    client.cancel_order_by_id(other["id"])


def test_every_answer_is_one_that_alpaca_publishes(trading: TradingStand) -> None:
    ask_everything(trading)
    answers = trading.server.answers
    assert len({(call.method, call.path.split("/")[2]) for call, _ in answers}) == 12
    assert [fault for call, answer in answers for fault in TRADING.faults_of(call, answer)] == []


def test_alpaca_py_asks_with_parameters_that_alpaca_publishes(trading: TradingStand) -> None:
    ask_everything(trading)
    odd = {(call.path, name) for call in trading.server.calls for name in set(call.query) - TRADING.parameters_of(call)}
    assert odd == set()


def test_an_answer_that_strays_from_what_is_published_is_found(trading: TradingStand) -> None:
    send(trading)
    call, answer = trading.server.answers[-1]
    strayed = json.loads(json.dumps(answer.body))
    strayed["qty"] = 10
    assert len(list(TRADING.faults_of(call, Answer(200, strayed)))) == 1
    assert list(TRADING.faults_of(call, Answer(200, {**answer.body, "mood": "good"})))
    assert list(TRADING.faults_of(call, Answer(418, answer.body)))
