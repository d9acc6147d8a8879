"""Questions to sources side by side in threads, under one deadline, or inline."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class Fetcher(Generic[K, R]):
    """`parallel` at a time in threads; without it everything happens inline, which is what replay wants.

    A question that overruns stays remembered by its key, and is not asked a second time while it runs.
    """

    def __init__(self, parallel: int | None, name: str) -> None:
        self._parallel = parallel
        self._name = name
        self._pool: ThreadPoolExecutor | None = None
        self._running: dict[K, Future[R]] = {}

    def all(self, asked: Sequence[tuple[K, Callable[[], R]]], deadline: float, late: R) -> list[R]:
        """The results in order; `late` for those that take more than `deadline` seconds together."""
        if self._parallel is None:
            return [question() for _, question in asked]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._parallel, thread_name_prefix=self._name)
        for key, question in asked:
            if key not in self._running:
                self._running[key] = self._pool.submit(question)
        wait([self._running[key] for key, _ in asked], timeout=deadline)
        return [self._result(key, late) for key, _ in asked]

    def close(self) -> None:
        """Lets running questions end on their own and starts no more."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _result(self, key: K, late: R) -> R:
        future = self._running[key]
        if not future.done():
            return late
        del self._running[key]
        return future.result()
