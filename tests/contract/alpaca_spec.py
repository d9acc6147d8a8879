"""Alpaca's published descriptions: what answers must look like and what may be asked. Objects are closed to what is not
published."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tests.servers.alpaca_http import Answer, Call

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "specs"


class Description:
    """`unpublished` are properties that real answers carry beside what is published, by schema; `values` more values
    of an enumeration."""

    def __init__(
        self,
        name: str,
        unpublished: Mapping[str, Mapping[str, Any]] | None = None,
        values: Mapping[str, list[str]] | None = None,
    ) -> None:
        self.path = FOLDER / name
        self._unpublished = unpublished or {}
        self._values = values or {}

    @cached_property
    def published(self) -> Any:
        told = json.loads(self.path.read_text())
        schemas = told["components"]["schemas"]
        for schema, properties in self._unpublished.items():
            schemas[schema]["properties"].update(properties)
        for schema, values in self._values.items():
            schemas[schema]["enum"] += values
        return told

    def operation(self, call: Call) -> Mapping[str, Any]:
        """What is published about the path of a request."""
        for path, operations in self.published["paths"].items():
            shape = re.sub(r"\\\{[^}]*\\\}", "[^/]+(/USD)?", re.escape(path))
            if re.fullmatch(shape, call.path) and call.method.lower() in operations:
                return dict(operations[call.method.lower()])
        raise AssertionError(f"nothing is published about {call.method} {call.path}")

    @cached_property
    def components(self) -> Any:
        return resolved(self.published["components"])

    def faults_of(self, call: Call, answer: Answer) -> Iterator[str]:
        responses = self.operation(call)["responses"]
        if str(answer.status) not in responses:
            yield f"{call.method} {call.path}: status {answer.status} is not published"
            return
        content = responses[str(answer.status)].get("content")
        if content is None:
            if answer.body:
                yield f"{call.method} {call.path}: a body where none is published"
            return
        schema = resolved(content["application/json"]["schema"])
        validator = Draft202012Validator({**schema, "components": self.components})
        for error in validator.iter_errors(answer.body):
            yield f"{call.path} {list(error.absolute_path)[:4]}: {error.message[:200]}"

    def parameters_of(self, call: Call) -> set[str]:
        found = set()
        for each in self.operation(call).get("parameters", ()):
            named = (
                self.published["components"]["parameters"][each["$ref"].rsplit("/", 1)[1]] if "$ref" in each else each
            )
            if named["in"] == "query":
                found.add(named["name"])
        return found


def resolved(node: Any) -> Any:
    """With `nullable` written as JSON Schema has it, and objects closed to what is not published."""
    if isinstance(node, list):
        return [resolved(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {name: resolved(value) for name, value in node.items()}
    if found.pop("nullable", False) and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    if found.get("type") == "object" and "properties" in found:
        found.setdefault("additionalProperties", False)
    return found
