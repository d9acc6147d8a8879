"""getUpdates: long poll, acknowledgement by offset, one poller at a time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from bot.localphone.errors import ApiError
from bot.localphone.store import PhoneStore
from core.ports import Clock

MAX_LIMIT = 100
MAX_TIMEOUT = 50
_CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
_ALLOWED = "allowed_updates"


class UpdateQueue:
    """Updates wait in the store until an offset above them is asked for; until then they are handed out again.

    The real server stretches repeated short polls to three seconds to protect itself from busy clients. On loopback
    that would only slow down stopping, so it is left out. `longest_poll` is in seconds.
    """

    def __init__(self, store: PhoneStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.longest_poll: float = MAX_TIMEOUT
        self._poller: asyncio.Future[None] | None = None
        self._closed = False

    def put(self, kind: str, body: dict[str, Any]) -> None:
        """Stores an update of a kind the bot wants; call `wake` once the transaction is through."""
        wanted = json.loads(self._store.setting(_ALLOWED) or "[]")
        if not wanted or kind in wanted:
            self._store.add_update({kind: body}, self._clock.now())

    def wake(self) -> None:
        if self._poller is not None and not self._poller.done():
            self._poller.set_result(None)

    def close(self) -> None:
        """Answers a waiting poll, and every later one, at once."""
        self._closed = True
        self.wake()

    def allow(self, kinds: Any) -> None:
        """Which kinds to store from now on; anything but a list keeps the previous choice, an empty list means all."""
        if isinstance(kinds, list):
            self._store.set_setting(_ALLOWED, json.dumps([str(kind) for kind in kinds]))

    async def get(self, offset: int, limit: int, timeout: int) -> list[dict[str, Any]]:
        """Updates from `offset` on, forgetting those before; waits up to `timeout` seconds for the first.

        A negative offset keeps only that many of the newest. Raises ApiError 409 when another poll takes over.
        """
        limit = min(max(limit, 1), MAX_LIMIT)
        if offset < 0:
            self._store.forget_updates_but(-offset)
        elif offset > 0:
            self._store.forget_updates_before(offset)
        self._store.forget_old_updates(self._clock.now())
        first = max(offset, 0)
        updates = self._store.updates(first, limit)
        if updates or timeout <= 0 or self._closed:
            return updates
        await self._wait(min(timeout, self.longest_poll))
        return [] if self._closed else self._store.updates(first, limit)

    async def _wait(self, seconds: float) -> None:
        if self._poller is not None and not self._poller.done():
            self._poller.set_exception(ApiError(409, _CONFLICT))
        poller: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._poller = poller
        try:
            await asyncio.wait((poller,), timeout=seconds)
            if poller.done():
                poller.result()
        finally:
            if self._poller is poller:
                self._poller = None
