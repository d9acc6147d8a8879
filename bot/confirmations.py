"""What waits for a word of the owner before it is done: a deed to be confirmed by a tap, or a question that he answers
in his own words.

Kept as one value of the ledger, so that a restart changes nothing he sees. Each asking has a token of its own, an end
by the system clock, and one outcome: the first answer wins. A newer asking of the same kind about the same subject
takes the place of the older one, and only one question at a time waits for words, so that a plain text has one meaning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from bot.message import Button, Keyboard, Tone
from core.ports import UnitOfWork

KEY = "confirmations"
LIVES = timedelta(minutes=5)
_PREFIX = "c"
_KEPT = 40
_TOKEN_LETTERS = 16


class Wants(StrEnum):
    """TAP: two buttons under a card. TEXT: the next plain text of the owner."""

    TAP = "tap"
    TEXT = "text"


class Outcome(StrEnum):
    """REPLACED: a newer asking about the same took its place. EXPIRED: its time is over, and the owner was told."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    DROPPED = "dropped"
    REPLACED = "replaced"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """`kind` names the deed, `subject` what it is about, for people; `payload` is all that the deed needs, as text."""

    token: str
    kind: str
    subject: str
    expires_at: datetime
    payload: Mapping[str, str] = field(default_factory=dict)
    wants: Wants = Wants.TAP
    outcome: Outcome = Outcome.OPEN

    def is_open(self, now: datetime) -> bool:
        """Whether it still counts at system time `now`."""
        return self.outcome is Outcome.OPEN and now < self.expires_at

    @property
    def tap_key(self) -> str:
        """The business key of the deed: however often it is asked for, it is done once."""
        return f"confirmed:{self.token}"


@dataclass(frozen=True, slots=True)
class ConfirmToken:
    """What a button carries: at most 20 bytes as text."""

    token: str
    is_yes: bool

    def text(self) -> str:
        return f"{_PREFIX}:{'y' if self.is_yes else 'n'}:{self.token}"

    @classmethod
    def parse(cls, text: str) -> ConfirmToken | None:
        """The token in a callback's data; None where it is none of ours."""
        prefix, _, rest = text.partition(":")
        answer, _, token = rest.partition(":")
        is_hex = len(token) == _TOKEN_LETTERS and set(token) <= set("0123456789abcdef")
        return cls(token, answer == "y") if prefix == _PREFIX and answer in ("y", "n") and is_hex else None


def ask(
    work: UnitOfWork,
    kind: str,
    subject: str,
    payload: Mapping[str, str],
    tap: str,
    now: datetime,
    *,
    wants: Wants = Wants.TAP,
    lives: timedelta = LIVES,
) -> Confirmation:
    """A new asking, in the caller's transaction; `tap` is the business key of the command that led to it."""
    name = sha256(f"{kind}|{subject}|{tap}|{now.isoformat()}".encode()).hexdigest()[:_TOKEN_LETTERS]
    made = Confirmation(name, kind, subject, now + lives, dict(payload), wants)
    former = [_replaced(each) if _gives_way(each, made) else each for each in _read(work) if each.token != name]
    _write(work, [*former, made])
    return made


def find(work: UnitOfWork, token: str) -> Confirmation | None:
    return next((each for each in _read(work) if each.token == token), None)


def newest_open(work: UnitOfWork, now: datetime, wants: Wants | None = None) -> Confirmation | None:
    fitting = [each for each in _read(work) if each.is_open(now) and wants in (None, each.wants)]
    return fitting[-1] if fitting else None


def lapsed(work: UnitOfWork, now: datetime) -> list[Confirmation]:
    """What nobody answered in its time, until it is settled as EXPIRED."""
    return [each for each in _read(work) if each.outcome is Outcome.OPEN and now >= each.expires_at]


def settle(work: UnitOfWork, token: str, outcome: Outcome) -> None:
    """In the caller's transaction; an asking that is over keeps its outcome."""
    _write(
        work,
        [
            replace(each, outcome=outcome) if each.token == token and each.outcome is Outcome.OPEN else each
            for each in _read(work)
        ],
    )


def staleness(asked: Confirmation | None, now: datetime) -> str | None:
    """Why a button no longer counts, in a sentence for the toast; None for a live one."""
    if asked is None:
        return "This button is too old. Nothing was changed."
    if asked.is_open(now):
        return None
    return {
        Outcome.CONFIRMED: f"{asked.subject}: you have confirmed that already.",
        Outcome.DROPPED: f"{asked.subject}: you have dropped that. Nothing was changed.",
        Outcome.REPLACED: f"{asked.subject}: a newer card has taken the place of this one. Nothing was changed.",
    }.get(asked.outcome, f"{asked.subject}: this card has expired. Nothing was changed. Ask again.")


def confirm_keyboard(asked: Confirmation, yes: str, no: str = "✖️ Cancel") -> Keyboard:
    """The two buttons under a card; `yes` says what will be done."""
    return (
        (
            Button(yes, ConfirmToken(asked.token, True).text(), Tone.GO),
            Button(no, ConfirmToken(asked.token, False).text()),
        ),
    )


def _gives_way(former: Confirmation, made: Confirmation) -> bool:
    is_same = (former.kind, former.subject) == (made.kind, made.subject)
    return is_same or (former.wants is Wants.TEXT and made.wants is Wants.TEXT)


def _replaced(former: Confirmation) -> Confirmation:
    return replace(former, outcome=Outcome.REPLACED) if former.outcome is Outcome.OPEN else former


def _read(work: UnitOfWork) -> list[Confirmation]:
    """The oldest first."""
    return [
        Confirmation(
            each["token"],
            each["kind"],
            each["subject"],
            datetime.fromisoformat(each["expires_at"]),
            each["payload"],
            Wants(each["wants"]),
            Outcome(each["outcome"]),
        )
        for each in json.loads(work.value(KEY) or "[]")
    ]


def _write(work: UnitOfWork, all_of_them: Iterable[Confirmation]) -> None:
    kept = list(all_of_them)[-_KEPT:]
    work.set_value(KEY, json.dumps([{**asdict(each), "expires_at": each.expires_at.isoformat()} for each in kept]))
