"""What nobody answered in its time says so itself: cards that ask first are edited and lose their buttons, whichever
room of the ledger keeps what they ask (bot.confirmations, core.domain.drafts); a question in words is told below.

Which message asks is written down when it is shown, so that a restart changes nothing. An edit comes before the note
that it is done: after a crash between the two it is made again, and says the same.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from bot import confirmations
from bot.commands.talk import Talk
from bot.confirmations import ConfirmToken, Outcome, Wants
from bot.drafts import DraftToken
from bot.markup import bold, line
from bot.message import Keyboard, Message
from bot.sending import edit_message
from bot.transport import CannotEdit, MayHaveArrived, NotSent, Transport, Undeliverable
from core.ports import UnitOfWork

KEY = "asked_messages"
"""By what is asked: the message that asks it and that message's first line."""
OVER = "Expired: nothing was done. Ask again if it still holds."
PATIENCE = timedelta(seconds=30)
"""How long a lost connection is left alone."""
_KEPT = 100
_Asked = dict[str, tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Lapsed:
    """`key` names the asking, `message_id` the message that asks it, None where it is not known or cannot be edited;
    `subject` is what it is about."""

    key: str
    message_id: int | None
    title: str
    wants: Wants = Wants.TAP


class Expiring:
    def __init__(self, talk: Talk, transport: Transport) -> None:
        self._talk = talk
        self._transport = transport
        self._failed_at = talk.clock.now() - PATIENCE

    async def shown(self, message: Message, message_id: int) -> None:
        """Remembers which message asks; of any other message nothing."""
        key = asking(message.keyboard)
        if key:
            await self._talk.hands.change(self._note, key, message_id, message.text.partition("\n")[0])

    async def look(self, say: Callable[[Message], Awaitable[None]]) -> int:
        """Edits or tells what has lapsed; returns how much. Raises NotSent, Undeliverable."""
        if timedelta(0) <= self._talk.clock.now() - self._failed_at < PATIENCE:
            return 0
        over = await self._talk.hands.ask(self._lapsed)
        for each in over:
            if each.wants is Wants.TEXT:
                # Noted first: said twice it would only be noise.
                await self._talk.hands.change(self._close, each.key)
                await say(Message(f"⌛ {bold(line(each.title, 120))}\n{OVER}", silent=True))
            elif await self._edited(each):
                await self._talk.hands.change(self._close, each.key)
            else:
                self._failed_at = self._talk.clock.now()
                break
        return len(over)

    async def _edited(self, each: Lapsed) -> bool:
        """False where it should be tried again later."""
        if each.message_id is None:
            return True
        _, _, title = each.title.partition(" ")
        try:
            await edit_message(self._transport, each.message_id, Message(f"⌛ {title}\n{OVER}"))
        except (CannotEdit, Undeliverable):
            return True
        except (NotSent, MayHaveArrived):
            return False
        return True

    def _lapsed(self) -> list[Lapsed]:
        with self._talk.ledger() as work:
            asked = _read(work)
        found = list[Lapsed]()
        # The engine is not asked while no draft is on show.
        if any(key.startswith("e:") for key in asked):
            drafts = [f"e:{each.token}" for each in self._talk.owner.lapsed_drafts()]
            found += [Lapsed(key, *asked.get(key, (None, ""))) for key in drafts]
        with self._talk.ledger() as work:
            for each in confirmations.lapsed(work, self._talk.clock.now()):
                message_id, title = asked.get(f"c:{each.token}", (None, each.subject))
                found.append(Lapsed(f"c:{each.token}", message_id, title, each.wants))
        return found

    def _note(self, key: str, message_id: int, title: str) -> None:
        with self._talk.ledger() as work:
            asked = {**_read(work), key: (message_id, title)}
            _write(work, dict(list(asked.items())[-_KEPT:]))
            work.commit("confirmation")

    def _close(self, key: str) -> None:
        kind, _, token = key.partition(":")
        if kind == "e":
            self._talk.owner.lapse_draft(token)
        with self._talk.ledger() as work:
            if kind == "c":
                confirmations.settle(work, token, Outcome.EXPIRED)
            asked = _read(work)
            asked.pop(key, None)
            _write(work, asked)
            work.commit("confirmation")


def asking(keyboard: Keyboard) -> str:
    """What the buttons of a message ask, as a key; empty for buttons that ask nothing."""
    data = keyboard[0][0].token if keyboard and keyboard[0] else ""
    confirmed, drafted = ConfirmToken.parse(data), DraftToken.parse(data)
    if confirmed is not None:
        return f"c:{confirmed.token}"
    return f"e:{drafted.token}" if drafted is not None else ""


def _read(work: UnitOfWork) -> _Asked:
    return {key: (message_id, title) for key, (message_id, title) in json.loads(work.value(KEY) or "{}").items()}


def _write(work: UnitOfWork, asked: _Asked) -> None:
    work.set_value(KEY, json.dumps(asked) if asked else None)
