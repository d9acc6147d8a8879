"""Cards: the buttons under an instruction, what their tokens say, and what a tap does.

A token names the instruction, its version and the action, so that a button of an older card can be told from a live
one (T2); everything else is looked up in the ledger when it is tapped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot import numbers
from bot.message import Button, Keyboard, Tone, in_rows
from core.domain.accounts import is_in_app
from core.domain.events import ExitReminder, InstructionIssued
from core.domain.orders import Purpose
from core.domain.records import Instruction, InstructionState
from core.domain.views import AnswerKind, CardOffer, CardWish, OwnerAnswer, Pricing
from core.ports import Owner

_PREFIX = "i"
_HIGHEST = 2**63 - 1
Card = InstructionIssued | Instruction | ExitReminder


class CardAction(StrEnum):
    """The letter is what the token carries."""

    EXECUTED = "x"
    SKIP = "s"
    APPROVE = "a"
    DECLINE = "d"
    WHY = "w"
    CHANGE = "c"
    BACK = "b"
    WHOLE = "4"
    THREE_QUARTERS = "3"
    HALF = "2"
    QUARTER = "1"
    AT_MARKET = "m"
    AT_SHOWN = "l"
    AT_EDGE = "e"
    PRICE = "p"
    DONE = "o"
    CANNOT = "n"

    @property
    def needs_approval_card(self) -> bool:
        return self not in (
            CardAction.EXECUTED,
            CardAction.SKIP,
            CardAction.PRICE,
            CardAction.DONE,
            CardAction.CANNOT,
        )

    @property
    def word(self) -> str:
        return _WORDS[self]


_WORDS = {
    CardAction.EXECUTED: "executed",
    CardAction.SKIP: "skipped",
    CardAction.APPROVE: "approved",
    CardAction.DECLINE: "declined",
    CardAction.WHY: "why",
    CardAction.CHANGE: "change",
    CardAction.BACK: "back",
    CardAction.WHOLE: "whole",
    CardAction.THREE_QUARTERS: "three quarters",
    CardAction.HALF: "half",
    CardAction.QUARTER: "a quarter",
    CardAction.AT_MARKET: "at the market",
    CardAction.AT_SHOWN: "at the shown price",
    CardAction.AT_EDGE: "at the band's edge",
    CardAction.PRICE: "asked for the price",
    CardAction.DONE: "done",
    CardAction.CANNOT: "cannot",
}
WISHES: Mapping[CardAction, CardWish] = {
    CardAction.WHOLE: CardWish(quarters=4),
    CardAction.THREE_QUARTERS: CardWish(quarters=3),
    CardAction.HALF: CardWish(quarters=2),
    CardAction.QUARTER: CardWish(quarters=1),
    CardAction.AT_MARKET: CardWish(pricing=Pricing.MARKET),
    CardAction.AT_SHOWN: CardWish(pricing=Pricing.SHOWN),
    CardAction.AT_EDGE: CardWish(pricing=Pricing.EDGE),
}
_SIZES = {
    4: (CardAction.WHOLE, "All"),
    3: (CardAction.THREE_QUARTERS, "¾"),
    2: (CardAction.HALF, "½"),
    1: (CardAction.QUARTER, "¼"),
}
_PRICINGS = {
    Pricing.MARKET: CardAction.AT_MARKET,
    Pricing.SHOWN: CardAction.AT_SHOWN,
    Pricing.EDGE: CardAction.AT_EDGE,
}
_MARK = "✓ "


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


def card_keyboard(card: Card) -> Keyboard:
    """The buttons of a card: Approve and Skip where the engine waits for approval; otherwise Executed and Skip, or what
    becomes of the rest where a part is booked, and another price; Done and Cannot for a sale in the broker's own app.
    Change for what the owner may change; Why."""
    if is_in_app(card.account, needs_approval=card.needs_approval):
        answers = (_button("✅ Done", CardAction.DONE, card, Tone.GO), _button("✋ Cannot", CardAction.CANNOT, card))
        return (answers, _thoughts(card))
    if not card.needs_approval:
        partial = isinstance(card, Instruction) and card.state is InstructionState.PARTIAL
        partial = partial or (isinstance(card, InstructionIssued) and bool(card.filled))
        return manual_keyboard(card.number, card.version, partial=partial)
    answers = (_button("👍 Approve", CardAction.APPROVE, card, Tone.GO), _button("⏭ Skip", CardAction.DECLINE, card))
    return (answers, _thoughts(card))


def manual_keyboard(number: int, version: int, *, partial: bool) -> Keyboard:
    """The buttons of an order for the owner's hand."""
    labels = ("✅ Fill rest", "✂️ Cancel rest") if partial else ("✅ Executed", "⏭ Skip")

    def button(label: str, action: CardAction, tone: Tone = Tone.PLAIN) -> Button:
        return Button(label, CardToken(action, number, version).text(), tone)

    return (
        (button(labels[0], CardAction.EXECUTED, Tone.GO), button(labels[1], CardAction.SKIP)),
        (button("💬 Different price", CardAction.PRICE), button("🔎 Why", CardAction.WHY)),
    )


