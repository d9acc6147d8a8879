"""Telegram's HTML: which tags it knows, what it refuses and in which words.

The rules and the error texts follow the public parser (tdlib/td, MessageEntity.cpp): only lt, gt, amp, quot and numeric
references are decoded, a lone `&` is text, a lone `<` is an error, and offsets in errors count UTF-8 bytes.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

_KINDS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
    "tg-time": "date_time",
}
_USED = frozenset(
    {
        ("a", "href"),
        ("blockquote", "expandable"),
        ("code", "class"),
        ("span", "class"),
        ("tg-emoji", "emoji-id"),
        ("tg-time", "format"),
        ("tg-time", "unix"),
    }
)
_LITERALS = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_REFERENCE = re.compile(r"&(?:#x([0-9a-fA-F]*)|#([0-9]*)|([a-zA-Z]+));?")
_IDENTIFIER = re.compile("[0-9]{1,19}")
_LEADING_DIGITS = re.compile("[0-9]{1,12}")
_LAST_SECOND = 2**31 - 1
_SPACES = frozenset(" \t\r\n\0\v")
_NAME_TOKEN = frozenset(string.ascii_letters + string.digits + ".-")


class MarkupError(Exception):
    """The text cannot be parsed; the message says why and at which byte."""


@dataclass(frozen=True, slots=True)
class Span:
    """A formatted stretch of a text, from `start` to before `end`, counted in code points."""

    kind: str
    start: int
    end: int
    url: str = ""
    language: str = ""
    emoji_id: str = ""
    unix_time: int = 0
    date_format: str = ""


@dataclass(slots=True)
class _OpenTag:
    """`given` are the attributes that the tag has a use for."""

    name: str
    given: dict[str, str]
    start: int


def parse_html(source: str) -> tuple[str, list[Span]]:
    """The text without its tags, and the spans in the order in which their tags close. Raises MarkupError."""
    return _Parser(source).run()


def check_date_format(date_format: str) -> None:
    """`r` for a distance in time, else any of t, T, d, D, w. Raises MarkupError."""
    if date_format not in ("r", "R") and not set(date_format) <= set("tTdDwW"):
        raise MarkupError("Invalid date format used")


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._out: list[str] = []
        self._open: list[_OpenTag] = []
        self._spans: list[Span] = []

    def run(self) -> tuple[str, list[Span]]:
        while self._at < len(self._source):
            char = self._source[self._at]
            if char == "<":
                self._tag()
            else:
                self._out.append(self._reference() if char == "&" else self._next())
        if self._open:
            raise MarkupError(f'Can\'t find end tag corresponding to start tag "{self._open[-1].name}"')
        text = "".join(self._out)
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise MarkupError(
                "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched "
                "surrogate code units"
            )
        return text, self._spans

    def _peek(self) -> str:
        """The character here, or an empty string at the end."""
        return self._source[self._at : self._at + 1]

    def _next(self) -> str:
        self._at += 1
        return self._source[self._at - 1]

    def _reference(self) -> str:
        match = _REFERENCE.match(self._source, self._at)
        decoded = _decode(match) if match else ""
        if not match or not decoded:
            return self._next()
        self._at = match.end()
        return decoded

    def _tag(self) -> None:
        begin = self._at
        self._at += 1
        if self._peek() == "/":
            self._at += 1
            self._end_tag(begin)
        else:
            self._start_tag(begin)

    def _byte(self, position: int) -> int:
        return len(self._source[:position].encode("utf-8", "surrogatepass"))

    def _word(self, stop: str) -> str:
        begin = self._at
        while self._peek() and self._peek() not in _SPACES and self._peek() not in stop:
            self._at += 1
        return self._source[begin : self._at]

    def _skip_spaces(self) -> None:
        while self._peek() in _SPACES and self._peek():
            self._at += 1

    def _start_tag(self, begin: int) -> None:
        where = f"at byte offset {self._byte(begin)}"
        name = self._word(">").lower()
        if not self._peek():
            raise MarkupError(f"Unclosed start tag {where}")
        if name not in _KINDS:
            raise MarkupError(f'Unsupported start tag "{name}" {where}')
        given: dict[str, str] = {}
        while True:
            self._skip_spaces()
            if self._peek() == ">":
                break
            attribute, value = self._attribute(name, where)
            if (name, attribute) in _USED:
                given[attribute] = value
        self._at += 1
        if name == "span" and given.get("class") != "tg-spoiler":
            raise MarkupError(f'Tag "span" must have class "tg-spoiler" {where}')
        self._open.append(_OpenTag(name, given, len(self._out)))

    def _attribute(self, tag: str, where: str) -> tuple[str, str]:
        """Reads one attribute: its name, and its value or an empty string."""
        attribute = self._word("=>/\"'")
        if not attribute:
            raise MarkupError(f'Empty attribute name in the tag "{tag}" {where}')
        self._skip_spaces()
        if self._peek() == "=":
            self._at += 1
            self._skip_spaces()
        elif self._peek():
            return attribute, ""
        if not self._peek():
            raise MarkupError(f'Unclosed start tag "{tag}" {where}')
        value = self._attribute_value()
        if not self._peek():
            raise MarkupError(f"Unclosed start tag {where}")
        return attribute, value

    def _attribute_value(self) -> str:
        quote = self._peek()
        begin = self._at
        if quote not in ("'", '"'):
            while self._peek() and self._peek() in _NAME_TOKEN:
                self._at += 1
            if self._peek() and self._peek() != ">" and self._peek() not in _SPACES:
                raise MarkupError(f"Unexpected end of name token at byte offset {self._byte(begin)}")
            return self._source[begin : self._at].lower()
        self._at += 1
        value: list[str] = []
        while self._peek() and self._peek() != quote:
            value.append(self._reference() if self._peek() == "&" else self._next())
        self._at += 1
        return "".join(value)

    def _end_tag(self, begin: int) -> None:
        where = f"at byte offset {self._byte(begin)}"
        if not self._open:
            raise MarkupError(f"Unexpected end tag {where}")
        name = self._word(">").lower()
        self._skip_spaces()
        if self._peek() != ">":
            raise MarkupError(f"Unclosed end tag {where}")
        self._at += 1
        opened = self._open.pop()
        if name and name != opened.name:
            raise MarkupError(f'Unmatched end tag {where}, expected "</{opened.name}>", found "</{name}>"')
        if len(self._out) > opened.start:
            self._close(opened)

    def _close(self, opened: _OpenTag) -> None:
        start, end = opened.start, len(self._out)
        last = self._spans[-1] if self._spans else None
        same_stretch = last is not None and (last.start, last.end) == (start, end)
        if opened.name == "a":
            url = opened.given.get("href") or "".join(self._out[start:end])
            if url.partition(":")[0].lower() in ("http", "https", "tg", "mailto") or "." in url:
                self._spans.append(Span("text_link", start, end, url=url))
        elif opened.name == "tg-emoji":
            emoji_id = opened.given.get("emoji-id", "")
            if not _IDENTIFIER.fullmatch(emoji_id) or int(emoji_id) == 0:
                raise MarkupError("Invalid custom emoji identifier specified")
            self._spans.append(Span("custom_emoji", start, end, emoji_id=emoji_id))
        elif opened.name == "tg-time":
            self._close_time(opened, start, end)
        elif opened.name == "pre" and last is not None and same_stretch and last.kind == "code" and last.language:
            self._spans[-1] = Span("pre", start, end, language=last.language)
        elif opened.name == "code":
            self._spans.append(Span("code", start, end, language=_language(opened)))
        else:
            kind = _KINDS[opened.name]
            self._spans.append(Span("expandable_blockquote" if "expandable" in opened.given else kind, start, end))

    def _close_time(self, opened: _OpenTag, start: int, end: int) -> None:
        date_format = opened.given.get("format", "")
        check_date_format(date_format)
        digits = _LEADING_DIGITS.match(opened.given.get("unix", ""))
        if digits and 0 < int(digits.group()) <= _LAST_SECOND:
            self._spans.append(Span("date_time", start, end, unix_time=int(digits.group()), date_format=date_format))


def _language(opened: _OpenTag) -> str:
    named = opened.given.get("class", "")
    return named.removeprefix("language-") if named.startswith("language-") else ""


def _decode(match: re.Match[str]) -> str:
    """The character a reference stands for; an empty string where Telegram leaves it as it is."""
    hexadecimal, decimal, literal = match.groups()
    if literal is not None:
        return _LITERALS.get(literal, "")
    digits, base = (hexadecimal, 16) if hexadecimal is not None else (decimal or "", 10)
    length = len(match.group().rstrip(";"))
    code = int(digits, base) if digits else 0
    return chr(code) if 0 < code < 0x10FFFF and length < 10 else ""
