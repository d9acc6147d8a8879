"""Looks between the minutes: whoever learns that something happened asks for one, and many askers get one together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Monotonic(Protocol):
    def monotonic(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds. A look waits `settle` for more of the same, and until `apart` after the one before. `at_once` of them
    may follow each other like that; one more every `refill`: a busy hour must not use up what a venue allows us to ask.
    """

    settle: float = 0.3
    apart: float = 1.5
    at_once: int = 4
    refill: float = 10.0


class Pacing:
    """How long each look has to wait. Times by one monotonic clock, in seconds."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._left = float(pace.at_once)
        self._ended_at: float | None = None

    def rest(self, now: float) -> float:
        """Before a look that is asked for at `now`."""
        if self._ended_at is None:
            return self._pace.settle
        passed = now - self._ended_at
        left = min(self._left + passed / self._pace.refill, self._pace.at_once)
        return max(self._pace.settle, self._pace.apart - passed, (1 - left) * self._pace.refill)

    def looked(self, began_at: float, ended_at: float) -> None:
        passed = began_at - self._ended_at if self._ended_at is not None else 0.0
        self._left = min(self._left + passed / self._pace.refill, self._pace.at_once) - 1
        self._ended_at = ended_at


class Looks:
    """Runs `look` in a thread of its own, soon after it was asked for and never twice at once. What is asked while a
    look runs is answered by one after it. `look` survives its own failures."""

    def __init__(self, look: Callable[[], object], clock: Monotonic, pace: Pace | None = None) -> None:
        self._look = look
        self._clock = clock
        self._pacing = Pacing(pace or Pace())
        self._asked = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._live, name="looks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask(self) -> None:
        """Never waits; from any thread. What is asked before the start is looked for after it."""
        self._asked.set()

    def close(self) -> None:
        """Waits for the look that runs; asks for none any more."""
        self._closing.set()
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join()

    def _live(self) -> None:
        now = self._clock.monotonic
        while self._asked.wait() and not self._closing.wait(self._pacing.rest(now())):
            self._asked.clear()
            began_at = now()
            self._look()
            self._pacing.looked(began_at, now())
