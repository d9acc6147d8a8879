"""The spawned, niced process that trains, backtests and draws: gone when idle, killed when it hangs."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar, cast

from core.errors import Transient
from jobs.worker_child import Reply, serve

T = TypeVar("T")


class SpawnedWorker:
    """Implements the Worker port: one task at a time, in a fresh process each, from any thread.

    `keep` lets the process live on for the next task (replays train hundreds of times). Tasks are functions that a
    module defines, with arguments that can be pickled; what they import never enters this process.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._context = multiprocessing.get_context("spawn")
        self._turn = threading.Lock()
        self._next = threading.Lock()
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None

    def run(self, task: Callable[..., T], *arguments: Any, deadline: float) -> T:
        """The task's result, or the task's own exception.

        Raises Transient when others keep the worker busy for `deadline` seconds, when this one takes longer than that
        (the process is killed), and when the process dies.
        """
        self._take_turn(deadline)
        try:
            succeeded, value = self._ask(pickle.dumps((task, arguments)), deadline)
        finally:
            if not self._keep:
                self._end()
            self._turn.release()
        if not succeeded:
            raise cast(Exception, value)
        return cast(T, value)

    def _take_turn(self, deadline: float) -> None:
        """Who waits is next: a thread with one task after the other would otherwise take the worker again before
        anybody woke up."""
        if not self._next.acquire(timeout=deadline):
            raise Transient(f"the worker was busy for {deadline:.0f} s")
        try:
            if not self._turn.acquire(timeout=deadline):
                raise Transient(f"the worker was busy for {deadline:.0f} s")
        finally:
            self._next.release()

    @property
    def is_awaited(self) -> bool:
        """Whether a task waits for its turn."""
        return self._next.locked()

    def stop(self) -> None:
        """Ends a kept process; a running task is killed. The worker can be used again."""
        process = self._process
        if process is not None and not self._turn.acquire(blocking=False):
            _kill(process)
            self._turn.acquire()
        elif process is None:
            return
        try:
            self._end()
        finally:
            self._turn.release()

    @property
    def pid(self) -> int | None:
        """The live process's id; None when idle."""
        process = self._process
        return process.pid if process is not None else None

    def _ask(self, task: bytes, deadline: float) -> Reply:
        process, pipe = self._started()
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            _kill(process)

        # The timer unblocks every wait below, the sending of a large task to a stuck process included.
        timer = threading.Timer(deadline, expire)
        timer.daemon = True
        timer.start()
        try:
            pipe.send_bytes(task)
            reply = pipe.recv_bytes()
        except (EOFError, OSError) as error:
            self._end()
            if expired.is_set():
                raise Transient(f"the worker was killed after {deadline:.0f} s without a result") from error
            raise Transient("the worker process died") from error
        finally:
            timer.cancel()
        return cast(Reply, pickle.loads(reply))  # written by our own child

    def _started(self) -> tuple[SpawnProcess, Connection]:
        if self._process is not None and self._pipe is not None and self._process.is_alive():
            return self._process, self._pipe
        self._end()
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs,), daemon=True, name="autotrader-worker")
        with _interrupts_blocked():
            process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        return process, ours

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            _kill(self._process)
            self._process.join()
            self._process.close()
        self._process = self._pipe = None


def _kill(process: SpawnProcess) -> None:
    """By its own id and only while it is ours; one that has already gone is no error."""
    try:
        process.kill()
    except (ProcessLookupError, ValueError):
        return


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A child inherits this thread's blocked signals: Ctrl-C during its start cannot print a traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Where nothing was spawned before, the start of a process begins with this one, which lets interrupts through
    # (CPython, multiprocessing.resource_tracker.ensure_running).
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
