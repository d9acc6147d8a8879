"""Asking for a one-time code before what raises risk on real money is done (A6)."""

from __future__ import annotations

import re

from bot import numbers
from bot.commands import waiting
from bot.commands.talk import Reply, Request, Talk
from bot.confirmations import LIVES, Wants
from bot.markup import bold, code, esc, paragraphs
from bot.message import Message, asking
from bot.render_marks import headline
from bot.second_factor import Verdict
from core.domain.accounts import Badge, Mode
from core.settings.editable import EDITABLE, Group

ASKED_CODE = "code"
COMMAND = "command"
HINT = "123456"


def raises_risk(name: str, words: str) -> bool:
    """Whether the command allows more than before: automatic orders, a brake released, a number of risk changed."""
    match name:
        case "mode":
            return words.strip().lower() == Mode.AUTO.value
        case "unlock":
            return bool(words.strip())
        case "settings":
            return _changes_risk(words)
        case _:
            return False


def is_of_risk(setting: str) -> bool:
    return setting in EDITABLE and EDITABLE[setting].group is Group.RISK


def _changes_risk(words: str) -> bool:
    tokens = re.split(r"[\s-]+", words.strip())
    verb, named = tokens[0].lower(), [token.upper() for token in tokens]
    if verb == "undo":
        return True
    if verb in ("set", "env"):
        return any(map(is_of_risk, named[1:2]))
    # A name in words, as /settings stop loss 4%, is found wherever it ends.
    spoken = ["_".join(named[:count]) for count in range(1, len(named))]
    return any(map(is_of_risk, spoken))


async def ask(talk: Talk, request: Request, command: str) -> Reply:
    """Writes down what is to be done, and asks for the code."""
    await waiting.ask(talk, request, ASKED_CODE, command[:60], {COMMAND: command}, wants=Wants.TEXT)
    text = paragraphs(
        headline("🔑", "Your code, please", (Badge.LIVE,)),
        f"{code(esc(command, 80))} raises the risk of real money. Send the six digits that your authenticator app "
        f"shows, within {numbers.span(LIVES)}; I delete your message. /cancel drops it.",
    )
    return Reply((Message(text, asking(HINT)),), "asked for the code")


def refused(talk: Talk, verdict: Verdict) -> Reply:
    """A wrong code changes nothing; its message goes all the same."""
    until = ""
    if verdict.locked_until is not None:
        until = f": no code counts before {esc(numbers.moment(verdict.locked_until, talk.zone))}"
    text = f"🔑 {bold(esc(verdict.words))}{until}. Nothing was changed."
    return Reply((Message(text, asking(HINT)),), "wrong code", forgets=True)
