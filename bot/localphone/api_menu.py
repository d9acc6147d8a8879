"""The Bot API methods about the command menu beside the text field."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from bot.localphone.conversation import OWNER_ID, Conversation
from bot.localphone.errors import bad_request
from bot.localphone.parameters import Parameters
from bot.localphone.store import PhoneStore

_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_MAX_COMMANDS = 100
_MAX_DESCRIPTION = 256
_DEFAULT_SCOPE = {"type": "default"}
_SCOPES_OF_A_PRIVATE_CHAT = ({"type": "chat", "chat_id": OWNER_ID}, {"type": "all_private_chats"}, _DEFAULT_SCOPE)
_BUTTON = "menu_button"
_DEFAULT_BUTTON = {"type": "default"}


class MenuMethods:
    """Commands by scope and language, as there; what the owner sees are those of the narrowest scope that has any."""

    def __init__(self, conversation: Conversation, store: PhoneStore) -> None:
        self._conversation = conversation
        self._store = store

    def methods(self) -> dict[str, Callable[[Parameters], Awaitable[Any]]]:
        return {
            "setMyCommands": self._set_my_commands,
            "getMyCommands": self._get_my_commands,
            "deleteMyCommands": self._delete_my_commands,
            "setChatMenuButton": self._set_chat_menu_button,
            "getChatMenuButton": self._get_chat_menu_button,
        }

    def offered(self) -> list[dict[str, str]]:
        for scope in _SCOPES_OF_A_PRIVATE_CHAT:
            for language in ("en", ""):
                commands = self._store.commands(_key(scope), language)
                if commands:
                    return commands
        return []

    async def _set_my_commands(self, parameters: Parameters) -> bool:
        commands = parameters.value("commands")
        if len(commands) > _MAX_COMMANDS:
            raise bad_request("BOT_COMMANDS_TOO_MUCH")
        self._store.set_commands(*_scope(parameters), [_command(command) for command in commands])
        self._conversation.bot_offers(self.offered())
        return True

    async def _get_my_commands(self, parameters: Parameters) -> list[dict[str, str]]:
        return self._store.commands(*_scope(parameters))

    async def _delete_my_commands(self, parameters: Parameters) -> bool:
        self._store.set_commands(*_scope(parameters), [])
        self._conversation.bot_offers(self.offered())
        return True

    async def _set_chat_menu_button(self, parameters: Parameters) -> bool:
        """The page has a button for commands and no other; without commands it has none."""
        button = parameters.value(_BUTTON) or _DEFAULT_BUTTON
        if button["type"] == "web_app":
            raise bad_request("Web apps are not supported by the local phone")
        self._store.set_setting(_key_of_button(parameters), json.dumps(button))
        return True

    async def _get_chat_menu_button(self, parameters: Parameters) -> dict[str, Any]:
        for key in (_key_of_button(parameters), _BUTTON):
            kept = self._store.setting(key)
            if kept:
                return dict(json.loads(kept))
        return _DEFAULT_BUTTON


def _key_of_button(parameters: Parameters) -> str:
    """That of one chat, else the one for all."""
    chat = parameters.integer("chat_id")
    if chat not in (0, OWNER_ID):
        raise bad_request("chat not found")
    return f"{_BUTTON} {chat}" if chat else _BUTTON


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
