"""Everything about real money: the question, the owner's word, how it stands. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from bot import menus, numbers
from bot.markup import bold, code, esc, line, paragraphs
from bot.message import Button, Keyboard, Message, asking
from bot.render_marks import headline
from bot.render_reasons import words
from bot.render_system import MODE_WORDS
from core.domain.accounts import Badge, Mode
from core.domain.events import RealMoneyAsked, RealMoneyChanged, RealMoneyHeldBack
from core.domain.real_money import RealMoneyView, phrase
from core.domain.values import ZERO

LIVE = (Badge.LIVE,)
_MOST_NAMED = 8
_BUTTON: Keyboard = ((Button("🔐 Real money", menus.menu_token("realmoney")),),)


def render(event: RealMoneyAsked | RealMoneyChanged | RealMoneyHeldBack, zone: ZoneInfo) -> Message:
    match event:
        case RealMoneyAsked():
            return _asked(event)
        case RealMoneyChanged():
            return _changed(event, zone)
        case RealMoneyHeldBack():
            return _held_back(event, zone)


def _held_back(event: RealMoneyHeldBack, zone: ZoneInfo) -> Message:
    told = line(words(event.words, zone), 1500)
    return Message(
        paragraphs(
            headline("🔒", "Real money: nothing is sent", event.badges),
            f"{told[:1].upper()}{told[1:]}.",
            "Keys and ALLOW_REAL_MONEY are set on the server: autotrader doctor says there what to do.",
        ),
        _BUTTON,
    )


def _asked(event: RealMoneyAsked) -> Message:
    held = _held(event.positions)
    guarded = "Nobody guards them until then: I send no stop, either." if event.positions else ""
    return Message(
        paragraphs(
            headline("🔐", f"Real money waits for your word: {numbers.money(event.equity)}", event.badges),
            f"Alpaca's account {bold(line(event.number, 40))} is worth {numbers.money(event.equity)}, "
            f"{numbers.money(event.cash)} of it in cash. {held} {guarded}".rstrip(),
            "Until you allow it I send nothing there. /realmoney says what it means, and asks you.",
        ),
        _BUTTON,
    )


def _changed(event: RealMoneyChanged, zone: ZoneInfo) -> Message:
    account = f"account {line(event.number, 40)}"
    if not event.allowed:
        left = ""
        if event.left_working:
            many = numbers.count(event.left_working, "purchase")
            left = f"🚨 {many} could not be cancelled and may still fill: look in Alpaca's own app."
        return Message(
            paragraphs(
                headline("🔒", f"Real money: {account} is left alone", event.badges),
                left,
                "Nothing more is sent there. What rests at Alpaca stays there; what I watched by myself, nobody "
                "watches now. /realmoney allows it again.",
            )
        )
    first_day = ""
    if event.first_day_limit is not None and event.first_day_until is not None:
        first_day = (
            f"On this first day at most {numbers.money(event.first_day_limit)} are invested there, until "
            f"{numbers.moment(event.first_day_until, zone)}."
        )
    return Message(
        paragraphs(
            headline("🔓", f"Real money: {account}, {numbers.money(event.equity)}", event.badges),
            f"Orders go there from now on. Mode {bold(event.mode.value)}: {esc(MODE_WORDS[event.mode])}."
            f"{_by_hand(event.mode)}",
            first_day,
            "/realmoney off takes it back, /pause stops purchases, /flatten sells everything.",
        )
    )


def asked_for_word(view: RealMoneyView, chosen: Mode, lives: timedelta, *, with_code: bool) -> Message:
    """What the owner reads before he gives his word; his answer is the phrase."""
    equity = view.equity or ZERO
    limit = view.first_day_fraction * equity
    wanted = phrase(view.number) + (" 123456" if with_code else "")
    code_words = " The six digits are those that your authenticator app shows." if with_code else ""
    return Message(
        paragraphs(
            headline("🔐", f"Trade with real money? {numbers.money(equity)}", LIVE),
            f"Alpaca's account {bold(line(view.number, 40))} is worth {numbers.money(equity)}. {_held(view.positions)}",
            f"From your word on I place orders there that cost and lose real money, by the mode that is set: "
            f"{bold(chosen.value)}, {esc(MODE_WORDS[chosen])}.{_by_hand(chosen)} On the first trading day at most "
            f"{numbers.money(limit)} are invested. No returns are promised.",
            f"To allow it, answer within {numbers.span(lives)}:\n{code(esc(wanted))}{code_words}\n"
            "/cancel changes nothing.",
        ),
        asking(phrase(view.number)),
    )


def standing(view: RealMoneyView, zone: ZoneInfo) -> Message:
    """How it stands, where there is nothing to ask."""
    worth = f", worth {numbers.money(view.equity)}" if view.equity is not None else ""
    if view.closed:
        return Message(
            paragraphs(
                headline("🔒", "Real money: nothing is sent", LIVE),
                f"{esc(view.closed[:1].upper() + view.closed[1:])}.",
                f"ALLOW_REAL_MONEY names account {line(view.allowed, 40)}{worth}.",
            )
        )
    return Message(
        paragraphs(
            headline("🔓", "Real money is allowed", LIVE),
            f"Orders go to Alpaca's account {bold(line(view.number, 40))}{worth}.",
            first_day_words(view, zone),
            f"{code('/realmoney off')} takes it back: nothing more is sent there, what rests at Alpaca stays.",
        )
    )


def first_day_words(view: RealMoneyView, zone: ZoneInfo) -> str:
    """The limit of the first day where it is in force."""
    if view.first_day_limit is None or view.first_day_until is None:
        return ""
    until = numbers.moment(view.first_day_until, zone)
    share = numbers.percent(view.first_day_fraction)
    return (
        f"🐣 First day of real money: at most {share}, {numbers.money(view.first_day_limit)}, invested until {until}."
    )


def status_words(view: RealMoneyView | None, zone: ZoneInfo) -> str:
    """A line for /status; empty where there is no live account or nothing to say of it."""
    if view is None:
        return ""
    if view.can_be_allowed:
        return "🔐 Real money waits for your word: nothing is sent to Alpaca. /realmoney"
    return "🔒 Nothing is sent to Alpaca: /realmoney" if view.closed else first_day_words(view, zone)


def _by_hand(mode: Mode) -> str:
    return " In this mode you place what I propose; /mode confirm or /mode auto send it." if mode is Mode.MANUAL else ""


def _held(positions: Sequence[tuple[str, Decimal]]) -> str:
    if not positions:
        return "It holds no positions."
    named = ", ".join(f"{numbers.quantity(units)} {line(symbol, 20)}" for symbol, units in positions[:_MOST_NAMED])
    more = len(positions) - _MOST_NAMED
    return f"It holds {named}{f' and {more} more' if more > 0 else ''}."
