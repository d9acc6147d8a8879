"""A strict reader of Telegram's HTML, for tests: says what is wrong with a text, and what remains of it to be seen.

After https://core.telegram.org/bots/api#html-style, restricted to the four tags this product uses.
"""

from __future__ import annotations

import re

TAGS = frozenset({"b", "i", "code", "pre"})
_ENTITY = re.compile(r"&(lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_TAG = re.compile(r"<(/?)([a-zA-Z-]+)>")


class NotTelegramHtml(AssertionError):
    """What the server would refuse, or what we promised not to send."""


def parse(text: str) -> str:
    """The visible text. Raises NotTelegramHtml for bad nesting, foreign tags, a bare `<`, or an undecoded entity."""
    seen: list[str] = []
    opened: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "<":
            match = _TAG.match(text, position)
            if match is None:
                raise NotTelegramHtml(f"a bare < at {position}: {text[position : position + 30]!r}")
            _step(opened, closing=bool(match.group(1)), tag=match.group(2))
            position = match.end()
        elif character == "&":
            match = _ENTITY.match(text, position)
            if match is None:
                raise NotTelegramHtml(f"a bare & at {position}: {text[position : position + 30]!r}")
            seen.append(_decoded(match.group(1)))
            position = match.end()
        else:
            seen.append(character)
            position += 1
    if opened:
        raise NotTelegramHtml(f"never closed: {opened}")
    return "".join(seen)


def _step(opened: list[str], *, closing: bool, tag: str) -> None:
    if tag not in TAGS:
        raise NotTelegramHtml(f"not one of our tags: {tag}")
    if not closing:
        if {"code", "pre"} & set(opened):
            raise NotTelegramHtml(f"{tag} inside {opened[-1]}")
        opened.append(tag)
    elif not opened or opened.pop() != tag:
        raise NotTelegramHtml(f"</{tag}> closes nothing")


def _decoded(entity: str) -> str:
    if entity in _NAMED:
        return _NAMED[entity]
    return chr(int(entity[2:], 16) if entity[1] == "x" else int(entity[1:]))


def check_message(text: str) -> None:
    """Everything Telegram asks of a message's text: valid markup, 1 to 4096 visible UTF-16 units, encodable."""
    visible = parse(text)
    text.encode("utf-8")
    units = len(visible.encode("utf-16-le")) // 2
    if not visible.strip():
        raise NotTelegramHtml("nothing to be seen")
    if units > 4096:
        raise NotTelegramHtml(f"{units} UTF-16 units")
