"""The Bot API methods about pictures and documents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from bot.localphone.api_messages import keyboard_of, send, target
from bot.localphone.content import CAPTION_FIELDS, FIELDS, Content, captioned, media_content
from bot.localphone.conversation import Conversation
from bot.localphone.errors import bad_request
from bot.localphone.files import DOCUMENT, MAX_DOWNLOAD_BYTES, PHOTO, FileBox
from bot.localphone.parameters import Parameters

_CAPTION = ("caption", "parse_mode", "caption_entities", "show_caption_above_media", "has_spoiler")


class MediaMethods:
    def __init__(self, conversation: Conversation, files: FileBox) -> None:
        self._conversation = conversation
        self._files = files

    def methods(self) -> dict[str, Callable[[Parameters], Awaitable[Any]]]:
        return {
            "sendPhoto": self._send_photo,
            "sendDocument": self._send_document,
            "editMessageCaption": self._edit_message_caption,
            "editMessageMedia": self._edit_message_media,
            "getFile": self._get_file,
        }

    async def _send_photo(self, parameters: Parameters) -> dict[str, Any]:
        return await self._send(PHOTO, parameters)

    async def _send_document(self, parameters: Parameters) -> dict[str, Any]:
        return await self._send(DOCUMENT, parameters)

    async def _send(self, kind: str, parameters: Parameters) -> dict[str, Any]:
        given = _caption_of(parameters)
        captioned(given)  # refused before the file is looked at, as there
        keyboard = keyboard_of(parameters)
        file = await self._files.take(kind, parameters.file(kind))
        return send(self._conversation, media_content(file, given), keyboard, parameters)

    async def _edit_message_caption(self, parameters: Parameters) -> dict[str, Any]:
        keyboard, caption = keyboard_of(parameters), captioned(_caption_of(parameters))

        def change(message: dict[str, Any]) -> Content:
            if PHOTO not in message and DOCUMENT not in message:
                raise bad_request("There is no caption in the message to edit")
            kept = {name: value for name, value in message.items() if name in FIELDS - CAPTION_FIELDS}
            return kept | caption

        return self._conversation.bot_edits(target(parameters), change, keyboard)

    async def _edit_message_media(self, parameters: Parameters) -> dict[str, Any]:
        """A text may become a picture, but never again a text, as there."""
        keyboard, media = keyboard_of(parameters), parameters.value("media")
        if media["type"] not in (PHOTO, DOCUMENT):
            raise bad_request(f"Media of type {media['type']} is not served by the local phone")
        captioned(media)
        message_id = target(parameters)
        self._conversation.message(message_id, "message to edit not found")
        file = await self._files.take(media["type"], parameters.attached(media["media"]))
        content = media_content(file, media)
        return self._conversation.bot_edits(message_id, lambda _message: content, keyboard)

    async def _get_file(self, parameters: Parameters) -> dict[str, Any]:
        file = self._files.file(parameters.text("file_id"))
        if file is None:
            raise bad_request("invalid file_id")
        if file.size > MAX_DOWNLOAD_BYTES:
            raise bad_request("file is too big")
        return {
            "file_id": file.file_id,
            "file_unique_id": file.unique_id,
            "file_size": file.size,
            "file_path": file.path,
        }


def _caption_of(parameters: Parameters) -> dict[str, Any]:
    return {name: parameters.value(name) for name in _CAPTION if name in parameters}
