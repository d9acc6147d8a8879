"""The Bot API methods about messages: sending, changing, deleting, marking them, and answering taps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from telegram.constants import ChatAction

from bot.localphone.content import Content, text_content
from bot.localphone.conversation import OWNER_ID, Conversation
from bot.localphone.errors import ApiError, bad_request
from bot.localphone.keyboards import Keyboard, inline_keyboard
from bot.localphone.marks import Marks
from bot.localphone.parameters import Parameters

_ACTIONS = frozenset(str(action.value) for action in ChatAction) | {"cancel"}
_MAX_DELETED = 100
_QUOTES = ("quote", "quote_parse_mode", "quote_entities", "quote_position", "checklist_task_id", "poll_option_id")


class MessageMethods:
    def __init__(self, conversation: Conversation, marks: Marks) -> None:
        self._conversation = conversation
        self._marks = marks

    def methods(self) -> dict[str, Callable[[Parameters], Awaitable[Any]]]:
        return {
            "sendMessage": self._send_message,
            "editMessageText": self._edit_message_text,
            "editMessageReplyMarkup": self._edit_message_reply_markup,
            "deleteMessage": self._delete_message,
            "deleteMessages": self._delete_messages,
            "answerCallbackQuery": self._answer_callback_query,
            "sendChatAction": self._send_chat_action,
            "pinChatMessage": self._pin_chat_message,
            "unpinChatMessage": self._unpin_chat_message,
            "unpinAllChatMessages": self._unpin_all_chat_messages,
            "setMessageReaction": self._set_message_reaction,
        }

    async def _send_message(self, parameters: Parameters) -> dict[str, Any]:
        content, keyboard = text_content(parameters), keyboard_of(parameters)
        return send(self._conversation, content, keyboard, parameters)

    async def _edit_message_text(self, parameters: Parameters) -> dict[str, Any]:
        content, keyboard = text_content(parameters), keyboard_of(parameters)

        def change(message: dict[str, Any]) -> Content:
            if "text" not in message:
                raise bad_request("There is no text in the message to edit")
            return content

        return self._conversation.bot_edits(target(parameters), change, keyboard)

    async def _edit_message_reply_markup(self, parameters: Parameters) -> dict[str, Any]:
        return self._conversation.bot_edits(target(parameters), lambda _message: None, keyboard_of(parameters))

    async def _delete_message(self, parameters: Parameters) -> bool:
        self._conversation.bot_deletes(target(parameters))
        return True

    async def _delete_messages(self, parameters: Parameters) -> bool:
        """Messages that are gone are passed over, as there."""
        check_chat(parameters)
        message_ids = parameters.value("message_ids")
        if not message_ids:
            raise bad_request("Message identifiers are not specified")
        if len(message_ids) > _MAX_DELETED:
            raise bad_request("Too many message identifiers specified")
        for message_id in message_ids:
            if self._conversation.has_message(message_id):
                self._conversation.bot_deletes(message_id)
        return True

    async def _answer_callback_query(self, parameters: Parameters) -> bool:
        self._conversation.bot_answers(
            parameters.text("callback_query_id"), parameters.text("text"), parameters.flag("show_alert")
        )
        return True

    async def _send_chat_action(self, parameters: Parameters) -> bool:
        action = parameters.text("action").lower()
        if action not in _ACTIONS:
            raise bad_request("Wrong parameter action in request")
        check_chat(parameters)
        self._conversation.bot_acts(action)
        return True

    async def _pin_chat_message(self, parameters: Parameters) -> bool:
        check_chat(parameters)
        self._conversation.bot_pins(parameters.integer("message_id"))
        return True

    async def _unpin_chat_message(self, parameters: Parameters) -> bool:
        check_chat(parameters)
        message_id = parameters.integer("message_id") or None
        if message_id is not None:
            self._conversation.message(message_id, "message to unpin not found")
        self._marks.unpin(message_id)
        return True

    async def _unpin_all_chat_messages(self, parameters: Parameters) -> bool:
        check_chat(parameters)
        self._marks.unpin_all()
        return True

    async def _set_message_reaction(self, parameters: Parameters) -> bool:
        check_chat(parameters)
        message_id = parameters.integer("message_id")
        self._conversation.message(message_id, "message to react not found")
        self._marks.react(message_id, parameters.value("reaction") or [])
        return True


def send(conversation: Conversation, content: Content, keyboard: Keyboard, parameters: Parameters) -> dict[str, Any]:
    """A new message with what every sending method may say about it."""
    check_chat(parameters)
    extra = {"has_protected_content": True} if parameters.flag("protect_content") else {}
    message = conversation.bot_sends(content, keyboard, _reply_to(conversation, parameters), extra)
    markup = parameters.value("reply_markup") or {}
    if "force_reply" in markup:
        conversation.bot_asks(message["message_id"], markup.get("input_field_placeholder", ""))
    return message


def keyboard_of(parameters: Parameters) -> Keyboard:
    return inline_keyboard(parameters.value("reply_markup"))


def target(parameters: Parameters) -> int:
    """The message a method changes."""
    message_id = parameters.integer("message_id")
    if message_id == 0:
        raise bad_request("Message identifier is not specified")
    check_chat(parameters)
    return message_id


def check_chat(parameters: Parameters) -> None:
    chat = parameters.text("chat_id")
    if not chat:
        raise bad_request("chat_id is empty")
    if chat != str(OWNER_ID):
        raise bad_request("chat not found")


def _reply_to(conversation: Conversation, parameters: Parameters) -> int | None:
    reply = parameters.value("reply_parameters")
    if reply is None:
        return None
    if str(reply.get("chat_id", OWNER_ID)) != str(OWNER_ID):
        raise bad_request("chat not found")
    if any(name in reply for name in _QUOTES):
        raise _unserved("quotes")
    message_id = int(reply["message_id"])
    if reply.get("allow_sending_without_reply") and not conversation.has_message(message_id):
        return None
    return message_id


def _unserved(what: str) -> ApiError:
    return bad_request(f"Replies with {what} are not served by the local phone")
