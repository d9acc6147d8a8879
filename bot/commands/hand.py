"""The owner's hand on a position: /close (C3), /stop and /target (C4). Each shows a card first and acts on Confirm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from bot import render_hand
from bot.commands import waiting
from bot.commands.amounts import Problem, parse_amount
from bot.commands.talk import Reply, Request, Talk, reply
from bot.commands.waiting import Answer, Deed
from bot.confirmations import Confirmation, Outcome, Wants, confirm_keyboard
from bot.markup import code, esc, paragraphs
from bot.message import Message
from core.domain.accounts import Badge
from core.domain.events import ReportPosition
from core.domain.values import ONE, plain
from core.domain.views import OwnerAnswer
from core.execution.closing import part_of
from core.execution.matching import same_symbol

CLOSE, LEVELS, ASKED_LEVEL = "close", "levels", "level"
_SPOKEN_PARTS = {"half": Decimal("0.5"), "all": ONE, "everything": ONE, "": ONE}
_PERCENT = re.compile(r"(.+?)\s*(?:%|percent)", re.DOTALL)
Found = list[tuple[ReportPosition, tuple[Badge, ...]]]


async def close(talk: Talk, request: Request) -> Reply:
    """Shows what would be sold, and sells it when that is confirmed: `/close SPY`, `/close BTC 50%`."""
    spoken, _, words = request.words.strip().partition(" ")
    fraction = parse_part(words)
    if fraction is None:
        return _problem("How much of it? Write it in percent of what is held.", f"/close {spoken.upper()} 50%")
    found = await _held(talk, spoken)
    if isinstance(found, Message):
        return reply(found, "not held")
    sold = [(entry, marks, part_of(entry.symbol, entry.quantity, fraction)) for entry, marks in found]
    sellable = [each for each in sold if each[2] > 0]
    symbol = found[0][0].symbol
    if not sellable:
        return _problem(f"That part of {symbol} is less than can be sold. Nothing was changed.", f"/close {symbol}")
    asked = await waiting.ask(talk, request, CLOSE, f"Selling {symbol}", {"symbol": symbol, "part": plain(fraction)})
    card = render_hand.close_card(sellable, fraction)
    return reply(replace(card, keyboard=confirm_keyboard(asked, f"✅ Sell {symbol}"[:40])), "asked first")


async def stop(talk: Talk, request: Request) -> Reply:
    """`/stop SPY 495`; without a price it is asked for."""
    return await _level(talk, request, "stop")


async def target(talk: Talk, request: Request) -> Reply:
    """`/target SPY 560`; without a price it is asked for."""
    return await _level(talk, request, "target")


def parse_part(words: str) -> Decimal | None:
    """`50%`, `12,5 %`, `half`, `all`, or nothing for all. None for anything else: a bare number could be units."""
    tidy = words.strip().lower()
    if tidy in _SPOKEN_PARTS:
        return _SPOKEN_PARTS[tidy]
    found = _PERCENT.fullmatch(tidy)
    amount = parse_amount(found.group(1)) if found else None
    if not isinstance(amount, Decimal) or not 0 < amount <= 100:
        return None
    return amount / 100


async def _level(talk: Talk, request: Request, what: str) -> Reply:
    spoken, _, words = request.words.strip().partition(" ")
    found = await _held(talk, spoken, f"/{what} SPY 495")
    if isinstance(found, Message):
        return reply(found, "not held")
    if words.strip():
        return await _level_card(talk, request, found, what, words)
    symbol = found[0][0].symbol
    await waiting.ask(
        talk, request, ASKED_LEVEL, f"New {what} of {symbol}", {"symbol": symbol, "what": what}, wants=Wants.TEXT
    )
    return reply(render_hand.level_question(*found[0], what), "asked for the price")


async def _level_card(talk: Talk, request: Request, found: Found, what: str, words: str) -> Reply:
    symbol = found[0][0].symbol
    amount = parse_amount(words)
    if isinstance(amount, Problem):
        return _problem(f"{amount.sentence} Nothing was changed.", f"/{what} {symbol} {plain(found[0][0].price)}")
    wrong = _objection(found, what, amount)
    if wrong:
        return _problem(wrong, f"/close {symbol}")
    asked = await waiting.ask(
        talk,
        request,
        LEVELS,
        f"New {what} of {symbol}",
        {"symbol": symbol, what: plain(amount)},
    )
    levels = (amount, None) if what == "stop" else (None, amount)
    card = render_hand.levels_card(found, *levels)
    return reply(replace(card, keyboard=confirm_keyboard(asked, f"✅ Move the {what}")), "asked first")


def _objection(found: Found, what: str, level: Decimal) -> str | None:
    """The engine judges again when it is confirmed; this spares a card that can only be refused."""
    if level <= 0:
        return f"A {what} must be above zero. Nothing was changed. To sell it:"
    for entry, _ in found:
        if (what == "stop" and level >= entry.price) or (what == "target" and level <= entry.price):
            return (
                f"{entry.symbol} is at {plain(entry.price)} USD: a {what} at {plain(level)} would sell at once. "
                "Nothing was changed. To sell it:"
            )
    return None


async def _answered_level(talk: Talk, request: Request, asked: Confirmation) -> Reply:
    """A number that cannot be read leaves the question open."""
    what, symbol = asked.payload["what"], asked.payload["symbol"]
    found = await _held(talk, symbol)
    if isinstance(found, Message):
        return reply(found, "not held")
    answer = await _level_card(talk, request, found, what, request.words)
    if answer.outcome == "asked first":
        await talk.hands.change(waiting.settle, talk, asked, Outcome.CONFIRMED)
    return answer


def _do_close(talk: Talk, asked: Confirmation) -> OwnerAnswer:
    return talk.owner.close(asked.payload["symbol"], Decimal(asked.payload["part"]), "owner", asked.tap_key)


def _do_levels(talk: Talk, asked: Confirmation) -> OwnerAnswer:
    stop_text, target_text = asked.payload.get("stop"), asked.payload.get("target")
    return talk.owner.move_levels(
        asked.payload["symbol"],
        Decimal(stop_text) if stop_text else None,
        Decimal(target_text) if target_text else None,
        "owner",
        asked.tap_key,
    )


async def _held(talk: Talk, spoken: str, example: str = "/close SPY 50%") -> Found | Message:
    """The positions in the asset, with their accounts' badges; or what to say where there is none."""
    view = await talk.hands.ask(talk.owner.positions)
    marks = {account.account: account.badges for account in view.accounts}
    found = [
        (entry, marks.get(entry.account, view.badges))
        for entry in view.positions
        if spoken and same_symbol(spoken, entry.symbol)
    ]
    return found or render_hand.not_held(spoken, view.positions, example)


def _problem(sentence: str, example: str) -> Reply:
    return reply(Message(paragraphs(f"{esc(sentence)} {code(esc(example))}")), "not understood")


DEEDS: Mapping[str, Deed] = {CLOSE: _do_close, LEVELS: _do_levels}
ANSWERS: Mapping[str, Answer] = {ASKED_LEVEL: _answered_level}
