"""What every tap has in common: the spinner that ends, the buttons that go, the name for the audit."""

from __future__ import annotations

import logging

from telegram import CallbackQuery
from telegram import Message as TelegramMessage
from telegram.error import BadRequest, TelegramError

from bot.message import Keyboard
from bot.transport import markup_of

_LOG = logging.getLogger(__name__)
_TOAST_LIMIT = 200


async def toast(query: CallbackQuery, text: str, *, alert: bool = False) -> bool:
    """Ends the spinner on the button. False where Telegram says that the tap is too old to be answered."""
    try:
        await query.answer(text[:_TOAST_LIMIT] or None, show_alert=alert)
    except TelegramError as error:
        _LOG.info("a tap could not be answered: %s", type(error).__name__)
        return not isinstance(error, BadRequest)
    return True


async def without_buttons(query: CallbackQuery) -> None:
    """A card that is over must not look alive: /pending shows a card again, and only the first one is edited later."""
    if isinstance(query.message, TelegramMessage) and query.message.reply_markup is not None:
        await with_buttons(query, ())


async def with_buttons(query: CallbackQuery, keyboard: Keyboard) -> None:
    """Other buttons under the same message."""
    if not isinstance(query.message, TelegramMessage):
        return
    try:
        await query.edit_message_reply_markup(markup_of(keyboard))
    except TelegramError as error:
        _LOG.info("a card keeps its buttons: %s", type(error).__name__)


def replied_text(message: TelegramMessage) -> str:
    """The text of our own message that this one replies to; empty for none."""
    replied = message.reply_to_message
    if replied is None or replied.from_user is None or not replied.from_user.is_bot:
        return ""
    return replied.text or replied.caption or ""


async def forget(message: TelegramMessage) -> None:
    """What the owner wrote held a secret: it does not stay in the chat."""
    try:
        await message.delete()
    except TelegramError as error:
        _LOG.info("a message with a code stays in the chat; the code is used up: %s", type(error).__name__)


def actor(chat_id: int) -> str:
    return f"owner {chat_id}"
