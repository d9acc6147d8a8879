"""A message as we think of it, before anything of Telegram: HTML text and buttons."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Button:
    """`token` comes back when it is tapped; at most 64 bytes of UTF-8 (Telegram's limit)."""

    label: str
    token: str


Keyboard = tuple[tuple[Button, ...], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """`text` is Telegram HTML (bold, italic, code, pre only) of any length; it is split when it is sent.

    `reply_to` is the id of the message that it answers, `silent` whether it arrives without a sound.
    """

    text: str
    keyboard: Keyboard = ()
    reply_to: int | None = None
    silent: bool = False
