"""How the bot answers the owner who is there: at once, beside the outbox."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from telegram import CallbackQuery
from telegram import Message as TelegramMessage

from bot.commands.talk import Reply
from bot.message import Message
from bot.sending import edit_message, send_message
from bot.transport import CannotEdit, MayHaveArrived, NotSent, Transport, Undeliverable

_LOG = logging.getLogger(__name__)
_TRIES = 4
_LONGEST_WAIT = 30.0


class Voice:
    """An answer is tried a few times and then lost: he is there and can ask again. `shown` hears of each that arrived,
    with the id of its message."""

    def __init__(
        self,
        transport: Transport,
        sleep: Callable[[float], Awaitable[None]],
        shown: Callable[[Message, int], Awaitable[None]],
    ) -> None:
        self._transport = transport
        self._sleep = sleep
        self._shown = shown

    async def answer(self, reply: Reply) -> None:
        for message in reply.messages:
            await self.say(message)

    async def say(self, message: Message) -> None:
        """Raises NotSent once it was tried often enough, Undeliverable."""
        done: list[int] = []
        for attempt in range(1, _TRIES + 1):
            try:
                sent = await send_message(self._transport, message, done)
            except NotSent as problem:
                if attempt == _TRIES:
                    raise
                wait = problem.retry_after if problem.retry_after is not None else float(attempt)
                await self._sleep(min(wait, _LONGEST_WAIT))
            except MayHaveArrived as doubt:
                _LOG.info("an answer may not have arrived: %s", doubt)
                return
            else:
                await self._shown(message, sent)
                return

    async def change(self, message_id: int, message: Message) -> bool:
        """Whether an old message was changed; an edit whose answer got lost may not have been."""
        try:
            await edit_message(self._transport, message_id, message)
        except (NotSent, MayHaveArrived, Undeliverable, CannotEdit) as error:
            _LOG.info("an old message stays as it was: %s", type(error).__name__)
            return False
        await self._shown(message, message_id)
        return True

    async def replace(self, query: CallbackQuery, message: Message) -> None:
        """Shown in the place of the tapped message; below it where that cannot be changed."""
        if isinstance(query.message, TelegramMessage) and await self.change(query.message.message_id, message):
            return
        await self.say(message)
