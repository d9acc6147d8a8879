"""What the owner did by hand: /executed and /skip."""

from __future__ import annotations

from collections.abc import Sequence

from bot import cards, render_views
from bot.cards import CardAction, CardToken
from bot.commands.fill_text import Problem, parse_fill, parse_side
from bot.commands.talk import Reply, Request, Talk
from bot.markup import code, esc, paragraphs
from bot.message import Message
from core.domain.orders import Side
from core.domain.records import Instruction
from core.domain.views import ReportedFill


async def executed(talk: Talk, request: Request) -> Reply:
    """Books a fill as the owner words it; what is unclear is asked, never guessed."""
    if not request.words.strip():
        return await _which(talk, "executed")
    fill = parse_fill(request.words, talk.symbols)
    if isinstance(fill, Problem):
        return _unclear(fill.sentence)
    side = parse_side(request.words)
    if side is not None:
        contradiction = _other_side(fill, side, await talk.hands.ask(talk.owner.pending))
        if contradiction:
            return _unclear(contradiction)
    answer = await talk.hands.change(talk.owner.report_fill, fill, request.tap)
    return Reply((render_views.answer(answer, talk.zone),), answer.kind.value)


def _matches(entry: Instruction, fill: ReportedFill) -> bool:
    return (fill.number is None or entry.number == fill.number) and (fill.symbol is None or entry.symbol == fill.symbol)


def _other_side(fill: ReportedFill, side: Side, waiting: Sequence[Instruction]) -> str | None:
    """Why `bought` or `sold` contradicts everything that waits; booking the other side would be a guess."""
    fitting = [entry for entry in waiting if _matches(entry, fill)]
    if not fitting or any(entry.side is side for entry in fitting):
        return None
    entry = fitting[0]
    said = "bought" if side is Side.BUY else "sold"
    return f"You wrote {said}, but #{entry.number} is a {entry.side.value} of {entry.symbol}. Nothing was booked."


async def skip(talk: Talk, request: Request) -> Reply:
    """Drops the instruction named by number or by an unambiguous symbol."""
    if not request.words.strip():
        return await _which(talk, "skip")
    named = parse_fill(request.words, talk.symbols)
    if isinstance(named, Problem) or named.quantity is not None or named.price is not None:
        return _unclear("Which instruction? Name its symbol or number: /skip SPY or /skip #7")
    fitting = [entry for entry in await talk.hands.ask(talk.owner.pending) if _matches(entry, named)]
    if len(fitting) != 1:
        what = f"#{named.number}" if named.number is not None else named.symbol or ""
        found = "More than one instruction fits" if fitting else "No open instruction fits"
        choices = "\n".join(
            f"#{entry.number} {esc(entry.symbol)}: {code(f'/skip #{entry.number}')}" for entry in fitting
        )
        return Reply((Message(paragraphs(f"{found} {esc(what)}. Nothing was skipped.", choices)),), "ambiguous")
    (entry,) = fitting
    action = CardAction.DECLINE if entry.needs_approval else CardAction.SKIP
    answer = await talk.hands.change(cards.perform, talk.owner, CardToken(action, entry.number, entry.version))
    return Reply((render_views.answer(answer, talk.zone),), answer.kind.value)


async def _which(talk: Talk, verb: str) -> Reply:
    waiting = await talk.hands.ask(talk.owner.pending)
    if not waiting:
        return Reply((Message(render_views.NOTHING_WAITS),), "nothing pending")
    listed = render_views.pending(waiting, talk.zone).text
    example = code(f"/{verb} #{waiting[0].number}")
    return Reply((Message(paragraphs(listed, f"Name one, for example {example}")),), "asked which")


def _unclear(sentence: str) -> Reply:
    return Reply((Message(esc(sentence)),), "not understood")
