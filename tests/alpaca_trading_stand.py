"""The real alpaca-py in front of a server that plays Alpaca's trading service: what tests of it need."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fakes_bars import StillClock
from tests.servers.alpaca_http import KEY_ID, SECRET
from tests.servers.alpaca_trading_server import AlpacaTradingServer

with warnings.catch_warnings():
    # alpaca-py 0.44 stands on the older half of websockets, which says that it will go.
    warnings.filterwarnings("ignore", message=r"websockets\.legacy", category=DeprecationWarning)
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
    from alpaca.trading.models import TradeUpdate
    from alpaca.trading.requests import GetCalendarRequest, GetOrdersRequest, LimitOrderRequest, ReplaceOrderRequest
    from alpaca.trading.stream import TradingStream

__all__ = [
    "GetCalendarRequest",
    "GetOrdersRequest",
    "LimitOrderRequest",
    "OrderSide",
    "OrderStatus",
    "QueryOrderStatus",
    "ReplaceOrderRequest",
    "TimeInForce",
    "TradeUpdate",
    "TradingStream",
]

MONDAY = datetime(2026, 11, 2, 15, 0, tzinfo=UTC)
"""Ten in the morning in New York, half an hour after the open."""


@dataclass(frozen=True)
class TradingStand:
    """`raw` gives answers as they come, `client` as alpaca-py's models."""

    server: AlpacaTradingServer
    clock: StillClock
    client: TradingClient
    raw: Any


def clients(address: str, key_id: str = KEY_ID, secret: str = SECRET) -> tuple[TradingClient, Any]:
    """alpaca-py's client with its models, and the one that hands answers on; neither sends anything twice."""
    made = [TradingClient(key_id, secret, url_override=address, raw_data=raw) for raw in (False, True)]
    for client in made:
        client._retry = 0
    return made[0], made[1]


@pytest.fixture
def trading() -> Iterator[TradingStand]:
    """SPY stands at 600, BTC/USD at 60,000, and the market has just opened."""
    clock = StillClock(MONDAY)
    with AlpacaTradingServer(clock.now) as server:
        server.set_price("SPY", 600)
        server.set_price("BTC/USD", 60_000)
        yield TradingStand(server, clock, *clients(server.address))
