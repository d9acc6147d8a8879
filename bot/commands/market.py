"""/bars: how complete the stored bars are, in a short table and a picture. Nothing here changes anything."""

from __future__ import annotations

from bot import render_bars
from bot.bars_picture import picture
from bot.commands.talk import Reply, Request, Talk, reply
from bot.message import Attachment, Message
from core.execution.matching import same_symbol

NAME = "bars.png"


async def bars(talk: Talk, request: Request) -> Reply:
    """`/bars`, `/bars SPY BTC`: of all that is traded, or of these."""
    if talk.coverage is None:
        return reply(render_bars.no_store())
    wanted = request.words.upper().replace(",", " ").split()
    found = await talk.hands.ask(talk.coverage)
    shown = [one for one in found if not wanted or any(same_symbol(one.symbol, word) for word in wanted)]
    if not shown:
        return reply(render_bars.nothing_of(wanted, sorted({one.symbol for one in found})))
    drawn = await talk.hands.ask(picture, shown)
    words = render_bars.coverage(shown)
    return reply(Message(words.text, words.keyboard, attachment=Attachment(NAME, drawn, is_picture=True)))
