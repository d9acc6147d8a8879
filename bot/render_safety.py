"""Messages about what holds trading back and what was booked without a trade. Pure."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import esc, paragraphs
from bot.message import Message
from bot.render_marks import headline
from core.domain.events import (
    BrakeReleased,
    BrakeSet,
    CashBooked,
    EntryUndone,
    ExitReminder,
    GuardMoved,
    LedgerRestored,
    ProtectionFailed,
    QuestionAsked,
    QuestionSettled,
    UnitsAdjusted,
)
from core.domain.values import plain

SafetyEvent = (
    QuestionAsked
    | QuestionSettled
    | ExitReminder
    | BrakeSet
    | BrakeReleased
    | GuardMoved
    | ProtectionFailed
    | CashBooked
    | UnitsAdjusted
    | EntryUndone
    | LedgerRestored
)


def render(event: SafetyEvent, zone: ZoneInfo) -> Message:
    """`event` for the owner, with times in his `zone`."""
    icon, title, text = _words(event, zone)
    return Message(paragraphs(headline(icon, esc(title), event.badges), esc(text)))


def _words(event: SafetyEvent, zone: ZoneInfo) -> tuple[str, str, str]:
    match event:
        case QuestionAsked():
            return "❓", f"Q{event.number} {event.symbol}".strip(), event.text
        case QuestionSettled():
            return "☑️", f"Q{event.number} {event.symbol}".strip(), f"{event.outcome}: {event.detail}"
        case ExitReminder():
            waited = f"It has waited since {numbers.moment(event.since, zone)} (reminder {event.times})."
            return "🚨", f"{event.symbol} sell {plain(event.quantity)}: still open", f"{event.why}. {waited}"
        case BrakeSet() | BrakeReleased():
            return _brake(event, zone)
        case _:
            return _booked(event, zone)


def _brake(event: BrakeSet | BrakeReleased, zone: ZoneInfo) -> tuple[str, str, str]:
    name = event.kind.value.replace("_", " ")
    where = "everything" if event.scope == "*" else event.scope
    if isinstance(event, BrakeReleased):
        return "🟢", f"Brake released: {name}", f"{where}: new entries are no longer held back by it ({event.by})."
    until = f"until {numbers.moment(event.until, zone)}" if event.until else "until it is released"
    return "🛑", f"Brake: {name}", f"{where}: {event.reason}. No new entries {until}; exits go on."


def _booked(
    event: GuardMoved | ProtectionFailed | CashBooked | UnitsAdjusted | EntryUndone | LedgerRestored, zone: ZoneInfo
) -> tuple[str, str, str]:
    match event:
        case GuardMoved():
            moved = f"from {plain(event.former_stop)} to {plain(event.stop)} USD: {event.reason}."
            return "🔼", f"{event.symbol} stop raised", moved
        case ProtectionFailed():
            return "🚨", f"{event.symbol} stop not placed", f"{event.reason}. {event.consequence}"
        case CashBooked():
            kind = event.kind.replace("_", " ")
            return "💵", f"{kind} {event.amount:+,.2f} USD", f"{event.note}. Cash is now {event.cash:,.2f} USD."
        case UnitsAdjusted():
            kind = event.kind.replace("_", " ")
            return "🔁", f"{event.symbol} {kind}", f"{plain(event.before)} → {plain(event.after)} units. {event.note}"
        case EntryUndone():
            instead = f" Instead: {event.instead}." if event.instead else ""
            return "↩️", f"{event.symbol} undone".strip(), f"{event.what}.{instead} Cash is now {event.cash:,.2f} USD."
        case LedgerRestored():
            taken = numbers.moment(event.taken_at, zone)
            return "🧭", "Ledger restored", f"From the backup of {taken}; {event.cards_voided} older cards are void."
