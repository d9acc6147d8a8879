"""Pairing (A2): whoever can read the console proves it by sending the code shown there, and becomes the owner."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from core.ports import Clock

LIFETIME = timedelta(minutes=10)
TRIES = 5
LENGTH = 8
# No letters or digits that look alike on a console.
_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"


class Outcome(StrEnum):
    PAIRED = "paired"
    WRONG = "wrong code"
    EXPIRED = "expired code"
    LOCKED = "locked"


def new_code() -> str:
    """Eight characters of the operating system's randomness (39 bits, five guesses)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(LENGTH))


class Pairing:
    """One code at a time, good for ten minutes; five tries in all, then locked until the program is started again.

    `announce` shows a code to whoever sits at the server, and to nobody else.
    """

    def __init__(
        self, clock: Clock, announce: Callable[[str, datetime], None], make_code: Callable[[], str] = new_code
    ) -> None:
        self._clock = clock
        self._announce = announce
        self._make_code = make_code
        self._code = ""
        self._expires_at: datetime | None = None
        self._tries = 0

    @property
    def is_locked(self) -> bool:
        return self._tries >= TRIES

    def offer(self) -> bool:
        """Shows a fresh code unless one is still good or pairing is locked; whether it showed one."""
        if self.is_locked or self._is_good():
            return False
        self._code = self._make_code()
        self._expires_at = self._clock.now() + LIFETIME
        self._announce(self._code, self._expires_at)
        return True

    def attempt(self, code: str) -> Outcome:
        """Uses up one try; a code that was right is spent."""
        if self.is_locked:
            return Outcome.LOCKED
        self._tries += 1
        right = hmac.compare_digest(code.strip().upper().encode(), self._code.encode())
        if not self._is_good():
            return Outcome.EXPIRED
        if not right:
            return Outcome.WRONG
        self._code, self._expires_at = "", None
        return Outcome.PAIRED

    def _is_good(self) -> bool:
        return bool(self._code) and self._expires_at is not None and self._clock.now() < self._expires_at
