"""Writes down what the Bot API is, as far as the installed python-telegram-bot knows it: `bot_api.json`.

    python -m bot.localphone.describe > bot/localphone/bot_api.json

For each method the local phone serves: its parameters, their types and which are required, read from the signature of
the method of `telegram.Bot`; for each object in them: its fields, read from its class. Of all other methods the names.
Types are named as in Telegram's documentation: Integer, Float, String, Boolean, InputFile, "Array of ...", an object.
"""

from __future__ import annotations

import ast
import datetime as dtm
import inspect
import json
import sys
import textwrap
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import telegram
from telegram._utils import types as telegram_types
from telegram._utils.defaultvalue import DefaultValue

SERVED = (
    "answerCallbackQuery",
    "deleteMessage",
    "deleteMessages",
    "deleteMyCommands",
    "deleteWebhook",
    "editMessageCaption",
    "editMessageMedia",
    "editMessageReplyMarkup",
    "editMessageText",
    "getChat",
    "getChatMenuButton",
    "getFile",
    "getMe",
    "getMyCommands",
    "getUpdates",
    "getWebhookInfo",
    "pinChatMessage",
    "sendChatAction",
    "sendDocument",
    "sendMessage",
    "sendPhoto",
    "setChatMenuButton",
    "setMessageReaction",
    "setMyCommands",
    "unpinAllChatMessages",
    "unpinChatMessage",
)
"""What `bot.localphone` answers; a test compares."""

_PLAIN: dict[Any, str] = {
    bool: "Boolean",
    int: "Integer",
    float: "Float",
    str: "String",
    dtm.datetime: "Integer",
    dtm.timedelta: "Integer",
    Path: "InputFile",
    bytes: "InputFile",
    telegram.InputFile: "InputFile",
}
_NAMES = vars(telegram) | {name: value for name, value in vars(telegram_types).items() if not name.startswith("_")}
_LIST = "Array of "
_RENAMED = {"from_user": "from"}
_ENGINE_ROOM = "do_api_request"
"""Calls any method by name; the only one with the methods' usual arguments that is none itself."""

Field = dict[str, Any]


def described(served: Sequence[str] = SERVED) -> dict[str, Any]:
    """The whole description. Raises KeyError for a method the library does not know."""
    known = known_methods()
    methods = {name: parameters_of(known[name]) for name in sorted(served)}
    return {
        "bot_api": telegram.__bot_api_version__,
        "methods": methods,
        "other_methods": sorted(set(known) - set(served)),
        "types": _reachable(field for parameters in methods.values() for field in parameters.values()),
    }


def known_methods() -> dict[str, Any]:
    """Every method of the Bot API by its name there, and the function of `telegram.Bot` that calls it."""
    return {
        _camel(name): function
        for name, function in inspect.getmembers(telegram.Bot, inspect.iscoroutinefunction)
        if "api_kwargs" in inspect.signature(function).parameters and not name.startswith("_") and name != _ENGINE_ROOM
    }


