"""What the owner did by hand on an instruction: /executed, /skip, and what he writes as a reply to a card.

What is typed is shown before it is booked; what is unclear is asked, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from bot import cards, render_answers, render_cards, render_drafts
from bot.cards import CardAction, CardToken
from bot.commands.amounts import Problem
from bot.commands.fill_text import Context, parse_fill
from bot.commands.talk import Reply, Request, Talk
from bot.commands.when import WallClock
from bot.markup import code, esc, paragraphs
from bot.message import Message
from bot.render_cards import PRICE_ASKED
from core.domain.accounts import Badge
from core.domain.drafts import Deed
from core.domain.records import Instruction
from core.domain.values import ZERO
from core.domain.views import OwnTrade, ReportedFill

HINT = "I answer commands. /help shows all I understand."
_NUMBER = re.compile(r"#(\d{1,12})\b", re.ASCII)
_VERB = re.compile(r"\s*(?:i\s+)?(?:bought|sold|buy|sell)\b", re.IGNORECASE)


async def executed(talk: Talk, request: Request) -> Reply:
    """Shows what a fill in the owner's words would book."""
    if not request.words.strip():
        return await _which(talk, "executed")
    fill = parse_fill(request.words, talk.symbols, clock=wall_clock(talk))
    if isinstance(fill, Problem):
        return unclear(fill.sentence)
    return await shown(talk, request, fill)


async def spoken(talk: Talk, request: Request) -> Reply:
    """A text that is no command: a fill in reply to a card or to the question for its price, or one that says itself
    what it is (`bought 10 SPY at 512.30`)."""
    number = card_number(request.replied)
    if number is not None:
        return await _replied(talk, request, number)
    fill = parse_fill(request.words, talk.symbols, clock=wall_clock(talk))
    is_meant = _VERB.match(request.words) is not None
    if isinstance(fill, Problem):
        return unclear(fill.sentence) if is_meant else Reply((Message(HINT),), "hint")
    if not (is_meant or fill.quantity is not None or fill.price is not None or fill.number is not None):
        return Reply((Message(HINT),), "hint")
    waiting = await talk.hands.ask(talk.owner.pending)
    return await shown(talk, request, _own_trade(fill, waiting) or fill)


def _own_trade(fill: ReportedFill, waiting: Sequence[Instruction]) -> OwnTrade | None:
    """`bought 10 SPY at 512.30` where no instruction waits for SPY: a trade of the owner's own, as with /bought."""
    if fill.side is None or fill.number is not None or any(_matches(entry, fill) for entry in waiting):
        return None
    if fill.symbol is None or fill.quantity is None or fill.price is None:
        return None
    return OwnTrade(fill.symbol, fill.side, fill.quantity, fill.price, fill.fee or ZERO, fill.at)


def card_number(replied: str) -> int | None:
    """The one instruction that the first line of our own message names; None for none or several."""
    named = {int(number) for number in _NUMBER.findall(replied.partition("\n")[0])}
    return named.pop() if len(named) == 1 else None


async def _replied(talk: Talk, request: Request, number: int) -> Reply:
    card = await talk.hands.ask(talk.owner.card, number)
    if card is None:
        again = code(f"/executed #{number} 10 @ 512.30")
        text = f"#{number} is closed by now, and nothing was booked. If you did trade, report it by its number: {again}"
        return Reply((Message(text),), "closed already")
    context = Context(
        number=number,
        price=card.price,
        left=card.quantity - card.filled,
        price_asked=PRICE_ASKED in request.replied.partition("\n")[0],
    )
    fill = parse_fill(request.words, talk.symbols, clock=wall_clock(talk), context=context)
    return unclear(fill.sentence) if isinstance(fill, Problem) else await shown(talk, request, fill)


async def ask_price(talk: Talk, number: int, card_message: int | None) -> Reply:
    """What the button Different price asks, as a reply to the card."""
    entry = next((each for each in await talk.hands.ask(talk.owner.pending) if each.number == number), None)
    if entry is None:
        return Reply((), "closed already")
    question = render_cards.price_question(entry, (Badge.MANUAL,))
    return Reply((replace(question, reply_to=card_message),), "asked for the price")


async def shown(talk: Talk, request: Request, deed: Deed) -> Reply:
    """The deed as a card with Confirm and Cancel, or why it cannot be booked."""
    answer = await talk.hands.change(talk.owner.draft, deed, request.tap)
    outcome = "asked to confirm" if answer.draft is not None else answer.answer.kind.value
    return Reply((render_drafts.drafted(answer, talk.zone),), outcome)


def wall_clock(talk: Talk) -> WallClock:
    """Times in words are the market's, which in a simulated world has a clock of its own."""
    return WallClock(talk.market_clock.now(), talk.zone)


async def skip(talk: Talk, request: Request) -> Reply:
    """Drops the instruction named by number or by an unambiguous symbol."""
    if not request.words.strip():
        return await _which(talk, "skip")
    named = parse_fill(request.words, talk.symbols)
    if isinstance(named, Problem) or named.quantity is not None or named.price is not None:
        return unclear("Which instruction? Name its symbol or number: /skip SPY or /skip #7")
    fitting = [entry for entry in await talk.hands.ask(talk.owner.pending) if _matches(entry, named)]
    if len(fitting) != 1:
        return _not_one(named, fitting)
    (entry,) = fitting
    action = CardAction.DECLINE if entry.needs_approval else CardAction.SKIP
    answer = await talk.hands.change(cards.perform, talk.owner, CardToken(action, entry.number, entry.version))
    return Reply((render_answers.answer(answer, talk.zone),), answer.kind.value)


def _matches(entry: Instruction, fill: ReportedFill) -> bool:
    return (fill.number is None or entry.number == fill.number) and (fill.symbol is None or entry.symbol == fill.symbol)


def _not_one(named: ReportedFill, fitting: Sequence[Instruction]) -> Reply:
    what = f"#{named.number}" if named.number is not None else named.symbol or ""
    found = "More than one instruction fits" if fitting else "No open instruction fits"
    choices = "\n".join(f"#{entry.number} {esc(entry.symbol)}: {code(f'/skip #{entry.number}')}" for entry in fitting)
    return Reply((Message(paragraphs(f"{found} {esc(what)}. Nothing was skipped.", choices)),), "ambiguous")


async def _which(talk: Talk, verb: str) -> Reply:
    waiting = await talk.hands.ask(talk.owner.pending)
    if not waiting:
        return Reply((Message(render_answers.NOTHING_WAITS),), "nothing pending")
    listed = render_answers.pending(waiting, talk.zone).text
    example = code(f"/{verb} #{waiting[0].number}")
    return Reply((Message(paragraphs(listed, f"Name one, for example {example}")),), "asked which")


def unclear(sentence: str) -> Reply:
    said, _, example = sentence.partition(" Example: ")
    return Reply((Message(f"{esc(said)}\n{code(esc(example))}" if example else esc(said)),), "not understood")
