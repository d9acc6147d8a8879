"""/watch: what is traded (S3). A symbol is added after the source of prices was asked about it, and removed when
nothing holds on to it; both only on Confirm, from the next tick on, with undo."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from bot import render_watch
from bot.commands import waiting
from bot.commands.talk import Reply, Request, Talk, reply
from bot.commands.waiting import Answer, Deed
from bot.confirmations import Confirmation, Outcome, Wants, confirm_keyboard
from bot.markup import bold, esc, paragraphs
from bot.message import Message, asking
from core.domain.instruments import DEFAULT_SYMBOLS, Listing
from core.domain.views import AnswerKind, OwnerAnswer
from core.errors import DataFault, Transient, UnknownSymbol
from core.execution.matching import same_symbol
from core.execution.watching import Ties, ties_of
from core.settings import SettingsError
from core.settings.book import Change
from core.settings.checks import is_symbol
from core.settings.editable import WATCHED

ADD, REMOVE, ASKED = "watch", "unwatch", "watch symbol"
MOST_WATCHED: Final = 50
"""Two questions to the source for each, four a second at most: half of the minute that collecting may take."""
GUESSES: Final = 3
_WORDS = re.compile(r"[\s-]+")


@dataclass(frozen=True, slots=True)
class _Unknown:
    """Nothing of that name can be traded: why, and what may be meant."""

    problem: str
    guesses: tuple[str, ...] = ()


async def watch(talk: Talk, request: Request) -> Reply:
    """`/watch`, `/watch add DIA` (or just `/watch DIA`), `/watch remove DIA`, `/watch env`."""
    words = request.words.strip()
    verb, rest = [*_WORDS.split(words, maxsplit=1), ""][:2]
    match verb.lower():
        case "" | "list":
            return reply(_list(talk))
        case "add":
            return await _add(talk, request, rest) if rest else await _ask(talk, request)
        case "remove" | "rm" | "delete":
            return await _remove(talk, request, rest)
        case "env":
            return await _back(talk, request)
        case _:
            return await _add(talk, request, words)


def _list(talk: Talk) -> Message:
    is_own = talk.book.override(WATCHED) is not None
    return render_watch.universe(talk.book.current.symbols, is_own=is_own, most=MOST_WATCHED)


async def _ask(talk: Talk, request: Request) -> Reply:
    await waiting.ask(talk, request, ASKED, "A symbol to watch", {}, wants=Wants.TEXT)
    question = f"👀 Which {bold('symbol')}? As Yahoo writes it: DIA, BRK-B, DOGE-USD. /cancel leaves all as it is."
    return reply(Message(question, asking("DIA")), "asked for a symbol")


async def _answered(talk: Talk, request: Request, asked: Confirmation) -> Reply:
    """A symbol that nobody knows leaves the question open."""
    answer = await _add(talk, request, request.words)
    if answer.outcome != "unknown":
        await talk.hands.change(waiting.settle, talk, asked, Outcome.CONFIRMED)
    return answer


async def _add(talk: Talk, request: Request, spoken: str) -> Reply:
    watched = talk.book.current.symbols
    known = next((each for each in watched if same_symbol(spoken, each)), None)
    if known is not None:
        return reply(Message(f"{esc(known)} is watched already. /watch shows all."), "watched already")
    full = _full(watched)
    if full:
        return reply(Message(esc(full)), "too many")
    if talk.lookup is None:
        return reply(Message("Nobody can be asked about symbols here. Nothing was changed."), "no source")
    # Not in a thread of the ledger's readers: the source may take its time.
    found = await asyncio.to_thread(_look_up, talk, spoken)
    if isinstance(found, _Unknown):
        return reply(render_watch.suggestion(found.problem, found.guesses), "unknown")
    if found.symbol in watched:
        return reply(Message(f"{esc(found.symbol)} is watched already. /watch shows all."), "watched already")
    payload = {"symbol": found.symbol}
    asked = await waiting.ask(talk, request, ADD, f"Watching {found.symbol}", payload)
    room = MOST_WATCHED - len(watched) - 1
    text = render_watch.found(found, talk.market_clock.now(), talk.zone, spoken=spoken.strip(), room=room)
    return reply(Message(text, confirm_keyboard(asked, f"✅ Watch {found.symbol}"[:40])), "asked first")


def _full(watched: Sequence[str]) -> str:
    if len(watched) < MOST_WATCHED:
        return ""
    return (
        f"{len(watched)} assets are watched, and more than {MOST_WATCHED} could not be asked about every five minutes: "
        "remove one first. Nothing was changed."
    )


def _look_up(talk: Talk, spoken: str) -> Listing | _Unknown:
    """The first writing of the symbol that the source knows. Blocks."""
    assert talk.lookup is not None
    writings = _writings(spoken)
    if not writings:
        return _Unknown(f"“{spoken.strip()[:30]}” is no symbol. Write it as Yahoo does: DIA, BRK-B, DOGE-USD.")
    reasons = []
    for symbol in writings:
        try:
            return talk.lookup.look_up(symbol)
        except UnknownSymbol as unknown:
            reasons.append(_unknown(symbol, unknown.reason))
        except DataFault as fault:
            reasons.append(f"{symbol} {fault.reason.rstrip('.')}.")
            break
        except Transient as trouble:
            return _Unknown(f"The source of prices cannot be asked now ({trouble}). Try again later.")
    names = tuple(dict.fromkeys((*DEFAULT_SYMBOLS, *(talk.book.env_value(WATCHED) or "").split(","))))
    watched = talk.book.current.symbols
    guesses = [each for each in get_close_matches(writings[0], names, GUESSES, 0.5) if each not in watched]
    return _Unknown(reasons[-1 if len(reasons) == 1 else 0], tuple(each for each in guesses if each))


def _unknown(symbol: str, reason: str) -> str:
    """A source speaks of itself (knows, has) or of the symbol (is no longer listed)."""
    subject = f"{symbol}: the source of prices" if reason.startswith(("knows ", "has ")) else symbol
    return f"{subject} {reason.rstrip('.')}."


def _writings(spoken: str) -> list[str]:
    """As it is written and as Yahoo would: BRK.B is BRK-B, and BTC, BTC/USD and BTCUSDT are coins. A short name that
    stands for a coin everywhere else in the chat does here, too."""
    name = spoken.strip().upper().lstrip("$").replace("/", "-")
    coins = [each for each in DEFAULT_SYMBOLS if each.endswith("-USD") and same_symbol(name, each)]
    bare = name.removesuffix("T").removesuffix("USD").removesuffix("-")
    if name.endswith(("USD", "USDT")) and bare:
        return [each for each in dict.fromkeys((*coins, f"{bare}-USD")) if is_symbol(each)]
    plain = [name, name.replace(".", "-"), *([] if "-" in name or "." in name else [f"{name}-USD"])]
    return [each for each in dict.fromkeys((*coins, *plain)) if is_symbol(each)]


async def _remove(talk: Talk, request: Request, spoken: str) -> Reply:
    watched = talk.book.current.symbols
    symbol = next((each for each in watched if same_symbol(spoken, each)), None)
    if symbol is None:
        guesses = get_close_matches(spoken.strip().upper(), watched, GUESSES, 0.5)
        named = f"“{spoken.strip()[:30]}” is not watched." if spoken.strip() else "Which one? /watch shows all."
        return reply(render_watch.suggestion(named, guesses, "remove"), "not watched")
    if len(watched) == 1:
        return reply(
            Message(f"{esc(symbol)} is the only one left; add another one first. Nothing was changed."), "last"
        )
    ties = await talk.hands.ask(_ties, talk, symbol)
    if ties:
        return reply(render_watch.tied(symbol, ties), "tied")
    asked = await waiting.ask(talk, request, REMOVE, f"No longer watching {symbol}", {"symbol": symbol})
    return reply(
        Message(render_watch.removal(symbol), confirm_keyboard(asked, f"✅ Remove {symbol}"[:40])), "asked first"
    )


def _ties(talk: Talk, symbol: str) -> Ties:
    with talk.ledger() as work:
        return ties_of(work, symbol)


def _do_add(talk: Talk, asked: Confirmation) -> OwnerAnswer:
    """In the writer: judged again, because another card may have been confirmed since."""
    symbol, watched = asked.payload["symbol"], talk.book.current.symbols
    if symbol in watched:
        return OwnerAnswer(AnswerKind.UNCHANGED, f"{symbol} is watched already.")
    full = _full(watched)
    if full:
        return OwnerAnswer(AnswerKind.REFUSED, full)
    return _changed(talk, (*watched, symbol), f"{symbol} is watched from the next tick on. /watch shows all.")


def _do_remove(talk: Talk, asked: Confirmation) -> OwnerAnswer:
    symbol, watched = asked.payload["symbol"], talk.book.current.symbols
    if symbol not in watched:
        return OwnerAnswer(AnswerKind.UNCHANGED, f"{symbol} is not watched any more.")
    if _ties(talk, symbol):
        text = f"{symbol} is held, ordered or asked about by now: the exit comes first. Nothing was changed."
        return OwnerAnswer(AnswerKind.REFUSED, text)
    left = tuple(each for each in watched if each != symbol)
    return _changed(talk, left, f"{symbol} is not watched any more, from the next tick on.")


def _changed(talk: Talk, symbols: Sequence[str], done: str) -> OwnerAnswer:
    try:
        talk.book.change({WATCHED: ",".join(symbols)}, "owner")
    except SettingsError as refusal:
        return OwnerAnswer(AnswerKind.REFUSED, str(refusal))
    return OwnerAnswer(AnswerKind.DONE, done)


async def _back(talk: Talk, request: Request) -> Reply:
    """To the list of .env or of the defaults, which may not lack what is held."""
    listed = talk.book.environment.symbols
    return await talk.hands.change(_unless_tied, talk, listed, lambda: talk.book.back_to_env(WATCHED, request.by))


async def undo(talk: Talk, change: Change, by: str) -> Reply:
    """Takes back the newest change of the list, unless something that would go is held."""
    before = tuple(change.before.split(","))
    return await talk.hands.change(_unless_tied, talk, before, lambda: talk.book.undo(change.number, by))


def _unless_tied(talk: Talk, wanted: Sequence[str], deed: Callable[[], list[Change]]) -> Reply:
    """In the writer."""
    for symbol in talk.book.current.symbols:
        if symbol not in wanted and (ties := _ties(talk, symbol)):
            return reply(render_watch.tied(symbol, ties), "tied")
    changes = deed()
    told = "✅ The list is as it was before." if changes else "The list was so already."
    message = _list(talk)
    return Reply((Message(paragraphs(told, message.text), message.keyboard),), told)


DEEDS: Mapping[str, Deed] = {ADD: _do_add, REMOVE: _do_remove}
ANSWERS: Mapping[str, Answer] = {ASKED: _answered}
