"""What websocket servers of the tests have in common: a free port on loopback, a thread, an end without a goodbye."""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Self

from websockets.sync.server import ServerConnection, serve


class LoopbackSocket(ABC):
    """Serves while it is entered; `options` are those of websockets' own server."""

    def __init__(self, **options: Any) -> None:
        self._server = serve(self._serve, "127.0.0.1", 0, compression=None, close_timeout=0.2, **options)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self.drop()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.socket.getsockname()[1])

    def drop(self) -> None:
        """Every connection that listens breaks off, without a goodbye."""
        for each in list(self._connections()):
            with suppress(OSError):
                each.socket.shutdown(socket.SHUT_RDWR)

    @abstractmethod
    def _connections(self) -> Iterable[ServerConnection]: ...

    @abstractmethod
    def _serve(self, connection: ServerConnection) -> None: ...
