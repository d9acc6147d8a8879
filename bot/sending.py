"""A message of any length handed to a chat: split where it is too long, plain where its formatting is refused."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from bot.markup import CAPTION_LIMIT, LIMIT, split, visible
from bot.message import Attachment, Keyboard, Message
from bot.render_marks import MARK_ROOM
from bot.transport import BadMarkup, CannotEdit, Transport, Undeliverable

_LOG = logging.getLogger(__name__)
MOST_PARTS = 4
"""More messages than these nobody wants to read in a row."""
TEXT_FILE = "message.txt"


async def _no_pause() -> None:
    """Between the parts of an answer that somebody waits for."""


async def send_message(
    transport: Transport, message: Message, done: list[int], pause: Callable[[], Awaitable[None]] = _no_pause
) -> int:
    """Sends all parts of `message`, the buttons under the last one, and returns the last part's id.

    `done` collects the ids of parts that arrived: a repeated call with the same list goes on where it broke off.
    `pause` is awaited between two parts.
    """
    whole = _of_bearable_length(message)
    parts = _parts_of(whole)
    for index in range(len(done), len(parts)):
        if done:
            await pause()
        keyboard = whole.keyboard if index == len(parts) - 1 else ()
        sent = None
        if index == 0 and whole.attachment is not None:
            sent = await _send_file(transport, whole.attachment, parts[index], keyboard, whole)
        done.append(await _send_part(transport, parts[index], keyboard, whole) if sent is None else sent)
    return done[-1]


def _parts_of(message: Message) -> list[str]:
    first = LIMIT if message.attachment is None else CAPTION_LIMIT
    return split(message.text, LIMIT - MARK_ROOM, first - MARK_ROOM)


def _of_bearable_length(message: Message) -> Message:
    """A text of more than a few messages comes as a document, with its beginning as the caption."""
    if message.attachment is not None or len(_parts_of(message)) <= MOST_PARTS:
        return message
    document = Attachment(TEXT_FILE, visible(message.text).encode())
    return replace(message, text=split(message.text, CAPTION_LIMIT - MARK_ROOM)[0], attachment=document)


async def _send_file(
    transport: Transport, attachment: Attachment, caption: str, keyboard: Keyboard, message: Message
) -> int | None:
    """None where Telegram refuses the file: then its caption has to do."""
    send = partial(transport.send_file, attachment, reply_to=message.reply_to, silent=message.silent)
    try:
        try:
            return await send(caption, html=True, keyboard=keyboard)
        except BadMarkup:
            return await send(visible(caption), html=False, keyboard=keyboard)
    except Undeliverable as refusal:
        _LOG.warning("%s was refused (%s): its text goes out without it", attachment.name, refusal)
        return None


async def _send_part(transport: Transport, part: str, keyboard: Keyboard, message: Message) -> int:
    """Without formatting where Telegram cannot read it, without buttons where it refuses even that: never lost."""
    send = partial(transport.send, reply_to=message.reply_to, silent=message.silent)
    try:
        return await send(part, html=True, keyboard=keyboard)
    except BadMarkup:
        return await send(visible(part), html=False, keyboard=keyboard)
    except Undeliverable as refusal:
        _LOG.warning("a message was refused (%s) and is sent as bare text", refusal)
        return await send(visible(part), html=False, keyboard=())


async def edit_message(transport: Transport, message_id: int, message: Message) -> None:
    """Replaces a message; raises CannotEdit where the new text needs more than one."""
    parts = split(message.text, LIMIT - MARK_ROOM)
    if len(parts) > 1:
        raise CannotEdit("the new text needs more than one message")
    try:
        await transport.edit(message_id, parts[0], html=True, keyboard=message.keyboard)
    except BadMarkup:
        await transport.edit(message_id, visible(parts[0]), html=False, keyboard=message.keyboard)
