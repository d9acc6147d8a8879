"""Checks requests and answers against the published description of the Bot API (a JSON file beside the checkout)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

SPEC_PATH = Path(__file__).resolve().parents[2].parent / "shared" / "specs" / "telegram-bot-api.json"
_PLAIN = {"Integer": int, "String": str, "Boolean": bool, "Float": float, "True": bool}


@cache
def published() -> BotApiSpec | None:
    """None where the file is not beside this checkout."""
    return BotApiSpec() if SPEC_PATH.exists() else None


class BotApiSpec:
    def __init__(self) -> None:
        described = json.loads(SPEC_PATH.read_text())
        self._methods: dict[str, Any] = described["methods"]
        self._types: dict[str, Any] = described["types"]

    def check_exchange(self, method: str, values: dict[str, Any], uploads: set[str], answer: dict[str, Any]) -> None:
        """A request and its answer. A refused request may be anything; the refusal has a shape too."""
        if not answer.get("ok"):
            assert set(answer) <= {"ok", "error_code", "description", "parameters"}, f"a refusal with {set(answer)}"
            assert answer["ok"] is False and type(answer["error_code"]) is int and type(answer["description"]) is str
            if "parameters" in answer:
                self.check_type("ResponseParameters", answer["parameters"])
            return
        assert set(answer) == {"ok", "result"}, f"an answer with {set(answer)}"
        name = next(one for one in self._methods if one.lower() == method.lower())
        self.check_request(name, values, uploads)
        self.check_result(name, answer["result"])

    def check_request(self, method: str, values: dict[str, Any], uploads: set[str]) -> None:
        """Values as they came, in a form or in a JSON body; `uploads` are the names of the parts with files."""
        fields = {field["name"]: field for field in self._methods[method].get("fields", [])}
        attached = {name for name in uploads if f"attach://{name}" in json.dumps(values)}
        given = {name for name, value in values.items() if value != ""} | (uploads - attached)
        for field in fields.values():
            assert not field["required"] or field["name"] in given, f"{method} lacks {field['name']}"
        for name in given:
            assert name in fields, f"{method} has {name}, which the Bot API has not"
            if name in uploads:
                assert "InputFile" in fields[name]["types"], f"{method} has a file as {name}"
            else:
                types = [one for one in fields[name]["types"] if one != "InputFile"]
                self._check_one_of(types, _from_form(types, values[name]), f"{method}.{name}")

    def check_result(self, method: str, result: Any) -> None:
        """Raises AssertionError naming the field that the description does not allow."""
        self._check_one_of(self._methods[method]["returns"], result, method)

    def check_type(self, name: str, value: Any) -> None:
        self._check(name, value, name)

    def _check_one_of(self, types: list[str], value: Any, where: str) -> None:
        problems = []
        for name in types:
            try:
                return self._check(name, value, where)
            except AssertionError as error:
                problems.append(str(error))
        raise AssertionError("; ".join(problems))

    def _check(self, name: str, value: Any, where: str) -> None:
        if name.startswith("Array of "):
            assert isinstance(value, list), f"{where} is no array"
            for index, item in enumerate(value):
                self._check(name.removeprefix("Array of "), item, f"{where}[{index}]")
        elif name in _PLAIN:
            assert type(value) is _PLAIN[name], f"{where} is no {name}: {value!r}"
        elif self._types[name].get("subtypes"):
            self._check_one_of(self._types[name]["subtypes"], value, where)
        else:
            self._check_object(name, value, where)

    def _check_object(self, name: str, value: Any, where: str) -> None:
        assert isinstance(value, dict), f"{where} is no {name}"
        fields = {field["name"]: field for field in self._types[name].get("fields", [])}
        for field in fields.values():
            assert not field["required"] or field["name"] in value, f"{where} lacks {field['name']}"
        for key, item in value.items():
            assert key in fields, f"{where} has {key}, which {name} has not"
            self._check_one_of(fields[key]["types"], item, f"{where}.{key}")


def _from_form(types: list[str], value: Any) -> Any:
    """A form's text as the value it stands for."""
    if not isinstance(value, str) or "String" in types:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
