"""/help: the essentials on one screen of a phone, and a chapter behind each button."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot import menus
from bot.commands.talk import Command, Reply, reply
from bot.markup import bold, code, esc, paragraphs
from bot.message import Button, Keyboard, Message, in_rows

ALL = "all"
ESSENTIALS = ("status", "positions", "pending", "executed", "why", "pause", "flatten", "menu")


@dataclass(frozen=True, slots=True)
class Chapter:
    """`name` is what stands after /help, `label` is its heading and its button; `hint` in HTML stands below."""

    name: str
    label: str
    commands: tuple[Command, ...]
    hint: str = ""


def help_message(chapters: Sequence[Chapter], wanted: str) -> Reply:
    """The essentials; with the name of a chapter that one; with `all` everything."""
    name = wanted.strip().lower()
    found = next((each for each in chapters if each.name == name), None)
    if found is not None:
        back = (Button("‹ Help", menus.menu_token(f"help{menus.IN_PLACE}")),)
        return reply(Message(_shown(found), (back,)))
    if name == ALL:
        return reply(Message(paragraphs(f"📖 {bold('What I understand')}", *map(_shown, chapters))))
    known = {command.name: command for chapter in chapters for command in chapter.commands}
    title = f"📖 {bold('What I understand')}"
    more = f"Tap one, or type it. More behind the buttons; {code(f'/help {ALL}')} lists everything."
    return reply(Message(paragraphs(title, _lines(known[each] for each in ESSENTIALS), more), _buttons(chapters)))


def _shown(chapter: Chapter) -> str:
    return paragraphs(f"{bold(esc(chapter.label))}", _lines(chapter.commands), chapter.hint)


def _lines(commands: Iterable[Command]) -> str:
    return "\n".join(
        f"/{command.name}{' ' + code(esc(command.usage)) if command.usage else ''} – {esc(command.words)}"
        for command in commands
    )


def _buttons(chapters: Sequence[Chapter]) -> Keyboard:
    return in_rows([Button(each.label, menus.menu_token(f"help-{each.name}{menus.IN_PLACE}")) for each in chapters])
