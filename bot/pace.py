"""How soon the next message may follow: Telegram's FAQ allows about one a second to a chat."""

from __future__ import annotations

from core.ports import Clock

TELEGRAM_PACE = 1.0
"""Seconds between messages to one chat."""


class Pace:
    """Counts everything that was sent to the chat, whoever sent it."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._due: float | None = None

    def note(self) -> None:
        """A message has just gone out."""
        self._due = self._clock.now().timestamp() + self._seconds

    def wait(self) -> float:
        """Seconds until the next message may go; never more than one pace, even where the clock was set back."""
        if self._due is None:
            return 0.0
        return min(max(self._due - self._clock.now().timestamp(), 0.0), self._seconds)
