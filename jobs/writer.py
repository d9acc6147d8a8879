"""The one thread that changes the ledger. Ticks, guard runs and the owner's commands queue here by priority."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum
from typing import Any, Protocol, TypeVar

from core.errors import Fatal

T = TypeVar("T")


class Urgency(IntEnum):
    """Smaller goes first; work that has begun is never interrupted."""

    OWNER = 0
    GUARD = 1
    TICK = 2
    BACKGROUND = 3
    STOP = 9


class WriterLike(Protocol):
    def submit(self, urgency: Urgency, /, task: Callable[..., T], *arguments: Any) -> Future[T]: ...


class Writer:
    """Runs submitted calls one after another in its own thread, most urgent first, first come first served within."""

    def __init__(self) -> None:
        self._queue: queue.PriorityQueue[tuple[int, int, Callable[[], None]]] = queue.PriorityQueue()
        self._order = itertools.count()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, urgency: Urgency, task: Callable[..., T], *arguments: Any) -> Future[T]:
        """The future of `task(*arguments)`. Raises Fatal once the writer is stopping."""
        if self._closed.is_set():
            raise Fatal("the engine is stopping and takes no more work")
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(task(*arguments))
            except BaseException as error:  # noqa: BLE001 - carried to whoever waits for the future
                future.set_exception(error)

        self._queue.put((int(urgency), next(self._order), call))
        return future

    async def run(self, task: Callable[..., T], *arguments: Any, urgency: Urgency = Urgency.OWNER) -> T:
        """Like submit, awaited without blocking the event loop."""
        return await asyncio.wrap_future(self.submit(urgency, task, *arguments))

    def stop(self) -> None:
        """Finishes everything that was submitted, then ends the thread."""
        if not self._thread.is_alive():
            return
        self._closed.set()
        self._queue.put((int(Urgency.STOP), next(self._order), self._end))
        self._thread.join()

    def _end(self) -> None:
        raise _Stop

    def _work(self) -> None:
        while True:
            _, _, call = self._queue.get()
            try:
                call()
            except _Stop:
                return


class _Stop(Exception):
    """Ends the writer's thread."""


class InlineWriter:
    """The writer of virtual time: everything happens at once, in the caller's thread."""

    def submit(self, _urgency: Urgency, task: Callable[..., T], *arguments: Any) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(task(*arguments))
        return future

    async def run(self, task: Callable[..., T], *arguments: Any, urgency: Urgency = Urgency.OWNER) -> T:
        return self.submit(urgency, task, *arguments).result()
