"""The Bot API methods the local phone serves, by name."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from bot.localphone.conversation import OWNER_ID, Conversation
from bot.localphone.described import Described
from bot.localphone.errors import bad_request
from bot.localphone.formatted import FormattedText, formatted
from bot.localphone.keyboards import Keyboard, inline_keyboard
from bot.localphone.limits import RateLimits
from bot.localphone.parameters import Parameters, Upload
from bot.localphone.polling import UpdateQueue
from bot.localphone.store import PhoneStore

_ACTIONS = frozenset(
    {
        "cancel",
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    }
)
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_MAX_COMMANDS = 100
_MAX_DESCRIPTION = 256
_DEFAULT_SCOPE = {"type": "default"}
_SCOPES_OF_A_PRIVATE_CHAT = ({"type": "chat", "chat_id": OWNER_ID}, {"type": "all_private_chats"}, _DEFAULT_SCOPE)


class BotApi:
    """Every method takes Parameters and returns the `result`, or raises ApiError."""

    def __init__(
        self,
        bot: dict[str, Any],
        conversation: Conversation,
        updates: UpdateQueue,
        store: PhoneStore,
        limits: RateLimits | None = None,
    ) -> None:
        self._bot = bot
        self._conversation = conversation
        self._updates = updates
        self._store = store
        self._limits = limits
        self._described = Described()
        self._methods: dict[str, Callable[[Parameters], Awaitable[Any]]] = {
            "getMe": self._get_me,
            "getUpdates": self._get_updates,
            "deleteWebhook": self._delete_webhook,
            "getWebhookInfo": self._get_webhook_info,
            "setMyCommands": self._set_my_commands,
            "getMyCommands": self._get_my_commands,
            "deleteMyCommands": self._delete_my_commands,
            "sendMessage": self._send_message,
            "editMessageText": self._edit_message_text,
            "editMessageReplyMarkup": self._edit_message_reply_markup,
            "deleteMessage": self._delete_message,
            "answerCallbackQuery": self._answer_callback_query,
            "sendChatAction": self._send_chat_action,
        }

    async def call(self, method: str, values: dict[str, Any], uploads: dict[str, Upload]) -> Any:
        name = self._described.method(method)
        parameters = self._described.read(name, values, uploads)
        if self._limits is not None:
            self._limits.check(name, parameters.text("chat_id"))
        return await self._methods[name](parameters)

    def menu(self) -> list[dict[str, str]]:
        """The commands the owner is offered: those of the narrowest scope that has any."""
        for scope in _SCOPES_OF_A_PRIVATE_CHAT:
            for language in ("en", ""):
                commands = self._store.commands(_key(scope), language)
                if commands:
                    return commands
        return []

    async def _get_me(self, _parameters: Parameters) -> dict[str, Any]:
        return self._bot

    async def _get_updates(self, parameters: Parameters) -> list[dict[str, Any]]:
        if "allowed_updates" in parameters:
            self._updates.allow(parameters.value("allowed_updates"))
        return await self._updates.get(
            parameters.integer("offset"), parameters.integer("limit", 100), parameters.integer("timeout")
        )

    async def _delete_webhook(self, parameters: Parameters) -> bool:
        if parameters.flag("drop_pending_updates"):
            self._store.forget_updates_but(0)
        return True

    async def _get_webhook_info(self, _parameters: Parameters) -> dict[str, Any]:
        return {"url": "", "has_custom_certificate": False, "pending_update_count": self._store.update_count()}

    async def _set_my_commands(self, parameters: Parameters) -> bool:
        commands = parameters.value("commands")
        if len(commands) > _MAX_COMMANDS:
            raise bad_request("BOT_COMMANDS_TOO_MUCH")
        self._store.set_commands(*_scope(parameters), [_command(command) for command in commands])
        self._conversation.bot_offers(self.menu())
        return True

    async def _get_my_commands(self, parameters: Parameters) -> list[dict[str, str]]:
        return self._store.commands(*_scope(parameters))

    async def _delete_my_commands(self, parameters: Parameters) -> bool:
        self._store.set_commands(*_scope(parameters), [])
        self._conversation.bot_offers(self.menu())
        return True

    async def _send_message(self, parameters: Parameters) -> dict[str, Any]:
        content, keyboard = _content(parameters), _keyboard(parameters)
        _check_chat(parameters)
        extra: dict[str, Any] = {}
        if parameters.flag("protect_content"):
            extra["has_protected_content"] = True
        preview = parameters.value("link_preview_options")
        if preview:
            extra["link_preview_options"] = preview
        return self._conversation.bot_sends(content, keyboard, self._reply_to(parameters), extra)

    def _reply_to(self, parameters: Parameters) -> int | None:
        reply = parameters.value("reply_parameters")
        if reply is None:
            return None
        if str(reply.get("chat_id", OWNER_ID)) != str(OWNER_ID):
            raise bad_request("Chat not found")
        message_id = int(reply["message_id"])
        if reply.get("allow_sending_without_reply") and not self._conversation.has_message(message_id):
            return None
        return message_id

    async def _edit_message_text(self, parameters: Parameters) -> dict[str, Any]:
        content, keyboard = _content(parameters), _keyboard(parameters)
        return self._conversation.bot_edits(_target(parameters), content, keyboard)

    async def _edit_message_reply_markup(self, parameters: Parameters) -> dict[str, Any]:
        return self._conversation.bot_edits(_target(parameters), None, _keyboard(parameters))

    async def _delete_message(self, parameters: Parameters) -> bool:
        self._conversation.bot_deletes(_target(parameters))
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
        _check_chat(parameters)
        self._conversation.bot_acts(action)
        return True


def _content(parameters: Parameters) -> FormattedText:
    return formatted(parameters.text("text"), parameters.text("parse_mode"), parameters.value("entities"))


def _keyboard(parameters: Parameters) -> Keyboard:
    return inline_keyboard(parameters.value("reply_markup"))


def _check_chat(parameters: Parameters) -> None:
    chat = parameters.text("chat_id")
    if not chat:
        raise bad_request("chat_id is empty")
    if chat != str(OWNER_ID):
        raise bad_request("chat not found")


def _target(parameters: Parameters) -> int:
    message_id = parameters.integer("message_id")
    if message_id == 0:
        raise bad_request("Message identifier is not specified")
    _check_chat(parameters)
    return message_id


def _scope(parameters: Parameters) -> tuple[str, str]:
    return _key(parameters.value("scope") or _DEFAULT_SCOPE), parameters.text("language_code")


def _key(scope: dict[str, Any]) -> str:
    return json.dumps({name: str(value) for name, value in scope.items()}, sort_keys=True)


def _command(command: dict[str, str]) -> dict[str, str]:
    name = command["command"].removeprefix("/")
    description = command["description"].strip()
    if not _COMMAND.fullmatch(name):
        raise bad_request("BOT_COMMAND_INVALID")
    if not 0 < len(description) <= _MAX_DESCRIPTION:
        raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return {"command": name, "description": description}
