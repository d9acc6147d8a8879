"""The table of commands, and how a text finds its command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

from bot.commands import (
    audit,
    books,
    control,
    fills,
    hand,
    market,
    model,
    monitor,
    notices,
    profiles,
    real_money,
    safety,
    second,
    settings,
    waiting,
    watch,
)
from bot.commands.guide import Chapter, help_message
from bot.commands.talk import Command, Reply, Request, Talk
from bot.commands.waiting import Answer, Deed
from bot.confirmations import Confirmation, Outcome
from bot.markup import code, esc
from bot.message import Message

_SHAPE = re.compile(r"/([A-Za-z0-9_]{1,64})(?:@\w+)?(?:\s+(.*))?", re.DOTALL)


_FILLS = (
    f"A fill in your words: {code('/executed SPY 10 @ 512.30')}, {code('/executed #7')} at the shown price, "
    f"{code('/executed 0.25 BTC at 64123,50 fee 1.20')}. A reply to its card does too: {code('512,30')}"
)


async def _help(_talk: Talk, request: Request) -> Reply:
    return help_message(CHAPTERS, request.words)


CHAPTERS: tuple[Chapter, ...] = (
    Chapter(
        "look",
        "👀 Look",
        (
            Command("status", "", "health, value, next steps", monitor.status),
            Command("positions", "", "what is held, and its profit", monitor.positions),
            Command("pending", "", "what waits for you", monitor.pending),
            Command("signals", "", "how each asset is judged", monitor.signals),
            Command("why", "SPY", "why it was bought or not", monitor.why),
            Command("model", "", "what it learned, how good it is, the way back", model.model),
            Command("watch", "add DIA", "what is traded: add a symbol, remove one", watch.watch),
            Command("report", "", "the day so far, against buy and hold", monitor.report),
            Command("bars", "SPY", "how complete the price data is", market.bars),
            Command("menu", "", "everything as buttons", monitor.menu),
        ),
        f"{code('/status live')} is one message that is kept up to date in place.",
    ),
    Chapter(
        "trade",
        "🤝 Trade",
        (
            Command("executed", "SPY 10 @ 512.30", "book an order you placed", fills.executed),
            Command("skip", "#7", "drop an instruction", fills.skip),
            Command("close", "SPY 50%", "sell a position or a part of it", hand.close),
            Command("stop", "SPY 495", "move the stop of a position", hand.stop),
            Command("target", "SPY 560", "move the target of a position", hand.target),
            Command("cancel", "", "drop what waits for your confirmation", waiting.cancel),
        ),
        _FILLS,
    ),
    Chapter(
        "control",
        "⏯ Control",
        (
            Command("pause", "2h", "no new entries for a time", control.pause),
            Command("resume", "", "allow new entries again", control.resume),
            Command("mode", "auto", "how a decision becomes an order", control.mode),
            Command("locks", "", "what holds new entries back", safety.locks),
            Command("unlock", "daily_loss", "release one brake", safety.unlock),
            Command("flatten", "", "sell everything", safety.flatten),
            Command("realmoney", "off", "allow orders with real money, or stop them", real_money.real_money),
        ),
        f"A pause without a length lasts until /resume. Modes: {code('auto')}, {code('confirm')}, {code('manual')}, "
        f"{code('observe')}. After /flatten nothing is bought until {code('/unlock flatten')}.",
    ),
    Chapter(
        "books",
        "📚 Books",
        (*books.COMMANDS, Command("cash", "5000", "what cash your own account holds", control.cash)),
        "What happened in your own account. Amounts in USD; everything is shown before it is booked.",
    ),
    Chapter(
        "settings",
        "⚙️ Settings",
        (
            Command("settings", "profile", "profile, risk, schedule, style", settings.settings),
            Command("notify", "signals silent", "which messages come, and how", notices.notify),
            Command("quiet", "22:00-07:00", "hours without a sound", notices.quiet),
            Command("audit", "2", "who asked for what, and what became of it", audit.audit),
            Command("help", "all", "this list", _help),
            Command("start", "", "hello and the buttons", monitor.start),
        ),
    ),
)
COMMANDS: tuple[Command, ...] = tuple(command for chapter in CHAPTERS for command in chapter.commands)
DEEDS: Mapping[str, Deed] = {**hand.DEEDS, **watch.DEEDS, **model.DEEDS, **profiles.DEEDS}
"""What a confirmed card does, by its kind."""
_BY_NAME = {command.name: command for command in COMMANDS}


def read_command(text: str) -> tuple[str, str] | None:
    """Name in lower case and the words after it; None for a text that is no command."""
    match = _SHAPE.fullmatch(text.strip())
    return (match.group(1).lower(), (match.group(2) or "").strip()) if match else None


async def run_command(talk: Talk, text: str, by: str, tap: str, replied: str = "") -> tuple[str, Reply]:
    """The name for the audit, and the answer, to whatever the owner wrote; `replied` is our message that he answers."""
    found = read_command(text)
    if found is None:
        request = Request(text.strip(), by, tap, replied)
        answered = None if fills.card_number(replied) else await waiting.typed(talk, request, ANSWERS)
        return "text", answered or await fills.spoken(talk, request)
    name, words = found
    command = _BY_NAME.get(name)
    if command is None:
        return f"/{name}", Reply((_unknown(name),), "unknown command")
    return f"/{name} {words}".strip(), await _checked(talk, command, Request(words, by, tap))


async def run_menu(talk: Talk, action: str, by: str, tap: str) -> Reply | None:
    """The answer to a menu button; None for one that no version of the program has."""
    name, _, words = action.partition("-")
    command = _BY_NAME.get(name)
    return None if command is None else await _checked(talk, command, Request(words, by, tap))


async def _checked(talk: Talk, command: Command, request: Request) -> Reply:
    """What raises the risk of real money is done behind a code, where the owner wants that."""
    if talk.factor is not None and second.raises_risk(command.name, request.words):
        return await second.ask(talk, request, f"/{command.name} {request.words}")
    return await command.handler(talk, request)


async def _with_code(talk: Talk, request: Request, asked: Confirmation) -> Reply:
    """The owner's answer to the question for a code: what he had asked for is done once it is right."""
    found = read_command(asked.payload[second.COMMAND])
    if talk.factor is None or found is None:
        return Reply((Message("No code is needed any more. Nothing was changed; ask again."),), "no code needed")
    verdict = await talk.hands.change(talk.factor.check, request.words)
    if not verdict.passed:
        return second.refused(talk, verdict)
    await talk.hands.change(waiting.settle, talk, asked, Outcome.CONFIRMED)
    done = await _BY_NAME[found[0]].handler(talk, Request(found[1], request.by, asked.tap_key))
    return Reply(done.messages, done.outcome, forgets=True)


def _unknown(name: str) -> Message:
    close = get_close_matches(name, list(_BY_NAME), n=1)
    guess = f" Did you mean /{close[0]}?" if close else ""
    # As code: what does not exist must not become something to tap.
    return Message(f"I do not know {code(f'/{esc(name)}')}.{guess} /help shows all I understand.")


ANSWERS: Mapping[str, Answer] = {
    **hand.ANSWERS,
    **settings.ANSWERS,
    **safety.ANSWERS,
    **real_money.ANSWERS,
    second.ASKED_CODE: _with_code,
    **watch.ANSWERS,
}
"""What becomes of the text that answers a question, by its kind."""
