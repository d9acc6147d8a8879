"""Telegram's HTML: escaping, the few tags we use, measuring in UTF-16 units, splitting at the limit.

The limits are Telegram's own (https://core.telegram.org/bots/api#sendmessage): 1 to 4096 UTF-16 units after entities
are parsed. Only lt, gt, amp, quot and numeric entities exist; a bare `<` is fatal.
"""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterable, Sequence
from itertools import pairwise

LIMIT = 4096
CAPTION_LIMIT = 1024
"""What may stand under a picture or a document."""
COLUMNS = 34
MISSING_TEXT = "–"
_TOKEN = re.compile(r"<(/?)(b|i|code|pre)>|&(?:lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);|.", re.DOTALL)
_HALVES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """`text` without what cannot be sent or would break the layout: half characters, control characters.

    Characters that turn the direction of writing are dropped too: a foreign text could disguise a number with them.
    """
    return _DIRECTIONS.sub("", _CONTROLS.sub(" ", _HALVES.sub("\ufffd", text)))


def esc(text: str, limit: int = 700) -> str:
    """Any text made safe inside our HTML, and cut to `limit` characters with an ellipsis."""
    tidy = clean(text[: 4 * limit]).strip()
    if len(tidy) > limit:
        tidy = f"{tidy[: limit - 1]}…"
    return html.escape(tidy, quote=False)


def line(text: str, limit: int = 200) -> str:
    """Like `esc`, but on one line: for symbols, names and first lines."""
    return esc(" ".join(text.split()), limit)


def bold(text: str) -> str:
    return f"<b>{text}</b>"


def italic(text: str) -> str:
    return f"<i>{text}</i>"


def code(text: str) -> str:
    return f"<code>{text}</code>"


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Label and value in monospace, values aligned, at most about 34 columns wide on a phone.

    A value that does not fit beside its label goes on a line of its own. Labels and values are plain text.
    """
    tidy = [(" ".join(clean(label).split()), " ".join(clean(value[:400]).split())) for label, value in rows]
    if not tidy:
        return ""
    width = max(len(label) for label, _ in tidy) + 1
    lines = [part for label, value in tidy for part in _row(label, value, width)]
    return f"<pre>{esc(chr(10).join(lines), 3000)}</pre>"


def _row(label: str, value: str, width: int) -> list[str]:
    """On one line where both fit, else the value below, broken where a phone would break it."""
    if width + 1 + len(value) <= COLUMNS:
        return [f"{label.ljust(width)} {value}"]
    below = textwrap.wrap(value, COLUMNS, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return [*textwrap.wrap(label, COLUMNS), *below]


def units(text: str) -> int:
    """Length in UTF-16 units: what Telegram counts."""
    return len(text) + sum(1 for character in text if ord(character) > 0xFFFF)


def visible(markup: str) -> str:
    """What the reader sees of our HTML: tags gone, entities read, a space that does not break like any other."""
    return html.unescape(re.sub(r"</?(?:b|i|code|pre)>", "", markup)).replace("\u00a0", " ")


def paragraphs(*parts: str) -> str:
    """Parts with text, an empty line between them, except around a monospace block, which brings its own space."""
    kept = [part for part in parts if part]
    if not kept:
        return ""
    text = kept[0]
    for former, latter in pairwise(kept):
        text += ("\n" if former.endswith("</pre>") or latter.startswith("<pre>") else "\n\n") + latter
    return text


def split(markup: str, limit: int = LIMIT, first: int | None = None) -> list[str]:
    """`markup` in pieces of at most `limit` visible units, each valid by itself, cut at line ends where there are any.

    The first piece has at most `first` where that is given. A tag that is open at a cut is closed there and opened
    again in the next piece. Never returns an empty piece.
    """
    if units(visible(markup)) <= (first or limit):
        return [markup] if visible(markup).strip() else [MISSING_TEXT]
    pieces = _Splitter(first or limit, limit).split(markup)
    return [piece for piece in pieces if visible(piece).strip()] or [MISSING_TEXT]


class _Splitter:
    """Collects tokens until the limit, then cuts at the last line end seen, or where it stands."""

    def __init__(self, first: int, limit: int) -> None:
        self._limit = first
        self._later_limit = limit
        self._pieces: list[str] = []
        self._tokens: list[str] = []
        self._units = 0
        self._open: list[str] = []
        self._opened_before: list[str] = []
        self._line_end = 0

    def split(self, markup: str) -> list[str]:
        for match in _TOKEN.finditer(markup):
            token, closing, tag = match.group(0), match.group(1), match.group(2)
            if tag is None:
                self._add_text(token)
            else:
                self._tokens.append(token)
                if closing:
                    self._open.pop()
                else:
                    self._open.append(tag)
        self._cut(len(self._tokens))
        return self._pieces

    def _add_text(self, token: str) -> None:
        size = units(html.unescape(token))
        if self._units + size > self._limit:
            self._cut(self._line_end or len(self._tokens))
        self._tokens.append(token)
        self._units += size
        if token == "\n":
            self._line_end = len(self._tokens)

    def _cut(self, at: int) -> None:
        head, rest = self._tokens[:at], self._tokens[at:]
        opened = _open_after(self._opened_before, head)
        before = "".join(f"<{tag}>" for tag in self._opened_before)
        after = "".join(f"</{tag}>" for tag in reversed(opened))
        self._pieces.append(before + "".join(head) + after)
        self._limit = self._later_limit
        self._opened_before = opened
        self._tokens = rest
        self._units = sum(units(html.unescape(token)) for token in rest if not _is_tag(token))
        self._line_end = 0


def _is_tag(token: str) -> bool:
    return len(token) > 1 and token.startswith("<")


def _open_after(opened: Sequence[str], tokens: Sequence[str]) -> list[str]:
    stack = list(opened)
    for token in filter(_is_tag, tokens):
        if token.startswith("</"):
            stack.pop()
        else:
            stack.append(token[1:-1])
    return stack
