"""What the owner books of himself in his own account: /bought, /sold, money, /split, /undo, /correct.

Everything is shown before it is booked.
"""

from __future__ import annotations

import re
from decimal import Decimal

from bot.commands.amounts import LONGEST, Problem, normal, parse_amount
from bot.commands.fill_text import Context, parse_fill
from bot.commands.fills import shown, unclear, wall_clock
from bot.commands.talk import Command, Handler, Reply, Request, Talk
from bot.markup import code, esc
from bot.message import Message
from core.domain.drafts import CashDeed, SplitDeed, UndoDeed
from core.domain.orders import Side
from core.domain.portfolio import CashKind
from core.domain.values import ZERO
from core.domain.views import Correction, OwnTrade

_FILL_ID = re.compile(r"\bfill\s+([0-9a-f]{6,24})\b", re.IGNORECASE)
_RATIO = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?::|/|-?\s*for\s*-?|to)\s*(\d+(?:[.,]\d+)?)")
_NUMBERED = re.compile(r"\$?\d")
_LONGEST_NOTE = 80
_NAMELESS = Context(0, ZERO, ZERO)
"""A correction need not name its fill: it is the newest one then. No instruction has the number 0."""


def traded(side: Side) -> Handler:
    """/bought or /sold: a trade that no instruction asked for."""
    verb = "bought" if side is Side.BUY else "sold"

    async def handler(talk: Talk, request: Request) -> Reply:
        said = parse_fill(request.words, talk.symbols, clock=wall_clock(talk))
        if isinstance(said, Problem):
            return _not_read(said.sentence, f"/{verb} SPY 10 @ 512.30")
        if said.number is not None:
            return unclear(f"A fill of an instruction is reported as /executed #{said.number}. Nothing was booked.")
        if said.side not in (None, side):
            return unclear("Bought or sold? You named both. Nothing was booked.")
        if said.symbol is None or said.quantity is None or said.price is None:
            return _not_read("I need symbol, quantity and price.", f"/{verb} SPY 10 @ 512.30 fee 1")
        trade = OwnTrade(said.symbol, side, said.quantity, said.price, said.fee or ZERO, said.at)
        return await shown(talk, request, trade)

    return handler


def money(kind: CashKind, example: str) -> Handler:
    """/deposit 500, /dividend SPY 12.30: the one amount is USD, what else is said is kept as a note."""

    async def handler(talk: Talk, request: Request) -> Reply:
        words = " ".join(request.words.split())[:LONGEST].split()
        amounts = [word for word in words if _NUMBERED.match(normal(word))]
        if len(amounts) != 1:
            why = "How much, in USD?" if not amounts else "Which number is the amount? Write it without spaces."
            return _not_read(why, example)
        amount = parse_amount(amounts[0])
        if isinstance(amount, Problem):
            return _not_read(amount.sentence, example)
        note = " ".join(word for word in words if word is not amounts[0] and word.lower() not in ("usd", "$"))
        return await shown(talk, request, CashDeed(kind, amount, note[:_LONGEST_NOTE]))

    return handler


async def split(talk: Talk, request: Request) -> Reply:
    """/split SPY 4:1, four new units for one old."""
    text = normal(request.words[:LONGEST])
    found = _RATIO.search(text)
    symbol = (text.replace(found.group(0), " ") if found else text).strip(" ,.;").upper()
    if found is None or not symbol or len(symbol.split()) != 1:
        return _not_read("I need the symbol, and how many new units came for how many old ones.", "/split SPY 4:1")
    new, old = (Decimal(part.replace(",", ".")) for part in found.groups())
    if not new or not old:
        return _not_read("Neither side of a split can be zero.", "/split SPY 4:1")
    return await shown(talk, request, SplitDeed(symbol, new / old))


async def undo(talk: Talk, request: Request) -> Reply:
    """Takes back the newest booking of the manual account."""
    return await shown(talk, request, UndoDeed())


async def correct(talk: Talk, request: Request) -> Reply:
    """/correct #7 price 512.40 fee 1; the fill is named by its instruction, its symbol or its id."""
    example = "/correct #7 price 512.40 fee 1"
    named = _FILL_ID.search(request.words)
    text = _FILL_ID.sub(" ", request.words)
    said = parse_fill(text, talk.symbols, context=_NAMELESS)
    if isinstance(said, Problem):
        return _not_read(said.sentence, example)
    if said.quantity is None and said.price is None and said.fee is None:
        return _not_read("What should it be? Name price, quantity or fee.", example)
    fill_id = named.group(1).lower() if named else None
    correction = Correction(
        fill_id, said.quantity, said.price, said.fee, number=said.number or None, symbol=said.symbol
    )
    return await shown(talk, request, correction)


def _not_read(sentence: str, example: str) -> Reply:
    return Reply((Message(f"{esc(sentence)} Nothing was booked. For example: {code(esc(example))}"),), "not understood")


COMMANDS: tuple[Command, ...] = (
    Command("bought", "SPY 10 @ 512.30", "book a purchase of your own", traded(Side.BUY)),
    Command("sold", "SPY 10 @ 512.30", "book a sale of your own", traded(Side.SELL)),
    Command("undo", "", "take back your newest booking", undo),
    Command("correct", "#7 price 512.40 fee 1", "change a fill that is booked", correct),
    Command("deposit", "500", "money you paid in", money(CashKind.DEPOSIT, "/deposit 500")),
    Command("withdraw", "500", "money you took out", money(CashKind.WITHDRAWAL, "/withdraw 500")),
    Command("dividend", "SPY 12.30", "a dividend you were paid", money(CashKind.DIVIDEND, "/dividend SPY 12.30")),
    Command("interest", "3.10", "interest you were paid", money(CashKind.INTEREST, "/interest 3.10")),
    Command("fee", "5", "a fee beside any trade", money(CashKind.FEE, "/fee 5")),
    Command("split", "SPY 4:1", "a split: four new for one old", split),
)
