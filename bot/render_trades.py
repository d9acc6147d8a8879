"""Messages about money: signals, cards, fills, refusals. Pure; first line: symbol, action, profit, badge (D14, U2)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from zoneinfo import ZoneInfo

from bot import numbers
from bot.cards import card_keyboard
from bot.markup import bold, code, esc, italic, line, paragraphs, table
from bot.message import Message
from core.domain.accounts import Badge
from core.domain.decisions import Verdict
from core.domain.events import (
    InstructionIssued,
    InstructionSettled,
    OrderFilled,
    OrderRefused,
    OrderUncertain,
    PositionUnguarded,
    SignalRaised,
)
from core.domain.orders import Purpose, Side
from core.domain.portfolio import GuardKind
from core.domain.records import Instruction

_GATES = {
    "sma": "Trend",
    "rsi": "RSI",
    "macd": "MACD",
    "session": "Market hours",
    "held": "Holding",
    "pending": "Open orders",
    "unknown": "Unsettled orders",
    "gap": "Trading pause",
    "bracket": "Protection",
    "cap": "Share of equity",
}
_GUARDS = {
    GuardKind.VENUE: "orders rest at the broker",
    GuardKind.ENGINE: "watched every minute while I run",
    GuardKind.OWNER: "yours: I can only alert you",
}
_CLOSED_BY = {
    Purpose.STOP: ("🔴", "stop-loss"),
    Purpose.TARGET: ("🎯", "take-profit"),
    Purpose.EXIT: ("⚪", "closed"),
    Purpose.ENTRY: ("⚪", "reduced"),
}


def badges(marks: Iterable[Badge]) -> str:
    """PAPER, or MANUAL SIMULATED; an account without a mark says so rather than nothing."""
    return " ".join(mark.value for mark in marks) or "ACCOUNT UNKNOWN"


def headline(icon: str, text: str, marks: Iterable[Badge]) -> str:
    """The first line: what the lock screen shows. `text` is escaped already."""
    return f"{icon} {bold(text)} · {badges(marks)}"


def guard_words(guard: GuardKind | None) -> str:
    return _GUARDS[guard] if guard else "none: this position is UNGUARDED"


def signal(event: SignalRaised, zone: ZoneInfo) -> Message:
    """A buy signal with every gate it passed."""
    title = f"{line(event.symbol, 20)} buy signal {numbers.percent(event.probability)}"
    facts = table(
        (
            ("Price", numbers.price(event.price)),
            ("Quantity", numbers.quantity(event.quantity)),
            ("Seen", numbers.moment(event.at, zone)),
        )
    )
    meaning = f"The model gives {numbers.percent(event.probability)} to “{line(event.event)}”."
    return Message(
        paragraphs(
            headline("📈", title, event.badges),
            facts,
            meaning,
            gates(event.reasons),
            italic(f"Model {line(event.model_version, 40)}"),
        )
    )


def gates(verdicts: Iterable[Verdict]) -> str:
    """One line a gate, in the order they were asked."""
    return "\n".join(f"{'✓' if verdict.passed else '✗'} {_gate_words(verdict)}" for verdict in verdicts)


def _gate_words(verdict: Verdict) -> str:
    """The gate's name and reason; a reason that begins with the name needs no second one."""
    name = line(_GATES.get(verdict.gate, verdict.gate.replace("_", " ").capitalize()), 30)
    reason = line(verdict.reason)
    return reason if name and reason.lower().startswith(name.lower()) else f"{name}: {reason}"


def card(event: InstructionIssued | Instruction, zone: ZoneInfo, marks: Iterable[Badge]) -> Message:
    """A manual instruction, or a proposal that waits for approval, with its buttons."""
    return Message(
        paragraphs(_card_title(event, marks), _card_facts(event, zone), esc(event.why), _card_hint(event)),
        card_keyboard(event),
    )


def _card_title(event: InstructionIssued | Instruction, marks: Iterable[Badge]) -> str:
    deed = f"{line(event.symbol, 20)} {event.side.upper()} {numbers.quantity(event.quantity)}"
    icon = "🙋" if event.needs_approval else "✋"
    return f"{headline(icon, f'{deed} @ {numbers.price(event.price)}', marks)} · #{event.number}"


def _card_facts(event: InstructionIssued | Instruction, zone: ZoneInfo) -> str:
    rows = [
        ("Side", _side_words(event.side, event.purpose)),
        ("Quantity", numbers.quantity(event.quantity)),
        ("Price", numbers.price(event.price)),
        ("Band", f"{numbers.price(event.band_low)} to {numbers.price(event.band_high)}"),
        ("Value", numbers.money(event.quantity * event.price)),
    ]
    if event.purpose is Purpose.ENTRY:
        rows += [
            ("Stop", _level(event.stop, event.price)),
            ("Target", _level(event.target, event.price)),
            ("Confidence", numbers.percent(event.probability) if event.probability is not None else "– (no model)"),
        ]
    expiry = numbers.moment(event.expires_at, zone) if event.expires_at else "never, it waits for you"
    return table([*rows, ("Expires", expiry)])


