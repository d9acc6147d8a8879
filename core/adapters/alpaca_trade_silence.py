"""Whether a stream of trades that is connected has fallen silent, judged by what was found without it."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trust:
    """In seconds: how late word of a fill may come after it was found; how early before, since answers may lag behind
    the stream; how long a missing connection is no trouble, since short ones are a daily habit; after which time a
    stream that was opened anew is believed though nothing was traded."""

    late: float = 15.0
    early: float = 120.0
    bearable: float = 120.0
    forgiven_after: float = 900.0


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Fills were found at `found_at` of which the look at `since` had not known."""

    since: float
    found_at: float


class Silence:
    """All times by the monotonic clock, in seconds. Thread-safe."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._lock = threading.Lock()
        self._listening_since: float | None = None
        self._heard_at: float | None = None
        self._looked_at: float | None = None
        self._doubt: _Doubt | None = None

    def connected(self, at: float | None) -> None:
        """From `at` on everything is told; None: nothing is any more."""
        with self._lock:
            self._listening_since = at

    def heard(self, at: float) -> None:
        with self._lock:
            self._heard_at = at

    def looked(self, at: float, found: int) -> None:
        """A look found `found` fills that the one before it had not."""
        with self._lock:
            before, self._looked_at = self._looked_at, at
            if found and before is not None and self._doubt is None:
                self._doubt = _Doubt(before, at)

    def is_proven(self, now: float) -> bool:
        """Whether word of what was found is overdue; True once. What may have happened before anybody listened proves
        nothing."""
        with self._lock:
            doubt = self._doubt
            if doubt is None:
                return False
            begin = doubt.since - self._trust.early
            listened = self._listening_since is not None and self._listening_since <= begin
            heard = self._heard_at is not None and self._heard_at >= begin
            is_missed = listened and not heard
            if is_missed and now - doubt.found_at < self._trust.late:
                return False
            self._doubt = None
            return is_missed
