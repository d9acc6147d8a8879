"""Questions with two answers: their buttons, what a button's token says, and what a tap does.

A token names the question, its version and the choice, so that a button of an older card changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.message import Button, Keyboard
from core.domain.events import QuestionAsked
from core.domain.records import CHOICES, Question, QuestionChoice
from core.domain.views import OwnerAnswer
from core.ports import Owner

_PREFIX = "q"
_HIGHEST = 2**63 - 1
_LABELS = {
    QuestionChoice.PLACED: "✅ Placed",
    QuestionChoice.CANNOT: "✋ Cannot",
    QuestionChoice.ADOPT: "📥 Adopt",
    QuestionChoice.IGNORE: "🙈 Ignore",
    QuestionChoice.TAKE_OVER: "🔑 Take over",
    QuestionChoice.LEAVE: "↩️ Leave",
    QuestionChoice.MATCH: "✅ Match",
    QuestionChoice.DIFFERS: "✏️ Differs",
    QuestionChoice.FRESH_START: "🌱 Fresh start",
    QuestionChoice.CANCEL: "✖️ Cancel it",
}
_TOASTS = {
    QuestionChoice.PLACED: "Noting that your stop rests.",
    QuestionChoice.CANNOT: "Noting that no stop rests.",
    QuestionChoice.ADOPT: "Booking the difference.",
    QuestionChoice.IGNORE: "Leaving it as it is.",
    QuestionChoice.TAKE_OVER: "Taking over.",
    QuestionChoice.LEAVE: "Leaving it there.",
    QuestionChoice.MATCH: "Noting that both agree.",
    QuestionChoice.DIFFERS: "Showing how to put it right.",
    QuestionChoice.FRESH_START: "Closing the old books.",
    QuestionChoice.CANCEL: "Taking your sale back.",
}


@dataclass(frozen=True, slots=True)
class QuestionToken:
    """What a button carries: at most 52 bytes as text."""

    choice: QuestionChoice
    number: int
    version: int

    def text(self) -> str:
        return f"{_PREFIX}:{self.choice}:{self.number}:{self.version}"

    @property
    def tap_key(self) -> str:
        """The business key of the tap: the first answer to a version of a question stands, whichever it is."""
        return f"question:{self.number}:{self.version}"

    @classmethod
    def parse(cls, text: str) -> QuestionToken | None:
        """The token in a callback's data; None where it is none of ours."""
        parts = text.split(":")
        if len(parts) != 4 or parts[0] != _PREFIX or parts[1] not in {choice.value for choice in QuestionChoice}:
            return None
        if not all(part.isascii() and part.isdigit() and len(part) <= 19 for part in parts[2:]):
            return None
        number, version = int(parts[2]), int(parts[3])
        return cls(QuestionChoice(parts[1]), number, version) if max(number, version) <= _HIGHEST else None


def question_keyboard(question: QuestionAsked | Question) -> Keyboard:
    """The two buttons under a question; none for choices that this version of the program does not know."""
    words = CHOICES[question.kind] if isinstance(question, Question) else question.choices
    known = [QuestionChoice(word) for word in words if word in _LABELS]
    return (
        tuple(
            Button(_LABELS[choice], QuestionToken(choice, question.number, question.version).text()) for choice in known
        ),
    )


def staleness(token: QuestionToken, open_ones: Sequence[Question]) -> str | None:
    """Why a button no longer counts, in a sentence for the toast; None for a live one."""
    question = next((each for each in open_ones if each.number == token.number), None)
    if question is None:
        return f"Q{token.number} is settled already. Nothing was changed."
    if question.version != token.version or token.choice not in CHOICES[question.kind]:
        return f"Q{token.number} has changed since this card. Nothing was changed: /pending shows the newest."
    return None


def toast(token: QuestionToken) -> str:
    """What a tap is answered with at once, before it is executed."""
    return f"Got it: {_TOASTS[token.choice][0].lower()}{_TOASTS[token.choice][1:]}"


def perform(owner: Owner, token: QuestionToken) -> OwnerAnswer:
    """Does what the tap asks; runs in the writer. The card itself is edited by the event that follows."""
    return owner.answer(token.number, token.version, token.choice, token.tap_key)
