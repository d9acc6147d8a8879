"""Alpaca's streams of quotes on loopback as alpaca-py 0.44 meets them: msgpack over a websocket, one connection for an
account, subscriptions, and ways to go wrong."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgpack
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from tests.servers.alpaca_http import KEY_ID, SECRET
from tests.servers.loopback_socket import LoopbackSocket

PATHS = {"stocks": "/v2/iex", "coins": "/v1beta3/crypto/us"}
CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars")
ERRORS = {
    401: "not authenticated",
    402: "auth failed",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    409: "insufficient subscription",
    500: "internal error",
}


@dataclass(eq=False)
class Listener:
    """One connection that was let in, and what it is subscribed to by channel."""

    kind: str
    connection: ServerConnection
    subscribed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def tell(self, *messages: dict[str, Any]) -> None:
        self.send(msgpack.packb(list(messages), datetime=True))

    def send(self, frame: bytes) -> None:
        """To a client that left, nothing."""
        with suppress(ConnectionClosed, OSError):
            self.connection.send(frame)

    def fail(self, code: int) -> None:
        self.tell({"T": "error", "code": code, "msg": ERRORS[code]})


class AlpacaStreamServer(LoopbackSocket):
    """`connects` counts connections by stream, `asked` holds what clients said. `deaf` says nothing to those who
    connect; `refuses` is a code that authentication is answered with; `limit` how many symbols one may listen to."""

    def __init__(self) -> None:
        self.keys = {KEY_ID: SECRET}
        self.deaf = False
        self.refuses: int | None = None
        self.limit = 30
        self.connects: dict[str, int] = defaultdict(int)
        self.asked: list[dict[str, Any]] = []
        self.listeners: list[Listener] = []
        super().__init__()

    def addresses(self) -> dict[Any, str]:
        return {kind: f"ws://127.0.0.1:{self.port}{path}" for kind, path in PATHS.items()}

    def listening(self, kind: str) -> set[str]:
        """The symbols whose quotes somebody hears."""
        return {name for each in list(self.listeners) if each.kind == kind for name in each.subscribed["quotes"]}

    def quote(self, kind: str, name: str, bid: Any, ask: Any, at: datetime) -> None:
        """A new quote, for all who listen to it."""
        message = {"T": "q", "S": name, "bp": bid, "ap": ask, "bs": 1, "as": 1, "t": at}
        if kind == "stocks":
            message |= {"bx": "V", "ax": "V", "c": ["R"], "z": "B"}
        for each in self._hearing(kind, name):
            each.tell(message)

    def say(self, kind: str, frame: bytes) -> None:
        """Whatever one likes, to all who listen."""
        for each in list(self.listeners):
            if each.kind == kind:
                each.send(frame)

    def error(self, kind: str, code: int) -> None:
        for each in list(self.listeners):
            if each.kind == kind:
                each.fail(code)

    def _connections(self) -> Iterable[ServerConnection]:
        return [each.connection for each in self.listeners]

    def _hearing(self, kind: str, name: str) -> Iterable[Listener]:
        return [each for each in list(self.listeners) if each.kind == kind and name in each.subscribed["quotes"]]

    def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        kind = next(kind for kind, path in PATHS.items() if path == connection.request.path)
        self.connects[kind] += 1
        listener = Listener(kind, connection)
        try:
            if self.deaf:
                for _ in connection:
                    continue
                return
            listener.tell({"T": "success", "msg": "connected"})
            if self._lets_in(listener):
                self.listeners.append(listener)
                for frame in connection:
                    self._obey(listener, msgpack.unpackb(frame))
        except (ConnectionClosed, OSError):
            return
        finally:
            if listener in self.listeners:
                self.listeners.remove(listener)

    def _lets_in(self, listener: Listener) -> bool:
        said = msgpack.unpackb(listener.connection.recv(10))
        self.asked.append({key: value for key, value in said.items() if key != "secret"})
        code = self.refuses
        if self.keys.get(said.get("key")) != said.get("secret"):
            code = 402
        elif any(each.kind == listener.kind for each in self.listeners):
            code = 406
        if code is not None:
            listener.fail(code)
            return False
        listener.tell({"T": "success", "msg": "authenticated"})
        return True

    def _obey(self, listener: Listener, said: dict[str, Any]) -> None:
        self.asked.append(said)
        wanted = {channel: set(said.get(channel) or ()) for channel in CHANNELS}
        if said["action"] == "subscribe":
            if len(listener.subscribed["quotes"] | wanted["quotes"]) > self.limit:
                listener.fail(405)
                return
            for channel, names in wanted.items():
                listener.subscribed[channel] |= names
        else:
            for channel, names in wanted.items():
                listener.subscribed[channel] -= names
        subscribed = {channel: sorted(listener.subscribed[channel]) for channel in CHANNELS}
        listener.tell({"T": "subscription", **subscribed})


def eventually(holds: Any, within: float = 10.0) -> None:
    """Returns once `holds` is true; fails after `within` seconds of real time."""
    for _ in range(int(within / 0.01)):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen in time")
