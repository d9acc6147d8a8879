"""Entities that a bot sends beside a text instead of markup: which are taken, which passed over, which refused."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from bot.localphone.errors import ApiError, bad_request
from bot.localphone.html_text import MarkupError, Span, check_date_format

_STYLES = frozenset(
    {
        "bold",
        "italic",
        "underline",
        "strikethrough",
        "spoiler",
        "code",
        "pre",
        "blockquote",
        "expandable_blockquote",
    }
)
_NEEDED = {"text_link": "url", "text_mention": "user", "custom_emoji": "custom_emoji_id", "date_time": "unix_time"}
_FOUND_ANYWAY = frozenset(
    {"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bank_card_number"}
)
"""The server finds these in the text by itself, so those given are passed over; so are mentions of strangers."""

_FARTHEST = 1_000_000


def given_spans(text: str, entities: list[dict[str, Any]]) -> list[Span]:
    """Spans in code points, of entities counted in UTF-16 code units. Raises ApiError in the real server's words."""
    units = list(accumulate((2 if char > "\uffff" else 1 for char in text), initial=0))
    place = {unit: index for index, unit in enumerate(units)}
    spans: list[Span] = []
    for entity in entities:
        _check_kind(entity)
        offset, length = entity["offset"], entity["length"]
        if not 0 <= offset <= _FARTHEST:
            raise bad_request(f"Receive an entity with incorrect offset {offset}")
        if not 0 <= length <= _FARTHEST:
            raise bad_request(f"Receive an entity with incorrect length {length}")
        if length == 0 or entity["type"] in _FOUND_ANYWAY:
            continue
        if offset not in place or offset + length not in place:
            raise _outside(text, units, offset, offset + length)
        if entity["type"] != "text_mention":
            spans.append(_span(entity, place[offset], place[offset + length]))
    return spans


def _check_kind(entity: dict[str, Any]) -> None:
    kind = entity["type"]
    if kind in _NEEDED:
        if _NEEDED[kind] not in entity:
            raise _unreadable(f'Can\'t find field "{_NEEDED[kind]}"')
    elif kind not in _STYLES | _FOUND_ANYWAY:
        raise _unreadable("Unsupported type specified")
    if kind == "date_time":
        try:
            check_date_format(entity.get("date_time_format", ""))
        except MarkupError:
            raise _unreadable("Invalid date-time format specified") from None


def _span(entity: dict[str, Any], start: int, end: int) -> Span:
    return Span(
        entity["type"],
        start,
        end,
        url=entity.get("url", ""),
        language=entity.get("language", ""),
        emoji_id=entity.get("custom_emoji_id", ""),
        unix_time=entity.get("unix_time", 0),
        date_format=entity.get("date_time_format", ""),
    )


def _outside(text: str, units: list[int], begin: int, end: int) -> ApiError:
    """An entity that does not lie on whole characters of the text."""
    if begin >= units[-1]:
        return bad_request(f"Entity begins after the end of the text at UTF-16 offset {begin}")
    if begin not in units:
        byte = len(text[: units.index(begin + 1)].encode())
        return bad_request(f"Entity begins in a middle of a UTF-16 symbol at byte offset {byte}")
    starting = f"Entity beginning at UTF-16 offset {begin} ends"
    if end > units[-1]:
        return bad_request(f"{starting} after the end of the text at UTF-16 offset {end}")
    byte = len(text[: units.index(end + 1)].encode())
    return bad_request(f"{starting} in a middle of a UTF-16 symbol at byte offset {byte}")


def _unreadable(reason: str) -> ApiError:
    return bad_request(f"Can't parse MessageEntity: {reason}")
