"""What the loopback Alpaca does is told on its stream of trades as Alpaca tells it, heard by the real alpaca-py."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from tests.alpaca_trading_stand import TradeUpdate, TradingStand, TradingStream, trading
from tests.contract.test_alpaca_trading_server import BRACKET, send
from tests.servers.alpaca_http import KEY_ID, SECRET
from tests.servers.alpaca_stream_server import eventually
from tests.servers.trade_updates_server import TradeUpdatesServer

__all__ = ["trading"]


class Listening:
    """alpaca-py's own stream, unmodified, in a thread of its own."""

    def __init__(self, address: str) -> None:
        self.heard: list[TradeUpdate] = []
        self.stream = TradingStream(KEY_ID, SECRET, url_override=address)
        self.stream._reconnect_min_backoff = 0.01
        self.stream.subscribe_trade_updates(self._hear)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.task: Any = None

        async def listen() -> None:
            self.loop = asyncio.get_running_loop()
            self.task = asyncio.create_task(self.stream._run_forever())
            with suppress(asyncio.CancelledError):
                await self.task
            await self.stream.close()

        asyncio.run(listen())

    async def _hear(self, update: TradeUpdate) -> None:
        self.heard.append(update)

    def events(self) -> list[str]:
        return [str(getattr(each.event, "value", each.event)) for each in self.heard]

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.task.cancel)
        self._thread.join(10)


@pytest.fixture
def updates(trading: TradingStand) -> Iterator[TradeUpdatesServer]:
    with TradeUpdatesServer() as server:
        server.follow(trading.server)
        yield server


@pytest.fixture
def listening(updates: TradeUpdatesServer) -> Iterator[Listening]:
    listening = Listening(updates.address)
    eventually(lambda: updates.listeners)
    yield listening
    listening.close()


def test_each_step_of_an_order_is_told_with_its_numbers(trading: TradingStand, listening: Listening) -> None:
    trading.server.venue.habits.portions["SPY"] = [Decimal(4)]
    send(trading, client_order_id="a")
    trading.server.set_price("SPY", 601)
    eventually(lambda: len(listening.heard) == 4)
    assert listening.events() == ["pending_new", "new", "partial_fill", "fill"]
    part, rest = listening.heard[2:]
    assert (part.qty, part.price, part.position_qty) == (4, 600, 4)
    assert (rest.qty, rest.price, rest.position_qty, rest.order.filled_qty) == (6, 601, 10, "10")
    assert part.execution_id != rest.execution_id


def test_the_leg_that_ends_with_the_other_is_told_of_only_on_demand(
    trading: TradingStand, listening: Listening
) -> None:
    told = send(trading, BRACKET)
    trading.server.set_price("SPY", 640)
    target, stop = (leg["id"] for leg in trading.raw.get(f"/orders/{told['id']}", {"nested": True})["legs"])
    eventually(lambda: listening.events()[-1:] == ["fill"])
    assert {str(each.order.id) for each in listening.heard} == {told["id"], target}
    trading.server.venue.habits.tells_ended_legs = True
    trading.server.set_price("SPY", 600)
    again = send(trading, BRACKET)
    trading.client.cancel_order_by_id(trading.raw.get(f"/orders/{again['id']}", {"nested": True})["legs"][0]["id"])
    eventually(lambda: listening.events()[-2:] == ["canceled", "canceled"])
    assert stop not in {str(each.order.id) for each in listening.heard}


def test_what_happens_while_nobody_listens_is_never_told(
    trading: TradingStand, updates: TradeUpdatesServer, listening: Listening
) -> None:
    updates.drop()
    eventually(lambda: not updates.listeners or updates.connects == 2)
    updates.mute = True
    send(trading)
    updates.mute = False
    eventually(lambda: updates.connects == 2 and updates.listeners)
    updates.repeats = 1
    send(trading, type="limit", limit_price="500")
    eventually(lambda: len(listening.heard) == 4)
    assert listening.events() == ["pending_new", "pending_new", "new", "new"]


def test_the_stream_knows_the_keys_of_the_venue(trading: TradingStand, updates: TradeUpdatesServer) -> None:
    trading.server.revoke_keys()
    stream = TradingStream(KEY_ID, SECRET, url_override=updates.address)

    async def enter() -> None:
        try:
            await stream._start_ws()
        finally:
            await stream.close()

    with pytest.raises(ValueError, match="authenticate"):
        asyncio.run(enter())
