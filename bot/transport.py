"""Handing one text or file to Telegram, and what can become of it: the one place where its errors are told apart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

import httpx
from telegram import (
    Bot,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputFile,
    LinkPreviewOptions,
    ReplyParameters,
)
from telegram.constants import ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)

from bot.fenced_request import lease_lost_in
from bot.message import ASK, Attachment, Keyboard
from bot.render_marks import marked
from core.checkpoints import Checkpoint, calling, nowhere
from core.errors import AutoTraderError


class NotSent(Exception):
    """It certainly did not arrive and may be tried again, not before `retry_after` seconds where that is known."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Unreachable(NotSent):
    """Nobody can receive it yet: no owner, he has not opened the chat or blocked the bot, or the token is dead."""


class MayHaveArrived(Exception):
    """No answer came: it may have arrived or not."""


class BadMarkup(Exception):
    """Telegram cannot read the formatting: the same text without it will do."""


class CannotEdit(Exception):
    """The message is gone or too old to change."""


class Undeliverable(Exception):
    """Telegram's final no."""


class Transport(Protocol):
    """One chat. Raises the six exceptions above and nothing of Telegram's; LeaseLost where the ledger is another's."""

    def is_ready(self) -> bool:
        """Whether there is anybody to send to."""
        ...

    async def send(
        self, text: str, *, html: bool, keyboard: Keyboard, reply_to: int | None = None, silent: bool = False
    ) -> int:
        """The new message's id. `text` fits one message. One that replies to a deleted message is sent all the same."""
        ...

    async def send_file(
        self,
        attachment: Attachment,
        caption: str,
        *,
        html: bool,
        keyboard: Keyboard,
        reply_to: int | None = None,
        silent: bool = False,
    ) -> int:
        """The new message's id. `caption` is short enough for one."""
        ...

    async def edit(self, message_id: int, text: str, *, html: bool, keyboard: Keyboard) -> None: ...

    async def pin(self, message_id: int) -> None:
        """Puts a message on top of the chat, without a sound."""
        ...


def markup_of(keyboard: Keyboard) -> InlineKeyboardMarkup | None:
    """Our buttons as Telegram's; None for none, and for a question, which has none."""
    if not keyboard or is_question(keyboard):
        return None
    rows = [
        [
            InlineKeyboardButton(button.label, callback_data=button.token, style=button.tone.value or None)
            for button in row
        ]
        for row in keyboard
    ]
    return InlineKeyboardMarkup(rows)


def new_markup_of(keyboard: Keyboard) -> InlineKeyboardMarkup | ForceReply | None:
    """What a new message may carry: buttons, or the open text field of a question."""
    if is_question(keyboard):
        return ForceReply(input_field_placeholder=keyboard[0][0].label[:64])
    return markup_of(keyboard)


def is_question(keyboard: Keyboard) -> bool:
    return bool(keyboard) and keyboard[0][0].token == ASK


def _reply_to(message_id: int | None) -> ReplyParameters | None:
    return ReplyParameters(message_id, allow_sending_without_reply=True) if message_id is not None else None


class TelegramTransport:
    """The owner's chat through a real bot. `chat` gives its id, None while there is no owner.

    `mark` is put on every message that does not carry it already: SIMULATED where the market is. `on_call` hears of
    every message that was sent or edited, or may have been: Telegram counts them all.
    """

    def __init__(
        self,
        bot: Bot,
        chat: Callable[[], int | None],
        mark: str = "",
        checkpoint: Checkpoint = nowhere,
        on_call: Callable[[], None] = lambda: None,
    ) -> None:
        self._bot = bot
        self._on_call = on_call
        self._chat = chat
        self._mark = mark
        self._checkpoint = checkpoint

    def is_ready(self) -> bool:
        return self._chat() is not None

    async def send(
        self, text: str, *, html: bool, keyboard: Keyboard, reply_to: int | None = None, silent: bool = False
    ) -> int:
        try:
            with calling(self._checkpoint, "send"):
                sent = await self._bot.send_message(
                    self._owner_chat(),
                    marked(text, self._mark, html=html),
                    parse_mode=ParseMode.HTML if html else None,
                    reply_markup=new_markup_of(keyboard),
                    link_preview_options=LinkPreviewOptions(is_disabled=True),
                    reply_parameters=_reply_to(reply_to),
                    disable_notification=silent or None,
                )
        except TelegramError as error:
            raise _told_apart(error) from None
        finally:
            self._on_call()
        return sent.message_id

    async def send_file(
        self,
        attachment: Attachment,
        caption: str,
        *,
        html: bool,
        keyboard: Keyboard,
        reply_to: int | None = None,
        silent: bool = False,
    ) -> int:
        file = InputFile(attachment.content, filename=attachment.name)
        method = self._bot.send_photo if attachment.is_picture else self._bot.send_document
        try:
            with calling(self._checkpoint, "send"):
                sent = await method(
                    self._owner_chat(),
                    file,
                    caption=marked(caption, self._mark, html=html),
                    parse_mode=ParseMode.HTML if html else None,
                    reply_markup=markup_of(keyboard),
                    reply_parameters=_reply_to(reply_to),
                    disable_notification=silent or None,
                )
        except TelegramError as error:
            raise _told_apart(error) from None
        finally:
            self._on_call()
        return sent.message_id

    async def edit(self, message_id: int, text: str, *, html: bool, keyboard: Keyboard) -> None:
        try:
            with calling(self._checkpoint, "edit"):
                await self._bot.edit_message_text(
                    marked(text, self._mark, html=html),
                    self._owner_chat(),
                    message_id,
                    parse_mode=ParseMode.HTML if html else None,
                    reply_markup=markup_of(keyboard),
                    link_preview_options=LinkPreviewOptions(is_disabled=True),
                )
        except BadRequest as error:
            words = error.message.lower()
            if "not modified" in words:
                return
            if "message to edit not found" in words or "can't be edited" in words or "message_id_invalid" in words:
                raise CannotEdit(error.message) from None
            raise _told_apart(error) from None
        except TelegramError as error:
            raise _told_apart(error) from None
        finally:
            self._on_call()

    async def pin(self, message_id: int) -> None:
        try:
            with calling(self._checkpoint, "pin"):
                await self._bot.pin_chat_message(self._owner_chat(), message_id, disable_notification=True)
        except TelegramError as error:
            raise _told_apart(error) from None

    def _owner_chat(self) -> int:
        chat = self._chat()
        if chat is None:
            raise Unreachable("no owner is paired yet")
        return chat


