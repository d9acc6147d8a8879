"""What a message says, as fields of a Message: a text, or a photo or a document with its caption."""

from __future__ import annotations

from typing import Any

from bot.localphone.errors import bad_request
from bot.localphone.files import DOCUMENT, PHOTO, StoredFile
from bot.localphone.formatted import formatted, utf16_length
from bot.localphone.parameters import Parameters

Content = dict[str, Any]
MAX_TEXT = 4096
MAX_CAPTION = 1024
"""Both in UTF-16 code units, after parsing (Bot API, sendMessage and sendPhoto)."""

FIELDS = frozenset(
    {
        "text",
        "entities",
        "link_preview_options",
        PHOTO,
        DOCUMENT,
        "caption",
        "caption_entities",
        "show_caption_above_media",
        "has_media_spoiler",
    }
)
CAPTION_FIELDS = frozenset({"caption", "caption_entities", "show_caption_above_media"})


def text_content(parameters: Parameters) -> Content:
    """Of `text` and what belongs to it. Raises ApiError."""
    found = formatted(parameters.text("text"), parameters.text("parse_mode"), parameters.value("entities"))
    content: Content = {"text": found.text}
    if found.entities:
        content["entities"] = list(found.entities)
    preview = parameters.value("link_preview_options")
    return content | ({"link_preview_options": preview} if preview else {})


def captioned(given: dict[str, Any]) -> Content:
    """The caption in the parameters of a method or in an InputMedia; nothing for none. Raises ApiError."""
    source = given.get("caption", "")
    if not source:
        return {}
    found = formatted(source, given.get("parse_mode", ""), given.get("caption_entities"), may_be_empty=True)
    if not found.text:
        return {}
    content: Content = {"caption": found.text}
    if found.entities:
        content["caption_entities"] = list(found.entities)
    return content | ({"show_caption_above_media": True} if given.get("show_caption_above_media") else {})


def media_content(file: StoredFile, given: dict[str, Any]) -> Content:
    """A photo or document and its caption. Raises ApiError."""
    spoiler = file.kind == PHOTO and given.get("has_spoiler", False)
    return file.as_message_field() | captioned(given) | ({"has_media_spoiler": True} if spoiler else {})


def check_length(content: Content, *, edit: bool) -> None:
    """Raises ApiError. An edit is refused in other words than a new message."""
    if utf16_length(content.get("text", "")) > MAX_TEXT:
        raise bad_request("MESSAGE_TOO_LONG" if edit else "Message is too long")
    if utf16_length(content.get("caption", "")) > MAX_CAPTION:
        raise bad_request("MEDIA_CAPTION_TOO_LONG" if edit else "Message caption is too long")
