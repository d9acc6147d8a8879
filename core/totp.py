"""One-time codes by time (RFC 6238 on RFC 4226), as an authenticator app shows them: 30 seconds each. Pure."""

from __future__ import annotations

import base64
import hmac
from datetime import datetime
from hashlib import sha1

PERIOD = 30
DIGITS = 6


def key_of(secret: str) -> bytes:
    """`secret` in base 32 without padding, as the app is given it. Raises ValueError."""
    return base64.b32decode(secret + "=" * (-len(secret) % 8))


def step_of(at: datetime) -> int:
    """The number of the period that `at` belongs to, counted from 1970."""
    return int(at.timestamp()) // PERIOD


def code_of(key: bytes, step: int, digits: int = DIGITS) -> str:
    """The code of a period (RFC 4226, 5.3: dynamic truncation of an HMAC-SHA-1)."""
    digest = hmac.new(key, step.to_bytes(8, "big"), sha1).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def matching_step(key: bytes, code: str, now: datetime, *, after: int) -> int | None:
    """The period of which `code` is the code: the present one or one beside it, for clocks that differ a little, and
    later than `after`, so that each code counts once. None where it is none of them."""
    current = step_of(now)
    fitting = [step for step in (current, current - 1, current + 1) if step > after]
    return next((step for step in fitting if hmac.compare_digest(code_of(key, step), code)), None)
