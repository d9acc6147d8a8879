"""Every request is held to the description of the Bot API that `describe` derived: `bot_api.json` beside this file."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from bot.localphone.errors import ApiError, bad_request
from bot.localphone.parameters import ATTACHED, Parameters, Upload
from bot.localphone.typed import Field, Types

_MISSING = {
    ("answerCallbackQuery", "callback_query_id"): (
        "query is too old and response timeout expired or query ID is invalid"
    ),
    ("deleteMessage", "chat_id"): "Chat identifier is not specified",
    ("getFile", "file_id"): "file_id not specified",
    ("pinChatMessage", "message_id"): "message to pin not found",
    ("sendDocument", "document"): "There is no document in the request",
    ("sendPhoto", "photo"): "There is no photo in the request",
    ("setMessageReaction", "message_id"): "message to react not found",
    ("setMyCommands", "commands"): "Can't parse commands JSON object",
}
_MISSING_ANYWHERE = {
    "action": "Wrong parameter action in request",
    "chat_id": "chat_id is empty",
    "message_id": "Message identifier is not specified",
    "message_ids": "Message identifiers are not specified",
    "text": "Message text is empty",
}
_FIRST = ("text", "photo", "document", "action", "chat_id")
"""The order in which the real server misses them."""

_NOT_HERE = frozenset(
    {
        "business_connection_id",
        "direct_messages_topic_id",
        "inline_message_id",
        "message_effect_id",
        "message_thread_id",
        "suggested_post_parameters",
    }
)
"""Parameters of the served methods that belong to things a private chat with one person does not have."""


class Described:
    """One description. Names of methods are compared without regard to case, as there."""

    def __init__(self) -> None:
        described = json.loads((files("bot.localphone") / "bot_api.json").read_text("utf-8"))
        self._methods: dict[str, dict[str, Field]] = described["methods"]
        self._by_lower: dict[str, str] = {name.lower(): name for name in self._methods}
        self._others: dict[str, str] = {name.lower(): name for name in described["other_methods"]}
        self._types = Types(described["types"])

    def method(self, name: str) -> str:
        """The name as it is documented. Raises ApiError where nobody knows it, or where we do not serve it."""
        found = self._by_lower.get(name.lower())
        if found is not None:
            return found
        other = self._others.get(name.lower())
        if other is not None:
            raise bad_request(f"The method {other} is not served by the local phone")
        raise ApiError(404, "Not Found: method not found")

    def read(self, method: str, values: dict[str, Any], uploads: dict[str, Upload]) -> Parameters:
        """The request as parameters of the described types. An empty text counts as none. Raises ApiError."""
        fields = self._methods[method]
        given = {name: value for name, value in values.items() if value != ""}
        for name in given:
            if name not in fields:
                raise bad_request(f'Parameter "{name}" of the method {method} is unknown')
            if name in _NOT_HERE:
                raise bad_request(f'Parameter "{name}" is not served by the local phone')
        read = {name: self._types.read(name, fields[name], value) for name, value in given.items()}
        own = {
            name: upload for name, upload in uploads.items() if "InputFile" in fields.get(name, {"types": ()})["types"]
        }
        _refuse_strays(set(uploads) - set(own), given)
        missing = [name for name, field in fields.items() if field["required"] and name not in read | own]
        if missing:
            raise bad_request(_missing(method, min(missing, key=_rank)))
        return Parameters(read, uploads)


def _refuse_strays(names: set[str], given: dict[str, Any]) -> None:
    """A file that no parameter names was meant for something else."""
    for name in sorted(names):
        if not any(
            ATTACHED + name in (value if isinstance(value, str) else json.dumps(value)) for value in given.values()
        ):
            raise bad_request(f'No parameter names the file "{name}"')


def _rank(name: str) -> int:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def _missing(method: str, name: str) -> str:
    return _MISSING.get((method, name)) or _MISSING_ANYWHERE.get(name) or f'Parameter "{name}" is required'
