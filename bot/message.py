"""A message as we think of it, before anything of Telegram: HTML text and buttons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """How a button stands out where the app can show it. GO does what the message is about, WARN what may be wrong."""

    PLAIN = ""
    GO = "success"
    WARN = "danger"


@dataclass(frozen=True, slots=True)
class Button:
    """`token` comes back when it is tapped; at most 64 bytes of UTF-8 (Telegram's limit)."""

    label: str
    token: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that comes with a message: a picture to look at, or a document to keep. `name` is what it is saved as."""

    name: str
    content: bytes
    is_picture: bool = False


Keyboard = tuple[tuple[Button, ...], ...]
ASK = "?"


def in_rows(buttons: Sequence[Button], most: int = 2) -> Keyboard:
    """Rows of at most `most`: a phone wraps, or cuts short, longer labels of three."""
    return tuple(tuple(buttons[at : at + most]) for at in range(0, len(buttons), most))


def asking(hint: str) -> Keyboard:
    """In the place of buttons: the phone opens its text field as an answer to the message, with `hint` in it."""
    return ((Button(hint, ASK),),)


@dataclass(frozen=True, slots=True)
class Message:
    """`text` is Telegram HTML (bold, italic, code, pre only) of any length; it is split when it is sent.

    `reply_to` is the id of the message that it answers, `silent` whether it arrives without a sound. An `attachment`
    comes with the beginning of the text as its caption.
    """

    text: str
    keyboard: Keyboard = ()
    reply_to: int | None = None
    silent: bool = False
    attachment: Attachment | None = None
