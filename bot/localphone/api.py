"""The Bot API methods the local phone knows, by name; names are compared without regard to case, as there."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from bot.localphone.conversation import OWNER_ID, Conversation
from bot.localphone.errors import ApiError, bad_request
from bot.localphone.formatted import FormattedText, formatted
from bot.localphone.keyboards import Keyboard, inline_keyboard
from bot.localphone.parameters import Parameters
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
        self, bot: dict[str, Any], conversation: Conversation, updates: UpdateQueue, store: PhoneStore
    ) -> None:
        self._bot = bot
        self._conversation = conversation
        self._updates = updates
        self._store = store
        self._methods: dict[str, Callable[[Parameters], Awaitable[Any]]] = {
            "getme": self._get_me,
            "getupdates": self._get_updates,
            "deletewebhook": self._delete_webhook,
            "getwebhookinfo": self._get_webhook_info,
            "setmycommands": self._set_my_commands,
            "getmycommands": self._get_my_commands,
            "deletemycommands": self._delete_my_commands,
            "sendmessage": self._send_message,
            "editmessagetext": self._edit_message_text,
            "editmessagereplymarkup": self._edit_message_reply_markup,
            "deletemessage": self._delete_message,
            "answercallbackquery": self._answer_callback_query,
            "sendchataction": self._send_chat_action,
        }

    async def call(self, method: str, parameters: Parameters) -> Any:
        handler = self._methods.get(method.lower())
        if handler is None:
            raise ApiError(404, "Not Found: method not found")
        return await handler(parameters)

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
            self._updates.allow(parameters.json("allowed_updates", "allowed updates"))
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
        commands = parameters.json("commands", "commands")
        if not isinstance(commands, list):
            raise bad_request("Can't parse commands: expected an Array of BotCommand")
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
        preview = parameters.json("link_preview_options", "link preview options")
        if isinstance(preview, dict) and preview.get("is_disabled"):
            extra["link_preview_options"] = {"is_disabled": True}
        return self._conversation.bot_sends(content, keyboard, self._reply_to(parameters), extra)

    def _reply_to(self, parameters: Parameters) -> int | None:
        reply = parameters.json("reply_parameters", "reply parameters")
        if isinstance(reply, dict):
            message_id, optional = reply.get("message_id"), bool(reply.get("allow_sending_without_reply"))
        else:
            message_id = parameters.integer("reply_to_message_id") or None
            optional = parameters.flag("allow_sending_without_reply")
        if not isinstance(message_id, int) or (optional and not self._conversation.has_message(message_id)):
            return None
        return message_id

    async def _edit_message_text(self, parameters: Parameters) -> dict[str, Any]:
        content, keyboard = _content(parameters), _keyboard(parameters)
        return self._conversation.bot_edits(_target(parameters), content, keyboard)

    async def _edit_message_reply_markup(self, parameters: Parameters) -> dict[str, Any]:
        return self._conversation.bot_edits(_target(parameters), None, _keyboard(parameters))

    async def _delete_message(self, parameters: Parameters) -> bool:
        if not parameters.text("chat_id"):
            raise bad_request("Chat identifier is not specified")
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
    return formatted(
        parameters.text("text"), parameters.text("parse_mode"), parameters.json("entities", "message entities")
    )


def _keyboard(parameters: Parameters) -> Keyboard:
    return inline_keyboard(parameters.json("reply_markup", "reply keyboard markup"))


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
    scope = parameters.json("scope", "BotCommandScope")
    if scope is not None and not isinstance(scope, dict):
        raise bad_request("Can't parse BotCommandScope: Object expected")
    return _key(scope or _DEFAULT_SCOPE), parameters.text("language_code")


def _key(scope: dict[str, Any]) -> str:
    return json.dumps({name: str(value) for name, value in scope.items()}, sort_keys=True)


def _command(command: Any) -> dict[str, str]:
    if not isinstance(command, dict) or not isinstance(command.get("command"), str):
        raise bad_request("Can't parse BotCommand: Object expected")
    name = command["command"].removeprefix("/")
    description = str(command.get("description", "")).strip()
    if not _COMMAND.fullmatch(name):
        raise bad_request("BOT_COMMAND_INVALID")
    if not 0 < len(description) <= _MAX_DESCRIPTION:
        raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return {"command": name, "description": description}
