"""Pairing (A2): whoever can read the console proves it by sending the code shown there, and becomes the owner."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class CodeOffer:
    """A code as it may be kept: its salted SHA-256, never itself."""

    salt: str
    digest: str
    expires_at: datetime

    @classmethod
    def of(cls, code: str, expires_at: datetime) -> CodeOffer:
        salt = secrets.token_hex(16)
        return cls(salt, _digest(salt, code), expires_at)

    def fits(self, code: str) -> bool:
        return hmac.compare_digest(self.digest, _digest(self.salt, code))

    def text(self) -> str:
        return json.dumps({"salt": self.salt, "digest": self.digest, "expires_at": self.expires_at.isoformat()})

    @classmethod
    def parse(cls, text: str) -> CodeOffer:
        fields = json.loads(text)
        return cls(fields["salt"], fields["digest"], datetime.fromisoformat(fields["expires_at"]))


class Pairing:
    """One code at a time, good for ten minutes; five tries in all, then locked until the program is started again or
    the server's console offers a code of its own.

    `announce` shows a code to whoever sits at the server, and to nobody else.
    """

    def __init__(
        self, clock: Clock, announce: Callable[[str, datetime], None], make_code: Callable[[], str] = new_code
    ) -> None:
        self._clock = clock
        self._announce = announce
        self._make_code = make_code
        self._offer: CodeOffer | None = None
        self._adopted: CodeOffer | None = None
        self._tries = 0

    @property
    def is_locked(self) -> bool:
        return self._tries >= TRIES

    def offer(self) -> bool:
        """Shows a fresh code unless one is still good or pairing is locked; whether it showed one."""
        if self.is_locked or self._is_good():
            return False
        code = self._make_code()
        self._offer = CodeOffer.of(code, self._clock.now() + LIFETIME)
        self._announce(code, self._offer.expires_at)
        return True

    def adopt(self, offer: CodeOffer) -> None:
        """A code that another process has shown on the console takes the place of ours, with tries of its own."""
        if offer != self._adopted:
            self._adopted = self._offer = offer
            self._tries = 0

    def attempt(self, code: str) -> Outcome:
        """Uses up one try; a code that was right is spent."""
        if self.is_locked:
            return Outcome.LOCKED
        self._tries += 1
        if self._offer is None or not self._is_good():
            return Outcome.EXPIRED
        if not self._offer.fits(code):
            return Outcome.WRONG
        self._offer = None
        return Outcome.PAIRED

    def _is_good(self) -> bool:
        return self._offer is not None and self._clock.now() < self._offer.expires_at


def _digest(salt: str, code: str) -> str:
    return hashlib.sha256(f"{salt}{code.strip().upper()}".encode("utf-8", "replace")).hexdigest()
