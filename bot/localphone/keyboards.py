"""Inline keyboards: what a bot may put under a message."""

from __future__ import annotations

from typing import Any

from bot.localphone.errors import ApiError, bad_request

MAX_CALLBACK_BYTES = 64
"""Of a button's callback_data in UTF-8 (Bot API, InlineKeyboardButton)."""

_MAX_BUTTONS = 100
_STYLES = ("danger", "success", "primary")
_OTHER_ACTIONS = (
    "callback_game",
    "pay",
    "switch_inline_query",
    "switch_inline_query_chosen_chat",
    "switch_inline_query_current_chat",
    "login_url",
    "web_app",
)

Keyboard = list[list[dict[str, Any]]]


def inline_keyboard(markup: dict[str, Any] | None) -> Keyboard:
    """The rows of buttons in a `reply_markup`; none for no markup. Raises ApiError with the real server's words.

    The other kinds of markup have no buttons to show here; removing a reply keyboard is accepted.
    """
    if markup is None:
        return []
    if markup.get("keyboard"):
        raise bad_request("Reply keyboards are not supported by the local phone")
    keyboard = [[_button(button) for button in row] for row in markup.get("inline_keyboard", []) if row]
    if sum(len(row) for row in keyboard) > _MAX_BUTTONS:
        raise bad_request("Reply markup is too long")
    return keyboard


def _button(button: dict[str, Any]) -> dict[str, Any]:
    if not button["text"].strip():
        raise bad_request("BUTTON_TEXT_INVALID")
    shown: dict[str, Any] = {"text": button["text"]} | _action(button)
    if "style" in button:
        if button["style"] not in _STYLES:
            raise _refused("invalid button style specified")
        shown["style"] = button["style"]
    return shown


def _action(button: dict[str, Any]) -> dict[str, Any]:
    if button.get("url"):
        url = str(button["url"])
        if url.partition(":")[0].lower() not in ("http", "https", "tg"):
            raise bad_request("BUTTON_URL_INVALID")
        return {"url": url}
    if button.get("callback_data"):
        data = str(button["callback_data"])
        if len(data.encode("utf-8", "surrogatepass")) > MAX_CALLBACK_BYTES:
            raise bad_request("BUTTON_DATA_INVALID")
        return {"callback_data": data}
    if "copy_text" in button:
        return {"copy_text": button["copy_text"]}
    if any(action in button for action in _OTHER_ACTIONS):
        raise bad_request("BUTTON_TYPE_INVALID")
    raise _refused("Text buttons are unallowed in the inline keyboard")


def _refused(reason: str) -> ApiError:
    return bad_request(f"Can't parse inline keyboard button: {reason}")
