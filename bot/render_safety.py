"""Messages about what holds trading back and what was booked without a trade. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from bot import menus, numbers, render_reasons
from bot.cards import card_keyboard
from bot.markup import italic, line, paragraphs
from bot.message import Button, Keyboard, Message
from bot.questions import question_keyboard
from bot.render_marks import account_name, headline
from core.domain.accounts import AccountKind, Badge, is_in_app
from core.domain.decisions import BrakeKind
from core.domain.events import (
    BrakeReleased,
    BrakeSet,
    CashBooked,
    EntryUndone,
    ExitQueued,
    ExitReminder,
    GuardMoved,
    LedgerRestored,
    ProtectionFailed,
    QuestionAsked,
    QuestionSettled,
    UnitsAdjusted,
)
from core.domain.records import Question, QuestionKind
from core.domain.values import plain

_ASKED: Mapping[str, str] = {
    QuestionKind.PLACE_STOP: "is your stop placed?",
    QuestionKind.DIFFERENCE: "units differ at the broker",
    QuestionKind.CASH: "cash differs at the broker",
    QuestionKind.TAKE_OVER: "orders of another installation",
    QuestionKind.ATTEST: "does your broker show the same?",
    QuestionKind.NEW_ACCOUNT: "another account at the broker",
    QuestionKind.OWN_SALE: "your own sale holds units",
}
SafetyEvent = (
    QuestionAsked
    | QuestionSettled
    | ExitReminder
    | BrakeSet
    | BrakeReleased
    | GuardMoved
    | ProtectionFailed
    | ExitQueued
    | CashBooked
    | UnitsAdjusted
    | EntryUndone
    | LedgerRestored
)


def render(event: SafetyEvent, zone: ZoneInfo) -> Message:
    """`event` for the owner, with times in his `zone`."""
    icon, title, text = _words(event, zone)
    keyboard: Keyboard = ()
    if isinstance(event, QuestionAsked):
        keyboard = question_keyboard(event)
    elif isinstance(event, ExitReminder):
        keyboard = card_keyboard(event)
    elif isinstance(event, BrakeSet):
        keyboard = ((Button("🛑 Locks", menus.menu_token("locks")), Button("🔄 Status", menus.menu_token("status"))),)
    words = line(render_reasons.words(text, zone), 3000)
    practice = _practice(event, event.badges) if isinstance(event, QuestionAsked) else ""
    return Message(paragraphs(headline(icon, line(title, 120), event.badges), words, practice), keyboard)


def settled_question(event: QuestionSettled, asked: QuestionAsked, zone: ZoneInfo) -> Message:
    """The card of an answered question: the outcome on top, what was asked kept, the buttons gone."""
    icon, title, text = _words(event, zone)
    return Message(
        paragraphs(headline(icon, line(title, 120), event.badges), line(text, 1500), italic(line(asked.text, 1500)))
    )


def question(asked: Question, badges: tuple[Badge, ...], zone: ZoneInfo) -> Message:
    """An open question shown again, with its buttons."""
    title = _question_title(asked)
    words = line(render_reasons.words(asked.text, zone), 3000)
    return Message(
        paragraphs(headline("❓", line(title, 120), badges), words, _practice(asked, badges)), question_keyboard(asked)
    )


def _practice(asked: QuestionAsked | Question, badges: tuple[Badge, ...]) -> str:
    """In a simulated market there is no broker at which the owner could place anything."""
    if asked.kind != QuestionKind.PLACE_STOP or Badge.SIMULATED not in badges:
        return ""
    return italic("Practice only: place nothing anywhere, tap Placed as if you had.")


def _question_title(asked: QuestionAsked | Question) -> str:
    """SPY: is your stop placed? · Q3. A kind that this version does not know is named as it is."""
    what = _ASKED.get(asked.kind, asked.kind.replace("_", " "))
    return f"{f'{asked.symbol}: ' if asked.symbol else ''}{what} · Q{asked.number}"


def _words(event: SafetyEvent, zone: ZoneInfo) -> tuple[str, str, str]:
    match event:
        case QuestionAsked():
            return "❓", _question_title(event), event.text
        case QuestionSettled():
            return "☑️", f"{event.symbol} {event.outcome} · Q{event.number}".strip(), event.detail
        case ExitReminder():
            price = f" The price is {numbers.price(event.price)} now." if event.price is not None else ""
            in_app = is_in_app(event.account, needs_approval=event.needs_approval)
            name = account_name(event.account)
            where = f"Sell it in {name}'s own app" if in_app else name
            where += f", mode {event.mode.value}" if event.mode is not None else ""
            waited = (
                f"It has waited since {numbers.moment(event.since, zone)} (reminder {event.times}).{price} {where}."
            )
            deed = f"{event.symbol} SELL {plain(event.quantity)} still waits · #{event.number}"
            return "🚨", deed, f"{event.why[:1].upper()}{event.why[1:]}. {waited}".lstrip(". ")
        case BrakeSet() | BrakeReleased():
            return _brake(event, zone)
        case _:
            return _booked(event, zone)


def _brake(event: BrakeSet | BrakeReleased, zone: ZoneInfo) -> tuple[str, str, str]:
    name = brake_name(event.kind).lower()
    where = scope_words(event.scope)
    if isinstance(event, BrakeReleased):
        return "🟢", f"Brake off: {name}, {where}", f"New entries are no longer held back by it (by {event.by})."
    until = f"until {numbers.moment(event.until, zone)}" if event.until else "until you release it (/locks)"
    if event.kind is BrakeKind.AWAY:
        until = "until then"
    return "🛑", f"Brake: {name}, {where}", f"{event.reason}. No new entries {until}; exits and stops go on."


_RESTORED = (
    "From the backup of {taken}. All cards from before are void ({cards} were open). Orders and fills since then are "
    "taken over from the broker and told again. Your own account stands as it was then: report again what you traded "
    "and booked by hand since."
)


def brake_name(kind: BrakeKind) -> str:
    """Daily loss."""
    return kind.value.replace("_", " ").capitalize()


def scope_words(scope: str) -> str:
    """What a brake holds back, for people: everything, an account, a symbol, or a symbol because of an account."""
    if scope == "*":
        return "everything"
    account, _, symbol = scope.partition("/")
    shown = account_name(account) if account in {kind.value for kind in AccountKind} else account
    return f"{symbol} ({shown})" if symbol else shown


def _level_words(event: GuardMoved) -> str:
    """stop 95 → 97.5, target 115 → 120: only what moved."""
    parts = [
        f"{name} {plain(before)} → {plain(after)}"
        for name, before, after in (
            ("stop", event.former_stop, event.stop),
            ("target", event.former_target, event.target),
        )
        if before is not None and after is not None and before != after
    ]
    return ", ".join(parts) or "levels unchanged"


def _booked(
    event: GuardMoved | ProtectionFailed | ExitQueued | CashBooked | UnitsAdjusted | EntryUndone | LedgerRestored,
    zone: ZoneInfo,
) -> tuple[str, str, str]:
    match event:
        case GuardMoved():
            return "🎚", f"{event.symbol} {_level_words(event)}", f"{event.reason}."
        case ProtectionFailed():
            return "🚨", f"{event.symbol} {event.what}", f"{event.reason}. {event.consequence}"
        case ExitQueued():
            sold = f"{event.symbol} {numbers.quantity(event.quantity)}: sale waits for the open"
            opens = numbers.moment(event.opens_at, zone)
            return "🌙", sold, f"{event.reason}. The market is closed: it sells at the open, {opens}."
        case CashBooked():
            kind = event.kind.replace("_", " ")
            amount = f"{kind[:1].upper()}{kind[1:]} {numbers.signed_money(event.amount)}"
            return "💵", amount, f"{event.note}. Cash is now {numbers.money(event.cash)}."
        case UnitsAdjusted():
            kind = event.kind.replace("_", " ")
            return "🔁", f"{event.symbol} {kind}", f"{plain(event.before)} → {plain(event.after)} units. {event.note}"
        case EntryUndone():
            instead = f" Instead: {event.instead}." if event.instead else ""
            return (
                "↩️",
                f"{event.symbol} undone".strip(),
                f"{event.what}.{instead} Cash is now {numbers.money(event.cash)}.",
            )
        case LedgerRestored():
            taken = numbers.moment(event.taken_at, zone)
            return "🧭", "Ledger restored", _RESTORED.format(taken=taken, cards=event.cards_voided)
