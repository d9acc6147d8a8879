"""What the owner said while nobody listened (C8): judged by the message's own date against the start of this process.

A command that makes things safer is taken up if it is recent, with a question first; everything else is listed in one
message and not run: hours later it may no longer be meant. A message that was on its way for long, because the network
was away, counts as one of those.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from bot import numbers
from bot.commands import waiting
from bot.commands.control import parse_length
from bot.commands.talk import Reply, Request, Talk, reply
from bot.commands.waiting import Deed
from bot.confirmations import Confirmation, confirm_keyboard
from bot.markup import bold, code, esc, line, paragraphs
from bot.message import Message
from core.domain.accounts import Mode
from core.domain.views import OwnerAnswer

RECENT = timedelta(minutes=15)
LATE = "late"
_ASKS_ITSELF = frozenset({"flatten", "close"})
"""Safety commands that show a card of their own before they do anything."""
_SECOND = timedelta(seconds=1)
_GATHERS = 1.0
_MOST_LISTED = 30
_CHANGES = ("set", "env", "undo")
Run = Callable[[str], Awaitable[Reply]]


class LateWords:
    """Remembers what is to be listed for as long as more of it may follow."""

    def __init__(
        self, talk: Talk, say: Callable[[Message], Awaitable[None]], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._talk = talk
        self._say = say
        self._sleep = sleep
        self._began = talk.clock.now()
        self._unheard: list[tuple[datetime, str]] = []

    def is_late(self, sent: datetime) -> bool:
        """Whether a message of that date, which Telegram gives in whole seconds, was sent before we could hear it."""
        return sent + _SECOND <= self._began or self._talk.clock.now() - sent > RECENT

    async def answer(self, sent: datetime, text: str, request: Request, run: Run) -> Reply:
        """What becomes of a late message. `run` carries a command out in the ordinary way."""
        name, _, words = text.strip().lower().removeprefix("/").partition(" ")
        if self._talk.clock.now() - sent <= RECENT and text.strip().startswith("/"):
            if name in _ASKS_ITSELF:
                await self._say(Message(self._heard_late(sent, text)))
                return await run(f"/{name} {'' if name == 'flatten' else words}".strip())
            if name == "pause" or (name == "mode" and words.strip() == Mode.OBSERVE.value):
                return await self._ask(sent, text, request)
        return await self._list(sent, text)

    def _heard_late(self, sent: datetime, text: str) -> str:
        at = numbers.moment(sent, self._talk.zone)
        return f"⏱ You sent {code(line(text, 60))} at {esc(at)}, while I could not hear you."

    async def _ask(self, sent: datetime, text: str, request: Request) -> Reply:
        asked = await waiting.ask(self._talk, request, LATE, line(text, 40), {"text": text.strip()[:60]})
        message = Message(paragraphs(self._heard_late(sent, text), "Shall I do it now?"))
        return reply(Message(message.text, confirm_keyboard(asked, f"✅ {text.strip()}"[:40])), "late, asked first")

    async def _list(self, sent: datetime, text: str) -> Reply:
        """The first one waits for the others: they come one right after the other."""
        self._unheard.append((sent, text))
        if len(self._unheard) > 1:
            return Reply((), "late, not run")
        await self._sleep(_GATHERS)
        unheard, self._unheard = sorted(self._unheard), []
        return reply(listed(unheard, self._talk), "late, not run")


def listed(unheard: list[tuple[datetime, str]], talk: Talk) -> Message:
    """All of it in one message."""
    lines = [
        f"{esc(numbers.moment(sent, talk.zone))}: {code(line(text, 60) or 'something other than text')}"
        for sent, text in unheard[:_MOST_LISTED]
    ]
    more = [f"and {len(unheard) - _MOST_LISTED} more"] if len(unheard) > _MOST_LISTED else []
    count = numbers.count(len(unheard), "message")
    title = f"⏱ {bold(f'{count} from while I could not hear you: not done')}"
    return Message(paragraphs(title, "\n".join([*lines, *more]), "Send again what still holds."))


def raises_risk(action: str) -> bool:
    """Whether a menu button allows more than before: it must not be done hours after it was tapped."""
    changes = (f"settings-{each}-" for each in _CHANGES)
    return action.startswith(("resume", "menu-resume", "mode-", "unlock-", "realmoney", *changes))


def unheard_tap(action: str) -> Message:
    """A tap has no date of its own; Telegram says which ones are old."""
    return Message(
        f"⏱ You tapped {code(line(action, 60))} while I could not hear you: not done. Tap again if it holds."
    )


def _do_late(talk: Talk, asked: Confirmation) -> OwnerAnswer:
    """The two safety commands that ask nothing themselves."""
    name, _, words = asked.payload["text"].lower().removeprefix("/").partition(" ")
    if name == "mode":
        return talk.owner.set_mode(Mode.OBSERVE, "owner")
    length = parse_length(words)
    until = talk.market_clock.now() + length * talk.market_clock.speed() if length is not None else None
    return talk.owner.pause(until, "owner")


DEEDS: Mapping[str, Deed] = {LATE: _do_late}