def _thoughts(card: Card) -> tuple[Button, ...]:
    """What may be asked before the answer."""
    why = _button("🔎 Why", CardAction.WHY, card)
    changes = card.needs_approval and not isinstance(card, ExitReminder) and card.purpose is Purpose.ENTRY
    return (_button("✏️ Change", CardAction.CHANGE, card), why) if changes else (why,)


def change_keyboard(offer: CardOffer) -> Keyboard:
    """The sizes and limits that are on offer; what holds now is marked."""
    card = offer.instruction
    sizes = tuple(
        _button(
            f"{_MARK if units == offer.quantity else ''}{_SIZES[quarters][1]} · {numbers.quantity(units)}",
            _SIZES[quarters][0],
            card,
        )
        for quarters, units in offer.sizes.items()
    )
    limits = tuple(
        _button(
            f"{_MARK if pricing is offer.pricing else ''}"
            + ("Market" if price is None else f"≤\u00a0{numbers.price(price)}"),
            _PRICINGS[pricing],
            card,
        )
        for pricing, price in offer.limits.items()
    )
    # Two in a row: a coin's quantity has eight digits.
    return (*in_rows(sizes), *in_rows((*limits, _button("↩️ Back", CardAction.BACK, card))))


def _button(label: str, action: CardAction, card: Card, tone: Tone = Tone.PLAIN) -> Button:
    return Button(label, CardToken(action, card.number, card.version).text(), tone)


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
    if token.action in WISHES:
        return f"Got it: #{token.number} {token.action.word}. Nothing is sent before you approve."
    if token.action is CardAction.DONE:
        return f"Noted: #{token.number} is done. It is booked when the broker tells of it."
    if token.action is CardAction.CANNOT:
        return f"Noted: #{token.number} cannot be done."
    if token.action is CardAction.PRICE:
        return f"Type the price of #{token.number}."
    return f"Got it: skipping #{token.number}."


def perform(owner: Owner, token: CardToken) -> OwnerAnswer:
    """Does what the tap asks; runs in the writer. The card itself is edited by the event that follows."""
    wish = WISHES.get(token.action)
    if wish is not None:
        return owner.change(token.number, token.version, wish, token.tap_key)
    deed: Callable[[int, int, str], OwnerAnswer] = owner.skip
    if token.action in (CardAction.EXECUTED, CardAction.APPROVE, CardAction.DONE):
        deed = owner.execute
    return deed(token.number, token.version, token.tap_key)


def needs_words(answer: OwnerAnswer) -> bool:
    """Whether the owner must be told more than the toast: a done deed shows on the card, a repetition shows nothing."""
    return answer.kind not in (AnswerKind.DONE, AnswerKind.UNCHANGED)
