"""Cards of instructions and proposals: as they ask, as they are settled, and the question for a price. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from zoneinfo import ZoneInfo

from bot import numbers, render_reasons
from bot.cards import card_keyboard, manual_keyboard
from bot.commands.amounts import typed
from bot.markup import code, italic, line, paragraphs, table
from bot.message import Message, asking
from bot.render_marks import account_name, headline
from bot.render_trades import distance
from core.domain.accounts import Badge, is_in_app
from core.domain.events import InstructionIssued, InstructionSettled
from core.domain.orders import Purpose, Side
from core.domain.records import Instruction, InstructionState
from core.domain.values import ZERO

PRICE_ASKED = "at which price?"
"""What marks the question, so that a reply to it is known for what it is."""
_OUTCOMES = {
    "executed": "✅",
    "filled": "✅",
    "partial": "🌗",
    "partly filled": "🌗",
    "approved": "👍",
    "skipped": "⏭",
    "expired": "⌛",
    "superseded": "♻️",
    "asked again": "🔁",
    "uncertain": "❓",
    "refused": "⛔",
    "rejected": "⛔",
    "canceled": "⛔",
    "not sent": "⛔",
    "done": "📝",
    "cannot": "✋",
}
_IN_PARTS = frozenset({InstructionState.PARTIAL.value, "partly filled"})


def card(event: InstructionIssued | Instruction, zone: ZoneInfo, marks: Iterable[Badge]) -> Message:
    """A manual instruction, or a proposal that waits for approval, with its buttons."""
    shown = tuple(marks)
    filled = event.filled if isinstance(event, InstructionIssued) else ZERO
    return Message(
        paragraphs(
            _card_title(event, shown, filled),
            _card_facts(event, zone, shown, filled),
            render_reasons.listed(event.why, zone),
            _card_hint(event, shown, filled),
        ),
        card_keyboard(event),
    )


def _card_title(event: InstructionIssued | Instruction, marks: Iterable[Badge], filled: Decimal) -> str:
    """A card of which a part is filled is shown again when it was not answered, and says so as the first one does."""
    deed, units = f"{line(event.symbol, 20)} {event.side.upper()}", numbers.quantity(event.quantity)
    icon = "🙋" if event.needs_approval else "✋"
    if _is_in_app(event):
        where = f"in {line(account_name(event.account), 40)}'s own app"
        return headline("🚨", f"{deed} {units} {where}", marks, f"#{event.number}")
    rest = f"{numbers.quantity(filled)} of {units} filled" if filled else f"{units} @ {numbers.price(event.price)}"
    return headline(icon, f"{deed} {rest}", marks, f"#{event.number}")


def _is_in_app(event: InstructionIssued | Instruction) -> bool:
    return is_in_app(event.account, needs_approval=event.needs_approval)


def _card_facts(
    event: InstructionIssued | Instruction,
    zone: ZoneInfo,
    marks: Iterable[Badge],
    filled: Decimal = ZERO,
    *,
    waits: bool = True,
) -> str:
    """What is decided expires no more."""
    rows = [
        ("Side", _side_words(event.side, event.purpose)),
        ("Quantity", _quantity_words(event)),
        *_progress(event.quantity, filled),
        ("Price", numbers.price(event.price)),
        *_band(event),
        ("Cost" if event.side is Side.BUY else "Value", numbers.money(event.quantity * event.price)),
    ]
    limit = event.limit_price if isinstance(event, InstructionIssued) else None
    if event.needs_approval:
        rows.append(("Order", "at the market" if limit is None else f"limit {numbers.price(limit)}"))
    if event.purpose is Purpose.ENTRY:
        rows += [
            ("Stop", distance(event.stop, event.price)),
            ("Target", distance(event.target, event.price)),
            ("Confidence", numbers.percent(event.probability) if event.probability is not None else "– (no forecast)"),
        ]
    if waits:
        rows.append(("Expires", _expiry(event, zone, marks)))
    rows.append(("Account", account_name(event.account)))
    if isinstance(event, InstructionIssued) and event.mode is not None:
        rows.append(("Mode", event.mode.value))
    return table(rows)


def _band(event: InstructionIssued | Instruction) -> list[tuple[str, str]]:
    """What must be sold is sold at any price."""
    if _is_in_app(event):
        return []
    return [("Only at", f"{numbers.price(event.band_low)} to {numbers.price(event.band_high)}")]


def _quantity_words(event: InstructionIssued | Instruction) -> str:
    """With what was proposed, where the owner has chosen less."""
    units = numbers.quantity(event.quantity)
    if isinstance(event, Instruction) or event.proposed is None or event.proposed <= event.quantity:
        return units
    return f"{units} (proposed {numbers.quantity(event.proposed)})"


def _progress(quantity: Decimal, filled: Decimal) -> list[tuple[str, str]]:
    """Filled and rest of an order that is partly executed."""
    if not filled:
        return []
    return [("Filled", numbers.quantity(filled)), ("Rest", numbers.quantity(max(quantity - filled, ZERO)))]


def _expiry(event: InstructionIssued | Instruction, zone: ZoneInfo, marks: Iterable[Badge]) -> str:
    """By the owner's own clock, which a simulated market's clock is not."""
    if event.expires_at is None:
        return "never, it waits for you"
    if Badge.SIMULATED in tuple(marks):
        return f"{numbers.clock_time(event.expires_at, zone)}, your time"
    return numbers.moment(event.expires_at, zone)


def _side_words(side: Side, purpose: Purpose) -> str:
    reason = {
        Purpose.ENTRY: "open",
        Purpose.EXIT: "close",
        Purpose.STOP: "stop-loss",
        Purpose.TARGET: "take-profit",
    }[purpose]
    return f"{side.value} ({reason})"


def _card_hint(event: InstructionIssued | Instruction, marks: Iterable[Badge], filled: Decimal) -> str:
    if event.needs_approval:
        return italic("Approve sends the order to the broker. Skip drops it. Change offers less, or a limit.")
    if _is_in_app(event):
        name = line(account_name(event.account), 40)
        return italic(
            f"Sell it in {name}'s own app and nowhere else, then tap Done. {name} takes no orders from me now; what "
            "you do there I see and book as soon as I can."
        )
    rest = typed(max(event.quantity - filled, ZERO))
    example = code(f"/executed #{event.number} {rest} @ {typed(event.price)}")
    deed = "Place it at your broker, then tap Executed."
    if Badge.SIMULATED in tuple(marks):
        deed = "Practice only: place nothing anywhere, tap Executed as if you had."
    return f"{italic(f'{deed} Other price or quantity: reply with it, or')}\n{example}"


def settled(event: InstructionSettled, zone: ZoneInfo) -> Message:
    """The end of an instruction, or of a part of it, where its card cannot be edited."""
    keyboard = manual_keyboard(event.number, event.version, partial=True) if _waits_on(event) else ()
    return Message(paragraphs(_settled_title(event), render_reasons.sentence(event.detail, zone)), keyboard)


def settled_card(event: InstructionSettled, issued: InstructionIssued, zone: ZoneInfo) -> Message:
    """The card of a settled instruction: the outcome on top, its facts kept, the buttons gone; where a part is filled,
    the buttons that say what becomes of the rest."""
    waits = _waits_on(event)
    return Message(
        paragraphs(
            _settled_title(event),
            render_reasons.full_sentence(event.detail, zone),
            _card_facts(issued, zone, issued.badges, event.filled if waits else ZERO, waits=waits),
            render_reasons.listed(issued.why, zone),
        ),
        manual_keyboard(event.number, event.version, partial=True) if waits else (),
    )


def _waits_on(event: InstructionSettled) -> bool:
    return event.outcome == InstructionState.PARTIAL.value and 0 < event.filled < event.quantity


def price_question(card: Instruction, marks: Iterable[Badge]) -> Message:
    """What the button Different price asks; the answer is read as a reply to it."""
    deed = f"{line(card.symbol, 20)} {card.side.upper()}: {PRICE_ASKED}"
    example = f"Only the number, for example {code(typed(card.price))}; a part as {code(f'5 @ {typed(card.price)}')}."
    title = headline("💬", deed, marks, f"#{card.number}")
    return Message(f"{title}\n{example}", asking(typed(card.price)))


def _settled_title(event: InstructionSettled) -> str:
    icon = _OUTCOMES.get(event.outcome, "•")
    units = numbers.quantity(event.quantity)
    is_part = event.outcome in _IN_PARTS and 0 < event.filled < event.quantity
    if is_part:
        units = f"{numbers.quantity(event.filled)} of {units}"
    deed = f"{line(event.symbol, 20)} {event.side.upper()} {units}"
    outcome = "filled" if is_part else line(event.outcome, 40)
    return headline(icon, f"{deed} {outcome}", event.badges, f"#{event.number}")
