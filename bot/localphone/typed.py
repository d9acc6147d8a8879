"""Whether a value is what the description of the Bot API says, and the real server's words where it is not.

The real server reads leniently: it ignores unknown fields and takes a number for a text. A bot that relies on that has
a mistake in it that nobody sees, so here it is refused.
"""

from __future__ import annotations

import json
import re
from typing import Any

from bot.localphone.errors import bad_request

Field = dict[str, Any]
_LIST = "Array of "
_PLAIN = frozenset({"Integer", "Float", "String", "Boolean", "InputFile"})
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

_WITHIN = {
    "BotCommand": "Can't parse BotCommand: ",
    "BotCommandScope": "Can't parse BotCommandScope: ",
    "InlineKeyboardButton": "Can't parse inline keyboard button: ",
    "InputMedia": "Can't parse InputMedia: ",
    "KeyboardButton": "Can't parse keyboard button: ",
    "MenuButton": "Can't parse menu button: ",
    "MessageEntity": "Can't parse MessageEntity: ",
    "ReactionType": "Can't parse ReactionType: ",
}
_NO_OBJECT = {
    "BotCommandScope": "BotCommandScope must be an Object",
    "InlineKeyboardButton": "InlineKeyboardButton must be an Object",
    "MenuButton": "MenuButton must be an Object",
}
_NO_SUCH_TYPE = {
    "BotCommandScope": "Unsupported type specified",
    "MenuButton": "MenuButton has unsupported type",
    "ReactionType": "invalid reaction type specified",
}
_CALLED = {
    "link_preview_options": "link preview options",
    "media": "input media",
    "menu_button": "menu button",
    "reaction": "reaction types",
    "reply_markup": "reply keyboard markup",
    "reply_parameters": "reply parameters",
    "scope": "BotCommandScope",
}
_EXPECTED = {
    "commands": "Expected an Array of BotCommand",
    "inline_keyboard": 'Field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays',
    "keyboard": 'Field "keyboard" must be an Array of Arrays',
    "link_preview_options": "Object expected as link preview options",
    "message_ids": "Expected an Array of message identifiers",
    "reaction": "Expected an Array of ReactionType",
    "reply_markup": "Object expected as reply markup",
    "reply_parameters": "Object expected as reply parameters",
}


class Mismatch(Exception):
    """The value is not of the described type; the text says why."""


class Types:
    """Checks against the objects of one description."""

    def __init__(self, objects: dict[str, Any]) -> None:
        self._objects = objects

    def read(self, name: str, field: Field, value: Any) -> Any:
        """A parameter's value as the handlers want it: numbers as numbers, JSON parsed. Raises ApiError.

        Forms carry everything as text, JSON bodies may carry the types themselves or JSON as text.
        """
        types = field["types"]
        try:
            if isinstance(value, str) and "String" not in types:
                value = _from_text(name, types, value)
            self._check(types, value, f'Parameter "{name}"', name)
        except Mismatch as error:
            raise bad_request(str(error)) from None
        return value

    def _check(self, types: list[str], value: Any, place: str, name: str) -> None:
        if isinstance(value, list):
            inner = [one.removeprefix(_LIST) for one in types if one.startswith(_LIST)]
            if not inner:
                raise _unlike(types, place, name)
            for item in value:
                self._check(inner, item, "Item", name)
        elif isinstance(value, dict):
            objects = [one for one in types if one not in _PLAIN and not one.startswith(_LIST)]
            if not objects:
                raise _unlike(types, place, name)
            self._check_object(objects, value)
        elif not any(_is_plain(one, value) for one in types):
            raise _unlike(types, place, name)

    def _check_object(self, names: list[str], value: dict[str, Any]) -> None:
        family, fields = self._meant(names, value)
        try:
            for name, field in fields.items():
                if field["required"] and name not in value:
                    raise Mismatch(f'Can\'t find field "{name}"')
            for name, item in value.items():
                if name not in fields:
                    raise Mismatch(f'Field "{name}" is unknown')
                self._check(fields[name]["types"], item, f'Field "{name}"', name)
        except Mismatch as error:
            raise Mismatch(_WITHIN.get(family, "") + str(error)) from None

    def _meant(self, names: list[str], value: dict[str, Any]) -> tuple[str, dict[str, Field]]:
        """Which of the possible objects it is: by its constant fields, else by the fields it must have."""
        possible = [(name, one) for name in names for one in self._objects[name].get("subtypes", [name])]
        plain: list[tuple[str, dict[str, Field]]] = []
        for family, name in possible:
            fields: dict[str, Field] = self._objects[name]["fields"]
            constants = {key: field["is"] for key, field in fields.items() if "is" in field}
            if not constants:
                plain.append((family, fields))
            elif all(key in value and value[key] == constant for key, constant in constants.items()):
                return family, fields
        if not plain:
            raise Mismatch(_WITHIN.get(names[0], "") + _no_such_type(names[0], value))
        fitting = [one for one in plain if all(name in value for name, field in one[1].items() if field["required"])]
        return (fitting or plain)[0]


def _no_such_type(family: str, value: dict[str, Any]) -> str:
    if "type" not in value:
        return 'Can\'t find field "type"'
    return _NO_SUCH_TYPE.get(family, f'type "{value["type"]}" is unsupported')


def _from_text(name: str, types: list[str], text: str) -> Any:
    """The value that a text of a form stands for."""
    if not set(types) <= _PLAIN:
        try:
            return json.loads(text)
        except ValueError:
            raise Mismatch(f"Can't parse {_CALLED.get(name, name)} JSON object") from None
    if "Integer" in types and _INTEGER.fullmatch(text):
        return int(text)
    if "Float" in types and _FLOAT.fullmatch(text):
        return float(text)
    if "Boolean" in types and text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    return text


def _is_plain(type_name: str, value: Any) -> bool:
    if type_name == "Integer":
        return type(value) is int
    if type_name == "Float":
        return type(value) in (int, float)
    return (type_name, type(value)) in (("String", str), ("Boolean", bool))


def _unlike(types: list[str], place: str, name: str) -> Mismatch:
    """In the server's words where it has some for this place."""
    kinds = [one for one in types if one not in _PLAIN]
    if place == "Item" and kinds and not kinds[0].startswith(_LIST):
        return Mismatch(_WITHIN.get(kinds[0], "") + _NO_OBJECT.get(kinds[0], "expected an Object"))
    if name in _EXPECTED:
        return Mismatch(
            "Message identifier must be a Number" if place == "Item" and types == ["Integer"] else _EXPECTED[name]
        )
    if kinds and not kinds[0].startswith(_LIST):
        return Mismatch(_WITHIN.get(kinds[0], "") + _NO_OBJECT.get(kinds[0], "expected an Object"))
    if place.startswith("Field") and types == ["Integer"]:
        return Mismatch(f"{place} must be a Number")
    return Mismatch(f"{place} must be of type {' or '.join(types)}")