def _side_words(side: Side, purpose: Purpose) -> str:
    reason = {
        Purpose.ENTRY: "open",
        Purpose.EXIT: "close",
        Purpose.STOP: "stop-loss",
        Purpose.TARGET: "take-profit",
    }[purpose]
    return f"{side.value} ({reason})"


def _level(level: Decimal | None, reference: Decimal) -> str:
    if level is None:
        return "– (none set)"
    if not reference:
        return numbers.price(level)
    return f"{numbers.price(level)} ({numbers.signed_percent(level / reference - 1)})"


def _card_hint(event: InstructionIssued | Instruction) -> str:
    if event.needs_approval:
        return italic("Approve sends the order to the broker. Skip drops it.")
    example = code(f"/executed #{event.number} {numbers.quantity(event.quantity).replace(',', '')} @ PRICE")
    return f"{italic('Place it at your broker, then tap Executed. Other price or quantity:')}\n{example}"


def settled(event: InstructionSettled) -> Message:
    """The end of an instruction, where its card cannot be edited."""
    return Message(paragraphs(_settled_title(event), esc(event.detail)))


def settled_card(event: InstructionSettled, issued: InstructionIssued, zone: ZoneInfo) -> Message:
    """The card of a settled instruction: the outcome on top, its facts kept, the buttons gone."""
    return Message(
        paragraphs(_settled_title(event), esc(event.detail), _card_facts(issued, zone), esc(issued.why)),
    )


def _settled_title(event: InstructionSettled) -> str:
    icon = {"executed": "✅", "approved": "👍", "skipped": "⏭", "expired": "⌛", "superseded": "♻️"}.get(
        event.outcome, "•"
    )
    deed = f"{line(event.symbol, 20)} {event.side.upper()} {numbers.quantity(event.quantity)}"
    return f"{headline(icon, f'{deed} {line(event.outcome, 40)}', event.badges)} · #{event.number}"


def fill(event: OrderFilled, zone: ZoneInfo) -> Message:
    """An entry with its protection, or an exit with its profit."""
    return _entry_fill(event, zone) if event.side is Side.BUY else _exit_fill(event, zone)


def _entry_fill(event: OrderFilled, zone: ZoneInfo) -> Message:
    title = f"{line(event.symbol, 20)} bought {numbers.quantity(event.quantity)} @ {numbers.price(event.price)}"
    rows = [
        *_fill_rows(event, zone),
        ("Stop", _level(event.stop, event.price)),
        ("Target", _level(event.target, event.price)),
        ("Guard", guard_words(event.guard)),
    ]
    return Message(paragraphs(headline("🟢", title, event.badges), table(rows)))


def _exit_fill(event: OrderFilled, zone: ZoneInfo) -> Message:
    icon, word = _CLOSED_BY[event.purpose]
    if event.profit is None:
        result = "P&amp;L – (cost unknown)"
    else:
        result = numbers.signed_money(event.profit)
        if event.profit_fraction is not None:
            result += f" ({numbers.signed_percent(event.profit_fraction)})"
    sold = f"Sold {numbers.quantity(event.quantity)} @ {numbers.price(event.price)}."
    return Message(
        paragraphs(
            headline(icon, f"{line(event.symbol, 20)} {word} {result}", event.badges),
            sold,
            table(_fill_rows(event, zone)),
        )
    )


def _fill_rows(event: OrderFilled, zone: ZoneInfo) -> list[tuple[str, str]]:
    return [
        ("Value", numbers.money(event.quantity * event.price)),
        ("Fee", numbers.money(event.fee)),
        ("Cash left", numbers.money(event.cash)),
        ("At", numbers.moment(event.at, zone)),
    ]


def refused(event: OrderRefused) -> Message:
    title = f"{_deed(event.symbol, event.side, event.quantity)} refused"
    remark = "" if event.purpose is Purpose.ENTRY else "This was an exit: the position is still open."
    return Message(paragraphs(headline("⛔", title, event.badges), esc(event.reason), remark))


def uncertain(event: OrderUncertain) -> Message:
    title = f"{_deed(event.symbol, event.side, event.quantity)}: sent, answer unknown"
    consequence = (
        f"I do not know yet whether the broker has this order. Until it says so, I place nothing else in "
        f"{line(event.symbol, 20)}."
    )
    return Message(paragraphs(headline("❓", title, event.badges), esc(event.reason), consequence))


def unguarded(event: PositionUnguarded) -> Message:
    title = f"{line(event.symbol, 20)} UNGUARDED: {numbers.quantity(event.quantity)} without a stop"
    return Message(paragraphs(headline("🚨", title, event.badges), esc(event.reason)))


def _deed(symbol: str, side: Side, quantity: Decimal) -> str:
    return f"{line(symbol, 20)} {side.upper()} {numbers.quantity(quantity)}"
