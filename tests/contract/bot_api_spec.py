"""Checks answers against the published description of the Bot API (a JSON file beside the checkout)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SPEC_PATH = Path(__file__).resolve().parents[2].parent / "shared" / "specs" / "telegram-bot-api.json"
_PLAIN = {"Integer": int, "String": str, "Boolean": bool, "Float": float, "True": bool}


class BotApiSpec:
    def __init__(self) -> None:
        described = json.loads(SPEC_PATH.read_text())
        self._methods: dict[str, Any] = described["methods"]
        self._types: dict[str, Any] = described["types"]

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