_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)
_UNREACHABLE_TOKEN = "Telegram refuses the bot token: make a new one with @BotFather, put it into .env, start again"
_UNREACHABLE_CHAT = "Telegram does not let me write to you: open the chat with the bot, unblock it, press Start"


def _told_apart(error: TelegramError) -> Exception:
    """Our word for Telegram's error, or why it was not asked. A text is kept only where it cannot hold the token."""
    lost = lease_lost_in(error)
    if lost is not None:
        return lost
    if isinstance(error, RetryAfter):
        wait = error.retry_after
        return NotSent("too many messages", wait.total_seconds() if isinstance(wait, timedelta) else float(wait))
    if isinstance(error, InvalidToken):
        return Unreachable(_UNREACHABLE_TOKEN)
    if isinstance(error, Forbidden | ChatMigrated):
        return Unreachable(_UNREACHABLE_CHAT)
    if isinstance(error, BadRequest):
        return _refusal(error)
    if isinstance(error, NetworkError):
        return _network(error)
    return Undeliverable(type(error).__name__)


def _refusal(error: BadRequest) -> Exception:
    words = error.message.lower()
    if "can't parse entities" in words:
        return BadMarkup(error.message)
    if "chat not found" in words or "peer_id_invalid" in words:
        return Unreachable(_UNREACHABLE_CHAT)
    return Undeliverable(error.message)


def _network(error: NetworkError) -> Exception:
    """An error before the request left is harmless; after that nobody knows, unless the server says it failed."""
    cause = error.__cause__
    if isinstance(cause, AutoTraderError):
        return NotSent(str(cause))
    if isinstance(cause, _NEVER_LEFT):
        return NotSent(f"no connection ({type(cause).__name__})")
    words = error.message.lower()
    if isinstance(error, TimedOut) or cause is not None or "bad gateway" in words or "gateway time" in words:
        return MayHaveArrived(f"no answer ({type(cause or error).__name__})")
    return NotSent("Telegram has an internal error")


class SilentTransport:
    """For replays: everything is rendered and split as for Telegram, nothing leaves the process."""

    def __init__(self) -> None:
        self.sent = 0

    def is_ready(self) -> bool:
        return True

    async def send(
        self,
        text: str,  # noqa: ARG002 - the port's shape
        *,
        html: bool,  # noqa: ARG002
        keyboard: Keyboard,  # noqa: ARG002
        reply_to: int | None = None,  # noqa: ARG002
        silent: bool = False,  # noqa: ARG002
    ) -> int:
        self.sent += 1
        return self.sent

    async def send_file(
        self,
        attachment: Attachment,  # noqa: ARG002
        caption: str,
        *,
        html: bool,
        keyboard: Keyboard,
        reply_to: int | None = None,
        silent: bool = False,
    ) -> int:
        return await self.send(caption, html=html, keyboard=keyboard, reply_to=reply_to, silent=silent)

    async def edit(self, message_id: int, text: str, *, html: bool, keyboard: Keyboard) -> None:
        """Accepted and forgotten."""

    async def pin(self, message_id: int) -> None:
        """Accepted and forgotten."""
