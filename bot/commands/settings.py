"""/settings: everything that may be changed from the chat (C5), by buttons or by typing, checked by the one table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from bot import render_settings
from bot.commands import profiles, second, waiting, watch
from bot.commands.amounts import parse_amount
from bot.commands.talk import Reply, Request, Talk, reply
from bot.commands.waiting import Answer
from bot.confirmations import Confirmation, Outcome, Wants
from bot.markup import bold, code, esc, paragraphs
from bot.message import Message, asking
from core.domain.values import plain
from core.settings import SettingsError
from core.settings.book import Change
from core.settings.editable import CHOSEN, EDITABLE, WATCHED, Editable, Group, Unit

ASKED_SETTING = "setting"
PROFILE = "profile"
_OFF = frozenset({"off", "none", "no", "0%", "0"})


async def settings(talk: Talk, request: Request) -> Reply:
    """`/settings`, `/settings risk`, `/settings profile`, `/settings STOP_LOSS`, `/settings STOP_LOSS 4%`; the buttons
    say set, type, env and undo."""
    verb, rest = _cut(request.words)
    if not verb:
        return reply(render_settings.groups(talk.book))
    if verb == PROFILE:
        return await profiles.choose(talk, request, rest)
    if verb in {group.value for group in Group}:
        return reply(render_settings.group(talk.book, Group(verb)))
    if verb == "undo":
        return await _undo(talk, rest, request.by)
    action = {"set": _set, "type": _ask, "env": _back}.get(verb)
    if action is not None:
        verb, rest = _cut(rest)
    name = _named(verb)
    if name is None:
        return _unknown(verb)
    if name == CHOSEN and action is not _back:
        return await profiles.choose(talk, request, rest)
    if action is not None:
        return await action(talk, request, name, rest)
    return await _set(talk, request, name, rest) if rest.strip() else reply(render_settings.setting(talk.book, name))


def read_value(known: Editable, text: str) -> str:
    """What the owner wrote, in the form of .env. Raises SettingsError for what has no or two readings."""
    tidy = text.strip()
    if known.unit is Unit.NAME:
        return tidy
    if known.can_be_off and tidy.lower() in _OFF:
        return ""
    bare = tidy.removesuffix("%").strip()
    amount = parse_amount(bare)
    if not isinstance(amount, Decimal):
        raise SettingsError(amount.sentence)
    if known.unit is not Unit.PERCENT:
        if bare != tidy:
            raise SettingsError("This is no share of something: write it without the percent sign.")
        return plain(amount)
    if bare == tidy and amount >= 1:
        raise SettingsError(f"Is that {plain(amount)}%? Write {plain(amount)}%, or {plain(amount / 100)} as in .env.")
    return plain(amount / 100 if bare != tidy else amount)


async def _set(talk: Talk, request: Request, name: str, value: str) -> Reply:
    try:
        text = read_value(EDITABLE[name], value)
    except SettingsError as refusal:
        return _refused(name, str(refusal))
    known = EDITABLE[name]
    if text and known.unit is not Unit.NAME and not render_settings.is_allowed(known, Decimal(text)):
        return _refused(name, f"{render_settings.spoken(name)} cannot be {value.strip()[:40]}.")
    try:
        changes = await talk.hands.change(talk.book.change, {name: text}, request.by)
    except SettingsError as refusal:
        return _refused(name, str(refusal))
    return _shown(talk, name, changes, "is so already")


async def _back(talk: Talk, request: Request, name: str, _value: str) -> Reply:
    return _shown(talk, name, await talk.hands.change(talk.book.back_to_env, name, request.by), "follows .env already")


async def _undo(talk: Talk, number: str, by: str) -> Reply:
    """The button names the change; without one the newest is meant."""
    newest = await talk.hands.ask(talk.book.last_change)
    wanted = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
    if newest is None or (number and newest.number != wanted):
        return reply(render_settings.groups(talk.book), "that is undone already; nothing was changed")
    if newest.name == WATCHED:
        return await watch.undo(talk, newest, by)
    changes = await talk.hands.change(talk.book.undo, newest.number, by)
    return _shown(talk, newest.name, changes, "is undone already")


async def _ask(talk: Talk, request: Request, name: str, _value: str) -> Reply:
    """The text field opens; what is typed is checked like any other value."""
    known = EDITABLE[name]
    subject = render_settings.spoken(name)
    await waiting.ask(talk, request, ASKED_SETTING, subject, {"name": name}, wants=Wants.TEXT)
    now = render_settings.shown(known, talk.book.value(name))
    question = paragraphs(
        f"✏️ {bold(subject)} is {esc(now)}. What shall it be?",
        f"Allowed: {esc(render_settings.limits(known))}. /cancel leaves it as it is.",
    )
    hint = known.example if known.unit is Unit.NAME else render_settings.shown(known, known.example)
    return reply(Message(question, asking(hint)), "asked for a value")


async def _answered(talk: Talk, request: Request, asked: Confirmation) -> Reply:
    """A value that is refused leaves the question open."""
    name = asked.payload["name"]
    if talk.factor is not None and second.is_of_risk(name):
        return await second.ask(talk, request, f"/settings set {name} {request.words}")
    answer = await _set(talk, request, name, request.words)
    if answer.outcome != "refused":
        await talk.hands.change(waiting.settle, talk, asked, Outcome.CONFIRMED)
    return answer


def _shown(talk: Talk, name: str, changes: list[Change], unchanged: str) -> Reply:
    """The setting as it is now; the outcome is the toast, and a line of its own where there is none."""
    outcome = "; ".join(render_settings.changed(each) for each in changes)
    outcome = outcome or f"{render_settings.spoken(name)} {unchanged}"
    message = profiles.shown(talk) if name == CHOSEN else render_settings.setting(talk.book, name)
    told = f"✅ {esc(outcome)}. It counts from the next decision on." if changes else f"{esc(outcome)}."
    return Reply((Message(paragraphs(told, message.text), message.keyboard),), outcome)


def _refused(name: str, problem: str) -> Reply:
    known = EDITABLE[name]
    allowed = f"Allowed: {render_settings.limits(known)}. Nothing was changed."
    shown = known.example if known.unit is Unit.NAME else render_settings.shown(known, known.example)
    example = code(esc(f"/settings {name} {shown}"))
    return reply(Message(paragraphs(f"{esc(problem)}", f"{esc(allowed)}\n{example}")), "refused")


def _unknown(name: str) -> Reply:
    if name.strip().upper() == WATCHED:
        return reply(Message("What is traded is set by /watch. Nothing was changed."), "set by /watch")
    text = f"“{esc(name, 40)}” cannot be set from here. /settings shows what can. Nothing was changed."
    return reply(Message(text), "unknown setting")


def _cut(words: str) -> tuple[str, str]:
    """The first word and the rest; a button has a hyphen between them."""
    first, _, rest = re.sub(r"[\s-]+", " ", words.strip(), count=1).partition(" ")
    return first, rest


def _named(words: str) -> str | None:
    """STOP_LOSS, stop_loss, or the name with blanks as it is shown."""
    tidy = words.strip().upper().replace(" ", "_")
    return tidy if tidy in EDITABLE else None


ANSWERS: Mapping[str, Answer] = {ASKED_SETTING: _answered}
