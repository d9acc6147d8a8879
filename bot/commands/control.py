"""Steering: /pause, /resume, /mode, /cash."""

from __future__ import annotations

import re
from datetime import timedelta

from bot import menus, numbers, render_answers
from bot.commands.amounts import Problem, parse_amount
from bot.commands.talk import Reply, Request, Talk, reply
from bot.markup import bold, code, esc, paragraphs
from bot.message import Button, Message
from bot.render_broker import why_manual
from bot.render_system import MODE_WORDS
from core.domain.accounts import Mode
from core.domain.views import AnswerKind, OwnerAnswer

LONGEST_PAUSE = timedelta(days=365)
_LENGTH = re.compile(r"(\d{1,6})\s*(m|min|mins|minutes?|h|hours?|d|days?|w|weeks?)", re.ASCII)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_length(text: str) -> timedelta | None:
    """`2h`, `30m`, `1d 12h`, `1 week`. None where the text is no length of time, or none of at most a year."""
    normal = text.strip().lower()
    if not re.fullmatch(rf"(?:{_LENGTH.pattern}[\s,]*)+", normal, re.ASCII):
        return None
    total = sum(
        (int(amount) * _UNITS[unit[0]] for amount, unit in _LENGTH.findall(normal)),
        timedelta(0),
    )
    return total if timedelta(0) < total <= LONGEST_PAUSE else None


async def pause(talk: Talk, request: Request) -> Reply:
    """Stops new entries, until /resume or for the time given. The owner's hours are real hours, so on a faster market
    clock the end is proportionally later there."""
    until, translated = None, tuple[Message, ...]()
    if request.words.strip():
        length = parse_length(request.words)
        if length is None:
            return _problem("I cannot read that length of time, and I have not paused. For example:", "/pause 2h")
        speed = talk.market_clock.speed()
        until = talk.market_clock.now() + length * speed
        if speed != 1:
            translated = (Message(_in_market_time(length, speed)),)
    return _answered(talk, await talk.hands.brake(talk.owner.pause, until, request.by), translated)


def _in_market_time(length: timedelta, speed: float) -> str:
    return (
        f"⏩ {numbers.span(length)} of your time are {numbers.span(length * speed)} in the market, whose clock runs "
        f"{speed:g} times as fast."
    )


async def resume(talk: Talk, request: Request) -> Reply:
    return _answered(talk, await talk.hands.brake(talk.owner.resume, request.by))


async def mode(talk: Talk, request: Request) -> Reply:
    """Sets the mode, or offers the four as buttons."""
    wanted = request.words.strip().lower()
    if not wanted:
        return await _offer_modes(talk)
    if wanted not in {each.value for each in Mode}:
        return _problem("I know the modes auto, confirm, manual and observe. Nothing was changed.", "/mode confirm")
    return _answered(talk, await talk.hands.change(talk.owner.set_mode, Mode(wanted), request.by))


async def _offer_modes(talk: Talk) -> Reply:
    view = await talk.hands.ask(talk.owner.status)
    lines = "\n".join(f"{code(each.value)}: {esc(MODE_WORDS[each])}" for each in Mode)
    why = why_manual(view.fallback, talk.zone) if view.fallback is not None else ""
    chosen = view.fallback.chosen if view.fallback is not None else view.mode
    buttons = [
        Button(f"{'● ' if each is chosen else ''}{each.value}", menus.menu_token(f"mode-{each.value}")) for each in Mode
    ]
    return reply(
        Message(
            paragraphs(f"🎛 {bold(f'Mode {view.mode.value}')}", why, lines),
            ((buttons[0], buttons[1]), (buttons[2], buttons[3])),
        )
    )


async def cash(talk: Talk, request: Request) -> Reply:
    """Declares what cash the manual account holds."""
    if not request.words.strip():
        return _problem("How much cash does your own account hold, in USD?", "/cash 5000")
    amount = parse_amount(request.words)
    if isinstance(amount, Problem):
        return _problem(amount.sentence, "/cash 5000")
    answer = await talk.hands.change(talk.owner.declare_cash, amount, request.by, request.tap)
    return Reply((render_answers.answer(answer, talk.zone),), answer.kind.value)


def _answered(talk: Talk, answer: OwnerAnswer, more: tuple[Message, ...] = ()) -> Reply:
    """A change that was made is told by its own event, which goes ahead of everything else; the rest is said here."""
    messages = more if answer.kind is AnswerKind.DONE else (render_answers.answer(answer, talk.zone),)
    return Reply(messages, answer.text)


def _problem(sentence: str, example: str) -> Reply:
    return Reply((Message(f"{esc(sentence)}\n{code(esc(example))}"),), "not understood")
