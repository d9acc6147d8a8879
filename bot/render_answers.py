"""What became of a command, and the list of what waits for the owner. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import bold, code, italic, line, paragraphs
from bot.message import Message
from bot.render_marks import badges, first_line
from bot.render_reasons import sentence
from core.domain.accounts import Badge
from core.domain.records import Instruction
from core.domain.views import OwnerAnswer

NOTHING_WAITS = "✋ Nothing waits for you."


def answer(given: OwnerAnswer, zone: ZoneInfo) -> Message:
    """What became of a command; where the owner must choose, each choice as a command to copy."""
    choices = "\n".join(
        f"#{entry.number} {_deed(entry)} @ {numbers.price(entry.price)}: {code(f'/executed #{entry.number}')}"
        for entry in given.candidates[:20]
    )
    hint = italic("Name one by its number, with quantity and price as you like.") if choices else ""
    return Message(paragraphs(sentence(given.text, zone, 1500) or "Done.", choices, hint))


def pending(instructions: Sequence[Instruction], zone: ZoneInfo, marks: Iterable[Badge] = ()) -> Message:
    """The list above the cards that /pending sends again; `marks` are those of the accounts in it."""
    if not instructions:
        return Message(NOTHING_WAITS)
    rows = "\n".join(
        f"#{entry.number} {bold(_deed(entry))} @ {numbers.price(entry.price)}, "
        + (f"expires {numbers.moment(entry.expires_at, zone)}" if entry.expires_at else "waits for you")
        for entry in instructions[:30]
    )
    shown = tuple(dict.fromkeys(marks))
    title = first_line(
        "✋", f"{numbers.count(len(instructions), 'instruction')} waiting", *([badges(shown)] if shown else [])
    )
    return Message(paragraphs(title, rows))


def _deed(entry: Instruction) -> str:
    return f"{line(entry.symbol, 20)} {entry.side.upper()} {numbers.quantity(entry.quantity)}"
