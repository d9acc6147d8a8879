"""The parameters of a Bot API call: query string, form, multipart or JSON, all read alike."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from bot.localphone.errors import bad_request


class Parameters:
    """Values by name. Forms carry everything as text; JSON bodies may carry the types themselves."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        """Empty where absent."""
        value = self._values.get(name)
        if value is None:
            return ""
        return value if isinstance(value, str) else json.dumps(value)

    def integer(self, name: str, default: int = 0) -> int:
        """`default` where absent or not a number, as the real server reads it."""
        value = self._values.get(name)
        try:
            return int(value) if value is not None else default
        except (TypeError, ValueError):
            return default

    def flag(self, name: str) -> bool:
        return str(self._values.get(name, "")).lower() in ("true", "yes", "1")

    def json(self, name: str, what: str) -> Any:
        """The value, parsed where it came as text; None where absent or empty. Raises ApiError naming `what`."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise bad_request(f"Can't parse {what} JSON object") from error

    def __contains__(self, name: str) -> bool:
        return name in self._values


async def read_parameters(request: web.Request) -> Parameters:
    """Raises ApiError for a body that is not what its content type says."""
    values: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = await request.json()
        except ValueError as error:
            raise bad_request("Can't parse JSON-encoded request body") from error
        if not isinstance(body, dict):
            raise bad_request("Can't parse JSON-encoded request body")
        values.update(body)
    elif request.can_read_body:
        form = await request.post()
        values.update({name: value for name, value in form.items() if isinstance(value, str)})
    return Parameters(values)