def parameters_of(function: Any) -> dict[str, Field]:
    """By name. What follows the `*` in a signature is the library's own: time-outs and conveniences."""
    hints = typing.get_type_hints(function, _namespace(function))
    return {
        name: {"types": _argument_types(hints[name]), "required": parameter.default is inspect.Parameter.empty}
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self" and parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    }


def fields_of(kind: type[Any]) -> dict[str, Field]:
    """Of an object, by name. Attributes that no argument sets always have the one value written as `is`."""
    signature = inspect.signature(kind.__init__).parameters
    hints = typing.get_type_hints(kind.__init__, _namespace(kind.__init__))
    attributes = {slot.lstrip("_") for base in kind.__mro__ for slot in getattr(base, "__slots__", ())}
    fields: dict[str, Field] = {}
    for name in sorted(set(signature) & attributes - {"api_kwargs"}):
        required = signature[name].default is inspect.Parameter.empty
        # A file inside of an object is named by a text: its id, or the part of the request that holds it.
        found = ["String" if one == "InputFile" else one for one in _argument_types(hints[name])]
        fields[_RENAMED.get(name, name)] = {"types": list(dict.fromkeys(found)), "required": required}
    for name, value in _constants(kind, signature).items():
        fields[name] = {"types": [_PLAIN[type(value)]], "required": True, "is": value}
    return dict(sorted(fields.items()))


def subtypes_of(kind: type[Any]) -> list[str]:
    """The classes that stand for `kind` where it is only a family name; empty for any other."""
    return sorted(
        name
        for name, value in vars(telegram).items()
        if inspect.isclass(value) and issubclass(value, kind) and value is not kind
    )


def _constants(kind: type[Any], signature: Any) -> dict[str, Any]:
    """Public attributes that the constructor sets by itself, such as `type`, and their values."""
    names = {name for base in kind.__mro__ for name in _annotated_attributes(base)} - set(signature)
    if not names:
        return {}
    arguments = ["1" for name, one in signature.items() if name != "self" and one.default is inspect.Parameter.empty]
    sample = kind(*arguments)
    found = {name: getattr(sample, name) for name in sorted(names)}
    return {name: value for name, value in ((n, _plain(v)) for n, v in found.items()) if value is not None}


def _plain(value: Any) -> Any:
    """Members of the library's enumerations are texts of a class of their own."""
    return str.__str__(value) if isinstance(value, str) else value


def _annotated_attributes(kind: type[Any]) -> set[str]:
    """The public names in `self.name: Type = ...` of the class's own constructor."""
    if "__init__" not in vars(kind) or kind.__module__.partition(".")[0] != "telegram":
        return set()
    tree = ast.parse(textwrap.dedent(inspect.getsource(vars(kind)["__init__"])))
    return {
        node.target.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Attribute)
        and not node.target.attr.startswith("_")
        and node.target.attr != "api_kwargs"
    }


def _reachable(fields: Any) -> dict[str, Any]:
    """All objects named in `fields`, and those named in their fields, and so on."""
    waiting = [name for field in fields for name in _object_names(field)]
    found: dict[str, Any] = {}
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        kind = vars(telegram)[name]
        subtypes = subtypes_of(kind)
        if subtypes:
            found[name] = {"subtypes": subtypes}
            waiting.extend(subtypes)
        else:
            found[name] = {"fields": fields_of(kind)}
            waiting.extend(one for field in found[name]["fields"].values() for one in _object_names(field))
    return dict(sorted(found.items()))


def _object_names(field: Field) -> list[str]:
    names = [name.replace(_LIST, "") for name in field["types"]]
    return [name for name in names if name not in _PLAIN.values()]


def _argument_types(hint: Any) -> list[str]:
    """What may travel for an argument so annotated.

    The library is kinder than the API: it takes one thing where a list is meant, a text where an object is, an object
    with a `file_id` where the id is. It sends the latter form, so only that is described.
    """
    found = list(dict.fromkeys(_wire_types(hint)))
    lists = [name for name in found if name.startswith(_LIST)]
    if lists:
        objects = [name for name in lists if name.replace(_LIST, "") not in _PLAIN.values()]
        return sorted(objects or lists)
    if "String" in found:
        found = [name for name in found if not _has_file_id(name)]
    return sorted(found)


def _has_file_id(name: str) -> bool:
    slots = getattr(vars(telegram).get(name), "__slots__", ())
    return any(slot.endswith("file_id") for slot in slots) or hasattr(vars(telegram).get(name), "get_file")


def _wire_types(hint: Any) -> list[str]:
    if hint in _PLAIN:
        return [_PLAIN[hint]]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType, DefaultValue):
        return [name for argument in arguments for name in _wire_types(argument)]
    if origin is IO:
        return ["InputFile"]
    if origin is typing.Literal:
        return [_PLAIN[type(arguments[0])]]
    if inspect.isclass(origin) and issubclass(origin, Sequence) and (origin is not tuple or arguments[-1] is ...):
        return [_LIST + name for name in _argument_types(arguments[0])]
    if inspect.isclass(hint) and issubclass(hint, telegram.TelegramObject):
        return [hint.__name__]
    return []


def _namespace(function: Any) -> dict[str, Any]:
    return _NAMES | vars(sys.modules[function.__module__])


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def main() -> None:
    json.dump(described(), sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
