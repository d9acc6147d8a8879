"""How the bot reaches the synchronous core without ever blocking the event loop.

Four ways, because they must not wait for one another: questions are read in threads of their own, the brakes (pause,
resume) and the gate have a thread each that nothing else may occupy, and everything that changes the ledger goes
through the writer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from jobs.writer import Urgency

T = TypeVar("T")


class AsyncWriter(Protocol):
    """The writer thread as the bot sees it."""

    async def run(self, task: Callable[..., T], *arguments: Any, urgency: Urgency = Urgency.OWNER) -> T: ...


class Hands:
    """Owns its threads; `close` ends them."""

    def __init__(self, writer: AsyncWriter) -> None:
        self._writer = writer
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="owner-reads")
        self._brakes = ThreadPoolExecutor(1, thread_name_prefix="owner-brakes")
        self._door = ThreadPoolExecutor(1, thread_name_prefix="owner-gate")

    async def ask(self, question: Callable[..., T], *arguments: Any) -> T:
        """A question to the ledger; runs beside the writer."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, question, *arguments)

    async def look(self, question: Callable[..., T], *arguments: Any) -> T:
        """Who is speaking: asked before everything else, and never behind a long answer to somebody's question."""
        return await asyncio.get_running_loop().run_in_executor(self._door, question, *arguments)

    async def brake(self, deed: Callable[..., T], *arguments: Any) -> T:
        """Pause and resume: at once and in the order they were asked for, whatever the writer is doing."""
        return await asyncio.get_running_loop().run_in_executor(self._brakes, deed, *arguments)

    async def change(self, deed: Callable[..., T], *arguments: Any) -> T:
        """Anything else that changes the ledger: queued for the writer, before its other work."""
        return await self._writer.run(deed, *arguments, urgency=Urgency.OWNER)

    def close(self) -> None:
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._brakes.shutdown(wait=False, cancel_futures=True)
        self._door.shutdown(wait=False, cancel_futures=True)
