"""What open chat pages are told: a short numbered memory of changes that any number of pages can follow."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

_REMEMBERED = 500


@dataclass(frozen=True, slots=True)
class Change:
    number: int
    kind: str
    data: dict[str, Any]


class Feed:
    """Lives in one event loop."""

    def __init__(self) -> None:
        self._changes: deque[Change] = deque(maxlen=_REMEMBERED)
        self._number = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._closed = False

    @property
    def number(self) -> int:
        """Of the newest change."""
        return self._number

    @property
    def closed(self) -> bool:
        return self._closed

    def publish(self, kind: str, data: dict[str, Any]) -> None:
        self._number += 1
        self._changes.append(Change(self._number, kind, data))
        self._wake()

    def close(self) -> None:
        self._closed = True
        self._wake()

    def since(self, number: int) -> list[Change] | None:
        """Changes after `number`; None where some of them are forgotten or the number is not one of ours."""
        oldest = self._changes[0].number if self._changes else self._number + 1
        if number > self._number or number < oldest - 1:
            return None
        return [change for change in self._changes if change.number > number]

    async def wait(self, seconds: float) -> None:
        """Until the next change, the end, or for `seconds`."""
        if self._closed:
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(woken)
        try:
            await asyncio.wait((woken,), timeout=seconds)
        finally:
            self._waiting.discard(woken)

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
