"""A thread with an event loop of its own, for what has to be listened to without anybody waiting for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from core.adapters.pacing import RealClock

LOOK_AROUND = 2.0
RESTART_AFTER = 60.0


class LoopThread:
    """Calls `tend` in the loop again and again: after each `wake`, and `look_around` seconds after the last call. At
    the end `leave` is awaited there. Thread-safe."""

    def __init__(
        self,
        name: str,
        clock: RealClock,
        tend: Callable[[], Awaitable[None]],
        leave: Callable[[], Awaitable[None]],
        look_around: float = LOOK_AROUND,
    ) -> None:
        self._name = name
        self._clock = clock
        self._tend = tend
        self._leave = leave
        self._look_around = look_around
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._closing = False
        self._start_at = 0.0

    def run(self) -> None:
        """Starts the thread where it does not run, one that has ended only after RESTART_AFTER seconds. At once."""
        now = self._clock.monotonic()
        with self._lock:
            if self._closing or (self._thread is not None and self._thread.is_alive()) or now < self._start_at:
                return
            self._start_at = now + RESTART_AFTER
            # A daemon: a process that ends does not wait for the far side.
            self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name=self._name, daemon=True)
            self._thread.start()

    def wake(self) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop ended in between
                loop.call_soon_threadsafe(self._changed.set)

    def close(self) -> None:
        """Ends the thread, for good, and waits for that."""
        with self._lock:
            self._closing = True
            thread = self._thread
        self.wake()
        if thread is not None:
            thread.join(10.0)

    async def _live(self) -> None:
        self._loop, self._changed = asyncio.get_running_loop(), asyncio.Event()
        try:
            while not self._closing:
                self._changed.clear()
                await self._tend()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), self._look_around)
        finally:
            self._loop = None
            await self._leave()


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancels a task and returns once it has ended."""
    while not task.done():
        # Once may not do: a wait that is just over in Python 3.11 swallows it.
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)
