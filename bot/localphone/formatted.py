"""A message's text and its entities, in the shape of the Bot API: offsets and lengths in UTF-16 code units."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from bot.localphone.errors import bad_request
from bot.localphone.given_entities import given_spans
from bot.localphone.html_text import MarkupError, Span, parse_html

_MAX_SOURCE_BYTES = 1 << 15
_MONOSPACE = ("code", "pre")
_STYLES = ("bold", "italic", "underline", "strikethrough", "spoiler")
_COMMAND = re.compile(r"(?<![\w/<>@])/([A-Za-z0-9_]{1,64})(?:@[A-Za-z0-9_]{3,32})?(?![\w/])")
_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,:;!?)\]]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_DROPPED = re.compile("[\r\u2028-\u202e\u0333\u033f\u030a]")
_BLANKED = {code: " " for code in range(32) if chr(code) not in "\n\r"}


@dataclass(frozen=True, slots=True)
class FormattedText:
    """`entities` are MessageEntity objects, outer before inner, ordered by offset."""

    text: str
    entities: tuple[dict[str, Any], ...] = ()


def utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def formatted(
    source: str, parse_mode: str, entities: list[dict[str, Any]] | None = None, *, may_be_empty: bool = False
) -> FormattedText:
    """A text as a bot sends it. `parse_mode` is HTML or empty. Raises ApiError with the real server's words."""
    if not source:
        raise bad_request("Message text is empty")
    if len(source.encode("utf-8", "surrogatepass")) > _MAX_SOURCE_BYTES:
        raise bad_request("Text is too long")
    if _SURROGATES.search(source):
        raise bad_request("Strings must be encoded in UTF-8")
    mode = parse_mode.lower()
    if mode == "html":
        try:
            text, spans = parse_html(source)
        except MarkupError as error:
            raise bad_request(f"Can't parse entities: {error}") from error
    elif mode in ("", "none"):
        text, spans = source, given_spans(source, entities or [])
    elif mode in ("markdown", "markdownv2"):
        raise bad_request(f"Unsupported parse_mode: the local phone understands HTML only, not {parse_mode}")
    else:
        raise bad_request("Unsupported parse_mode")
    finished = _finished(*_cleaned(text, spans))
    if not finished.text and not may_be_empty:
        raise bad_request("Text must be non-empty")
    return finished


def typed_by_owner(text: str) -> FormattedText:
    """A text as a person types it: no markup, but commands and links are found in it. Raises ApiError."""
    return formatted(text, "")


def _cleaned(text: str, spans: Iterable[Span]) -> tuple[str, list[Span]]:
    """Without the characters that Telegram drops, and with blanks for the other control characters."""
    dropped = [match.start() for match in _DROPPED.finditer(text)]

    def at(position: int) -> int:
        return position - bisect_left(dropped, position)

    moved = [replace(span, start=at(span.start), end=at(span.end)) for span in spans]
    return _DROPPED.sub("", text).translate(_BLANKED), [span for span in moved if span.end > span.start]


def _finished(text: str, spans: Iterable[Span]) -> FormattedText:
    text, trimmed = _trimmed(text, sorted(spans, key=lambda span: (span.start, -span.end)))
    split = _outside_monospace(trimmed)
    found = split + _found(text, split)
    found.sort(key=lambda span: (span.start, -span.end))
    units = list(accumulate((2 if char > "\uffff" else 1 for char in text), initial=0))
    return FormattedText(text, tuple(_as_entity(units, span) for span in found))


def _trimmed(text: str, spans: list[Span]) -> tuple[str, list[Span]]:
    """Without white space at the end, nor before the first entity."""
    text = text.rstrip()
    first = min((span.start for span in spans), default=len(text))
    shift = min(first, len(text) - len(text.lstrip()))
    moved = [replace(span, start=span.start - shift, end=min(span.end, len(text)) - shift) for span in spans]
    return text[shift:], [span for span in moved if span.end > span.start]


def _outside_monospace(spans: list[Span]) -> list[Span]:
    """Styles and links cut where code or pre stands: those cannot be combined with them."""
    blocks: list[Span] = []
    for span in spans:
        if span.kind in _MONOSPACE and (not blocks or span.start >= blocks[-1].end):
            blocks.append(replace(span, language="") if span.kind == "code" else span)
    kept = list(blocks)
    for span in spans:
        if span.kind in (*_STYLES, "text_link"):
            kept.extend(_minus(span, blocks))
        elif span.kind not in _MONOSPACE:
            kept.append(span)
    return kept


def _minus(span: Span, blocks: list[Span]) -> list[Span]:
    pieces: list[Span] = []
    start = span.start
    for block in blocks:
        if block.end <= start or block.start >= span.end:
            continue
        if block.start > start:
            pieces.append(replace(span, start=start, end=block.start))
        start = max(start, block.end)
    if start < span.end:
        pieces.append(replace(span, start=start))
    return pieces


def _found(text: str, spans: list[Span]) -> list[Span]:
    """Links and commands that nobody marked, outside of links and monospace text."""
    taken = [span for span in spans if span.kind in (*_MONOSPACE, "text_link", "custom_emoji", "url", "bot_command")]
    found: list[Span] = []
    for kind, pattern in (("url", _URL), ("bot_command", _COMMAND)):
        for match in pattern.finditer(text):
            if all(match.end() <= span.start or match.start() >= span.end for span in taken + found):
                found.append(Span(kind, match.start(), match.end()))
    return found


def _as_entity(units: list[int], span: Span) -> dict[str, Any]:
    """`units` are the UTF-16 code units before each character."""
    entity: dict[str, Any] = {
        "type": span.kind,
        "offset": units[span.start],
        "length": units[span.end] - units[span.start],
    }
    optional = {
        "url": span.url,
        "language": span.language,
        "custom_emoji_id": span.emoji_id,
        "unix_time": span.unix_time,
        "date_time_format": span.date_format,
    }
    return entity | {name: value for name, value in optional.items() if value}
