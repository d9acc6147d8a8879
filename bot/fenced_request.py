"""The bot's HTTP clients: nothing is said, and no command is taken, by a process that lost the ledger to another.

A process that slept too long may wake anywhere, even between the commit that marks a message as being sent and its
sending; so the lease is asked for right before every request, in a thread, because the ledger is a file.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from telegram.error import NetworkError
from telegram.request import HTTPXRequest

from bot.poll_watch import WatchedRequest
from core.errors import AutoTraderError, LeaseLost

Fence = Callable[[], None]
_OPTIONAL = "sniffio"
if _OPTIONAL not in sys.modules and find_spec(_OPTIONAL) is None:
    # httpcore asks for this package several times in each request and does without where it is missing: each time
    # through all folders of the search path, in the event loop. None says so at once (Python reference, 5.3.1).
    sys.modules[_OPTIONAL] = None  # type: ignore[assignment]


class FencedRequest(HTTPXRequest):
    """The client of everything but getUpdates."""

    def __init__(self, fence: Fence, **options: Any) -> None:
        super().__init__(**options)
        self._fence = fence

    async def do_request(self, *arguments: Any, **options: Any) -> tuple[int, bytes]:
        await _pass(self._fence)
        return await super().do_request(*arguments, **options)


class FencedPoll(WatchedRequest):
    """The client of getUpdates: asking for more would confirm, and so lose, what the other process has to answer."""

    def __init__(self, fence: Fence, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._fence = fence

    async def do_request(self, *arguments: Any, **options: Any) -> tuple[int, bytes]:
        try:
            await _pass(self._fence)
        except NetworkError as refusal:
            if lease_lost_in(refusal) is None:
                raise
            # Nobody is asked and nothing is new: the process is about to stop, and an error would be logged as ours.
            await asyncio.sleep(1)
            return 200, b'{"ok": true, "result": []}'
        return await super().do_request(*arguments, **options)


def lease_lost_in(error: BaseException) -> LeaseLost | None:
    """The reason why a request was not made, where it is this one."""
    return error.__cause__ if isinstance(error.__cause__, LeaseLost) else None


async def _pass(fence: Fence) -> None:
    """Raises NetworkError, the only kind of error that the library hands on unchanged."""
    try:
        await asyncio.to_thread(fence)
    except AutoTraderError as refusal:
        raise NetworkError("not sent: the ledger may be another process's") from refusal
