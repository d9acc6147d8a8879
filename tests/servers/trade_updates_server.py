"""Alpaca's stream of trades on loopback as alpaca-py 0.44 meets it: JSON in binary frames, one connection an account,
nothing replayed, and ways to go wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from tests.servers.alpaca_http import KEY_ID, SECRET
from tests.servers.alpaca_trading_server import AlpacaTradingServer
from tests.servers.loopback_socket import LoopbackSocket

ELSEWHERE = "your connection is rejected while another connection is open under the same account"


class TradeUpdatesServer(LoopbackSocket):
    """`connects` counts connections. `deaf` says nothing to those who connect; `gives` is what may be listened to;
    `status` refuses the handshake. `mute` tells of nothing while connections stand, `repeats` tells of everything so
    many times more. With `follow` it tells of what happens at a venue, and knows its keys."""

    def __init__(self) -> None:
        self.keys = {KEY_ID: SECRET}
        self.deaf = False
        self.gives = ["trade_updates"]
        self.status: HTTPStatus | None = None
        self.mute = False
        self.repeats = 0
        self.connects = 0
        self.refused = 0
        self.listeners: list[ServerConnection] = []
        self._trading: AlpacaTradingServer | None = None
        super().__init__(process_request=self._admit)

    def follow(self, trading: AlpacaTradingServer) -> None:
        self._trading = trading
        trading.hear(self._pass_on)

    def _pass_on(self, data: Mapping[str, Any]) -> None:
        frame = json.dumps({"stream": "trade_updates", "data": data}).encode()
        for _ in range(0 if self.mute else 1 + self.repeats):
            self.say(frame)

    @property
    def address(self) -> str:
        return f"ws://127.0.0.1:{self.port}/stream"

    def update(self, event: str = "fill", **fields: Any) -> None:
        """One update, for all who listen."""
        data = {"event": event, "execution_id": "5c0bc6a5-2b1f-4e54-b9f8-9c4a1e9c2b11", "order": {"id": "7"}, **fields}
        self.say(json.dumps({"stream": "trade_updates", "data": data}).encode())

    def say(self, frame: bytes) -> None:
        for each in list(self.listeners):
            with suppress(ConnectionClosed, OSError):
                each.send(frame)

    def _connections(self) -> Iterable[ServerConnection]:
        return self.listeners

    def _admit(self, connection: ServerConnection, _: Request) -> Response | None:
        if self.status is None:
            return None
        self.refused += 1
        return connection.respond(self.status, "no\n")

    def _serve(self, connection: ServerConnection) -> None:
        self.connects += 1
        try:
            if self.deaf:
                for _ in connection:
                    continue
            elif self._lets_in(connection):
                for frame in connection:
                    self._obey(connection, json.loads(frame))
        except (ConnectionClosed, OSError):
            return
        finally:
            if connection in self.listeners:
                self.listeners.remove(connection)

    def _lets_in(self, connection: ServerConnection) -> bool:
        data = json.loads(connection.recv(10))["data"]
        keys = self.keys if self._trading is None else self._trading.keys
        known = keys.get(data["key_id"]) == data["secret_key"]
        if known and self.listeners:
            _tell(connection, "listening", {"error": ELSEWHERE})
            return False
        status = "authorized" if known else "unauthorized"
        _tell(connection, "authorization", {"action": "authenticate", "status": status})
        return known

    def _obey(self, connection: ServerConnection, said: dict[str, Any]) -> None:
        given = [name for name in said["data"]["streams"] if name in self.gives]
        if given:
            self.listeners.append(connection)
        _tell(connection, "listening", {"streams": given})


def _tell(connection: ServerConnection, stream: str, data: dict[str, Any]) -> None:
    connection.send(json.dumps({"stream": stream, "data": data}).encode())
