"""The second factor of what raises risk on real money (A6): a one-time code of an authenticator app.

Each code counts once and only few may be wrong: both are kept in the ledger, so that a restart forgives nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from core import totp
from core.ports import Clock, UnitOfWork, UnitOfWorkFactory

KEY = "second_factor"
MOST_WRONG = 5
WRONG_COUNTS_FOR = timedelta(minutes=15)
_CODE = re.compile(r"[0-9]{6}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the code counts; `words` say why not. `locked_until` by the system clock, where none counts before."""

    passed: bool
    words: str = ""
    locked_until: datetime | None = None


class SecondFactor:
    """`secret` in base 32. `check` runs in the writer."""

    def __init__(self, secret: str, ledger: UnitOfWorkFactory, clock: Clock) -> None:
        self._key = totp.key_of(secret)
        self._ledger = ledger
        self._clock = clock

    def check(self, text: str) -> Verdict:
        """Uses the code up, or counts it as wrong."""
        now = self._clock.now()
        with self._ledger() as work:
            used, wrong = _read(work, now)
            if len(wrong) >= MOST_WRONG:
                return Verdict(False, "Too many wrong codes", wrong[0] + WRONG_COUNTS_FOR)
            code = re.sub(r"\s", "", text)
            step = totp.matching_step(self._key, code, now, after=used) if _CODE.fullmatch(code) else None
            if step is None:
                wrong = [*wrong, now]
            _write(work, used if step is None else step, [] if step is not None else wrong)
            work.commit("second factor")
        if step is not None:
            return Verdict(True)
        left = MOST_WRONG - len(wrong)
        tries = "no more tries for now" if left == 0 else f"{left} {'try' if left == 1 else 'tries'} left"
        return Verdict(False, f"That is not the code, or it was used already ({tries})")


def _read(work: UnitOfWork, now: datetime) -> tuple[int, list[datetime]]:
    """The period of the newest code that was used, and when wrong ones came that still count."""
    stored = json.loads(work.value(KEY) or "{}")
    wrong = [datetime.fromisoformat(at) for at in stored.get("wrong", [])]
    return int(stored.get("used", -1)), [at for at in wrong if now - at < WRONG_COUNTS_FOR]


def _write(work: UnitOfWork, used: int, wrong: list[datetime]) -> None:
    work.set_value(KEY, json.dumps({"used": used, "wrong": [at.isoformat() for at in wrong]}))
