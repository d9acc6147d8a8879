"""Drafts of what the owner typed: their buttons, what a button's token says, and what a tap does.

A token names the draft and its version, so that a button of an older question changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.message import Button, Keyboard, Tone
from core.domain.drafts import Doubt, DoubtKind, Draft, DraftAnswer
from core.domain.values import plain
from core.domain.views import Correction, OwnTrade, ReportedFill
from core.ports import Owner

_PREFIX = "e"
_TOKEN_LENGTH = 32
_HIGHEST = 10**9


class DraftAction(StrEnum):
    """The letter is what the token carries."""

    CONFIRM = "c"
    DROP = "x"


@dataclass(frozen=True, slots=True)
class DraftToken:
    """What a button carries: at most 46 bytes as text."""

    action: DraftAction
    token: str
    version: int

    def text(self) -> str:
        return f"{_PREFIX}:{self.action}:{self.token}:{self.version}"

    @classmethod
    def parse(cls, text: str) -> DraftToken | None:
        """The token in a callback's data; None where it is none of ours."""
        parts = text.split(":")
        if len(parts) != 4 or parts[0] != _PREFIX or parts[1] not in {action.value for action in DraftAction}:
            return None
        token, version = parts[2:]
        if not (token.isascii() and token.isalnum() and len(token) <= _TOKEN_LENGTH):
            return None
        if not (version.isascii() and version.isdigit() and len(version) <= 10 and int(version) <= _HIGHEST):
            return None
        return cls(DraftAction(parts[1]), token, int(version))


def draft_keyboard(draft: Draft, doubts: tuple[Doubt, ...]) -> Keyboard:
    """Confirm and Cancel; the second time the button says what it insists on, and stands in a row of its own."""
    confirm, drop = (DraftToken(action, draft.token, draft.version).text() for action in DraftAction)
    if not draft.asked:
        return ((Button("✅ Confirm", confirm, Tone.GO), Button("✖️ Cancel", drop)),)
    return ((Button(_insisting(draft, doubts), confirm, Tone.WARN),), (Button("✖️ Cancel", drop),))


def _insisting(draft: Draft, doubts: tuple[Doubt, ...]) -> str:
    kinds = {doubt.kind for doubt in doubts}
    deed = draft.deed
    if DoubtKind.REPEATED in kinds:
        return "⚠️ Yes, book it a second time"
    if kinds == {DoubtKind.PRICE} and isinstance(deed, ReportedFill | OwnTrade | Correction) and deed.price is not None:
        return f"⚠️ Yes, the price was {plain(deed.price)}"[:60]
    return "⚠️ Yes, book it all the same"


def staleness(token: DraftToken, draft: Draft | None) -> str | None:
    """Why a button no longer counts, in a sentence for the toast; None for a live one."""
    if draft is None:
        return "That is settled already, or its time is over. Nothing was changed."
    if draft.version != token.version:
        return "That was asked again since. Nothing was changed: use the newest buttons."
    return None


def toast(token: DraftToken) -> str:
    """What a tap is answered with at once, before it is executed."""
    return "Got it." if token.action is DraftAction.CONFIRM else "Dropping it."


def perform(owner: Owner, token: DraftToken, by: str) -> DraftAnswer:
    """Does what the tap asks; runs in the writer."""
    if token.action is DraftAction.CONFIRM:
        return owner.confirm(token.token, token.version, by)
    return DraftAnswer(owner.drop(token.token, by))
