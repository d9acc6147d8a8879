"""Manners towards a source that is asked over the network: calls are spaced, and one that refuses is left alone for
longer and longer. One of each serves all threads of the process."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

from numpy.random import Generator

from core.errors import Transient, next_try


class RealClock(Protocol):
    """What core.clock.SystemClock offers."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class Pacer:
    """Keeps calls at least `spacing` seconds apart, first come, first served. `monotonic` and `sleep` in seconds."""

    def __init__(self, spacing: float, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._spacing = spacing
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = -math.inf

    def wait(self, until: float = math.inf, ahead: float = 0.0) -> bool:
        """Blocks until it is this caller's turn; False, at once and without taking a turn, when that is after
        `until` by the monotonic clock.

        What is urgent goes up to `ahead` seconds before its turn, past those who come at theirs; these then wait the
        longer, so that all together still keep the pace.
        """
        with self._lock:
            now = self._monotonic()
            turn = max(now, self._free_at - ahead)
            if turn > until:
                return False
            self._free_at = max(now, self._free_at) + self._spacing
        if turn > now:
            self._sleep(turn - now)
        return True


class Turns(Protocol):
    """Whoever gives callers their turns."""

    def wait(self, until: float = math.inf) -> bool: ...


@dataclass(frozen=True, slots=True)
class FastLane:
    """The way past the queue of a pacer, up to `ahead` seconds of it."""

    pacer: Pacer
    ahead: float

    def wait(self, until: float = math.inf) -> bool:
        return self.pacer.wait(until, self.ahead)


@dataclass(frozen=True, slots=True)
class Pause:
    """How long a source is left alone: `first` after the `patience`-th failure in a row, doubling up to `longest`."""

    first: timedelta
    longest: timedelta
    patience: int = 1


class Restraint:
    """Remembers what a source refused, and until when it is not asked again. Thread-safe.

    Pauses are longer by up to a quarter at random, drawn from `chance`: machines that were refused together do not come
    back together. After a pause one caller alone tries; the others wait for what he finds.
    """

    JITTER = 0.25

    def __init__(self, now: Callable[[], datetime], chance: Generator) -> None:
        self._now = now
        self._chance = chance
        self._lock = threading.Lock()
        self._probing = threading.Lock()
        self._failures = 0
        self._refusals = 0
        self._resume_at: datetime | None = None
        self._why: type[Transient] = Transient
        self._words = ""

    @property
    def refusals(self) -> int:
        """Refusals in a row that led to a pause."""
        return self._refusals

    def check(self) -> None:
        """Raises what the pause was for, with its end, while it lasts."""
        with self._lock:
            resume_at, why, words = self._resume_at, self._why, self._words
        if resume_at is not None and self._now() < resume_at:
            raise why(f"{words}; {next_try(resume_at)}", resume_at)

    @contextmanager
    def admitted(self, seconds: float) -> Iterator[None]:
        """Around a call. Raises as `check`; where somebody tries out whether a pause has helped, waits for him, at
        most `seconds`."""
        self.check()
        if not self._refusals:
            yield
            return
        if not self._probing.acquire(timeout=max(0.0, seconds)):
            raise self._why(f"{self._words}; it is being asked whether that is over")
        try:
            self.check()
            if self._refusals:
                yield
                return
        finally:
            self._probing.release()
        yield

    def refused(self, why: type[Transient], words: str, pause: Pause, at_least: timedelta = timedelta(0)) -> Transient:
        """Notes a refusal; the error to raise. It names the next try when there is a pause, which is never shorter
        than `at_least`, what the source itself asked for."""
        with self._lock:
            if self._resume_at is not None and self._now() < self._resume_at:
                return why(f"{words}; {next_try(self._resume_at)}", self._resume_at)
            self._failures += 1
            if self._failures < pause.patience:
                return why(words)
            length = min(pause.first * 2.0 ** min(self._refusals, 20), pause.longest)
            self._resume_at = self._now() + max(length * (1 + self.JITTER * self._chance.random()), at_least)
            self._refusals += 1
            self._why, self._words = why, words
            return why(f"{words}; {next_try(self._resume_at)}", self._resume_at)

    def succeeded(self) -> None:
        """The source answered: what was refused before is forgotten."""
        with self._lock:
            self._failures = self._refusals = 0
            self._resume_at = None


def http_date(header: str | None) -> datetime | None:
    """The time that a Date header tells, by the clock of whoever answered; None where it tells none."""
    try:
        told = parsedate_to_datetime(header or "")
    except (TypeError, ValueError):
        return None
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)
