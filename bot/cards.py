"""Cards: the buttons under an instruction, what their tokens say, and what a tap does.

A token names the instruction, its version and the action, so that a button of an older card can be told from a live
one (T2); everything else is looked up in the ledger when it is tapped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.message import Button, Keyboard
from core.domain.events import ExitReminder, InstructionIssued
from core.domain.records import Instruction
from core.domain.views import AnswerKind, OwnerAnswer
from core.ports import Owner

_PREFIX = "i"
_HIGHEST = 2**63 - 1


class CardAction(StrEnum):
    """The letter is what the token carries."""

    EXECUTED = "x"
    SKIP = "s"
    APPROVE = "a"
    DECLINE = "d"

    @property
    def needs_approval_card(self) -> bool:
        return self in (CardAction.APPROVE, CardAction.DECLINE)

    @property
    def word(self) -> str:
        return _WORDS[self]


_WORDS = {
    CardAction.EXECUTED: "executed",
    CardAction.SKIP: "skipped",
    CardAction.APPROVE: "approved",
    CardAction.DECLINE: "declined",
}


@dataclass(frozen=True, slots=True)
class CardToken:
    """What a button carries: at most 43 bytes as text."""

    action: CardAction
    number: int
    version: int

    def text(self) -> str:
        return f"{_PREFIX}:{self.action}:{self.number}:{self.version}"

    @property
    def tap_key(self) -> str:
        """The business key of the tap: one tap may arrive as several updates with different ids."""
        return f"card:{self.action.word}:{self.number}:{self.version}"

    @classmethod
    def parse(cls, text: str) -> CardToken | None:
        """The token in a callback's data; None where it is none of ours."""
        parts = text.split(":")
        if len(parts) != 4 or parts[0] != _PREFIX or parts[1] not in {action.value for action in CardAction}:
            return None
        if not all(part.isascii() and part.isdigit() and len(part) <= 19 for part in parts[2:]):
            return None
        number, version = int(parts[2]), int(parts[3])
        return cls(CardAction(parts[1]), number, version) if max(number, version) <= _HIGHEST else None


def card_keyboard(card: InstructionIssued | Instruction | ExitReminder) -> Keyboard:
    """The two buttons of a card: Executed / Skip, or Approve / Skip where the engine waits for approval."""
    yes, no = (
        (CardAction.APPROVE, CardAction.DECLINE) if card.needs_approval else (CardAction.EXECUTED, CardAction.SKIP)
    )
    return (
        (
            Button("👍 Approve" if card.needs_approval else "✅ Executed", _token(yes, card)),
            Button("⏭ Skip", _token(no, card)),
        ),
    )


def _token(action: CardAction, card: InstructionIssued | Instruction | ExitReminder) -> str:
    return CardToken(action, card.number, card.version).text()


def staleness(token: CardToken, pending: Sequence[Instruction]) -> str | None:
    """Why a button no longer counts, in a sentence for the toast; None for a live one."""
    card = next((entry for entry in pending if entry.number == token.number), None)
    if card is None or not card.is_open:
        return f"#{token.number} is closed already. Nothing was changed."
    if card.version != token.version:
        return f"#{token.number} has changed since this card. Nothing was changed: use the newest card (/pending)."
    if card.needs_approval is not token.action.needs_approval_card:
        return f"This button does not belong to #{token.number} any more. Nothing was changed."
    return None


def toast(token: CardToken) -> str:
    """What a tap is answered with at once, before it is executed."""
    if token.action is CardAction.APPROVE:
        return f"Got it: sending #{token.number} to the broker."
    if token.action is CardAction.EXECUTED:
        return f"Got it: booking #{token.number} at the shown price."
    return f"Got it: skipping #{token.number}."


def perform(owner: Owner, token: CardToken) -> OwnerAnswer:
    """Does what the tap asks; runs in the writer. The card itself is edited by the event that follows."""
    deed: Callable[[int, int, str], OwnerAnswer] = owner.skip
    if token.action in (CardAction.EXECUTED, CardAction.APPROVE):
        deed = owner.execute
    return deed(token.number, token.version, token.tap_key)


def needs_words(answer: OwnerAnswer) -> bool:
    """Whether the owner must be told more than the toast: a done deed shows on the card, a repetition shows nothing."""
    return answer.kind not in (AnswerKind.DONE, AnswerKind.UNCHANGED)
