"""The parameters of a Bot API call: query string, form, multipart or JSON, all read alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.localphone.errors import bad_request

ATTACHED = "attach://"
"""Before the name of the multipart part that holds a file."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a request."""

    name: str
    mime_type: str
    content: bytes


class Parameters:
    """Values by name, of the types that the description gives them."""

    def __init__(self, values: dict[str, Any], uploads: dict[str, Upload] | None = None) -> None:
        self._values = values
        self._uploads = uploads or {}

    def text(self, name: str) -> str:
        """Empty where absent."""
        return str(self._values.get(name, ""))

    def integer(self, name: str, default: int = 0) -> int:
        return int(self._values.get(name, default))

    def flag(self, name: str) -> bool:
        return bool(self._values.get(name, False))

    def value(self, name: str) -> Any:
        """As JSON has it: a list, an object, or None where absent."""
        return self._values.get(name)

    def file(self, name: str) -> Upload | str:
        """The file sent for a parameter, or the text that names one: an id, an address; empty for none."""
        return self._uploads[name] if name in self._uploads else self.attached(self.text(name))

    def attached(self, named: str) -> Upload | str:
        """The part of the request that `attach://...` names; any other text as it is. Raises ApiError."""
        if not named.startswith(ATTACHED):
            return named
        upload = self._uploads.get(named.removeprefix(ATTACHED))
        if upload is None:
            raise bad_request("Wrong file identifier/HTTP URL specified")
        return upload

    def __contains__(self, name: str) -> bool:
        return name in self._values


async def read_request(request: web.Request) -> tuple[dict[str, Any], dict[str, Upload]]:
    """The values as they came, and the files by the names of their parts.

    Raises ApiError for a body that is not what its content type says.
    """
    values: dict[str, Any] = dict(request.query)
    uploads: dict[str, Upload] = {}
    if request.content_type == "application/json":
        values.update(await _json_body(request))
    elif request.body_exists:
        try:
            await _read_form(request, values, uploads)
        except UnicodeDecodeError as error:
            raise bad_request("Strings must be encoded in UTF-8") from error
    return values, uploads


async def _read_form(request: web.Request, values: dict[str, Any], uploads: dict[str, Upload]) -> None:
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            value.file.seek(0)
            uploads[name] = Upload(value.filename, value.content_type, value.file.read())
        else:
            values[name] = value if isinstance(value, str) else bytes(value).decode()


async def _json_body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise bad_request("Can't parse JSON-encoded request body") from error
    if not isinstance(body, dict):
        raise bad_request("Can't parse JSON-encoded request body")
    return body
