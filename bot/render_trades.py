"""Messages about money: signals, cards, fills, refusals. Pure; first line: symbol, action, profit, badge (D14, U2)."""

from __future__ import annotations

from decimal import Decimal
from zoneinfo import ZoneInfo

from bot import menus, numbers, render_reasons
from bot.markup import italic, line, paragraphs, table
from bot.message import Button, Message
from bot.render_marks import fits_a_button, headline, time_label
from core.domain.dust import is_dust
from core.domain.events import (
    OrderFilled,
    OrderRefused,
    OrderUncertain,
    PositionUnguarded,
    ReportPosition,
    SignalRaised,
)
from core.domain.orders import Purpose, Side
from core.domain.portfolio import GuardKind

_GUARDS = {
    GuardKind.VENUE: "orders at the broker",
    GuardKind.ENGINE: "I watch each minute",
    GuardKind.OWNER: "you; I only alert",
}
_CLOSED_BY = {
    Purpose.STOP: ("🔴", "stop-loss"),
    Purpose.TARGET: ("🎯", "take-profit"),
    Purpose.EXIT: ("⚪", "closed"),
    Purpose.ENTRY: ("⚪", "reduced"),
}


def guard_words(guard: GuardKind | None) -> str:
    return _GUARDS[guard] if guard else "none: UNGUARDED"


def position_guard_words(entry: ReportPosition) -> str:
    """Who sells what of it: a venue may take the stop alone, and no fraction of a share."""
    if entry.guard is not GuardKind.VENUE or not entry.at_venue:
        return guard_words(entry.guard)
    watched = []
    if not entry.target_rests:
        watched.append("the target")
    rest = entry.quantity - entry.at_venue
    is_part = rest > 0 and not is_dust(entry.symbol, rest)
    if is_part:
        watched.append(f"the other {numbers.quantity(rest)}")
    if not watched:
        return guard_words(entry.guard)
    what = "orders" if entry.target_rests else "stop"
    part = f" for {numbers.quantity(entry.at_venue)}" if is_part else ""
    return f"{what}{part} at the broker; I watch {' and '.join(watched)}"


def signal(event: SignalRaised, zone: ZoneInfo) -> Message:
    """A buy signal with every gate it passed."""
    chance = f" {numbers.percent(event.probability)}" if event.probability is not None else ""
    title = f"{line(event.symbol, 20)} buy signal{chance}"
    facts = table(
        (
            ("Price", numbers.price(event.price)),
            ("Quantity", numbers.quantity(event.quantity)),
            ("Value", numbers.money(event.quantity * event.price)),
            (time_label(event.badges), numbers.moment(event.at, zone)),
        )
    )
    reasons = render_reasons.gates(event.reasons, zone)
    why = f"Why I want to buy:\n{reasons}" if reasons else ""
    expects = f"Model {line(event.model_version, 40)} expects: {line(event.event)}."
    meaning = expects if chance else "The plain rule wants it; no forecast was asked."
    return Message(paragraphs(headline("📈", title, event.badges), facts, why, italic(meaning)))


def distance(level: Decimal | None, reference: Decimal) -> str:
    """A stop or target with how far it is from `reference`."""
    if level is None:
        return "– (none set)"
    if not reference:
        return numbers.price(level)
    return f"{numbers.price(level)} ({numbers.signed_percent(level / reference - 1)})"


def fill(event: OrderFilled, zone: ZoneInfo) -> Message:
    """An entry with its protection, or an exit with its profit."""
    return _entry_fill(event, zone) if event.side is Side.BUY else _exit_fill(event, zone)


def _entry_fill(event: OrderFilled, zone: ZoneInfo) -> Message:
    title = f"{line(event.symbol, 20)} bought {numbers.quantity(event.quantity)} @ {numbers.price(event.price)}"
    rows = [
        *_fill_rows(event, zone),
        ("Stop", distance(event.stop, event.price)),
        ("Target", distance(event.target, event.price)),
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
            result += f" ({numbers.signed_percent(event.profit_fraction, places=2)})"
    sold = f"Sold {numbers.quantity(event.quantity)} @ {numbers.price(event.price)}."
    return Message(
        paragraphs(
            headline(icon, f"{line(event.symbol, 20)} {word} {result}", event.badges),
            sold,
            table(_fill_rows(event, zone)),
        )
    )


def _fill_rows(event: OrderFilled, zone: ZoneInfo) -> list[tuple[str, str]]:
    part = [] if event.filled is None else [("Order", _progress(event))]
    return [
        *part,
        ("Value", numbers.money(event.quantity * event.price)),
        ("Fee", _fee(event)),
        ("Cash left", numbers.money(event.cash)),
        (time_label(event.badges), numbers.moment(event.at, zone)),
    ]


def _progress(event: OrderFilled) -> str:
    return f"{numbers.quantity(event.filled)} of {numbers.quantity(event.ordered)} filled"


def _fee(event: OrderFilled) -> str:
    """One taken in coin with what it is worth."""
    if event.fee_currency == "USD":
        return numbers.money(event.fee)
    return f"{numbers.quantity(event.fee)} {line(event.fee_currency, 10)} ({numbers.money(event.fee * event.price)})"


def refused(event: OrderRefused, zone: ZoneInfo) -> Message:
    title = f"{_deed(event.symbol, event.side, event.quantity)} refused"
    remark = "" if event.purpose is Purpose.ENTRY else "This was an exit: the position is still open."
    return Message(
        paragraphs(headline("⛔", title, event.badges), render_reasons.full_sentence(event.reason, zone), remark)
    )


def uncertain(event: OrderUncertain, zone: ZoneInfo) -> Message:
    title = f"{_deed(event.symbol, event.side, event.quantity)}: sent, answer unknown"
    consequence = (
        f"I do not know yet whether the broker has this order. Until it says so, I place nothing else in "
        f"{line(event.symbol, 20)}."
    )
    return Message(
        paragraphs(headline("❓", title, event.badges), render_reasons.full_sentence(event.reason, zone), consequence)
    )


def unguarded(event: PositionUnguarded, zone: ZoneInfo) -> Message:
    """With what can be done about it: the sale asks first."""
    title = f"{line(event.symbol, 20)} UNGUARDED: {numbers.quantity(event.quantity)} without a stop"
    buttons = [Button("📊 Positions", menus.menu_token("positions"))]
    if fits_a_button(event.symbol):
        buttons.insert(0, Button(f"🧾 Close {event.symbol}", menus.menu_token(f"close-{event.symbol}")))
    return Message(
        paragraphs(headline("🚨", title, event.badges), render_reasons.full_sentence(event.reason, zone)),
        (tuple(buttons),),
    )


def _deed(symbol: str, side: Side, quantity: Decimal) -> str:
    return f"{line(symbol, 20)} {side.upper()} {numbers.quantity(quantity)}"
