"""Looking: /status, /positions, /pending, /report, /start. Nothing here changes anything."""

from __future__ import annotations

from bot import (
    menus,
    render_accounts,
    render_answers,
    render_cards,
    render_report,
    render_safety,
    render_status,
    render_why,
)
from bot.commands import notices
from bot.commands.talk import Reply, Request, Talk, reply
from bot.markup import paragraphs
from bot.message import Message
from bot.render_marks import all_badges, first_line
from core.domain.accounts import Account, AccountKind, Badge, World
from core.execution.matching import same_symbol

_MOST_CARDS = 10


async def status(talk: Talk, request: Request) -> Reply:
    """As things are now; with `live` a message that is kept up to date in place."""
    words = request.words.lower().replace("-", " ").split()
    if words[:1] == ["live"]:
        return await notices.live(talk, " ".join(words[1:]))
    view = await talk.hands.ask(talk.owner.status)
    return reply(render_status.status(view, talk.zone))


async def positions(talk: Talk, _request: Request) -> Reply:
    return reply(render_accounts.positions(await talk.hands.ask(talk.owner.positions), talk.zone))


async def report(talk: Talk, _request: Request) -> Reply:
    return reply(render_report.report(await talk.hands.ask(talk.owner.report), talk.zone))


async def pending(talk: Talk, _request: Request) -> Reply:
    """The list, then each open card again with its buttons: old ones may be far up in the chat."""
    waiting = await talk.hands.ask(talk.owner.pending)
    asked = await talk.hands.ask(talk.owner.questions)
    if not waiting and not asked:
        return reply(render_answers.pending((), talk.zone))
    simulated = (await talk.hands.ask(talk.owner.status)).simulated_prices
    world = World.SIMULATED if simulated else World.REAL
    shown = [await talk.hands.ask(talk.owner.card, entry.number) for entry in list(waiting)[-_MOST_CARDS:]]
    cards = [render_cards.card(card, talk.zone, card.badges) for card in shown if card is not None]
    cards += [
        render_safety.question(each, _badges(each.account, world), talk.zone) for each in list(asked)[-_MOST_CARDS:]
    ]
    if len(waiting) + len(asked) == 1 or not waiting:
        return Reply(tuple(cards), "answered")
    marks = [mark for entry in waiting for mark in _badges(entry.account, world)]
    return Reply((render_answers.pending(waiting, talk.zone, marks), *cards), "answered")


async def signals(talk: Talk, _request: Request) -> Reply:
    """The newest judgement of each symbol in a line: bought, or the first gate that said no."""
    judged = await talk.hands.ask(talk.owner.signals)
    view = await talk.hands.ask(talk.owner.status)
    return reply(render_why.signals(judged, view.badges, talk.zone))


async def why(talk: Talk, request: Request) -> Reply:
    """The stored judgement of one symbol: probability and what moved it, every gate, age of the data, the model."""
    judged = await talk.hands.ask(talk.owner.signals)
    spoken = request.words.strip()
    found = next((each for each in judged if spoken and same_symbol(spoken, each.symbol)), None)
    if found is None:
        return reply(render_why.no_judgement(spoken, judged), "no such judgement")
    view = await talk.hands.ask(talk.owner.status)
    moved = await talk.hands.ask(talk.owner.reasons, found.prediction) if found.prediction is not None else None
    closed = await talk.hands.ask(talk.owner.closed_trades, found.symbol)
    return reply(render_why.why(found, view.badges, view.market_now, talk.zone, moved, closed))


async def menu(talk: Talk, request: Request) -> Reply:
    """Everything there is, as buttons; its own brake turns in place."""
    outcome = "answered"
    if request.words == "pause":
        outcome = (await talk.hands.brake(talk.owner.pause, None, request.by)).text
    elif request.words == "resume":
        outcome = (await talk.hands.brake(talk.owner.resume, request.by)).text
    view = await talk.hands.ask(talk.owner.status)
    return reply(menus.whole_menu(view), outcome)


def _badges(account: str, world: World) -> tuple[Badge, ...]:
    """An account's id is its kind's value."""
    return Account(account, AccountKind(account), world).badges()


async def start(talk: Talk, _request: Request) -> Reply:
    view = await talk.hands.ask(talk.owner.status)
    hello = paragraphs(
        first_line("👋", "AutoTrader", all_badges(view.accounts, view.badges)),
        "I trade by rules I can explain, and tell you everything I do. /help shows all I understand.",
    )
    return reply(Message(hello, menus.menu(view.paused)))
